/* SPDX-License-Identifier: Apache-2.0 */
/* The parallel walk behind ol_changes_compare(), apart from putting its results together. */
#ifndef OL_COMMON_LAYER_CHANGES_WALK_H
#define OL_COMMON_LAYER_CHANGES_WALK_H

#include "common/layer/arena.h"
#include "common/layer/changes.h"

#include <stdint.h>

enum { OL_SIDE_NEW, OL_SIDE_OLD };

/* What one thread found. */
struct ol_changes_part {
    struct ol_change *items; /* owned; unsorted */
    size_t count, cap;
    struct ol_arena *arena; /* owned; the paths */
};

struct ol_changes_walk {
    const struct ol_stack *sides[2]; /* OL_SIDE_* */
    int *layer_fds;                  /* owned; the distinct directories of both sides */
    unsigned n_layers;
    uint16_t *roots[2]; /* owned; for each side its directories, as indices of layer_fds */
    unsigned threads;
    struct ol_changes_part *parts; /* owned; one for each thread */
};

/** Compare everything below the roots; the parts hold the result. @return 0 or negative errno */
int ol_changes_walk_run(struct ol_changes_walk *walk, struct ol_error *err);

/** moby statDifferent() of pkg/archive/changes_unix.go: what a stat shows of a modification. */
bool ol_changes_stat_differs(const struct stat *old_st, const struct stat *new_st);

#endif
