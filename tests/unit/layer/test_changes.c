/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "common/layer/changes.h"
#include "common/limits.h"
#include "random_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* An old and a new tree; files made by put() share one time. */
struct fixture {
    struct test_dir dir;
    int now, was;
};

static int open_dir(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    test_mkdir(f->dir.fd, "new", 0755);
    test_mkdir(f->dir.fd, "old", 0755);
    f->now = open_dir(f->dir.fd, "new");
    f->was = open_dir(f->dir.fd, "old");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_fd_close(&f->now);
    ol_fd_close(&f->was);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static void set_time(int fd, const char *path, time_t sec, long nsec)
{
    const struct timespec t[2] = {{sec, nsec}, {sec, nsec}};

    assert_int_equal(utimensat(fd, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static void put(int fd, const char *path, const char *content)
{
    test_write(fd, path, content);
    set_time(fd, path, 1000, 0);
}

static void put_both(struct fixture *f, const char *path, const char *content)
{
    put(f->now, path, content);
    put(f->was, path, content);
}

static void mkdir_both(struct fixture *f, const char *path)
{
    test_mkdir(f->now, path, 0755);
    test_mkdir(f->was, path, 0755);
}

static void assert_changes_of(const struct ol_stack *now, const struct ol_stack *was,
                              unsigned threads, const char *want)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    ol_auto_free char *text = NULL;

    assert_ok(ol_changes_compare(now, was, threads, &changes, &err), &err);
    text = changes_text(&changes);
    assert_string_equal(text, want);
}

static void assert_changes(struct fixture *f, const char *want)
{
    const struct ol_stack now = {&f->now, 1, false, OL_OVERLAY_TRUSTED};
    const struct ol_stack was = {&f->was, 1, false, OL_OVERLAY_TRUSTED};

    assert_changes_of(&now, &was, 0, want);
}

static void changes__equal_trees_have_none(void **state)
{
    struct fixture *f = *state;

    mkdir_both(f, "d");
    put_both(f, "d/x", "same");
    assert_changes(f, "");
}

static void changes__directories_above_a_change_are_modified_in_whole_path_order(void **state)
{
    struct fixture *f = *state;

    mkdir_both(f, "a");
    mkdir_both(f, "a/sub");
    put(f->now, "a/sub/new", "1");
    put(f->now, "a-b", "1"); /* '-' sorts before '/': between /a and what is in it */
    assert_changes(f, "C /a\nA /a-b\nC /a/sub\nA /a/sub/new\n");
}

static void changes__added_subtree_is_listed_and_deleted_one_is_not(void **state)
{
    struct fixture *f = *state;

    test_mkdir(f->now, "in", 0755);
    put(f->now, "in/x", "1");
    test_mkdir(f->was, "out", 0755);
    put(f->was, "out/x", "1");
    assert_changes(f, "A /in\nA /in/x\nD /out\n");
}

static void changes__time_counts_in_whole_seconds_when_one_side_has_no_nanoseconds(void **state)
{
    struct fixture *f = *state;

    put_both(f, "a", "1");
    set_time(f->now, "a", 1000, 500);
    put_both(f, "b", "1");
    set_time(f->now, "b", 1000, 500);
    set_time(f->was, "b", 1000, 400);
    put_both(f, "c", "1");
    set_time(f->now, "c", 1001, 0);
    assert_changes(f, "C /b\nC /c\n");
}

static void changes__size_and_mode_count_and_directory_times_do_not(void **state)
{
    struct fixture *f = *state;

    mkdir_both(f, "d");
    set_time(f->now, "d", 1, 0);
    set_time(f->was, "d", 2, 0);
    mkdir_both(f, "e");
    assert_int_equal(fchmodat(f->now, "e", 01777, 0), 0);
    put(f->now, "size", "12");
    put(f->was, "size", "1");
    assert_changes(f, "C /e\nC /size\n");
}

static void changes__content_of_same_size_and_time_is_not_seen(void **state)
{
    struct fixture *f = *state;

    put(f->now, "x", "abc");
    put(f->was, "x", "xyz");
    assert_changes(f, "");
}

static void changes__type_change_hides_the_old_content_of_a_directory(void **state)
{
    struct fixture *f = *state;

    test_mkdir(f->was, "dir-to-file", 0755);
    put(f->was, "dir-to-file/x", "1");
    put(f->now, "dir-to-file", "1");
    put(f->was, "file-to-dir", "1");
    test_mkdir(f->now, "file-to-dir", 0755);
    put(f->now, "file-to-dir/x", "1");
    assert_changes(f, "C /dir-to-file\nC /file-to-dir\nA /file-to-dir/x\n");
}

/* moby up to v27 asks for the directory bit, which the codes of sockets and block devices have. */
static void changes__sockets_and_block_devices_count_as_directories(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mknodat(f->now, "sock", S_IFSOCK | 0600, 0), 0);
    assert_int_equal(mknodat(f->was, "sock", S_IFSOCK | 0600, 0), 0);
    set_time(f->now, "sock", 1, 0);
    set_time(f->was, "sock", 2, 0);
    test_mkdir(f->was, "was-dir", 0755);
    put(f->was, "was-dir/x", "1");
    assert_int_equal(mknodat(f->now, "was-dir", S_IFSOCK | 0600, 0), 0);
    assert_changes(f, "C /was-dir\nD /was-dir/x\n");
}

static void changes__device_numbers_and_owners_count(void **state)
{
    struct fixture *f = *state;

    OL_REQUIRE(can_mknod, "making device nodes needs CAP_MKNOD");
    OL_REQUIRE(can_chown, "giving files away needs CAP_CHOWN");
    assert_int_equal(mknodat(f->now, "dev", S_IFCHR | 0600, makedev(1, 3)), 0);
    assert_int_equal(mknodat(f->was, "dev", S_IFCHR | 0600, makedev(1, 5)), 0);
    set_time(f->now, "dev", 1, 0);
    set_time(f->was, "dev", 1, 0);
    put_both(f, "owner", "1");
    assert_int_equal(fchownat(f->now, "owner", 7, 7, 0), 0);
    assert_changes(f, "C /dev\nC /owner\n");
}

static void changes__capabilities_count_and_other_attributes_do_not(void **state)
{
    static const char cap[20] = {1, 0, 0, 2, 4};
    struct fixture *f = *state;

    OL_REQUIRE(can_chown, "setting capabilities needs CAP_SETFCAP");
    OL_REQUIRE(can_user_xattr, "the test directory has no user attributes");
    put_both(f, "cap", "1");
    assert_int_equal(ol_xattr_set(f->now, "cap", "security.capability", cap, sizeof cap), 0);
    put_both(f, "user", "1");
    assert_int_equal(ol_xattr_set(f->now, "user", "user.x", "1", 1), 0);
    assert_changes(f, "C /cap\n");
}

static void changes__equal_inodes_are_not_looked_at(void **state)
{
    struct fixture *f = *state;

    put(f->was, "x", "1");
    assert_int_equal(linkat(f->was, "x", f->now, "x", 0), 0);
    assert_changes(f, "");
}

static void changes__against_the_empty_tree_everything_is_added(void **state)
{
    struct fixture *f = *state;
    const struct ol_stack now = {&f->now, 1, false, OL_OVERLAY_TRUSTED};
    const struct ol_stack none = {NULL, 0, false, OL_OVERLAY_TRUSTED};

    test_mkdir(f->now, "d", 0755);
    put(f->now, "d/x", "1");
    assert_changes_of(&now, &none, 0, "A /d\nA /d/x\n");
    assert_changes_of(&none, &now, 0, "D /d\n");
    assert_changes_of(&none, &none, 0, "");
}

/* A container: its upper directory on top of a plain image. */
static void changes__upper_on_top_of_the_image_lists_the_upper(void **state)
{
    struct fixture *f = *state;
    const int fds[2] = {f->now, f->was};
    const struct ol_stack now = {fds, 2, true, OL_OVERLAY_TRUSTED};
    const struct ol_stack was = {&f->was, 1, false, OL_OVERLAY_TRUSTED};

    OL_REQUIRE(can_mknod, "whiteouts are device nodes");
    mkdir_both(f, "d");
    put(f->was, "d/gone", "1");
    put(f->was, "d/kept", "1");
    assert_int_equal(ol_whiteout_make(f->now, "d/gone"), 0);
    put(f->now, "d/added", "1");
    mkdir_both(f, "copied-up-only");
    put(f->was, "changed", "1");
    put(f->now, "changed", "12");
    assert_int_equal(ol_whiteout_make(f->now, "never-was"), 0);
    assert_changes_of(&now, &was, 0, "C /changed\nC /d\nA /d/added\nD /d/gone\n");
}

static void changes__opaque_directory_deletes_what_was_below(void **state)
{
    struct fixture *f = *state;
    const int fds[2] = {f->now, f->was};
    const struct ol_stack now = {fds, 2, true, OL_OVERLAY_TRUSTED};
    const struct ol_stack was = {&f->was, 1, false, OL_OVERLAY_TRUSTED};
    ol_auto_fd int d = -1;

    OL_REQUIRE(can_mount_overlay, "trusted.overlay.opaque needs CAP_SYS_ADMIN");
    mkdir_both(f, "d");
    put_both(f, "d/again", "1");
    put(f->was, "d/gone", "1");
    d = open_dir(f->now, "d");
    assert_int_equal(ol_whiteout_set_opaque(d, OL_OVERLAY_TRUSTED), 0);
    assert_changes_of(&now, &was, 0, "C /d\nD /d/gone\n");
}

/* What the kernel wrote with redirect_dir or metacopy on cannot be told from the directories. */
static void changes__redirects_and_metacopy_are_refused(void **state)
{
    static const char *const attrs[2] = {"user.overlay.redirect", "user.overlay.metacopy"};
    struct fixture *f = *state;
    const int fds[2] = {f->now, f->was};
    const struct ol_stack now = {fds, 2, true, OL_OVERLAY_USER};
    const struct ol_stack was = {&f->was, 1, false, OL_OVERLAY_USER};

    OL_REQUIRE(can_user_xattr, "the test directory has no user attributes");
    test_mkdir(f->now, "renamed", 0755);
    put(f->now, "half", "1");
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "renamed" : "half";
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;

        assert_int_equal(ol_xattr_set(f->now, name, attrs[i], "x", 1), 0);
        assert_int_equal(ol_changes_compare(&now, &was, 0, &changes, &err), -EOPNOTSUPP);
        assert_message(&err, name);
        assert_int_equal(unlinkat(f->now, name, i == 0 ? AT_REMOVEDIR : 0), 0);
    }
}

static void changes__threads_do_not_change_the_list(void **state)
{
    struct fixture *f = *state;
    const struct ol_stack now = {&f->now, 1, false, OL_OVERLAY_TRUSTED};
    const struct ol_stack was = {&f->was, 1, false, OL_OVERLAY_TRUSTED};
    ol_auto_changes struct ol_changes one = OL_CHANGES_INIT;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *want = NULL;

    for (int i = 0; i < 40; i++) {
        ol_auto_free char *dir = NULL;
        assert_true(asprintf(&dir, "d%d", i) > 0);
        mkdir_both(f, dir);
        for (int k = 0; k < 20; k++) {
            ol_auto_free char *file = NULL;
            assert_true(asprintf(&file, "%s/f%d", dir, k) > 0);
            if ((i + k) % 3 != 0)
                put(f->now, file, "1");
            if ((i + k) % 5 != 0)
                put(f->was, file, "1");
        }
    }
    assert_ok(ol_changes_compare(&now, &was, 1, &one, &err), &err);
    assert_true(one.count > 100);
    want = changes_text(&one);
    for (unsigned threads = 2; threads <= 8; threads++)
        assert_changes_of(&now, &was, threads, want);
}

enum { DEEP = 1200, DEEP_NAME = 8 };

/* Paths far beyond PATH_MAX, and deeper than descriptors could be held for. */
static void changes__deep_trees_have_no_path_limit(void **state)
{
    struct fixture *f = *state;
    const struct ol_stack now = {&f->now, 1, false, OL_OVERLAY_TRUSTED};
    const struct ol_stack was = {&f->was, 1, false, OL_OVERLAY_TRUSTED};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    uint64_t bytes = 0;

    for (int side = 0; side < 2; side++) {
        ol_auto_fd int at = dup(side == 0 ? f->now : f->was);
        for (int i = 0; i < DEEP; i++) {
            int next;
            test_mkdir(at, "deeper--", 0755);
            next = open_dir(at, "deeper--");
            ol_fd_close(&at);
            at = next;
        }
        if (side == 0)
            put(at, "end", "12345");
    }
    assert_ok(ol_changes_compare(&now, &was, 2, &changes, &err), &err);
    assert_int_equal(changes.count, DEEP + 1);
    assert_int_equal(strlen(changes.items[DEEP].path), DEEP * (DEEP_NAME + 1) + 4);
    assert_int_equal(changes.items[DEEP].kind, OL_CHANGE_ADD);
    assert_ok(ol_changes_size(&now, &changes, &bytes, &err), &err);
    assert_int_equal(bytes, 5);
}

static void changes_size__counts_hard_links_once_and_no_directories(void **state)
{
    struct fixture *f = *state;
    const struct ol_stack now = {&f->now, 1, false, OL_OVERLAY_TRUSTED};
    const struct ol_stack was = {&f->was, 1, false, OL_OVERLAY_TRUSTED};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    uint64_t bytes = 0;

    test_mkdir(f->now, "d", 0755);
    put(f->now, "d/x", "12345");
    assert_int_equal(linkat(f->now, "d/x", f->now, "d/y", 0), 0);
    test_symlink(f->now, "xyz", "link");
    put(f->was, "gone", "123456789");
    put(f->now, "vanishes", "1");
    assert_ok(ol_changes_compare(&now, &was, 0, &changes, &err), &err);
    assert_int_equal(unlinkat(f->now, "vanishes", 0), 0);
    assert_ok(ol_changes_size(&now, &changes, &bytes, &err), &err);
    assert_int_equal(bytes, 5 + 3);
}

static void changes__unreadable_directory_is_named(void **state)
{
    struct fixture *f = *state;
    const struct ol_stack now = {&f->now, 1, false, OL_OVERLAY_TRUSTED};
    const struct ol_stack was = {&f->was, 1, false, OL_OVERLAY_TRUSTED};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;

    if (geteuid() == 0) {
        print_message("SKIP %s: root reads every directory\n", __func__);
        skip();
    }
    mkdir_both(f, "closed");
    assert_int_equal(fchmodat(f->now, "closed", 0, 0), 0);
    assert_int_equal(ol_changes_compare(&now, &was, 0, &changes, &err), -EACCES);
    assert_message(&err, "'/closed");
    assert_int_equal(fchmodat(f->now, "closed", 0755, 0), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(changes__equal_trees_have_none),
        CASE(changes__directories_above_a_change_are_modified_in_whole_path_order),
        CASE(changes__added_subtree_is_listed_and_deleted_one_is_not),
        CASE(changes__time_counts_in_whole_seconds_when_one_side_has_no_nanoseconds),
        CASE(changes__size_and_mode_count_and_directory_times_do_not),
        CASE(changes__content_of_same_size_and_time_is_not_seen),
        CASE(changes__type_change_hides_the_old_content_of_a_directory),
        CASE(changes__sockets_and_block_devices_count_as_directories),
        CASE(changes__device_numbers_and_owners_count),
        CASE(changes__capabilities_count_and_other_attributes_do_not),
        CASE(changes__equal_inodes_are_not_looked_at),
        CASE(changes__against_the_empty_tree_everything_is_added),
        CASE(changes__upper_on_top_of_the_image_lists_the_upper),
        CASE(changes__opaque_directory_deletes_what_was_below),
        CASE(changes__redirects_and_metacopy_are_refused),
        CASE(changes__threads_do_not_change_the_list),
        CASE(changes__deep_trees_have_no_path_limit),
        CASE(changes_size__counts_hard_links_once_and_no_directories),
        CASE(changes__unreadable_directory_is_named),
    };
    return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
