/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"

#include <fcntl.h>

static void whiteout__parses_the_names_of_the_image_spec(void **state)
{
    const char *name = NULL;

    (void)state;
    assert_int_equal(ol_whiteout_parse("passwd", &name), OL_WH_NONE);
    assert_int_equal(ol_whiteout_parse(".whatever", &name), OL_WH_NONE);
    assert_int_equal(ol_whiteout_parse(".wh.passwd", &name), OL_WH_FILE);
    assert_string_equal(name, "passwd");
    assert_int_equal(ol_whiteout_parse(".wh..hidden", &name), OL_WH_FILE);
    assert_string_equal(name, ".hidden");
    assert_int_equal(ol_whiteout_parse(".wh..wh..opq", NULL), OL_WH_OPQ);
}

/* moby deletes the directory itself, or its parent, for these. */
static void whiteout__refuses_names_that_delete_the_directory_or_climb(void **state)
{
    (void)state;
    assert_int_equal(ol_whiteout_parse(".wh.", NULL), OL_WH_BAD);
    assert_int_equal(ol_whiteout_parse(".wh..", NULL), OL_WH_BAD);
    assert_int_equal(ol_whiteout_parse(".wh...", NULL), OL_WH_BAD);
}

static void whiteout__is_a_char_device_0_0(void **state)
{
    struct test_dir dir;
    struct stat st;

    (void)state;
    test_dir_make(&dir);
    assert_int_equal(ol_whiteout_make(dir.fd, "gone"), 0);
    assert_int_equal(fstatat(dir.fd, "gone", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(ol_whiteout_is(&st));
    assert_int_equal(st.st_mode & 07777, 0);
    test_dir_remove(&dir);
}

static void whiteout__marks_directories_opaque(void **state)
{
    struct test_dir dir;

    (void)state;
    OL_REQUIRE(can_user_xattr, "the file system keeps no user.* attributes");
    test_dir_make(&dir);
    assert_false(ol_whiteout_is_opaque(dir.fd, "", OL_OVERLAY_USER));
    assert_int_equal(ol_whiteout_set_opaque(dir.fd, OL_OVERLAY_USER), 0);
    assert_true(ol_whiteout_is_opaque(dir.fd, "", OL_OVERLAY_USER));
    assert_int_equal(ol_xattr_set(dir.fd, "", "user.overlay.opaque", "x", 1), 0);
    assert_false(ol_whiteout_is_opaque(dir.fd, "", OL_OVERLAY_USER)); /* only "y" counts */
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whiteout__parses_the_names_of_the_image_spec),
        cmocka_unit_test(whiteout__refuses_names_that_delete_the_directory_or_climb),
        cmocka_unit_test(whiteout__is_a_char_device_0_0),
        cmocka_unit_test(whiteout__marks_directories_opaque),
    };
    return cmocka_run_group_tests_name("whiteout", tests, NULL, NULL);
}
