/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory tree in memory: names, inodes and links, nothing else. Nodes and inodes live in two
 * arrays and know each other by index: some 90 bytes a name, names included.
 */
#ifndef OL_BENCH_ORACLE_TREE_H
#define OL_BENCH_ORACLE_TREE_H

#include "bench/oracle/oracle.h"
#include "common/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ol_mtype {
    OL_M_FILE,
    OL_M_DIR,
    OL_M_SYMLINK,
    OL_M_DEVICE,
    OL_M_FIFO,
    OL_M_WHITEOUT, /* only in trees that stand for an overlay's upper directory */
};

enum { OL_M_ROOT = 0 };
#define OL_M_NONE UINT32_MAX /* not an enumerator: those are ints */

struct ol_mnode {
    uint32_t parent, first_child, next, prev; /* node indices; siblings in no order */
    uint32_t hash_next;
    uint32_t name;  /* offset in the text */
    uint32_t inode; /* OL_M_NONE: a free node */
    uint32_t layer; /* the layer whose tar had a header for this name; 0: none had */
};

struct ol_minode {
    uint64_t size;
    uint32_t meta;  /* a hash of what an entry sets and a diff compares: owner, mode, and mtime of
                       what is no directory */
    uint32_t links; /* names; 0: a free inode */
    uint32_t layer; /* the layer that made or wrote it */
    uint32_t group; /* inodes of one group are one inode where nothing is shared (vfs) */
    union {
        uint32_t text; /* symlink: offset of its target in the text */
        uint32_t made; /* directory: the layer that made it; its metadata may be a later one's */
    };
    uint16_t mode;
    uint8_t type; /* enum ol_mtype */
    bool opaque;
    bool split;    /* another inode is, or was, of its group */
    uint16_t lost; /* directory: names that the layer deleted in it, as ol_mname_units(), summed up;
                      UINT16_MAX: that or more */
};

/** What a name takes in a directory of ext4, in units of four bytes. */
static inline uint32_t ol_mname_units(size_t len)
{
    return (uint32_t)(8 + len + 3) / 4;
}

/* Told when an inode gets its first name (sign 1), and when it has lost its last (-1). */
typedef void ol_mtree_watch_fn(void *data, const struct ol_minode *inode, int sign);

struct ol_mtree {
    struct ol_mnode *nodes;
    struct ol_minode *inodes;
    uint32_t n_nodes, cap_nodes, free_node;    /* free_node chains through next */
    uint32_t n_inodes, cap_inodes, free_inode; /* free_inode chains through group */
    uint32_t n_groups;                         /* groups given out so far; never given out again */
    uint32_t *buckets;
    uint32_t n_buckets, used; /* a power of two; used: live nodes */
    uint32_t live, live_peak; /* inodes with a name, and the highest count of them so far */
    ol_mtree_watch_fn *watch; /* NULL: nobody; not copied */
    void *watch_data;
    char *text; /* names and symlink targets, each with its NUL */
    size_t text_len, text_cap;
};

/** A tree of a root directory alone. @return 0 or -ENOMEM */
int ol_mtree_init(struct ol_mtree *tree);
/** Accepts a zeroed tree. */
void ol_mtree_fini(struct ol_mtree *tree);

static inline const char *ol_mtree_name(const struct ol_mtree *tree, uint32_t node)
{
    return tree->text + tree->nodes[node].name;
}

static inline struct ol_minode *ol_mtree_inode(const struct ol_mtree *tree, uint32_t node)
{
    return &tree->inodes[tree->nodes[node].inode];
}

static inline enum ol_mtype ol_mtree_type(const struct ol_mtree *tree, uint32_t node)
{
    return (enum ol_mtype)ol_mtree_inode(tree, node)->type;
}

/** A new inode without a name yet, in a group of its own. @return index, or OL_M_NONE: no memory */
uint32_t ol_mtree_inode_new(struct ol_mtree *tree, const struct ol_minode *init);
/** Keep a text (a symlink's target). @return 0 or -ENOMEM */
int ol_mtree_keep_text(struct ol_mtree *tree, const char *text, size_t len, uint32_t *ret);

/** The child called name (len bytes), or OL_M_NONE. */
uint32_t ol_mtree_find(const struct ol_mtree *tree, uint32_t parent, const char *name, size_t len);
/** The node of a path below the root, "" being the root, or OL_M_NONE. */
uint32_t ol_mtree_find_path(const struct ol_mtree *tree, const char *path);
/** Give the inode one more name; the name must be free. @return node, or OL_M_NONE: no memory */
uint32_t ol_mtree_link(struct ol_mtree *tree, uint32_t parent, const char *name, size_t len,
                       uint32_t inode);
/** Take the name away, with everything below it. */
void ol_mtree_remove(struct ol_mtree *tree, uint32_t node);
/** Count a name the inode has outside the tree. */
void ol_mtree_hold(struct ol_mtree *tree, uint32_t inode);
/** Let node be a name of another inode. */
void ol_mtree_relink(struct ol_mtree *tree, uint32_t node, uint32_t inode);

/** The next node of a walk in no particular order, starting from OL_M_ROOT; OL_M_NONE at the end.
 */
uint32_t ol_mtree_next(const struct ol_mtree *tree, uint32_t node);

/** Append "a/b" of a node, with a slash behind it unless it is the root. @return 0; -ENAMETOOLONG
 * deeper than a path can be; -ENOMEM */
int ol_mtree_put_path(const struct ol_mtree *tree, uint32_t node, struct ol_buf *buf);

/**
 * Copy all names below the root. ret is initialised by the call. Groups are kept.
 * @param split  as a content copy does: links between regular files are kept, every other name gets
 *               an inode (and a group) of its own; false: all links are kept
 * @return 0 or -ENOMEM
 */
int ol_mtree_copy(const struct ol_mtree *tree, bool split, struct ol_mtree *ret);

/** Live inodes by kind, the root included; nothing is bookkeeping. */
void ol_mtree_kinds(const struct ol_mtree *tree, struct ol_inode_kinds *ret);

/** Add sign times the inode's kind. */
void ol_mtype_count(struct ol_inode_kinds *kinds, enum ol_mtype type, int64_t sign);

#endif
