/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native diff of overlay2: a layer's diff directory is its difference to its direct parent, so Diff
 * tars it, ApplyDiff unpacks into it and DiffSize adds it up, all without a mount. Against any
 * other parent, or where the kernel check failed, the naive differ serves (moby overlay2.go).
 */
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/layer/export.h"
#include "drivers/layers.h"
#include "drivers/overlay2/overlay2.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* True when parent (NULL: none) is the layer directly below. */
static int is_direct_parent(struct overlay2 *o, int layer_fd, const char *parent, bool *ret,
                            struct ol_error *err)
{
    ol_auto_buf struct ol_buf lower = OL_BUF_INIT;
    ol_auto_free char *below = NULL;
    int r = overlay2_lower_read(layer_fd, &lower, err);

    if (r < 0)
        return r;
    if (lower.len == 0 || parent == NULL) {
        *ret = lower.len == 0 && parent == NULL;
        return 0;
    }
    ol_buf_truncate(&lower, strcspn(lower.data, ":"));
    r = overlay2_link_target(o, lower.data, &below, err);
    if (r == 0)
        *ret = strcmp(below, parent) == 0;
    return r;
}

/* Opens the layer and decides: *ret_fd is its diff directory for the native way, -1 for the naive.
 */
static int choose(struct overlay2 *o, const char *id, const char *parent, bool may_force_naive,
                  int *ret_layer_fd, bool *ret_native, struct ol_error *err)
{
    ol_auto_fd int layer_fd = ol_layer_open(o->mounted.base.home_fd, id, err);
    int r = layer_fd < 0 ? layer_fd : is_direct_parent(o, layer_fd, parent, ret_native, err);

    if (r < 0)
        return r;
    if (may_force_naive && o->force_naive)
        *ret_native = false;
    if (*ret_native)
        *ret_native = overlay2_native(o);
    *ret_layer_fd = ol_fd_steal(&layer_fd);
    return 0;
}

int overlay2_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                  struct ol_tar_result *ret, struct ol_error *err)
{
    const struct ol_export_options options = {.threads = drv->config.threads,
                                              .host_names = drv->host_names};
    ol_auto_fd int layer_fd = -1;
    ol_auto_fd int diff_fd = -1;
    bool native = false;
    int r = choose(overlay2_from(drv), id, parent, true, &layer_fd, &native, err);

    if (r < 0)
        return r;
    if (!native)
        return ol_naive_diff(drv, id, parent, out_fd, ret, err);
    diff_fd = ol_layer_subdir(layer_fd, "diff", err);
    if (diff_fd < 0)
        return diff_fd;
    return ol_export_upper(diff_fd, ol_driver_ns(drv), *out_fd, &options, ret, err);
}

int overlay2_diff_size(struct ol_driver *drv, const char *id, const char *parent, uint64_t *ret,
                       struct ol_error *err)
{
    ol_auto_fd int layer_fd = -1;
    ol_auto_fd int diff_fd = -1;
    bool native = false;
    int r = choose(overlay2_from(drv), id, parent, true, &layer_fd, &native, err);

    if (r < 0)
        return r;
    if (!native)
        return ol_naive_diff_size(drv, id, parent, ret, err);
    diff_fd = ol_layer_subdir(layer_fd, "diff", err);
    return diff_fd < 0 ? diff_fd : ol_layer_size(diff_fd, ret, err);
}

/* ---- apply ---- */

static int apply_upper(const struct ol_driver *drv, int diff_fd, const struct ol_input *tar,
                       struct ol_apply_result *ret, struct ol_error *err)
{
    const struct ol_layer_options options = ol_driver_layer_options(drv, OL_LAYER_UPPER);
    int r = ol_layer_apply(diff_fd, tar, &options, &ret->layer, err);

    return r < 0 ? r : ol_layer_size(diff_fd, &ret->size_bytes, err);
}

static int make_aside(int layer_fd, char **ret_name, int *ret_fd, struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    int r = ol_fs_mkdir_temp(layer_fd, "tmpdiff", &name, err);

    if (r < 0)
        return r;
    *ret_fd = ol_layer_subdir(layer_fd, name, err);
    r = *ret_fd;
    if (r >= 0 && fchmod(*ret_fd, 0755) < 0)
        r = ol_error_sys(err, errno, "cannot set the mode of '%s'", name);
    if (r < 0) {
        (void)unlinkat(layer_fd, name, AT_REMOVEDIR); /* made just now, empty */
        ol_fd_close(ret_fd);
        return r;
    }
    *ret_name = ol_ptr_steal(name);
    return 0;
}

