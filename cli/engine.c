/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of the data root; see engine.h. */
#include "cli/engine.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

bool engine_take(struct ol_cli *cli, struct engine_args *args, int key, char *arg)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (key == 'd') {
        args->driver = arg;
        return true;
    }
    if (ol_view_parse(arg, &args->view, &err) == 0)
        return true;
    (void)ol_cli_usage(cli, "%s", ol_error_text(&err));
    return false;
}

static int open_config(struct ol_cli *cli, enum ol_view view, enum layer_need need,
                       struct ol_engine_config *config, struct ol_engine **ret,
                       struct ol_error *err)
{
    int r = layer_choose_view(cli->root, view, &config->view, err);

    if (r == 0)
        r = layer_enter_view(config->view, need, err);
    if (r < 0)
        return r;
    config->root = cli->root;
    config->keep_owner = need == LAYER_WRITE && ol_view_can_keep_owner(cli->root);
    return ol_engine_open(config, ret, err);
}

int engine_open(struct ol_cli *cli, const char *driver, enum ol_view view, enum layer_need need,
                struct ol_engine **ret, struct ol_error *err)
{
    struct ol_engine_config config = {.driver = driver, .sync = true};

    return open_config(cli, view, need, &config, ret, err);
}

int engine_open_checking(struct ol_cli *cli, const struct engine_args *args, ol_problem_fn *problem,
                         void *data, struct ol_engine **ret, struct ol_error *err)
{
    struct ol_engine_config config = {
        .driver = args->driver, .problem = problem, .problem_data = data};

    return open_config(cli, args->view, LAYER_READ, &config, ret, err);
}

/* The last second that RFC 3339 has a text for: 9999-12-31T23:59:59Z. */
static const time_t last_second = 253402300799;

int engine_creation_time(struct timespec *ret, struct ol_error *err)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    char *end = NULL;

    (void)clock_gettime(CLOCK_REALTIME, ret); /* cannot fail with this clock */
    if (text == NULL || text[0] == '\0')
        return 0;
    errno = 0;
    *ret = (struct timespec){.tv_sec = strtoll(text, &end, 10)};
    if ((errno != 0 && errno != ERANGE) || *end != '\0' || text[0] < '0' || text[0] > '9')
        return ol_error_set(err, -EINVAL, "SOURCE_DATE_EPOCH is no number of seconds: '%s'", text);
    if (ret->tv_sec > last_second)
        return ol_error_set(err, -EINVAL, "SOURCE_DATE_EPOCH is past the year 9999: '%s'", text);
    return 0;
}
