/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a home of overlay or overlay2: what an earlier process left is removed, and a new home is
 * tried with a real mount, as moby's Init does. A home that holds layers was tried when it was
 * made; a mount that fails there later says so itself, and every command would otherwise pay for a
 * mount and an unmount (which syncs the whole backing file system).
 */
#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"
#include "common/trace.h"
#include "drivers/layers.h"
#include "drivers/mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* ---- what was left ---- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_listed(const struct ol_dirents *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return true;
    return false;
}

/*
 * Inside one layer: temporary directories of an apply, a mount point nobody mounts, and next to a
 * finished root (legacy overlay) what its apply had not removed yet.
 */
static int clean_entry(struct ol_driver *drv, const char *id, int layer_fd, const char *name,
                       bool has_root, struct ol_error *err)
{
    bool replaced = strcmp(name, "upper") == 0 || strcmp(name, "work") == 0 ||
                    strcmp(name, "lower-id") == 0;

    if (starts_with(name, "tmproot") || starts_with(name, "tmpdiff") || (has_root && replaced)) {
        ol_trace(OL_TRACE_DRIVER, "removing '%s/%s', left by an earlier process", id, name);
        return ol_tree_remove(layer_fd, name, err);
    }
    if (strcmp(name, "merged") == 0 && !ol_mounted_is(drv, id))
        (void)unlinkat(layer_fd, name, AT_REMOVEDIR); /* not empty: somebody's, left alone */
    return 0;
}

struct clean_walk {
    struct ol_driver *drv;
    struct ol_error *err;
};

/* Killed while it was written to through its mount: half-made. Its short link goes as a dangling
 * one. */
static int remove_half_applied(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    ol_auto_free char *merged = NULL;
    int r = ol_driver_layer_path(drv, id, "merged", &merged, err);

    ol_trace(OL_TRACE_DRIVER, "removing layer '%s', half-applied by an earlier process", id);
    if (r == 0)
        r = ol_mount_detach(merged, err);
    return r < 0 ? r : ol_layer_remove(drv->home_fd, drv->config.home, id, err);
}

static int clean_layer(const char *id, void *data)
{
    const struct clean_walk *walk = data;
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_layer_open(walk->drv->home_fd, id, walk->err);
    int r = fd;
    bool has_root;

    if (fd >= 0)
        r = ol_dirents_read(&list, fd, false);
    if (r < 0)
        return ol_error_sys(walk->err, -r, "cannot read layer '%s'", id);
    if (is_listed(&list, OL_LAYER_APPLYING))
        return remove_half_applied(walk->drv, id, walk->err);
    has_root = is_listed(&list, "root");
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = clean_entry(walk->drv, id, fd, list.items[i].name, has_root, walk->err);
    return r;
}

static int clean_home(struct ol_driver *drv, struct ol_error *err)
{
    struct clean_walk walk = {.drv = drv, .err = err};
    int r;

    if (drv->others)
        return 0;
    r = ol_layers_clean(drv->home_fd, drv->config.home, err);
    return r < 0 ? r : ol_layers_list(drv->home_fd, clean_layer, &walk, err);
}

/* ---- trying ---- */

static int make_test_dirs(int test_fd, struct ol_error *err)
{
    static const char *const names[] = {"lower1", "lower2", "upper", "work", "merged"};
    int r = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(names) && r == 0; i++)
        r = ol_fs_mkdir(test_fd, names[i], 0755, err);
    return r;
}

static int test_mount(const struct ol_driver *drv, const char *base, unsigned lowers,
                      struct ol_error *err)
{
    static const char *const names[] = {"lower2", "lower1"};
    const struct ol_overlay_spec spec = {
        .base = base,
        .lowers = names,
        .n_lowers = lowers,
        .upper = "upper",
        .work = "work",
        .target = "merged",
        .userxattr = drv->config.view == OL_VIEW_USERNS,
    };
    ol_auto_free char *merged = NULL;
    int r = asprintf(&merged, "%s/merged", base) < 0 ? ol_error_nomem(err)
                                                     : ol_overlay_mount(&spec, err);

    return r < 0 ? r : ol_mount_detach(merged, err);
}