/* Unpack aside and put it in the place of the empty diff: the layer is empty or whole. */
static int apply_empty(struct ol_driver *drv, int layer_fd, const struct ol_input *tar,
                       struct ol_apply_result *ret, struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    ol_auto_fd int fd = -1;
    int r = make_aside(layer_fd, &name, &fd, err);

    if (r < 0)
        return r;
    r = apply_upper(drv, fd, tar, ret, err);
    if (r == 0)
        r = ol_layer_rename_over(layer_fd, name, "diff", err);
    if (r < 0)
        (void)ol_tree_remove(layer_fd, name, NULL); /* report the first error, not this one */
    return r;
}

/* moby merges a second archive into the layer; so does a layer that is mounted, whose upper
 * directory must stay the one the kernel holds. */
static int apply_merge(struct ol_driver *drv, int layer_fd, const struct ol_input *tar,
                       struct ol_apply_result *ret, struct ol_error *err)
{
    ol_auto_fd int diff_fd = ol_layer_subdir(layer_fd, "diff", err);
    int r = diff_fd < 0 ? diff_fd : apply_upper(drv, diff_fd, tar, ret, err);

    if (r < 0 && diff_fd >= 0)
        return ol_error_wrap(err, r,
                             "the layer was in use or had content, and now holds part of "
                             "the archive");
    return r;
}

/* An empty diff directory in the place of the half-filled one. */
static int restore_empty(int layer_fd, struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    ol_auto_fd int fd = -1;
    int r = make_aside(layer_fd, &name, &fd, err);

    if (r < 0)
        return r;
    if (renameat2(layer_fd, name, layer_fd, "diff", RENAME_EXCHANGE) < 0)
        r = ol_error_sys(err, errno, "cannot replace 'diff'");
    (void)ol_tree_remove(layer_fd, name, NULL); /* else the next open removes it */
    return r;
}

/* The naive way writes through the mounted layer; see layers.h about the mark. */
static int apply_naive_empty(struct ol_driver *drv, const char *id, const char *parent,
                             int layer_fd, const struct ol_input *tar, struct ol_apply_result *ret,
                             struct ol_error *err)
{
    ol_auto_error struct ol_error undo_err = OL_ERROR_INIT;
    int r = ol_layer_mark(layer_fd, err);

    if (r < 0)
        return r;
    r = ol_naive_apply_diff(drv, id, parent, tar, ret, err);
    if (r == 0)
        r = ol_layer_unmark(layer_fd, err);
    if (r == 0)
        return 0;
    if (restore_empty(layer_fd, &undo_err) < 0)
        return ol_error_wrap(err, r,
                             "the layer now holds part of the archive, remove it: the next open "
                             "will (%s)",
                             ol_error_text(&undo_err));
    (void)ol_layer_unmark(layer_fd, NULL); /* stays: the next open removes the empty layer */
    return r;
}

static int apply_naive(struct ol_driver *drv, const char *id, const char *parent, int layer_fd,
                       const struct ol_input *tar, struct ol_apply_result *ret,
                       struct ol_error *err)
{
    int r;

    if (drv->config.view == OL_VIEW_DIRECT && ol_fs_exists(layer_fd, "lower"))
        return ol_mounted_unsupported(id, err);
    if (ol_layer_dir_is_empty(layer_fd, "diff") && !ol_mounted_is(drv, id))
        return apply_naive_empty(drv, id, parent, layer_fd, tar, ret, err);
    r = ol_naive_apply_diff(drv, id, parent, tar, ret, err);
    if (r < 0)
        return ol_error_wrap(err, r,
                             "the layer was in use or had content, and now holds part of "
                             "the archive");
    return 0;
}

int overlay2_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                        const struct ol_input *tar, struct ol_apply_result *ret,
                        struct ol_error *err)
{
    ol_auto_fd int layer_fd = -1;
    bool native = false;
    bool may_force_naive = drv->config.view != OL_VIEW_DIRECT; /* it could not mount */
    int r = choose(overlay2_from(drv), id, parent, may_force_naive, &layer_fd, &native, err);

    if (r < 0)
        return r;
    if (!native)
        return apply_naive(drv, id, parent, layer_fd, tar, ret, err);
    if (ol_layer_dir_is_empty(layer_fd, "diff") && !ol_mounted_is(drv, id))
        return apply_empty(drv, layer_fd, tar, ret, err);
    return apply_merge(drv, layer_fd, tar, ret, err);
}
