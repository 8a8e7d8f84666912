/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlab-bench-op: one library operation per process, so that scripts/bench-peers can time it
 * beside other programs on equal terms, process start included. Not installed.
 */
#ifndef OL_BENCH_PEERS_OP_H
#define OL_BENCH_PEERS_OP_H

#include "common/error.h"

#include <stdint.h>

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
extern const struct bench_op bench_mount_ops[];

/** Open a directory; *ret is the caller's. */
int bench_open_dir(const char *path, int *ret, struct ol_error *err);
/** The same after making it. */
int bench_make_dir(const char *path, int *ret, struct ol_error *err);

uint64_t bench_now_ns(void); /* CLOCK_MONOTONIC */
/** How long the operation took without the start of a process: written to the file that the
 * environment variable OVERLAB_BENCH_CLOCK names; without it nothing is done. */
int bench_note_time(uint64_t wall_ns, struct ol_error *err);

#endif
