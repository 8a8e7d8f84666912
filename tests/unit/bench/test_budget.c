/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets: what a file means, what is wrong with one, and how limits are held against values. */
#include "support/support.h"

#include "bench/budget/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int parse(const char *text, struct ol_budget *ret, struct ol_error *err)
{
    return ol_budget_parse("b.ini", "dir", text, strlen(text), ret, err);
}

static void parse_ok(const char *text, struct ol_budget *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(parse(text, ret, &err), &err);
}

static void budget__takes_every_key(void **state)
{
    struct ol_budget budget;
    const struct ol_budget_section *s;

    (void)state;
    parse_ok("\xEF\xBB\xBF# comment\n"
             "baseline = base.json\r\n"
             "seed = 7\n"
             "commits = 9 ; of all sections\n"
             "\n"
             "  [web]\n"
             "image = web.tar#web:1\n"
             "drivers = overlay,overlay:diff=upper,clone=all,overlay2\n"
             "commits = 2\n"
             "changes = add=1,delete=2\n"
             "change_bytes = 100\n"
             "containers = 4\n"
             "mode = measure\n"
             "view = direct\n"
             "backing = ext4:1G\n"
             "    limit = overlay:diff=upper,clone=all/overlay2   inodes_per_commit <= 1.50\n"
             "limit: growth overlay2 image_bytes >= 2k\n"
             "limit = growth overlay2 image_inodes = 12.5%\n"
             "[built.in-2]\n"
             "image = builtin\n"
             "replay = no\n"
             "limit = vfs peak_inodes <= 9007199254740992\n",
             &budget);
    assert_string_equal(budget.baseline, "dir/base.json");
    assert_int_equal(budget.n_sections, 2);
    s = &budget.sections[0];
    assert_string_equal(s->name, "web");
    assert_int_equal(s->line, 6);
    assert_string_equal(s->image, "dir/web.tar#web:1");
    assert_int_equal(s->n_drivers, 3);
    assert_int_equal(s->workload.commits, 2);
    assert_int_equal(s->workload.seed, 7);
    assert_int_equal(s->workload.changes.add, 1);
    assert_int_equal(s->workload.changes.modify, 0);
    assert_int_equal(s->workload.change_bytes, 100);
    assert_int_equal(s->containers, 4);
    assert_int_equal(s->mode, OL_BUDGET_MEASURE);
    assert_int_equal(s->view, OL_VIEW_DIRECT);
    assert_string_equal(s->backing, "ext4:1G");
    assert_int_equal(s->n_limits, 3);
    assert_string_equal(s->limits[0].text,
                        "overlay:diff=upper,clone=all/overlay2 inodes_per_commit <= 1.50");
    assert_int_equal(s->limits[0].line, 16);
    assert_int_equal(s->limits[0].kind, OL_LIMIT_RATIO);
    assert_int_equal(s->limits[0].driver, 1);
    assert_int_equal(s->limits[0].over, 2);
    assert_int_equal(s->limits[0].number, 150);
    assert_int_equal(s->limits[0].scale, 100);
    assert_int_equal(s->limits[1].kind, OL_LIMIT_GROWTH);
    assert_int_equal(s->limits[1].number, 2048);
    assert_int_equal(s->limits[2].kind, OL_LIMIT_GROWTH_PERCENT);
    s = &budget.sections[1];
    assert_null(s->image);
    assert_int_equal(s->workload.commits, 9);
    assert_string_equal(s->drivers[0], "vfs");
    assert_null(s->drivers[1]);
    ol_budget_fini(&budget);
}

#define LIMIT(text)  "[a]\nimage = builtin\nlimit = " text "\n"
#define SECTION(key) "[a]\n" key "\nlimit = vfs image_inodes <= 1\nimage = x.tar\n"

