/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Was the layer that a replayed build step committed the layer it was made from? The two tars are
 * held against each other entry by entry and header by header, and where their bytes differ both
 * are unpacked on the same tree and the results compared. Every reason is counted, none is guessed.
 */
#ifndef OL_BENCH_HARNESS_REPLAY_CHECK_H
#define OL_BENCH_HARNESS_REPLAY_CHECK_H

#include "common/digest.h"
#include "common/error.h"
#include "common/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ol_replay_reason_kind {
    OL_REASON_WHITEOUT_TIME,
    OL_REASON_WHITEOUT_MODE,
    OL_REASON_DIRECTORY_TIME,
    OL_REASON_TIME,
    OL_REASON_TIME_FRACTION,
    OL_REASON_MODE,
    OL_REASON_OWNER,
    OL_REASON_XATTRS,
    OL_REASON_TYPE,
    OL_REASON_LINK,
    OL_REASON_DEVICE,
    OL_REASON_CONTENT,
    OL_REASON_MISSING_ROOT,
    OL_REASON_MISSING_OPAQUE,
    OL_REASON_MISSING_WHITEOUT,
    OL_REASON_MISSING_DIRECTORY,
    OL_REASON_MISSING,
    OL_REASON_EXTRA_DIRECTORY,
    OL_REASON_EXTRA_WHITEOUT,
    OL_REASON_EXTRA_OPAQUE,
    OL_REASON_EXTRA,
    OL_REASON_DUPLICATE,
    OL_REASON_ORDER,
    OL_REASON_SPELLING,
    OL_REASON_PAX,
    OL_REASON_GNU,
    OL_REASON_OWNER_NAMES,
    OL_REASON_MODE_BITS,
    OL_REASON_PADDING,
    OL_REASON_BYTES,
    OL_REASON_TREE,
    OL_REASONS
};

/** "whiteout-times", …: the spelling of JSON. */
const char *ol_replay_reason_name(enum ol_replay_reason_kind kind);
/** What it means, as the end of "3 entries: …". */
const char *ol_replay_reason_text(enum ol_replay_reason_kind kind);

struct ol_replay_reason {
    uint64_t count; /* entries, or what the text of the kind counts; 0: not a reason */
    char *example;  /* owned; the first one's path, or what was found; NULL: none */
};

struct ol_replay_verdict {
    bool checked;                 /* false: it shows neither its layer nor its DiffID */
    bool same_diff;               /* the same bytes, so the same DiffID */
    bool tree_known;              /* false: the engine told another DiffID and nothing else */
    bool same_tree;               /* unpacked on the layers below both give the same tree */
    char diff_id[OL_DIGEST_SIZE]; /* of the layer as the engine tells it */
    struct ol_replay_reason reasons[OL_REASONS];
};
void ol_replay_verdict_fini(struct ol_replay_verdict *verdict);

/** Count a reason; the first example stays. @return 0 or -ENOMEM */
int ol_replay_reason_add(struct ol_replay_verdict *verdict, enum ol_replay_reason_kind kind,
                         uint64_t count, const char *example);

/**
 * Hold a committed layer against its original: DiffID and reasons, not the trees.
 * @param original, committed  uncompressed tars in regular files
 * @param original_diff_id     known already
 */
int ol_replay_compare_tars(const struct ol_input *original, const char *original_diff_id,
                           const struct ol_input *committed, struct ol_replay_verdict *ret,
                           struct ol_error *err);

/** The part of it that entries do not show: extended headers, fields of old formats, padding. */
int ol_replay_compare_headers(const struct ol_input *original, const struct ol_input *committed,
                              struct ol_replay_verdict *verdict, struct ol_error *err);

/* The layers of an image, and what engines made of them. */
struct ol_replay_check {
    const char *dir; /* absolute; trees are made in it and removed again */
    bool keep_owner;
    const struct ol_input *layers; /* n_layers; uncompressed, in regular files */
    const char (*diff_ids)[OL_DIGEST_SIZE];
    size_t n_layers;
    const int *committed; /* n_engines rows of n_layers - 1 descriptors; -1: cannot be shown */
    size_t n_engines;
    bool (*cancelled)(void *data); /* or NULL */
    void *data;
};

/**
 * @param ret  n_engines rows of n_layers - 1 verdicts, zeroed; to be released also after a failure
 */
int ol_replay_check_all(const struct ol_replay_check *check, struct ol_replay_verdict *ret,
                        struct ol_error *err);

#endif
