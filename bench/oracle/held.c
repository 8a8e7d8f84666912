/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds what; see held.h. */
#include "bench/oracle/held.h"

#include "bench/oracle/model_internal.h"

#include <errno.h>

/* Without mounts the naive way of applying is not taken: the native one is. */
static enum ol_law apply_law(const struct ol_held_way *way)
{
    return way->law == OL_LAW_OVERLAY2_NAIVE && !way->mounts ? OL_LAW_OVERLAY2 : way->law;
}

static void negate(struct ol_inode_kinds *kinds)
{
    const struct ol_inode_kinds copy = *kinds;

    *kinds = (struct ol_inode_kinds){0};
    ol_inode_kinds_add(kinds, &copy, -1);
}

/* The first child marks its parent; the mark is the parent's from then on. */
static void mark_parent(const struct ol_held_way *way, struct ol_held_layer *parent,
                        struct ol_inode_kinds *added)
{
    if (parent->is_parent || !ol_law_marks_parents(way->law))
        return;
    parent->is_parent = true;
    parent->own.bookkeeping += OL_OVERLAY2_COMMITTED;
    added->bookkeeping += OL_OVERLAY2_COMMITTED;
}

int ol_held_layer_apply(const struct ol_held_way *way, const struct ol_model *model,
                        struct ol_held_layer *parent, struct ol_held_layer *ret,
                        struct ol_inode_kinds *ret_added)
{
    struct ol_held_layer layer = {.way = *way};
    int r = ol_law_image_layer(apply_law(way), model, parent == NULL, &layer.own);

    if (r < 0)
        return r;
    *ret = layer;
    *ret_added = layer.own;
    if (parent != NULL)
        mark_parent(way, parent, ret_added);
    return 0;
}

int ol_held_layer_disk(const struct ol_held_way *way, const struct ol_model *model, bool base,
                       enum ol_disk_fs fs, struct ol_disk_bytes *ret)
{
    return ol_law_layer_disk(apply_law(way), model, base, fs, ret);
}

void ol_held_layer_refused(struct ol_held_layer *parent, struct ol_inode_kinds *ret_added)
{
    *ret_added = (struct ol_inode_kinds){0};
    mark_parent(&parent->way, parent, ret_added);
}

int ol_held_container_create(const struct ol_held_way *way, const struct ol_model *model,
                             struct ol_held_layer *image, struct ol_held_container *ret,
                             struct ol_inode_kinds *ret_added)
{
    struct ol_held_container container = {.way = *way};
    int r = ol_law_container_create(apply_law(way), model, false, &container.own);

    if (r < 0)
        return r;
    /* One whiteout is the cached one alone; with more, other names keep its inode. */
    container.init_cached = (way->law == OL_LAW_OVERLAY || way->law == OL_LAW_OVERLAY_CLONE_ALL) &&
                            container.own.whiteout == 1;
    *ret = container;
    *ret_added = container.own;
    mark_parent(way, image, ret_added);
    return 0;
}

int ol_held_build_create(const struct ol_held_way *way, const struct ol_model *model,
                         struct ol_held_layer *image, struct ol_held_container *ret,
                         struct ol_inode_kinds *ret_added)
{
    struct ol_held_container container = {.way = *way};
    int r = ol_law_bare_container(way->law, model, &container.own);

    if (r < 0)
        return r;
    *ret = container;
    *ret_added = container.own;
    mark_parent(way, image, ret_added);
    return 0;
}

int ol_held_containers_create(const struct ol_held_way *way, const struct ol_model *model,
                              struct ol_held_layer *image, uint64_t count,
                              struct ol_held_container *ret_one, struct ol_inode_kinds *ret_added)
{
    struct ol_held_container one;
    struct ol_inode_kinds added = {0};
    int r = count == 0 ? 0 : ol_held_container_create(way, model, image, &one, &added);

    if (r < 0)
        return r;
    if (count > 1)
        ol_inode_kinds_add(&added, &one.own, (int64_t)(count - 1));
    if (ret_one != NULL && count > 0)
        *ret_one = one;
    *ret_added = added;
    return 0;
}

void ol_held_mount(struct ol_held_container *container, struct ol_inode_kinds *ret_added)
{
    ol_law_container_mount(container->way.law, container->way.mounts, ret_added);
    ol_inode_kinds_add(&container->own, ret_added, 1);
}

