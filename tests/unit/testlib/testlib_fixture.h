/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of overlab-test: a lab in the direct view, which every machine has, with a small image,
 * a container changed by hand and its commit; and a handler that keeps what the library would say.
 */
#ifndef OL_TESTS_TESTLIB_FIXTURE_H
#define OL_TESTS_TESTLIB_FIXTURE_H

#include "support/support.h"

#include <overlab/test.h>

/* What the handler got. */
struct heard {
    char *text; /* owned; of the last failure or skip */
    const char *file;
    int line;
    unsigned failures, skips;
    bool returns; /* the handler returns from failures, instead of leaving the statement */
    jmp_buf leave;
};
extern struct heard heard;

/** Run a statement, with what it says caught. Afterwards heard tells what that was. */
#define LISTEN(statement)                                                                          \
    do {                                                                                           \
        heard_begin();                                                                             \
        if (setjmp(heard.leave) == 0) {                                                            \
            statement;                                                                             \
        }                                                                                          \
        heard_end();                                                                               \
    } while (0)
void heard_begin(void);
void heard_end(void);

/** The statement passes; or fails once, with this in its text, in this file. */
#define assert_passes(statement)                                                                   \
    do {                                                                                           \
        LISTEN(statement);                                                                         \
        assert_heard_nothing();                                                                    \
    } while (0)
#define assert_fails(want, statement)                                                              \
    do {                                                                                           \
        LISTEN(statement);                                                                         \
        assert_int_equal(heard.failures, 1);                                                       \
        assert_heard((want), __FILE__);                                                            \
    } while (0)
void assert_heard_nothing(void);
void assert_heard(const char *want, const char *file);

/** D = 4 directories, R = 3 files on 4 names, S = 1. Remove it with test_dir_remove(). */
void testlib_make_image(struct test_dir *image);

struct testlib_fixture {
    struct test_dir image;
    struct ol_test_lab *lab;
    const struct ol_test_step *import, *create, *change, *commit; /* NULL until done */
};
int testlib_setup(void **state);        /* the lab with its image */
int testlib_setup_commit(void **state); /* and a container, changed and committed */
int testlib_teardown(void **state);

/** Writes usr/lib/new. */
void testlib_add_file(struct ol_test_root *root, void *data);

#endif
