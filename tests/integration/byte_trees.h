/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees that bring a layer's tar to its corners: names and link names at every length where the
 * header changes its form, numbers and times beyond octal fields, links, devices, capabilities,
 * overlay's marks. Each function fills an empty directory; all need root.
 */
#ifndef OL_TESTS_BYTE_TREES_H
#define OL_TESTS_BYTE_TREES_H

#include <stdint.h>

/** Directories and files of name lengths around 100, 155 and 256 bytes, with a slash or without. */
void byte_tree_long_names(int fd);
/** UTF-8, bytes that are no UTF-8, control characters, '=' and newlines. */
void byte_tree_odd_names(int fd);
/** Symlinks with long and odd texts; hard links to long and odd names. */
void byte_tree_link_names(int fd);
/** Owners up to 2^32-2, and times from 1901 to 2446, with nanoseconds. */
void byte_tree_numbers(int fd);
/** Every type and permission bit. */
void byte_tree_types(int fd);
/** Hard links of each type within the tree, to outside (a directory beside it), to sockets. */
void byte_tree_hard_links(int fd, int outside_fd);
/** security.capability of both revisions, and attributes that no layer carries. */
void byte_tree_attributes(int fd);
/** Names that begin with ".wh.". */
void byte_tree_whiteout_names(int fd);
/** An upper directory: opaque directories of many names, modes and owners. */
void byte_tree_opaques(int fd);
/** An upper directory: whiteouts alone, hard-linked to each other, with long and odd names. */
void byte_tree_whiteouts(int fd);
/** Two trees that differ in deletions, replacements by other types, and changes in metadata. */
void byte_trees_changed(int new_fd, int old_fd);
/** A tree drawn from a seed: names of all lengths and bytes, owners, times, types, links. */
void byte_tree_random(int fd, uint64_t seed);

#endif
