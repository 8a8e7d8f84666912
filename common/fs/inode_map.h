/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A number for each inode: open addressing, sixteen bytes an inode, at most seven eighths full.
 * What the number stands for (an offset, an index) is kept by whoever fills the map.
 */
#ifndef OL_COMMON_FS_INODE_MAP_H
#define OL_COMMON_FS_INODE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct ol_inode_slot;

struct ol_inode_map {
    struct ol_inode_slot *slots; /* owned */
    size_t count, cap;
};

#define OL_INODE_MAP_INIT                                                                          \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void ol_inode_map_fini(struct ol_inode_map *map);

/** @return whether the inode of st is in the map; then its number is in *ret */
bool ol_inode_map_find(const struct ol_inode_map *map, const struct stat *st, uint32_t *ret);

/**
 * Give the inode of st a number, instead of the one it may have.
 * @param value  below UINT32_MAX
 * @return 1 when the inode is new, 0 when it was there, -ENOMEM, or -EOVERFLOW: a device number
 * beyond the 32 bits Linux uses, or the value too large
 */
int ol_inode_map_set(struct ol_inode_map *map, const struct stat *st, uint64_t value);

#endif
