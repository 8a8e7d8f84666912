/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_fixture.h"

#include "common/fault.h"
#include "common/fs/tree.h"
#include "common/fs/tree_engine.h"
#include "common/fs/xattr.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

static const struct ol_clone_options content = {.mode = OL_CLONE_CONTENT, .keep_owner = true};
static const struct ol_clone_options link_mode = {.mode = OL_CLONE_LINK, .keep_owner = true};

static struct ol_clone_stats clone_ok(struct tree_fixture *f, const struct ol_clone_options *o)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_clone_stats stats;
    unsigned fds = open_fds();

    assert_ok(ol_tree_clone(f->src, f->dst, o, &stats, &err), &err);
    assert_int_equal(open_fds(), fds);
    return stats;
}

static void tree_clone__copies_everything(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_clone_stats stats;

    tree_make_zoo(f->src);
    stats = clone_ok(f, &content);
    assert_same_tree(f->src, f->dst);
    assert_int_equal(stats.relinked, 2);
    assert_int_equal(stats.linked, 0);
    assert_int_equal(stats.skipped_devices, 0);
    assert_true(stats.copied >= 5);
    assert_true(tree_stat(f->src, "file").st_ino != tree_stat(f->dst, "file").st_ino);
}

static void tree_clone__is_the_same_under_any_umask_and_thread_count(void **state)
{
    static const mode_t masks[] = {0, 022, 077, 0777};
    struct tree_fixture *f = *state;

    tree_make_zoo(f->src);
    for (size_t i = 0; i < OL_ARRAY_LEN(masks); i++) {
        struct ol_clone_options o = content;
        mode_t old = umask(masks[i]);
        o.threads = (unsigned)i + 1;
        clone_ok(f, &o);
        assert_int_equal(umask(old), masks[i]); /* left alone */
        assert_same_tree(f->src, f->dst);
        assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
    }
}

static void tree_clone__keeps_hard_links_of_files_only(void **state)
{
    struct tree_fixture *f = *state;

    tree_make_zoo(f->src);
    test_symlink(f->src, "t", "s1");
    assert_int_equal(linkat(f->src, "s1", f->src, "s2", 0), 0);
    clone_ok(f, &content);
    assert_int_equal(tree_stat(f->dst, "dir/first").st_ino,
                     tree_stat(f->dst, "dir/sub/second").st_ino);
    assert_int_equal(tree_stat(f->dst, "dir/first").st_nlink, 3);
    assert_int_equal(tree_stat(f->dst, "s1").st_nlink, 1); /* moby: an inode per name */
}

static void tree_clone__links_files_and_remakes_the_rest(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_clone_stats stats;

    tree_make_zoo(f->src);
    stats = clone_ok(f, &link_mode);
    assert_same_tree(f->src, f->dst);
    assert_int_equal(stats.copied, 0);
    assert_int_equal(tree_stat(f->src, "file").st_ino, tree_stat(f->dst, "file").st_ino);
    assert_true(tree_stat(f->src, "fifo").st_ino != tree_stat(f->dst, "fifo").st_ino);
    assert_true(tree_stat(f->src, "dangling").st_ino != tree_stat(f->dst, "dangling").st_ino);
}

static void tree_clone__link_all_makes_only_directories(void **state)
{
    struct ol_clone_options o = link_mode;
    struct tree_fixture *f = *state;
    struct ol_clone_stats stats;

    o.link_all = true;
    tree_make_zoo(f->src);
    stats = clone_ok(f, &o);
    assert_same_tree(f->src, f->dst);
    assert_int_equal(stats.specials, 0);
    assert_int_equal(tree_stat(f->src, "fifo").st_ino, tree_stat(f->dst, "fifo").st_ino);
    assert_int_equal(tree_stat(f->src, "dangling").st_ino, tree_stat(f->dst, "dangling").st_ino);
}

static void make_socket(int dir_fd, const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    ol_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
}