/* Each is refused, with the line and a word of the reason. */
static void budget__names_line_and_reason(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "b.ini: no [SECTION]"},
        {"# nothing\n", "b.ini: no [SECTION]"},
        {"commits = 3\n", "b.ini: no [SECTION]"},
        {"[a]\n", "b.ini:1: section [a] has no image"},
        {"[a]\nimage = x.tar\n", "b.ini:1: section [a] limits nothing"},
        {"[a\nimage = x\n", "b.ini:1: no ']'"},
        {"[a] b\n", "b.ini:1: what stands behind [a]"},
        {"[]\n", "b.ini:1: a section's name"},
        {"[a b]\n", "b.ini:1: a section's name"},
        {"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", "at most 49"},
        {LIMIT("vfs image_inodes <= 1") "[a]\n",
         "b.ini:4: section [a] is there already, in line 1"},
        {SECTION("what"), "b.ini:2: neither"},
        {SECTION("drivrs = vfs"), "b.ini:2: unknown key 'drivrs'"},
        {SECTION("baseline = x"), "b.ini:2: unknown key 'baseline'"},
        {SECTION(" = 1"), "b.ini:2: unknown key ''"},
        {SECTION("image = y.tar"), "b.ini:4: image is there already, in line 2"},
        {SECTION("commits = 1\ncommits = 2"), "b.ini:3: commits is there already, in line 2"},
        {SECTION("commits = 0"), "b.ini:2: commits must be 1 to 124, not 0"},
        {SECTION("commits = 125"), "b.ini:2: commits must be"},
        {SECTION("commits = -1"), "b.ini:2: commits is no whole number: '-1'"},
        {SECTION("commits = 2.5"), "b.ini:2: commits is no whole number"},
        {SECTION("commits = 99999999999999999999999"), "b.ini:2: commits must be"},
        {SECTION("commits ="), "b.ini:2: commits is no whole number: ''"},
        {SECTION("containers = 0"), "b.ini:2: containers must be"},
        {SECTION("change_bytes = 1t"), "b.ini:2: change_bytes is no whole number"},
        {SECTION("seed = nan"), "b.ini:2: seed is no whole number"},
        {SECTION("replay = maybe"), "b.ini:2: replay is yes or no"},
        {SECTION("replay = yes\ncommits = 2"), "b.ini:3: commits means nothing with replay"},
        {SECTION("mode = guess"), "b.ini:2: 'guess' is not a mode"},
        {SECTION("view = sideways"), "b.ini:2: 'sideways' is not a view"},
        {SECTION("backing = ext4:lots"), "b.ini:2: "},
        {SECTION("changes = explode=1"), "b.ini:2: unknown change 'explode'"},
        {SECTION("drivers = overlay3"), "b.ini:2: "},
        {SECTION("drivers = overlay2"), "b.ini:3: 'vfs' is not among the section's drivers"},
        {SECTION("drivers = null"), "b.ini:2: 'null' keeps no files"},
        {"limit = vfs image_inodes <= 1\n" SECTION("seed = 1"),
         "b.ini:1: a limit needs a [SECTION]"},
        {"baseline = a\nbaseline = b\n" SECTION("seed = 1"), "b.ini:2: baseline is there already"},
        {"baseline =\n" SECTION("seed = 1"), "b.ini:1: baseline is empty"},
        {"commit = 3\n" SECTION("seed = 1"), "b.ini:1: unknown key 'commit'"},
        {"seed = x\n" SECTION("seed = 1"), "b.ini:1: seed is no whole number"},
        {LIMIT(""), "b.ini:3: a limit reads"},
        {LIMIT("vfs image_inodes <="), "b.ini:3: a limit reads"},
        {LIMIT("vfs image_inodes <= 10 inodes"), "b.ini:3: a limit reads"},
        {LIMIT("vfs image_inodes<=10"), "b.ini:3: a limit reads"},
        {LIMIT("vfs image_inodes <= 10 # not a comment"), "b.ini:3: a limit reads"},
        {LIMIT("vfs inodes <= 10"), "b.ini:3: unknown metric 'inodes' (image_inodes, "},
        {LIMIT("zfs image_inodes <= 10"), "b.ini:3: "},
        {LIMIT("null image_inodes <= 10"), "b.ini:3: 'null' keeps no files"},
        {LIMIT("vfs image_inodes < 10"), "b.ini:3: '<' compares nothing"},
        {LIMIT("vfs image_inodes <= -10"), "b.ini:3: image_inodes takes a whole number"},
        {LIMIT("vfs image_inodes <= 1e3"), "b.ini:3: image_inodes takes a whole number"},
        {LIMIT("vfs image_inodes <= 0x10"), "b.ini:3: image_inodes takes a whole number"},
        {LIMIT("vfs image_inodes <= nan"), "b.ini:3: image_inodes takes a whole number"},
        {LIMIT("vfs image_inodes <= inf"), "b.ini:3: image_inodes takes a whole number"},
        {LIMIT("vfs image_inodes <= 1.5"), "b.ini:3: image_inodes takes a whole number"},
        {LIMIT("vfs image_inodes <= 10%"), "b.ini:3: image_inodes takes a whole number"},
        {LIMIT("vfs image_inodes <= 10k"), "b.ini:3: image_inodes takes a whole number"},
        {LIMIT("vfs image_inodes <= 9007199254740993"), "b.ini:3: image_inodes takes"},
        {LIMIT("vfs image_inodes <= 99999999999999999999999"), "b.ini:3: image_inodes takes"},
        {LIMIT("vfs image_bytes <= 9007199254740992k"), "b.ini:3: image_bytes takes"},
        {LIMIT("vfs image_bytes <= k"), "b.ini:3: image_bytes takes"},
        {LIMIT("vfs image_bytes <= 1.5g"), "b.ini:3: image_bytes takes"},
        {LIMIT("vfs/overlay image_inodes <= x"), "b.ini:3: a ratio is a number"},
        {LIMIT("vfs/overlay image_inodes <= 1."), "b.ini:3: a ratio is a number"},
        {LIMIT("vfs/overlay image_inodes <= 1.2.3"), "b.ini:3: a ratio is a number"},
        {LIMIT("vfs/vfs image_inodes <= 1"), "b.ini:3: 'vfs/vfs' is always 1"},
        {LIMIT("vfs/ image_inodes <= 1"), "b.ini:3: "},
        {LIMIT("growth vfs/overlay image_inodes <= 1"), "b.ini:3: growth is of one driver"},
        {LIMIT("growth vfs image_inodes <= 5%%"), "b.ini:3: no percentage"},
        {LIMIT("growth vfs image_inodes <= %"), "b.ini:3: image_inodes takes"},
        {LIMIT("vfs image_inodes <= 1\nlimit =  vfs  image_inodes  <=  1"),
         "b.ini:4: this limit is there already, in line 3"},
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_budget budget = {0};

        if (parse(cases[i].text, &budget, &err) >= 0)
            fail_msg("taken: %s", cases[i].text);
        if (strstr(ol_error_text(&err), cases[i].says) == NULL)
            fail_msg("'%s' says '%s', not '%s'", cases[i].text, ol_error_text(&err), cases[i].says);
    }
}

