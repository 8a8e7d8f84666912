/* SPDX-License-Identifier: Apache-2.0 */
/* Mounted layers: plans, counting, unmounting; see mounted.h. */
#include "drivers/mounted.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/file.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"
#include "drivers/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* ---- plans ---- */

int ol_mount_plan_lower(struct ol_mount_plan *plan, const char *name, struct ol_error *err)
{
    const char **lowers = reallocarray(plan->lowers, plan->n_lowers + 1, sizeof(*lowers));

    if (lowers == NULL)
        return ol_error_nomem(err);
    lowers[plan->n_lowers++] = name;
    plan->lowers = lowers;
    return 0;
}

void ol_mount_plan_fini(struct ol_mount_plan *plan)
{
    ol_buf_fini(&plan->text);
    free(plan->lowers);
    free(plan->upper);
    free(plan->work);
}

static struct ol_mounted *from(struct ol_driver *drv)
{
    return (struct ol_mounted *)drv; /* base is its first member; only such drivers come here */
}

int ol_mounted_unsupported(const char *id, struct ol_error *err)
{
    return ol_error_set(err, -EOPNOTSUPP,
                        "layer '%s' needs an overlay mount, which the direct view does not make "
                        "(run as root, or with user namespaces)",
                        id);
}

/* ---- questions ---- */

/*
 * moby asks statfs alone; where the home itself lies on an overlay, an empty 'merged' then looks
 * mounted. So it must be a mount point too.
 */
static bool merged_is_mounted(const char *path)
{
    return ol_mount_is_overlay(path) && ol_mount_is_point(path);
}

bool ol_mounted_is(const struct ol_driver *drv, const char *id)
{
    ol_auto_free char *merged = NULL;

    return ol_driver_layer_path(drv, id, "merged", &merged, NULL) == 0 && merged_is_mounted(merged);
}

/* ---- get ---- */

static int mount_planned(struct ol_driver *drv, const char *id, const struct ol_mount_plan *plan,
                         struct ol_error *err)
{
    ol_auto_free char *target = NULL;
    struct ol_overlay_spec spec = {
        .base = drv->config.home,
        .lowers = plan->lowers,
        .n_lowers = plan->n_lowers,
        .upper = plan->read_only ? NULL : plan->upper,
        .work = plan->read_only ? NULL : plan->work,
        .index_off = plan->index_off,
        .userxattr = drv->config.view == OL_VIEW_USERNS,
    };

    if (asprintf(&target, "%s/merged", id) < 0)
        return ol_error_nomem(err);
    spec.target = target;
    /* moby chowns work/work to the remapped root after this; here both are the mounting user */
    return ol_overlay_mount(&spec, err);
}

/* First user: make merged and mount on it. On failure neither is there. */
static int mount_merged(struct ol_driver *drv, const char *id, int layer_fd,
                        const struct ol_mount_plan *plan, struct ol_error *err)
{
    int r = ol_fs_exists(layer_fd, "merged") ? 0 : ol_fs_mkdir(layer_fd, "merged", 0700, err);

    if (r < 0)
        return r;
    r = mount_planned(drv, id, plan, err);
    if (r < 0)
        (void)unlinkat(layer_fd, "merged", AT_REMOVEDIR); /* report the first error, not this one */
    return r;
}

/* Under the lock. */
static int get_locked(struct ol_mounted *mounted, struct ol_driver *drv, const char *id,
                      char **ret_path, struct ol_error *err)
{
    __attribute__((cleanup(ol_mount_plan_fini))) struct ol_mount_plan plan = {.plain = NULL};
    ol_auto_free char *merged = NULL;
    ol_auto_fd int layer_fd = ol_layer_open(drv->home_fd, id, err);
    int r = layer_fd < 0 ? layer_fd : mounted->plan(drv, id, layer_fd, &plan, err);

    if (r < 0)
        return r;
    if (plan.plain != NULL)
        return ol_driver_layer_path(drv, id, plan.plain, ret_path, err);
    if (drv->config.view == OL_VIEW_DIRECT)
        return ol_mounted_unsupported(id, err);
    r = ol_driver_layer_path(drv, id, "merged", &merged, err);
    if (r < 0)
        return r;
    if (ol_refs_increment(mounted->refs, id, merged_is_mounted, merged) == 1) {
        r = mount_merged(drv, id, layer_fd, &plan, err);
        if (r < 0) {
            (void)ol_refs_decrement(mounted->refs, id, merged_is_mounted, merged);
            return r;
        }
        ol_refs_set_ours(mounted->refs, id, true);
    }
    *ret_path = ol_ptr_steal(merged);
    return 0;
}

