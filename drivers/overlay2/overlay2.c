/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay2 (moby daemon/graphdriver/overlay2/overlay.go at v20.10.24): every ancestor is a lower
 * directory of its own, so a layer holds only its own changes.
 *
 *   <home>/l/<26 characters>     -> ../<id>/diff, so that 128 lowers fit into the mount options
 *   <home>/<id>/diff             the layer's own content: upper directory, or a lower of children
 *   <home>/<id>/link             its short name
 *   <home>/<id>/lower            "l/<name>:l/<name>…", nearest parent first; none in base layers
 *   <home>/<id>/work             none in base layers
 *   <home>/<id>/committed        empty: a child was made, mounts are read-only from now on
 *   <home>/<id>/merged           while mounted
 */
#include "drivers/overlay2/overlay2.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "common/mount/overlay.h"
#include "drivers/layers.h"

#include <errno.h>
#include <fcntl.h>

struct overlay2 *overlay2_from(struct ol_driver *drv)
{
    return (struct overlay2 *)drv; /* its first member; only our own table brings us here */
}

/* ---- open and close ---- */

static int overlay2_plan(struct ol_driver *drv, const char *id, int layer_fd,
                         struct ol_mount_plan *ret, struct ol_error *err);

static const struct ol_driver_choice overlay2_options[] = {
    {"diff", {"native", "naive"}},
    OL_DRIVER_CHOICE_NAMES,
    {NULL},
};

static int open_links(struct overlay2 *o, struct ol_error *err)
{
    int r = ol_layer_exists(o->mounted.base.home_fd, "l")
                ? 0
                : ol_fs_mkdir(o->mounted.base.home_fd, "l", 0700, err);

    if (r < 0)
        return r;
    o->links_fd = ol_layer_subdir(o->mounted.base.home_fd, "l", err);
    if (o->links_fd < 0 || o->mounted.base.others)
        return o->links_fd < 0 ? o->links_fd : 0;
    return overlay2_links_clean(o, err);
}

static void overlay2_close(struct ol_driver *drv)
{
    struct overlay2 *o = overlay2_from(drv);

    ol_mounted_fini(&o->mounted);
    ol_fd_close(&o->links_fd);
    (void)pthread_mutex_destroy(&o->once);
    free(o->native_why);
    free(o);
}

static int overlay2_open(const struct ol_driver *base, struct ol_driver **ret, struct ol_error *err)
{
    struct overlay2 *o = calloc(1, sizeof(*o));
    int r;

    if (o == NULL)
        return ol_error_nomem(err);
    o->links_fd = -1;
    o->has_index = ol_overlay_has_index();
    (void)pthread_mutex_init(&o->once, NULL); /* cannot fail with default attributes */
    o->mounted = (struct ol_mounted){.base = *base, .plan = overlay2_plan, .test_lowers = 2};
    o->force_naive = ol_driver_option(base, "diff") == 1;
    if (o->force_naive)
        o->mounted.base.caps &= ~(unsigned)OL_CAP_NATIVE_DIFF;
    r = ol_mounted_init(&o->mounted, err);
    if (r == 0)
        r = open_links(o, err);
    if (r < 0) {
        overlay2_close(&o->mounted.base);
        return r;
    }
    *ret = &o->mounted.base;
    return 0;
}

/* ---- reading a layer ---- */

/* Cuts the list of short links into names. */
static int plan_lowers(struct ol_mount_plan *plan, struct ol_error *err)
{
    int r = 0;

    for (char *name = plan->text.data; name != NULL && r == 0;) {
        char *end = strchr(name, ':');
        if (end != NULL)
            *end++ = '\0';
        r = ol_mount_plan_lower(plan, name, err);
        name = end;
    }
    return r;
}

static int overlay2_plan(struct ol_driver *drv, const char *id, int layer_fd,
                         struct ol_mount_plan *ret, struct ol_error *err)
{
    int r = overlay2_lower_read(layer_fd, &ret->text, err);

