/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying a plan out in a container's root; planning is plan.c. */
#include "bench/workloads/plan_internal.h"

#include "bench/workloads/random.h"
#include "common/cleanup.h"
#include "common/io.h"

#include <errno.h>

/* The content in blocks; the first one creates or overwrites. */
static int write_content(struct ol_rootfs *fs, const struct ol_op *op, const char *path,
                         struct ol_error *err)
{
    const size_t room = op->size < OL_IO_BLOCK ? (size_t)op->size : (size_t)OL_IO_BLOCK;
    ol_auto_free char *block = malloc(room + 1);
    struct ol_random random;
    uint64_t done = 0;
    int r = 0;

    if (block == NULL)
        return ol_error_nomem(err);
    ol_random_seed(&random, op->content_seed);
    do {
        size_t len = op->size - done < room ? (size_t)(op->size - done) : room;
        ol_random_fill(&random, block, len);
        if (done > 0)
            r = ol_rootfs_append(fs, path, block, len, err);
        else if (op->kind != OL_OP_MODIFY)
            r = ol_rootfs_create(fs, path, op->mode, block, len, err);
        else
            r = ol_rootfs_write(fs, path, block, len, err);
        done += len;
    } while (r == 0 && done < op->size);
    return r;
}

static int run_link(struct ol_rootfs *fs, const struct ol_op *op, struct ol_error *err)
{
    int r = write_content(fs, op, op->path, err);

    return r < 0 ? r : ol_rootfs_link(fs, op->path, op->target, err);
}

static int run_replacement(struct ol_rootfs *fs, const struct ol_op *op, struct ol_error *err)
{
    int r = ol_rootfs_remove_tree(fs, op->path, err);

    if (r == 0)
        r = ol_rootfs_mkdir(fs, op->path, 0755, err);
    return r < 0 ? r : write_content(fs, op, op->target, err);
}

static int run_op(const struct ol_op *op, struct ol_rootfs *fs, struct ol_error *err)
{
    switch (op->kind) {
    case OL_OP_ADD:
    case OL_OP_MODIFY:
        return write_content(fs, op, op->path, err);
    case OL_OP_SYMLINK:
        return ol_rootfs_symlink(fs, op->target, op->path, err);
    case OL_OP_LINK:
        return run_link(fs, op, err);
    case OL_OP_REPLACE:
        return run_replacement(fs, op, err);
    case OL_OP_DELETE:
        return ol_rootfs_unlink(fs, op->path, err);
    case OL_OP_RENAME:
        return ol_rootfs_rename(fs, op->path, op->target, err);
    case OL_OP_CHMOD:
        return ol_rootfs_chmod(fs, op->path, op->mode, err);
    case OL_OP_MKDIR:
        return ol_rootfs_mkdir(fs, op->path, op->mode, err);
    }
    return ol_error_set(err, -EINVAL, "no such operation");
}

int ol_plan_run(const struct ol_plan *plan, struct ol_rootfs *fs, struct ol_error *err)
{
    int r = plan->replay != NULL ? ol_replay_run(plan->replay, fs, err) : 0;

    for (size_t i = 0; r == 0 && i < plan->count; i++)
        r = run_op(&plan->ops[i], fs, err);
    return r;
}
