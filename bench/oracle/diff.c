/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tar a commit is made of, as the naive diff writes it (drivers/naive_diff.c, moby's
 * ExportChanges): one entry for each name that is new, changed or gone, sorted bytewise by whole
 * paths, so that "a-b" stands between "a" and "a/x"; what is gone is a whiteout at the place of its
 * name, of a directory one for all of it; directories that hold a change are listed, opaque markers
 * are not known.
 *
 * A full tree that is filled from it frees things on the way, and how many inodes it needs at most
 * depends on what has been added by then. An upper directory that is filled (overlay2) never loses
 * any: there every order ends at the highest count.
 */
#include "bench/oracle/model_internal.h"

#include "common/cleanup.h"
#include "common/fs/whiteout.h"

#include <errno.h>
#include <string.h>

struct change {
    char *path;    /* owned */
    uint32_t node; /* of the tree after; OL_M_NONE: gone */
};

struct listing {
    const struct ol_mtree *before, *after;
    uint32_t layer;       /* marks what the layer wrote */
    bool compares;        /* and what it wrote may be as it was before */
    struct ol_buf path;   /* where the walk is */
    struct change *items; /* owned */
    size_t count, cap;
};

static void listing_fini(struct listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i].path);
    free(l->items);
    ol_buf_fini(&l->path);
}

