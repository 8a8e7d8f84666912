/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands over the image store share: the engine of the data root, opened in its view. */
#ifndef OL_CLI_ENGINE_H
#define OL_CLI_ENGINE_H

#include "cli/layer.h"
#include "store/engine.h"

#include <time.h>

/* Options all of them have, and where they are kept. */
struct engine_args {
    const char *driver; /* borrowed */
    enum ol_view view;
};
#define ENGINE_ARGS_INIT                                                                           \
    {                                                                                              \
        "overlay2", OL_VIEW_AUTO                                                                   \
    }
enum { ENGINE_KEY_VIEW = 0x400000 };
#define ENGINE_OPTION_DRIVER                                                                       \
    {                                                                                              \
        "driver", 'd', "DRIVER", 0, "overlay2 (default), overlay, vfs or null, with options", 0    \
    }
#define ENGINE_OPTION_VIEW                                                                         \
    {                                                                                              \
        "view", ENGINE_KEY_VIEW, "VIEW", 0, "auto (default), kernel, userns or direct", 0          \
    }
/** Take one of these options, for ol_cli_syntax.take. @return false after ol_cli_usage() */
bool engine_take(struct ol_cli *cli, struct engine_args *args, int key, char *arg);

/**
 * Choose the view (the one the data root was made in, where there is one), enter it, open driver
 * and stores. Before any thread exists.
 * @param driver  full name, as typed
 */
int engine_open(struct ol_cli *cli, const char *driver, enum ol_view view, enum layer_need need,
                struct ol_engine **ret, struct ol_error *err);

/** To look for damage: nothing is refused or cleaned up, problems are told (store/check.h). */
int engine_open_checking(struct ol_cli *cli, const struct engine_args *args, ol_problem_fn *problem,
                         void *data, struct ol_engine **ret, struct ol_error *err);

/**
 * The time to write into what is made here: SOURCE_DATE_EPOCH where it is set, so that the same
 * input gives the same image (reproducible-builds.org), else now.
 */
int engine_creation_time(struct timespec *ret, struct ol_error *err);

#endif
