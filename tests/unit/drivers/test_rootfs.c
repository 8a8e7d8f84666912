/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fault.h"
#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "drivers/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/*
 * An overlay of upper over lower, not mounted, in the form an ordinary user can have; and a plain
 * directory outside of both, which nothing may reach.
 */
struct fixture {
    struct test_dir dir;
    int lower, upper, work, outside;
    struct ol_rootfs *fs;
};

static int sub_dir(int dir_fd, const char *name)
{
    int fd;

    test_mkdir(dir_fd, name, 0755);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    f->lower = sub_dir(f->dir.fd, "lower");
    f->upper = sub_dir(f->dir.fd, "upper");
    f->work = sub_dir(f->dir.fd, "work");
    f->outside = sub_dir(f->dir.fd, "outside");
    test_mkdir(f->lower, "etc", 0755);
    test_mkdir(f->lower, "etc/conf", 02755);
    test_write(f->lower, "etc/hosts", "localhost");
    test_write(f->lower, "etc/conf/a", "aaa");
    test_write(f->lower, "etc/conf/b", "bbb");
    test_symlink(f->lower, "../../../outside", "out");
    test_symlink(f->lower, "/etc/conf", "conf");
    test_write(f->outside, "secret", "untouched");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    (void)ol_rootfs_close(f->fs, NULL); /* tests that look at the result close it themselves */
    ol_fd_close(&f->lower);
    ol_fd_close(&f->upper);
    ol_fd_close(&f->work);
    ol_fd_close(&f->outside);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static void open_overlay(struct fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const int fds[] = {f->upper, f->lower};
    const struct ol_stack stack = {.fds = fds, .count = 2, .overlay = true, .ns = OL_OVERLAY_USER};

    assert_ok(ol_rootfs_close(f->fs, &err), &err);
    f->fs = NULL;
    assert_ok(ol_rootfs_open_overlay(&stack, f->work, &f->fs, &err), &err);
}

static void open_plain(struct fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_rootfs_open_dir(fcntl(f->lower, F_DUPFD_CLOEXEC, 0), &f->fs, &err), &err);
}

static nlink_t links_of(int dir_fd, const char *name, bool *ret_whiteout)
{
    struct stat st;

    assert_int_equal(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    *ret_whiteout = ol_whiteout_is(&st);
    return st.st_nlink;
}

static void try_to_escape(struct fixture *f)
{
    static const char *const ways[] = {"out/secret", "../outside/secret", "../../outside/secret",
                                       "etc/../../outside/secret", "out/../outside/secret"};

    for (size_t i = 0; i < OL_ARRAY_LEN(ways); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
        assert_int_equal(ol_rootfs_write(f->fs, ways[i], "x", 1, &err), -ENOENT);
        assert_message(&err, ways[i]);
        assert_int_equal(ol_rootfs_read(f->fs, ways[i], 100, &buf, NULL), -ENOENT);
        assert_int_equal(ol_rootfs_unlink(f->fs, ways[i], NULL), -ENOENT);
        assert_int_equal(ol_rootfs_chmod(f->fs, ways[i], 0777, NULL), -ENOENT);
        assert_int_equal(ol_rootfs_rename(f->fs, "etc/hosts", ways[i], NULL), -ENOENT);
        assert_int_equal(ol_rootfs_link(f->fs, "etc/hosts", ways[i], NULL), -ENOENT);
        assert_int_equal(ol_rootfs_create(f->fs, ways[i], 0644, "x", 1, NULL), -ENOENT);
        assert_ok(ol_rootfs_remove_tree(f->fs, ways[i], &err), &err); /* not there: nothing to do */
    }
    assert_content(f->outside, "secret", "untouched");
}

static void rootfs_dir__stays_inside_whatever_the_image_links_to(void **state)
{
    open_plain(*state);
    try_to_escape(*state);
}

static void rootfs_overlay__stays_inside_whatever_the_image_links_to(void **state)
{
    open_overlay(*state);
    try_to_escape(*state);
}

static void refuse_special_files(struct fixture *f)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    assert_int_equal(mkfifoat(f->lower, "pipe", 0644), 0);
    assert_int_equal(ol_rootfs_read(f->fs, "pipe", 10, &buf, NULL), -EINVAL);
    assert_int_equal(ol_rootfs_write(f->fs, "pipe", "x", 1, NULL), -EINVAL);
    assert_int_equal(ol_rootfs_append(f->fs, "etc", "x", 1, NULL), -EISDIR);
    assert_int_equal(ol_rootfs_read(f->fs, "etc/hosts", 3, &buf, NULL), -E2BIG);
    assert_int_equal(ol_rootfs_rmdir(f->fs, "", NULL), -EBUSY);
    assert_int_equal(ol_rootfs_remove_tree(f->fs, "/", NULL), -EBUSY);
}

