/* SPDX-License-Identifier: Apache-2.0 */
/* How the applier's threads are divided. */
#ifndef OL_COMMON_LAYER_THREADS_H
#define OL_COMMON_LAYER_THREADS_H

enum {
    OL_LAYER_WRITERS_MAX = 4
}; /* directories of one file system: more only wait for each other */

/**
 * Threads that create files beside the one that reads the archive and creates too: one less than
 * the threads allowed, as the stream's reader thread is busy only part of the time.
 */
static inline unsigned ol_layer_writers(unsigned threads)
{
    unsigned writers = threads > 1 ? threads - 1 : 0;

    return writers < OL_LAYER_WRITERS_MAX ? writers : OL_LAYER_WRITERS_MAX;
}

#endif
