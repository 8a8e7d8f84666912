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
 *
 * The native diff of a container is its upper directory as it stands, unpacked into a bare one.
 */
#include "bench/oracle/model_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

struct change {
    char *path;    /* owned */
    uint32_t node; /* of the tree after; OL_M_NONE: gone */
};

struct listing {
    const struct ol_mtree *before, *after;
    uint32_t layer;       /* marks what has changed; 0: metadata and size tell */
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
    if (l->layer > 0)
        return now->layer == l->layer || l->after->nodes[node].layer == l->layer;
    return now->meta != was->meta || now->size != was->size;
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
            r = ol_model_add_whiteout(below, change->path, err);
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

/* Takes over what it has listed. */
static int feed_listed(struct listing *l, struct ol_model *below, struct ol_error *err)
{
    bool any = false;
    int r = list_dir(l, OL_M_ROOT, OL_M_ROOT, &any);

    if (r < 0)
        r = ol_error_nomem(err);
    if (l->count > 0)
        qsort(l->items, l->count, sizeof *l->items, by_path);
    return r < 0 ? r : feed_all(l, below, err);
}

int ol_model_diffed(struct ol_model *model, struct ol_model *below, struct ol_error *err)
{
    struct listing l = {.after = &model->merged, .layer = model->layer, .path = OL_BUF_INIT};
    int r = 0;

    if (below != NULL) {
        l.before = &below->merged;
        r = feed_listed(&l, below, err);
        listing_fini(&l);
    }
    model->own.live_peak = model->own.live; /* the native diff has each name once */
    if (r == 0 && below != NULL)
        take_peaks(model, below);
    return r;
}

/* ---- of a replay ---- */

/* What the layer's entry of the name said. */
static int take_entry(const struct ol_model *model, uint32_t entry, struct ol_mtree *seen,
                      uint32_t node)
{
    const struct ol_minode *from = ol_mtree_inode(&model->merged, entry);
    struct ol_minode *to = ol_mtree_inode(seen, node);
    uint32_t text;

    if (from->layer != model->layer && model->merged.nodes[entry].layer != model->layer)
        return 0;
    if (from->type != to->type) {
        /* A link to what the init layer put in the place of a name has the link's metadata; a name
         * that only holds others, below, says nothing of what is there. */
        if (from->type == OL_M_FILE)
            to->meta = from->meta;
        return 0;
    }
    to->meta = from->meta;
    to->size = from->size;
    to->mode = from->mode;
    if (from->type == OL_M_SYMLINK) {
        const char *target = model->merged.text + from->text;

        if (ol_mtree_keep_text(seen, target, strlen(target), &text) < 0)
            return -ENOMEM;
        ol_mtree_inode(seen, node)->text = text;
    }
    return 0;
}

static int take_entries(const struct ol_model *model, struct ol_mtree *seen)
{
    ol_auto_free uint32_t *entries = reallocarray(NULL, seen->n_nodes, sizeof *entries);
    int r = entries == NULL ? -ENOMEM : 0;

    if (r == 0)
        entries[OL_M_ROOT] = OL_M_ROOT;
    for (uint32_t i = r == 0 ? ol_mtree_next(seen, OL_M_ROOT) : OL_M_NONE; r == 0 && i != OL_M_NONE;
         i = ol_mtree_next(seen, i)) {
        const char *name = ol_mtree_name(seen, i);
        const uint32_t dir = entries[seen->nodes[i].parent];

        entries[i] = dir == OL_M_NONE ? OL_M_NONE
                                      : ol_mtree_find(&model->merged, dir, name, strlen(name));
        if (entries[i] != OL_M_NONE)
            r = take_entry(model, entries[i], seen, i);
    }
    return r;
}

/* Under vfs a file that an entry links to keeps its other names, and all of them have changed. */
static void join_group(struct ol_mtree *tree, uint32_t node, uint32_t group)
{
    ol_mtree_inode(tree, node)->group = group;
    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        if (tree->inodes[i].group == group)
            tree->inodes[i].split = true;
    }
}

static void join_groups(const struct listing *l, const struct ol_model *model,
                        struct ol_model *below)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct change *change = &l->items[i];
        const uint32_t entry = change->node == OL_M_NONE ? OL_M_NONE
                                                         : ol_model_find(model, change->path);
        const struct ol_minode *inode;

        if (entry == OL_M_NONE)
            continue;
        inode = ol_mtree_inode(&model->merged, entry);
        if (inode->type == OL_M_FILE && inode->split && inode->layer == model->layer)
            join_group(&below->merged, ol_model_find(below, change->path), inode->group);
    }
}

/* Names of the init layer, deleted: the layer's tar has a whiteout, and no layer below the name. */
static uint32_t count_of_nothing(const struct listing *l, const struct ol_mtree *image)
{
    uint32_t count = 0;

    for (size_t i = 0; i < l->count; i++) {
        if (l->items[i].node == OL_M_NONE &&
            ol_mtree_find_path(image, l->items[i].path) == OL_M_NONE)
            count++;
    }
    return count;
}

