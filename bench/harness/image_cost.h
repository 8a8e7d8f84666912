/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each layer of an image costs under each driver, from the headers of its tar alone: nothing
 * is unpacked, so no privilege is needed.
 */
#ifndef OL_BENCH_HARNESS_IMAGE_COST_H
#define OL_BENCH_HARNESS_IMAGE_COST_H

#include "bench/oracle/blame.h"
#include "bench/oracle/disk.h"
#include "common/io.h"

enum { OL_COST_LAWS = OL_LAW_NULL, OL_COST_TOP_MAX = 1000 };

/* A layer under one law. */
struct ol_cost_under {
    struct ol_inode_kinds kinds;
    int64_t inodes; /* their sum */
    uint64_t bytes; /* of contents */
    int64_t shared; /* where asked for: lower layers' inodes it has names of */
};

struct ol_layer_cost {
    struct ol_cost_under under[OL_COST_LAWS]; /* by enum ol_law */
    uint64_t entries;
    struct ol_blamed_dir *dirs; /* owned; where the layer's own inodes are, most first */
    size_t n_dirs;
};

struct ol_image_cost {
    struct ol_layer_cost *layers; /* owned */
    size_t count, room;
    struct ol_model *model; /* owned */
    size_t top;             /* directories a layer */
    bool shares;            /* to be set after init: fill in shared */
};

/** @param top at most OL_COST_TOP_MAX */
int ol_image_cost_init(struct ol_image_cost *cost, size_t layers, size_t top, struct ol_error *err);
void ol_image_cost_fini(struct ol_image_cost *cost); /* accepts a zeroed one */
/** The next layer. @return 0; errors of ol_layer_scan() */
int ol_image_cost_add(struct ol_image_cost *cost, const struct ol_input *layer,
                      struct ol_error *err);
/** The next layer, as a model of the caller's was just fed with it. */
int ol_image_cost_take(struct ol_image_cost *cost, const struct ol_model *model, uint64_t entries,
                       struct ol_error *err);

#endif
