/* SPDX-License-Identifier: Apache-2.0 */
/* A fixed pair of trees with everything an export has to deal with. The digests test_export.c
 * expects are those of what moby 20.10's own pkg/archive writes for them. */
#ifndef OL_TESTS_LAYER_EXPORT_TREE_H
#define OL_TESTS_LAYER_EXPORT_TREE_H

/** Make the old tree in old_fd and the new one in new_fd. Needs root. */
void export_tree_make(int new_fd, int old_fd);

/** Make an overlay upper directory in fd. Needs root and trusted.* attributes. */
void export_upper_make(int fd);

#endif
