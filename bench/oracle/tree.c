/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of tree.h: two arrays, a hash of (parent, name), and one text for all names. */
#include "bench/oracle/tree.h"

#include "common/cleanup.h"

#include <errno.h>

enum { DEPTH_MAX = 2560 }; /* more than PATH_MAX has components */

static uint32_t hash_of(uint32_t parent, const char *name, size_t len)
{
    uint32_t h = 2166136261u ^ (parent * 2654435761u); /* FNV-1a, seeded with the parent */

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    return h ^ (h >> 15);
}

int ol_mtree_keep_text(struct ol_mtree *tree, const char *text, size_t len, uint32_t *ret)
{
    if (tree->text_len + len + 1 > tree->text_cap) {
        size_t cap = tree->text_cap + tree->text_cap / 4 + len + 4096;
        char *grown = cap > UINT32_MAX ? NULL : realloc(tree->text, cap);
        if (grown == NULL)
            return -ENOMEM;
        tree->text = grown;
        tree->text_cap = cap;
    }
    memcpy(tree->text + tree->text_len, text, len);
    tree->text[tree->text_len + len] = '\0';
    *ret = (uint32_t)tree->text_len;
    tree->text_len += len + 1;
    return 0;
}

/* By a quarter: large arrays are moved by remapping, and slack is what memory goes into. */
static uint32_t grown_cap(uint32_t cap)
{
    return cap + cap / 4 + 64;
}

uint32_t ol_mtree_inode_new(struct ol_mtree *tree, const struct ol_minode *init)
{
    uint32_t index = tree->free_inode;

    if (index != OL_M_NONE) {
        tree->free_inode = tree->inodes[index].group;
    } else {
        if (tree->n_inodes == tree->cap_inodes) {
            uint32_t cap = grown_cap(tree->cap_inodes);
            struct ol_minode *grown = reallocarray(tree->inodes, cap, sizeof *grown);
            if (grown == NULL)
                return OL_M_NONE;
            tree->inodes = grown;
            tree->cap_inodes = cap;
        }
        index = tree->n_inodes++;
    }
    tree->inodes[index] = *init;
    tree->inodes[index].links = 0;
    tree->inodes[index].group = tree->n_groups++;
    return index;
}

static void add_name(struct ol_mtree *tree, uint32_t inode)
{
    if (tree->inodes[inode].links++ > 0)
        return;
    if (++tree->live > tree->live_peak)
        tree->live_peak = tree->live;
    if (tree->watch != NULL)
        tree->watch(tree->watch_data, &tree->inodes[inode], 1);
}

static void drop_name(struct ol_mtree *tree, uint32_t inode)
{
    if (--tree->inodes[inode].links > 0)
        return;
    tree->live--;
    if (tree->watch != NULL)
        tree->watch(tree->watch_data, &tree->inodes[inode], -1);
    tree->inodes[inode].group = tree->free_inode;
    tree->free_inode = inode;
}

static uint32_t node_new(struct ol_mtree *tree)
{
    uint32_t index = tree->free_node;

    if (index != OL_M_NONE) {
        tree->free_node = tree->nodes[index].next;
        return index;
    }
    if (tree->n_nodes == tree->cap_nodes) {
        uint32_t cap = grown_cap(tree->cap_nodes);
        struct ol_mnode *grown = reallocarray(tree->nodes, cap, sizeof *grown);
        if (grown == NULL)
            return OL_M_NONE;
        tree->nodes = grown;
        tree->cap_nodes = cap;
    }
    return tree->n_nodes++;
}

static uint32_t *bucket_of(const struct ol_mtree *tree, uint32_t parent, const char *name,
                           size_t len)
{
    return &tree->buckets[hash_of(parent, name, len) & (tree->n_buckets - 1)];
}

static int grow_buckets(struct ol_mtree *tree)
{
    uint32_t count = tree->n_buckets == 0 ? 64 : tree->n_buckets * 2;
    uint32_t *buckets = reallocarray(NULL, count, sizeof *buckets);

    if (buckets == NULL)
        return -ENOMEM;
    memset(buckets, 0xff, count * sizeof *buckets); /* OL_M_NONE */
    free(tree->buckets);
    tree->buckets = buckets;
    tree->n_buckets = count;
    for (uint32_t i = 1; i < tree->n_nodes; i++) {
        struct ol_mnode *node = &tree->nodes[i];
        uint32_t *bucket;
        if (node->inode == OL_M_NONE)
            continue;
        bucket = bucket_of(tree, node->parent, tree->text + node->name,
                           strlen(tree->text + node->name));
        node->hash_next = *bucket;
        *bucket = i;
    }
    return 0;
}

