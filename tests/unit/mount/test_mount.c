/* SPDX-License-Identifier: Apache-2.0 */
/* The mount table and unmounting. */
#include "support/support.h"

#include "common/fault.h"
#include "common/mount/mount.h"

#include <fcntl.h>
#include <sys/mount.h>

static int setup(void **state)
{
    struct test_dir *dir = calloc(1, sizeof *dir);

    assert_non_null(dir);
    test_dir_make(dir);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    test_dir_remove(*state);
    free(*state);
    return 0;
}

static char *below(const struct test_dir *dir, const char *name)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", dir->path, name) > 0);
    return path;
}

/* A tmpfs on name, which may hold characters the table escapes. */
static void mount_tmpfs(const struct test_dir *dir, const char *name)
{
    ol_auto_free char *path = below(dir, name);

    if (faccessat(dir->fd, name, F_OK, 0) < 0)
        test_mkdir(dir->fd, name, 0755);
    assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "size=64k"), 0);
}

static void mount__lists_what_is_below_longest_first(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *a = below(dir, "a b\n");
    ol_auto_free char *deep = below(dir, "a b\n/deep");
    ol_auto_free char *like = below(dir, "a b\n/like");
    char **list = NULL;
    size_t count = 0;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    mount_tmpfs(dir, "a b\n");
    mount_tmpfs(dir, "a b\nc"); /* starts with the same letters, is not below */
    mount_tmpfs(dir, "a b\n/deep");
    assert_ok(ol_mount_list_below(a, &list, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_string_equal(list[0], deep);
    assert_string_equal(list[1], a);
    assert_null(list[2]);
    ol_mount_list_free(list);
    assert_true(ol_mount_is_point(a));
    assert_false(ol_mount_is_point(like));
    assert_int_equal(ol_mount_detach_below(dir->path, &err), 3);
    assert_false(ol_mount_is_point(a));
}

static void mount__detaches_stacked_mounts(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    mount_tmpfs(dir, "m");
    mount_tmpfs(dir, "m");
    assert_int_equal(ol_mount_detach_below(dir->path, &err), 2);
    assert_int_equal(ol_mount_detach_below(dir->path, &err), 0);
}

static void mount__lists_through_a_symlink(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *link = below(dir, "link");

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    test_mkdir(dir->fd, "real", 0755);
    test_symlink(dir->fd, "real", "link");
    mount_tmpfs(dir, "real/m");
    assert_int_equal(ol_mount_detach_below(link, &err), 1);
}

static void mount__nothing_below_a_missing_directory(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *gone = below(dir, "gone/deeper");
    char **list = NULL;
    size_t count = 7;

    assert_ok(ol_mount_list_below(gone, &list, &count, &err), &err);
    assert_int_equal(count, 0);
    ol_mount_list_free(list);
}

static void mount__detach_of_what_is_not_mounted_succeeds(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *gone = below(dir, "gone");

    OL_REQUIRE(can_mount_overlay, "unmounting needs CAP_SYS_ADMIN");
    assert_ok(ol_mount_detach(dir->path, &err), &err);
    assert_ok(ol_mount_detach(gone, &err), &err);
}

static void mount__detach_does_not_follow_symlinks(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *link = below(dir, "link");
    ol_auto_free char *real = below(dir, "real");

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    mount_tmpfs(dir, "real");
    test_symlink(dir->fd, "real", "link");
    assert_ok(ol_mount_detach(link, &err), &err);
    assert_true(ol_mount_is_point(real));
    assert_ok(ol_mount_detach(real, &err), &err);
}

static void mount__overlay_magic_is_not_tmpfs(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_free char *gone = below(dir, "gone");

    assert_false(ol_mount_is_overlay("/proc"));
    assert_false(ol_mount_is_overlay(gone));
}

static void mount__detach_fault_is_reported(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (!OL_FAULTS)
        skip();
    ol_fault_arm(1);
    assert_int_equal(ol_mount_detach(dir->path, &err), -EIO);
    ol_fault_arm(0);
    assert_message(&err, dir->path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mount__lists_what_is_below_longest_first),
        TEST(mount__detaches_stacked_mounts),
        TEST(mount__lists_through_a_symlink),
        TEST(mount__nothing_below_a_missing_directory),
        TEST(mount__detach_of_what_is_not_mounted_succeeds),
        TEST(mount__detach_does_not_follow_symlinks),
        TEST(mount__overlay_magic_is_not_tmpfs),
        TEST(mount__detach_fault_is_reported),
    };
    return cmocka_run_group_tests_name("mount_table", tests, NULL, NULL);
}
