/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of inode numbers of one device: open addressing, eight bytes an inode (twelve when it also
 * counts links), at most two thirds full. Not for use outside common/fs.
 */
#ifndef OL_COMMON_FS_INODE_SET_H
#define OL_COMMON_FS_INODE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ol_inode_set {
    uint64_t *keys; /* owned; 0: free slot */
    uint32_t *left; /* owned, NULL unless counting: names of this inode not seen yet */
    size_t cap;     /* a power of two, or 0 */
    size_t count;
    bool counting;
    bool has_zero; /* inode number 0, which marks free slots, is in the set */
};

/** @return 1 when ino is new, 0 when it was there, -ENOMEM */
int ol_inode_set_add(struct ol_inode_set *set, uint64_t ino);

/** The same in a counting set: nlink names exist, this is one of them. */
int ol_inode_set_count(struct ol_inode_set *set, uint64_t ino, uint32_t nlink);

/** Inodes of a counting set with names that were never seen. */
uint64_t ol_inode_set_incomplete(const struct ol_inode_set *set);

void ol_inode_set_fini(struct ol_inode_set *set);

#endif
