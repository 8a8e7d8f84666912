/* SPDX-License-Identifier: Apache-2.0 */
/* A plan from the inside, for plan.c and plan_run.c. */
#ifndef OL_BENCH_WORKLOADS_PLAN_INTERNAL_H
#define OL_BENCH_WORKLOADS_PLAN_INTERNAL_H

#include "bench/workloads/replay.h"
#include "bench/workloads/workload.h"

struct ol_plan {
    struct ol_op *ops; /* owned */
    size_t count;
    struct ol_inode_kinds overlay, overlay2, snapshot, plain; /* what carrying it out adds */
    bool overlay_cached, overlay2_cached; /* it leaves a cached whiteout that nothing shares */
    struct ol_replay *replay;             /* owned; instead of ops, or NULL */
    bool unpredicted;                     /* the oracle cannot follow it */
    bool native_empty, naive_empty;       /* what a diff of either kind has of it is nothing */
};

#endif