int ol_mtree_init(struct ol_mtree *tree)
{
    const struct ol_minode root = {.type = OL_M_DIR, .mode = 0755};

    *tree = (struct ol_mtree){.free_node = OL_M_NONE, .free_inode = OL_M_NONE};
    if (grow_buckets(tree) == 0 && node_new(tree) == OL_M_ROOT) {
        tree->nodes[OL_M_ROOT] = (struct ol_mnode){.parent = OL_M_NONE,
                                                   .first_child = OL_M_NONE,
                                                   .next = OL_M_NONE,
                                                   .prev = OL_M_NONE,
                                                   .hash_next = OL_M_NONE,
                                                   .inode = ol_mtree_inode_new(tree, &root)};
        if (tree->nodes[OL_M_ROOT].inode != OL_M_NONE &&
            ol_mtree_keep_text(tree, "", 0, &tree->nodes[OL_M_ROOT].name) == 0) {
            add_name(tree, 0);
            return 0;
        }
    }
    ol_mtree_fini(tree);
    return -ENOMEM;
}

void ol_mtree_fini(struct ol_mtree *tree)
{
    free(tree->nodes);
    free(tree->inodes);
    free(tree->buckets);
    free(tree->text);
    *tree = (struct ol_mtree){.free_node = OL_M_NONE, .free_inode = OL_M_NONE};
}

uint32_t ol_mtree_find(const struct ol_mtree *tree, uint32_t parent, const char *name, size_t len)
{
    uint32_t i = *bucket_of(tree, parent, name, len);

    for (; i != OL_M_NONE; i = tree->nodes[i].hash_next) {
        const char *text = tree->text + tree->nodes[i].name;
        if (tree->nodes[i].parent == parent && strncmp(text, name, len) == 0 && text[len] == '\0')
            return i;
    }
    return OL_M_NONE;
}

uint32_t ol_mtree_find_path(const struct ol_mtree *tree, const char *path)
{
    uint32_t node = OL_M_ROOT;

    while (*path != '\0' && node != OL_M_NONE) {
        const size_t len = strcspn(path, "/");

        node = ol_mtree_find(tree, node, path, len);
        path += len + (path[len] == '/' ? 1 : 0);
    }
    return node;
}

uint32_t ol_mtree_link(struct ol_mtree *tree, uint32_t parent, const char *name, size_t len,
                       uint32_t inode)
{
    uint32_t text;
    uint32_t index;
    uint32_t *bucket;
    struct ol_mnode *node;

    if (tree->used >= tree->n_buckets && grow_buckets(tree) < 0)
        return OL_M_NONE;
    if (ol_mtree_keep_text(tree, name, len, &text) < 0)
        return OL_M_NONE;
    index = node_new(tree);
    if (index == OL_M_NONE)
        return OL_M_NONE;
    bucket = bucket_of(tree, parent, name, len);
    node = &tree->nodes[index];
    *node = (struct ol_mnode){.parent = parent,
                              .first_child = OL_M_NONE,
                              .next = tree->nodes[parent].first_child,
                              .prev = OL_M_NONE,
                              .hash_next = *bucket,
                              .name = text,
                              .inode = inode};
    *bucket = index;
    if (node->next != OL_M_NONE)
        tree->nodes[node->next].prev = index;
    tree->nodes[parent].first_child = index;
    add_name(tree, inode);
    tree->used++;
    return index;
}

static void unhash(struct ol_mtree *tree, uint32_t index)
{
    const struct ol_mnode *node = &tree->nodes[index];
    const char *name = tree->text + node->name;
    uint32_t *at = bucket_of(tree, node->parent, name, strlen(name));

    while (*at != index)
        at = &tree->nodes[*at].hash_next;
    *at = node->hash_next;
}

/* A node without children. */
static void remove_leaf(struct ol_mtree *tree, uint32_t index)
{
    struct ol_mnode *node = &tree->nodes[index];

    unhash(tree, index);
    if (node->prev != OL_M_NONE)
        tree->nodes[node->prev].next = node->next;
    else
        tree->nodes[node->parent].first_child = node->next;
    if (node->next != OL_M_NONE)
        tree->nodes[node->next].prev = node->prev;
    drop_name(tree, node->inode);
    node->inode = OL_M_NONE;
    node->next = tree->free_node;
    tree->free_node = index;
    tree->used--;
}

void ol_mtree_remove(struct ol_mtree *tree, uint32_t node)
{
    uint32_t at = node;

    for (;;) { /* leaves first, without recursion: depth comes from an archive */
        uint32_t parent = tree->nodes[at].parent;
        if (tree->nodes[at].first_child != OL_M_NONE) {
            at = tree->nodes[at].first_child;
            continue;
        }
        remove_leaf(tree, at);
        if (at == node)
            return;
        at = parent;
    }
}

void ol_mtree_hold(struct ol_mtree *tree, uint32_t inode)
{
    add_name(tree, inode);
}

void ol_mtree_relink(struct ol_mtree *tree, uint32_t node, uint32_t inode)
{
    uint32_t old = tree->nodes[node].inode;

    add_name(tree, inode);
    tree->nodes[node].inode = inode;
    drop_name(tree, old);
}

