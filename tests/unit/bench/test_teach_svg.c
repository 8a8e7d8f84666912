/* SPDX-License-Identifier: Apache-2.0 */
/* The drawing of a step: what would lie on something else, or leave its box. */
#include "support/support.h"

#include "bench/teach/explain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct test_dir dir;
    struct ol_explanation ex;
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

    ol_explanation_fini(&f->ex);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

/* A commit under the legacy driver, done without mounts. */
static struct fixture *commit(void **state)
{
    static char overlay[] = "overlay";
    static char *const engines[] = {overlay};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct fixture *f = *state;
    const struct ol_explain_options options = {
        .step = ol_step_find("commit", &err),
        .engines = engines,
        .n_engines = 1,
        .dir = f->dir.path,
        .view = OL_VIEW_DIRECT,
    };

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    assert_non_null(options.step);
    assert_ok(ol_explain_begin(&options, &f->ex, &err), &err);
    assert_ok(ol_explain_phase(&f->ex, &err), &err);
    return f;
}

static char *draw(const struct fixture *f)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_int_equal(ol_explain_print_svg(&f->ex, out), 0);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* The number behind the next text, and past it. */
static bool next_number(const char **at, const char *text, double *ret)
{
    char *end = NULL;
    const char *found = strstr(*at, text);

    if (found == NULL)
        return false;
    *ret = strtod(found + strlen(text), &end);
    *at = end;
    return true;
}

static void svg__curves_do_not_lie_on_each_other(void **state)
{
    ol_auto_free char *svg = draw(commit(state));
    const char *at = svg;
    double far[64];
    double from;
    size_t count = 0;

    while (count < OL_ARRAY_LEN(far) && next_number(&at, "class=\"link\" d=\"M", &from) &&
           next_number(&at, " C", &far[count])) {
        assert_true(far[count] > from);
        for (size_t i = 0; i < count; i++)
            assert_true(far[i] != far[count]);
        count++;
    }
    assert_true(count >= 5);
}

static void svg__says_once_that_a_layer_is_the_init_layer(void **state)
{
    ol_auto_free char *svg = draw(commit(state));

    assert_non_null(strstr(svg, "~-init/  box  ("));
    assert_null(strstr(svg, "box-init"));
}

/* File systems of many terabytes have them: xfs, and btrfs and tmpfs with time. */
static void svg__longest_inode_numbers_stay_in_their_boxes(void **state)
{
    struct fixture *f = commit(state);
    struct ol_moment *last = &f->ex.columns[0].moments[f->ex.n_done - 1];
    ol_auto_free char *small = draw(f);
    ol_auto_free char *large = NULL;
    const char *at_small = small;
    const char *at_large = large;
    double before = 0;
    double after = 0;

    assert_true(last->tree.count > 0);
    last->tree.entries[0].ino = UINT64_MAX;
    large = draw(f);
    at_large = large;
    assert_true(next_number(&at_small, "<rect class=\"box box-same\" x=\"", &before));
    assert_true(next_number(&at_large, "<rect class=\"box box-same\" x=\"", &after));
    assert_true(before == after);
    assert_true(next_number(&at_small, "width=\"", &before));
    assert_true(next_number(&at_large, "width=\"", &after));
    assert_true(after >= before + 11 * 6); /* 20 digits of 6 pixels in place of 9 */
    assert_true(next_number(&at_large, "<text class=\"ino same\" x=\"", &after));
    assert_true(after >= 16 + 20 * 6);
    at_large = large;
    assert_true(
        next_number(&at_large, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", &after));
    assert_true(after >= 640);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(svg__curves_do_not_lie_on_each_other),
        TEST(svg__says_once_that_a_layer_is_the_init_layer),
        TEST(svg__longest_inode_numbers_stay_in_their_boxes),
    };

    return cmocka_run_group_tests_name("teach_svg", tests, NULL, NULL);
}
