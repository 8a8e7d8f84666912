/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include <errno.h>

static void error__keeps_code_and_text(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    assert_int_equal(ol_error_set(&err, -EINVAL, "bad id '%s'", "x"), -EINVAL);
    assert_int_equal(err.code, -EINVAL);
    assert_string_equal(ol_error_text(&err), "bad id 'x'");
}

static void error__appends_system_text(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    assert_int_equal(ol_error_sys(&err, ENOENT, "cannot open '%s'", "f"), -ENOENT);
    assert_string_equal(ol_error_text(&err), "cannot open 'f': No such file or directory");
}

static void error__wraps_context_outermost_first(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r = ol_error_sys(&err, EIO, "cannot read 'f'");

    (void)state;
    assert_int_equal(ol_error_wrap(&err, r, "applying layer '%s'", "a"), -EIO);
    assert_string_equal(ol_error_text(&err),
                        "applying layer 'a': cannot read 'f': Input/output error");
}

static void error__accepts_null(void **state)
{
    (void)state;
    assert_int_equal(ol_error_set(NULL, -EIO, "x"), -EIO);
    assert_int_equal(ol_error_sys(NULL, EIO, "x"), -EIO);
    assert_int_equal(ol_error_wrap(NULL, -EIO, "x"), -EIO);
    ol_error_fini(NULL);
}

static void error__moves_and_empties(void **state)
{
    ol_auto_error struct ol_error from = OL_ERROR_INIT;
    ol_auto_error struct ol_error to = OL_ERROR_INIT;

    (void)state;
    (void)ol_error_set(&from, -EIO, "first");
    ol_error_move(&to, &from);
    assert_string_equal(ol_error_text(&to), "first");
    assert_int_equal(from.code, 0);
    assert_null(from.message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error__keeps_code_and_text),
        cmocka_unit_test(error__appends_system_text),
        cmocka_unit_test(error__wraps_context_outermost_first),
        cmocka_unit_test(error__accepts_null),
        cmocka_unit_test(error__moves_and_empties),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
