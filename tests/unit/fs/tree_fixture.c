/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_fixture.h"

#include "common/fs/dirents.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

int tree_fixture_setup(void **state)
{
    struct tree_fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    test_dir_make(&f->dir);
    test_mkdir(f->dir.fd, "src", 0755);
    test_mkdir(f->dir.fd, "dst", 0700);
    f->src = openat(f->dir.fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->dst = openat(f->dir.fd, "dst", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = f;
    return f->src < 0 || f->dst < 0 ? -1 : 0;
}

int tree_fixture_teardown(void **state)
{
    struct tree_fixture *f = *state;

    ol_fd_close(&f->src);
    ol_fd_close(&f->dst);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

void tree_make_comb(int dir_fd, unsigned depth)
{
    ol_auto_fd int fd = dup(dir_fd);

    while (depth-- > 0) {
        int next;
        test_mkdir(fd, "a", 0755);
        test_mkdir(fd, "z", 0755);
        test_mkdir(fd, "level", 0755);
        test_write(fd, "f", "x");
        test_write(fd, "z/g", "y");
        next = openat(fd, "level", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        ol_fd_close(&fd);
        fd = next;
    }
}

unsigned tree_depth(int dir_fd)
{
    ol_auto_fd int fd = dup(dir_fd);
    unsigned depth = 0;

    for (;; depth++) {
        int next = openat(fd, "level", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (next < 0)
            return depth;
        ol_fd_close(&fd);
        fd = next;
    }
}

static void set_times(int dir_fd, const char *name, time_t sec, long nsec)
{
    struct timespec times[2] = {{sec + 7, nsec + 1}, {sec, nsec}};

    assert_int_equal(utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_privileged(int dir_fd)
{
    if (can_chown()) {
        test_write(dir_fd, "owned", "by somebody");
        assert_int_equal(fchownat(dir_fd, "owned", 1234, 4321, 0), 0);
        assert_int_equal(fchmodat(dir_fd, "owned", 06755, 0), 0);
        assert_int_equal(symlinkat("owned", dir_fd, "owned-link"), 0);
        assert_int_equal(fchownat(dir_fd, "owned-link", 99, 98, AT_SYMLINK_NOFOLLOW), 0);
        test_mkdir(dir_fd, "owned-dir", 0750);
        assert_int_equal(fchownat(dir_fd, "owned-dir", 5, 6, 0), 0);
        assert_int_equal(fchmodat(dir_fd, "owned-dir", 02750, 0), 0);
        test_write(dir_fd, "owned-dir/inside", "");
    }
    if (can_mknod()) {
        assert_int_equal(mknodat(dir_fd, "null", S_IFCHR | 0600, makedev(1, 3)), 0);
        assert_int_equal(fchmodat(dir_fd, "null", 0666, 0), 0);
        assert_int_equal(mknodat(dir_fd, "block", S_IFBLK | 0640, makedev(7, 77)), 0);
    }
    /* anybody may make a whiteout since Linux 5.8; where not, the tree goes without */
    (void)mknodat(dir_fd, "whiteout", S_IFCHR, makedev(0, 0));
}

void tree_make_zoo(int dir_fd)
{
    test_write(dir_fd, "file", "content\n");
    test_write(dir_fd, "empty", "");
    test_write(dir_fd, "writable", "all may");
    assert_int_equal(fchmodat(dir_fd, "writable", 0666, 0), 0);
    test_write(dir_fd, "secret", "mode 0");
    assert_int_equal(fchmodat(dir_fd, "secret", 0400, 0), 0);
    test_mkdir(dir_fd, "dir", 0751);
    test_mkdir(dir_fd, "dir/sub", 01777);
    test_write(dir_fd, "dir/first", "two names");
    assert_int_equal(linkat(dir_fd, "dir/first", dir_fd, "dir/sub/second", 0), 0);
    assert_int_equal(linkat(dir_fd, "dir/first", dir_fd, "dir/third", 0), 0);
    test_symlink(dir_fd, "../nowhere/at all", "dangling");
    test_symlink(dir_fd, "/", "dir/root");
    assert_int_equal(mkfifoat(dir_fd, "fifo", 0620), 0);
    make_privileged(dir_fd);
    set_times(dir_fd, "file", 1, 123456789);
    set_times(dir_fd, "dangling", 1000000000, 5);
    set_times(dir_fd, "fifo", 1000000001, 6);
    set_times(dir_fd, "dir/first", 1000000002, 999999998);
    set_times(dir_fd, "dir/sub", 1000000003, 7);
    set_times(dir_fd, "dir", 1000000004, 8);
    set_times(dir_fd, ".", 1000000005, 9);
}

struct stat tree_stat(int dir_fd, const char *name)
{
    struct stat st;

    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        fail_msg("'%s': %s", name, strerror(errno));
    return st;
}

static void same_stat(const char *name, const struct stat *a, const struct stat *b)
{
    if (a->st_mode != b->st_mode)
        fail_msg("'%s': mode %o and %o", name, a->st_mode, b->st_mode);
    if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
        fail_msg("'%s': owner %u:%u and %u:%u", name, a->st_uid, a->st_gid, b->st_uid, b->st_gid);
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
        fail_msg("'%s': mtime %ld.%09ld and %ld.%09ld", name, a->st_mtim.tv_sec, a->st_mtim.tv_nsec,
                 b->st_mtim.tv_sec, b->st_mtim.tv_nsec);
    if (a->st_rdev != b->st_rdev)
        fail_msg("'%s': device %lx and %lx", name, (unsigned long)a->st_rdev,
                 (unsigned long)b->st_rdev);
    if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
        fail_msg("'%s': size %ld and %ld", name, (long)a->st_size, (long)b->st_size);
}

static void same_link(int a, int b, const char *name)
{
    char ta[4096] = "";
    char tb[4096] = "";

    assert_true(readlinkat(a, name, ta, sizeof ta - 1) >= 0);
    assert_true(readlinkat(b, name, tb, sizeof tb - 1) >= 0);
    assert_string_equal(ta, tb);
}

static void same_entry(int a, int b, const char *name)
{
    struct stat sa = tree_stat(a, name);
    struct stat sb = tree_stat(b, name);

    same_stat(name, &sa, &sb);
    if (S_ISLNK(sa.st_mode))
        same_link(a, b, name);
    if (S_ISREG(sa.st_mode)) {
        ol_auto_free char *ca = test_read(a, name);
        ol_auto_free char *cb = test_read(b, name);
        assert_memory_equal(ca, cb, (size_t)sa.st_size);
    }
    if (S_ISDIR(sa.st_mode)) {
        ol_auto_fd int da = openat(a, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ol_auto_fd int db = openat(b, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_same_tree(da, db);
    }
}

void assert_same_tree(int a, int b)
{
    ol_auto_dirents struct ol_dirents la = OL_DIRENTS_INIT;
    ol_auto_dirents struct ol_dirents lb = OL_DIRENTS_INIT;
    struct stat sa = tree_stat(a, ".");
    struct stat sb = tree_stat(b, ".");

    same_stat(".", &sa, &sb);
    assert_int_equal(ol_dirents_read(&la, a, true), 0);
    assert_int_equal(ol_dirents_read(&lb, b, true), 0);
    for (size_t i = 0; i < la.count && i < lb.count; i++) {
        assert_string_equal(la.items[i].name, lb.items[i].name);
        same_entry(a, b, la.items[i].name);
    }
    assert_int_equal(la.count, lb.count);
}

unsigned open_fds(void)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ol_dirents_read(&list, fd, false), 0);
    return (unsigned)list.count - 1;
}
