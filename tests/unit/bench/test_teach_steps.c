/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what can be explained, and text in columns. */
#include "support/support.h"

#include "bench/teach/page.h"
#include "bench/teach/steps.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- steps ---- */

/* A definition: the name at the start of a line or after the type, "(" behind it, no ";" at the
 * end of the line. */
static bool defines(const char *source, const char *function)
{
    const size_t len = strlen(function);

    for (const char *line = source; *line != '\0';) {
        size_t line_len = strcspn(line, "\n");
        const char *at = memmem(line, line_len, function, len);
        bool starts = isalpha((unsigned char)line[0]) || line[0] == '_';

        if (starts && at != NULL && at[len] == '(' &&
            (at == line || at[-1] == ' ' || at[-1] == '*') && line[line_len - 1] != ';')
            return true;
        line += line_len + (line[line_len] == '\n');
    }
    return false;
}

static void assert_note(int source_fd, const struct ol_step *step, const struct ol_step_note *note)
{
    ol_auto_free char *source = NULL;

    assert_non_null(note->file);
    assert_non_null(note->function);
    if (faccessat(source_fd, note->file, R_OK, 0) < 0)
        fail_msg("%s names %s, which is not there", step->name, note->file);
    source = test_read(source_fd, note->file);
    if (!defines(source, note->function))
        fail_msg("%s names %s(), which %s does not define", step->name, note->function, note->file);
}

/* Who did it can be read where it says: the pointers cannot go stale. */
static void steps__name_functions_that_exist(void **state)
{
    ol_auto_fd int source_fd = open(OL_SOURCE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct ol_step *steps;
    size_t count;
    unsigned notes = 0;

    (void)state;
    assert_true(source_fd >= 0);
    steps = ol_steps(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < OL_STEP_PHASES; p++) {
            for (size_t n = 0; n < OL_NOTES; n++) {
                const struct ol_step_note *note = &steps[i].phases[p].notes[n];

                if (note->why == NULL)
                    continue;
                assert_note(source_fd, &steps[i], note);
                notes++;
            }
        }
    }
    assert_true(notes > count);
}

/* Each phase tells why, whichever of the three it is; lists end where they should. */
static void steps__explain_every_phase_of_the_three(void **state)
{
    static const enum ol_law laws[] = {OL_LAW_OVERLAY, OL_LAW_OVERLAY2, OL_LAW_SNAPSHOT};
    size_t count;
    const struct ol_step *steps = ol_steps(&count);

    (void)state;
    assert_int_equal(count, 12);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(steps[i].before[OL_ARRAY_LEN(steps[i].before) - 1].kind, OL_ACT_END);
        assert_non_null(steps[i].phases[0].caption);
        assert_null(steps[i].phases[OL_STEP_PHASES - 1].caption);
        for (size_t p = 0; steps[i].phases[p].caption != NULL; p++) {
            assert_int_not_equal(steps[i].phases[p].acts[0].kind, OL_ACT_END);
            assert_int_equal(steps[i].phases[p].acts[OL_STEP_ACTS - 1].kind, OL_ACT_END);
            for (size_t l = 0; l < OL_ARRAY_LEN(laws); l++)
                assert_non_null(ol_step_note(&steps[i].phases[p], true, laws[l]));
            assert_null(ol_step_note(&steps[i].phases[p], false, OL_LAW_NULL));
        }
    }
}

static void steps__a_wrong_name_lists_the_right_ones(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    assert_string_equal(ol_step_find("copy-up", &err)->name, "copy-up");
    assert_null(ol_step_find("copyup", &err));
    assert_int_equal(err.code, -ENOENT);
    assert_message(&err, "no step 'copyup': mount, create, copy-up, ");
}

/* ---- pages ---- */

static char *print(struct ol_page *pages, size_t count)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_int_equal(ol_pages_print(pages, count, 2, out), 0);
    assert_int_equal(fclose(out), 0);
    for (size_t i = 0; i < count; i++)
        ol_page_fini(&pages[i]);
    return text;
}

static void page__cuts_a_line_and_says_so(void **state)
{
    struct ol_page page;
    ol_auto_free char *text = NULL;

    (void)state;
    ol_page_init(&page, 10, false);
    ol_page_line(&page);
    ol_page_put(&page, OL_INK_NEW, "0123456789");
    ol_page_line(&page);
    ol_page_put(&page, OL_INK_NEW, "01234567");
    ol_page_put(&page, OL_INK_NEW, "89ab");
    ol_page_put(&page, OL_INK_NEW, "lost");
    text = print(&page, 1);
    assert_string_equal(text, "0123456789\n012345678~\n");
}

static void page__wraps_beside_its_label(void **state)
{
    struct ol_page page;
    ol_auto_free char *text = NULL;

    (void)state;
    ol_page_init(&page, 20, false);
    ol_page_wrap(&page, OL_INK_PLAIN, "why", 6, " ", "one two three four five");
    ol_page_wrap(&page, OL_INK_PLAIN, "how", 6, ",", "lower=a,upper=bcdefg,rw");
    text = print(&page, 1);
    assert_string_equal(text, "why   one two three\n      four five\n"
                              "how   lower=a,\n      upper=bcdefg,\n      rw\n");
}

static void page__stands_beside_another(void **state)
{
    struct ol_page pages[2];
    ol_auto_free char *text = NULL;

    (void)state;
    ol_page_init(&pages[0], 6, false);
    ol_page_init(&pages[1], 6, false);
    ol_page_line(&pages[0]);
    ol_page_put(&pages[0], OL_INK_PLAIN, "a");
    ol_page_line(&pages[1]);
    ol_page_put(&pages[1], OL_INK_PLAIN, "b");
    ol_page_line(&pages[1]);
    ol_page_put(&pages[1], OL_INK_PLAIN, "c");
    ol_page_line(&pages[0]);
    ol_page_line(&pages[0]);
    ol_page_put(&pages[0], OL_INK_PLAIN, "d");
    text = print(pages, 2);
    assert_string_equal(text, "a       b\n        c\nd\n");
}

/* Colour takes no room, and a name cannot send escapes of its own. */
static void page__keeps_escapes_to_itself(void **state)
{
    struct ol_page pages[2];
    ol_auto_free char *text = NULL;

    (void)state;
    ol_page_init(&pages[0], 4, true);
    ol_page_init(&pages[1], 4, true);
    ol_page_line(&pages[0]);
    ol_page_put(&pages[0], OL_INK_WHITEOUT, "\033[J");
    ol_page_line(&pages[1]);
    ol_page_put(&pages[1], OL_INK_PLAIN, "b");
    text = print(pages, 2);
    assert_string_equal(text, "\033[31m?[J\033[0m   b\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps__name_functions_that_exist),
        cmocka_unit_test(steps__explain_every_phase_of_the_three),
        cmocka_unit_test(steps__a_wrong_name_lists_the_right_ones),
        cmocka_unit_test(page__cuts_a_line_and_says_so),
        cmocka_unit_test(page__wraps_beside_its_label),
        cmocka_unit_test(page__stands_beside_another),
        cmocka_unit_test(page__keeps_escapes_to_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
