/* SPDX-License-Identifier: Apache-2.0 */
/* Which path an inode was first seen under: hard links within one tar, sizes counted once. */
#ifndef OL_COMMON_LAYER_INODE_MAP_H
#define OL_COMMON_LAYER_INODE_MAP_H

#include <stddef.h>
#include <sys/stat.h>

struct ol_inode_slot;

struct ol_inode_map {
    struct ol_inode_slot *slots; /* owned; open addressing */
    size_t count, cap;
};

#define OL_INODE_MAP_INIT                                                                          \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }

void ol_inode_map_fini(struct ol_inode_map *map);

/** The path the inode of st was first seen under, or NULL. */
const char *ol_inode_map_find(const struct ol_inode_map *map, const struct stat *st);

/**
 * Remember path for the inode of st, unless it has one.
 * @param path       borrowed for the life of the map
 * @param ret_first  the earlier path, NULL when there was none
 * @return 0 or -ENOMEM
 */
int ol_inode_map_add(struct ol_inode_map *map, const struct stat *st, const char *path,
                     const char **ret_first);

#endif