static void tree_clone__leaves_sockets_out_and_counts_them(void **state)
{
    struct ol_clone_options all = link_mode;
    const struct ol_clone_options *modes[] = {&content, &link_mode, &all};
    struct tree_fixture *f = *state;

    all.link_all = true;
    make_socket(f->src, "socket");
    test_write(f->src, "file", "");
    for (size_t i = 0; i < OL_ARRAY_LEN(modes); i++) {
        assert_int_equal(clone_ok(f, modes[i]).skipped_sockets, 1);
        assert_absent(f->dst, "socket");
        assert_present(f->dst, "file");
        assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
    }
}

static void tree_clone__carries_the_two_attributes_only(void **state)
{
    static const unsigned char cap[20] = {1, 0, 0, 2, 0, 4}; /* cap_net_bind_service, effective */
    struct tree_fixture *f = *state;
    struct ol_clone_options o = content;
    char value[64];

    OL_REQUIRE(can_mount_overlay, "trusted.* attributes need CAP_SYS_ADMIN");
    test_write(f->src, "file", "");
    test_mkdir(f->src, "opaque", 0755);
    assert_int_equal(ol_xattr_set(f->src, "file", "security.capability", cap, sizeof cap), 0);
    assert_int_equal(ol_xattr_set(f->src, "file", "user.note", "n", 1), 0);
    assert_int_equal(ol_xattr_set(f->src, "opaque", "trusted.overlay.opaque", "y", 1), 0);
    assert_int_equal(ol_xattr_set(f->src, "opaque", "trusted.overlay.origin", "o", 1), 0);
    clone_ok(f, &o);
    assert_int_equal(ol_xattr_get(f->dst, "file", "security.capability", value, sizeof value), 20);
    assert_memory_equal(value, cap, 20);
    assert_int_equal(ol_xattr_get(f->dst, "opaque", "trusted.overlay.opaque", value, 64), 1);
    assert_int_equal(ol_xattr_get(f->dst, "file", "user.note", value, 64), -ENODATA);
    assert_int_equal(ol_xattr_get(f->dst, "opaque", "trusted.overlay.origin", value, 64), -ENODATA);
    assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
    o.all_xattrs = true;
    clone_ok(f, &o);
    assert_int_equal(ol_xattr_get(f->dst, "file", "user.note", value, 64), 1);
    assert_int_equal(ol_xattr_get(f->dst, "opaque", "trusted.overlay.origin", value, 64), 1);
}

static void tree_clone__capability_survives_a_change_of_owner(void **state)
{
    static const unsigned char cap[20] = {1, 0, 0, 2, 0, 4};
    struct tree_fixture *f = *state;
    char value[64];

    OL_REQUIRE(can_mount_overlay, "setting capabilities needs privileges");
    test_write(f->src, "file", "");
    assert_int_equal(fchownat(f->src, "file", 33, 33, 0), 0);
    assert_int_equal(ol_xattr_set(f->src, "file", "security.capability", cap, sizeof cap), 0);
    clone_ok(f, &content);
    assert_int_equal(ol_xattr_get(f->dst, "file", "security.capability", value, sizeof value), 20);
}

static void tree_clone__opaque_name_follows_the_namespace(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_clone_options o = content;
    char value[8];

    OL_REQUIRE(can_user_xattr, "the test directory keeps no user.* attributes");
    o.ns = OL_OVERLAY_USER;
    test_mkdir(f->src, "opaque", 0755);
    assert_int_equal(ol_xattr_set(f->src, "opaque", "user.overlay.opaque", "y", 1), 0);
    clone_ok(f, &o);
    assert_int_equal(ol_xattr_get(f->dst, "opaque", "user.overlay.opaque", value, 8), 1);
}

static void tree_clone__whiteouts_stay_whiteouts(void **state)
{
    struct tree_fixture *f = *state;

    if (ol_whiteout_make(f->src, "gone") < 0)
        OL_REQUIRE(can_mknod, "whiteouts cannot be made here");
    clone_ok(f, &content);
    assert_int_equal(tree_stat(f->dst, "gone").st_rdev, 0);
    assert_true(S_ISCHR(tree_stat(f->dst, "gone").st_mode));
}