void ol_held_unmount(struct ol_held_container *container, struct ol_inode_kinds *ret_added)
{
    ol_law_container_unmount(container->way.law, container->way.mounts, ret_added);
    ol_inode_kinds_add(&container->own, ret_added, 1);
}

void ol_held_change(struct ol_held_container *container, const struct ol_inode_kinds *changed,
                    bool leaves_cached)
{
    ol_inode_kinds_add(&container->own, changed, 1);
    container->cached = leaves_cached;
}

/* The snapshotter's commit: the container is the layer. */
static void become_layer(struct ol_held_container *container, struct ol_held_layer *ret)
{
    *ret = (struct ol_held_layer){.way = container->way, .own = container->own};
    container->own = (struct ol_inode_kinds){0};
    container->gone = true;
}

/* Mounting a layer again drops the whiteout cached by its last mount. */
static void free_cached(struct ol_held_container *container, struct ol_inode_kinds *added)
{
    if (container->cached)
        added->whiteout--;
    if (container->init_cached && container->way.naive_diff)
        added->whiteout--;
    container->cached = false;
    container->init_cached = container->init_cached && !container->way.naive_diff;
    ol_inode_kinds_add(&container->own, added, 1);
}

/* Native diffs, and those of directories, read what is there. */
static bool diff_mounts(const struct ol_held_way *way)
{
    const bool naive = way->law == OL_LAW_OVERLAY || way->law == OL_LAW_OVERLAY_CLONE_ALL ||
                       way->law == OL_LAW_OVERLAY2_NAIVE;

    return way->naive_diff && naive;
}

void ol_held_diff(struct ol_held_container *container, bool mounted,
                  struct ol_inode_kinds *ret_added)
{
    const bool cached = container->cached;

    *ret_added = (struct ol_inode_kinds){0};
    if (!diff_mounts(&container->way))
        return;
    container->cached = cached && !mounted;
    free_cached(container, ret_added);
    container->cached = cached && mounted;
}

static int commit_layer(const struct ol_held_way *way, const struct ol_model *model,
                        struct ol_inode_kinds *ret)
{
    if (way->law == OL_LAW_OVERLAY2_NAIVE && !way->mounts)
        return ol_law_listed_layer(model, ret);
    return ol_law_image_layer(way->law, model, false, ret);
}

int ol_held_commit(struct ol_held_container *container, const struct ol_model *model,
                   struct ol_held_layer *image, bool empty, struct ol_held_layer *ret_layer,
                   struct ol_inode_kinds *ret_added)
{
    struct ol_held_layer layer = {.way = container->way};
    struct ol_inode_kinds added = {0};
    int r = 0;

    if (container->way.law == OL_LAW_SNAPSHOT) {
        become_layer(container, ret_layer);
        *ret_added = added;
        return 0;
    }
    if (!empty)
        r = commit_layer(&container->way, model, &layer.own);
    if (r < 0)
        return r;
    free_cached(container, &added);
    if (!empty) {
        ol_inode_kinds_add(&added, &layer.own, 1);
        mark_parent(&container->way, image, &added);
        *ret_layer = layer;
    }
    *ret_added = added;
    return 0;
}

int ol_held_commit_disk(const struct ol_held_way *way, const struct ol_model *model, bool empty,
                        enum ol_disk_fs fs, struct ol_disk_bytes *ret)
{
    struct ol_disk_bytes bytes = {0};
    int r = 0;

    if (!empty && way->law != OL_LAW_SNAPSHOT)
        r = ol_law_layer_disk(apply_law(way), model, false, fs, &bytes);
    if (r < 0)
        return r;
    if (way->law == OL_LAW_OVERLAY2_NAIVE && !empty)
        bytes.estimate = true; /* the tar lists what the model has as opaque directories */
    *ret = bytes;
    return 0;
}

void ol_held_container_remove(const struct ol_held_container *container,
                              struct ol_inode_kinds *ret_added)
{
    *ret_added = container->own;
    negate(ret_added);
}

void ol_held_layer_remove(const struct ol_held_layer *layer, struct ol_inode_kinds *ret_added)
{
    *ret_added = layer->own;
    negate(ret_added);
}
