/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ApplyDiff of the legacy driver: the parent's whole tree is cloned with hard links into
 * tmproot<random>, the tar is applied there (whiteouts delete), and the result renamed to root. The
 * layer is a valid empty layer until that rename and a finished image layer after it; upper, work
 * and lower-id beside a root mean nothing and are removed, by the next open if not here.
 *
 * The clone shares every regular file's inode with the parent, so the applier must not write to one
 * (shared_inodes): moby does, and corrupts the parent (spec: CVE table 3, W1).
 *
 * Two more cases, where moby falls back to the naive ApplyDiff: a base layer, and a parent that is
 * no image layer.
 */
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/trace.h"
#include "drivers/layers.h"
#include "drivers/overlay/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* A tree being made beside the layer's own directories. */
struct tmp_root {
    int layer_fd; /* borrowed */
    char *name;   /* owned: "tmproot<random>" */
    int fd;       /* owned */
};

static int tmp_root_make(int layer_fd, mode_t mode, struct tmp_root *ret, struct ol_error *err)
{
    struct tmp_root tmp = {.layer_fd = layer_fd, .fd = -1};
    int r = ol_fs_mkdir_temp(layer_fd, "tmproot", &tmp.name, err);

    if (r < 0)
        return r;
    tmp.fd = ol_layer_subdir(layer_fd, tmp.name, err);
    r = tmp.fd;
    if (r >= 0 && mode != 0700 && fchmod(tmp.fd, mode) < 0)
        r = ol_error_sys(err, errno, "cannot set the mode of '%s'", tmp.name);
    if (r < 0) {
        (void)unlinkat(layer_fd, tmp.name, AT_REMOVEDIR); /* made just now, empty */
        ol_fd_close(&tmp.fd);
        free(tmp.name);
        return r;
    }
    *ret = tmp;
    return 0;
}

/* Releases; the directory itself goes too when the apply failed. */
static void tmp_root_fini(struct tmp_root *tmp, bool remove)
{
    ol_fd_close(&tmp->fd);
    if (remove)
        (void)ol_tree_remove(tmp->layer_fd, tmp->name, NULL); /* the first error is reported */
    free(tmp->name);
}

static int apply_tar(const struct ol_driver *drv, int root_fd, const struct ol_input *tar,
                     bool shared, struct ol_apply_result *ret, struct ol_error *err)
{
    struct ol_layer_options options = ol_driver_layer_options(drv, OL_LAYER_TREE);
    int r;

    options.shared_inodes = shared;
    r = ol_layer_apply(root_fd, tar, &options, &ret->layer, err);
    ret->size_bytes = r == 0 ? ret->layer.header_size_sum : 0;
    return r;
}

/* ---- on an image layer ---- */

static int clone_and_apply(struct ol_driver *drv, int parent_root_fd, struct tmp_root *tmp,
                           const struct ol_input *tar, struct ol_apply_result *ret,
                           struct ol_error *err)
{
    const struct ol_clone_options options = {
        .mode = OL_CLONE_LINK,
        .link_all = overlay_from(drv)->link_all,
        .ns = ol_driver_ns(drv),
        .keep_owner = drv->config.keep_owner,
        .threads = drv->config.threads,
    };
    int r = ol_tree_clone(parent_root_fd, tmp->fd, &options, NULL, err);

    if (r == 0)
        r = apply_tar(drv, tmp->fd, tar, true, ret, err);
    return r < 0 ? r : ol_fs_rename_new(tmp->layer_fd, tmp->name, tmp->layer_fd, "root", err);
}

/* What the root replaces. It is done once root is there: a failure costs inodes until the next
 * open, and is no failure of the apply. */
static void remove_replaced(const char *id, int layer_fd)
{
    static const char *const names[] = {"upper", "work", "merged", "lower-id"};

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        if (ol_tree_remove(layer_fd, names[i], &err) < 0)
            ol_trace(OL_TRACE_DRIVER, "'%s/%s' stays until the next open: %s", id, names[i],
                     ol_error_text(&err));
    }
}

static int apply_on_image(struct ol_driver *drv, const char *id, int layer_fd, int parent_root_fd,
                          const struct ol_input *tar, struct ol_apply_result *ret,
                          struct ol_error *err)
{
    struct tmp_root tmp;
    int r;

    if (ol_fs_exists(layer_fd, "root"))
        return ol_error_set(err, -EEXIST, "it holds its tree already");
    if (ol_mounted_is(drv, id))
        return ol_error_set(err, -EBUSY, "it is mounted: put it first");
    r = tmp_root_make(layer_fd, 0700, &tmp, err);
    if (r < 0)
        return r;
    r = clone_and_apply(drv, parent_root_fd, &tmp, tar, ret, err);
    tmp_root_fini(&tmp, r < 0);
    if (r == 0)
        remove_replaced(id, layer_fd);
    return r;
}

/* ---- on nothing ---- */

/* moby unpacks into root itself. Here a tree made aside replaces the empty root in one step. */
static int apply_base(struct ol_driver *drv, int layer_fd, const struct ol_input *tar,
                      struct ol_apply_result *ret, struct ol_error *err)
{
    struct tmp_root tmp;
    struct stat st;
    int r;

