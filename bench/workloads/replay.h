/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer of an image as the changes a build step made in its container: planned from the layer's
 * headers on the model of the image below it, carried out through a container's root, predicted in
 * an overlay's upper. What is equal afterwards, and what cannot be: docs/replay.md.
 */
#ifndef OL_BENCH_WORKLOADS_REPLAY_H
#define OL_BENCH_WORKLOADS_REPLAY_H

#include "bench/oracle/upper.h"
#include "common/io.h"
#include "drivers/rootfs.h"

struct ol_model;
struct ol_replay;

/**
 * Plan the replay of layers[index] and feed the layer to the model, which is that of the layers
 * below. Whiteouts of what is not there are left out of the model: no container can repeat them.
 *
 * A regular file that is deleted while another of exactly its content (by SHA-256) appears under a
 * new name was moved. Empty files and files with several names say nothing about that.
 *
 * @param layers      seekable; those up to index are read, and layers[index] again when the replay
 *                    runs: they must outlive it
 * @param keep_owner  owners can be given to files in the containers to come
 * @return 0; errors of the archives as for ol_layer_apply(), with layer and entry; the model holds
 *         part of the layer then
 */
int ol_replay_plan(struct ol_model *model, const struct ol_input *layers, size_t index,
                   bool keep_owner, struct ol_replay **ret, struct ol_error *err);
void ol_replay_free(struct ol_replay *replay); /* accepts NULL */

/** Files that are renamed rather than deleted and written. */
size_t ol_replay_moves(const struct ol_replay *replay);

/** Make the changes through a container's root. What cannot be given to files (owners, attributes)
 * or made (devices) without privileges is left out, as when a layer is applied. Errors name layer
 * and entry; the container holds part of the changes then. */
int ol_replay_run(const struct ol_replay *replay, struct ol_rootfs *fs, struct ol_error *err);

/** Make them in an upper in memory. @return 0 or negative errno */
int ol_replay_simulate(const struct ol_replay *replay, struct ol_upper *upper);

#endif
