/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle against every driver, on stories nobody would write: layers whose random entries
 * replace, link, delete and hide each other, containers changed, committed and removed in any
 * order. Each step has to add and free what is predicted, kind by kind. A story that fails is made
 * small and printed; as a file it runs again:
 *
 *     OL_STORY=FILE build/debug/tests/test_stories [--userns|--kernel]
 *     OL_STORY_SEED=1 OL_STORY_COUNT=5000 build/debug/tests/test_stories
 *
 * With --peaks the highest count within each step is compared, too, which needs fault points to
 * look from (a debug build) and takes ten times as long; OL_STORY_PEAKS_COUNT says for how many.
 *
 * What failed once is kept in tests/integration/stories/.
 */
#include "integration/story/story.h"

#include "support/support.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/mount/view.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_DEFAULT = 40, PEAKS_COUNT_DEFAULT = 30 };

static enum ol_view view = OL_VIEW_DIRECT;
static bool peaks; /* --peaks */

static bool can_have_view(void)
{
    return view == OL_VIEW_DIRECT ? can_user_xattr()
                                  : view != OL_VIEW_KERNEL || can_mount_overlay();
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    char *end;
    uint64_t value;

    if (text == NULL)
        return otherwise;
    value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0')
        fail_msg("%s=%s is no number", name, text);
    return value;
}

static bool still_fails(const struct story *story, void *data)
{
    struct story_result result;

    story_run(story, data, &result);
    return result.why[0] != '\0';
}

/* Shrink, say it in a form that can be run again, and fail. */
static void report_failure(struct story *story, struct story_options *how, const char *from,
                           const char *why)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    struct story_result result;

    print_message("%s: %s\n", from, why);
    story_shrink(story, still_fails, how);
    story_run(story, how, &result);
    story_print(story, &text);
    story_fini(story);
    fail_msg("%s: %s\n# %s; run it again with OL_STORY=FILE\n%s", from, result.why, from,
             ol_buf_str(&text));
}

static unsigned run_one(struct story *story, struct story_options *how, const char *from)
{
    struct story_result result;

    story_run(story, how, &result);
    if (result.why[0] != '\0')
        report_failure(story, how, from, result.why);
    return result.steps;
}

static int setup(void **state)
{
    struct test_dir *dir = calloc(1, sizeof *dir);

    if (dir == NULL)
        return -1;
    test_dir_make(dir);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    test_dir_remove(*state);
    free(*state);
    return 0;
}

static void run_seeds(struct story_options *how, bool replays, uint64_t seed, uint64_t count)
{
    struct timespec start;
    struct timespec stop;
    uint64_t steps = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint64_t i = 0; i < count; i++) {
        struct story story;
        char from[32];

        (void)snprintf(from, sizeof from, "seed %ju%s", (uintmax_t)(seed + i),
                       replays ? ", replays" : "");
        story_make(seed + i, replays, &story);
        steps += run_one(&story, how, from);
        story_fini(&story);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &stop);
    print_message("%ju stories, %ju steps compared, %ld s\n", (uintmax_t)count, (uintmax_t)steps,
                  (long)(stop.tv_sec - start.tv_sec));
    assert_true(steps > count * 4); /* they are not all nonsense */
}

static void stories__hold_on_every_driver(void **state)
{
    struct story_options how = {.dir = *state, .view = view};

    OL_REQUIRE(can_have_view, "the view needs user.overlay.* attributes or overlay mounts");
    run_seeds(&how, false, number_from("OL_STORY_SEED", 1),
              number_from("OL_STORY_COUNT", COUNT_DEFAULT));
}

static void stories__with_replays_hold_on_every_driver(void **state)
{
    struct story_options how = {.dir = *state, .view = view};

    OL_REQUIRE(can_have_view, "the view needs user.overlay.* attributes or overlay mounts");
    run_seeds(&how, true, number_from("OL_STORY_SEED", 1),
              number_from("OL_STORY_COUNT", COUNT_DEFAULT));
}

/* Looked at before each change of the file system, which nothing in between can outgrow. */
static void stories__peaks_hold_within_a_step(void **state)
{
    struct story_options how = {.dir = *state, .view = view, .peaks = true};

    OL_REQUIRE(can_have_view, "the view needs user.overlay.* attributes or overlay mounts");
    OL_REQUIRE(can_inject_faults, "this build has no fault points to look at");
    run_seeds(&how, false, number_from("OL_STORY_SEED", 1),
              number_from("OL_STORY_PEAKS_COUNT", PEAKS_COUNT_DEFAULT));
}

static void run_file(const struct test_dir *scratch, int dir_fd, const char *name)
{
    struct story_options how = {.dir = scratch, .view = view, .peaks = peaks};
    ol_auto_free char *text = test_read(dir_fd, name);
    struct story story;
    const char *wrong = story_parse(text, &story);

    if (wrong != NULL)
        fail_msg("%s: %s", name, wrong);
    assert_true(run_one(&story, &how, name) > 0);
    story_fini(&story);
}