static int try_overlay(const struct ol_driver *drv, unsigned lowers, struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    ol_auto_free char *base = NULL;
    ol_auto_fd int test_fd = -1;
    int r = ol_fs_mkdir_temp(drv->home_fd, OL_LAYER_TEST, &name, err);

    if (r < 0)
        return r;
    test_fd = ol_layer_subdir(drv->home_fd, name, err);
    r = test_fd < 0 ? test_fd : make_test_dirs(test_fd, err);
    if (r == 0)
        r = ol_driver_layer_path(drv, name, NULL, &base, err);
    if (r == 0) {
        r = test_mount(drv, base, lowers, err);
        if (r < 0 && r != -ENOMEM) /* the marker of "not here": automatic selection goes on */
            r = ol_error_wrap(err, -ENOTSUP, "%s is not supported in '%s'", drv->ops->name,
                              drv->config.home);
    }
    if (r == 0)
        return ol_tree_remove(drv->home_fd, name, err);
    (void)ol_tree_remove(drv->home_fd, name, NULL); /* report the first error, not this one */
    return r;
}

/* ---- d_type ---- */

static int read_types(const struct ol_driver *drv, struct ol_dirents *list, bool *ret,
                      struct ol_error *err)
{
    ol_auto_fd int fd = ol_fs_open_dir(drv->home_fd, ".");
    int r = fd < 0 ? fd : ol_dirents_read(list, fd, false);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read '%s'", drv->config.home);
    *ret = true;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].type == DT_UNKNOWN)
            *ret = false;
    return 0;
}

int ol_mounted_has_dtype(const struct ol_driver *drv, bool *ret, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_free char *name = NULL;
    int r = read_types(drv, &list, ret, err);

    if (r < 0 || list.count > 0)
        return r;
    r = ol_fs_mkdir_temp(drv->home_fd, OL_LAYER_TEST, &name, err);
    if (r < 0)
        return r;
    r = read_types(drv, &list, ret, err);
    (void)unlinkat(drv->home_fd, name, AT_REMOVEDIR); /* made just now; cleaned at open otherwise */
    return r;
}

int ol_mounted_add_path(const struct ol_driver *drv, const char *id, const char *key,
                        const char *name, struct ol_pairs *ret, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    int r = ol_driver_layer_path(drv, id, name, &path, err);

    if (r == 0 && ol_pairs_add(ret, key, path) < 0)
        r = ol_error_nomem(err);
    return r;
}

int ol_mounted_status(struct ol_driver *drv, struct ol_pairs *ret, struct ol_error *err)
{
    struct statfs fs;
    bool dtype = false;
    int r;

    if (fstatfs(drv->home_fd, &fs) < 0)
        return ol_error_sys(err, errno, "cannot stat the file system of '%s'", drv->config.home);
    r = ol_mounted_has_dtype(drv, &dtype, err);
    if (r < 0)
        return r;
    if (ol_pairs_add(ret, "Backing Filesystem", ol_fs_magic_name(fs.f_type)) < 0 ||
        ol_pairs_add(ret, "Supports d_type", dtype ? "true" : "false") < 0)
        return ol_error_nomem(err);
    return 0;
}

static int try_dtype(const struct ol_driver *drv, struct ol_error *err)
{
    bool dtype = false;
    int r = ol_mounted_has_dtype(drv, &dtype, err);

    if (r == 0 && !dtype)
        r = ol_error_set(err, -ENOTSUP,
                         "%s: the file system of '%s' has no file types in its directories, which "
                         "overlay needs (format xfs with ftype=1, ext4 with -O filetype)",
                         drv->ops->name, drv->config.home);
    return r;
}

/* ---- init ---- */

static int stop_at_first(const char *id, void *data)
{
    (void)id;
    (void)data;
    return 1;
}

int ol_mounted_init(struct ol_mounted *mounted, struct ol_error *err)
{
    struct ol_driver *drv = &mounted->base;
    int has_layers;
    int r = clean_home(drv, err);

    if (r < 0)
        return r;
    has_layers = ol_layers_list(drv->home_fd, stop_at_first, NULL, err);
    r = has_layers < 0 ? has_layers : 0;
    if (has_layers == 0) {
        r = try_dtype(drv, err);
        if (r == 0 && drv->config.view != OL_VIEW_DIRECT)
            r = try_overlay(drv, mounted->test_lowers, err);
    }
    return r < 0 ? r : ol_refs_new(&mounted->refs, err);
}

int ol_mounted_cleanup(struct ol_driver *drv, struct ol_error *err)
{
    struct ol_mounted *mounted = (struct ol_mounted *)drv;
    int r = ol_mount_detach_below(drv->config.home, err);

    if (r < 0)
        return r;
    ol_refs_reset(mounted->refs);
    return clean_home(drv, err); /* the mount points, now empty */
}