static void budget__refuses_what_inih_would_cut(void **state)
{
    char text[512] = "[a]\nimage = ";
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_budget budget = {0};

    (void)state;
    memset(text + strlen(text), 'x', 190);
    assert_int_equal(parse(text, &budget, &err), -EINVAL);
    assert_message(&err, "b.ini:2: the line has 198 bytes, more than 197");
    assert_int_equal(ol_budget_parse("b.ini", "", "[a]\nse\0ed = 1\n", 14, &budget, &err), -EINVAL);
    assert_message(&err, "b.ini:2: a NUL byte");
}

static void budget__mode_must_know_the_metric(void **state)
{
    static const struct {
        const char *text;
        enum ol_budget_mode mode;
        const char *says; /* NULL: fine */
    } cases[] = {
        {LIMIT("vfs image_inodes <= 1"), OL_BUDGET_PREDICT, NULL},
        {LIMIT("vfs image_inodes <= 1"), OL_BUDGET_MEASURE, NULL},
        {LIMIT("vfs image_bytes <= 1"), OL_BUDGET_PREDICT, NULL},
        {LIMIT("vfs left_inodes <= 1"), OL_BUDGET_PREDICT,
         "b.ini:3: left_inodes cannot be predicted"},
        {LIMIT("vfs content_bytes <= 1"), OL_BUDGET_MEASURE,
         "b.ini:3: content_bytes is not measured"},
        {LIMIT("vfs containers_inodes <= 1"), OL_BUDGET_PREDICT,
         "b.ini:3: section [a] has no containers"},
        {LIMIT("vfs containers_inodes <= 1"), OL_BUDGET_MEASURE,
         "b.ini:3: section [a] has no containers"},
        {LIMIT("vfs containers_inodes <= 1\ncontainers = 2"), OL_BUDGET_PREDICT, NULL},
        {LIMIT("vfs containers_inodes <= 1\ncontainers = 2"), OL_BUDGET_MEASURE, NULL},
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_budget budget;
        int r;

        parse_ok(cases[i].text, &budget);
        r = ol_budget_check_mode(&budget, &budget.sections[0], cases[i].mode, &err);
        assert_int_equal(r, cases[i].says == NULL ? 0 : -EINVAL);
        if (cases[i].says != NULL)
            assert_message(&err, cases[i].says);
        ol_budget_fini(&budget);
    }
}

