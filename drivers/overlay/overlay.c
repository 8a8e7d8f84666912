/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The legacy overlay driver (moby daemon/graphdriver/overlay/overlay.go at v20.10.24): one lower
 * directory only, so an image layer is a full tree.
 *
 *   <home>/<id>/root                        an image layer: the complete tree
 *   <home>/<id>/{upper,work,lower-id}       init and container layers; lower-id names the layer
 *   <home>/<id>/merged                      whose root is the lower directory; merged while mounted
 *
 * A layer over one that has no root copies that one's upper by content. Options, both off by
 * default because moby did without: diff=upper compares without mounting; clone=all hard-links
 * symlinks and devices too (apply.c).
 */
#include "drivers/overlay/overlay.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/limits.h"
#include "drivers/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct overlay *overlay_from(struct ol_driver *drv)
{
    return (struct overlay *)drv; /* its first member; only our own table brings us here */
}

/* ---- open and close ---- */

static int overlay_plan(struct ol_driver *drv, const char *id, int layer_fd,
                        struct ol_mount_plan *ret, struct ol_error *err);

static const struct ol_driver_choice overlay_options[] = {
    {"diff", {"naive", "upper"}},
    {"clone", {"files", "all"}},
    OL_DRIVER_CHOICE_NAMES,
    {NULL},
};

static void take_options(struct overlay *o)
{
    struct ol_driver *drv = &o->mounted.base;

    o->diff_upper = ol_driver_option(drv, "diff") == 1;
    o->link_all = ol_driver_option(drv, "clone") == 1;
    if (o->diff_upper) {
        drv->compare_stacks = true;
        drv->sleepless = true;
    }
}

static int overlay_open(const struct ol_driver *base, struct ol_driver **ret, struct ol_error *err)
{
    struct overlay *o = calloc(1, sizeof(*o));
    int r;

    if (o == NULL)
        return ol_error_nomem(err);
    o->mounted = (struct ol_mounted){.base = *base, .plan = overlay_plan, .test_lowers = 1};
    take_options(o);
    r = ol_mounted_init(&o->mounted, err);
    if (r < 0) {
        free(o);
        return r;
    }
    *ret = &o->mounted.base;
    return 0;
}

static void overlay_close(struct ol_driver *drv)
{
    struct overlay *o = overlay_from(drv);

    ol_mounted_fini(&o->mounted);
    free(o);
}

/* ---- reading a layer ---- */

int overlay_read_lower_id(int layer_fd, char **ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf id = OL_BUF_INIT;
    int r = ol_fs_read_file(layer_fd, "lower-id", OL_ID_MAX, &id, err);

    if (r < 0)
        return r;
    if (strlen(ol_buf_str(&id)) != id.len || !ol_driver_id_valid(ol_buf_str(&id)))
        return ol_error_set(err, -EUCLEAN, "its file 'lower-id' does not hold a layer id");
    *ret = ol_buf_steal(&id);
    return *ret != NULL ? 0 : ol_error_nomem(err);
}

static int overlay_plan(struct ol_driver *drv, const char *id, int layer_fd,
                        struct ol_mount_plan *ret, struct ol_error *err)
{
    ol_auto_free char *lower_id = NULL;
    int r;

    (void)drv;
    if (ol_fs_exists(layer_fd, "root")) {
        ret->plain = "root";
        return 0;
    }
    r = overlay_read_lower_id(layer_fd, &lower_id, err);
    if (r < 0)
        return r;
    if (ol_buf_printf(&ret->text, "%s/root", lower_id) < 0 ||
        asprintf(&ret->upper, "%s/upper", id) < 0 || asprintf(&ret->work, "%s/work", id) < 0)
        return ol_error_nomem(err);
    return ol_mount_plan_lower(ret, ret->text.data, err); /* no index=off: moby says none here */
}

/* ---- create ---- */

