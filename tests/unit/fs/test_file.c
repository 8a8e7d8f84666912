/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fault.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int set_up(void **state)
{
    struct test_dir *dir = calloc(1, sizeof *dir);

    test_dir_make(dir);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    test_dir_remove(*state);
    free(*state);
    return 0;
}

static void file__reads_whole_and_refuses_more_than_the_limit(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    test_write(dir->fd, "f", "0123456789");
    assert_ok(ol_fs_read_file(dir->fd, "f", 10, &buf, &err), &err);
    assert_string_equal(ol_buf_str(&buf), "0123456789");
    assert_int_equal(ol_fs_read_file(dir->fd, "f", 9, &buf, &err), -E2BIG);
    assert_message(&err, "'f'");
}

static void file__read_refuses_links_and_fifos_without_waiting(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    test_symlink(dir->fd, "/etc/passwd", "link");
    assert_int_equal(mkfifoat(dir->fd, "fifo", 0600), 0);
    assert_int_equal(ol_fs_read_file(dir->fd, "link", 1 << 20, &buf, &err), -ELOOP);
    assert_int_equal(ol_fs_read_file(dir->fd, "fifo", 1 << 20, &buf, &err), -EINVAL);
    assert_int_equal(ol_fs_read_file(dir->fd, "missing", 1, &buf, &err), -ENOENT);
}

static size_t count_entries(int fd)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;

    assert_int_equal(ol_dirents_read(&list, fd, true), 0);
    return list.count;
}

static void file__atomic_write_replaces_and_leaves_nothing_aside(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    test_write(dir->fd, "f", "old");
    assert_ok(ol_fs_write_file_atomic(dir->fd, "f", "new", 3, 0600, &err), &err);
    assert_content(dir->fd, "f", "new");
    assert_int_equal(count_entries(dir->fd), 1);
}

static void file__atomic_write_fails_without_a_trace(void **state)
{
    struct test_dir *dir = *state;
    bool delivered = true;

    OL_REQUIRE(can_inject_faults, "this build has no fault points (OL_FAULTS=OFF)");
    test_write(dir->fd, "f", "old");
    for (unsigned long n = 1; delivered; n++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_fault_arm(n);
        int r = ol_fs_write_file_atomic(dir->fd, "f", "new", 3, 0600, &err);
        delivered = ol_fault_delivered();
        ol_fault_arm(0);
        assert_int_equal(count_entries(dir->fd), 1);
        assert_int_equal(r, delivered ? -EIO : 0);
    }
}

static void file__mkdir_is_exclusive_and_ignores_the_umask(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    mode_t old = umask(077);
    int r = ol_fs_mkdir(dir->fd, "d", 0751, &err);
    struct stat st;

    (void)umask(old);
    assert_ok(r, &err);
    assert_int_equal(fstatat(dir->fd, "d", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_int_equal(ol_fs_mkdir(dir->fd, "d", 0751, &err), -EEXIST);
    assert_message(&err, "'d'");
}

static void file__temporary_directories_differ(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *a = NULL;
    ol_auto_free char *b = NULL;

    assert_ok(ol_fs_mkdir_temp(dir->fd, "tmp", &a, &err), &err);
    assert_ok(ol_fs_mkdir_temp(dir->fd, "tmp", &b, &err), &err);
    assert_string_not_equal(a, b);
    assert_present(dir->fd, a);
}

static void file__rename_new_never_replaces(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    test_write(dir->fd, "a", "a");
    test_write(dir->fd, "b", "b");
    assert_int_equal(ol_fs_rename_new(dir->fd, "a", dir->fd, "b", &err), -EEXIST);
    assert_content(dir->fd, "b", "b");
    assert_ok(ol_fs_rename_new(dir->fd, "a", dir->fd, "c", &err), &err);
    assert_absent(dir->fd, "a");
}

static void file__path_of_a_descriptor_is_found(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    ol_auto_free char *real = realpath(dir->path, NULL);

    assert_ok(ol_fs_path_of(dir->fd, &path, &err), &err);
    assert_string_equal(path, real);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(file__reads_whole_and_refuses_more_than_the_limit),
        TEST(file__read_refuses_links_and_fifos_without_waiting),
        TEST(file__atomic_write_replaces_and_leaves_nothing_aside),
        TEST(file__atomic_write_fails_without_a_trace),
        TEST(file__mkdir_is_exclusive_and_ignores_the_umask),
        TEST(file__temporary_directories_differ),
        TEST(file__rename_new_never_replaces),
        TEST(file__path_of_a_descriptor_is_found),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
