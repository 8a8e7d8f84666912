/* SPDX-License-Identifier: Apache-2.0 */
/* The grids and sentences that a prediction's table and Markdown share. */
#ifndef OL_BENCH_REPORT_PREDICTION_INTERNAL_H
#define OL_BENCH_REPORT_PREDICTION_INTERNAL_H

#include "bench/report/internal.h"
#include "bench/report/prediction.h"

/* A grid with a column for each engine. */
struct ol_engine_grid {
    struct ol_grid grid;
    struct ol_grid_column *columns; /* owned */
    char (*marks)[32];              /* owned; "[1]" … where the names do not fit, else NULL */
    size_t label_max;               /* bytes of a label that fit beside the engines */
};
void ol_engine_grid_fini(struct ol_engine_grid *grid);
#define ol_auto_engine_grid __attribute__((cleanup(ol_engine_grid_fini)))

/**
 * What image `index` costs alone: its build steps, all of them, one container and its commit.
 * @param width  columns there are; 0: as many as it takes
 */
int ol_prediction_grid_image(const struct ol_prediction *prediction, size_t index, size_t width,
                             struct ol_engine_grid *ret);
/** All of it in one storage. */
int ol_prediction_grid_total(const struct ol_prediction *prediction, size_t width,
                             struct ol_engine_grid *ret);

/** A row for each engine: the file system that holds the peak. */
int ol_prediction_grid_fs(const struct ol_prediction *prediction, struct ol_grid *ret);
/** The command that makes it, for one engine. */
int ol_prediction_text_mkfs(const struct ol_prediction *prediction, size_t engine,
                            struct ol_buf *buf);
/** What the rule is, one sentence. */
int ol_prediction_text_fs(const struct ol_prediction *prediction, struct ol_buf *buf);

/** "Image x.tar: 3 layers, 7,705 entries". */
int ol_prediction_text_image(const struct ol_prediction *prediction, size_t index,
                             struct ol_buf *buf);
/** The workload, one sentence. */
int ol_prediction_text_workload(const struct ol_prediction *prediction, struct ol_buf *buf);
/** Lines of "[1]<TAB>overlay:diff=upper"; nothing where the names fit. */
int ol_prediction_text_marks(const struct ol_prediction *prediction,
                             const struct ol_engine_grid *grid, struct ol_buf *buf);
/** Lines of "layer 0<TAB>1,234 in /usr, 12 KiB; …": where each layer's inodes are. */
int ol_prediction_text_directories(const struct ol_prediction *prediction, size_t index,
                                   struct ol_buf *buf);
/** Lines: what to know about the numbers. */
int ol_prediction_text_notes(const struct ol_prediction *prediction, struct ol_buf *buf);

int ol_prediction_print_json(const struct ol_prediction *prediction, FILE *out);
int ol_prediction_print_csv(const struct ol_prediction *prediction, FILE *out);

/** The history's words on the layer a step is about; "" where nobody told. */
const char *ol_prediction_created_by(const struct ol_predicted_image *image,
                                     const struct ol_bench_step *step);

#endif
