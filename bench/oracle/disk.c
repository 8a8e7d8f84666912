/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks on disk; see disk.h. */
#include "bench/oracle/disk.h"

#include "bench/oracle/blame.h"
#include "bench/oracle/model_internal.h"
#include "common/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 4096,
    EXT4_TAIL = 12,         /* checksum at the end of each directory block */
    EXT4_DOTS = 24,         /* "." and ".." */
    EXT4_INLINE_LINK = 60,  /* a shorter target lies in the inode's block map */
    EXT4_LEAF_PERCENT = 72, /* how full leaves are that split in the middle (ln 2, and some luck) */
    EXT4_INODE = 256,
    HOME_NAME = 64 + sizeof "-init" - 1, /* the longest a driver's home has: an id, and a suffix */
    HOME_SPARE = 4,                      /* names of layers on their way in or out */
    XFS_INODE = 512,
    XFS_LITERAL = 336,     /* of a 512-byte inode, behind its core */
    XFS_SF_HEADER = 6,     /* of a directory in the inode */
    XFS_BLOCK_OWN = 120,   /* header, tail, "." and ".." with their hash entries */
    XFS_LEAF_PERCENT = 90, /* several blocks fill up in turn */
};

/* What the names of one directory need. */
struct dir {
    uint64_t ext4, xfs_sf, xfs_block;
    uint64_t ext4_lost; /* the names that were deleted in it */
};

static void add_name(struct dir *dir, const char *name)
{
    const size_t len = strlen(name);

    dir->ext4 += UINT64_C(4) * ol_mname_units(len);
    dir->xfs_sf += len + 8;
    dir->xfs_block += ((12 + len + 7) & ~(size_t)7) + 8; /* and its hash entry */
}

static uint64_t divide_up(uint64_t n, uint64_t by)
{
    return (n + by - 1) / by;
}

static uint64_t ext4_dir(const struct dir *dir, bool *estimate)
{
    const uint64_t room = BLOCK - EXT4_TAIL;
    uint64_t leaves;

    if (dir->ext4 + dir->ext4_lost + EXT4_DOTS <= room)
        return BLOCK;
    *estimate = true;
    if (dir->ext4 + EXT4_DOTS <= room)
        return BLOCK; /* or more, if all of them were there at once */
    leaves = divide_up(dir->ext4 * 100, room * EXT4_LEAF_PERCENT);
    return (1 + (leaves < 2 ? 2 : leaves)) * BLOCK;
}

static uint64_t xfs_dir(const struct dir *dir)
{
    if (dir->xfs_sf + XFS_SF_HEADER <= XFS_LITERAL)
        return 0;
    if (dir->xfs_block + XFS_BLOCK_OWN <= BLOCK)
        return BLOCK;
    return (1 + divide_up(dir->xfs_block * 100, (uint64_t)BLOCK * XFS_LEAF_PERCENT)) * BLOCK;
}

static uint64_t dir_bytes(enum ol_disk_fs fs, const struct dir *dir, bool *estimate)
{
    if (fs == OL_DISK_EXT4)
        return ext4_dir(dir, estimate);
    return fs == OL_DISK_XFS ? xfs_dir(dir) : 0; /* btrfs charges none to the inode */
}

static uint64_t symlink_bytes(enum ol_disk_fs fs, uint64_t len)
{
    switch (fs) {
    case OL_DISK_EXT4:
        return len < EXT4_INLINE_LINK ? 0 : BLOCK;
    case OL_DISK_XFS:
        return len <= XFS_LITERAL ? 0 : BLOCK;
    default:
        return BLOCK; /* lies in the metadata, and is counted as a block */
    }
}

/* Which inodes of which tree are the layer's own. */
struct own {
    const struct ol_mtree *tree;
    bool all;           /* else what is shared with the parent is not */
    bool share_special; /* links are shared for all but directories */
    bool groups;        /* inodes of one group are one file */
    uint32_t layer;
};

static int own_of(enum ol_law law, const struct ol_model *model, bool base, struct own *ret)
{
    struct own own = {.tree = &model->merged, .all = true, .layer = model->layer};

    switch (law) {
    case OL_LAW_OVERLAY:
    case OL_LAW_OVERLAY_CLONE_ALL:
        own.all = base;
        own.share_special = law == OL_LAW_OVERLAY_CLONE_ALL;
        break;
    case OL_LAW_OVERLAY2:
        own.tree = ol_model_own(model);
        break;
    case OL_LAW_SNAPSHOT:
        own.tree = base ? &model->merged : ol_model_own(model);
        break;
    case OL_LAW_VFS:
        own.groups = true;
        break;
    case OL_LAW_OVERLAY2_NAIVE:
        if (model->naive == NULL)
            return -ENOTSUP;
        own.tree = base ? &model->merged : &model->naive->upper.tree;
        break;
    case OL_LAW_NULL:
    case OL_LAWS:
        break;
    }
    *ret = own;
    return 0;
}

static bool is_own(const struct own *own, const struct ol_minode *inode)
{
    if (own->all || inode->type == OL_M_DIR || inode->layer == own->layer)
        return true;
    return inode->type != OL_M_FILE && !own->share_special;
}

