/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What images and the commits on them would cost on each driver, from tar headers and plans alone:
 * no driver is opened, no privilege is needed and nothing is written. The numbers are those
 * `compare` predicts beside what it measures.
 *
 * Each image has a report of its own, as if it were alone: the same steps as a comparison's, with
 * predictions only (workload.rounds is 0), concluded. The totals are of all images in one storage,
 * where layers they share are there once.
 */
#ifndef OL_BENCH_HARNESS_PREDICT_H
#define OL_BENCH_HARNESS_PREDICT_H

#include "bench/harness/fs_advice.h"
#include "bench/harness/image_cost.h"
#include "bench/report/report.h"

struct ol_images;

struct ol_predict_options {
    const char *const *images; /* paths, "PATH#NAME" too; an image each */
    size_t n_images;           /* 0: the built-in image of workload.seed */
    struct ol_images *stored;  /* borrowed; where what is no path is looked up; NULL: nowhere */
    char *const *engines;      /* full names; ol_predict_check_engine() knows them */
    size_t n_engines;
    struct ol_report_workload workload; /* on each image; rounds and warmup say nothing. A replay is
                                           of one image */
    enum ol_view
        view; /* whose law of mounts applies; AUTO: the kernel's, whatever can be had here */
    unsigned containers; /* beside the commits: so many on each image, made and mounted */
    const char *tmp_dir; /* absolute; where a compressed archive is unpacked, and of a replay what
                            cannot be read twice: unnamed files */
    bool verify_digests; /* read every byte: DiffIDs and blobs are what the image says */
    enum ol_disk_fs fs;  /* to hold all of it */
    unsigned headroom;   /* percent, at most OL_HEADROOM_MAX */
    size_t top;          /* directories named of each layer, at most OL_COST_TOP_MAX */
    bool (*cancelled)(void *data); /* asked between layers; NULL: never */
    void *data;
};

/** There is such a driver, and a law for it. @return 0; -EINVAL, naming it */
int ol_predict_check_engine(const char *name, struct ol_error *err);

/* One container of an image, made and mounted. */
struct ol_predicted_container {
    int64_t first;   /* inodes, on an image layer that nothing stands on yet */
    int64_t further; /* on one that is a parent already */
    int64_t bytes;   /* estimate, in blocks */
};

struct ol_predicted_layer {
    char chain_id[OL_DIGEST_SIZE]; /* "" where nobody told the DiffIDs */
    size_t shared_with;            /* the first image that has it; the image itself: its own */
};

struct ol_predicted_image {
    struct ol_report report;           /* owned; of this image alone */
    struct ol_image_cost cost;         /* owned; each layer law by law, and its directories */
    struct ol_predicted_layer *layers; /* owned; report.image.n_layers */
    struct ol_predicted_container *containers; /* owned; one per engine */
    bool verified;                             /* the DiffIDs were computed, not only told */
};

/* One engine, all images in one storage; nothing is removed. */
struct ol_predicted_totals {
    int64_t image_inodes;     /* all layers that are imported, shared ones once */
    int64_t exclusive_inodes; /* of it, layers that only one image has */
    int64_t workload_inodes;  /* all commits with their containers; those stay until the end */
    int64_t container_inodes; /* the containers beside them */
    int64_t peak_inodes;      /* highest of it between two steps */
    int64_t highest_inodes;   /* while a layer is applied or committed, too */
    int64_t peak_bytes;       /* estimate, in blocks, of all of it */
    bool whole;               /* every step has a prediction; else these are too low */
};

struct ol_prediction {
    struct ol_predicted_image *images; /* owned */
    size_t n_images;
    unsigned containers;
    struct ol_predicted_totals *totals; /* owned; one per engine */
    enum ol_disk_fs fs;
    unsigned headroom;
    struct ol_fs_advice *advice; /* owned; one per engine: what holds the highest count */
};
void ol_prediction_fini(struct ol_prediction *prediction); /* accepts a zeroed one */

/**
 * Bytes in blocks that a step adds on the file system of the options: of an imported layer and of a
 * commit as ol_law_layer_disk() says; of everything else an estimate: the image's mean file size
 * (or the workload's change_bytes, where that is more) and half a block of rounding for each file,
 * a block for each directory and each of the driver's own files.
 * @param ret_estimate  near, not exact; may be NULL
 */
int64_t ol_predicted_bytes(const struct ol_predicted_image *image, const struct ol_bench_step *step,
                           bool *ret_estimate);

/** Inodes of lower layers that an imported layer has names of; of other steps 0. */
int64_t ol_predicted_shared(const struct ol_predicted_image *image, size_t engine,
                            const struct ol_bench_step *step);

/**
 * @param ret  written on success only
 * @return 0; -ECANCELED; errors of ol_image_open(), of reading a layer, of planning; the text names
 *         image and layer
 */
int ol_predict(const struct ol_predict_options *options, struct ol_prediction *ret,
               struct ol_error *err);

#endif
