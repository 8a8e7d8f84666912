/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlab-bench-op: one library operation per process, so that scripts/bench-peers can time it
 * beside other programs on equal terms, process start included. Not installed.
 */
#ifndef OL_BENCH_PEERS_OP_H
#define OL_BENCH_PEERS_OP_H

#include "common/error.h"

struct bench_op {
    const char *name;
    const char *operands; /* for the usage text */
    int count;            /* of operands */
    int (*run)(char **operands, struct ol_error *err);
};

/* Tables end with an entry without a name. */
extern const struct bench_op bench_tree_ops[];
extern const struct bench_op bench_layer_ops[];
extern const struct bench_op bench_commit_ops[];
extern const struct bench_op bench_snapshot_ops[];

/** Open a directory; *ret is the caller's. */
int bench_open_dir(const char *path, int *ret, struct ol_error *err);
/** The same after making it. */
int bench_make_dir(const char *path, int *ret, struct ol_error *err);

#endif
