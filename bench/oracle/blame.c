/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes and directories of a layer; see blame.h. */
#include "bench/oracle/blame.h"

#include "bench/oracle/model_internal.h"
#include "common/buf.h"
#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Contents of the files that are there, each inode once; only those a layer wrote unless 0. */
static uint64_t file_bytes(const struct ol_mtree *tree, uint32_t layer)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        const struct ol_minode *inode = &tree->inodes[i];

        if (inode->links > 0 && inode->type == OL_M_FILE && (layer == 0 || inode->layer == layer))
            bytes += inode->size;
    }
    return bytes;
}

/* Where nothing is shared the inodes of a group are one file. */
static int copy_bytes(const struct ol_mtree *tree, uint64_t *ret)
{
    ol_auto_free unsigned char *groups = calloc(tree->n_groups + 1, 1);

    if (groups == NULL)
        return -ENOMEM;
    *ret = 0;
    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        const struct ol_minode *inode = &tree->inodes[i];

        if (inode->links == 0 || inode->type != OL_M_FILE || groups[inode->group] != 0)
            continue;
        groups[inode->group] = 1;
        *ret += inode->size;
    }
    return 0;
}

int ol_law_layer_bytes(enum ol_law law, const struct ol_model *model, bool base, uint64_t *ret)
{
    *ret = 0;
    switch (law) {
    case OL_LAW_OVERLAY: /* a clone shares its parent's files */
    case OL_LAW_OVERLAY_CLONE_ALL:
        *ret = file_bytes(&model->merged, base ? 0 : model->layer);
        return 0;
    case OL_LAW_OVERLAY2:
    case OL_LAW_SNAPSHOT:
        *ret = file_bytes(ol_model_own(model), 0);
        return 0;
    case OL_LAW_VFS:
        return copy_bytes(&model->merged, ret);
    case OL_LAW_OVERLAY2_NAIVE: /* what was copied up is there with its content */
        if (model->naive == NULL)
            return -ENOTSUP;
        *ret = file_bytes(base ? &model->merged : &model->naive->upper.tree, 0);
        return 0;
    case OL_LAW_NULL:
    case OL_LAWS:
        break;
    }
    return 0;
}

/* What one directory of the layer holds. */
struct share {
    uint64_t inodes, bytes;
    uint32_t node;
};

static int put_path(const struct ol_mtree *tree, uint32_t node, char **ret)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = 0;

    for (; node != OL_M_ROOT && r == 0; node = tree->nodes[node].parent) {
        ol_auto_free char *below = buf.len > 0 ? ol_buf_steal(&buf) : NULL;

        r = ol_buf_printf(&buf, "%s%s%s", ol_mtree_name(tree, node), below != NULL ? "/" : "",
                          below != NULL ? below : "");
    }
    if (r < 0)
        return r;
    *ret = buf.len > 0 ? ol_buf_steal(&buf) : strdup("");
    return *ret != NULL ? 0 : -ENOMEM;
}

/* What of a tree is charged to the last layer. */
struct bill {
    const struct ol_mtree *tree;
    uint32_t layer;      /* regular files of this layer alone; 0: of all */
    bool clone_all;      /* and specials of this layer alone */
    bool copied;         /* a copy: every name of a special, one file for each group */
    unsigned char *paid; /* owned by the caller; one for each inode or group */
};

static bool is_charged(const struct bill *bill, const struct ol_minode *inode, uint32_t index)
{
    bool file = inode->type == OL_M_FILE;
    uint32_t id = bill->copied && file ? inode->group : index;

    if (bill->copied && !file)
        return true;
    if (bill->layer != 0 && inode->layer != bill->layer &&
        (file || (bill->clone_all && inode->type != OL_M_DIR)))
        return false;
    if (bill->paid[id] != 0)
        return false;
    bill->paid[id] = 1;
    return true;
}

static void add_up(const struct bill *bill, struct share *shares)
{
    const struct ol_mtree *tree = bill->tree;

    for (uint32_t node = OL_M_ROOT; node != OL_M_NONE; node = ol_mtree_next(tree, node)) {
        const uint32_t index = tree->nodes[node].inode;
        const struct ol_minode *inode = &tree->inodes[index];
        struct share *share = node == OL_M_ROOT ? NULL : &shares[tree->nodes[node].parent];

        shares[node].node = node;
        if (share == NULL || !is_charged(bill, inode, index))
            continue;
        share->inodes++;
        share->bytes += inode->type == OL_M_FILE ? inode->size : 0;
    }
}

static int most_first(const void *a, const void *b)
{
    const struct share *x = a;
    const struct share *y = b;

    if (x->inodes != y->inodes)
        return x->inodes < y->inodes ? 1 : -1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->node > y->node) - (x->node < y->node);
}

static int most_bytes_first(const void *a, const void *b)
{
    const struct share *x = a;
    const struct share *y = b;

    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return most_first(a, b);
}

static int rank(struct bill *bill, bool by_bytes, size_t top, struct ol_blamed_dir *ret)
{
    const struct ol_mtree *tree = bill->tree;
    const size_t ids = tree->n_inodes > tree->n_groups ? tree->n_inodes : tree->n_groups;
    ol_auto_free struct share *shares = calloc(tree->n_nodes, sizeof *shares);
    ol_auto_free unsigned char *paid = calloc(ids + 1, 1);
    size_t count = 0;

    if (shares == NULL || paid == NULL)
        return -ENOMEM;
    bill->paid = paid;
    add_up(bill, shares);
    qsort(shares, tree->n_nodes, sizeof *shares, by_bytes ? most_bytes_first : most_first);
    while (count < top && count < tree->n_nodes &&
           (by_bytes ? shares[count].bytes : shares[count].inodes) > 0) {
        ret[count] = (struct ol_blamed_dir){.inodes = shares[count].inodes,
                                            .bytes = shares[count].bytes};
        if (put_path(tree, shares[count].node, &ret[count].path) < 0) {
            while (count > 0)
                free(ret[--count].path);
            return -ENOMEM;
        }
        count++;
    }
    return (int)count;
}

int ol_model_blame(const struct ol_model *model, size_t top, struct ol_blamed_dir *ret)
{
    struct bill bill = {.tree = ol_model_own(model)};

    return rank(&bill, false, top, ret);
}

int ol_model_blame_under(enum ol_law law, const struct ol_model *model, bool base, bool by_bytes,
                         size_t top, struct ol_blamed_dir *ret)
{
    struct bill bill = {.tree = &model->merged, .layer = base ? 0 : model->layer};

    if (law == OL_LAW_VFS) {
        bill.layer = 0;
        bill.copied = true;
    } else if (law == OL_LAW_OVERLAY_CLONE_ALL) {
        bill.clone_all = true;
    } else if (law != OL_LAW_OVERLAY) { /* a layer is its own changes */
        bill = (struct bill){.tree = ol_model_own(model)};
    }
    return rank(&bill, by_bytes, top, ret);
}
