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
    OVERLAY2_MOUNT_BESIDE = 9, /* of those but diff; work/work, merged, the mark, a kernel's own */
    MOUNTING = 2, /* slack found by random stories; presumably what a mount tries in work/work */
    OVERLAY2_BASE_NAIVE = 4, /* layer directory, link, l/, the mark: diff itself is filled */
    SNAPSHOT_BESIDE = 2,     /* snapshot directory, work */
};

static int64_t own_peak(const struct ol_model *model)
{
    return ol_model_own(model)->live_peak;
}

static int naive_peak(const struct ol_model *model, bool base, struct ol_peak *ret)
{
    if (model->naive == NULL)
        return -ENOTSUP;
    *ret = (struct ol_peak){.inodes = OVERLAY2_BASE_NAIVE + model->merged.live_peak};
    if (!base)
        *ret = (struct ol_peak){
            .inodes = OVERLAY2_MOUNT_BESIDE + model->naive->upper.tree.live_peak, .estimate = true};
    return 0;
}

static enum ol_running_law running_law(enum ol_law law, bool base)
{
    return law == OL_LAW_VFS               ? OL_RUNNING_COPY
           : law == OL_LAW_OVERLAY || base ? OL_RUNNING_CLONE
                                           : OL_RUNNING_CLONE_ALL;
}

static int layer_peak(enum ol_law law, const struct ol_model *model, bool base, struct ol_peak *ret)
{
    int64_t inodes = 0;

    switch (law) {
    case OL_LAW_OVERLAY:
    case OL_LAW_OVERLAY_CLONE_ALL:
        inodes = base ? OVERLAY_BASE_BESIDE : OVERLAY_LAYER_BESIDE;
        inodes += model->running[running_law(law, base)].peak;
        break;
    case OL_LAW_OVERLAY2:
        inodes = (base ? OVERLAY2_BASE_BESIDE : OVERLAY2_LAYER_BESIDE) + own_peak(model);
        break;
    case OL_LAW_VFS:
        inodes = model->running[running_law(law, base)].peak;
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
    *ret = (struct ol_peak){.inodes = inodes};
    return 0;
}

static enum ol_law apply_law(const struct ol_held_way *way)
{
    return way->law == OL_LAW_OVERLAY2_NAIVE && !way->mounts ? OL_LAW_OVERLAY2 : way->law;
}

int ol_held_layer_peak(const struct ol_held_way *way, const struct ol_model *model,
                       const struct ol_held_layer *parent, struct ol_peak *ret)
{
    int r = layer_peak(apply_law(way), model, parent == NULL, ret);

    if (r == 0 && parent != NULL && !parent->is_parent && ol_law_marks_parents(way->law))
        ret->inodes += OL_OVERLAY2_COMMITTED;
    return r;
}

/* The container is held mounted, and so is, under a naive diff, its init layer; what their last
 * mounts cached is gone. */
static void add_mounts(const struct ol_held_container *container, struct ol_peak *peak)
{
    struct ol_inode_kinds mount;
    const bool naive = container->way.naive_diff && container->way.law != OL_LAW_OVERLAY2;

    ol_law_container_mount(container->way.law, container->way.mounts, &mount);
    peak->inodes += ol_inode_kinds_total(&mount) - (container->cached ? 1 : 0);
    if (!naive)
        return;
    if (container->way.mounts) /* its mount point is there before what it frees is gone */
        peak->inodes += ol_inode_kinds_total(&mount) + MOUNTING;
    peak->estimate = container->way.mounts || container->init_cached;
}

/* A full tree is filled from a tar whose order is not the one the model was fed in: with what was
 * freed, the peak depends on it. */
static void forget_order(const struct ol_held_container *container, const struct ol_model *model,
                         struct ol_peak *peak)
{
    enum ol_law law = container->way.law;
    const struct ol_running *running = &model->running[running_law(law, false)];

    if (law != OL_LAW_OVERLAY && law != OL_LAW_OVERLAY_CLONE_ALL && law != OL_LAW_VFS)
        return;
    peak->inodes += running->made - running->peak;
    peak->estimate = peak->estimate || running->made != running->now;
}

/* Unpacked without a mount, each name the naive diff lists as gone is an inode. The one more
 * was found by random stories; presumably a cached whiteout that is there still. */
static int at_least_listed(const struct ol_model *model, struct ol_peak *peak)
{
    struct ol_inode_kinds listed;
    int64_t inodes;
    int r = ol_law_listed_layer(model, &listed);

    inodes = ol_inode_kinds_total(&listed) + 1;
    if (r == 0 && peak->inodes < inodes)
        peak->inodes = inodes;
    return r;
}

int ol_held_commit_peak(const struct ol_held_container *container, const struct ol_model *model,
                        struct ol_peak *ret)
{
    int r = 0;

    *ret = (struct ol_peak){0};
    if (container->way.law == OL_LAW_SNAPSHOT || container->way.law == OL_LAW_NULL)
        return 0;
    r = layer_peak(apply_law(&container->way), model, false, ret);
    if (r == 0)
        add_mounts(container, ret);
    if (r == 0)
        forget_order(container, model, ret);
    if (r == 0 && container->way.law == OL_LAW_OVERLAY2_NAIVE && !container->way.mounts)
        r = at_least_listed(model, ret);
    if (container->way.law == OL_LAW_OVERLAY2_NAIVE)
        ret->estimate = true; /* the tar lists what the model has as opaque directories */
    return r;
}