/* What failed once, and the cases somebody thought of. */
static void stories__of_the_past_hold(void **state)
{
    ol_auto_fd int fd = open(OL_STORIES_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_dir DIR *dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    const struct dirent *entry;
    unsigned count = 0;

    OL_REQUIRE(can_have_view, "the view needs user.overlay.* attributes or overlay mounts");
    if (peaks)
        OL_REQUIRE(can_inject_faults, "this build has no fault points to look at");
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (len < 4 || strcmp(entry->d_name + len - 4, ".txt") != 0)
            continue;
        run_file(*state, fd, entry->d_name);
        count++;
    }
    assert_true(count > 0);
}

static void story__text_is_read_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        ol_auto_buf struct ol_buf text = OL_BUF_INIT;
        ol_auto_buf struct ol_buf again = OL_BUF_INIT;
        struct story story;
        struct story read;

        story_make(seed, false, &story);
        story_print(&story, &text);
        assert_null(story_parse(ol_buf_str(&text), &read));
        story_print(&read, &again);
        assert_string_equal(ol_buf_str(&text), ol_buf_str(&again));
        story_fini(&story);
        story_fini(&read);
    }
}

static void story__wrong_lines_are_named(void **state)
{
    static const char *const texts[] = {"nonsense\n",    "layer 0\n",  "layer 99 -\n",
                                        "\ndir a 0o9\n", "drop 1 2\n", "change 0 1 up=1\n"};
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(texts); i++) {
        struct story story;
        const char *wrong = story_parse(texts[i], &story);

        assert_non_null(wrong);
        assert_non_null(strstr(wrong, texts[i][0] == '\n' ? "line 2 " : "line 1 "));
        story_fini(&story);
    }
}

/* A law with a mistake only an opaque directory in overlay2 shows. */
static void forget_opaque(const struct ol_held_way *way, const struct ol_model *model,
                          struct ol_inode_kinds *predicted)
{
    struct ol_model_counts counts;

    ol_model_counts(model, &counts);
    if (way->law == OL_LAW_OVERLAY2)
        predicted->whiteout += (int64_t)counts.layer_opaques;
}

static void shrink__leaves_what_the_failure_needs(void **state)
{
    struct story_options how = {
        .dir = *state, .view = view, .wrong = forget_opaque, .only = "overlay2"};
    unsigned shrunk = 0;

    OL_REQUIRE(can_have_view, "the view needs user.overlay.* attributes or overlay mounts");
    for (uint64_t seed = 1; shrunk < 3; seed++) {
        struct story story;

        story_make(seed, false, &story);
        if (still_fails(&story, &how)) {
            story_shrink(&story, still_fails, &how);
            assert_int_equal(story.count, 2); /* a layer, and the marker in it */
            assert_int_equal(story.lines[0].kind, STORY_LAYER);
            assert_int_equal(story.lines[1].kind, STORY_OPAQUE);
            shrunk++;
        }
        story_fini(&story);
    }
}

/* OL_STORY names one story: that, and nothing else. */
static void story__of_the_environment_holds(void **state)
{
    run_file(*state, AT_FDCWD, getenv("OL_STORY"));
}

static int choose(const char *option)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (strcmp(option, "--peaks") == 0) {
        peaks = true;
        return 0;
    }
    if (strcmp(option, "--kernel") == 0) {
        view = OL_VIEW_KERNEL;
        return 0;
    }
    view = OL_VIEW_USERNS;
    if (!can_user_namespace() || ol_view_enter_userns(&err) < 0) {
        print_message("SKIP stories: no user namespace can be entered\n");
        return 1;
    }
    return 0;
}

#define story_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest one[] = {story_test(story__of_the_environment_holds)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(story__text_is_read_back),
        cmocka_unit_test(story__wrong_lines_are_named),
        story_test(stories__of_the_past_hold),
        story_test(shrink__leaves_what_the_failure_needs),
        story_test(stories__hold_on_every_driver),
        story_test(stories__with_replays_hold_on_every_driver),
    };

    const struct CMUnitTest within[] = {
        story_test(stories__of_the_past_hold),
        story_test(stories__peaks_hold_within_a_step),
    };

    for (int i = 1; i < argc; i++) {
        if (choose(argv[i]) != 0)
            return 0;
    }
    if (getenv("OL_STORY") != NULL)
        return cmocka_run_group_tests_name("story", one, NULL, NULL);
    return peaks ? cmocka_run_group_tests_name("peaks", within, NULL, NULL)
                 : cmocka_run_group_tests_name("stories", tests, NULL, NULL);
}
