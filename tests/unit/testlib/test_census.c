/* SPDX-License-Identifier: Apache-2.0 */
/* What is new in a directory, told by paths. */
#include "support/support.h"

#include "bench/testlib/census.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct fixture {
    struct test_dir home;
    struct ol_test_census census;
    struct ol_test_census_news news;
};

static void look(struct fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    ol_test_census_news_fini(&f->news);
    assert_ok(ol_test_census_take(&f->census, f->home.fd, &f->news, &err), &err);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    *state = f;
    test_dir_make(&f->home);
    test_mkdir(f->home.fd, "old", 0755);
    test_write(f->home.fd, "old/a", "a");
    test_write(f->home.fd, "old/b", "b");
    look(f);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_test_census_news_fini(&f->news);
    ol_test_census_fini(&f->census);
    test_dir_remove(&f->home);
    free(f);
    return 0;
}

static void assert_top(const struct fixture *f, size_t at, const char *path, uint64_t inodes)
{
    assert_non_null(f->news.top[at].path);
    assert_string_equal(f->news.top[at].path, path);
    assert_int_equal(f->news.top[at].inodes, inodes);
}

static void give_name(const struct fixture *f, const char *old_name, const char *new_name)
{
    assert_int_equal(linkat(f->home.fd, old_name, f->home.fd, new_name, 0), 0);
}

static void census__finds_nothing_new_twice(void **state)
{
    struct fixture *f = *state;

    look(f);
    assert_null(f->news.top[0].path);
    assert_int_equal(f->news.shared, 0);
}

static void census__gives_inodes_to_their_directories(void **state)
{
    struct fixture *f = *state;

    test_mkdir(f->home.fd, "new", 0755);
    test_write(f->home.fd, "new/c", "");
    test_mkdir(f->home.fd, "new/deep", 0755); /* between the files of its parent */
    test_write(f->home.fd, "new/deep/x", "");
    test_write(f->home.fd, "new/e", "");
    test_write(f->home.fd, "old/c", "");
    look(f);
    assert_top(f, 0, "new", 3);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(f->news.top[i].inodes, 1); /* the home, new/deep, old */
    assert_null(f->news.top[4].path);
}

static void census__tells_shared_inodes_from_new_ones(void **state)
{
    struct fixture *f = *state;

    test_mkdir(f->home.fd, "aaa", 0755); /* sorts before what it shares with */
    give_name(f, "old/a", "aaa/1");
    give_name(f, "old/a", "aaa/2");
    test_write(f->home.fd, "aaa/3", "");
    give_name(f, "aaa/3", "aaa/4");
    test_mkdir(f->home.fd, "zzz", 0755);
    give_name(f, "old/b", "zzz/1");
    look(f);
    assert_int_equal(f->news.shared, 2);
    assert_top(f, 0, "", 2); /* aaa and zzz */
    assert_top(f, 1, "aaa", 1);
    assert_null(f->news.top[2].path);
}

/* ext4 gives a freed number to the next file. */
static void census__goes_by_paths_not_numbers(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(unlinkat(f->home.fd, "old/a", 0), 0);
    test_write(f->home.fd, "old/c", "");
    give_name(f, "old/c", "old/d");
    look(f);
    assert_int_equal(f->news.shared, 0);
    assert_top(f, 0, "old", 1);
}

static void census__keeps_the_largest(void **state)
{
    struct fixture *f = *state;
    char path[16];

    for (int d = 0; d < 8; d++) {
        (void)snprintf(path, sizeof path, "d%d", d);
        test_mkdir(f->home.fd, path, 0755);
        for (int i = 0; i <= d; i++) {
            (void)snprintf(path, sizeof path, "d%d/f%d", d, i);
            test_write(f->home.fd, path, "");
        }
    }
    look(f);
    assert_int_equal(f->news.top[0].inodes, 8); /* d7's files, and the directories themselves */
    assert_int_equal(f->news.top[1].inodes, 8);
    assert_top(f, 2, "d6", 7);
    assert_top(f, 3, "d5", 6);
    assert_top(f, 4, "d4", 5);
}

static void census__sums_keep_the_largest(void **state)
{
    struct fixture *f = *state;
    struct ol_test_census_news sum = {.shared = 1};

    test_mkdir(f->home.fd, "one", 0755);
    give_name(f, "old/a", "one/a");
    look(f);
    assert_int_equal(ol_test_census_news_add(&sum, &f->news), 0);
    test_write(f->home.fd, "one/b", "");
    test_write(f->home.fd, "one/c", "");
    look(f);
    assert_int_equal(ol_test_census_news_add(&sum, &f->news), 0);
    assert_int_equal(sum.shared, 2);
    assert_string_equal(sum.top[0].path, "one");
    assert_int_equal(sum.top[0].inodes, 2);
    assert_string_equal(sum.top[1].path, "");
    assert_null(sum.top[2].path);
    ol_test_census_news_fini(&sum);
}

static void census__counts_cached_whiteouts(void **state)
{
    struct fixture *f = *state;

    OL_REQUIRE(can_mknod, "making devices needs CAP_MKNOD");
    test_mkdir(f->home.fd, "old/work", 0755);
    test_mkdir(f->home.fd, "old/work/work", 0755);
    assert_int_equal(mknodat(f->home.fd, "old/work/work/#1", S_IFCHR, makedev(0, 0)), 0);
    look(f);
    assert_int_equal(f->census.cached, 1);
    give_name(f, "old/work/work/#1", "old/deleted"); /* now it has another name */
    look(f);
    assert_int_equal(f->census.cached, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(census__finds_nothing_new_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(census__gives_inodes_to_their_directories, setup, teardown),
        cmocka_unit_test_setup_teardown(census__tells_shared_inodes_from_new_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(census__goes_by_paths_not_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(census__keeps_the_largest, setup, teardown),
        cmocka_unit_test_setup_teardown(census__sums_keep_the_largest, setup, teardown),
        cmocka_unit_test_setup_teardown(census__counts_cached_whiteouts, setup, teardown),
    };

    return cmocka_run_group_tests_name("testlib_census", tests, NULL, NULL);
}
