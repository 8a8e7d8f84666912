/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: limits that keep one input short, and a directory for the run. */
#ifndef OL_TESTS_FUZZ_PLACE_H
#define OL_TESTS_FUZZ_PLACE_H

#include "common/limits.h"

#include <stdbool.h>

extern const struct ol_layer_limits fuzz_limits;

/** Abort, which a fuzzer reports as a find. */
void die_unless(bool condition);

/**
 * The one temporary directory of the run, below $TMPDIR or /tmp: made by the first call, removed
 * with everything in it when the run ends.
 * @return its descriptor, which stays the callee's
 */
int fuzz_place(void);
/** Its path, absolute when $TMPDIR is. */
const char *fuzz_place_path(void);

/** Make a directory in the place and open it; the descriptor is for the whole run. */
int fuzz_place_dir(const char *name);

#endif
