/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of (device, inode) in little memory: a large tree may have several names for every
 * file in it. */
#include "common/fs/inode_map.h"

#include "common/banned.h"

#include <errno.h>
#include <stdlib.h>

struct ol_inode_slot {
    uint64_t ino;
    uint32_t dev;   /* the kernel's: 12 bits of major, 20 of minor */
    uint32_t taken; /* the value + 1; 0: free */
};

void ol_inode_map_fini(struct ol_inode_map *map)
{
    free(map->slots);
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

    while (slots[i].taken != 0 && (slots[i].ino != ino || slots[i].dev != dev))
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
        if (s->taken != 0)
            *slot_for(slots, cap, s->dev, s->ino) = *s;
    }
    free(map->slots);
    map->slots = slots;
    map->cap = cap;
    return 0;
}

bool ol_inode_map_find(const struct ol_inode_map *map, const struct stat *st, uint32_t *ret)
{
    const struct ol_inode_slot *slot;

    if (map->cap == 0)
        return false;
    slot = slot_for(map->slots, map->cap, st->st_dev, st->st_ino);
    if (slot->taken == 0)
        return false;
    *ret = slot->taken - 1;
    return true;
}

int ol_inode_map_set(struct ol_inode_map *map, const struct stat *st, uint64_t value)
{
    struct ol_inode_slot *slot;
    bool added;

    if (st->st_dev > UINT32_MAX || value >= UINT32_MAX)
        return -EOVERFLOW;
    if (map->count >= map->cap / 8 * 7 && grow(map) < 0)
        return -ENOMEM;
    slot = slot_for(map->slots, map->cap, st->st_dev, st->st_ino);
    added = slot->taken == 0;
    *slot = (struct ol_inode_slot){st->st_ino, (uint32_t)st->st_dev, (uint32_t)value + 1};
    map->count += added;
    return added;
}
