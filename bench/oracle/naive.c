/* SPDX-License-Identifier: Apache-2.0 */
/* Layers through a mount; see naive.h. */
#include "bench/oracle/naive.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ol_mnaive *ol_mnaive_new(void)
{
    return calloc(1, sizeof(struct ol_mnaive));
}

void ol_mnaive_free(struct ol_mnaive *naive)
{
    if (naive == NULL)
        return;
    ol_upper_fini(&naive->upper);
    ol_mtree_fini(&naive->lower);
    free(naive);
}

/* Take a tree over as the lower one. */
static int set_lower(struct ol_mnaive *naive, const struct ol_mtree *tree)
{
    ol_upper_fini(&naive->upper);
    ol_mtree_fini(&naive->lower);
    naive->lower = *tree;
    naive->of_nothing = 0;
    naive->mounted = true;
    return ol_upper_init(&naive->upper, &naive->lower, NULL);
}

int ol_mnaive_begin(struct ol_mnaive *naive, const struct ol_mtree *base)
{
    struct ol_mtree tree;
    int r = naive->mounted ? ol_upper_flatten(&naive->upper, &tree)
                           : ol_mtree_copy(base, false, &tree);

    return r < 0 ? r : set_lower(naive, &tree);
}

int ol_mnaive_copy(const struct ol_mnaive *naive, struct ol_mnaive **ret)
{
    struct ol_mnaive *copy = ol_mnaive_new();
    struct ol_mtree tree;
    int r = copy == NULL ? -ENOMEM : 0;

    if (r == 0 && naive->mounted) {
        r = ol_upper_flatten(&naive->upper, &tree);
        if (r == 0)
            r = set_lower(copy, &tree);
    }
    if (r < 0) {
        ol_mnaive_free(copy);
        return r;
    }
    *ret = copy;
    return 0;
}

/* Of a node, without a slash behind it. */
static int path_of(const struct ol_mtree *tree, uint32_t node, struct ol_buf *buf)
{
    int r = ol_mtree_put_path(tree, node, buf);

    if (r == 0 && buf->len > 0)
        ol_buf_truncate(buf, buf->len - 1);
    return r;
}

int ol_mnaive_made(struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t node)
{
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;
    int r = path_of(merged, node, &path);

    return r < 0 ? r
                 : ol_upper_make_inode(&naive->upper, ol_buf_str(&path),
                                       ol_mtree_inode(merged, node));
}

static int remove_path(struct ol_mnaive *naive, const char *path)
{
    int r = ol_upper_unlink(&naive->upper, path);

    if (r != -EISDIR)
        return r;
    r = ol_upper_bound_removal(&naive->upper, path);
    return r < 0 ? r : ol_upper_remove_dir(&naive->upper, path);
}

int ol_mnaive_removed(struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t node)
{
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;
    int r = path_of(merged, node, &path);

    return r < 0 ? r : remove_path(naive, ol_buf_str(&path));
}

int ol_mnaive_touched(struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t node)
{
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;
    int r = path_of(merged, node, &path);

    return r < 0 ? r : ol_upper_touch(&naive->upper, ol_buf_str(&path));
}

/* Metadata reach the one name they are set through: it is copied up when it is not. */
static int set_meta(struct ol_mnaive *naive, const char *path, const struct ol_minode *wanted)
{
    const struct ol_minode *there = ol_upper_inode(&naive->upper, path);
    int r = 0;

    if (there == NULL || there->meta == wanted->meta)
        return there == NULL ? -ENOENT : 0;
    r = ol_upper_touch(&naive->upper, path);
    return r < 0 ? r : ol_upper_set_meta(&naive->upper, path, wanted->meta);
}

/* As the applier does it: link first, look at what is in the way when that fails. */
static int link_paths(struct ol_mnaive *naive, const char *target, const char *place,
                      const struct ol_minode *wanted)
{
    const struct ol_minode *there = ol_upper_inode(&naive->upper, place);
    int r = 0;

    if (there != NULL && there == ol_upper_inode(&naive->upper, target))
        return set_meta(naive, place, wanted);
    if (there != NULL)
        r = remove_path(naive, place);
    if (r == 0)
        r = ol_upper_touch(&naive->upper, target);
    if (r == 0)
        r = ol_upper_link(&naive->upper, target, place);
    return r < 0 ? r : set_meta(naive, place, wanted);
}

int ol_mnaive_linked(struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t target,
                     uint32_t parent, const char *name)
{
    ol_auto_buf struct ol_buf from = OL_BUF_INIT;
    ol_auto_buf struct ol_buf to = OL_BUF_INIT;
    int r = path_of(merged, target, &from);

    if (r == 0)
        r = ol_mtree_put_path(merged, parent, &to);
    if (r == 0)
        r = ol_buf_puts(&to, name);
    return r < 0 ? r
                 : link_paths(naive, ol_buf_str(&from), ol_buf_str(&to),
                              ol_mtree_inode(merged, target));
}

/* ---- listed ---- */

struct listing {
    const struct ol_mtree *before, *after;
    uint32_t layer;
    unsigned char *seen; /* by inode of after */
    struct ol_inode_kinds *kinds;
};

static void count_once(struct listing *l, uint32_t node)
{
    const uint32_t inode = l->after->nodes[node].inode;

    if (l->seen[inode] == 0)
        ol_mtype_count(l->kinds, ol_mtree_type(l->after, node), 1);
    l->seen[inode] = 1;
}

/* Names of a directory that went. */
static bool count_gone(struct listing *l, uint32_t before, uint32_t after)
{
    bool any = false;

    for (uint32_t i = l->before->nodes[before].first_child; i != OL_M_NONE;
         i = l->before->nodes[i].next) {
        const char *name = ol_mtree_name(l->before, i);

        if (ol_mtree_find(l->after, after, name, strlen(name)) != OL_M_NONE)
            continue;
        l->kinds->whiteout++;
        any = true;
    }
    return any;
}

/* @param before  the directory of that name, or OL_M_NONE @return whether anything is different */
static bool list_dir(struct listing *l, uint32_t before, uint32_t after)
{
    bool any = before == OL_M_NONE || count_gone(l, before, after);

    for (uint32_t i = l->after->nodes[after].first_child; i != OL_M_NONE;
         i = l->after->nodes[i].next) { /* as deep as a path can be */
        const char *name = ol_mtree_name(l->after, i);
        const bool is_dir = ol_mtree_type(l->after, i) == OL_M_DIR;
        uint32_t old = before == OL_M_NONE ? OL_M_NONE
                                           : ol_mtree_find(l->before, before, name, strlen(name));
        bool changed;

        if (old != OL_M_NONE && ol_mtree_type(l->before, old) != ol_mtree_type(l->after, i))
            old = OL_M_NONE;
        changed = old == OL_M_NONE || ol_mtree_inode(l->after, i)->layer == l->layer;
        if (is_dir && list_dir(l, old, i))
            changed = true;
        if (changed)
            count_once(l, i);
        any = any || changed;
    }
    return any;
}

int ol_mnaive_listed(const struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t layer,
                     struct ol_inode_kinds *ret)
{
    ol_auto_free unsigned char *seen = calloc(merged->n_inodes, 1);
    struct listing listing = {&naive->lower, merged, layer, seen, ret};

    if (seen == NULL)
        return -ENOMEM;
    *ret = (struct ol_inode_kinds){.directory = 1, .whiteout = naive->of_nothing}; /* diff */
    (void)list_dir(&listing, OL_M_ROOT, OL_M_ROOT);
    return 0;
}