static void rootfs_dir__never_opens_a_fifo(void **state)
{
    open_plain(*state);
    refuse_special_files(*state);
}

static void rootfs_overlay__never_opens_a_fifo(void **state)
{
    open_overlay(*state);
    refuse_special_files(*state);
}

static void rootfs_overlay__copies_up_file_and_parents_with_their_metadata(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct timespec old[2] = {{1000, 1}, {2000, 2}};
    char mark[4] = "";
    struct stat st;

    assert_int_equal(ol_xattr_set(f->lower, "etc/hosts", "user.mark", "yes", 3), 0);
    assert_int_equal(ol_xattr_set(f->lower, "etc/hosts", "user.overlay.origin", "no", 2), 0);
    assert_int_equal(utimensat(f->lower, "etc", old, 0), 0);
    open_overlay(f);
    assert_ok(ol_rootfs_append(f->fs, "etc/hosts", "!", 1, &err), &err);
    assert_content(f->upper, "etc/hosts", "localhost!");
    assert_content(f->lower, "etc/hosts", "localhost");
    assert_int_equal(ol_xattr_get(f->upper, "etc/hosts", "user.mark", mark, sizeof mark), 3);
    assert_int_equal(ol_xattr_get(f->upper, "etc/hosts", "user.overlay.origin", mark, sizeof mark),
                     -ENODATA);
    assert_int_equal(fstatat(f->upper, "etc", &st, 0), 0);
    assert_int_equal(st.st_mtim.tv_sec, 2000);
    assert_int_equal(st.st_mtim.tv_nsec, 2);
    assert_absent(f->upper, "etc/conf");
}

static void rootfs_overlay__breaks_lower_hard_links(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    assert_int_equal(linkat(f->lower, "etc/hosts", f->lower, "etc/same", 0), 0);
    open_overlay(f);
    assert_ok(ol_rootfs_write(f->fs, "etc/hosts", "new", 3, &err), &err);
    assert_ok(ol_rootfs_read(f->fs, "etc/same", 100, &buf, &err), &err);
    assert_string_equal(ol_buf_str(&buf), "localhost");
    assert_absent(f->upper, "etc/same");
}

static void rootfs_overlay__shares_whiteouts_of_one_session(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    bool whiteout;

    open_overlay(f);
    assert_ok(ol_rootfs_unlink(f->fs, "etc/conf/a", &err), &err);
    assert_int_equal(links_of(f->upper, "etc/conf/a", &whiteout), 2); /* and the cached one */
    assert_true(whiteout);
    assert_ok(ol_rootfs_unlink(f->fs, "etc/conf/b", &err), &err);
    assert_int_equal(links_of(f->upper, "etc/conf/a", &whiteout), 3);
    open_overlay(f); /* the next session: the old cached whiteout is cleaned, a new one made */
    assert_int_equal(links_of(f->upper, "etc/conf/a", &whiteout), 2);
    assert_ok(ol_rootfs_unlink(f->fs, "etc/hosts", &err), &err);
    assert_int_equal(links_of(f->upper, "etc/hosts", &whiteout), 2);
}

