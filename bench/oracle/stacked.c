/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount shows of an image whose layers were unpacked into bare directories, where that is
 * not the tree that a full unpacking makes: the last layer's own tree laid over what is below. And
 * the names that are in both.
 */
#include "bench/oracle/model_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One tree being laid over another. */
struct laying {
    const struct ol_mtree *own;
    struct ol_mtree *tree;
    uint32_t *inodes; /* of own's, by index: the one in tree; OL_M_NONE: not there yet */
};

static int lay_inode(struct laying *l, uint32_t index, uint32_t *ret)
{
    struct ol_minode inode = l->own->inodes[index];
    int r = 0;

    if (l->inodes[index] == OL_M_NONE && inode.type == OL_M_SYMLINK) {
        const char *text = l->own->text + inode.text;

        r = ol_mtree_keep_text(l->tree, text, strlen(text), &inode.text);
    }
    if (r == 0 && l->inodes[index] == OL_M_NONE)
        l->inodes[index] = ol_mtree_inode_new(l->tree, &inode);
    *ret = l->inodes[index];
    return r < 0 || *ret == OL_M_NONE ? -ENOMEM : 0;
}

static int lay_dir(struct laying *l, uint32_t from, uint32_t to);

/* A whiteout deletes, a directory merges with one unless it is opaque, all else replaces. */
static int lay_name(struct laying *l, uint32_t node, uint32_t to)
{
    const struct ol_minode *inode = ol_mtree_inode(l->own, node);
    const char *name = ol_mtree_name(l->own, node);
    uint32_t there = ol_mtree_find(l->tree, to, name, strlen(name));
    const bool is_dir = inode->type == OL_M_DIR;
    const bool merges = is_dir && !inode->opaque && there != OL_M_NONE &&
                        ol_mtree_type(l->tree, there) == OL_M_DIR;
    uint32_t made;
    int r;

    if (there != OL_M_NONE && !merges)
        ol_mtree_remove(l->tree, there);
    if (inode->type == OL_M_WHITEOUT)
        return 0;
    if (!merges) {
        r = lay_inode(l, l->own->nodes[node].inode, &made);
        there = r < 0 ? OL_M_NONE : ol_mtree_link(l->tree, to, name, strlen(name), made);
    }
    if (there == OL_M_NONE)
        return -ENOMEM;
    return is_dir ? lay_dir(l, node, there) : 0;
}

static int lay_dir(struct laying *l, uint32_t from, uint32_t to)
{
    int r = 0;

    for (uint32_t node = l->own->nodes[from].first_child; node != OL_M_NONE && r == 0;
         node = l->own->nodes[node].next)
        r = lay_name(l, node, to);
    return r;
}

int ol_model_stacked(const struct ol_model *model, struct ol_mtree *ret)
{
    const struct ol_mtree *own = ol_model_own(model);
    struct ol_mtree tree;
    struct laying l = {.own = own, .tree = &tree};
    int r;

    if (!model->stacks_differ)
        return ol_mtree_copy(&model->merged, false, ret);
    r = ol_mtree_copy(&model->below, false, &tree);
    if (r < 0)
        return r;
    l.inodes = malloc(((size_t)own->n_inodes + 1) * sizeof *l.inodes);
    for (uint32_t i = 0; l.inodes != NULL && i < own->n_inodes; i++)
        l.inodes[i] = OL_M_NONE;
    r = l.inodes == NULL ? -ENOMEM : lay_dir(&l, OL_M_ROOT, OL_M_ROOT);
    free(l.inodes);
    if (r < 0) {
        ol_mtree_fini(&tree);
        return r;
    }
    *ret = tree;
    return 0;
}

/* A walk of the merged tree that passes on what a mount shows as well. */
struct common {
    const struct ol_mtree *merged, *stacked;
    ol_model_fn *fn;
    void *data;
};

static int pass_on(const struct ol_model_node *node, void *data)
{
    const struct common *c = data;
    const uint32_t there = ol_mtree_find_path(c->stacked, node->path);
    const uint32_t here = ol_mtree_find_path(c->merged, node->path);

    if (there == OL_M_NONE || ol_mtree_type(c->stacked, there) != ol_mtree_type(c->merged, here))
        return 0;
    return c->fn(node, c->data);
}

int ol_model_walk_common(const struct ol_model *model, ol_model_fn *fn, void *data)
{
    struct ol_mtree stacked;
    struct common c = {&model->merged, &stacked, fn, data};
    int r;

    if (!model->stacks_differ)
        return ol_model_walk(model, fn, data);
    r = ol_model_stacked(model, &stacked);
    if (r < 0)
        return r;
    r = ol_model_walk(model, pass_on, &c);
    ol_mtree_fini(&stacked);
    return r;
}
