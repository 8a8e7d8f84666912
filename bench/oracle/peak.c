/* SPDX-License-Identifier: Apache-2.0 */
/* Peaks: what Create makes, and the highest count of the tree while it is filled; see peak.h. */
#include "bench/oracle/peak.h"

#include "bench/oracle/model_internal.h"

#include <errno.h>

/* What stands beside the tree that is filled, its root apart. */
enum {
    OVERLAY_BASE_BESIDE = 2,   /* layer directory, root, which the tree made aside replaces */
    OVERLAY_LAYER_BESIDE = 4,  /* layer directory, upper, work, lower-id */
    OVERLAY2_BASE_BESIDE = 4,  /* layer directory, diff, which is replaced likewise, link, l/ */
    OVERLAY2_LAYER_BESIDE = 6, /* and work, lower */
    OVERLAY2_BASE_NAIVE = 4,   /* layer directory, link, l/, the mark: diff itself is filled */
    OVERLAY2_MOUNT_BESIDE = 8, /* and work, lower, work/work, merged */
    SNAPSHOT_BESIDE = 2,       /* snapshot directory, work */
};

/* What the kernel has in work/work for a moment, while it does one thing there. */
enum {
    /* A mount that can be written to tries a rename that leaves a whiteout
     * (ovl_check_rename_whiteout): a file, and the whiteout in the place it came from. The cached
     * whiteout of the mount before is gone by then: work/work was made anew. */
    RENAME_TRIED = 2,
    /* Made there, then put in the place of what only then goes: the first whiteout over a file
     * of the upper (ovl_cleanup_and_whiteout), an empty directory over one that held whiteouts
     * (ovl_clear_empty). */
    MADE_ASIDE = 1,
};

static struct ol_peak exactly(int64_t inodes)
{
    return (struct ol_peak){.inodes = inodes, .least = inodes};
}

static struct ol_peak between(int64_t least, int64_t most)
{
    return (struct ol_peak){.inodes = most, .least = least, .estimate = least < most};
}

static int64_t more_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t own_peak(const struct ol_model *model)
{
    return ol_model_own(model)->live_peak;
}

/* The kernel fills the upper directory: what it does within one call is bounded, not followed. */
static int naive_peak(const struct ol_model *model, bool base, struct ol_peak *ret)
{
    const struct ol_mtree *upper;
    int64_t mounting;

    if (model->naive == NULL)
        return -ENOTSUP;
    upper = &model->naive->upper.tree;
    mounting = OVERLAY2_MOUNT_BESIDE + 1 + RENAME_TRIED; /* 1: diff, still empty */
    *ret = base ? exactly(OVERLAY2_BASE_NAIVE + model->merged.live_peak)
                : between(OVERLAY2_MOUNT_BESIDE + upper->live,
                          more_of(mounting, OVERLAY2_MOUNT_BESIDE + upper->live_peak + MADE_ASIDE));
    return 0;
}

static const struct ol_running *running_of(enum ol_law law, const struct ol_model *model, bool base)
{
    if (law == OL_LAW_VFS)
        return &model->running[OL_RUNNING_COPY];
    if (law == OL_LAW_OVERLAY || base)
        return &model->running[OL_RUNNING_CLONE];
    return &model->running[OL_RUNNING_CLONE_ALL];
}

static int layer_peak(enum ol_law law, const struct ol_model *model, bool base, struct ol_peak *ret)
{
    int64_t inodes = 0;

    switch (law) {
    case OL_LAW_OVERLAY:
    case OL_LAW_OVERLAY_CLONE_ALL:
        inodes = base ? OVERLAY_BASE_BESIDE : OVERLAY_LAYER_BESIDE;
        inodes += running_of(law, model, base)->peak;
        break;
    case OL_LAW_OVERLAY2:
        inodes = (base ? OVERLAY2_BASE_BESIDE : OVERLAY2_LAYER_BESIDE) + own_peak(model);
        break;
    case OL_LAW_VFS:
        inodes = running_of(law, model, base)->peak;
        break;
    case OL_LAW_SNAPSHOT:
        inodes = SNAPSHOT_BESIDE + (base ? model->merged.live_peak : own_peak(model));
        break;
    case OL_LAW_OVERLAY2_NAIVE:
        return naive_peak(model, base, ret);
    case OL_LAW_NULL:
    case OL_LAWS:
        break;
    }
    *ret = exactly(inodes);
    return 0;
}