/* The name in the directory the walk is in. */
static int list_name(struct listing *l, const char *name, uint32_t node)
{
    char *path = NULL;

    if (l->count == l->cap) {
        size_t cap = l->cap > 0 ? 2 * l->cap : 64;
        struct change *grown = reallocarray(l->items, cap, sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        l->items = grown;
        l->cap = cap;
    }
    if (asprintf(&path, "%s%s", ol_buf_str(&l->path), name) < 0)
        return -ENOMEM;
    l->items[l->count++] = (struct change){path, node};
    return 0;
}

static int list_gone(struct listing *l, uint32_t before, uint32_t after, bool *ret_any)
{
    int r = 0;

    for (uint32_t i = l->before->nodes[before].first_child; r == 0 && i != OL_M_NONE;
         i = l->before->nodes[i].next) {
        const char *name = ol_mtree_name(l->before, i);

        if (ol_mtree_find(l->after, after, name, strlen(name)) != OL_M_NONE)
            continue;
        *ret_any = true;
        r = list_name(l, name, OL_M_NONE);
    }
    return r;
}

/* The node of the same name and type before, or OL_M_NONE. */
static uint32_t node_before(const struct listing *l, uint32_t before, uint32_t node)
{
    const char *name = ol_mtree_name(l->after, node);
    uint32_t old = before == OL_M_NONE ? OL_M_NONE
                                       : ol_mtree_find(l->before, before, name, strlen(name));

    if (old != OL_M_NONE && ol_mtree_type(l->before, old) != ol_mtree_type(l->after, node))
        return OL_M_NONE;
    return old;
}

/* @param before  the node of that name and type, or OL_M_NONE */
static bool is_changed(const struct listing *l, uint32_t before, uint32_t node)
{
    const struct ol_minode *now = ol_mtree_inode(l->after, node);
    const struct ol_minode *was = before == OL_M_NONE ? NULL : ol_mtree_inode(l->before, before);

    if (was == NULL)
        return true;
    if (now->layer != l->layer && l->after->nodes[node].layer != l->layer)
        return false;
    return !l->compares || now->type == OL_M_DIR || now->meta != was->meta ||
           now->size != was->size;
}

static int list_dir(struct listing *l, uint32_t before, uint32_t after, bool *ret_any);

static int list_below(struct listing *l, uint32_t before, uint32_t node, bool *ret_any)
{
    const size_t len = l->path.len;
    int r = ol_buf_puts(&l->path, ol_mtree_name(l->after, node));

    if (r == 0)
        r = ol_buf_putc(&l->path, '/');
    if (r == 0)
        r = list_dir(l, before, node, ret_any);
    ol_buf_truncate(&l->path, len);
    return r;
}

/* @param before  the directory of that name, or OL_M_NONE @param ret_any  set when it holds any */
static int list_dir(struct listing *l, uint32_t before, uint32_t after, bool *ret_any)
{
    int r = before == OL_M_NONE ? 0 : list_gone(l, before, after, ret_any);

    for (uint32_t i = l->after->nodes[after].first_child; r == 0 && i != OL_M_NONE;
         i = l->after->nodes[i].next) { /* as deep as a path can be */
        const uint32_t old = node_before(l, before, i);
        bool changed = is_changed(l, old, i);

        if (ol_mtree_type(l->after, i) == OL_M_DIR)
            r = list_below(l, old, i, &changed);
        if (r == 0 && changed)
            r = list_name(l, ol_mtree_name(l->after, i), i);
        *ret_any = *ret_any || changed;
    }
    return r;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

/* ---- feeding ---- */

static enum ol_entry_type entry_type(enum ol_mtype type)
{
    switch (type) {
    case OL_M_DIR:
        return OL_ENTRY_DIRECTORY;
    case OL_M_SYMLINK:
        return OL_ENTRY_SYMLINK;
    case OL_M_DEVICE:
        return OL_ENTRY_CHAR;
    case OL_M_FIFO:
        return OL_ENTRY_FIFO;
    case OL_M_FILE:
    case OL_M_WHITEOUT: /* in no tree that is seen */
        break;
    }
    return OL_ENTRY_FILE;
}

static int feed_gone(struct ol_model *below, const char *path, struct ol_error *err)
{
    const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    struct ol_entry entry = {.type = OL_ENTRY_FILE};
    ol_auto_free char *name = NULL;

    if (asprintf(&name, "%.*s%s%s", (int)(base - path), path, OL_WH_PREFIX, base) < 0) {
        name = NULL;
        return ol_error_nomem(err);
    }
    entry.path = name;
    return ol_model_add(below, &entry, err);
}

/* @param first  the name that carried the inode, or NULL: this is the one */
static int feed_name(const struct listing *l, struct ol_model *below, const struct change *change,
                     const char *first, struct ol_error *err)
{
    const struct ol_minode *inode = ol_mtree_inode(l->after, change->node);
    struct ol_entry entry = {.path = change->path,
                             .link = first,
                             .type = first != NULL ? OL_ENTRY_HARDLINK
                                                   : entry_type((enum ol_mtype)inode->type),
                             .mode = inode->mode,
                             .size = inode->size};

    int r;

    if (entry.type == OL_ENTRY_SYMLINK)
        entry.link = l->after->text + inode->text;
    r = ol_model_add(below, &entry, err);
    if (r == 0) /* what the entry here does not have: owner and time */
        ol_mtree_inode(&below->merged, ol_model_find(below, change->path))->meta = inode->meta;
    return r;
}

/* The first listed name of a file carries it, the others are links to that. */
static int feed_all(const struct listing *l, struct ol_model *below, struct ol_error *err)
{
    ol_auto_free const char **first = calloc(l->after->n_inodes, sizeof *first);
    int r = first == NULL ? ol_error_nomem(err) : ol_model_begin_layer(below, err);

    for (size_t i = 0; r == 0 && i < l->count; i++) {
        const struct change *change = &l->items[i];
        uint32_t inode;

        if (change->node == OL_M_NONE) {
            r = feed_gone(below, change->path, err);
            continue;
        }
        inode = l->after->nodes[change->node].inode;
        r = feed_name(l, below, change, first[inode], err);
        if (first[inode] == NULL)
            first[inode] = change->path;
    }
    return r;
}

static void take_peaks(struct ol_model *model, const struct ol_model *below)
{
    for (size_t i = 0; i < OL_RUNNING_LAWS; i++)
        model->running[i].peak = below->running[i].peak;
    model->merged.live_peak = below->merged.live_peak;
    if (model->naive != NULL)
        model->naive->upper.tree.live_peak = below->naive->upper.tree.live_peak;
}

static int feed_listed(const struct ol_model *model, struct ol_model *below, bool compares,
                       struct ol_error *err)
{
    struct listing l = {.before = &below->merged,
                        .after = &model->merged,
                        .layer = model->layer,
                        .compares = compares,
                        .path = OL_BUF_INIT};
    bool any = false;
    int r = list_dir(&l, OL_M_ROOT, OL_M_ROOT, &any);

    if (r < 0)
        r = ol_error_nomem(err);
    if (l.count > 0)
        qsort(l.items, l.count, sizeof *l.items, by_path);
    if (r == 0)
        r = feed_all(&l, below, err);
    listing_fini(&l);
    return r;
}

int ol_model_diffed(struct ol_model *model, struct ol_model *below, struct ol_error *err)
{
    int r = below == NULL ? 0 : feed_listed(model, below, false, err);

    model->own.live_peak = model->own.live; /* the native diff has each name once */
    if (r == 0 && below != NULL)
        take_peaks(model, below);
    return r;
}

int ol_model_replayed(struct ol_model *model, struct ol_model *below, struct ol_error *err)
{
    struct ol_mtree merged = model->merged;
    struct ol_mnaive *naive = model->naive;
    int r = feed_listed(model, below, true, err);

    if (r < 0)
        return r;
    model->own.live_peak = model->own.live;
    memcpy(model->running, below->running, sizeof model->running);
    model->merged = below->merged;
    model->merged.watch_data = model;
    model->naive = below->naive;
    below->merged = merged;
    below->merged.watch = NULL;
    below->naive = naive;
    return 0;
}