    if (fstatat(layer_fd, "root", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return ol_error_sys(err, errno, "cannot stat 'root'");
    r = tmp_root_make(layer_fd, st.st_mode & 07777, &tmp, err);
    if (r < 0)
        return r;
    r = apply_tar(drv, tmp.fd, tar, false, ret, err);
    if (r == 0)
        r = ol_layer_rename_over(layer_fd, tmp.name, "root", err);
    tmp_root_fini(&tmp, r < 0);
    return r;
}

/* A base layer that has content already: in place, as moby does. */
static int merge_base(struct ol_driver *drv, int layer_fd, const struct ol_input *tar,
                      struct ol_apply_result *ret, struct ol_error *err)
{
    ol_auto_fd int root_fd = ol_layer_subdir(layer_fd, "root", err);
    int r;

    if (root_fd < 0)
        return root_fd;
    /* children may have been cloned from it: never write to an inode they share */
    r = apply_tar(drv, root_fd, tar, true, ret, err);
    if (r < 0)
        return ol_error_wrap(err, r, "the layer had content and now holds part of the archive too");
    return r;
}

/* ---- on a layer that is no image ---- */

/* What create made, under the name aside: an empty upper, or a copy of the parent's. */
static int remake_upper(struct ol_driver *drv, int layer_fd, const char *parent, mode_t empty_mode,
                        const char *aside, struct ol_error *err)
{
    ol_auto_fd int parent_fd = -1;
    int r = ol_tree_remove(layer_fd, aside, err);

    if (r < 0)
        return r;
    if (empty_mode != 0)
        return ol_fs_mkdir(layer_fd, aside, empty_mode, err);
    if (parent == NULL)
        return ol_error_set(err, -EUCLEAN, "it had content of its own");
    parent_fd = ol_layer_open(drv->home_fd, parent, err);
    return parent_fd < 0 ? parent_fd : overlay_copy_upper(drv, parent_fd, layer_fd, aside, err);
}

static int restore_upper(struct ol_driver *drv, int layer_fd, const char *parent, mode_t empty_mode,
                         struct ol_error *err)
{
    static const char aside[] = "tmproot-upper";
    int r = remake_upper(drv, layer_fd, parent, empty_mode, aside, err);

    if (r == 0 && renameat2(layer_fd, aside, layer_fd, "upper", RENAME_EXCHANGE) < 0)
        r = ol_error_sys(err, errno, "cannot replace 'upper'");
    (void)ol_tree_remove(layer_fd, aside, NULL); /* else the next open removes it */
    return r;
}

/* The permission bits of upper while it is empty, 0 when it has content. */
static mode_t upper_empty_mode(int layer_fd)
{
    struct stat st;

    if (!ol_layer_dir_is_empty(layer_fd, "upper") ||
        fstatat(layer_fd, "upper", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    return st.st_mode & 0777;
}

/* Through the mounted layer, where the kernel makes the whiteouts. Marked meanwhile: see layers.h.
 */
static int apply_mounted(struct ol_driver *drv, const char *id, const char *parent, int layer_fd,
                         const struct ol_input *tar, struct ol_apply_result *ret,
                         struct ol_error *err)
{
    ol_auto_error struct ol_error undo_err = OL_ERROR_INIT;
    mode_t empty_mode = upper_empty_mode(layer_fd);
    int r;

    if (drv->config.view == OL_VIEW_DIRECT)
        return ol_mounted_unsupported(id, err);
    if (ol_mounted_is(drv, id))
        return ol_error_set(err, -EBUSY, "it is mounted: put it first");
    r = ol_layer_mark(layer_fd, err);
    if (r < 0)
        return r;
    r = ol_naive_apply_diff(drv, id, parent, tar, ret, err);
    if (r == 0)
        r = ol_layer_unmark(layer_fd, err);
    if (r == 0)
        return 0;
    if (restore_upper(drv, layer_fd, parent, empty_mode, &undo_err) < 0)
        return ol_error_wrap(err, r,
                             "the layer now holds part of the archive, remove it: the next open "
                             "will (%s)",
                             ol_error_text(&undo_err));
    (void)ol_layer_unmark(layer_fd, NULL); /* stays: the next open removes the empty layer */
    return r;
}

/* ---- the operations ---- */

/* An image's tree, with the parent's files; what a layer without one was given lies in upper. */
int overlay_open_own(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    ol_auto_fd int layer_fd = ol_layer_open(drv->home_fd, id, err);

    if (layer_fd < 0)
        return layer_fd;
    return ol_layer_subdir(layer_fd, ol_fs_exists(layer_fd, "root") ? "root" : "upper", err);
}

int overlay_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                       const struct ol_input *tar, struct ol_apply_result *ret,
                       struct ol_error *err)
{
    ol_auto_fd int layer_fd = ol_layer_open(drv->home_fd, id, err);
    ol_auto_fd int parent_fd = -1;
    ol_auto_fd int parent_root_fd = -1;

    if (layer_fd < 0)
        return layer_fd;
    if (parent != NULL) {
        parent_fd = ol_layer_open(drv->home_fd, parent, err);
        if (parent_fd < 0)
            return parent_fd;
        parent_root_fd = ol_fs_open_dir(parent_fd, "root");
        if (parent_root_fd >= 0)
            return apply_on_image(drv, id, layer_fd, parent_root_fd, tar, ret, err);
    }
    if (!ol_fs_exists(layer_fd, "root"))
        return apply_mounted(drv, id, parent, layer_fd, tar, ret, err);
    if (ol_layer_dir_is_empty(layer_fd, "root"))
        return apply_base(drv, layer_fd, tar, ret, err);
    return merge_base(drv, layer_fd, tar, ret, err);
}