int ol_model_replayed(struct ol_model *model, struct ol_model *below, struct ol_model_seen *seen,
                      bool *ret_any, struct ol_error *err)
{
    struct listing l = {.before = &below->merged, .after = &model->merged, .path = OL_BUF_INIT};
    struct ol_mtree merged = model->merged;
    struct ol_mnaive *naive = model->naive;
    int r = 0;

    if (seen != NULL) {
        l.before = &seen->before;
        l.after = &seen->after;
        r = take_entries(model, &seen->after) < 0 ? ol_error_nomem(err) : 0;
    }
    if (r == 0)
        r = feed_listed(&l, below, err);
    if (r == 0 && below->naive != NULL)
        below->naive->of_nothing = count_of_nothing(&l, &below->naive->lower);
    if (r == 0)
        join_groups(&l, model, below);
    *ret_any = l.count > 0;
    listing_fini(&l);
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

/* ---- the native diff ---- */

struct native {
    const struct ol_mtree *upper, *merged;
    struct ol_mtree *own;
    uint32_t layer;
    bool differs;     /* own has an object that merged has not */
    uint32_t *nodes;  /* by node of the upper: its node in own */
    uint32_t *seen;   /* by node of the upper: its node in merged, or OL_M_NONE */
    uint32_t *inodes; /* by inode of the upper: its inode in own; OL_M_NONE: not there yet */
};

/* What is known of an object of the upper: the layer's entries said more than its changes do. */
static struct ol_minode native_inode(const struct native *n, uint32_t node)
{
    const uint32_t seen = n->seen[node];
    struct ol_minode inode = *ol_mtree_inode(n->upper, node);

    if (seen != OL_M_NONE && ol_mtree_type(n->merged, seen) == inode.type) {
        const struct ol_minode *known = ol_mtree_inode(n->merged, seen);

        inode.size = known->size;
        inode.meta = known->meta;
        inode.mode = known->mode;
    }
    inode.layer = n->layer;
    if (inode.type == OL_M_DIR)
        inode.made = n->layer;
    if (inode.type == OL_M_SYMLINK)
        inode.text = 0; /* "": nobody follows it there */
    return inode;
}

/* Whiteouts share an inode in the upper; in a tar there are no links between them. */
static int unpack_name(struct native *n, uint32_t node)
{
    const struct ol_mnode *from = &n->upper->nodes[node];
    const char *name = ol_mtree_name(n->upper, node);
    const bool shared = ol_mtree_type(n->upper, node) != OL_M_WHITEOUT;
    const uint32_t dir = n->seen[from->parent];
    uint32_t made = shared ? n->inodes[from->inode] : OL_M_NONE;

    n->seen[node] = dir == OL_M_NONE ? OL_M_NONE
                                     : ol_mtree_find(n->merged, dir, name, strlen(name));
    if (shared && (n->seen[node] == OL_M_NONE ||
                   ol_mtree_type(n->merged, n->seen[node]) != ol_mtree_type(n->upper, node)))
        n->differs = true;
    if (made == OL_M_NONE) {
        const struct ol_minode init = native_inode(n, node);
        made = ol_mtree_inode_new(n->own, &init);
    }
    if (made == OL_M_NONE)
        return -ENOMEM;
    n->inodes[from->inode] = made;
    n->nodes[node] = ol_mtree_link(n->own, n->nodes[from->parent], name, strlen(name), made);
    if (n->nodes[node] == OL_M_NONE)
        return -ENOMEM;
    n->own->nodes[n->nodes[node]].layer = n->layer;
    return 0;
}

int ol_model_unpack(struct ol_model *model, const struct ol_mtree *upper)
{
    ol_auto_free uint32_t *nodes = reallocarray(NULL, upper->n_nodes, sizeof *nodes);
    ol_auto_free uint32_t *seen = reallocarray(NULL, upper->n_nodes, sizeof *seen);
    ol_auto_free uint32_t *inodes = reallocarray(NULL, upper->n_inodes, sizeof *inodes);
    struct ol_mtree own;
    struct native n = {.upper = upper,
                       .merged = &model->merged,
                       .own = &own,
                       .layer = model->layer,
                       .nodes = nodes,
                       .seen = seen,
                       .inodes = inodes};
    int r = nodes == NULL || seen == NULL || inodes == NULL ? -ENOMEM : ol_mtree_init(&own);

    if (r < 0)
        return r;
    memset(inodes, 0xff, upper->n_inodes * sizeof *inodes); /* OL_M_NONE */
    nodes[OL_M_ROOT] = seen[OL_M_ROOT] = OL_M_ROOT;
    for (uint32_t i = ol_mtree_next(upper, OL_M_ROOT); r == 0 && i != OL_M_NONE;
         i = ol_mtree_next(upper, i))
        r = unpack_name(&n, i);
    if (r == 0 && n.differs && !model->stacks_differ) {
        r = ol_mtree_copy(&model->merged, false, &model->below);
        model->stacks_differ = r == 0;
    }
    if (r < 0) {
        ol_mtree_fini(&own);
        return r;
    }
    ol_mtree_fini(&model->own);
    model->own = own;
    return 0;
}