    if (r < 0)
        return r;
    if (ret->text.len == 0) {
        ret->plain = "diff";
        return 0;
    }
    ret->index_off = overlay2_from(drv)->has_index;
    ret->read_only = ol_fs_exists(layer_fd, "committed");
    if (asprintf(&ret->upper, "%s/diff", id) < 0 || asprintf(&ret->work, "%s/work", id) < 0)
        return ol_error_nomem(err);
    if (ret->read_only) { /* its own content is the topmost lower directory then */
        r = ol_mount_plan_lower(ret, ret->upper, err);
        if (r < 0)
            return r;
    }
    return plan_lowers(ret, err);
}

/* ---- create ---- */

/* "l/<parent's link>:<parent's lower>" into the layer's file. */
static int write_lower(int layer_fd, int parent_fd, const struct ol_layer_spec *spec,
                       struct ol_error *err)
{
    char link[OVERLAY2_LINK_LEN + 1];
    ol_auto_buf struct ol_buf below = OL_BUF_INIT;
    ol_auto_buf struct ol_buf lower = OL_BUF_INIT;
    int r = overlay2_link_read(parent_fd, link, err);
    size_t count;

    if (r == 0)
        r = overlay2_lower_read(parent_fd, &below, err);
    if (r < 0)
        return ol_error_wrap(err, r, "parent layer '%s'", spec->parent);
    count = 1 + overlay2_lower_count(ol_buf_str(&below));
    if (count > OL_MAX_LOWER_DIRS)
        return ol_error_set(err, -E2BIG,
                            "max depth exceeded: layer '%s' on '%s' would have %zu lower "
                            "directories, %d are allowed",
                            spec->id, spec->parent, count, OL_MAX_LOWER_DIRS);
    if (ol_buf_printf(&lower, "l/%s%s%s", link, below.len > 0 ? ":" : "", ol_buf_str(&below)) < 0)
        return ol_error_nomem(err);
    return ol_fs_write_file(layer_fd, "lower", lower.data, lower.len, 0644, err);
}

static int fill(int layer_fd, const struct ol_layer_spec *spec, int parent_fd, const char *link,
                struct ol_error *err)
{
    int r = ol_fs_mkdir(layer_fd, "diff", 0755, err);

    if (r == 0)
        r = ol_fs_write_file(layer_fd, "link", link, OVERLAY2_LINK_LEN, 0644, err);
    if (r < 0 || spec->parent == NULL)
        return r;
    r = ol_fs_mkdir(layer_fd, "work", 0700, err);
    return r < 0 ? r : write_lower(layer_fd, parent_fd, spec, err);
}

/*
 * Put the layer in its place and mark the parent as one. The mark comes first, so that no instant
 * has a child over a parent that could still be mounted for writing; it is taken back when the
 * layer does not come. The parent's lock keeps another child of it out in between.
 */
static int publish(struct overlay2 *o, struct ol_layer_draft *draft, const char *parent,
                   int parent_fd, struct ol_error *err)
{
    bool marked = false;
    int r;

    if (parent == NULL)
        return ol_layer_publish(draft, err);
    r = ol_refs_lock(o->mounted.refs, parent, err);
    if (r < 0)
        return r;
    if (!ol_fs_exists(parent_fd, "committed")) {
        marked = true; /* a failed write may have made the file */
        r = ol_fs_write_file(parent_fd, "committed", "", 0, 0600, err);
    }
    if (r == 0)
        r = ol_layer_publish(draft, err);
    if (r < 0 && marked)
        (void)unlinkat(parent_fd, "committed", 0); /* report the first error, not this one */
    ol_refs_unlock(o->mounted.refs, parent);
    return r;
}

static int create_linked(struct overlay2 *o, const struct ol_layer_spec *spec, int parent_fd,
                         struct ol_layer_draft *draft, struct ol_error *err)
{
    char link[OVERLAY2_LINK_LEN + 1];
    int r = overlay2_link_make(o, spec->id, link, err);

