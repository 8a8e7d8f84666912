/* SPDX-License-Identifier: Apache-2.0 */
/* tar-split files of two layer stores held against each other. */
#ifndef OL_TESTS_SPLIT_COMPARE_H
#define OL_TESTS_SPLIT_COMPARE_H

/** Copy the tar-split files of a layerdb (path of its sha256/) to dir_fd, named by DiffID (hex). */
void split_collect(const char *layers, int dir_fd);

/** Every file of theirs has one of ours, with the same entries between the same bytes; adjoining
 * segments count as one. @return how many were compared */
unsigned split_assert_same(int ours_fd, int theirs_fd);

#endif
