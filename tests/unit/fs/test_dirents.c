/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/fs/dirents.h"

#include <string.h>

static void dirents__reads_more_than_one_buffer_sorted(void **state)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    struct test_dir dir;

    (void)state;
    test_dir_make(&dir);
    for (int i = 0; i < 3000; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "a-rather-long-name-%d", (i * 7919) % 3000);
        test_write(dir.fd, name, "");
    }
    for (int twice = 0; twice < 2; twice++) { /* a descriptor read before starts again */
        assert_int_equal(ol_dirents_read(&list, dir.fd, true), 0);
        assert_int_equal(list.count, 3000);
        for (size_t i = 1; i < list.count; i++)
            assert_true(strcmp(list.items[i - 1].name, list.items[i].name) < 0);
    }
    test_dir_remove(&dir);
}

static void dirents__leaves_out_dot_and_dotdot_only(void **state)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    struct test_dir dir;

    (void)state;
    test_dir_make(&dir);
    test_write(dir.fd, "...", "");
    test_write(dir.fd, ".a", "");
    assert_int_equal(ol_dirents_read(&list, dir.fd, true), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "...");
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dirents__reads_more_than_one_buffer_sorted),
        cmocka_unit_test(dirents__leaves_out_dot_and_dotdot_only),
    };
    return cmocka_run_group_tests_name("dirents", tests, NULL, NULL);
}
