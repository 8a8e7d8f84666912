/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_fixture.h"

#include "common/fault.h"
#include "common/fs/tree.h"
#include "common/fs/tree_engine.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void tree_remove__takes_everything_away(void **state)
{
    struct tree_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    unsigned fds = open_fds();

    tree_make_zoo(f->src);
    assert_ok(ol_tree_remove(f->dir.fd, "src", &err), &err);
    assert_absent(f->dir.fd, "src");
    assert_int_equal(open_fds(), fds);
}

static void tree_remove__of_something_missing_is_success(void **state)
{
    struct tree_fixture *f = *state;

    assert_int_equal(ol_tree_remove(f->dir.fd, "nothing", NULL), 0);
    assert_int_equal(ol_tree_remove(f->dir.fd, "nothing/below", NULL), 0);
    assert_int_equal(ol_tree_remove(f->dir.fd, "", NULL), -EINVAL);
    assert_int_equal(ol_tree_remove(f->dir.fd, "src/", NULL), -EINVAL);
    assert_present(f->dir.fd, "src");
}

static void tree_remove__takes_single_objects_and_follows_no_symlink(void **state)
{
    struct tree_fixture *f = *state;

    test_write(f->src, "file", "");
    test_symlink(f->dir.fd, "src", "link");
    test_symlink(f->dst, "../src", "inside");
    assert_int_equal(ol_tree_remove(f->dir.fd, "link", NULL), 0);
    assert_absent(f->dir.fd, "link");
    assert_int_equal(ol_tree_remove(f->dir.fd, "dst", NULL), 0);
    assert_present(f->src, "file");
    assert_int_equal(ol_tree_remove(f->src, "file", NULL), 0);
    assert_absent(f->src, "file");
}

static void tree_remove__content_keeps_the_directory(void **state)
{
    struct tree_fixture *f = *state;
    struct stat before;

    tree_make_zoo(f->src);
    before = tree_stat(f->src, ".");
    assert_int_equal(ol_tree_remove_content(f->src, NULL), 0);
    assert_int_equal(tree_stat(f->dir.fd, "src").st_ino, before.st_ino);
    assert_int_equal(tree_stat(f->dir.fd, "src").st_nlink, 2);
    assert_absent(f->src, "file");
}

static void tree_remove__has_no_limit_on_depth(void **state)
{
    struct tree_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct rlimit old;
    struct rlimit few = {96, 96};

    tree_make_comb(f->src, 4000);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_ok(ol_tree_remove(f->dir.fd, "src", &err), &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_absent(f->dir.fd, "src");
}

static void tree_remove__handles_wide_directories(void **state)
{
    struct tree_fixture *f = *state;
    char name[32];

    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof name, "d%u", i);
        test_mkdir(f->src, name, 0755);
        (void)snprintf(name, sizeof name, "d%u/f", i);
        test_write(f->src, name, "");
        (void)snprintf(name, sizeof name, "f%u", i);
        test_write(f->src, name, "");
    }
    assert_int_equal(ol_tree_remove(f->dir.fd, "src", NULL), 0);
    assert_absent(f->dir.fd, "src");
}

static void shut(int dir_fd)
{
    test_mkdir(dir_fd, "a", 0755);
    test_mkdir(dir_fd, "a/b", 0755);
    test_write(dir_fd, "a/b/file", "");
    test_mkdir(dir_fd, "ro", 0755);
    test_write(dir_fd, "ro/file", "");
    test_mkdir(dir_fd, "ro/empty", 0);
    assert_int_equal(fchmodat(dir_fd, "a/b", 0, 0), 0);
    assert_int_equal(fchmodat(dir_fd, "a", 0, 0), 0);
    assert_int_equal(fchmodat(dir_fd, "ro", 0555, 0), 0);
}

static int remove_as_user(struct tree_fixture *f, bool change)
{
    if (change && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
        return 10;
    umask(022);
    shut(f->dst);
    return ol_tree_remove_content(f->dst, NULL) == 0 ? 0 : 11;
}

static void tree_remove__opens_directories_without_permissions(void **state)
{
    struct tree_fixture *f = *state;
    int status = -1;
    pid_t pid;

    assert_int_equal(fchmod(f->dir.fd, 0755), 0);
    if (can_chown()) /* as another user: permissions mean nothing to root */
        assert_int_equal(fchown(f->dst, 65534, 65534), 0);
    pid = fork();
    if (pid == 0)
        _exit(remove_as_user(f, can_chown()));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(tree_stat(f->dst, ".").st_nlink, 2);
}

/* In a mount namespace of its own. */
static int remove_with_mount(const char *path, const char *point, const char *type)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = -1;
    int r;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        chdir(path) < 0)
        return 10;
    if (type != NULL ? mount("none", point, type, 0, NULL)
                     : mount("dst", point, NULL, MS_BIND, NULL))
        return 11;
    fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = ol_tree_remove(fd, "src", &err);
    if (r != -EBUSY || err.message == NULL || strstr(err.message, point) == NULL)
        return 12;
    if (type == NULL && access("dst/precious", F_OK) < 0)
        return 13;
    if (umount2(point, MNT_DETACH) < 0)
        return 14;
    return ol_tree_remove(fd, "src", NULL) == 0 ? 0 : 15;
}

