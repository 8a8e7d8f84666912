/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of tree operations share: odd trees, comparison, open descriptors. */
#ifndef OL_TESTS_TREE_FIXTURE_H
#define OL_TESTS_TREE_FIXTURE_H

#include "support/support.h"

#include <sys/stat.h>

/* A temporary directory with src/ and dst/ open. */
struct tree_fixture {
    struct test_dir dir;
    int src;
    int dst;
};

int tree_fixture_setup(void **state);
int tree_fixture_teardown(void **state);

/**
 * A chain of depth directories named "level", each with a file "f" and two more directories "a" and
 * "z" beside the next level: whichever order they are taken in, some wait while others go deep.
 */
void tree_make_comb(int dir_fd, unsigned depth);

/** One of everything the process may make: files, links, symlinks, a fifo, directories with modes
 * and times; devices, owners and a whiteout when it may. */
void tree_make_zoo(int dir_fd);

/** Directories below dir_fd/level/level/…, followed to the end. */
unsigned tree_depth(int dir_fd);

/** Both trees hold the same names with the same type, mode, owner, times, targets and content;
 * fails the test naming the first difference. */
void assert_same_tree(int a, int b);

struct stat tree_stat(int dir_fd, const char *name);

/** Descriptors this process has open. */
unsigned open_fds(void);

#endif
