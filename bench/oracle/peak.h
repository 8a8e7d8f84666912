/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The highest count during a step, which what is left afterwards does not tell: a clone is complete
 * before the first deletion, what an entry replaces was there, and the container and its init layer
 * are mounted while a commit runs.
 *
 * A peak is the highest number of inodes in the driver's home at any moment of the step, less the
 * number before it: 0 or more. It is exact for entries applied one after the other; several threads
 * can only be late with what they make, and then stay below it. Scratch space outside the home, as
 * moby's chroot helper makes, is not in it, nor is what a driver tries once when it is first used.
 */
#ifndef OL_BENCH_ORACLE_PEAK_H
#define OL_BENCH_ORACLE_PEAK_H

#include "bench/oracle/held.h"

struct ol_peak {
    int64_t inodes;
    /* No moment is higher, but this one may not come: through a mount (overlay2:diff=naive) the
     * kernel's own temporary objects are not followed; the mount of the init layer may be gone
     * before the layer that is made is at its largest; of a commit that frees something of a
     * full tree, the order within its tar is not known. */
    bool estimate;
};

/**
 * Of "layer.apply" of the layer just fed: Create and ApplyDiff.
 * @param parent  as it was before ol_held_layer_apply(); NULL: a base layer
 * @return 0; -ENOTSUP the model does not track that law; -ENOMEM
 */
int ol_held_layer_peak(const struct ol_held_way *way, const struct ol_model *model,
                       const struct ol_held_layer *parent, struct ol_peak *ret);

/**
 * Of "commit"; an empty one costs as much, before it is taken back.
 * @param container  as it was before ol_held_commit()
 */
int ol_held_commit_peak(const struct ol_held_container *container, const struct ol_model *model,
                        struct ol_peak *ret);

#endif
