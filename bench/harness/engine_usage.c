/* SPDX-License-Identifier: Apache-2.0 */
/* Counting what an engine holds, the same for all of them. */
#include "bench/harness/engine.h"
#include "bench/harness/home_usage.h"
#include "bench/oracle/model_internal.h"
#include "common/fs/tree.h"

int ol_engine_usage_home(struct ol_engine_usage *ret, int home_fd, struct ol_error *err)
{
    struct ol_home_usage home;
    int r = ol_home_usage_get(home_fd, &home, err);

    if (r < 0)
        return r;
    *ret = (struct ol_engine_usage){
        .kinds = home.kinds,
        .inodes = ol_inode_kinds_total(&home.kinds),
        .bytes = (int64_t)home.bytes,
    };
    return 0;
}

int ol_engine_usage_add_metadata(struct ol_engine_usage *usage, int fd, struct ol_error *err)
{
    struct ol_tree_usage found;
    int r = ol_tree_usage(fd, false, &found, err);

    if (r < 0)
        return r;
    usage->metadata_inodes += (int64_t)found.inodes;
    usage->metadata_bytes += (int64_t)found.bytes;
    return 0;
}

int ol_engine_usage_add_around(struct ol_engine_usage *usage, int fd, struct ol_error *err)
{
    int r = ol_engine_usage_add_metadata(usage, fd, err);

    if (r < 0)
        return r;
    usage->metadata_inodes -= usage->inodes;
    usage->metadata_bytes -= usage->bytes;
    return 0;
}

void ol_engine_usage_sum(struct ol_engine_usage *to, const struct ol_engine_usage *what, int sign)
{
    ol_inode_kinds_add(&to->kinds, &what->kinds, sign);
    to->inodes += sign * what->inodes;
    to->bytes += sign * what->bytes;
    to->metadata_inodes += sign * what->metadata_inodes;
    to->metadata_bytes += sign * what->metadata_bytes;
}
