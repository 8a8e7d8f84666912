/* SPDX-License-Identifier: Apache-2.0 */
/* The set of inode_set.h. */
#include "common/fs/inode_set.h"

#include "common/error.h"

#include <errno.h>

/*
 * Neighbouring inode numbers usually come together, so eight of them share a cache line: the line
 * is hashed, the place in it is not.
 */
static size_t slot_of(const struct ol_inode_set *set, uint64_t ino)
{
    uint64_t line = (ino >> 3) * 0x9e3779b97f4a7c15u;
    size_t at = ((size_t)(line >> 32) << 3 | (size_t)(ino & 7)) & (set->cap - 1);

    while (set->keys[at] != 0 && set->keys[at] != ino)
        at = (at + 1) & (set->cap - 1);
    return at;
}

static int grow(struct ol_inode_set *set)
{
    struct ol_inode_set bigger = {
        .cap = set->cap == 0 ? 1024 : set->cap * 2,
        .count = set->count,
        .counting = set->counting,
        .has_zero = set->has_zero,
    };

    bigger.keys = calloc(bigger.cap, sizeof *bigger.keys);
    if (set->counting)
        bigger.left = calloc(bigger.cap, sizeof *bigger.left);
    if (bigger.keys == NULL || (set->counting && bigger.left == NULL)) {
        ol_inode_set_fini(&bigger);
        return -ENOMEM;
    }
    for (size_t i = 0; i < set->cap; i++) {
        size_t at;
        if (set->keys[i] == 0)
            continue;
        at = slot_of(&bigger, set->keys[i]);
        bigger.keys[at] = set->keys[i];
        if (set->counting)
            bigger.left[at] = set->left[i];
    }
    ol_inode_set_fini(set);
    *set = bigger;
    return 0;
}

/* @return slot of ino with *ret_new set, or -ENOMEM */
static int64_t place(struct ol_inode_set *set, uint64_t ino, bool *ret_new)
{
    size_t at;

    if (set->count >= set->cap / 3 * 2 && grow(set) < 0)
        return -ENOMEM;
    at = slot_of(set, ino);
    *ret_new = set->keys[at] == 0;
    if (*ret_new) {
        set->keys[at] = ino;
        set->count++;
    }
    return (int64_t)at;
}

static int add_zero(struct ol_inode_set *set)
{
    bool was = set->has_zero;

    set->has_zero = true;
    return was ? 0 : 1;
}

int ol_inode_set_add(struct ol_inode_set *set, uint64_t ino)
{
    bool added;

    if (ino == 0)
        return add_zero(set);
    return place(set, ino, &added) < 0 ? -ENOMEM : added;
}

int ol_inode_set_count(struct ol_inode_set *set, uint64_t ino, uint32_t nlink)
{
    bool added;
    int64_t at;

    set->counting = true;
    if (ino == 0)
        return add_zero(set);
    at = place(set, ino, &added);
    if (at < 0)
        return -ENOMEM;
    if (added)
        set->left[at] = nlink;
    if (set->left[at] > 0)
        set->left[at]--;
    return added;
}

uint64_t ol_inode_set_incomplete(const struct ol_inode_set *set)
{
    uint64_t found = 0;

    for (size_t i = 0; set->counting && i < set->cap; i++)
        found += set->keys[i] != 0 && set->left[i] != 0;
    return found;
}

void ol_inode_set_fini(struct ol_inode_set *set)
{
    free(set->keys);
    free(set->left);
    *set = (struct ol_inode_set){.counting = set->counting};
}
