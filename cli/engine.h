/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands over the image store share: the engine of the data root, opened in its view. */
#ifndef OL_CLI_ENGINE_H
#define OL_CLI_ENGINE_H

#include "cli/layer.h"
#include "store/engine.h"

/**
 * Choose the view (the one the data root was made in, where there is one), enter it, open driver
 * and stores. Before any thread exists.
 * @param driver  full name, as typed
 */
int engine_open(struct ol_cli *cli, const char *driver, enum ol_view view, enum layer_need need,
                struct ol_engine **ret, struct ol_error *err);

#endif