/* ---- limits held against values ---- */

/* Values of n drivers, whose driver d has count[d] of every metric, in 2 layers and 1 commit. */
static void make_values(const int64_t *counts, size_t n, struct ol_budget_values *ret)
{
    *ret = (struct ol_budget_values){.n_drivers = n};
    ret->drivers = calloc(n, sizeof *ret->drivers);
    ret->image_id = strdup("sha256:x");
    assert_non_null(ret->drivers);
    assert_non_null(ret->image_id);
    for (size_t d = 0; d < n; d++) {
        struct ol_driver_values *values = &ret->drivers[d];

        for (unsigned m = 0; m < OL_METRICS; m++)
            values->metrics[m] = (struct ol_budget_value){true, counts[d]};
        values->layers.inodes = calloc(2, sizeof(int64_t));
        values->commits.inodes = calloc(1, sizeof(int64_t));
        assert_non_null(values->layers.inodes);
        assert_non_null(values->commits.inodes);
        values->layers.inodes[1] = counts[d];
        values->commits.inodes[0] = counts[d];
        values->layers.n_inodes = 2;
        values->commits.n_inodes = 1;
    }
}

/* One limit on overlay, and where it is a ratio overlay2. */
static int check_one(const char *limit, const int64_t *counts, const struct ol_baseline *baseline,
                     struct ol_check_result *ret, struct ol_error *err)
{
    struct ol_budget_values values;
    struct ol_budget budget;
    struct ol_check check = {.budget = &budget};
    char text[256];
    int r;

    assert_true(snprintf(text, sizeof text, "[a]\nimage = x\nlimit = %s\n", limit) > 0);
    parse_ok(text, &budget);
    make_values(counts, budget.sections[0].n_drivers, &values);
    r = ol_check_add(&check, &budget.sections[0], OL_BUDGET_PREDICT, &values, baseline, err);
    if (r == 0)
        *ret = check.workloads[0].results[0];
    ret->limit = NULL;
    ol_budget_values_fini(&values);
    ol_check_fini(&check);
    ol_budget_fini(&budget);
    return r;
}

