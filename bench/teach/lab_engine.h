/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny image on a driver or snapshotter, for a lab. */
#ifndef OL_BENCH_TEACH_LAB_ENGINE_H
#define OL_BENCH_TEACH_LAB_ENGINE_H

#include "bench/harness/engine.h"
#include "bench/teach/lab.h"

struct ol_lab_engine {
    struct ol_engine *engine;      /* owned */
    struct ol_model_counts counts; /* of the image's merged tree */
};

/**
 * Open an engine in dir and import the tiny image's layers.
 * @param name        full name; what it points to must outlive the engine
 * @param containers  how many there will be at most
 * @param ret         to be closed, also after a failure
 * @return 0 or negative errno
 */
int ol_lab_engine_open(const struct ol_lab_run *run, const char *dir, const char *name,
                       unsigned containers, struct ol_lab_engine *ret, struct ol_error *err);
void ol_lab_engine_close(struct ol_lab_engine *lab);

#endif
