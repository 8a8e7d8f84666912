/* SPDX-License-Identifier: Apache-2.0 */
/* Archives drawn from a seed, full of names that meet again: as files, directories, symlinks to
 * each other, hard links, whiteouts. */
#ifndef OL_TESTS_LAYER_RANDOM_ARCHIVE_H
#define OL_TESTS_LAYER_RANDOM_ARCHIVE_H

#include "support/tarball.h"

#include <stdint.h>

/**
 * Fill tar, without its end: long enough for threads, up to a few hundred entries.
 * @param wildness  0: files, directories and whiteouts; 1: directories become symlinks; 2: hard
 *                  links, and now and then a file where a directory was
 */
void random_archive_make(struct tarball *tar, uint64_t seed, unsigned wildness);

#endif
