/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the data root; see stored.h. */
#include "cli/stored.h"

#include "cli/engine.h"
#include "common/cleanup.h"

#include <errno.h>
#include <sys/stat.h>

struct stored {
    struct ol_engine *engine; /* owned */
};

/* Opening makes what is missing; looking must not. */
static int find_images(const struct ol_cli *cli, const char *driver, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    struct stat st;

    if (asprintf(&path, "%s/image/%.*s", cli->root, (int)strcspn(driver, ":"), driver) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    if (stat(path, &st) < 0)
        return errno == ENOENT ? ol_error_set(err, -ENOENT,
                                              "the data root has no images of %s ('%s' is missing)",
                                              driver, path)
                               : ol_error_sys(err, errno, "cannot examine '%s'", path);
    return 0;
}

int stored_open(struct ol_cli *cli, const char *what, const char *driver, enum ol_view view,
                struct stored **ret, struct ol_error *err)
{
    struct stored *stored = calloc(1, sizeof *stored);
    int r = stored == NULL ? ol_error_nomem(err) : find_images(cli, driver, err);

    if (r == 0)
        r = engine_open(cli, driver, view, LAYER_READ, &stored->engine, err);
    if (r < 0) {
        free(stored);
        return ol_error_wrap(err, r, "'%s' is no file", what);
    }
    *ret = stored;
    return 0;
}

void stored_close(struct stored *stored)
{
    if (stored != NULL)
        ol_engine_close(stored->engine);
    free(stored);
}

struct ol_images *stored_images(struct stored *stored)
{
    return stored != NULL ? ol_engine_images(stored->engine) : NULL;
}
