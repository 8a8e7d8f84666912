/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of the data root; see engine.h. */
#include "cli/engine.h"

int engine_open(struct ol_cli *cli, const char *driver, enum ol_view view, enum layer_need need,
                struct ol_engine **ret, struct ol_error *err)
{
    struct ol_engine_config config = {.root = cli->root, .driver = driver, .sync = true};
    int r = layer_choose_view(cli->root, view, &config.view, err);

    if (r == 0)
        r = layer_enter_view(config.view, need, err);
    if (r < 0)
        return r;
    config.keep_owner = need == LAYER_WRITE && ol_view_can_keep_owner(cli->root);
    return ol_engine_open(&config, ret, err);
}
