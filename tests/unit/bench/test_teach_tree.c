/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of directories, and the tiny image they are mostly taken of. */
#include "support/support.h"

#include "bench/teach/tiny.h"
#include "bench/teach/tree.h"
#include "common/fs/whiteout.h"
#include "common/layer/layer.h"

#include <fcntl.h>
#include <string.h>

struct fixture {
    struct test_dir dir;
    struct ol_capture before, after;
    struct ol_tree_rows rows;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_tree_rows_fini(&f->rows);
    ol_capture_fini(&f->before);
    ol_capture_fini(&f->after);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static void take(struct fixture *f, struct ol_capture *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_capture_take(f->dir.fd, ret, &err), &err);
}

/* Take the second picture and compare. */
static void compare(struct fixture *f)
{
    take(f, &f->after);
    assert_int_equal(ol_tree_compare(&f->before, &f->after, 2, &f->rows), 0);
}

static const struct ol_tree_row *row(const struct fixture *f, const char *path)
{
    for (size_t i = 0; i < f->rows.count; i++) {
        if (strcmp(ol_tree_row_entry(&f->rows.rows[i])->path, path) == 0)
            return &f->rows.rows[i];
    }
    fail_msg("no row '%s'", path);
    return NULL;
}

static void capture__names_kinds_and_numbers(void **state)
{
    struct fixture *f = *state;
    const struct ol_capture_entry *cow;
    struct stat st;

    test_mkdir(f->dir.fd, "farm", 0755);
    test_write(f->dir.fd, "farm/cow", "moo");
    test_symlink(f->dir.fd, "cow", "farm/best");
    take(f, &f->after);
    assert_int_equal(f->after.count, 3); /* the root is not one */
    assert_string_equal(f->after.entries[0].path, "farm");
    assert_string_equal(f->after.entries[1].path, "farm/best");
    assert_string_equal(f->after.entries[1].target, "cow");
    cow = ol_capture_find(&f->after, "farm/cow");
    assert_non_null(cow);
    assert_int_equal(fstatat(f->dir.fd, "farm/cow", &st, 0), 0);
    assert_true(cow->ino == st.st_ino && cow->links == 1 && cow->size_bytes == 3);
    assert_true(cow->disk_bytes == (uint64_t)st.st_blocks * 512);
    assert_string_equal(cow->name, "cow");
    assert_int_equal(cow->depth, 2);
    assert_int_equal(ol_capture_letter(cow), 'f');
    assert_string_equal(ol_capture_kind(&f->after.entries[0]), "directory");
}

