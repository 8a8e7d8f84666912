/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing two stacks: telling their layers apart, running the walk, putting the parts of its
 * threads together in one order; and the size of a change set. */
#include "common/layer/changes.h"

#include "common/cleanup.h"
#include "common/fs/inode_map.h"
#include "common/layer/arena.h"
#include "common/layer/changes_walk.h"
#include "common/layer/stack.h"
#include "common/pool.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Descriptors all threads together may hold: a quarter of the usual limit of 1,024. */
enum { WALK_FDS_MAX = 256 };

void ol_changes_fini(struct ol_changes *changes)
{
    if (changes == NULL)
        return;
    free(changes->items);
    ol_arena_free(changes->arena);
    *changes = (struct ol_changes)OL_CHANGES_INIT;
}

static void walk_fini(struct ol_changes_walk *walk)
{
    for (unsigned i = 0; walk->parts != NULL && i < walk->threads; i++) {
        free(walk->parts[i].items);
        ol_arena_free(walk->parts[i].arena);
    }
    free(walk->parts);
    free(walk->layer_fds);
    free(walk->roots[0]);
    free(walk->roots[1]);
}

/* The same directory on both sides becomes the same layer: where only such are left, both sides
 * are equal and need no looking at. */
static int add_layers(struct ol_changes_walk *walk, struct stat *known, int side,
                      struct ol_error *err)
{
    const struct ol_stack *stack = walk->sides[side];

    for (size_t i = 0; i < stack->count; i++) {
        struct stat *st = &known[walk->n_layers];
        unsigned k = 0;

        if (fstat(stack->fds[i], st) < 0)
            return ol_error_sys(err, errno, "cannot look at directory %zu of the %s side", i,
                                side == OL_SIDE_NEW ? "new" : "old");
        while (k < walk->n_layers &&
               (known[k].st_dev != st->st_dev || known[k].st_ino != st->st_ino))
            k++;
        if (k == walk->n_layers)
            walk->layer_fds[walk->n_layers++] = stack->fds[i];
        walk->roots[side][i] = (uint16_t)k;
    }
    return 0;
}

static int walk_init(struct ol_changes_walk *walk, unsigned threads, struct ol_error *err)
{
    size_t total = walk->sides[0]->count + walk->sides[1]->count;
    ol_auto_free struct stat *known = NULL;
    unsigned most;

    if (total > UINT16_MAX)
        return ol_error_set(err, -E2BIG, "%zu directories are too many to compare", total);
    known = calloc(total + 1, sizeof *known);
    walk->layer_fds = calloc(total + 1, sizeof *walk->layer_fds);
    for (int side = 0; side < 2; side++) {
        walk->roots[side] = calloc(walk->sides[side]->count + 1, sizeof *walk->roots[side]);
        if (known == NULL || walk->layer_fds == NULL || walk->roots[side] == NULL)
            return ol_error_nomem(err);
    }
    for (int side = 0; side < 2; side++) {
        int r = add_layers(walk, known, side, err);
        if (r < 0)
            return r;
    }
    threads = ol_pool_threads(threads);
    most = WALK_FDS_MAX / (walk->n_layers + 1);
    walk->threads = threads <= most ? threads : most > 0 ? most : 1;
    walk->parts = calloc(walk->threads, sizeof *walk->parts);
    return walk->parts == NULL ? ol_error_nomem(err) : 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct ol_change *)a)->path, ((const struct ol_change *)b)->path);
}

/* One sorted list of all parts, whichever thread found what. */
static int join(struct ol_changes_walk *walk, struct ol_changes *ret, struct ol_error *err)
{
    struct ol_changes all = OL_CHANGES_INIT;

    for (unsigned i = 0; i < walk->threads; i++)
        all.cap += walk->parts[i].count;
    all.items = calloc(all.cap + 1, sizeof *all.items);
    all.arena = ol_arena_new();
    if (all.items == NULL || all.arena == NULL) {
        ol_changes_fini(&all);
        return ol_error_nomem(err);
    }
    for (unsigned i = 0; i < walk->threads; i++) {
        struct ol_changes_part *part = &walk->parts[i];
        if (part->count == 0)
            continue;
        memcpy(all.items + all.count, part->items, part->count * sizeof *part->items);
        all.count += part->count;
        ol_arena_absorb(all.arena, part->arena);
        part->arena = NULL;
    }
    qsort(all.items, all.count, sizeof *all.items, by_path);
    *ret = all;
    return 0;
}

int ol_changes_compare(const struct ol_stack *new_side, const struct ol_stack *old_side,
                       unsigned threads, struct ol_changes *ret, struct ol_error *err)
{
    struct ol_changes_walk walk = {.sides = {new_side, old_side}};
    int r = walk_init(&walk, threads, err);

    if (r == 0)
        r = ol_changes_walk_run(&walk, err);
    if (r == 0)
        r = join(&walk, ret, err);
    walk_fini(&walk);
    return r;
}

/* 0 or the bytes of one change; *ret is added to. */
static int add_size(struct ol_stack_cursor *cursor, struct ol_inode_map *seen,
                    const struct ol_change *change, uint64_t *ret, struct ol_error *err)
{
    struct ol_stack_entry entry;
    int r = ol_stack_cursor_find(cursor, change->path, &entry);

    if (r == -ENOENT)
        return 0; /* vanished since the comparison: moby logs and goes on */
    if (r < 0)
        return ol_error_sys(err, -r, "cannot look at '%s'", change->path);
    if (S_ISDIR(entry.st.st_mode))
        return 0;
    if (entry.st.st_nlink > 1) {
        r = ol_inode_map_set(seen, &entry.st, 0);
        if (r < 0)
            return ol_error_sys(err, -r, "cannot remember the links of '%s'", change->path);
        if (r == 0)
            return 0;
    }
    *ret += (uint64_t)entry.st.st_size;
    return 0;
}

int ol_changes_size(const struct ol_stack *new_side, const struct ol_changes *changes,
                    uint64_t *ret_bytes, struct ol_error *err)
{
    struct ol_inode_map seen = OL_INODE_MAP_INIT;
    struct ol_stack_cursor cursor;
    uint64_t bytes = 0;
    int r = ol_stack_cursor_init(&cursor, new_side);

    if (r < 0)
        r = ol_error_nomem(err);
    for (size_t i = 0; r == 0 && i < changes->count; i++)
        if (changes->items[i].kind != OL_CHANGE_DELETE)
            r = add_size(&cursor, &seen, &changes->items[i], &bytes, err);
    ol_stack_cursor_fini(&cursor);
    ol_inode_map_fini(&seen);
    if (r == 0)
        *ret_bytes = bytes;
    return r;
}