    if (r < 0)
        return r;
    r = fill(draft->fd, spec, parent_fd, link, err);
    if (r == 0)
        r = publish(o, draft, spec->parent, parent_fd, err);
    if (r < 0)
        (void)unlinkat(o->links_fd, link, 0); /* report the first error, not this one */
    return r;
}

static int overlay2_create(struct ol_driver *drv, const struct ol_layer_spec *spec,
                           struct ol_error *err)
{
    struct overlay2 *o = overlay2_from(drv);
    ol_auto_fd int parent_fd = -1;
    struct ol_layer_draft draft;
    int r;

    if (spec->parent != NULL) {
        parent_fd = ol_layer_open(drv->home_fd, spec->parent, err);
        if (parent_fd < 0)
            return parent_fd;
    }
    r = ol_layer_begin(drv->home_fd, spec->id, 0710, &draft, err);
    if (r < 0)
        return r;
    r = create_linked(o, spec, parent_fd, &draft, err);
    if (r < 0)
        ol_layer_abandon(&draft);
    else
        ol_layer_draft_fini(&draft);
    return r;
}

/* ---- remove ---- */

/* The link of a layer that was renamed aside; one that cannot be read leads nowhere, and the next
 * open removes it. */
static int unlink_gone(struct overlay2 *o, const char *id, struct ol_error *err)
{
    char link[OVERLAY2_LINK_LEN + 1];
    ol_auto_free char *gone = NULL;
    ol_auto_fd int fd = -1;

    if (asprintf(&gone, OL_LAYER_GONE "%s", id) < 0)
        return ol_error_nomem(err);
    fd = ol_fs_open_dir(o->mounted.base.home_fd, gone);
    if (fd < 0 || overlay2_link_read(fd, link, NULL) < 0)
        return 0;
    return ol_fs_unlink(o->links_fd, link, err);
}

static int purge(struct overlay2 *o, const char *id, struct ol_error *err)
{
    int r = unlink_gone(o, id, err);

    return r < 0 ? r
                 : ol_layer_purge(o->mounted.base.home_fd, o->mounted.base.config.home, id, err);
}

static int overlay2_remove(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct overlay2 *o = overlay2_from(drv);
    int r = ol_refs_lock(o->mounted.refs, id, err);

    if (r < 0)
        return r;
    r = ol_mounted_drop(drv, id, err);
    if (r == 0)
        r = purge(o, id, err); /* what an earlier failure left */
    if (r == 0)
        r = ol_layer_hide(drv->home_fd, id, err);
    if (r == 0)
        r = purge(o, id, err);
    ol_refs_unlock(o->mounted.refs, id);
    return r;
}

/* ---- stacks ---- */

static int push_link(struct overlay2 *o, const char *entry, struct ol_driver_stack *stack,
                     struct ol_error *err)
{
    /* "l/<name>", checked when it was read, is a link of ours: followed on purpose */
    int fd = openat(o->mounted.base.home_fd, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot open lower directory '%s'", entry);
    return ol_driver_stack_push(stack, fd, err);
}

static int overlay2_stack(struct ol_driver *drv, const char *id, struct ol_driver_stack *ret,
                          struct ol_error *err)
{
    __attribute__((cleanup(ol_mount_plan_fini))) struct ol_mount_plan plan = {.plain = NULL};
    struct ol_driver_stack stack = {.stack = {.ns = ol_driver_ns(drv)}};
    ol_auto_fd int layer_fd = ol_layer_open(drv->home_fd, id, err);
    int fd;
    int r = layer_fd < 0 ? layer_fd : overlay2_plan(drv, id, layer_fd, &plan, err);

