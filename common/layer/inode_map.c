/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of (device, inode) in little memory: an export may meet every file of a large tree
 * under one of several names. */
#include "common/layer/inode_map.h"

#include "common/banned.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct ol_inode_slot {
    uint64_t ino;
    uint32_t dev;  /* the kernel's: 12 bits of major, 20 of minor */
    uint32_t path; /* offset in paths + 1; 0: free */
};

void ol_inode_map_fini(struct ol_inode_map *map)
{
    free(map->slots);
    ol_buf_fini(&map->paths);
    *map = (struct ol_inode_map)OL_INODE_MAP_INIT;
}

static size_t hash_of(uint64_t dev, uint64_t ino)
{
    uint64_t h = ino * 0x9e3779b97f4a7c15u ^ dev;

    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return (size_t)(h ^ (h >> 32));
}

/* The slot of the inode, or the free one where it belongs. */
static struct ol_inode_slot *slot_for(struct ol_inode_slot *slots, size_t cap, uint64_t dev,
                                      uint64_t ino)
{
    size_t i = hash_of(dev, ino) & (cap - 1);

    while (slots[i].path != 0 && (slots[i].ino != ino || slots[i].dev != dev))
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static int grow(struct ol_inode_map *map)
{
    size_t cap = map->cap == 0 ? 256 : map->cap * 2;
    struct ol_inode_slot *slots = calloc(cap, sizeof *slots);

    if (slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < map->cap; i++) {
        const struct ol_inode_slot *s = &map->slots[i];
        if (s->path != 0)
            *slot_for(slots, cap, s->dev, s->ino) = *s;
    }
    free(map->slots);
    map->slots = slots;
    map->cap = cap;
    return 0;
}

const char *ol_inode_map_find(const struct ol_inode_map *map, const struct stat *st)
{
    const struct ol_inode_slot *slot;

    if (map->cap == 0)
        return NULL;
    slot = slot_for(map->slots, map->cap, st->st_dev, st->st_ino);
    return slot->path == 0 ? NULL : map->paths.data + slot->path - 1;
}

int ol_inode_map_add(struct ol_inode_map *map, const struct stat *st, const char *path)
{
    struct ol_inode_slot *slot;
    size_t len = strlen(path) + 1, at = map->paths.len;

    if (map->count >= map->cap / 8 * 7 && grow(map) < 0)
        return -ENOMEM;
    slot = slot_for(map->slots, map->cap, st->st_dev, st->st_ino);
    if (slot->path != 0)
        return 0;
    if (st->st_dev > UINT32_MAX || at + len >= UINT32_MAX)
        return -EOVERFLOW;
    if (ol_buf_append(&map->paths, path, len) < 0)
        return -ENOMEM;
    *slot = (struct ol_inode_slot){st->st_ino, (uint32_t)st->st_dev, (uint32_t)at + 1};
    map->count++;
    return 1;
}
