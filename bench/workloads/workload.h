/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seeded docker-commit workload: which files a container adds, modifies, deletes, renames … The
 * plan is made once from the model of the image and then carried out, the same, on every engine.
 */
#ifndef OL_BENCH_WORKLOADS_WORKLOAD_H
#define OL_BENCH_WORKLOADS_WORKLOAD_H

#include "bench/oracle/oracle.h"
#include "drivers/rootfs.h"
#include "store/image.h"

/* How many of each kind of change one commit makes. */
struct ol_change_mix {
    unsigned add, modify, remove, rename, chmod, mkdir;
    unsigned symlink; /* new symlinks */
    unsigned link;    /* new files with two names */
    unsigned replace; /* directories removed with what they hold, and made anew with one file */
};
#define OL_CHANGE_MIX_DEFAULT                                                                      \
    ((struct ol_change_mix){                                                                       \
        .add = 10, .modify = 5, .remove = 3, .rename = 1, .chmod = 1, .mkdir = 1})

/** Parse "add=A,modify=M,delete=D,rename=R,chmod=C,mkdir=K,symlink=S,link=L,replace=P"; keys left
 * out are 0, and "none" is all of them. */
int ol_change_mix_parse(const char *text, struct ol_change_mix *ret, struct ol_error *err);

enum ol_op_kind {
    OL_OP_ADD,
    OL_OP_MODIFY,
    OL_OP_DELETE,
    OL_OP_RENAME,
    OL_OP_CHMOD,
    OL_OP_MKDIR,
    OL_OP_SYMLINK,
    OL_OP_LINK,
    OL_OP_REPLACE
};
struct ol_op {
    enum ol_op_kind kind;
    char *path;   /* owned by the plan */
    char *target; /* rename: the new path; symlink: its text; link: the second name; replace: the
                     new file */
    uint64_t size;
    uint64_t content_seed;
    unsigned mode;
};

struct ol_plan; /* one commit's operations */
/**
 * Plan one commit's changes from the model's merged tree and apply them to the model as one layer.
 * Same model, mix, bytes and seed: same plan. -ENOENT when the image has too few files, naming the
 * kind.
 * @param change_bytes  size of each added or modified file
 */
int ol_plan_make(struct ol_model *model, const struct ol_change_mix *mix, uint64_t change_bytes,
                 uint64_t seed, struct ol_plan **ret, struct ol_error *err);
void ol_plan_free(struct ol_plan *plan);
size_t ol_plan_count(const struct ol_plan *plan);
const struct ol_op *ol_plan_op(const struct ol_plan *plan, size_t index);

/**
 * Instead of that: the plan is these operations, in this order. The paths are the caller's to
 * choose: files with one name that the init layer leaves alone, or the oracle's prediction is not
 * that of an overlay.
 * @param ops  their texts are copied
 * @return 0; -ENOENT, -EEXIST … what the first impossible operation would fail with
 */
int ol_plan_list(struct ol_model *model, const struct ol_op *ops, size_t count,
                 struct ol_plan **ret, struct ol_error *err);

/**
 * Instead of that: the plan is what layers[index] of an image changes, and the model is fed with
 * that layer (ol_replay_plan()). It has no operations to look at.
 */
int ol_plan_replay(struct ol_model *model, const struct ol_input *layers, size_t index,
                   bool keep_owner, struct ol_plan **ret, struct ol_error *err);

/** Carry the plan out in a container's root. */
int ol_plan_run(const struct ol_plan *plan, struct ol_rootfs *fs, struct ol_error *err);

/** Inodes carrying out the plan adds to the container's upper ("container.change"), law by law. */
void ol_plan_predict(const struct ol_plan *plan, enum ol_law law, struct ol_inode_kinds *ret);

/** True when the law's diff of it is empty. A replayed layer may leave only copies of what was
 * there, which a native diff has and a naive one has not. */
bool ol_plan_is_empty(const struct ol_plan *plan, enum ol_law law);

/** False when the oracle cannot follow a replayed layer: there is nothing to say about its change.
 */
bool ol_plan_is_predicted(const struct ol_plan *plan);

/** True when it leaves a cached whiteout that no name in the upper shares: mounting the container
 * once more, for a commit, frees it. */
bool ol_plan_leaves_cached(const struct ol_plan *plan, enum ol_law law);

/**
 * The built-in image: seeded, reproducible to the byte, shaped like a small Debian system, three
 * layers. Layers are generated while they are read.
 */
int ol_builtin_image_new(uint64_t seed, struct ol_image **ret, struct ol_error *err);

#endif