    if (r < 0)
        return r;
    fd = ol_layer_subdir(layer_fd, "diff", err);
    r = fd < 0 ? fd : ol_driver_stack_push(&stack, fd, err);
    for (size_t i = plan.read_only ? 1 : 0; i < plan.n_lowers && r == 0; i++)
        r = push_link(overlay2_from(drv), plan.lowers[i], &stack, err);
    if (r < 0) {
        ol_driver_stack_fini(drv, &stack);
        return r;
    }
    stack.stack.overlay = stack.count > 1;
    *ret = stack;
    return 0;
}

static int overlay2_open_own(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    ol_auto_fd int layer_fd = ol_layer_open(drv->home_fd, id, err);

    return layer_fd < 0 ? layer_fd : ol_layer_subdir(layer_fd, "diff", err);
}

/* ---- answers ---- */

/* The lower directories' real paths, joined by ":". */
static int add_lower_dirs(struct overlay2 *o, struct ol_mount_plan *plan, struct ol_pairs *ret,
                          struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    for (size_t i = plan->read_only ? 1 : 0; i < plan->n_lowers; i++) {
        ol_auto_free char *id = NULL;
        int r = overlay2_link_target(o, plan->lowers[i], &id, err);
        if (r < 0)
            return r;
        if (ol_buf_printf(&text, "%s%s/%s/diff", text.len > 0 ? ":" : "",
                          o->mounted.base.config.home, id) < 0)
            return ol_error_nomem(err);
    }
    if (text.len > 0 && ol_pairs_add(ret, "LowerDir", text.data) < 0)
        return ol_error_nomem(err);
    return 0;
}

static int overlay2_metadata(struct ol_driver *drv, const char *id, struct ol_pairs *ret,
                             struct ol_error *err)
{
    __attribute__((cleanup(ol_mount_plan_fini))) struct ol_mount_plan plan = {.plain = NULL};
    ol_auto_fd int layer_fd = ol_layer_open(drv->home_fd, id, err);
    int r = layer_fd < 0 ? layer_fd : overlay2_plan(drv, id, layer_fd, &plan, err);

    if (r == 0)
        r = add_lower_dirs(overlay2_from(drv), &plan, ret, err);
    if (r == 0)
        r = ol_mounted_add_path(drv, id, "MergedDir", "merged", ret, err);
    if (r == 0)
        r = ol_mounted_add_path(drv, id, "UpperDir", "diff", ret, err);
    if (r == 0)
        r = ol_mounted_add_path(drv, id, "WorkDir", "work", ret, err);
    return r;
}

static int overlay2_status(struct ol_driver *drv, struct ol_pairs *ret, struct ol_error *err)
{
    struct overlay2 *o = overlay2_from(drv);
    bool native = !o->force_naive && overlay2_native(o);
    int r = ol_mounted_status(drv, ret, err);

    if (r < 0)
        return r;
    if (ol_pairs_add(ret, "Native Overlay Diff", native ? "true" : "false") < 0 ||
        ol_pairs_add(ret, "userxattr", drv->config.view != OL_VIEW_KERNEL ? "true" : "false") < 0)
        return ol_error_nomem(err);
    return 0;
}

const struct ol_driver_ops ol_overlay2_ops = {
    .name = "overlay2",
    .summary = "overlay2: up to 128 lower directories, a layer holds only its own changes",
    .caps = OL_CAP_NATIVE_DIFF | OL_CAP_MULTI_LOWER | OL_CAP_NEEDS_MOUNT | OL_CAP_KEEPS_DATA,
    .options = overlay2_options,
    .open = overlay2_open,
    .close = overlay2_close,
    .create = overlay2_create,
    .remove = overlay2_remove,
    .get = ol_mounted_get,
    .put = ol_mounted_put,
    .stack = overlay2_stack,
    .touch = ol_mounted_touch,
    .diff = overlay2_diff,
    .apply_diff = overlay2_apply_diff,
    .open_own = overlay2_open_own,
    .diff_size = overlay2_diff_size,
    .rootfs = ol_mounted_rootfs,
    .status = overlay2_status,
    .metadata = overlay2_metadata,
    .cleanup = ol_mounted_cleanup,
    .keep = ol_mounted_keep,
};