int ol_mounted_get(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err)
{
    struct ol_mounted *mounted = from(drv);
    int r = ol_refs_lock(mounted->refs, id, err);

    if (r < 0)
        return r;
    r = get_locked(mounted, drv, id, ret_path, err);
    ol_refs_unlock(mounted->refs, id);
    return r;
}

/* ---- put ---- */

static int unmount_merged(struct ol_driver *drv, const char *id, const char *merged,
                          struct ol_error *err)
{
    ol_auto_fd int layer_fd = -1;
    int r = ol_mount_detach(merged, err);

    if (r < 0)
        return r;
    layer_fd = ol_fs_open_dir(drv->home_fd, id);
    if (layer_fd < 0)
        return layer_fd == -ENOENT ? 0 : ol_error_sys(err, -layer_fd, "cannot open '%s'", id);
    /* Removing the mount point makes the kernel drop copies of the mount in other namespaces. */
    return ol_layer_rmdir(layer_fd, "merged", err);
}

static int put_locked(struct ol_mounted *mounted, struct ol_driver *drv, const char *id,
                      struct ol_error *err)
{
    __attribute__((cleanup(ol_mount_plan_fini))) struct ol_mount_plan plan = {.plain = NULL};
    ol_auto_free char *merged = NULL;
    ol_auto_fd int layer_fd = ol_fs_open_dir(drv->home_fd, id);
    int r;

    if (layer_fd == -ENOENT)
        return 0;
    if (layer_fd < 0)
        return ol_error_sys(err, -layer_fd, "cannot open layer '%s'", id);
    if (ol_refs_count(mounted->refs, id) == 0) { /* maybe never mounted, maybe by others */
        r = mounted->plan(drv, id, layer_fd, &plan, err);
        if (r < 0 || plan.plain != NULL || !ol_fs_exists(layer_fd, "merged"))
            return r;
    }
    r = ol_driver_layer_path(drv, id, "merged", &merged, err);
    if (r < 0)
        return r;
    if (ol_refs_decrement(mounted->refs, id, merged_is_mounted, merged) > 0)
        return 0;
    r = unmount_merged(drv, id, merged, err);
    if (r == 0)
        ol_refs_set_ours(mounted->refs, id, false);
    return r;
}

int ol_mounted_put(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct ol_mounted *mounted = from(drv);
    int r = ol_refs_lock(mounted->refs, id, err);

    if (r < 0)
        return r;
    r = put_locked(mounted, drv, id, err);
    ol_refs_unlock(mounted->refs, id);
    return r;
}

int ol_mounted_drop(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct ol_mounted *mounted = from(drv);
    ol_auto_free char *merged = NULL;
    int r = ol_driver_layer_path(drv, id, "merged", &merged, err);

    if (r == 0 && access(merged, F_OK) == 0)
        r = unmount_merged(drv, id, merged, err);
    if (r == 0)
        ol_refs_forget(mounted->refs, id);
    return r;
}

int ol_mounted_keep(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct ol_mounted *mounted = from(drv);
    int r = ol_refs_lock(mounted->refs, id, err);

    if (r < 0)
        return r;
    ol_refs_set_ours(mounted->refs, id, false);
    ol_refs_unlock(mounted->refs, id);
    return 0;
}

/* ---- closing ---- */

static void unmount_ours(const char *id, void *data)
{
    struct ol_driver *drv = data;
    ol_auto_free char *merged = NULL;

    /* close cannot report; what stays mounted is one user more at the next open */
    if (ol_driver_layer_path(drv, id, "merged", &merged, NULL) == 0)
        (void)unmount_merged(drv, id, merged, NULL);
}

void ol_mounted_fini(struct ol_mounted *mounted)
{
    if (mounted->refs == NULL)
        return;
    ol_refs_each_ours(mounted->refs, unmount_ours, &mounted->base);
    ol_refs_free(mounted->refs);
    mounted->refs = NULL;
}

/* ---- the direct view ---- */

/* Nothing is ever mounted here; the counts are those of open roots. */
static bool never_mounted(const char *path)
{
    (void)path;
    return false;
}

struct open_root {
    struct ol_mounted *mounted;
    char id[];
};