int overlay_copy_upper(const struct ol_driver *drv, int parent_fd, int layer_fd, const char *name,
                       struct ol_error *err)
{
    const struct ol_clone_options options = {
        .mode = OL_CLONE_CONTENT,
        .ns = ol_driver_ns(drv),
        .keep_owner = drv->config.keep_owner,
        .threads = drv->config.threads,
    };
    ol_auto_fd int src_fd = ol_layer_subdir(parent_fd, "upper", err);
    ol_auto_fd int dst_fd = -1;
    struct stat st;
    int r;

    if (src_fd < 0)
        return src_fd;
    if (fstat(src_fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot stat the parent's 'upper'");
    r = ol_fs_mkdir(layer_fd, name, st.st_mode & 0777, err);
    if (r < 0)
        return r;
    dst_fd = ol_layer_subdir(layer_fd, name, err);
    return dst_fd < 0 ? dst_fd : ol_tree_clone(src_fd, dst_fd, &options, NULL, err);
}

static int write_lower_id(int layer_fd, const char *lower_id, struct ol_error *err)
{
    return ol_fs_write_file(layer_fd, "lower-id", lower_id, strlen(lower_id), 0600, err);
}

/* Over an image layer: an empty upper with the root's permission bits. */
static int fill_over_root(int layer_fd, const char *parent, const struct stat *root,
                          struct ol_error *err)
{
    int r = ol_fs_mkdir(layer_fd, "upper", root->st_mode & 0777, err);

    if (r == 0)
        r = ol_fs_mkdir(layer_fd, "work", 0700, err);
    return r < 0 ? r : write_lower_id(layer_fd, parent, err);
}

/* Over an init or container layer: its lower directory, and a copy of its upper. */
static int fill_over_upper(struct ol_driver *drv, int layer_fd, int parent_fd, struct ol_error *err)
{
    ol_auto_free char *lower_id = NULL;
    int r = overlay_read_lower_id(parent_fd, &lower_id, err);

    if (r < 0)
        return ol_error_wrap(err, r, "parent layer");
    r = write_lower_id(layer_fd, lower_id, err);
    if (r == 0)
        r = ol_fs_mkdir(layer_fd, "work", 0700, err);
    return r < 0 ? r : overlay_copy_upper(drv, parent_fd, layer_fd, "upper", err);
}

static int fill(struct ol_driver *drv, int layer_fd, const char *parent, struct ol_error *err)
{
    ol_auto_fd int parent_fd = -1;
    struct stat root;

    if (parent == NULL) /* 0755, or other users in the container could not read "/" */
        return ol_fs_mkdir(layer_fd, "root", 0755, err);
    parent_fd = ol_layer_open(drv->home_fd, parent, err);
    if (parent_fd < 0)
        return parent_fd;
    if (fstatat(parent_fd, "root", &root, AT_SYMLINK_NOFOLLOW) == 0)
        return fill_over_root(layer_fd, parent, &root, err);
    return fill_over_upper(drv, layer_fd, parent_fd, err);
}

static int overlay_create(struct ol_driver *drv, const struct ol_layer_spec *spec,
                          struct ol_error *err)
{
    struct ol_layer_draft draft;
    int r = ol_layer_begin(drv->home_fd, spec->id, 0710, &draft, err);

    if (r < 0)
        return r;
    r = fill(drv, draft.fd, spec->parent, err);
    if (r == 0)
        r = ol_layer_publish(&draft, err);
    if (r < 0)
        ol_layer_abandon(&draft);
    else
        ol_layer_draft_fini(&draft);
    return r;
}

/* ---- remove ---- */

static int overlay_remove(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct overlay *o = overlay_from(drv);
    int r = ol_refs_lock(o->mounted.refs, id, err);

    if (r < 0)
        return r;
    r = ol_mounted_drop(drv, id, err);
    if (r == 0)
        r = ol_layer_remove(drv->home_fd, drv->config.home, id, err);
    ol_refs_unlock(o->mounted.refs, id);
    return r;
}

/* ---- stacks ---- */

static int push_dir(struct ol_driver_stack *stack, int dir_fd, const char *name,
                    struct ol_error *err)
{
    int fd = ol_layer_subdir(dir_fd, name, err);

    return fd < 0 ? fd : ol_driver_stack_push(stack, fd, err);
}

static int push_upper_and_lower(struct ol_driver *drv, int layer_fd, struct ol_driver_stack *stack,
                                struct ol_error *err)
{
    ol_auto_free char *lower_id = NULL;
    ol_auto_fd int lower_fd = -1;
    int r = overlay_read_lower_id(layer_fd, &lower_id, err);

    if (r < 0)
        return r;
    lower_fd = ol_layer_open(drv->home_fd, lower_id, err);
    if (lower_fd < 0)
        return lower_fd;
    r = push_dir(stack, layer_fd, "upper", err);
    return r < 0 ? r : push_dir(stack, lower_fd, "root", err);
}

/* An image layer is one plain tree; the others are their upper over another layer's root. */
static int overlay_stack(struct ol_driver *drv, const char *id, struct ol_driver_stack *ret,
                         struct ol_error *err)
{
    struct ol_driver_stack stack = {.stack = {.ns = ol_driver_ns(drv)}};
    ol_auto_fd int layer_fd = ol_layer_open(drv->home_fd, id, err);
    int r;

    if (layer_fd < 0)
        return layer_fd;
    if (ol_fs_exists(layer_fd, "root"))
        r = push_dir(&stack, layer_fd, "root", err);
    else
        r = push_upper_and_lower(drv, layer_fd, &stack, err);
    if (r < 0) {
        ol_driver_stack_fini(drv, &stack);
        return r;
    }
    stack.stack.overlay = stack.count > 1;
    *ret = stack;
    return 0;
}

static int overlay_touch(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct overlay *o = overlay_from(drv);

    if (o->diff_upper) /* mounts nothing in any view */
        return 0;
    return ol_mounted_touch(drv, id, err);
}

/* ---- answers ---- */

static int overlay_metadata(struct ol_driver *drv, const char *id, struct ol_pairs *ret,
                            struct ol_error *err)
{
    ol_auto_free char *lower_id = NULL;
    ol_auto_fd int layer_fd = ol_layer_open(drv->home_fd, id, err);
    int r;

    if (layer_fd < 0)
        return layer_fd;
    if (ol_fs_exists(layer_fd, "root"))
        return ol_mounted_add_path(drv, id, "RootDir", "root", ret, err);
    r = overlay_read_lower_id(layer_fd, &lower_id, err);
    if (r == 0)
        r = ol_mounted_add_path(drv, lower_id, "LowerDir", "root", ret, err);
    if (r == 0)
        r = ol_mounted_add_path(drv, id, "UpperDir", "upper", ret, err);
    if (r == 0)
        r = ol_mounted_add_path(drv, id, "WorkDir", "work", ret, err);
    if (r == 0)
        r = ol_mounted_add_path(drv, id, "MergedDir", "merged", ret, err);
    return r;
}

const struct ol_driver_ops ol_overlay_ops = {
    .name = "overlay",
    .summary = "legacy overlay: one lower directory, every image layer a hard-linked full tree",
    .caps = OL_CAP_NEEDS_MOUNT | OL_CAP_KEEPS_DATA,
    .options = overlay_options,
    .open = overlay_open,
    .close = overlay_close,
    .create = overlay_create,
    .remove = overlay_remove,
    .get = ol_mounted_get,
    .put = ol_mounted_put,
    .stack = overlay_stack,
    .touch = overlay_touch,
    .apply_diff = overlay_apply_diff,
    .open_own = overlay_open_own,
    .rootfs = ol_mounted_rootfs,
    .status = ol_mounted_status,
    .metadata = overlay_metadata,
    .cleanup = ol_mounted_cleanup,
    .keep = ol_mounted_keep,
};
