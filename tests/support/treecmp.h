/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing trees in tests: each becomes a text of one line per entry (path, type, mode, owner,
 * mtime, size or target or device, content digest, xattrs, hard-link group), and texts are compared
 * and printed side by side. Shares nothing with the tree code under test but SHA-256.
 */
#ifndef OL_TESTS_TREECMP_H
#define OL_TESTS_TREECMP_H

enum {
    TREECMP_NO_ROOT = 1 << 0,   /* leave out the root's own line */
    TREECMP_NO_XATTRS = 1 << 1, /* leave out extended attributes */
    TREECMP_NO_TIMES = 1 << 2,  /* leave out mtimes */
};

/**
 * Describe the tree at path, sorted bytewise by path; the caller frees the text. overlay's own
 * xattrs (trusted.overlay.*, user.overlay.*) are left out. Hard links are shown between regular
 * files only: as the first of their names. Fails the test when something cannot be read.
 */
char *treecmp_describe(const char *path, unsigned flags);

/** Fail, printing the lines that differ under both names, unless the texts are equal. */
#define assert_trees_equal(name_a, text_a, name_b, text_b)                                         \
    treecmp_assert_equal((name_a), (text_a), (name_b), (text_b), __FILE__, __LINE__)
void treecmp_assert_equal(const char *name_a, const char *text_a, const char *name_b,
                          const char *text_b, const char *file, int line);

#endif
