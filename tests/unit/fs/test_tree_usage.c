/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_fixture.h"

#include "common/fs/inode_set.h"
#include "common/fs/tree.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static struct ol_tree_usage usage_of(int fd, bool inodes_only)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_tree_usage u;
    unsigned fds = open_fds();

    assert_ok(ol_tree_usage(fd, inodes_only, &u, &err), &err);
    assert_int_equal(open_fds(), fds);
    return u;
}

static void tree_usage__counts_by_kind_and_each_inode_once(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_tree_usage u;

    test_mkdir(f->src, "d", 0755);
    test_write(f->src, "d/one", "12345");
    assert_int_equal(linkat(f->src, "d/one", f->src, "two", 0), 0);
    test_write(f->src, "single", "123");
    test_symlink(f->src, "1234567", "link");
    assert_int_equal(mkfifoat(f->src, "fifo", 0600), 0);
    u = usage_of(f->src, false);
    assert_int_equal(u.inodes, 6);
    assert_int_equal(u.names, 7);
    assert_int_equal(u.directories, 2);
    assert_int_equal(u.regular, 2);
    assert_int_equal(u.symlinks, 1);
    assert_int_equal(u.fifos, 1);
    assert_int_equal(u.apparent_bytes, 5 + 3 + 7);
    assert_int_equal(u.shared, 0);
    assert_true(u.bytes >= 4096);
    u = usage_of(f->src, true);
    assert_int_equal(u.inodes, 6);
    assert_int_equal(u.names, 7);
    assert_int_equal(u.regular, 0); /* only these two are filled in */
}

static void tree_usage__tells_whiteouts_from_devices(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_tree_usage u;

    OL_REQUIRE(can_mknod, "device nodes need CAP_MKNOD");
    assert_int_equal(mknodat(f->src, "null", S_IFCHR | 0600, makedev(1, 3)), 0);
    assert_int_equal(mknodat(f->src, "w", S_IFCHR, makedev(0, 0)), 0);
    assert_int_equal(linkat(f->src, "w", f->src, "w2", 0), 0);
    u = usage_of(f->src, false);
    assert_int_equal(u.devices, 1);
    assert_int_equal(u.whiteouts, 1);
    assert_int_equal(u.inodes, 3);
}

static void tree_usage__shared_inodes_have_names_elsewhere(void **state)
{
    struct tree_fixture *f = *state;

    test_write(f->src, "a", "");
    test_write(f->src, "b", "");
    assert_int_equal(linkat(f->src, "a", f->dst, "a", 0), 0);
    assert_int_equal(linkat(f->src, "b", f->src, "b2", 0), 0);
    assert_int_equal(usage_of(f->src, false).shared, 1);
    assert_int_equal(usage_of(f->dst, false).shared, 1);
    assert_int_equal(usage_of(f->dir.fd, false).shared, 0);
}

static void tree_usage__of_many_links_and_directories(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_tree_usage u;
    char name[32];

    for (unsigned i = 0; i < 200; i++) { /* more than the workers' batches and many jobs */
        (void)snprintf(name, sizeof name, "d%u", i);
        test_mkdir(f->src, name, 0755);
        (void)snprintf(name, sizeof name, "d%u/f", i);
        test_write(f->src, name, "");
        for (unsigned k = 0; k < 20; k++) {
            char other[32];
            (void)snprintf(other, sizeof other, "d%u/l%u", (i * 7 + k) % (i + 1), i * 100 + k);
            assert_int_equal(linkat(f->src, name, f->src, other, 0), 0);
        }
    }
    u = usage_of(f->src, false);
    assert_int_equal(u.inodes, 401);
    assert_int_equal(u.names, 1 + 200 + 200 * 21);
    assert_int_equal(u.regular, 200);
    assert_int_equal(u.shared, 0);
    assert_int_equal(usage_of(f->src, true).inodes, 401);
}