static void rootfs_overlay__makes_directory_over_whiteout_opaque(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char **names = NULL;

    open_overlay(f);
    assert_ok(ol_rootfs_remove_tree(f->fs, "etc/conf", &err), &err);
    assert_ok(ol_rootfs_mkdir(f->fs, "etc/conf", 0700, &err), &err);
    assert_true(ol_whiteout_is_opaque(f->upper, "etc/conf", OL_OVERLAY_USER));
    assert_ok(ol_rootfs_list(f->fs, "conf", &names, &err), &err);
    assert_null(names[0]);
    ol_rootfs_names_free(names);
}

static void rootfs_overlay__renames_lower_file_and_refuses_lower_directory(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    bool whiteout;

    open_overlay(f);
    assert_ok(ol_rootfs_rename(f->fs, "etc/hosts", "etc/conf/hosts", &err), &err);
    assert_content(f->upper, "etc/conf/hosts", "localhost");
    assert_int_equal(links_of(f->upper, "etc/hosts", &whiteout), 1); /* an inode of its own */
    assert_true(whiteout);
    assert_int_equal(ol_rootfs_rename(f->fs, "etc/conf", "etc/elsewhere", &err), -EXDEV);
    assert_message(&err, "'etc/conf'");
}

static void rootfs_overlay__resets_a_workdir_as_a_mount_does(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct stat st;

    test_mkdir(f->work, "work", 0700);
    test_write(f->work, "work/#7", "left by a kill");
    assert_ok(ol_rootfs_workdir_reset(f->work, &err), &err);
    assert_int_equal(fstatat(f->work, "work", &st, AT_SYMLINK_NOFOLLOW), 0);
    /* root can read a directory of mode 0, others keep their way in */
    assert_int_equal(st.st_mode & 07777, geteuid() == 0 ? 0 : 0700);
    assert_absent(f->work, "work/#7");
}

/* Directories and files whose own mode forbids writing are no obstacle, as they are none to root.
 */
