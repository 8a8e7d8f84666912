/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fs/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int set_up(void **state)
{
    struct test_dir *dir = calloc(1, sizeof *dir);

    test_dir_make(dir);
    test_write(dir->fd, "f", "");
    test_symlink(dir->fd, "f", "l");
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    test_dir_remove(*state);
    free(*state);
    return 0;
}

static void xattr__sets_gets_and_lists(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_buf struct ol_buf names = OL_BUF_INIT;
    char value[8] = "";

    OL_REQUIRE(can_user_xattr, "the file system keeps no user.* attributes");
    assert_int_equal(ol_xattr_set(dir->fd, "f", "user.a", "v\0w", 3), 0);
    assert_int_equal(ol_xattr_get(dir->fd, "f", "user.a", value, sizeof value), 3);
    assert_memory_equal(value, "v\0w", 3);
    assert_int_equal(ol_xattr_set(dir->fd, "", "user.dir", "d", 1), 0);
    assert_int_equal(ol_xattr_get(dir->fd, "", "user.dir", value, sizeof value), 1);
    assert_int_equal(ol_xattr_list(dir->fd, "f", &names), 0);
    assert_non_null(memmem(names.data, names.len + 1, "user.a", 7));
}

static void xattr__works_through_a_path_descriptor(void **state)
{
    struct test_dir *dir = *state;
    ol_auto_fd int fd = openat(dir->fd, "f", O_PATH | O_CLOEXEC);
    char value[4];

    OL_REQUIRE(can_user_xattr, "the file system keeps no user.* attributes");
    assert_int_equal(ol_xattr_set(dir->fd, "f", "user.a", "x", 1), 0);
    assert_int_equal(ol_xattr_get(fd, "", "user.a", value, sizeof value), 1);
}

static void xattr__does_not_follow_links(void **state)
{
    struct test_dir *dir = *state;
    char value[4];

    OL_REQUIRE(can_user_xattr, "the file system keeps no user.* attributes");
    assert_int_equal(ol_xattr_set(dir->fd, "f", "user.a", "x", 1), 0);
    assert_int_equal(ol_xattr_get(dir->fd, "l", "user.a", value, sizeof value), -ENODATA);
}

static void xattr__absent_is_nodata(void **state)
{
    struct test_dir *dir = *state;
    char value[4];

    assert_int_equal(ol_xattr_get(dir->fd, "f", "security.capability", value, sizeof value),
                     -ENODATA);
    assert_int_equal(ol_xattr_get(dir->fd, "missing", "user.a", value, sizeof value), -ENOENT);
}

static void xattr__archives_may_not_set_overlay_attributes(void **state)
{
    (void)state;
    assert_true(ol_xattr_importable("security.capability"));
    assert_true(ol_xattr_importable("user.test"));
    assert_true(ol_xattr_importable("system.posix_acl_access"));
    assert_false(ol_xattr_importable("user.overlay.opaque"));
    assert_false(ol_xattr_importable("trusted.overlay.redirect"));
    assert_false(ol_xattr_importable("trusted.x"));
    assert_false(ol_xattr_importable("security.selinux"));
    assert_false(ol_xattr_importable("security.ima"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(xattr__sets_gets_and_lists),
        TEST(xattr__works_through_a_path_descriptor),
        TEST(xattr__does_not_follow_links),
        TEST(xattr__absent_is_nodata),
        TEST(xattr__archives_may_not_set_overlay_attributes),
    };
    return cmocka_run_group_tests_name("xattr", tests, NULL, NULL);
}
