/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/limits.h"
#include "drivers/driver_ops.h"

#include <errno.h>

static void options__name_alone_has_none(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver base = {.home_fd = -1};

    (void)state;
    assert_ok(ol_driver_spec_parse("overlay2", &base, &err), &err);
    assert_string_equal(base.ops->name, "overlay2");
    assert_int_equal(base.n_options, 0);
    ol_driver_base_fini(&base);
}

static void options__are_split_at_commas(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver base = {.home_fd = -1};

    (void)state;
    assert_ok(ol_driver_spec_parse("overlay:diff=upper,clone=all", &base, &err), &err);
    assert_string_equal(base.name, "overlay:diff=upper,clone=all");
    assert_int_equal(ol_driver_option(&base, "diff"), 1);
    assert_int_equal(ol_driver_option(&base, "clone"), 1);
    assert_int_equal(ol_driver_option(&base, "names"), 0); /* not given: the default */
    ol_driver_base_fini(&base);
}

static void assert_refused(const char *spec, int code, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver base = {.home_fd = -1};

    assert_int_equal(ol_driver_spec_parse(spec, &base, &err), code);
    assert_message(&err, text);
    ol_driver_base_fini(&base);
}

static void options__refuse_what_is_malformed(void **state)
{
    char many[200] = "overlay:";
    char *end = many + strlen(many);
    char long_name[1000];

    (void)state;
    for (char c = 'a'; c <= 'z'; c++, end += 2)
        (void)snprintf(end, 3, "%c,", c);
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_refused("overlay3", -ENOENT, "no driver 'overlay3': the drivers are overlay2, overlay");
    assert_refused("", -ENOENT, "no driver ''");
    assert_refused("overlay:", -EINVAL, "empty option");
    assert_refused("overlay:=x", -EINVAL, "empty option");
    assert_refused("overlay:a,,b", -EINVAL, "empty option");
    assert_refused("overlay:diff=upper,diff=naive", -EINVAL, "'diff' is given twice");
    assert_refused(many, -E2BIG, "more than 16 options");
    assert_refused(long_name, -E2BIG, "more than 512 bytes");
}

static void options__unknown_one_is_named_at_open(void **state)
{
    static const char *const bad[][2] = {
        {"overlay:metacopy=on", "overlay: unknown option 'metacopy'"},
        {"overlay:diff=fast", "'diff' is 'naive' or 'upper', not 'fast'"},
        {"overlay:clone", "'clone' is 'files' or 'all', not ''"},
        {"overlay2:size=1G", "overlay2: unknown option 'size'"},
        {"overlay:names=all", "'names' is 'none' or 'host', not 'all'"},
        {"overlay2:names", "'names' is 'none' or 'host', not ''"},
        {"vfs:names=yes", "'names' is 'none' or 'host', not 'yes'"},
        {"null:names=host", "null: unknown option 'names'"},
        {"vfs:x=y", "vfs: unknown option 'x'"},
        {"null:x=y", "null: unknown option 'x'"},
    };
    struct test_dir dir;

    (void)state;
    test_dir_make(&dir);
    for (size_t i = 0; i < OL_ARRAY_LEN(bad); i++) {
        const struct ol_driver_config config = {.home = dir.path, .view = OL_VIEW_DIRECT};
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_driver *drv = NULL;

        assert_int_equal(ol_driver_open(bad[i][0], &config, &drv, &err), -EINVAL);
        assert_null(drv);
        assert_message(&err, bad[i][1]);
    }
    test_dir_remove(&dir);
}

static void options__home_must_be_absolute_and_the_view_chosen(void **state)
{
    const struct ol_driver_config relative = {.home = "home", .view = OL_VIEW_DIRECT};
    const struct ol_driver_config no_view = {.home = "/nonexistent", .view = OL_VIEW_AUTO};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver *drv = NULL;

    (void)state;
    assert_int_equal(ol_driver_open("vfs", &relative, &drv, &err), -EINVAL);
    assert_message(&err, "absolute path");
    assert_int_equal(ol_driver_open("vfs", &no_view, &drv, &err), -EINVAL);
    assert_message(&err, "'auto'");
}

static void registry__every_driver_is_complete_and_described(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    for (const char *const *name = ol_driver_names(); *name != NULL; name++) {
        const struct ol_driver_ops *ops = ol_driver_find(*name, strlen(*name));
        assert_non_null(ops);
        assert_string_equal(ops->name, *name);
        assert_ok(ol_driver_ops_check(ops, &err), &err);
        assert_non_null(ol_driver_summary(*name));
    }
    assert_null(ol_driver_summary("overlay3"));
}

static void registry__incomplete_table_is_refused(void **state)
{
    struct ol_driver_ops ops = *ol_driver_find("vfs", 3);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    ops.put = NULL;
    assert_int_equal(ol_driver_ops_check(&ops, &err), -EINVAL);
    assert_message(&err, "'vfs' lacks the required operation 'put'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options__name_alone_has_none),
        cmocka_unit_test(options__are_split_at_commas),
        cmocka_unit_test(options__refuse_what_is_malformed),
        cmocka_unit_test(options__unknown_one_is_named_at_open),
        cmocka_unit_test(options__home_must_be_absolute_and_the_view_chosen),
        cmocka_unit_test(registry__every_driver_is_complete_and_described),
        cmocka_unit_test(registry__incomplete_table_is_refused),
    };
    return cmocka_run_group_tests_name("driver_options", tests, NULL, NULL);
}