static void rootfs_overlay__writes_through_read_only_modes(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct stat st;

    assert_int_equal(fchmodat(f->lower, "etc/hosts", 0444, 0), 0);
    assert_int_equal(fchmodat(f->lower, "etc", 0555, 0), 0);
    open_overlay(f);
    assert_ok(ol_rootfs_write(f->fs, "etc/hosts", "new", 3, &err), &err);
    assert_ok(ol_rootfs_create(f->fs, "etc/fresh", 0400, "f", 1, &err), &err);
    assert_ok(ol_rootfs_unlink(f->fs, "etc/conf/a", &err), &err);
    assert_content(f->upper, "etc/hosts", "new");
    assert_int_equal(fstatat(f->upper, "etc", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_int_equal(fstatat(f->upper, "etc/hosts", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
}

static void rootfs_overlay__without_a_workdir_is_read_only(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    const int fds[] = {f->upper, f->lower};
    const struct ol_stack stack = {.fds = fds, .count = 2, .overlay = true, .ns = OL_OVERLAY_USER};

    assert_ok(ol_rootfs_open_overlay(&stack, -1, &f->fs, &err), &err);
    assert_ok(ol_rootfs_read(f->fs, "conf/a", 100, &buf, &err), &err);
    assert_string_equal(ol_buf_str(&buf), "aaa");
    assert_int_equal(ol_rootfs_write(f->fs, "conf/a", "x", 1, &err), -EROFS);
    assert_int_equal(ol_rootfs_mkdir(f->fs, "new", 0755, &err), -EROFS);
    assert_int_equal(ol_rootfs_unlink(f->fs, "etc/hosts", &err), -EROFS);
    assert_int_equal(ol_rootfs_rename(f->fs, "etc/hosts", "h", &err), -EROFS);
    assert_absent(f->work, "work");
}

static int fail_to_put(void *data, struct ol_error *err)
{
    *(bool *)data = true;
    return ol_error_set(err, -EBUSY, "closing failed");
}

static void rootfs__close_reports_what_the_hook_says(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    bool called = false;

    open_plain(f);
    ol_rootfs_on_close(f->fs, fail_to_put, &called);
    assert_int_equal(ol_rootfs_close(f->fs, &err), -EBUSY);
    f->fs = NULL;
    assert_true(called);
    assert_message(&err, "closing failed");
}

/* The operations whose unwinding is proven, each on a fresh session. */
static int run_step(struct ol_rootfs *fs, unsigned step, struct ol_error *err)
{
    switch (step) {
    case 0:
        return ol_rootfs_write(fs, "etc/conf/a", "AAAA", 4, err);
    case 1:
        return ol_rootfs_unlink(fs, "etc/conf/a", err);
    case 2:
        return ol_rootfs_rename(fs, "etc/conf/b", "etc/conf/c", err);
    case 3:
        return ol_rootfs_remove_tree(fs, "etc/conf", err);
    case 4:
        return ol_rootfs_mkdir(fs, "etc/conf", 0755, err);
    case 5:
        return ol_rootfs_create(fs, "etc/conf/a", 0644, "new", 3, err);
    case 6:
        return ol_rootfs_link(fs, "etc/hosts", "etc/conf/hosts", err);
    default:
        return ol_rootfs_symlink(fs, "hosts", "etc/conf/link", err);
    }
}

/* Nothing in work/work but the cached whiteout. */
static void assert_work_clean(struct fixture *f)
{
    ol_auto_fd int fd = openat(f->work, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_dir DIR *dir = fd < 0 ? NULL : fdopendir(ol_fd_steal(&fd));
    unsigned others = 0;
    unsigned whiteouts = 0;
    struct dirent *d;

    assert_non_null(dir);
    while ((d = readdir(dir)) != NULL) {
        if (*d->d_name != '#')
            continue;
        if (d->d_type == DT_CHR)
            whiteouts++;
        else
            others++;
    }
    assert_int_equal(others, 0);
    assert_true(whiteouts <= 1);
}

static void rootfs_overlay__leaves_nothing_half_made_when_a_step_fails(void **state)
{
    struct fixture *f = *state;

    if (!OL_FAULTS)
        skip();
    open_overlay(f);
    for (unsigned step = 0; step < 8; step++) {
        for (unsigned long nth = 1; nth < 1000; nth++) {
            ol_auto_error struct ol_error err = OL_ERROR_INIT;
            int r;
            ol_fault_arm(nth);
            r = run_step(f->fs, step, &err);
            ol_fault_arm(0);
            if (r == 0)
                break;
            assert_int_equal(r, -EIO);
            assert_message(&err, "'etc/");
            assert_work_clean(f);
        }
        assert_int_equal(ol_rootfs_close(f->fs, NULL), 0);
        f->fs = NULL;
        assert_int_equal(fchmodat(f->work, "work", 0700, 0), 0); /* to look into it as anybody */
        assert_work_clean(f);
        open_overlay(f);
    }
    assert_content(f->upper, "etc/conf/a", "new");
    assert_content(f->upper, "etc/conf/hosts", "localhost");
    assert_true(ol_whiteout_is_opaque(f->upper, "etc/conf", OL_OVERLAY_USER));
}

/* A file of the lower with an attribute gets an entry's metadata: its own attribute instead. */
static void set_all_metadata(struct fixture *f)
{
    const struct ol_entry_xattr kept = {.name = "user.new", .value = "v", .len = 1};
    const struct ol_meta meta = {.mode = 0604,
                                 .uid = geteuid(),
                                 .gid = getegid(),
                                 .mtime = {.tv_sec = 1000000000, .tv_nsec = 5},
                                 .xattrs = &kept,
                                 .n_xattrs = 1,
                                 .keep_owner = true,
                                 .set_times = true};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_meta_counts counts = {0};
    struct stat st;

    assert_ok(ol_rootfs_set_meta(f->fs, "etc/conf/a", &meta, &counts, &err), &err);
    assert_int_equal(counts.dropped_xattrs, 0);
    assert_ok(ol_rootfs_lstat(f->fs, "etc/conf/a", &st, &err), &err);
    assert_int_equal(st.st_mode & 07777, 0604);
    assert_int_equal(st.st_mtim.tv_sec, 1000000000);
    assert_int_equal(st.st_mtim.tv_nsec, 5);
}

static void rootfs__set_meta_replaces_the_attributes(void **state)
{
    struct fixture *f = *state;
    char value[8];

    OL_REQUIRE(can_user_xattr, "the file system has no user attributes");
    assert_int_equal(ol_xattr_set(f->lower, "etc/conf/a", "user.old", "o", 1), 0);
    open_overlay(f);
    set_all_metadata(f);
    assert_int_equal(ol_xattr_get(f->upper, "etc/conf/a", "user.new", value, sizeof value), 1);
    assert_int_equal(ol_xattr_get(f->upper, "etc/conf/a", "user.old", value, sizeof value),
                     -ENODATA);
    assert_int_equal(ol_xattr_get(f->lower, "etc/conf/a", "user.old", value, sizeof value), 1);
    assert_int_equal(ol_rootfs_close(f->fs, NULL), 0);
    open_plain(f);
    set_all_metadata(f);
    assert_int_equal(ol_xattr_get(f->lower, "etc/conf/a", "user.old", value, sizeof value),
                     -ENODATA);
}

static void rootfs_overlay__makes_specials_over_whiteouts_but_no_whiteouts(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct stat st;

    open_overlay(f);
    assert_ok(ol_rootfs_unlink(f->fs, "etc/hosts", &err), &err);
    assert_ok(ol_rootfs_mknod(f->fs, "etc/hosts", S_IFIFO | 0640, 0, &err), &err);
    assert_int_equal(fstatat(f->upper, "etc/hosts", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(ol_rootfs_mknod(f->fs, "etc/hosts", S_IFIFO | 0640, 0, NULL), -EEXIST);
    assert_int_equal(ol_rootfs_mknod(f->fs, "etc/hidden", S_IFCHR | 0640, 0, &err), -EPERM);
    assert_message(&err, "'etc/hidden'");
}

#define case_of(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(rootfs_dir__stays_inside_whatever_the_image_links_to),
        case_of(rootfs_overlay__stays_inside_whatever_the_image_links_to),
        case_of(rootfs_dir__never_opens_a_fifo),
        case_of(rootfs_overlay__never_opens_a_fifo),
        case_of(rootfs_overlay__copies_up_file_and_parents_with_their_metadata),
        case_of(rootfs_overlay__breaks_lower_hard_links),
        case_of(rootfs_overlay__shares_whiteouts_of_one_session),
        case_of(rootfs_overlay__makes_directory_over_whiteout_opaque),
        case_of(rootfs_overlay__renames_lower_file_and_refuses_lower_directory),
        case_of(rootfs_overlay__resets_a_workdir_as_a_mount_does),
        case_of(rootfs_overlay__writes_through_read_only_modes),
        case_of(rootfs_overlay__without_a_workdir_is_read_only),
        case_of(rootfs__close_reports_what_the_hook_says),
        case_of(rootfs__set_meta_replaces_the_attributes),
        case_of(rootfs_overlay__makes_specials_over_whiteouts_but_no_whiteouts),
        case_of(rootfs_overlay__leaves_nothing_half_made_when_a_step_fails),
    };
    return cmocka_run_group_tests_name("rootfs", tests, NULL, NULL);
}
