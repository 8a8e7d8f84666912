/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of engines whose options contain commas, and the law each name has. */
#include "support/support.h"

#include "bench/harness/engine.h"

#include <errno.h>

static void assert_names(const char *text, const char *const *want, size_t n)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char **names = NULL;
    size_t count = 0;

    assert_ok(ol_engine_names_parse(text, &names, &count, &err), &err);
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(names[i], want[i]);
    assert_null(names[n]);
    ol_engine_names_free(names);
}

static void assert_refused(const char *text, const char *why)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char **names = NULL;
    size_t count = 0;

    assert_int_equal(ol_engine_names_parse(text, &names, &count, &err), -EINVAL);
    assert_message(&err, why);
}

static void names__plain_list(void **state)
{
    (void)state;
    assert_names("overlay,overlay2", (const char *const[]){"overlay", "overlay2"}, 2);
    assert_names("vfs", (const char *const[]){"vfs"}, 1);
}

static void names__options_keep_their_commas(void **state)
{
    (void)state;
    assert_names("overlay:diff=upper,clone=all,overlay2",
                 (const char *const[]){"overlay:diff=upper,clone=all", "overlay2"}, 2);
    assert_names("overlay,overlay:clone=all,overlay2",
                 (const char *const[]){"overlay", "overlay:clone=all", "overlay2"}, 3);
    assert_names("overlay:clone=all,overlay:diff=upper",
                 (const char *const[]){"overlay:clone=all", "overlay:diff=upper"}, 2);
}

static void names__refuses_holes_and_repeats(void **state)
{
    (void)state;
    assert_refused("", "missing");
    assert_refused("overlay,,overlay2", "missing");
    assert_refused("overlay,", "missing");
    assert_refused("clone=all,overlay", "missing");
    assert_refused("overlay,overlay2,overlay", "'overlay' is named twice");
}

static void law__follows_name_and_options(void **state)
{
    enum ol_law law;

    (void)state;
    assert_int_equal(ol_engine_law("overlay", &law), 0);
    assert_int_equal(law, OL_LAW_OVERLAY);
    assert_int_equal(ol_engine_law("overlay:diff=upper", &law), 0);
    assert_int_equal(law, OL_LAW_OVERLAY);
    assert_int_equal(ol_engine_law("overlay:diff=upper,clone=all", &law), 0);
    assert_int_equal(law, OL_LAW_OVERLAY_CLONE_ALL);
    assert_int_equal(ol_engine_law("overlay2", &law), 0);
    assert_int_equal(law, OL_LAW_OVERLAY2);
    assert_int_equal(ol_engine_law("snapshot", &law), 0);
    assert_int_equal(law, OL_LAW_SNAPSHOT);
    assert_int_equal(ol_engine_law("containerd", &law), 0);
    assert_int_equal(law, OL_LAW_SNAPSHOT);
    assert_int_equal(ol_engine_law("overlay2:diff=naive", &law), 0);
    assert_int_equal(law, OL_LAW_OVERLAY2_NAIVE);
    assert_int_equal(ol_engine_law("docker/overlay2", &law), 0);
    assert_int_equal(law, OL_LAW_OVERLAY2);
    assert_int_equal(ol_engine_law("overlay3", &law), -ENOENT);
}

static void option__is_a_whole_word_after_the_colon(void **state)
{
    (void)state;
    assert_true(ol_engine_has_option("overlay:diff=upper,clone=all", "diff=upper"));
    assert_true(ol_engine_has_option("overlay:diff=upper,clone=all", "clone=all"));
    assert_false(ol_engine_has_option("overlay:diff=upper2", "diff=upper"));
    assert_false(ol_engine_has_option("overlay", "overlay"));
    assert_false(ol_engine_has_option("overlay:", "diff=upper"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names__plain_list),
        cmocka_unit_test(names__options_keep_their_commas),
        cmocka_unit_test(names__refuses_holes_and_repeats),
        cmocka_unit_test(option__is_a_whole_word_after_the_colon),
        cmocka_unit_test(law__follows_name_and_options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
