/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The project's own inode budget (tests/data/budget.ini), predicted and measured, by whoever runs
 * the tests and, where that is root, by an ordinary user; and one that must be found exceeded.
 */
#include "cli/program.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { NOBODY = 65534 };

/* A directory an ordinary user can read and write, with the budgets in it. */
static int setup(void **state)
{
    static const char *const budgets[] = {"budget.ini", "budget-exceeded.ini"};
    ol_auto_fd int data = open(OL_TEST_DATA, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct test_dir *dir = calloc(1, sizeof *dir);

    assert_non_null(dir);
    assert_true(data >= 0);
    test_dir_make(dir);
    for (size_t i = 0; i < OL_ARRAY_LEN(budgets); i++) {
        ol_auto_free char *text = test_read(data, budgets[i]);

        test_write(dir->fd, budgets[i], text);
        assert_int_equal(fchmodat(dir->fd, budgets[i], 0644, 0), 0); /* whatever the umask is */
    }
    assert_int_equal(fchmod(dir->fd, 0777), 0);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    test_dir_remove(*state);
    free(*state);
    return 0;
}

static void check(const struct test_dir *dir, const char *budget, const char *section, unsigned uid,
                  struct program_result *ret)
{
    const char *const args[] = {"check", "--root=root", budget, "--only", section, NULL};
    const struct program_run run = {.args = args, .cwd = dir->path, .uid = uid};

    program_run(&run, ret);
    printf("%s%s", ret->out, ret->err); /* for the log of the run */
}

static void own_budget__is_kept_when_predicted(void **state)
{
    auto_result struct program_result result = {0};

    check(*state, "budget.ini", "predicted", 0, &result);
    assert_int_equal(result.status, 0);
}

static void own_budget__is_kept_when_measured(void **state)
{
    auto_result struct program_result result = {0};

    check(*state, "budget.ini", "measured", 0, &result);
    assert_int_equal(result.status, 0);
}

static void own_budget__is_kept_by_an_ordinary_user(void **state)
{
    const unsigned uid = geteuid() == 0 ? NOBODY : 0;
    auto_result struct program_result predicted = {0};
    auto_result struct program_result measured = {0};

    check(*state, "budget.ini", "predicted", uid, &predicted);
    assert_int_equal(predicted.status, 0);
    check(*state, "budget.ini", "measured", uid, &measured);
    assert_int_equal(measured.status, 0);
    assert_null(strstr(measured.out, "(view kernel)"));
}

static void own_budget__exceeded_one_fails(void **state)
{
    static const char *const sections[] = {"predicted", "measured"};

    for (size_t i = 0; i < OL_ARRAY_LEN(sections); i++) {
        auto_result struct program_result result = {0};

        check(*state, "budget-exceeded.ini", sections[i], 0, &result);
        assert_int_equal(result.status, 1);
        assert_non_null(strstr(result.out, "OVER  overlay inodes_per_commit <= 80"));
        assert_non_null(strstr(result.out, "commit 1 adds 1,66"));
        assert_non_null(strstr(result.out, "legacy overlay makes every directory ("));
        assert_non_null(strstr(result.out, " in /usr/share/doc\n"));
        assert_non_null(strstr(result.out, "1 of 2 limits kept, 1 exceeded"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(own_budget__is_kept_when_predicted, setup, teardown),
        cmocka_unit_test_setup_teardown(own_budget__is_kept_when_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(own_budget__is_kept_by_an_ordinary_user, setup, teardown),
        cmocka_unit_test_setup_teardown(own_budget__exceeded_one_fails, setup, teardown),
    };

    return cmocka_run_group_tests_name("own_budget", tests, NULL, NULL);
}
