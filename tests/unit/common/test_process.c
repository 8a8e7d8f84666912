/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/process.h"

#include <signal.h>

static void process__returns_what_the_program_says(void **state)
{
    const char *const argv[] = {"sh", "-c", "echo one; echo two >&2", NULL};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;

    (void)state;
    assert_ok(ol_process_run(argv, 0, &out, &err), &err);
    assert_string_equal(ol_buf_str(&out), "one\ntwo");
}

static void process__names_status_and_last_line(void **state)
{
    const char *const argv[] = {"sh", "-c", "echo first; echo broken; exit 7", NULL};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    assert_int_equal(ol_process_run(argv, 0, NULL, &err), -ECHILD);
    assert_message(&err, "'sh' failed with status 7: broken");
}

static void process__says_when_a_program_is_missing(void **state)
{
    const char *const argv[] = {"no-such-program-here", NULL};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    assert_int_equal(ol_process_run(argv, 0, NULL, &err), -ENOENT);
    assert_message(&err, "'no-such-program-here' is not installed");
}

static void process__kills_what_takes_too_long(void **state)
{
    const char *const argv[] = {"sleep", "100", NULL};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    assert_int_equal(ol_process_run(argv, 50, NULL, &err), -ETIMEDOUT);
}

static void process__keeps_a_bounded_part_of_the_output(void **state)
{
    const char *const argv[] = {"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x", NULL};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;

    (void)state;
    assert_ok(ol_process_run(argv, 0, &out, &err), &err);
    assert_int_equal(out.len, OL_PROCESS_OUTPUT_MAX);
}

static void process__does_not_pass_on_the_environment(void **state)
{
    const char *const argv[] = {"env", NULL};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;

    (void)state;
    assert_int_equal(setenv("OL_SECRET", "1", 1), 0);
    assert_ok(ol_process_run(argv, 0, &out, &err), &err);
    assert_null(strstr(ol_buf_str(&out), "OL_SECRET"));
    assert_non_null(strstr(ol_buf_str(&out), "LC_ALL=C"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process__returns_what_the_program_says),
        cmocka_unit_test(process__names_status_and_last_line),
        cmocka_unit_test(process__says_when_a_program_is_missing),
        cmocka_unit_test(process__kills_what_takes_too_long),
        cmocka_unit_test(process__keeps_a_bounded_part_of_the_output),
        cmocka_unit_test(process__does_not_pass_on_the_environment),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