static void check__holds_limits_exactly(void **state)
{
    static const struct {
        const char *limit;
        int64_t counts[2];
        bool passed;
        double value, headroom;
    } cases[] = {
        {"overlay image_inodes <= 10", {10, 0}, true, 10, 0},
        {"overlay image_inodes <= 10", {11, 0}, false, 11, -1},
        {"overlay image_inodes >= 10", {10, 0}, true, 10, 0},
        {"overlay image_inodes >= 10", {9, 0}, false, 9, -1},
        {"overlay image_inodes = 10", {10, 0}, true, 10, 0},
        {"overlay image_inodes = 10", {9, 0}, false, 9, -1},
        {"overlay image_inodes = 10", {11, 0}, false, 11, -1},
        {"overlay image_inodes <= 9007199254740992",
         {9007199254740992, 0},
         true,
         9007199254740992.0,
         0},
        {"overlay/overlay2 image_inodes <= 1.15", {115, 100}, true, 1.15, 0},
        {"overlay/overlay2 image_inodes <= 1.15", {1151, 1000}, false, 1.151, -0.001},
        {"overlay/overlay2 image_inodes >= 20", {1663, 74}, true, 1663.0 / 74, 1663.0 / 74 - 20},
        {"overlay/overlay2 image_inodes <= 0", {0, 3}, true, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_check_result result;

        assert_ok(check_one(cases[i].limit, cases[i].counts, NULL, &result, &err), &err);
        if (result.passed != cases[i].passed)
            fail_msg("'%s' came out wrong", cases[i].limit);
        assert_true(result.value - cases[i].value < 1e-9 && cases[i].value - result.value < 1e-9);
        assert_true(result.headroom - cases[i].headroom < 1e-9 &&
                    cases[i].headroom - result.headroom < 1e-9);
    }
}

static void check__ratio_to_nothing_is_an_error(void **state)
{
    static const int64_t counts[2] = {5, 0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_check_result result;

    (void)state;
    assert_int_equal(check_one("overlay/overlay2 image_inodes <= 5", counts, NULL, &result, &err),
                     -EINVAL);
    assert_message(&err, "b.ini:3: image_inodes is 0 there");
}

static void check__growth_without_a_baseline_is_an_error(void **state)
{
    static const int64_t counts[2] = {5, 0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_check_result result;

    (void)state;
    assert_int_equal(check_one("growth overlay image_inodes <= 5", counts, NULL, &result, &err),
                     -EINVAL);
    assert_message(&err, "there is no baseline");
}

static void check__what_nobody_knows_is_an_error(void **state)
{
    static const int64_t counts[1] = {5};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_budget_values values;
    struct ol_budget budget;
    struct ol_check check = {.budget = &budget};

    (void)state;
    parse_ok(LIMIT("vfs peak_inodes <= 10"), &budget);
    make_values(counts, 1, &values);
    values.drivers[0].metrics[OL_METRIC_PEAK_INODES].known = false;
    assert_int_equal(
        ol_check_add(&check, &budget.sections[0], OL_BUDGET_PREDICT, &values, NULL, &err), -EINVAL);
    assert_message(&err, "b.ini:3: nobody can tell peak_inodes of 'vfs'");
    ol_budget_values_fini(&values);
    ol_check_fini(&check);
    ol_budget_fini(&budget);
}

static void check__suspects_what_costs_most(void **state)
{
    static const int64_t counts[2] = {50, 0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_check_result result;

    (void)state;
    assert_ok(check_one("overlay image_inodes <= 5", counts, NULL, &result, &err), &err);
    assert_true(result.culprit.known);
    assert_false(result.culprit.is_commit);
    assert_int_equal(result.culprit.index, 1);
    assert_int_equal(result.culprit.amount, 50);
    assert_ok(check_one("overlay inodes_per_commit <= 5", counts, NULL, &result, &err), &err);
    assert_true(result.culprit.known && result.culprit.is_commit);
    assert_ok(check_one("overlay inodes_per_commit >= 500", counts, NULL, &result, &err), &err);
    assert_false(result.culprit.known); /* too little is nobody's fault */
    assert_ok(check_one("overlay inodes_per_container <= 5", counts, NULL, &result, &err), &err);
    assert_false(result.culprit.known);
}

/* ---- baselines ---- */

struct saved {
    struct test_dir dir;
    struct ol_budget budget;
    struct ol_baseline baseline; /* overlay had 100 of everything */
    char *path;
};

static int setup(void **state)
{
    static const int64_t then[1] = {100};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_budget_values values;
    struct saved *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_true(asprintf(&f->path, "%s/base.json", f->dir.path) > 0);
    parse_ok("[a]\nimage = x\nlimit = overlay image_inodes <= 1\n", &f->budget);
    make_values(then, 1, &values);
    assert_ok(ol_baseline_new(f->path, &f->baseline, &err), &err);
    assert_ok(
        ol_baseline_set(&f->baseline, &f->budget.sections[0], OL_BUDGET_PREDICT, &values, &err),
        &err);
    ol_budget_values_fini(&values);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct saved *f = *state;

    test_dir_remove(&f->dir);
    ol_baseline_fini(&f->baseline);
    ol_budget_fini(&f->budget);
    free(f->path);
    free(f);
    return 0;
}

static void baseline__growth_is_held_exactly(void **state)
{
    static const struct {
        const char *limit;
        int64_t count;
        bool passed;
        double value;
    } cases[] = {
        {"growth overlay image_inodes <= 5%", 105, true, 5},
        {"growth overlay image_inodes <= 5%", 106, false, 6},
        {"growth overlay image_inodes <= 5%", 10, true, -90},
        {"growth overlay image_inodes <= 5", 105, true, 5},
        {"growth overlay image_inodes <= 5", 106, false, 6},
        {"growth overlay image_inodes = 0", 100, true, 0},
        {"growth overlay image_inodes = 0", 99, false, -1},
    };
    struct saved *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_check_result result;

        assert_ok(check_one(cases[i].limit, &cases[i].count, &f->baseline, &result, &err), &err);
        assert_int_equal(result.passed, cases[i].passed);
        assert_true(result.value == cases[i].value); /* whole numbers */
        assert_int_equal(result.other, 100);
    }
}

static void write_text(const struct saved *f, struct ol_buf *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_baseline_text(&f->baseline, text, &err), &err);
    test_write(f->dir.fd, "base.json", ol_buf_str(text));
}

static void baseline__comes_back_from_its_text(void **state)
{
    static const int64_t now[1] = {1};
    struct saved *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_buf struct ol_buf again = OL_BUF_INIT;
    struct ol_baseline read;
    struct ol_budget_values values, then;

    write_text(f, &text);
    assert_ok(ol_baseline_read(f->path, &read, &err), &err);
    assert_ok(ol_baseline_text(&read, &again, &err), &err);
    assert_string_equal(ol_buf_str(&again), ol_buf_str(&text));
    make_values(now, 1, &values);
    assert_ok(
        ol_baseline_get(&read, &f->budget.sections[0], OL_BUDGET_PREDICT, &values, &then, &err),
        &err);
    assert_int_equal(then.drivers[0].metrics[OL_METRIC_PEAK_INODES].value, 100);
    assert_int_equal(then.drivers[0].layers.n_inodes, 2);
    assert_int_equal(then.drivers[0].layers.inodes[1], 100);
    ol_budget_values_fini(&then);
    ol_budget_values_fini(&values);
    ol_baseline_fini(&read);
}

static void baseline__of_another_workload_is_refused(void **state)
{
    static const struct {
        const char *budget, *says;
        enum ol_budget_mode mode;
    } cases[] = {
        {"[a]\nimage = y\nlimit = overlay image_inodes <= 1\n", "had image \"x\" then", 0},
        {"[a]\nimage = x\ncommits = 5\nlimit = overlay image_inodes <= 1\n",
         "had commits 3 then, and has 5 now", 0},
        {"[a]\nimage = x\nchanges = add=1\nlimit = overlay image_inodes <= 1\n", "had changes {",
         0},
        {"[a]\nimage = x\nlimit = overlay image_inodes <= 1\n", "had mode \"predict\" then",
         OL_BUDGET_MEASURE},
        {"[b]\nimage = x\nlimit = overlay image_inodes <= 1\n", "has no section [b]", 0},
    };
    static const int64_t now[1] = {1};
    struct saved *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_budget_values values, then;
        struct ol_budget budget;

        parse_ok(cases[i].budget, &budget);
        make_values(now, 1, &values);
        assert_true(ol_baseline_get(&f->baseline, &budget.sections[0], cases[i].mode, &values,
                                    &then, &err) < 0);
        assert_message(&err, cases[i].says);
        assert_message(&err, f->path);
        ol_budget_values_fini(&values);
        ol_budget_fini(&budget);
    }
}

static void baseline__damaged_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"schema\":\"overlab.baseline/2\",\"workloads\":{}}",
        "{\"schema\":\"overlab.baseline/1\",\"workloads\":[]}",
        "{\"schema\":\"overlab.baseline/1\",\"workloads\":{},\"workloads\":{}}",
    };
    struct saved *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(texts); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_baseline read;

        test_write(f->dir.fd, "base.json", texts[i]);
        assert_int_equal(ol_baseline_read(f->path, &read, &err), -EBADMSG);
        assert_message(&err, "base.json");
    }
}

