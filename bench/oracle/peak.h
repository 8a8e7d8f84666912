/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The highest count during a step, which what is left afterwards does not tell: a clone is complete
 * before the first deletion, what an entry replaces was there, and the container and its init layer
 * are mounted while a commit runs.
 *
 * A peak is the highest number of inodes in the driver's home at any moment of the step, less the
 * number before it: 0 or more. It is exact for entries applied one after the other; several threads
 * can only be late with what they make, and then stay below it. Scratch space outside the home, as
 * moby's chroot helper makes, is not in it, nor is what a driver tries once when it is first used,
 * nor what has no name (the file with which a mount tries O_TMPFILE).
 */
#ifndef OL_BENCH_ORACLE_PEAK_H
#define OL_BENCH_ORACLE_PEAK_H

#include "bench/oracle/held.h"

struct ol_peak {
    int64_t inodes; /* no moment is higher */
    int64_t least;  /* some moment is at least as high; inodes, where that is exact */
    /*
     * least and inodes differ. That is so
     * - of a commit of legacy overlay by a naive diff: it uses the init layer from another thread,
     *   and nothing says what has been cloned or applied when it begins and ends with that. Mounted
     *   that is the mount point and what the kernel tries for a moment while it mounts; in the
     *   direct view the cached whiteout that goes, and only where nothing is higher than the clone;
     * - where layers are applied through a mount (overlay2:diff=naive): the objects the kernel has
     *   in the work directory within one call, and the order in which several threads remove a
     *   directory with all that is in it, are bounded and not followed.
     */
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