static void capture__knows_whiteouts_and_opaque_directories(void **state)
{
    struct fixture *f = *state;
    ol_auto_fd int farm_fd = -1;

    OL_REQUIRE(can_user_xattr, "an opaque directory needs user.* attributes");
    test_mkdir(f->dir.fd, "farm", 0755);
    farm_fd = openat(f->dir.fd, "farm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(farm_fd >= 0);
    assert_int_equal(ol_whiteout_make(farm_fd, "hen"), 0);
    assert_int_equal(ol_whiteout_set_opaque(farm_fd, OL_OVERLAY_USER), 0);
    take(f, &f->after);
    assert_true(ol_capture_find(&f->after, "farm/hen")->whiteout);
    assert_int_equal(ol_capture_letter(ol_capture_find(&f->after, "farm/hen")), 'w');
    assert_string_equal(ol_capture_find(&f->after, "farm")->opaque, "user.overlay.opaque");
}

static void compare__tells_new_changed_and_gone(void **state)
{
    struct fixture *f = *state;

    test_mkdir(f->dir.fd, "farm", 0755);
    test_write(f->dir.fd, "farm/cow", "moo");
    test_write(f->dir.fd, "farm/hen", "cluck");
    test_write(f->dir.fd, "motd", "hello");
    take(f, &f->before);
    test_write(f->dir.fd, "farm/cow", "moo moo");
    test_write(f->dir.fd, "farm/goat", "meh");
    assert_int_equal(unlinkat(f->dir.fd, "farm/hen", 0), 0);
    compare(f);
    assert_int_equal(row(f, "farm/cow")->change, OL_TREE_CHANGED);
    assert_int_equal(row(f, "farm/goat")->change, OL_TREE_NEW);
    assert_int_equal(row(f, "farm/hen")->change, OL_TREE_GONE);
    assert_null(row(f, "farm/hen")->now);
    assert_int_equal(row(f, "motd")->change, OL_TREE_SAME);
    assert_true(row(f, "farm")->touched);
    assert_int_equal(row(f, "farm")->change, OL_TREE_SAME);
    assert_false(row(f, "motd")->touched);
}

static void compare__a_hard_link_is_no_new_inode(void **state)
{
    struct fixture *f = *state;

    test_mkdir(f->dir.fd, "base", 0755);
    test_write(f->dir.fd, "base/cow", "moo");
    take(f, &f->before);
    test_mkdir(f->dir.fd, "top", 0755);
    assert_int_equal(linkat(f->dir.fd, "base/cow", f->dir.fd, "top/cow", 0), 0);
    compare(f);
    assert_int_equal(row(f, "top/cow")->change, OL_TREE_LINKED);
    assert_int_equal(row(f, "top")->change, OL_TREE_NEW);
    assert_int_equal(row(f, "base/cow")->change, OL_TREE_SAME);
    assert_true(row(f, "base/cow")->shared && row(f, "top/cow")->shared);
    assert_true(row(f, "base/cow")->touched); /* it has one link more */
    assert_int_equal(row(f, "base/cow")->now->links, 2);
}

static void compare__of_two_new_names_the_second_is_a_link(void **state)
{
    struct fixture *f = *state;

    take(f, &f->before);
    test_write(f->dir.fd, "one", "moo");
    assert_int_equal(linkat(f->dir.fd, "one", f->dir.fd, "two", 0), 0);
    compare(f);
    assert_int_equal(row(f, "one")->change, OL_TREE_NEW);
    assert_int_equal(row(f, "two")->change, OL_TREE_LINKED);
}

static void compare__a_rename_moves_the_inode(void **state)
{
    struct fixture *f = *state;

    test_write(f->dir.fd, "cow", "moo");
    take(f, &f->before);
    assert_int_equal(renameat(f->dir.fd, "cow", f->dir.fd, "ox"), 0);
    compare(f);
    assert_int_equal(row(f, "ox")->change, OL_TREE_MOVED);
    assert_int_equal(row(f, "cow")->change, OL_TREE_GONE);
}

static void compare__finds_copied_content(void **state)
{
    struct fixture *f = *state;

    test_mkdir(f->dir.fd, "lower", 0755);
    test_mkdir(f->dir.fd, "upper", 0755);
    test_write(f->dir.fd, "lower/cow", "moo");
    test_write(f->dir.fd, "lower/hen", "cluck");
    test_write(f->dir.fd, "cow", "moo");
    take(f, &f->before);
    test_write(f->dir.fd, "upper/cow", "moo and more");
    test_write(f->dir.fd, "upper/hen", "quack");
    test_write(f->dir.fd, "hen", "cluck");
    compare(f);
    assert_ptr_equal(row(f, "upper/cow")->copy_of, ol_capture_find(&f->before, "lower/cow"));
    assert_int_equal(row(f, "upper/cow")->change, OL_TREE_NEW);
    assert_null(row(f, "upper/hen")->copy_of);
    assert_null(row(f, "hen")->copy_of); /* too near to the root */
}

/* ext4 gives a freed number to the next file: that is another inode all the same. */
static void compare__a_number_used_again_is_a_new_inode(void **state)
{
    struct fixture *f = *state;

    test_write(f->dir.fd, "old", "moo");
    take(f, &f->before);
    if (f->before.entries[0].handle.len == 0) {
        print_message("SKIP %s: this file system has no file handles\n", __func__);
        skip();
    }
    for (unsigned tries = 0; tries < 64; tries++) {
        struct stat st;

        assert_int_equal(unlinkat(f->dir.fd, tries == 0 ? "old" : "new", 0), 0);
        test_write(f->dir.fd, "new", "cluck");
        assert_int_equal(fstatat(f->dir.fd, "new", &st, 0), 0);
        if (st.st_ino == f->before.entries[0].ino)
            break;
    }
    compare(f);
    assert_int_equal(row(f, "new")->change, OL_TREE_NEW);
}

static void compare__keeps_the_order_of_a_listing(void **state)
{
    struct fixture *f = *state;
    static const char *const want[] = {"a", "a/b", "a-b", "c"};

    test_mkdir(f->dir.fd, "a", 0755);
    test_write(f->dir.fd, "a/b", "");
    take(f, &f->before);
    assert_int_equal(unlinkat(f->dir.fd, "a/b", 0), 0);
    test_write(f->dir.fd, "a-b", "");
    test_write(f->dir.fd, "c", "");
    compare(f);
    assert_int_equal(f->rows.count, OL_ARRAY_LEN(want));
    for (size_t i = 0; i < f->rows.count; i++)
        assert_string_equal(ol_tree_row_entry(&f->rows.rows[i])->path, want[i]);
}

static void compare__without_a_past_everything_is_as_it_was(void **state)
{
    struct fixture *f = *state;

    test_write(f->dir.fd, "one", "moo");
    assert_int_equal(linkat(f->dir.fd, "one", f->dir.fd, "two", 0), 0);
    take(f, &f->after);
    assert_int_equal(ol_tree_compare(NULL, &f->after, 1, &f->rows), 0);
    for (size_t i = 0; i < f->rows.count; i++) {
        assert_int_equal(f->rows.rows[i].change, OL_TREE_SAME);
        assert_true(f->rows.rows[i].shared);
        assert_false(f->rows.rows[i].touched);
    }
}

/* The image is what its header says, and the same bytes each time. */
static void tiny__layers_unpack(void **state)
{
    struct fixture *f = *state;
    const struct ol_layer_options options = {.target = OL_LAYER_TREE};
    char digests[2][OL_DIGEST_SIZE];

    for (unsigned round = 0; round < 2; round++) {
        ol_auto_fd int fd = -1;
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_layer_result result;

        assert_ok(ol_tiny_layer(0, &fd, &err), &err);
        assert_ok(ol_layer_scan(&OL_INPUT_FD(fd), NULL, NULL, NULL, &result, &err), &err);
        assert_int_equal(result.entries, 17);
    }
    for (size_t i = 0; i < OL_TINY_LAYERS; i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;

        for (unsigned round = 0; round < 2; round++) {
            ol_auto_fd int fd = -1;
            struct ol_layer_result result;

            assert_ok(ol_tiny_layer(i, &fd, &err), &err);
            assert_ok(ol_layer_apply(f->dir.fd, &OL_INPUT_FD(fd), &options, &result, &err), &err);
            memcpy(digests[round], result.diff_id, sizeof digests[round]);
        }
        assert_string_equal(digests[0], digests[1]);
    }
    assert_absent(f->dir.fd, "farm/hen");
    assert_present(f->dir.fd, "farm/barn/owl");
    assert_present(f->dir.fd, "tools/best");
    assert_string_equal(ol_tiny_name(1), "barn");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(capture__names_kinds_and_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(capture__knows_whiteouts_and_opaque_directories, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compare__tells_new_changed_and_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(compare__a_hard_link_is_no_new_inode, setup, teardown),
        cmocka_unit_test_setup_teardown(compare__of_two_new_names_the_second_is_a_link, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compare__a_rename_moves_the_inode, setup, teardown),
        cmocka_unit_test_setup_teardown(compare__finds_copied_content, setup, teardown),
        cmocka_unit_test_setup_teardown(compare__a_number_used_again_is_a_new_inode, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compare__keeps_the_order_of_a_listing, setup, teardown),
        cmocka_unit_test_setup_teardown(compare__without_a_past_everything_is_as_it_was, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(tiny__layers_unpack, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
