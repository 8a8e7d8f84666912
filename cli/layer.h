/* SPDX-License-Identifier: Apache-2.0 */
/* What the "overlab layer" commands share: their arguments and an open driver. */
#ifndef OL_CLI_LAYER_H
#define OL_CLI_LAYER_H

#include "cli/cli.h"
#include "drivers/driver.h"

/* Arguments of every layer command. */
struct layer_args {
    const char *driver;
    enum ol_view view;
    bool rw;
    char **ids; /* borrowed from argv; n_ids of them */
    unsigned n_ids;
};

/**
 * Parse -d, --view, --rw (when with_rw) and min to max ids.
 * @return false: return cli->status
 */
bool layer_parse(struct ol_cli *cli, int argc, char **argv, bool with_rw, unsigned min,
                 unsigned max, const char *help, struct layer_args *ret);
void layer_args_fini(struct layer_args *args);

enum layer_need {
    LAYER_READ,   /* looks only */
    LAYER_WRITE,  /* makes or removes layers */
    LAYER_MOUNTS, /* mounts or unmounts for others to see */
};

struct layer_session {
    struct ol_driver *drv;
    char *home; /* owned */
    enum ol_view view;
};

/**
 * Choose the view (the one the data root was made in, where there is one), enter it, open the
 * driver. Before any thread exists.
 */
int layer_open(struct ol_cli *cli, const struct layer_args *args, enum layer_need need,
               struct layer_session *ret, struct ol_error *err);
void layer_close(struct layer_session *session);

/**
 * Choose the view of a data root: the one it was made in, else the best there is. Makes the root
 * when it is missing.
 */
int layer_choose_view(const char *root, enum ol_view want, enum ol_view *ret, struct ol_error *err);

/**
 * Enter a view, before any thread exists: namespaces of our own, so that nothing stays mounted;
 * none for LAYER_MOUNTS.
 */
int layer_enter_view(enum ol_view view, enum layer_need need, struct ol_error *err);

/** Mount a layer for others to see, until somebody puts it. @param ret_path owned by the caller */
int layer_get_kept(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err);

/** args->ids[index], or NULL when there are not so many. */
const char *layer_id(const struct layer_args *args, unsigned index);

#endif
