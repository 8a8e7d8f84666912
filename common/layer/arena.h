/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for many small strings that are freed together: the paths of a list of changes. */
#ifndef OL_COMMON_LAYER_ARENA_H
#define OL_COMMON_LAYER_ARENA_H

#include <stddef.h>

struct ol_arena;

/** @return NULL when out of memory */
struct ol_arena *ol_arena_new(void);
void ol_arena_free(struct ol_arena *arena);

/** len bytes, not aligned. @return NULL when out of memory */
char *ol_arena_alloc(struct ol_arena *arena, size_t len);

/** Move everything from holds into arena and free from; pointers stay valid. */
void ol_arena_absorb(struct ol_arena *arena, struct ol_arena *from);

#endif
