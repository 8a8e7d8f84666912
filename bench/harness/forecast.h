/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every step should cost before any of them runs: the image's headers are fed to the oracle's
 * model, the commits are planned on it one after the other, and each law says what it expects. The
 * plans are then carried out on every engine.
 */
#ifndef OL_BENCH_HARNESS_FORECAST_H
#define OL_BENCH_HARNESS_FORECAST_H

#include "bench/harness/rounds.h"
#include "bench/oracle/disk.h"

struct ol_forecast;

int ol_forecast_new(unsigned n_layers, unsigned commits, struct ol_forecast **ret,
                    struct ol_error *err);
void ol_forecast_free(struct ol_forecast *forecast);

/**
 * Follow an engine: before the first layer is read. An engine without a law is none to follow.
 * @param mounts  layers are mounted in its view (kernel, userns), on a directory of their own
 * @return 0; -ENOENT no law describes it; -ENOMEM
 */
int ol_forecast_follow(struct ol_forecast *forecast, const char *engine, bool mounts,
                       struct ol_error *err);

/** Tell the blocks of layers and commits, too, on this file system: before the first layer. */
void ol_forecast_on_disk(struct ol_forecast *forecast, enum ol_disk_fs fs);

/** Read the next layer's headers. @param ret what the scan found: DiffID, entries, length */
int ol_forecast_layer(struct ol_forecast *forecast, const struct ol_input *input,
                      enum ol_scan_digest digest, struct ol_layer_result *ret,
                      struct ol_error *err);

/** The image as it stands: after the layers read, and the commits planned, so far. */
const struct ol_model *ol_forecast_model(const struct ol_forecast *forecast);

/** Plan all commits, after all layers. Commit i takes seed + i. */
int ol_forecast_commits(struct ol_forecast *forecast, const struct ol_change_mix *mix,
                        uint64_t change_bytes, uint64_t seed, struct ol_error *err);

/**
 * Instead of that: commit i is what layers[i + 1] changes. Only layers[0] was read before.
 * @param layers  seekable; they must outlive the plans
 */
int ol_forecast_replay(struct ol_forecast *forecast, const struct ol_input *layers, bool keep_owner,
                       struct ol_error *err);

/**
 * After all commits: containers are made on the newest image, and removed before everything else
 * is. What is left of them is the image's, and goes with it.
 */
int ol_forecast_hold(struct ol_forecast *forecast, struct ol_error *err);

/** The plans, one per commit; owned by the forecast. */
struct ol_plan *const *ol_forecast_plans(const struct ol_forecast *forecast);

/** Write the predictions into the steps of an engine. One that is not followed gets none. */
void ol_forecast_fill(const struct ol_forecast *forecast, bool mounts,
                      struct ol_bench_engine *engine);

#endif