static void tree_clone__times_out_of_range_become_1970_but_not_of_symlinks(void **state)
{
    struct timespec early[2] = {{-100, 5}, {-100, 5}};
    struct tree_fixture *f = *state;

    test_write(f->src, "file", "");
    test_symlink(f->src, "x", "link");
    assert_int_equal(utimensat(f->src, "file", early, 0), 0);
    assert_int_equal(utimensat(f->src, "link", early, AT_SYMLINK_NOFOLLOW), 0);
    clone_ok(f, &content);
    assert_int_equal(tree_stat(f->dst, "file").st_mtim.tv_sec, 0);
    assert_int_equal(tree_stat(f->dst, "file").st_mtim.tv_nsec, 0);
    assert_int_equal(tree_stat(f->dst, "link").st_mtim.tv_sec, -100);
}

static void tree_clone__copies_when_the_source_takes_no_more_links(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_clone_stats stats;
    char name[32];
    int r = 0;

    test_write(f->src, "file", "full");
    test_mkdir(f->src, "more", 0755);
    for (unsigned i = 0; i < 70000 && r == 0; i++) {
        (void)snprintf(name, sizeof name, "more/%u", i);
        r = linkat(f->src, "file", f->src, name, 0);
    }
    if (r == 0) {
        print_message("SKIP %s: this file system takes more than 70000 links\n", __func__);
        skip();
    }
    assert_int_equal(errno, EMLINK);
    stats = clone_ok(f, &link_mode);
    assert_int_equal(stats.linked, 0);
    assert_int_equal(stats.copied, 1); /* one copy, the other names linked to it */
    assert_int_equal(stats.copied_fallback, stats.relinked + 1);
    assert_content(f->dst, "file", "full");
    assert_int_equal(tree_stat(f->dst, "file").st_nlink, tree_stat(f->src, "file").st_nlink);
}

static void tree_clone__copies_across_file_systems(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_clone_stats stats;
    ol_auto_fd int other = -1;
    char path[] = "/dev/shm/overlab-test.XXXXXX";

    tree_make_zoo(f->src);
    if (mkdtemp(path) == NULL) {
        print_message("SKIP %s: no second file system at /dev/shm\n", __func__);
        skip();
    }
    other = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(ol_tree_clone(f->src, other, &link_mode, &stats, NULL), 0);
    assert_same_tree(f->src, other);
    assert_int_equal(ol_tree_remove(AT_FDCWD, path, NULL), 0);
    if (stats.linked == 0) /* 0 links: /dev/shm was another file system, as nearly everywhere */
        assert_int_equal(stats.copied_fallback, stats.copied + stats.relinked);
}

static void tree_clone__has_no_limit_on_depth(void **state)
{
    const struct ol_clone_options *modes[] = {&content, &link_mode};
    enum { DEPTH = 3000 };
    struct tree_fixture *f = *state;
    struct rlimit old;
    struct rlimit few = {128, 128};

    tree_make_comb(f->src, DEPTH);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few.rlim_max = old.rlim_max;
    for (size_t i = 0; i < OL_ARRAY_LEN(modes); i++) {
        struct ol_clone_stats stats;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        stats = clone_ok(f, modes[i]);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(stats.directories, 3 * DEPTH);
        assert_int_equal(tree_depth(f->dst), DEPTH);
        assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
    }
}