/* What the driver keeps beside the content: directories of a few names, and small files. */
static uint64_t beside(enum ol_law law, bool base, enum ol_disk_fs fs)
{
    const uint64_t dir = fs == OL_DISK_EXT4 ? BLOCK : 0;
    const uint64_t link = symlink_bytes(fs, sizeof "../" - 1 + 64 + sizeof "/diff" - 1);

    switch (law) {
    case OL_LAW_OVERLAY:
    case OL_LAW_OVERLAY_CLONE_ALL:
        return dir;
    case OL_LAW_OVERLAY2: /* layer directory, link and its name in l/; work, lower */
        return dir + BLOCK + link + (base ? 0 : dir + BLOCK);
    case OL_LAW_OVERLAY2_NAIVE: /* and work/work */
        return dir + BLOCK + link + (base ? 0 : 2 * dir + BLOCK);
    case OL_LAW_SNAPSHOT:
        return 2 * dir;
    default:
        return 0;
    }
}

static uint64_t inode_size(enum ol_disk_fs fs)
{
    return fs == OL_DISK_EXT4 ? EXT4_INODE : fs == OL_DISK_XFS ? XFS_INODE : 0;
}

/* Each inode where one of its names is met. */
struct adding {
    const struct own *own;
    enum ol_disk_fs fs;
    const struct dir *dirs;         /* by node */
    unsigned char *inodes, *groups; /* seen */
    struct ol_disk_bytes *bytes;
};

static void add_inode(struct adding *a, uint32_t node)
{
    const struct ol_mtree *tree = a->own->tree;
    const uint32_t index = tree->nodes[node].inode;
    const struct ol_minode *inode = &tree->inodes[index];
    const bool by_name = a->own->groups && inode->type != OL_M_FILE; /* a copy splits these */
    uint64_t bytes = 0;

    if (!is_own(a->own, inode) || (a->inodes[index] != 0 && !by_name) ||
        (a->own->groups && !by_name && a->groups[inode->group] != 0))
        return;
    a->inodes[index] = 1;
    a->groups[inode->group] = 1;
    if (inode->type == OL_M_FILE)
        bytes = divide_up(inode->size, BLOCK) * BLOCK;
    else if (inode->type == OL_M_SYMLINK)
        bytes = symlink_bytes(a->fs, inode->size);
    else if (inode->type == OL_M_DIR)
        bytes = dir_bytes(a->fs, &a->dirs[node], &a->bytes->estimate);
    if (inode->type == OL_M_DIR)
        a->bytes->directories += bytes;
    a->bytes->allocated += bytes;
}

static int add_tree(const struct own *own, enum ol_disk_fs fs, struct ol_disk_bytes *bytes)
{
    const struct ol_mtree *tree = own->tree;
    ol_auto_free struct dir *dirs = calloc(tree->n_nodes, sizeof *dirs);
    ol_auto_free unsigned char *inodes = calloc(tree->n_inodes + 1, 1);
    ol_auto_free unsigned char *groups = calloc(tree->n_groups + 1, 1);
    struct adding adding = {own, fs, dirs, inodes, groups, bytes};

    if (dirs == NULL || inodes == NULL || groups == NULL)
        return -ENOMEM;
    for (uint32_t i = OL_M_ROOT; i != OL_M_NONE; i = ol_mtree_next(tree, i))
        dirs[i].ext4_lost = UINT64_C(4) * ol_mtree_inode(tree, i)->lost;
    for (uint32_t i = ol_mtree_next(tree, OL_M_ROOT); i != OL_M_NONE; i = ol_mtree_next(tree, i))
        add_name(&dirs[tree->nodes[i].parent], ol_mtree_name(tree, i));
    for (uint32_t i = OL_M_ROOT; i != OL_M_NONE; i = ol_mtree_next(tree, i))
        add_inode(&adding, i);
    return 0;
}

int ol_law_layer_disk(enum ol_law law, const struct ol_model *model, bool base, enum ol_disk_fs fs,
                      struct ol_disk_bytes *ret)
{
    struct ol_disk_bytes bytes = {.estimate = fs == OL_DISK_XFS ||
                                              (law == OL_LAW_OVERLAY2_NAIVE && !base)};
    struct ol_inode_kinds kinds;
    struct own own;
    int r = own_of(law, model, base, &own);

    if (r == 0)
        r = ol_law_image_layer(law, model, base, &kinds);
    if (r == 0)
        r = ol_law_layer_bytes(law, model, base, &bytes.content);
    if (r == 0 && law != OL_LAW_NULL)
        r = add_tree(&own, fs, &bytes);
    if (r < 0)
        return r;
    bytes.allocated += beside(law, base, fs);
    bytes.inode_table = (uint64_t)ol_inode_kinds_total(&kinds) * inode_size(fs);
    *ret = bytes;
    return 0;
}

bool ol_disk_home_is_flat(enum ol_disk_fs fs, uint64_t layers)
{
    const uint64_t room = BLOCK - EXT4_TAIL - EXT4_DOTS;

    return fs != OL_DISK_EXT4 || (layers + HOME_SPARE) * 4 * ol_mname_units(HOME_NAME) <= room;
}

int ol_law_layer_shared(enum ol_law law, const struct ol_model *model, bool base,
                        struct ol_inode_kinds *ret)
{
    struct own own;
    int r = own_of(law, model, base, &own);

    if (r < 0)
        return r;
    *ret = (struct ol_inode_kinds){0};
    for (uint32_t i = 0; i < own.tree->n_inodes; i++) {
        const struct ol_minode *inode = &own.tree->inodes[i];

        if (inode->links > 0 && !is_own(&own, inode))
            ol_mtype_count(ret, (enum ol_mtype)inode->type, 1);
    }
    return 0;
}