static void add(struct ol_peak *peak, int64_t inodes)
{
    peak->inodes += inodes;
    peak->least += inodes;
}

int ol_held_layer_peak(const struct ol_held_way *way, const struct ol_model *model,
                       const struct ol_held_layer *parent, struct ol_peak *ret)
{
    const bool native = way->law == OL_LAW_OVERLAY2_NAIVE && !way->mounts;
    int r = layer_peak(native ? OL_LAW_OVERLAY2 : way->law, model, parent == NULL, ret);

    if (r == 0 && parent != NULL && !parent->is_parent && ol_law_marks_parents(way->law))
        add(ret, OL_OVERLAY2_COMMITTED);
    return r;
}

/* ---- commits ---- */

static int64_t mount_point(const struct ol_held_container *container)
{
    struct ol_inode_kinds mount;

    ol_law_container_mount(container->way.law, container->way.mounts, &mount);
    return ol_inode_kinds_total(&mount);
}

/*
 * Legacy overlay. The diff is a thread of its own, and a naive one uses the init layer before it
 * writes its first entry and until it has written the last: it is mounted, which frees what its
 * last mount cached (the direct view frees it likewise). The clone does not wait for that, the
 * entries have to; the diff does not wait until what it wrote is applied.
 */
static struct ol_peak overlay_commit(const struct ol_held_container *container,
                                     const struct ol_model *model)
{
    const struct ol_running *running = running_of(container->way.law, model, false);
    const int64_t cached = container->init_cached ? 1 : 0;
    const int64_t mount = mount_point(container);
    int64_t cloned = running->start;
    struct ol_peak peak;

    if (!container->way.naive_diff)
        return exactly(OVERLAY_LAYER_BESIDE + running->peak);
    if (container->way.mounts) /* what it frees has gone before the kernel tries anything */
        cloned += mount + RENAME_TRIED - cached;
    peak = between(running->peak - cached, more_of(cloned, running->peak - cached + mount));
    add(&peak, OVERLAY_LAYER_BESIDE);
    return peak;
}

/* Unpacked without a mount beside the empty diff, each name the naive diff lists as gone is an
 * inode, and none goes again. */
static int listed_commit(const struct ol_model *model, struct ol_peak *ret)
{
    struct ol_inode_kinds listed;
    int r = ol_law_listed_layer(model, &listed);

    if (r < 0)
        return r;
    listed.bookkeeping = OVERLAY2_LAYER_BESIDE;
    *ret = exactly(ol_inode_kinds_total(&listed));
    return 0;
}

/* The diff mounts the init layer, which is read-only as a parent is. */
static int naive_commit(const struct ol_held_container *container, const struct ol_model *model,
                        struct ol_peak *ret)
{
    int r = naive_peak(model, false, ret);

    ret->inodes += mount_point(container);
    return r;
}

/* Beside the container, which is held. */
static int commit_peak(const struct ol_held_container *container, const struct ol_model *model,
                       struct ol_peak *ret)
{
    switch (container->way.law) {
    case OL_LAW_OVERLAY:
    case OL_LAW_OVERLAY_CLONE_ALL:
        *ret = overlay_commit(container, model);
        return 0;
    case OL_LAW_OVERLAY2_NAIVE:
        return container->way.mounts ? naive_commit(container, model, ret)
                                     : listed_commit(model, ret);
    default:
        return layer_peak(container->way.law, model, false, ret);
    }
}

int ol_held_commit_peak(const struct ol_held_container *container, const struct ol_model *model,
                        struct ol_peak *ret)
{
    int r = 0;

    *ret = exactly(0);
    if (container->way.law == OL_LAW_SNAPSHOT || container->way.law == OL_LAW_NULL)
        return 0;
    r = commit_peak(container, model, ret);
    if (r == 0) /* mounted, and what its last mount cached is gone */
        add(ret, mount_point(container) - (container->cached ? 1 : 0));
    return r;
}
