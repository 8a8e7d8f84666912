/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a driver's home holds: distinct inodes by kind, as the oracle predicts them (oracle.h).
 *
 * The count is ol_tree_usage()'s; this only tells the driver's own making from the layers' content,
 * by position, which is the same in every driver's layout:
 *
 *   <home>, <home>/l and what is in it, <home>/dir (vfs)            bookkeeping
 *   <home>/<id>, and in it everything but root, upper, diff         bookkeeping
 *   <home>/<id>/work/work                                           bookkeeping
 *   all else, the top directories of content and what is cached in work/work included: by type
 */
#ifndef OL_BENCH_HARNESS_HOME_USAGE_H
#define OL_BENCH_HARNESS_HOME_USAGE_H

#include "bench/oracle/oracle.h"

struct ol_home_usage {
    struct ol_inode_kinds kinds;
    uint64_t bytes; /* blocks * 512 of distinct inodes */
};

/**
 * Count the home of any of the drivers. The kinds' sum is ol_tree_usage().inodes.
 * @return 0 or negative errno with a text
 */
int ol_home_usage_get(int home_fd, struct ol_home_usage *ret, struct ol_error *err);

#endif