static void tree_clone__finds_hard_links_across_a_deep_tree(void **state)
{
    enum { DEPTH = 600 }; /* the path between the names is longer than PATH_MAX */
    struct tree_fixture *f = *state;
    ol_auto_fd int fd = dup(f->src);

    test_write(f->src, "name", "same");
    for (unsigned i = 0; i < DEPTH; i++) {
        int next;
        test_mkdir(fd, "a-name-of-some-length", 0755);
        next = openat(fd, "a-name-of-some-length", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        ol_fd_close(&fd);
        fd = next;
        if (i % 100 == 99)
            assert_int_equal(linkat(f->src, "name", fd, "name", 0), 0);
    }
    assert_int_equal(clone_ok(f, &content).relinked, 6);
    assert_int_equal(tree_stat(f->dst, "name").st_nlink, 7);
}

static void tree_clone__keeps_holes(void **state)
{
    struct tree_fixture *f = *state;
    ol_auto_fd int fd = openat(f->src, "sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    ol_auto_fd int copy = -1;
    char byte = 0;

    assert_int_equal(pwrite(fd, "A", 1, 3 << 20), 1);
    assert_int_equal(ftruncate(fd, 9 << 20), 0);
    clone_ok(f, &content);
    assert_int_equal(tree_stat(f->dst, "sparse").st_size, 9 << 20);
    copy = openat(f->dst, "sparse", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(copy, &byte, 1, 3 << 20), 1);
    assert_int_equal(byte, 'A');
    if (lseek(fd, 0, SEEK_HOLE) == 0) /* this file system knows holes */
        assert_true(tree_stat(f->dst, "sparse").st_blocks < (1 << 20) / 512);
}

static void tree_clone__names_the_culprit(void **state)
{
    struct tree_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    test_mkdir(f->src, "a", 0755);
    test_mkdir(f->src, "a/b", 0755);
    test_mkdir(f->dst, "a", 0755);
    assert_int_equal(ol_tree_clone(f->src, f->dst, &content, NULL, &err), -EEXIST);
    assert_message(&err, "'a'");
    ol_error_fini(&err);
    assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
    test_write(f->src, "a/b/file", "");
    if (!can_inject_faults())
        return;
    for (unsigned long n = 1; err.message == NULL || strstr(err.message, "a/b/file") == NULL; n++) {
        ol_error_fini(&err);
        ol_fault_arm(n);
        assert_int_equal(ol_tree_clone(f->src, f->dst, &content, NULL, &err), -EIO);
        assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
    }
    ol_fault_arm(0);
    assert_message(&err, "'a/b/file'");
}

/* As an ordinary user: owners stay, devices are counted, nothing else changes. */
static int clone_unprivileged(struct tree_fixture *f)
{
    struct ol_clone_options o = {.mode = OL_CLONE_CONTENT};
    struct ol_clone_stats stats;
    ol_auto_fd int fd = -1;

    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return 10;
    if (ol_tree_clone(f->src, f->dst, &o, &stats, NULL) < 0)
        return 11;
    if (stats.skipped_devices != 1 || tree_stat(f->dst, "f").st_uid != 65534)
        return 12;
    fd = openat(f->dst, "deaf", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 || errno != EACCES)
        return 13; /* its mode, 0055, has arrived */
    return ol_tree_remove_content(f->dst, NULL) == 0 ? 0 : 14;
}

static void tree_clone__works_for_an_ordinary_user(void **state)
{
    struct tree_fixture *f = *state;
    int status = -1;
    pid_t pid;

    OL_REQUIRE(can_chown, "becoming another user needs root");
    OL_REQUIRE(can_mknod, "device nodes need root");
    test_write(f->src, "f", "");
    assert_int_equal(mknodat(f->src, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
    test_mkdir(f->src, "deaf", 0055); /* readable for others, not for the owner of the copy */
    test_mkdir(f->src, "deaf/below", 0755);
    test_write(f->src, "deaf/below/file", "");
    assert_int_equal(fchmodat(f->src, "deaf", 0055, 0), 0);
    assert_int_equal(fchmod(f->dir.fd, 0755), 0);
    assert_int_equal(fchown(f->dst, 65534, 65534), 0);
    pid = fork();
    if (pid == 0)
        _exit(clone_unprivileged(f));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
}

static void every_fault(struct tree_fixture *f, const struct ol_clone_options *o)
{
    unsigned fds = open_fds();
    unsigned long n;

    for (n = 1;; n++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        int r;
        ol_fault_arm(n);
        r = ol_tree_clone(f->src, f->dst, o, NULL, &err);
        if (!ol_fault_delivered()) {
            assert_ok(r, &err);
            break;
        }
        assert_int_equal(r, -EIO);
        assert_message(&err, "Input/output error");
        assert_int_equal(open_fds(), fds);
        ol_fault_arm(0);
        assert_ok(ol_tree_remove_content(f->dst, &err), &err);
    }
    ol_fault_arm(0);
    assert_true(n > 10);
    assert_same_tree(f->src, f->dst);
    assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
}

static void tree_clone__unwinds_from_every_failing_call(void **state)
{
    struct tree_fixture *f = *state;
    struct ol_clone_options o = content;

    OL_REQUIRE(can_inject_faults, "this build has no fault points");
    tree_make_zoo(f->src);
    for (unsigned i = 0; i < 24; i++) { /* enough jobs for the second thread to start */
        char name[32];
        (void)snprintf(name, sizeof name, "d%u", i);
        test_mkdir(f->src, name, 0755);
    }
    every_fault(f, &link_mode);
    every_fault(f, &content);
    o.threads = 4;
    every_fault(f, &o);
}

/* Swaps a file and a fifo under the clone's feet: it may fail, but not hang or copy a fifo. */
static void *swapper(void *arg)
{
    struct tree_fixture *f = arg;

    for (int i = 0; i < 3000; i++)
        (void)renameat2(f->src, "file", f->src, "fifo", RENAME_EXCHANGE);
    return NULL;
}

static void tree_clone__never_waits_for_a_fifo_put_in_place_of_a_file(void **state)
{
    struct tree_fixture *f = *state;
    pthread_t thread;

    test_write(f->src, "file", "x");
    assert_int_equal(mkfifoat(f->src, "fifo", 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, swapper, f), 0);
    for (int i = 0; i < 200; i++) {
        int r = ol_tree_clone(f->src, f->dst, &content, NULL, NULL);
        assert_true(r == 0 || r == -ESTALE);
        assert_int_equal(ol_tree_remove_content(f->dst, NULL), 0);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
#define TREE_TEST(fn) cmocka_unit_test_setup_teardown(fn, tree_fixture_setup, tree_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TREE_TEST(tree_clone__copies_everything),
        TREE_TEST(tree_clone__is_the_same_under_any_umask_and_thread_count),
        TREE_TEST(tree_clone__keeps_hard_links_of_files_only),
        TREE_TEST(tree_clone__links_files_and_remakes_the_rest),
        TREE_TEST(tree_clone__link_all_makes_only_directories),
        TREE_TEST(tree_clone__leaves_sockets_out_and_counts_them),
        TREE_TEST(tree_clone__carries_the_two_attributes_only),
        TREE_TEST(tree_clone__capability_survives_a_change_of_owner),
        TREE_TEST(tree_clone__opaque_name_follows_the_namespace),
        TREE_TEST(tree_clone__whiteouts_stay_whiteouts),
        TREE_TEST(tree_clone__times_out_of_range_become_1970_but_not_of_symlinks),
        TREE_TEST(tree_clone__copies_when_the_source_takes_no_more_links),
        TREE_TEST(tree_clone__copies_across_file_systems),
        TREE_TEST(tree_clone__has_no_limit_on_depth),
        TREE_TEST(tree_clone__finds_hard_links_across_a_deep_tree),
        TREE_TEST(tree_clone__keeps_holes),
        TREE_TEST(tree_clone__names_the_culprit),
        TREE_TEST(tree_clone__works_for_an_ordinary_user),
        TREE_TEST(tree_clone__unwinds_from_every_failing_call),
        TREE_TEST(tree_clone__never_waits_for_a_fifo_put_in_place_of_a_file),
    };
    return cmocka_run_group_tests_name("tree_clone", tests, NULL, NULL);
}
