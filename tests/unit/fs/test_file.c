/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fault.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Each step fails, the fsync after the rename included. */
static void atomic_write_fails(struct test_dir *dir, const char *old)
{
    bool delivered = true;

    OL_REQUIRE(can_inject_faults, "this build has no fault points (OL_FAULTS=OFF)");
    if (old != NULL)
        test_write(dir->fd, "f", old);
    for (unsigned long n = 1; delivered; n++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_fault_arm(n);
        int r = ol_fs_write_file_atomic(dir->fd, "f", "new", 3, 0600, &err);
        delivered = ol_fault_delivered();
        ol_fault_arm(0);
        assert_int_equal(r, delivered ? -EIO : 0);
        assert_int_equal(count_entries(dir->fd), old != NULL || !delivered);
        if (old != NULL && delivered)
            assert_content(dir->fd, "f", old);
    }
    assert_content(dir->fd, "f", "new");
}

static void file__atomic_write_that_fails_leaves_the_old_file(void **state)
{
    atomic_write_fails(*state, "old");
}

static void file__atomic_write_that_fails_leaves_no_file(void **state)
{
    atomic_write_fails(*state, NULL);
}

static void file__atomic_write_refuses_a_directory(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    test_mkdir(dir->fd, "d", 0755);
    assert_int_equal(ol_fs_write_file_atomic(dir->fd, "d", "new", 3, 0600, &err), -EISDIR);
    assert_message(&err, "'d'");
    assert_int_equal(count_entries(dir->fd), 1);
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

/* In a child that is an ordinary user and owns dir: 0 when each file could be read and has its mode
 * again; dir's descriptor is enough to reach it. */
static int read_as_owner(const struct test_dir *dir)
{
    static const mode_t modes[] = {0000, 0222, 04111};

    if (geteuid() == 0 &&
        (fchown(dir->fd, 23456, 23456) < 0 || setresgid(23456, 23456, 23456) < 0 ||
         setresuid(23456, 23456, 23456) < 0))
        return 1;
    for (size_t i = 0; i < OL_ARRAY_LEN(modes); i++) {
        ol_auto_fd int made = openat(dir->fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        ol_auto_fd int fd = -1;
        struct stat st;
        char c = 0;

        if (made < 0 || write(made, "x", 1) != 1 || fchmod(made, modes[i]) < 0)
            return 2;
        fd = ol_fs_open_read(dir->fd, "f", O_NOATIME);
        if (fd < 0 || read(fd, &c, 1) != 1 || c != 'x' || fstat(fd, &st) < 0)
            return 3;
        if ((st.st_mode & 07777) != modes[i] || unlinkat(dir->fd, "f", 0) < 0)
            return 4;
    }
    return 0;
}

static void file__owner_reads_what_its_mode_forbids(void **state)
{
    struct test_dir *dir = *state;
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(read_as_owner(dir));
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void file__open_for_reading_follows_and_waits_for_nothing(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_fd int fd = -1;

    test_write(dir->fd, "f", "x");
    test_symlink(dir->fd, "f", "link");
    assert_int_equal(mkfifoat(dir->fd, "fifo", 0600), 0);
    assert_int_equal(ol_fs_open_read(dir->fd, "link", 0), -ELOOP);
    assert_int_equal(ol_fs_open_read(dir->fd, "gone", 0), -ENOENT);
    fd = ol_fs_open_read(dir->fd, "fifo", 0); /* callers look at the type; it returns at once */
    assert_true(fd >= 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(file__reads_whole_and_refuses_more_than_the_limit),
        TEST(file__read_refuses_links_and_fifos_without_waiting),
        TEST(file__atomic_write_replaces_and_leaves_nothing_aside),
        TEST(file__atomic_write_that_fails_leaves_the_old_file),
        TEST(file__atomic_write_that_fails_leaves_no_file),
        TEST(file__atomic_write_refuses_a_directory),
        TEST(file__mkdir_is_exclusive_and_ignores_the_umask),
        TEST(file__temporary_directories_differ),
        TEST(file__rename_new_never_replaces),
        TEST(file__path_of_a_descriptor_is_found),
        TEST(file__owner_reads_what_its_mode_forbids),
        TEST(file__open_for_reading_follows_and_waits_for_nothing),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
