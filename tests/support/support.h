/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test program uses: cmocka with its includes, temporary directories that vanish in the
 * teardown, assertions on results, and requirement probes that skip aloud.
 */
#ifndef OL_TESTS_SUPPORT_H
#define OL_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/error.h"

#include <stdbool.h>

/** Fail with the error's message when r is negative. */
#define assert_ok(r, err) ol_assert_ok_at((r), (err), #r, __FILE__, __LINE__)
void ol_assert_ok_at(int r, const struct ol_error *err, const char *what, const char *file,
                     int line);

/** The error's message contains text. */
#define assert_message(err, text) ol_assert_message_at((err), (text), __FILE__, __LINE__)
void ol_assert_message_at(const struct ol_error *err, const char *text, const char *file, int line);

/** name is (not) there in dir_fd, not following it. */
#define assert_present(dir_fd, name)                                                               \
    ol_assert_present_at((dir_fd), (name), true, __FILE__, __LINE__)
#define assert_absent(dir_fd, name)                                                                \
    ol_assert_present_at((dir_fd), (name), false, __FILE__, __LINE__)
void ol_assert_present_at(int dir_fd, const char *name, bool want, const char *file, int line);

/* A temporary directory of the test's own, below $TMPDIR or /tmp. */
struct test_dir {
    char *path; /* owned */
    int fd;     /* owned */
};
void test_dir_make(struct test_dir *dir);
/** Unmount everything below, then remove the tree; fails the test when something was still mounted.
 */
void test_dir_remove(struct test_dir *dir);

/** Names in a directory, "." and ".." not counted. */
size_t test_count_names(const char *path);

/** Descriptors and threads of this process; and that they are this many again. */
size_t test_resources(void);
void assert_resources(size_t before);

/* Small file helpers; they fail the test instead of returning errors. path is relative to dir_fd.
 */
void test_write(int dir_fd, const char *path, const char *content);
void test_mkdir(int dir_fd, const char *path, unsigned mode);
void test_symlink(int dir_fd, const char *target, const char *path);
/** Whole content as a string the caller frees. */
char *test_read(int dir_fd, const char *path);
#define assert_content(dir_fd, path, want)                                                         \
    do {                                                                                           \
        ol_auto_free char *content_ = test_read((dir_fd), (path));                                 \
        assert_string_equal(content_, (want));                                                     \
    } while (0)

/* What this machine gives; each probe tries for real, once per process. */
bool can_mount_overlay(void);  /* CAP_SYS_ADMIN and trusted.* attributes in the test directory */
bool can_chown(void);          /* owners can be given away */
bool can_mknod(void);          /* device nodes can be made */
bool can_user_namespace(void); /* an unprivileged user namespace can be entered */
bool can_user_xattr(void);     /* the test directory's file system keeps user.* attributes */
bool can_inject_faults(void);  /* this build has fault points */
bool can_loop_mount(void);     /* loop devices can be set up and mounted */

/**
 * Skip the test, printing why, when the probe says no. OL_TEST_REQUIRE=probe,… in the environment
 * (or "all") turns that skip into a failure.
 */
#define OL_REQUIRE(probe, why)                                                                     \
    do {                                                                                           \
        if (!probe())                                                                              \
            ol_require_failed(#probe, __func__, (why));                                            \
    } while (0)
void ol_require_failed(const char *probe, const char *test, const char *why);

#endif