static void with_mount(struct tree_fixture *f, const char *point, const char *type)
{
    int status = -1;
    pid_t pid;

    test_mkdir(f->src, "sub", 0755);
    test_mkdir(f->src, "sub/point", 0755);
    test_write(f->dst, "precious", "");
    pid = fork();
    if (pid == 0)
        _exit(remove_with_mount(f->dir.path, point, type));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void tree_remove__stops_at_a_mount_point_and_names_it(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    with_mount(*state, "src/sub/point", "tmpfs");
}

static void tree_remove__stops_at_a_bind_mount_of_the_same_file_system(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    with_mount(*state, "src/sub/point", NULL);
}

static void tree_remove__refuses_a_mount_point_as_its_root(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    with_mount(*state, "src", NULL);
}

static void tree_remove__unwinds_from_every_failing_call(void **state)
{
    struct tree_fixture *f = *state;
    unsigned fds = open_fds();
    unsigned long n;

    OL_REQUIRE(can_inject_faults, "this build has no fault points");
    for (n = 1;; n++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        int r;
        tree_make_zoo(f->src);
        tree_make_comb(f->dst, 12);
        test_mkdir(f->src, "comb", 0755);
        assert_int_equal(renameat(f->dst, "level", f->src, "comb/level"), 0);
        assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
        ol_fault_arm(n);
        r = ol_tree_remove_content(f->src, &err);
        if (!ol_fault_delivered()) {
            assert_ok(r, &err);
            break;
        }
        assert_int_equal(r, -EIO);
        assert_message(&err, "cannot remove '");
        assert_int_equal(open_fds(), fds);
        ol_fault_arm(0);
        assert_ok(ol_tree_remove_content(f->src, &err), &err);
    }
    ol_fault_arm(0);
    assert_true(n > 50);
}

/* Keeps making entries for a while: the removal visits a directory again that was not empty. */
static void *filler(void *arg)
{
    struct tree_fixture *f = arg;

    for (int i = 0; i < 200; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "busy/d%d", i);
        (void)mkdirat(f->src, name, 0755); /* fails once the directory is gone */
    }
    return NULL;
}

static void tree_remove__copes_with_somebody_adding_entries(void **state)
{
    struct tree_fixture *f = *state;
    pthread_t thread;
    int r;

    for (int i = 0; i < 20; i++) {
        test_mkdir(f->src, "busy", 0755);
        assert_int_equal(pthread_create(&thread, NULL, filler, f), 0);
        r = ol_tree_remove(f->src, "busy", NULL);
        assert_true(r == 0 || r == -ENOTEMPTY);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(ol_tree_remove(f->src, "busy", NULL), 0);
    }
}

int main(void)
{
#define TREE_TEST(fn) cmocka_unit_test_setup_teardown(fn, tree_fixture_setup, tree_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TREE_TEST(tree_remove__takes_everything_away),
        TREE_TEST(tree_remove__of_something_missing_is_success),
        TREE_TEST(tree_remove__takes_single_objects_and_follows_no_symlink),
        TREE_TEST(tree_remove__content_keeps_the_directory),
        TREE_TEST(tree_remove__has_no_limit_on_depth),
        TREE_TEST(tree_remove__handles_wide_directories),
        TREE_TEST(tree_remove__opens_directories_without_permissions),
        TREE_TEST(tree_remove__stops_at_a_mount_point_and_names_it),
        TREE_TEST(tree_remove__stops_at_a_bind_mount_of_the_same_file_system),
        TREE_TEST(tree_remove__refuses_a_mount_point_as_its_root),
        TREE_TEST(tree_remove__unwinds_from_every_failing_call),
        TREE_TEST(tree_remove__copes_with_somebody_adding_entries),
    };
    return cmocka_run_group_tests_name("tree_remove", tests, NULL, NULL);
}
