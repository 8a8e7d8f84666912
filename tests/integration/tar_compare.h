/* SPDX-License-Identifier: Apache-2.0 */
/* Two layer tars held against each other, byte for byte. */
#ifndef OL_TESTS_TAR_COMPARE_H
#define OL_TESTS_TAR_COMPARE_H

#include <stdbool.h>

/**
 * Fail, naming the first entry that differs.
 * @param mask_whiteout_times  the time of a naive diff's whiteouts is the time of the diff: leave
 *                             it, and the sum it enters, out of the comparison
 */
void tar_assert_same(int ours_fd, int theirs_fd, bool mask_whiteout_times, const char *what);

/** True when owners have names in it. */
bool tar_has_names(int fd);

#endif
