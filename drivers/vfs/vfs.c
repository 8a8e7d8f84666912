/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vfs (moby daemon/graphdriver/vfs/driver.go at v20.10.24): <home>/dir/<id> is a complete copy of
 * the parent, content included. No sharing, no mounts: the reference the overlay drivers are held
 * against, and the upper bound of what a layer can cost.
 */
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "drivers/driver_ops.h"
#include "drivers/layers.h"

#include <errno.h>
#include <fcntl.h>

struct vfs {
    struct ol_driver base;
    char *path; /* owned: "<home>/dir" */
    int fd;     /* owned: that directory */
};

static struct vfs *vfs_from(struct ol_driver *drv)
{
    return (struct vfs *)drv; /* base is its first member; only our own table brings us here */
}

static void vfs_close(struct ol_driver *drv)
{
    struct vfs *v = vfs_from(drv);

    ol_fd_close(&v->fd);
    free(v->path);
    free(v);
}

static int open_dir(struct vfs *v, struct ol_error *err)
{
    int r = 0;

    if (!ol_layer_exists(v->base.home_fd, "dir"))
        r = ol_fs_mkdir(v->base.home_fd, "dir", 0710, err);
    if (r < 0)
        return r;
    v->fd = ol_layer_subdir(v->base.home_fd, "dir", err);
    if (v->fd < 0 || v->base.others)
        return v->fd < 0 ? v->fd : 0;
    return ol_layers_clean(v->fd, v->path, err);
}

static const struct ol_driver_choice vfs_options[] = {OL_DRIVER_CHOICE_NAMES, {NULL}};

static int vfs_open(const struct ol_driver *base, struct ol_driver **ret, struct ol_error *err)
{
    struct vfs *v = calloc(1, sizeof(*v));
    int r = 0;

    if (v == NULL)
        return ol_error_nomem(err);
    v->base = *base;
    v->fd = -1;
    if (asprintf(&v->path, "%s/dir", base->config.home) < 0)
        r = ol_error_nomem(err);
    if (r == 0)
        r = open_dir(v, err);
    if (r < 0) {
        vfs_close(&v->base);
        return r;
    }
    *ret = &v->base;
    return 0;
}

/* Copy the parent into the new layer's directory. */
static int copy_parent(struct vfs *v, const char *parent, int layer_fd, struct ol_error *err)
{
    const struct ol_clone_options options = {
        .mode = OL_CLONE_CONTENT,
        .ns = ol_driver_ns(&v->base),
        .keep_owner = v->base.config.keep_owner,
        .threads = v->base.config.threads,
    };
    ol_auto_fd int parent_fd = -1;

    if (parent == NULL)
        return 0;
    parent_fd = ol_layer_open(v->fd, parent, err);
    return parent_fd < 0 ? parent_fd : ol_tree_clone(parent_fd, layer_fd, &options, NULL, err);
}

static int vfs_create(struct ol_driver *drv, const struct ol_layer_spec *spec, struct ol_error *err)
{
    struct vfs *v = vfs_from(drv);
    struct ol_layer_draft draft;
    int r = ol_layer_begin(v->fd, spec->id, 0755, &draft, err);

    if (r < 0)
        return r;
    r = copy_parent(v, spec->parent, draft.fd, err);
    if (r == 0)
        r = ol_layer_publish(&draft, err);
    if (r < 0)
        ol_layer_abandon(&draft);
    else
        ol_layer_draft_fini(&draft);
    return r;
}

static int vfs_remove(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct vfs *v = vfs_from(drv);

    return ol_layer_remove(v->fd, v->path, id, err);
}

static int vfs_get(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err)
{
    if (asprintf(ret_path, "%s/%s", vfs_from(drv)->path, id) < 0)
        return ol_error_nomem(err);
    return 0;
}

static int vfs_put(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    (void)drv; /* nothing is mounted, nothing counted */
    (void)id;
    (void)err;
    return 0;
}

static bool vfs_exists(struct ol_driver *drv, const char *id)
{
    return ol_layer_exists(vfs_from(drv)->fd, id);
}

static int vfs_list(struct ol_driver *drv, int (*fn)(const char *id, void *data), void *data,
                    struct ol_error *err)
{
    return ol_layers_list(vfs_from(drv)->fd, fn, data, err);
}

/* ---- apply ---- */

static int apply_tar(struct vfs *v, int layer_fd, const struct ol_input *tar,
                     struct ol_apply_result *ret, struct ol_error *err)
{
    const struct ol_layer_options options = ol_driver_layer_options(&v->base, OL_LAYER_TREE);
    int r = ol_layer_apply(layer_fd, tar, &options, &ret->layer, err);

    ret->size_bytes = r == 0 ? ret->layer.header_size_sum : 0;
    return r;
}

/* Throw the half-changed copy away and make the layer as create does. */
static int make_again(struct vfs *v, const char *aside, const char *id, const char *parent,
                      struct ol_error *err)
{
    const struct ol_layer_spec spec = {.id = id, .parent = parent};
    int r = ol_tree_remove(v->fd, aside, err);

    return r < 0 ? r : vfs_create(&v->base, &spec, err);
}

/*
 * The layer is out of sight under the name of a half-made one while it is written to: killed in
 * between, it is gone at the next open instead of being half-applied.
 */
static int apply_aside(struct vfs *v, const char *id, const char *parent, int layer_fd,
                       const struct ol_input *tar, struct ol_apply_result *ret,
                       struct ol_error *err)
{
    ol_auto_error struct ol_error undo_err = OL_ERROR_INIT;
    ol_auto_free char *aside = NULL;
    int r;

    if (asprintf(&aside, OL_LAYER_NEW "%s", id) < 0)
        return ol_error_nomem(err);
    r = ol_fs_rename_new(v->fd, id, v->fd, aside, err);
    if (r < 0)
        return r;
    r = apply_tar(v, layer_fd, tar, ret, err);
    if (r == 0)
        r = ol_fs_rename_new(v->fd, aside, v->fd, id, err);
    if (r == 0)
        return 0;
    if (make_again(v, aside, id, parent, &undo_err) < 0)
        return ol_error_wrap(err, r, "the layer is lost (%s)", ol_error_text(&undo_err));
    return r;
}

static int vfs_open_own(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    return ol_layer_open(vfs_from(drv)->fd, id, err);
}

static int vfs_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                          const struct ol_input *tar, struct ol_apply_result *ret,
                          struct ol_error *err)
{
    struct vfs *v = vfs_from(drv);
    ol_auto_fd int layer_fd = ol_layer_open(v->fd, id, err);
    int r;

    if (layer_fd < 0)
        return layer_fd;
    if (parent != NULL || ol_layer_dir_is_empty(v->fd, id))
        return apply_aside(v, id, parent, layer_fd, tar, ret, err);
    /* Content that no parent can give back is never taken away: in place, as moby does. */
    r = apply_tar(v, layer_fd, tar, ret, err);
    if (r < 0)
        return ol_error_wrap(err, r, "the layer had content and now holds part of the archive too");
    return 0;
}

const struct ol_driver_ops ol_vfs_ops = {
    .name = "vfs",
    .summary = "plain copies: every layer a complete tree of its own",
    .caps = OL_CAP_KEEPS_DATA,
    .options = vfs_options,
    .open = vfs_open,
    .close = vfs_close,
    .create = vfs_create,
    .remove = vfs_remove,
    .get = vfs_get,
    .put = vfs_put,
    .exists = vfs_exists,
    .apply_diff = vfs_apply_diff,
    .open_own = vfs_open_own,
    .list = vfs_list,
};
