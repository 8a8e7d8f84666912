/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What overlay2 keeps when layers are applied through a mount (diff=naive): every change goes to an
 * overlay's upper directory, so whiteouts share an inode and what is changed is copied up. The
 * model tells each change of its merged tree; names are the same on both sides, links need not be:
 * a copy-up takes one name away from the others.
 */
#ifndef OL_BENCH_ORACLE_NAIVE_H
#define OL_BENCH_ORACLE_NAIVE_H

#include "bench/oracle/upper.h"

struct ol_mnaive {
    bool mounted;          /* false: the base layer, which is unpacked as it is */
    struct ol_mtree lower; /* the layers below, as they are seen */
    struct ol_upper upper; /* this layer, over lower */
    uint32_t of_nothing;   /* whiteouts of the layer's that hide no name of lower */
};

struct ol_mnaive *ol_mnaive_new(void);
void ol_mnaive_free(struct ol_mnaive *naive); /* accepts NULL */
/** Another one of the same layers; the layer that was begun is not carried over. 0 or -ENOMEM. */
int ol_mnaive_copy(const struct ol_mnaive *naive, struct ol_mnaive **ret);

/** The next layer begins. @param base  the base layer's tree, when that is the one below */
int ol_mnaive_begin(struct ol_mnaive *naive, const struct ol_mtree *base);

/* One change of the merged tree. All return 0 or negative errno. */
int ol_mnaive_made(struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t node);
/** Before it goes. */
int ol_mnaive_removed(struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t node);
/** A directory got metadata. */
int ol_mnaive_touched(struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t node);
/** Before parent/name becomes a link to target, whose inode has the entry's metadata already. */
int ol_mnaive_linked(struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t target,
                     uint32_t parent, const char *name);

/**
 * What the layer's diff directory holds when the naive diff's tar is unpacked into it without a
 * mount: every name that went is a whiteout of its own, opaque directories are none.
 * @param layer  the model's number of this layer, which marks what it wrote
 * @return 0 or -ENOMEM
 */
int ol_mnaive_listed(const struct ol_mnaive *naive, const struct ol_mtree *merged, uint32_t layer,
                     struct ol_inode_kinds *ret);

#endif
