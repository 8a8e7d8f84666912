/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/buf.h"

#include <errno.h>
#include <string.h>

static void buf__grows_and_stays_terminated(void **state)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    (void)state;
    assert_string_equal(ol_buf_str(&buf), "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ol_buf_printf(&buf, "%d,", i), 0);
    assert_int_equal(buf.len, strlen(buf.data));
    assert_int_equal(ol_buf_putc(&buf, 'x'), 0);
    assert_int_equal(buf.data[buf.len], '\0');
}

static void buf__refuses_sizes_that_overflow(void **state)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    (void)state;
    assert_int_equal(ol_buf_puts(&buf, "abc"), 0);
    assert_int_equal(ol_buf_reserve(&buf, SIZE_MAX - 1), -ENOMEM);
    assert_string_equal(buf.data, "abc");
}

static void buf__steal_hands_over_even_an_empty_one(void **state)
{
    struct ol_buf buf = OL_BUF_INIT;
    ol_auto_free char *text = ol_buf_steal(&buf);

    (void)state;
    assert_string_equal(text, "");
    assert_null(buf.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf__grows_and_stays_terminated),
        cmocka_unit_test(buf__refuses_sizes_that_overflow),
        cmocka_unit_test(buf__steal_hands_over_even_an_empty_one),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