uint32_t ol_mtree_next(const struct ol_mtree *tree, uint32_t node)
{
    if (tree->nodes[node].first_child != OL_M_NONE)
        return tree->nodes[node].first_child;
    while (node != OL_M_NONE && tree->nodes[node].next == OL_M_NONE)
        node = tree->nodes[node].parent;
    return node == OL_M_NONE ? OL_M_NONE : tree->nodes[node].next;
}

int ol_mtree_put_path(const struct ol_mtree *tree, uint32_t node, struct ol_buf *buf)
{
    uint32_t up[DEPTH_MAX];
    size_t depth = 0;
    int r = 0;

    for (; node != OL_M_ROOT; node = tree->nodes[node].parent) {
        if (depth == OL_ARRAY_LEN(up))
            return -ENAMETOOLONG;
        up[depth++] = node;
    }
    while (depth > 0 && r == 0)
        r = ol_buf_printf(buf, "%s/", ol_mtree_name(tree, up[--depth]));
    return r;
}

/* What a copy needs to know: where each directory and each linked file went. */
struct copy {
    const struct ol_mtree *from;
    struct ol_mtree *to;
    bool split;
    uint32_t *nodes;  /* by node of from */
    uint32_t *inodes; /* by inode of from; OL_M_NONE: not copied yet */
};

static int copy_node(struct copy *c, uint32_t node)
{
    const struct ol_mnode *from = &c->from->nodes[node];
    const struct ol_minode *inode = &c->from->inodes[from->inode];
    const char *name = ol_mtree_name(c->from, node);
    bool shared = inode->type == OL_M_FILE || !c->split;
    uint32_t made = shared ? c->inodes[from->inode] : OL_M_NONE;

    if (made == OL_M_NONE) {
        struct ol_minode init = *inode;
        if (init.type == OL_M_SYMLINK &&
            ol_mtree_keep_text(c->to, c->from->text + inode->text,
                               strlen(c->from->text + inode->text), &init.text) < 0)
            return -ENOMEM;
        made = ol_mtree_inode_new(c->to, &init);
        if (made == OL_M_NONE)
            return -ENOMEM;
        c->inodes[from->inode] = made;
        if (shared)
            c->to->inodes[made].group = inode->group;
    }
    c->nodes[node] = ol_mtree_link(c->to, c->nodes[from->parent], name, strlen(name), made);
    if (c->nodes[node] == OL_M_NONE)
        return -ENOMEM;
    c->to->nodes[c->nodes[node]].layer = from->layer;
    return 0;
}

int ol_mtree_copy(const struct ol_mtree *tree, bool split, struct ol_mtree *ret)
{
    ol_auto_free uint32_t *nodes = reallocarray(NULL, tree->n_nodes, sizeof *nodes);
    ol_auto_free uint32_t *inodes = reallocarray(NULL, tree->n_inodes, sizeof *inodes);
    struct copy c = {tree, ret, split, nodes, inodes};
    int r = ol_mtree_init(ret);

    if (r < 0)
        return r;
    if (nodes == NULL || inodes == NULL)
        r = -ENOMEM;
    if (r == 0) {
        memset(inodes, 0xff, tree->n_inodes * sizeof *inodes); /* OL_M_NONE */
        nodes[OL_M_ROOT] = OL_M_ROOT;
        ret->n_groups =
            tree->n_groups; /* those of from stay taken; the root is the first in both */
    }
    for (uint32_t i = r == 0 ? ol_mtree_next(tree, OL_M_ROOT) : OL_M_NONE; r == 0 && i != OL_M_NONE;
         i = ol_mtree_next(tree, i))
        r = copy_node(&c, i);
    if (r == 0 && !split)
        ret->n_groups = tree->n_groups; /* every inode has its group from there */
    if (r < 0)
        ol_mtree_fini(ret);
    return r;
}

void ol_mtype_count(struct ol_inode_kinds *kinds, enum ol_mtype type, int64_t sign)
{
    switch (type) {
    case OL_M_FILE:
        kinds->regular += sign;
        break;
    case OL_M_DIR:
        kinds->directory += sign;
        break;
    case OL_M_SYMLINK:
        kinds->symlink += sign;
        break;
    case OL_M_DEVICE:
        kinds->device += sign;
        break;
    case OL_M_FIFO:
        kinds->fifo += sign;
        break;
    case OL_M_WHITEOUT:
        kinds->whiteout += sign;
        break;
    }
}

void ol_mtree_kinds(const struct ol_mtree *tree, struct ol_inode_kinds *ret)
{
    *ret = (struct ol_inode_kinds){0};
    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        if (tree->inodes[i].links > 0)
            ol_mtype_count(ret, (enum ol_mtype)tree->inodes[i].type, 1);
    }
}
