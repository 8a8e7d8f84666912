/* SPDX-License-Identifier: Apache-2.0 */
/* A list of chunks; only the first has room. */
#include "common/layer/arena.h"

#include "common/banned.h"

#include <stdlib.h>

enum { ARENA_CHUNK = 64 << 10 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    char bytes[];
};

struct ol_arena {
    struct chunk *head; /* owned; the one that is filled */
};

struct ol_arena *ol_arena_new(void)
{
    return calloc(1, sizeof(struct ol_arena));
}

void ol_arena_free(struct ol_arena *arena)
{
    struct chunk *next;

    if (arena == NULL)
        return;
    for (struct chunk *c = arena->head; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    free(arena);
}

char *ol_arena_alloc(struct ol_arena *arena, size_t len)
{
    struct chunk *c = arena->head;

    if (c == NULL || c->size - c->used < len) {
        size_t size = len > ARENA_CHUNK ? len : ARENA_CHUNK;
        c = malloc(sizeof *c + size);
        if (c == NULL)
            return NULL;
        c->next = arena->head;
        c->used = 0;
        c->size = size;
        arena->head = c;
    }
    c->used += len;
    return c->bytes + c->used - len;
}

void ol_arena_absorb(struct ol_arena *arena, struct ol_arena *from)
{
    struct chunk **last = &arena->head;

    while (*last != NULL)
        last = &(*last)->next;
    *last = from->head;
    from->head = NULL;
    ol_arena_free(from);
}