/* Any byte of a saved one may be lost: it is refused, or says what it said. */
static void baseline__damaged_values_are_refused(void **state)
{
    static const char *const changes[][2] = {
        {"\"image_id\"", "\"image_ie\""},
        {"\"drivers\"", "\"driverz\""},
        {"\"layers\"", "\"layerz\""},
        {"\"metrics\"", "\"metricz\""},
        {"\"image_inodes\": 100", "\"image_inodes\": \"\""},
    };
    static const int64_t now[1] = {1};
    struct saved *f = *state;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    write_text(f, &text);
    for (size_t i = 0; i < OL_ARRAY_LEN(changes); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_buf struct ol_buf broken = OL_BUF_INIT;
        const char *at = strstr(ol_buf_str(&text), changes[i][0]);
        struct ol_budget_values values, then;
        struct ol_baseline read;

        assert_non_null(at);
        assert_int_equal(ol_buf_append(&broken, text.data, (size_t)(at - text.data)), 0);
        assert_int_equal(ol_buf_puts(&broken, changes[i][1]), 0);
        assert_int_equal(ol_buf_puts(&broken, at + strlen(changes[i][0])), 0);
        test_write(f->dir.fd, "base.json", ol_buf_str(&broken));
        assert_ok(ol_baseline_read(f->path, &read, &err), &err);
        make_values(now, 1, &values);
        assert_int_equal(
            ol_baseline_get(&read, &f->budget.sections[0], OL_BUDGET_PREDICT, &values, &then, &err),
            -EBADMSG);
        assert_message(&err, "section [a]");
        ol_budget_values_fini(&values);
        ol_baseline_fini(&read);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget__takes_every_key),
        cmocka_unit_test(budget__names_line_and_reason),
        cmocka_unit_test(budget__refuses_what_inih_would_cut),
        cmocka_unit_test(budget__mode_must_know_the_metric),
        cmocka_unit_test(check__holds_limits_exactly),
        cmocka_unit_test(check__ratio_to_nothing_is_an_error),
        cmocka_unit_test(check__growth_without_a_baseline_is_an_error),
        cmocka_unit_test(check__what_nobody_knows_is_an_error),
        cmocka_unit_test(check__suspects_what_costs_most),
        cmocka_unit_test_setup_teardown(baseline__growth_is_held_exactly, setup, teardown),
        cmocka_unit_test_setup_teardown(baseline__comes_back_from_its_text, setup, teardown),
        cmocka_unit_test_setup_teardown(baseline__of_another_workload_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(baseline__damaged_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(baseline__damaged_values_are_refused, setup, teardown),
    };

    return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
