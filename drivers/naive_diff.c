/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default differ, moby's NaiveDiffDriver (daemon/graphdriver/fsdiff.go): mount both layers,
 * compare the two trees, export what differs. Where the driver compares stacks (the direct view,
 * overlay:diff=upper) the same is done on the layers' own directories and nothing is mounted.
 *
 * moby sleeps to the next full second after such a diff, because layers applied from tars have
 * whole-second times and a later change within the same second would not be seen. Here the time is
 * only added up; docs/divergences.md says what that means.
 */
#include "common/cleanup.h"
#include "common/layer/export.h"
#include "common/layer/tarsplit.h"
#include "drivers/driver_ops.h"

#include <errno.h>
#include <time.h>

/* Two layers open for comparison; parent NULL gives an empty old side. */
struct sides {
    struct ol_driver_stack new_side, old_side;
};

static void sides_close(struct ol_driver *drv, struct sides *sides)
{
    ol_driver_stack_fini(drv, &sides->old_side);
    ol_driver_stack_fini(drv, &sides->new_side);
}

static int sides_open(struct ol_driver *drv, const char *id, const char *parent, struct sides *ret,
                      struct ol_error *err)
{
    struct sides sides = {.new_side = {.fds = NULL}, .old_side = {.fds = NULL}};
    int r = ol_driver_stack_open(drv, id, &sides.new_side, err);

    if (r < 0)
        return r;
    sides.old_side.stack.ns = sides.new_side.stack.ns;
    if (parent != NULL) {
        r = ol_driver_stack_open(drv, parent, &sides.old_side, err);
        if (r < 0) {
            ol_driver_stack_fini(drv, &sides.new_side);
            return r;
        }
    }
    *ret = sides;
    return 0;
}

static int64_t realtime_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The sleep moby's stream makes when it is closed: to the full second after the start. */
static void count_sleep(struct ol_driver *drv, int64_t start_ns)
{
    int64_t wake_ns = start_ns - start_ns % 1000000000 + 1000000000;
    int64_t rest_ns = wake_ns - realtime_ns();

    if (rest_ns > 0)
        (void)atomic_fetch_add(&drv->avoided_sleep_ns, (uint64_t)rest_ns);
}

/* '/' before every other byte: the order in which a directory walk meets the paths. */
static int walk_order(const void *a, const void *b)
{
    const unsigned char *p = (const unsigned char *)((const struct ol_change *)a)->path;
    const unsigned char *q = (const unsigned char *)((const struct ol_change *)b)->path;

    while (*p == *q && *p != '\0') {
        p++;
        q++;
    }
    if (*p == *q)
        return 0;
    if (*p == '/' || *q == '/')
        return *p == '\0' || (*p == '/' && *q != '\0') ? -1 : 1;
    return *p < *q ? -1 : 1;
}

/*
 * Everything in the layer. moby tars the mounted tree (TarWithOptions); an unmounted stack is
 * listed by comparing it with nothing, in the order of that walk.
 */
static int export_all(const struct ol_driver_stack *side, int out_fd,
                      const struct ol_export_options *options, struct ol_tar_result *ret,
                      struct ol_error *err)
{
    const struct ol_stack empty = {.ns = side->stack.ns};
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    int r;

    if (side->count == 1)
        return ol_export_tree(side->fds[0], out_fd, options, ret, err);
    r = ol_changes_compare(&side->stack, &empty, options->threads, &changes, err);
    if (r < 0)
        return r;
    if (changes.count > 0)
        qsort(changes.items, changes.count, sizeof(*changes.items), walk_order);
    return ol_export_changes(&side->stack, &changes, out_fd, options, ret, err);
}

static int export_diff(const struct sides *sides, int out_fd,
                       const struct ol_export_options *options, struct ol_tar_result *ret,
                       struct ol_error *err)
{
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    int r = ol_changes_compare(&sides->new_side.stack, &sides->old_side.stack, options->threads,
                               &changes, err);

    if (r < 0)
        return r;
    return ol_export_changes(&sides->new_side.stack, &changes, out_fd, options, ret, err);
}

int ol_naive_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                  struct ol_tar_result *ret, struct ol_error *err)
{
    int64_t start_ns = realtime_ns();
    struct ol_export_options options = {.threads = drv->config.threads,
                                        .host_names = drv->host_names};
    struct sides sides;
    int r = sides_open(drv, id, parent, &sides, err);

    if (r < 0)
        return r;
    options.now = (time_t)((realtime_ns() + 500000000) / 1000000000); /* moby rounds */
    if (parent == NULL)
        r = export_all(&sides.new_side, *out_fd, &options, ret, err);
    else
        r = export_diff(&sides, *out_fd, &options, ret, err);
    /* In this order a commit, which holds the layer as well, takes down the two mounts at the same
     * time: unmounting writes back the file system below, which takes as long as a third of the
     * rest. */
    ol_driver_stack_fini(drv, &sides.new_side);
    if (r == 0)
        ol_fd_close(out_fd);
    ol_driver_stack_fini(drv, &sides.old_side);
    if (r == 0 && parent != NULL && !drv->sleepless)
        count_sleep(drv, start_ns);
    return r;
}

int ol_naive_changes(struct ol_driver *drv, const char *id, const char *parent,
                     struct ol_changes *ret, struct ol_error *err)
{
    struct sides sides;
    int r = sides_open(drv, id, parent, &sides, err);

    if (r < 0)
        return r;
    r = ol_changes_compare(&sides.new_side.stack, &sides.old_side.stack, drv->config.threads, ret,
                           err);
    sides_close(drv, &sides);
    return r;
}

int ol_naive_diff_size(struct ol_driver *drv, const char *id, const char *parent, uint64_t *ret,
                       struct ol_error *err)
{
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    struct sides sides;
    int r = sides_open(drv, id, parent, &sides, err);

    if (r < 0)
        return r;
    r = ol_changes_compare(&sides.new_side.stack, &sides.old_side.stack, drv->config.threads,
                           &changes, err);
    if (r == 0)
        r = ol_changes_size(&sides.new_side.stack, &changes, ret, err);
    sides_close(drv, &sides);
    return r;
}

int ol_naive_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                        const struct ol_input *tar, struct ol_apply_result *ret,
                        struct ol_error *err)
{
    const struct ol_layer_options options = ol_driver_layer_options(drv, OL_LAYER_TREE);
    struct ol_driver_stack mounted;
    int r;

    (void)parent; /* the mounted tree holds it already */
    /* symlinks of older layers lead elsewhere here than in the layer's own directory */
    ol_tarsplit_doubt(tar->record);
    r = ol_driver_stack_got(drv, id, &mounted, err);
    if (r < 0)
        return r;
    r = ol_layer_apply(mounted.fds[0], tar, &options, &ret->layer, err);
    ret->size_bytes = r == 0 ? ret->layer.header_size_sum : 0;
    ol_driver_stack_fini(drv, &mounted);
    return r;
}
