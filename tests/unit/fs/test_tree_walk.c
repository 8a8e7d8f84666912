/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_fixture.h"

#include "common/buf.h"
#include "common/fs/tree.h"

#include <fcntl.h>

struct recorder {
    struct ol_buf seen;
    const char *skip;   /* path not to be entered */
    const char *stop;   /* path at which to fail */
    const char *unlink; /* path to unlink when met */
    unsigned deepest;
    unsigned count;
};

static int record(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    struct recorder *r = data;
    struct stat st;

    r->count++;
    if (entry->depth > r->deepest)
        r->deepest = entry->depth;
    if (entry->depth < 100) /* paths of a deep tree are quadratic together */
        assert_int_equal(ol_buf_printf(&r->seen, "%s;", entry->path), 0);
    assert_int_equal(fstatat(entry->dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH),
                     0);
    assert_int_equal(st.st_ino, entry->st->st_ino);
    if (r->stop != NULL && strcmp(r->stop, entry->path) == 0)
        return ol_error_set(err, -ECANCELED, "stopped");
    return r->skip != NULL && strcmp(r->skip, entry->path) == 0 ? 1 : 0;
}

static int walk(int fd, struct recorder *r, struct ol_error *err)
{
    unsigned fds = open_fds();
    int result = ol_tree_walk(fd, record, r, err);

    assert_int_equal(open_fds(), fds);
    return result;
}

static void make_some(int fd)
{
    test_mkdir(fd, "b", 0755);
    test_mkdir(fd, "b/y", 0755);
    test_write(fd, "b/y/1", "");
    test_write(fd, "b/x", "");
    test_write(fd, "b.txt", "");
    test_symlink(fd, "b", "a");
    test_mkdir(fd, "\xff", 0755);
    test_mkdir(fd, "B", 0755);
}

static void tree_walk__is_in_bytewise_pre_order_without_following(void **state)
{
    struct tree_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct recorder r = {.skip = NULL};

    make_some(f->src);
    assert_ok(walk(f->src, &r, &err), &err);
    assert_string_equal(r.seen.data, ";B;a;b;b/x;b/y;b/y/1;b.txt;\xff;");
    assert_int_equal(r.deepest, 3);
    ol_buf_fini(&r.seen);
}

static void tree_walk__does_not_enter_what_the_callback_declines(void **state)
{
    struct tree_fixture *f = *state;
    struct recorder r = {.skip = "b"};

    make_some(f->src);
    assert_int_equal(walk(f->src, &r, NULL), 0);
    assert_string_equal(r.seen.data, ";B;a;b;b.txt;\xff;");
    ol_buf_fini(&r.seen);
    r = (struct recorder){.skip = ""};
    assert_int_equal(walk(f->src, &r, NULL), 0);
    assert_string_equal(r.seen.data, ";");
    ol_buf_fini(&r.seen);
}

static void tree_walk__stops_at_an_error(void **state)
{
    struct tree_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct recorder r = {.stop = "b/y"};

    make_some(f->src);
    assert_int_equal(walk(f->src, &r, &err), -ECANCELED);
    assert_message(&err, "stopped");
    assert_string_equal(r.seen.data, ";B;a;b;b/x;b/y;");
    ol_buf_fini(&r.seen);
}

static void tree_walk__has_no_limit_on_depth(void **state)
{
    struct tree_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct recorder r = {.skip = NULL};

    tree_make_comb(f->src, 3000);
    assert_ok(walk(f->src, &r, &err), &err);
    assert_int_equal(r.deepest, 3000 + 1); /* z/g of the last level: as deep as its level + 1 */
    assert_int_equal(r.count, 5 * 3000 + 1);
    ol_buf_fini(&r.seen);
    assert_int_equal(ol_tree_remove_content(f->src, NULL), 0);
}

static int replace_dir(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    (void)data;
    (void)err;
    if (strcmp(entry->path, "b") == 0) { /* between the look and the opening */
        assert_int_equal(renameat(entry->dir_fd, "b", entry->dir_fd, "was-b"), 0);
        assert_int_equal(symlinkat("was-b", entry->dir_fd, "b"), 0);
    }
    return 0;
}

static void tree_walk__does_not_follow_a_symlink_put_in_place_of_a_directory(void **state)
{
    struct tree_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    make_some(f->src);
    assert_true(ol_tree_walk(f->src, replace_dir, NULL, &err) < 0);
    assert_message(&err, "'b'");
}

int main(void)
{
#define TREE_TEST(fn) cmocka_unit_test_setup_teardown(fn, tree_fixture_setup, tree_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TREE_TEST(tree_walk__is_in_bytewise_pre_order_without_following),
        TREE_TEST(tree_walk__does_not_enter_what_the_callback_declines),
        TREE_TEST(tree_walk__stops_at_an_error),
        TREE_TEST(tree_walk__has_no_limit_on_depth),
        TREE_TEST(tree_walk__does_not_follow_a_symlink_put_in_place_of_a_directory),
    };
    return cmocka_run_group_tests_name("tree_walk", tests, NULL, NULL);
}
