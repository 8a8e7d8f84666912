/* SPDX-License-Identifier: Apache-2.0 */
/* What a model says of itself: its counts, one name of the merged tree, all of them in order. */
#include "bench/oracle/model_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void count_merged(const struct ol_model *model, struct ol_model_counts *ret)
{
    const struct ol_mtree *tree = &model->merged;

    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        const struct ol_minode *inode = &tree->inodes[i];
        if (inode->links == 0)
            continue;
        if (inode->type == OL_M_DIR) {
            ret->directories++;
        } else if (inode->type == OL_M_FILE) {
            ret->regular++;
            ret->regular_names += inode->links;
            ret->written += inode->layer == model->layer ? 1 : 0;
        } else {
            ret->specials += inode->links;
            ret->special_inodes++;
        }
    }
}

static void count_own(const struct ol_mtree *tree, struct ol_model_counts *ret)
{
    struct ol_inode_kinds kinds;

    ol_mtree_kinds(tree, &kinds);
    ret->layer_directories = (uint64_t)kinds.directory - 1; /* without the diff directory itself */
    ret->layer_regular = (uint64_t)kinds.regular;
    ret->layer_specials = (uint64_t)(kinds.symlink + kinds.device + kinds.fifo);
    ret->layer_whiteouts = (uint64_t)kinds.whiteout;
    for (uint32_t i = 0; i < tree->n_inodes; i++)
        ret->layer_opaques += tree->inodes[i].links > 0 && tree->inodes[i].opaque ? 1 : 0;
}

void ol_model_counts(const struct ol_model *model, struct ol_model_counts *ret)
{
    *ret = (struct ol_model_counts){0};
    count_merged(model, ret);
    count_own(ol_model_own(model), ret);
}

static struct ol_model_node node_of(const struct ol_mtree *tree, uint32_t node, const char *path)
{
    const struct ol_minode *inode = ol_mtree_inode(tree, node);
    enum ol_model_type type = OL_MODEL_OTHER;

    if (inode->type == OL_M_FILE)
        type = OL_MODEL_FILE;
    else if (inode->type == OL_M_DIR)
        type = OL_MODEL_DIRECTORY;
    else if (inode->type == OL_M_SYMLINK)
        type = OL_MODEL_SYMLINK;
    return (struct ol_model_node){
        .path = path,
        .type = type,
        .size = inode->size,
        .mode = inode->mode,
        .links = inode->links,
    };
}

uint32_t ol_model_find(const struct ol_model *model, const char *path)
{
    return ol_mtree_find_path(&model->merged, path);
}

bool ol_model_lookup(const struct ol_model *model, const char *path, struct ol_model_node *ret)
{
    uint32_t node = ol_model_find(model, path);

    if (node == OL_M_NONE)
        return false;
    *ret = node_of(&model->merged, node, path);
    return true;
}

/* A walk in sorted pre-order: one sorted list of children for each directory on the way. */
struct level {
    uint32_t *children; /* owned */
    size_t count, at;
    size_t path_len; /* of the directory */
};

struct walk {
    const struct ol_mtree *tree;
    struct level *levels; /* owned */
    size_t depth, cap;
    struct ol_buf path;
};

static int by_name(const void *a, const void *b, void *data)
{
    const struct ol_mtree *tree = data;

    return strcmp(ol_mtree_name(tree, *(const uint32_t *)a),
                  ol_mtree_name(tree, *(const uint32_t *)b));
}

static int push_level(struct walk *w, uint32_t dir)
{
    struct level level = {.path_len = w->path.len};

    if (w->depth == w->cap) {
        size_t cap = w->cap == 0 ? 16 : w->cap * 2;
        struct level *levels = reallocarray(w->levels, cap, sizeof *levels);
        if (levels == NULL)
            return -ENOMEM;
        w->levels = levels;
        w->cap = cap;
    }
    for (uint32_t i = w->tree->nodes[dir].first_child; i != OL_M_NONE; i = w->tree->nodes[i].next)
        level.count++;
    level.children = reallocarray(NULL, level.count + 1, sizeof *level.children);
    if (level.children == NULL)
        return -ENOMEM;
    level.count = 0;
    for (uint32_t i = w->tree->nodes[dir].first_child; i != OL_M_NONE; i = w->tree->nodes[i].next)
        level.children[level.count++] = i;
    if (level.count > 1)
        qsort_r(level.children, level.count, sizeof *level.children, by_name,
                (struct ol_mtree *)(uintptr_t)w->tree);
    w->levels[w->depth++] = level;
    return 0;
}

/* Visit the next child of the innermost directory, or leave it. */
static int walk_step(struct walk *w, ol_model_fn *fn, void *data)
{
    struct level *level = &w->levels[w->depth - 1];
    struct ol_model_node node;
    uint32_t child;
    int r;

    ol_buf_truncate(&w->path, level->path_len);
    if (level->at == level->count) {
        free(level->children);
        w->depth--;
        return 0;
    }
    child = level->children[level->at++];
    if ((w->path.len > 0 && ol_buf_putc(&w->path, '/') < 0) ||
        ol_buf_puts(&w->path, ol_mtree_name(w->tree, child)) < 0)
        return -ENOMEM;
    node = node_of(w->tree, child, w->path.data);
    r = fn(&node, data);
    return r == 0 && node.type == OL_MODEL_DIRECTORY ? push_level(w, child) : r;
}

int ol_model_walk(const struct ol_model *model, ol_model_fn *fn, void *data)
{
    struct walk w = {.tree = &model->merged, .path = OL_BUF_INIT};
    const struct ol_model_node root = node_of(w.tree, OL_M_ROOT, "");
    int r = fn(&root, data);

    if (r == 0)
        r = push_level(&w, OL_M_ROOT);
    while (r == 0 && w.depth > 0)
        r = walk_step(&w, fn, data);
    while (w.depth > 0)
        free(w.levels[--w.depth].children);
    free(w.levels);
    ol_buf_fini(&w.path);
    return r;
}
