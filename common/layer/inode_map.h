/* SPDX-License-Identifier: Apache-2.0 */
/* Which path an inode was first seen under: hard links within one tar, sizes counted once. Sixteen
 * bytes an inode and the bytes of its path, at most seven eighths full. */
#ifndef OL_COMMON_LAYER_INODE_MAP_H
#define OL_COMMON_LAYER_INODE_MAP_H

#include "common/buf.h"

#include <stddef.h>
#include <sys/stat.h>

struct ol_inode_slot;

struct ol_inode_map {
    struct ol_inode_slot *slots; /* owned; open addressing */
    size_t count, cap;
    struct ol_buf paths; /* one after the other, each with its NUL */
};

#define OL_INODE_MAP_INIT                                                                          \
    {                                                                                              \
        NULL, 0, 0, OL_BUF_INIT                                                                    \
    }

void ol_inode_map_fini(struct ol_inode_map *map);

/** The path the inode of st was first seen under, or NULL. Valid until the next inode is added. */
const char *ol_inode_map_find(const struct ol_inode_map *map, const struct stat *st);

/**
 * Remember path for the inode of st, unless it has one.
 * @param path  copied
 * @return 1 when the inode is new, 0 when it has a path, -ENOMEM, or -EOVERFLOW: a device number
 * beyond Linux's 32 bits, or 4 GiB of paths
 */
int ol_inode_map_add(struct ol_inode_map *map, const struct stat *st, const char *path);

#endif
