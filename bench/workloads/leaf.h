/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bench/workloads: directories that can be replaced. */
#ifndef OL_BENCH_WORKLOADS_LEAF_H
#define OL_BENCH_WORKLOADS_LEAF_H

#include "bench/oracle/oracle.h"

#include <stddef.h>

struct ol_leaves {
    char **paths; /* owned, each owned; sorted */
    size_t count, room;
};

/**
 * Directories that hold something, but no directory, and nothing the init layer overrides; where
 * drivers see different images (ol_model_stacks_differ()), those that all of them see.
 * @param ret  zeroed; ol_leaves_fini() it, also after a failure
 * @return 0 or -ENOMEM
 */
int ol_leaves_find(const struct ol_model *model, struct ol_leaves *ret);
void ol_leaves_fini(struct ol_leaves *leaves);

/** True for a path that is one of these directories or lies in one. */
bool ol_leaves_hold(char *const *dirs, size_t count, const char *path);

#endif
