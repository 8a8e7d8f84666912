/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of (device, inode), at most half full. */
#include "common/layer/inode_map.h"

#include "common/banned.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

struct ol_inode_slot {
    dev_t dev;
    ino_t ino;
    const char *path; /* NULL: free */
};

void ol_inode_map_fini(struct ol_inode_map *map)
{
    free(map->slots);
    *map = (struct ol_inode_map)OL_INODE_MAP_INIT;
}

static size_t hash_of(dev_t dev, ino_t ino)
{
    uint64_t h = (uint64_t)ino * 0x9e3779b97f4a7c15u ^ (uint64_t)dev;

    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return (size_t)(h ^ (h >> 32));
}

/* The slot of the inode, or the free one where it belongs. */
static struct ol_inode_slot *slot_for(struct ol_inode_slot *slots, size_t cap, dev_t dev, ino_t ino)
{
    size_t i = hash_of(dev, ino) & (cap - 1);

    while (slots[i].path != NULL && (slots[i].ino != ino || slots[i].dev != dev))
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
        if (s->path != NULL)
            *slot_for(slots, cap, s->dev, s->ino) = *s;
    }
    free(map->slots);
    map->slots = slots;
    map->cap = cap;
    return 0;
}

const char *ol_inode_map_find(const struct ol_inode_map *map, const struct stat *st)
{
    if (map->cap == 0)
        return NULL;
    return slot_for(map->slots, map->cap, st->st_dev, st->st_ino)->path;
}

int ol_inode_map_add(struct ol_inode_map *map, const struct stat *st, const char *path,
                     const char **ret_first)
{
    struct ol_inode_slot *slot;

    if (map->count * 2 >= map->cap && grow(map) < 0)
        return -ENOMEM;
    slot = slot_for(map->slots, map->cap, st->st_dev, st->st_ino);
    *ret_first = slot->path;
    if (slot->path == NULL) {
        *slot = (struct ol_inode_slot){st->st_dev, st->st_ino, path};
        map->count++;
    }
    return 0;
}