static int uncount_root(void *data, struct ol_error *err)
{
    struct open_root *root = data;
    int r = ol_refs_lock(root->mounted->refs, root->id, err);

    if (r == 0) {
        (void)ol_refs_decrement(root->mounted->refs, root->id, never_mounted, NULL);
        ol_refs_unlock(root->mounted->refs, root->id);
    }
    free(root);
    return r;
}

static int open_stack(struct ol_driver *drv, const char *id, int work_fd, struct ol_rootfs **ret,
                      struct ol_error *err)
{
    struct ol_driver_stack stack;
    int r = drv->ops->stack(drv, id, &stack, err);

    if (r < 0)
        return r;
    r = ol_rootfs_open_overlay(&stack.stack, work_fd, ret, err);
    ol_driver_stack_fini(drv, &stack);
    return r;
}

/* Under the id's lock: counted, so that nobody resets work/work while the root is open. */
static int open_writable(struct ol_mounted *mounted, struct ol_driver *drv, const char *id,
                         int layer_fd, struct ol_rootfs **ret, struct ol_error *err)
{
    size_t size = strlen(id) + 1;
    ol_auto_free struct open_root *root = malloc(sizeof(*root) + size);
    ol_auto_fd int work_fd = ol_layer_subdir(layer_fd, "work", err);
    int r;

    if (work_fd < 0)
        return work_fd;
    if (root == NULL)
        return ol_error_nomem(err);
    if (ol_refs_count(mounted->refs, id) > 0)
        return ol_error_set(err, -EBUSY,
                            "its root is open already, which the direct view does "
                            "once at a time");
    r = open_stack(drv, id, work_fd, ret, err);
    if (r < 0)
        return r;
    (void)ol_refs_increment(mounted->refs, id, never_mounted, NULL);
    root->mounted = mounted;
    memcpy(root->id, id, size);
    ol_rootfs_on_close(*ret, uncount_root, ol_ptr_steal(root));
    return 0;
}

static int rootfs_direct(struct ol_mounted *mounted, struct ol_driver *drv, const char *id,
                         int layer_fd, bool read_only, struct ol_rootfs **ret, struct ol_error *err)
{
    int r;

    if (read_only)
        return open_stack(drv, id, -1, ret, err);
    r = ol_refs_lock(mounted->refs, id, err);
    if (r < 0)
        return r;
    r = open_writable(mounted, drv, id, layer_fd, ret, err);
    ol_refs_unlock(mounted->refs, id);
    return r;
}

int ol_mounted_rootfs(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                      struct ol_error *err)
{
    struct ol_mounted *mounted = from(drv);
    __attribute__((cleanup(ol_mount_plan_fini))) struct ol_mount_plan plan = {.plain = NULL};
    ol_auto_fd int layer_fd = -1;
    int r;

    if (drv->config.view != OL_VIEW_DIRECT)
        return ol_driver_rootfs_got(drv, id, ret, err);
    layer_fd = ol_layer_open(drv->home_fd, id, err);
    r = layer_fd < 0 ? layer_fd : mounted->plan(drv, id, layer_fd, &plan, err);
    if (r < 0)
        return r;
    if (plan.plain != NULL)
        return ol_driver_rootfs_got(drv, id, ret, err);
    return rootfs_direct(mounted, drv, id, layer_fd, plan.read_only, ret, err);
}

int ol_mounted_touch(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct ol_mounted *mounted = from(drv);
    __attribute__((cleanup(ol_mount_plan_fini))) struct ol_mount_plan plan = {.plain = NULL};
    ol_auto_fd int layer_fd = -1;
    ol_auto_fd int work_fd = -1;
    int r;

    if (drv->config.view != OL_VIEW_DIRECT)
        return 0;
    layer_fd = ol_layer_open(drv->home_fd, id, err);
    r = layer_fd < 0 ? layer_fd : mounted->plan(drv, id, layer_fd, &plan, err);
    if (r < 0 || plan.plain != NULL || plan.read_only)
        return r < 0 ? r : 0;
    work_fd = ol_layer_subdir(layer_fd, "work", err);
    r = work_fd < 0 ? work_fd : ol_refs_lock(mounted->refs, id, err);
    if (r < 0)
        return r;
    /* one that is empty (as far as we may look) is what a reset leaves */
    if (ol_refs_count(mounted->refs, id) == 0 && !ol_layer_dir_is_empty(work_fd, "work"))
        r = ol_rootfs_workdir_reset(work_fd, err);
    ol_refs_unlock(mounted->refs, id);
    return r;
}
