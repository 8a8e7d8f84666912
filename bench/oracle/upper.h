/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container's writes leave in an overlay's upper directory, worked out in memory: the rules
 * of drivers/rootfs_overlay.c (and so of Linux fs/overlayfs) on trees of tree.h. Beside it, what
 * the same writes change in a plain copy of the tree (vfs). Paths are canonical: no symlink lies on
 * their way.
 */
#ifndef OL_BENCH_ORACLE_UPPER_H
#define OL_BENCH_ORACLE_UPPER_H

#include "bench/oracle/tree.h"

enum { OL_UPPER_LOWERS_MAX = 2 };

struct ol_upper {
    struct ol_mtree tree;                               /* the upper directory */
    const struct ol_mtree *lowers[OL_UPPER_LOWERS_MAX]; /* borrowed, nearest first */
    unsigned n_lowers;
    uint32_t cached;             /* inode of the cached whiteout, or OL_M_NONE */
    struct ol_inode_kinds plain; /* change of a plain copy so far */
    struct ol_upper_gone {       /* owned; files of lowers that lost a name in the plain copy */
        const struct ol_mtree *tree;
        uint32_t group, names;
    } * gone;
    size_t n_gone;
};

/** Empty, over one or two lower trees. @return 0 or -ENOMEM */
int ol_upper_init(struct ol_upper *upper, const struct ol_mtree *nearest,
                  const struct ol_mtree *below);
/** Starting with a content copy of another upper's tree (legacy overlay's container layer), and of
 * what is gone in its plain copy. */
int ol_upper_init_copy(struct ol_upper *upper, const struct ol_upper *from,
                       const struct ol_mtree *lower);
void ol_upper_fini(struct ol_upper *upper);

/* All return 0 or negative errno, as the system calls of the same names. */
int ol_upper_type(const struct ol_upper *upper, const char *path, enum ol_mtype *ret);
int ol_upper_make(struct ol_upper *upper, const char *path, enum ol_mtype type);
/** The same with all that is known of the new inode. */
int ol_upper_make_inode(struct ol_upper *upper, const char *path, const struct ol_minode *inode);
int ol_upper_unlink(struct ol_upper *upper, const char *path);
/** A change of content or attributes: the object is copied up. */
int ol_upper_touch(struct ol_upper *upper, const char *path);
/** Of a non-directory onto a name that is free. */
int ol_upper_rename(struct ol_upper *upper, const char *path, const char *target);

/** One more name for a file that is in the upper. */
int ol_upper_link(struct ol_upper *upper, const char *path, const char *target);
/** A directory with everything in it. */
int ol_upper_remove_dir(struct ol_upper *upper, const char *path);
/**
 * Before that: raise the highest count of the tree to what no order of removing is above, with
 * every directory below copied up while nothing is gone yet. @return 0 or negative errno
 */
int ol_upper_bound_removal(struct ol_upper *upper, const char *path);

/** The inode seen under the name, in the upper or in a lower; NULL: there is none. Two names of one
 * inode give the same pointer. */
const struct ol_minode *ol_upper_inode(const struct ol_upper *upper, const char *path);

/** Note other metadata on what is in the upper. @return 0 or -ENOENT */
int ol_upper_set_meta(struct ol_upper *upper, const char *path, uint32_t meta);

/** What is seen through the mount, as one tree over the nearest lower. ret is initialised by the
 * call. @return 0 or -ENOMEM */
int ol_upper_flatten(const struct ol_upper *upper, struct ol_mtree *ret);

/** True when the cached whiteout has no other name: the next mount of the layer frees it. */
bool ol_upper_cached_alone(const struct ol_upper *upper);

/** Inodes of the upper directory (itself included) and the cached whiteout. */
void ol_upper_kinds(const struct ol_upper *upper, struct ol_inode_kinds *ret);

#endif