static void tree_usage__has_no_limit_on_depth(void **state)
{
    struct tree_fixture *f = *state;

    tree_make_comb(f->src, 3000);
    assert_int_equal(usage_of(f->src, false).directories, 3 * 3000 + 1);
    assert_int_equal(usage_of(f->src, true).inodes, 5 * 3000 + 1);
    assert_int_equal(ol_tree_remove_content(f->src, NULL), 0);
}

static int count_below_mounts(const char *path)
{
    struct ol_tree_usage all;
    struct ol_tree_usage few;
    ol_auto_fd int fd = -1;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        chdir(path) < 0 || mount("none", "src/point", "tmpfs", 0, NULL) < 0 ||
        mount("dst/file", "src/covered", NULL, MS_BIND, NULL) < 0)
        return 10;
    fd = open("src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mkdir("src/point/inside", 0755) < 0 || ol_tree_usage(fd, false, &all, NULL) < 0 ||
        ol_tree_usage(fd, true, &few, NULL) < 0)
        return 11;
    if (all.inodes != 3 || all.directories != 2 || all.regular != 1 || all.names != 3)
        return 12;
    return few.inodes == 3 && few.names == 3 ? 0 : 13;
}

static void tree_usage__counts_what_mounts_cover_and_not_what_they_show(void **state)
{
    struct tree_fixture *f = *state;
    int status = -1;
    pid_t pid;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    test_mkdir(f->src, "point", 0755);
    test_write(f->src, "covered", "");
    test_write(f->dst, "file", "");
    pid = fork();
    if (pid == 0)
        _exit(count_below_mounts(f->dir.path));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void tree_usage__leaves_access_times_alone(void **state)
{
    struct timespec old[2] = {{1000, 0}, {2000, 0}};
    struct tree_fixture *f = *state;

    test_mkdir(f->src, "d", 0755);
    assert_int_equal(utimensat(f->src, "d", old, 0), 0);
    (void)usage_of(f->src, false);
    assert_int_equal(tree_stat(f->src, "d").st_atim.tv_sec, 1000);
}

static void inode_set__knows_what_was_added(void **state)
{
    struct ol_inode_set set = {.cap = 0};

    (void)state;
    for (uint64_t twice = 0; twice < 2; twice++) {
        for (uint64_t i = 0; i < 50000; i++)
            assert_int_equal(ol_inode_set_add(&set, i * i), twice == 0);
        assert_int_equal(ol_inode_set_add(&set, UINT64_MAX), twice == 0);
    }
    ol_inode_set_fini(&set);
}

static void inode_set__counts_names_not_seen(void **state)
{
    struct ol_inode_set set = {.cap = 0};

    (void)state;
    for (uint64_t i = 1; i <= 3000; i++)
        assert_int_equal(ol_inode_set_count(&set, i << 20, 2), 1);
    for (uint64_t i = 1; i <= 1000; i++)
        assert_int_equal(ol_inode_set_count(&set, i << 20, 2), 0);
    assert_int_equal(ol_inode_set_incomplete(&set), 2000);
    ol_inode_set_fini(&set);
}

int main(void)
{
#define TREE_TEST(fn) cmocka_unit_test_setup_teardown(fn, tree_fixture_setup, tree_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TREE_TEST(tree_usage__counts_by_kind_and_each_inode_once),
        TREE_TEST(tree_usage__tells_whiteouts_from_devices),
        TREE_TEST(tree_usage__shared_inodes_have_names_elsewhere),
        TREE_TEST(tree_usage__of_many_links_and_directories),
        TREE_TEST(tree_usage__has_no_limit_on_depth),
        TREE_TEST(tree_usage__counts_what_mounts_cover_and_not_what_they_show),
        TREE_TEST(tree_usage__leaves_access_times_alone),
        cmocka_unit_test(inode_set__knows_what_was_added),
        cmocka_unit_test(inode_set__counts_names_not_seen),
    };
    return cmocka_run_group_tests_name("tree_usage", tests, NULL, NULL);
}
