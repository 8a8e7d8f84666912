/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of made-up measurements, where every number is known: conclusions, and what the forms say
 * about noise, drift and wrong predictions.
 */
#include "support/support.h"

#include "bench/report/verify.h"
#include "common/buf.h"
#include "common/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

enum { ROUNDS = 5, MS = 1000000 };

/* One engine with one layer, one commit and its steps; the commit takes commit_ms[round]. */
static void make_engine(struct ol_bench_engine *engine, const char *name, int64_t commit_inodes,
                        const unsigned *commit_ms)
{
    const struct ol_bench_job job = {.n_layers = 1, .commits = 1, .rounds = ROUNDS};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    engine->ops = &ol_driver_engine_ops;
    engine->name = strdup(name);
    assert_non_null(engine->name);
    assert_ok(ol_bench_steps_make(&job, engine, &err), &err);
    for (size_t i = 0; i < engine->n_steps; i++) {
        struct ol_bench_step *step = &engine->steps[i];
        bool commit = step->op == OL_STEP_COMMIT;

        step->has_prediction = step->op <= OL_STEP_COMMIT;
        step->added.kinds.regular = commit ? commit_inodes : 1;
        step->added.inodes = commit ? commit_inodes : 1;
        step->added.bytes = 4096 * step->added.inodes;
        step->predicted = step->added.kinds;
        step->inodes_min = step->inodes_max = step->added.inodes;
        for (unsigned round = 0; round < ROUNDS; round++)
            step->wall_ns[round] = (uint64_t)(commit ? commit_ms[round] : 1) * MS;
    }
}

static struct ol_bench_step *commit_of(struct ol_bench_engine *engine)
{
    for (size_t i = 0; i < engine->n_steps; i++) {
        if (engine->steps[i].op == OL_STEP_COMMIT)
            return &engine->steps[i];
    }
    fail_msg("no commit");
    return NULL;
}

/* Two engines on a made-up host. */
static void make_report(struct ol_report *report, const unsigned *a_ms, const unsigned *b_ms)
{
    *report = (struct ol_report){
        .host = {.kernel = strdup("6.1"),
                 .machine = strdup("x86_64"),
                 .cpus = 2,
                 .memory_bytes = 1u << 30},
        .backing = {.fs = strdup("ext4"), .path_kind = "directory", .block_size = 4096},
        .view = OL_VIEW_KERNEL,
        .image = {.source = strdup("image.tar"),
                  .format = "rootfs-tar",
                  .id = strdup(OL_EMPTY_DIFF_ID)},
        .workload = {.commits = 1,
                     .changes = OL_CHANGE_MIX_DEFAULT,
                     .change_bytes = 4096,
                     .seed = 1,
                     .rounds = ROUNDS},
        .n_engines = 2,
    };
    report->image.layers = calloc(1, sizeof *report->image.layers);
    report->image.n_layers = 1;
    report->engines = calloc(2, sizeof *report->engines);
    report->order = calloc(2 * ROUNDS, sizeof *report->order);
    assert_non_null(report->image.layers);
    assert_non_null(report->engines);
    assert_non_null(report->order);
    make_engine(&report->engines[0], "overlay", 1450, a_ms);
    make_engine(&report->engines[1], "overlay2", 22, b_ms);
}

static void conclude(struct ol_report *report)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_report_conclude(report, &err), &err);
}

static char *print(const struct ol_report *report, enum ol_report_format format, unsigned width)
{
    const struct ol_report_style style = {.width = width};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_ok(ol_report_print(report, format, &style, out, &err), &err);
    assert_int_equal(fclose(out), 0);
    return text;
}

#define assert_says(text, part)                                                                    \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL)                                                        \
            fail_msg("'%s' is not in:\n%s", (part), (text));                                       \
    } while (0)
#define assert_silent(text, part)                                                                  \
    do {                                                                                           \
        if (strstr((text), (part)) != NULL)                                                        \
            fail_msg("'%s' is in:\n%s", (part), (text));                                           \
    } while (0)

static const unsigned slow[ROUNDS] = {420, 440, 440, 460, 484};
static const unsigned fast[ROUNDS] = {21, 20, 22, 20, 22};

static void report_table__says_who_needs_more(void **state)
{
    struct ol_report report;
    ol_auto_free char *text = NULL;

    (void)state;
    make_report(&report, slow, fast);
    conclude(&report);
    text = print(&report, OL_REPORT_TABLE, 0);
    assert_says(text, "ENGINE    INODES  PREDICTED      DISK     TIME      INTERVAL\n"
                      "overlay    1,450      1,450  5.66 MiB   440 ms    420-484 ms\n"
                      "overlay2      22         22    88 KiB  21.0 ms  20.0-22.0 ms\n");
    assert_says(text, "  inodes  overlay adds 66x as many as overlay2 (1,450 against 22)\n"
                      "  disk    overlay takes 66x as much as overlay2 (5.66 MiB against 88 KiB)\n"
                      "  time    overlay takes 22x as long as overlay2 (20x to 23x)\n");
    assert_says(text, "- all 12 counts that can be predicted");
    assert_silent(text, "MEASURED IS NOT PREDICTED");
    assert_silent(text, "warning:");
    ol_report_fini(&report);
}

static void report_table__no_winner_inside_the_noise(void **state)
{
    static const unsigned noisy[ROUNDS] = {19, 25, 20, 26, 21};
    struct ol_report report;
    ol_auto_free char *text = NULL;

    (void)state;
    make_report(&report, noisy, fast);
    conclude(&report);
    text = print(&report, OL_REPORT_TABLE, 0);
    assert_says(text, "  time    no difference beyond the noise between overlay and overlay2 "
                      "(0.90x to\n          1.30x)\n");
    ol_report_fini(&report);
}

static void report_table__too_few_rounds_name_nobody(void **state)
{
    struct ol_report report;
    ol_auto_free char *text = NULL;

    (void)state;
    make_report(&report, slow, fast);
    report.workload.rounds = 3;
    conclude(&report);
    text = print(&report, OL_REPORT_TABLE, 0);
    assert_says(text, "  time    too few rounds to judge between overlay and overlay2");
    assert_says(text, "- 3 rounds are too few to tell times apart");
    ol_report_fini(&report);
}

static void report__a_wrong_prediction_is_loud(void **state)
{
    static const enum ol_report_format formats[] = {OL_REPORT_TABLE, OL_REPORT_MARKDOWN};
    static const char *const loud[] = {
        "MEASURED IS NOT PREDICTED in 1 step:\n"
        "  overlay2, commit 0: 22 inodes measured, 21 predicted\n",
        "- **measured is not predicted**: overlay2, commit 0: 22 inodes measured, 21 predicted\n"};
    struct ol_report report;

    (void)state;
    make_report(&report, slow, fast);
    commit_of(&report.engines[1])->predicted.regular = 21;
    conclude(&report);
    for (size_t i = 0; i < OL_ARRAY_LEN(formats); i++) {
        ol_auto_free char *text = print(&report, formats[i], 0);

        assert_says(text, loud[i]);
        assert_silent(text, "are as predicted");
    }
    ol_report_fini(&report);
}

static void report__other_kinds_are_wrong_too(void **state)
{
    struct ol_report report;
    ol_auto_free char *text = NULL;

    (void)state;
    make_report(&report, slow, fast);
    commit_of(&report.engines[1])->predicted.regular = 21;
    commit_of(&report.engines[1])->predicted.symlink = 1;
    conclude(&report);
    text = print(&report, OL_REPORT_TABLE, 0);
    assert_says(text, "22 inodes measured, 22 predicted, of other kinds");
    ol_report_fini(&report);
}

static void report__counts_that_vary_name_nobody(void **state)
{
    struct ol_report report;
    ol_auto_free char *text = NULL;

    (void)state;
    make_report(&report, slow, fast);
    commit_of(&report.engines[0])->varies = true;
    commit_of(&report.engines[0])->inodes_min = 1449;
    conclude(&report);
    text = print(&report, OL_REPORT_TABLE, 0);
    assert_says(text,
                "warning: overlay: commit 0 added 1449 to 1450 inodes, not the same in every");
    assert_silent(text, "as many as");
    ol_report_fini(&report);
}

static void report_table__narrow_terminals_lose_no_number(void **state)
{
    struct ol_report report;
    ol_auto_free char *narrow = NULL;
    ol_auto_free char *wide = NULL;

    (void)state;
    make_report(&report, slow, fast);
    conclude(&report);
    narrow = print(&report, OL_REPORT_TABLE, 40);
    wide = print(&report, OL_REPORT_TABLE, 200);
    assert_says(narrow, "20.0-22.0 ms");
    assert_says(wide, "20.0-22.0 ms");
    for (const char *line = wide; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        assert_true(n <= 80);
        line += n + (line[n] == '\n');
    }
    ol_report_fini(&report);
}

static void report_json__numbers_are_those_measured(void **state)
{
    struct ol_report report;
    ol_auto_free char *text = NULL;
    json_t *json;
    const json_t *totals;
    const json_t *verdict;

    (void)state;
    make_report(&report, slow, fast);
    conclude(&report);
    text = print(&report, OL_REPORT_JSON, 0);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    totals = json_object_get(json_array_get(json_object_get(json, "engines"), 0), "totals");
    assert_int_equal(json_integer_value(json_object_get(totals, "commit_inodes")), 1450);
    assert_true(json_real_value(json_object_get(totals, "commit_seconds_median")) == 0.44);
    verdict = json_array_get(json_object_get(json, "verdict"), 2);
    assert_string_equal(json_string_value(json_object_get(verdict, "metric")),
                        "seconds_per_commit");
    assert_true(json_real_value(json_object_get(verdict, "ratio")) == 22.0);
    assert_true(json_real_value(json_object_get(verdict, "low")) == 20.0);
    assert_true(json_real_value(json_object_get(verdict, "high")) == 23.0);
    assert_true(json_is_true(json_object_get(verdict, "clear")));
    json_decref(json);
    ol_report_fini(&report);
}

/* Paths are bytes, JSON is UTF-8: a strange name must not cost the whole report. */
/* The second engine commits as the snapshotter does: 6 ms of metadata, nothing else. */
static void make_snapshot_report(struct ol_report *report)
{
    const unsigned ms[ROUNDS] = {6, 6, 6, 6, 6};
    struct ol_bench_step *step;

    make_report(report, ms, ms);
    step = commit_of(&report->engines[1]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        step->reports[round].times.metadata_ns = 6 * MS;
        step->reports[round].metadata = (struct ol_engine_metadata){2 * MS, 1 * MS, 3 * MS};
    }
    conclude(report);
}

static void report_table__tells_what_metadata_is_made_of(void **state)
{
    struct ol_report report;
    char *text;

    (void)state;
    make_snapshot_report(&report);
    text = print(&report, OL_REPORT_TABLE, 80);
    assert_says(text, "COUNT UPPER  TRANSACTION  WRITE AND SYNC");
    assert_says(text, "overlay2   6.00 ms      2.00 ms      1.00 ms         3.00 ms");
    assert_says(text,
                "overlay2       -     -      -   6.00 ms"); /* it has no create, diff, apply */
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    free(text);
    text = print(&report, OL_REPORT_MARKDOWN, 0);
    assert_says(text, "| overlay2 | 6.00 ms | 2.00 ms | 1.00 ms | 3.00 ms |");
    free(text);
    text = print(&report, OL_REPORT_CSV, 0);
    assert_says(text, "metadata_bytes,metadata_scan,metadata_transaction,metadata_sync,layer");
    assert_says(text, ",0.002000000,0.001000000,0.003000000,,,\n");
    assert_says(text, ",0,0,,,,,,\n"); /* the other one does not tell */
    free(text);
    ol_report_fini(&report);
}

static void report_json__tells_what_metadata_is_made_of(void **state)
{
    static const char *const keys[] = {"metadata_scan", "metadata_transaction", "metadata_sync"};
    struct ol_report report;
    json_t *json;
    char *text;

    (void)state;
    make_snapshot_report(&report);
    text = print(&report, OL_REPORT_JSON, 0);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    for (size_t engine = 0; engine < 2; engine++) {
        json_t *steps = json_object_get(json_array_get(json_object_get(json, "engines"), engine),
                                        "steps");
        const json_t *step;
        size_t i;

        json_array_foreach(steps, i, step)
        {
            const json_t *parts = json_object_get(step, "parts");

            if (strcmp(json_string_value(json_object_get(step, "op")), "commit") != 0)
                continue;
            for (size_t k = 0; k < OL_ARRAY_LEN(keys); k++)
                assert_int_equal(json_array_size(json_object_get(parts, keys[k])),
                                 engine == 1 ? ROUNDS : 0);
        }
    }
    json_decref(json);
    free(text);
    ol_report_fini(&report);
}

static void report_json__strange_source_names(void **state)
{
    struct ol_report report;
    ol_auto_free char *text = NULL;

    (void)state;
    make_report(&report, slow, fast);
    free(report.image.source);
    report.image.source = strdup("im\xff\"age");
    assert_non_null(report.image.source);
    conclude(&report);
    text = print(&report, OL_REPORT_JSON, 0);
    assert_says(text, "\"source\": \"im?\\\"age\"");
    ol_report_fini(&report);
}

static void report__a_full_device_is_seen(void **state)
{
    const struct ol_report_style style = {0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_report report;
    FILE *full = fopen("/dev/full", "we");

    (void)state;
    assert_non_null(full);
    make_report(&report, slow, fast);
    conclude(&report);
    assert_ok(ol_report_print(&report, OL_REPORT_JSON, &style, full, &err), &err);
    assert_true(fflush(full) != 0 || ferror(full) != 0);
    (void)fclose(full);
    ol_report_fini(&report);
}

/* Lines of a verification, one after the other. */
static void keep_line(const char *text, void *data)
{
    assert_int_equal(ol_buf_printf(data, "%s\n", text), 0);
}

static void predict_all(struct ol_report *report)
{
    for (size_t e = 0; e < report->n_engines; e++) {
        for (size_t i = 0; i < report->engines[e].n_steps; i++)
            report->engines[e].steps[i].has_prediction = true;
    }
}

static void verify__holds_when_every_kind_does(void **state)
{
    static const unsigned times[ROUNDS] = {1, 1, 1, 1, 1};
    ol_auto_buf struct ol_buf lines = OL_BUF_INIT;
    struct ol_verification found;
    struct ol_report report;

    (void)state;
    make_report(&report, times, times);
    predict_all(&report);
    assert_int_equal(ol_report_verify(&report, keep_line, &lines, &found), 0);
    assert_true(ol_verification_holds(&found));
    assert_int_equal(found.engines, 2);
    assert_int_equal(found.steps, report.engines[0].n_steps + report.engines[1].n_steps);
    assert_int_equal(lines.len, 0);
    ol_report_fini(&report);
}

static void verify__names_engine_step_kind_and_numbers(void **state)
{
    static const unsigned times[ROUNDS] = {1, 1, 1, 1, 1};
    ol_auto_buf struct ol_buf lines = OL_BUF_INIT;
    struct ol_verification found;
    struct ol_bench_step *commit;
    struct ol_report report;

    (void)state;
    make_report(&report, times, times);
    predict_all(&report);
    commit = commit_of(&report.engines[1]);
    commit->predicted.regular = 21; /* the sum is the same */
    commit->predicted.symlink = 1;
    report.engines[0].steps[0].has_prediction = false;
    report.engines[0].steps[1].varies = true;
    report.engines[0].steps[1].inodes_max = 5;
    assert_int_equal(ol_report_verify(&report, keep_line, &lines, &found), 0);
    assert_false(ol_verification_holds(&found));
    assert_int_equal(found.differences, 2);
    assert_int_equal(found.unpredicted, 1);
    assert_string_equal(ol_buf_str(&lines),
                        "overlay, layer.apply 0: no prediction\n"
                        "overlay, container.create 0: 1 to 5 inodes measured over the rounds, 1 "
                        "predicted\n"
                        "overlay2, commit 0: 22 regular inodes measured, 21 predicted\n"
                        "overlay2, commit 0: 0 symlink inodes measured, 1 predicted\n");
    ol_report_fini(&report);
}

static void verify__an_engine_without_a_law_is_named(void **state)
{
    static const unsigned times[ROUNDS] = {1, 1, 1, 1, 1};
    ol_auto_buf struct ol_buf lines = OL_BUF_INIT;
    struct ol_verification found;
    struct ol_report report;

    (void)state;
    make_report(&report, times, times);
    predict_all(&report);
    free(report.engines[0].name);
    report.engines[0].name = strdup("containers-storage");
    commit_of(&report.engines[0])->predicted.regular = 1; /* says nothing */
    free(report.engines[1].name);
    report.engines[1].name = strdup("docker/overlay2");
    commit_of(&report.engines[1])->predicted.regular = 20;
    assert_int_equal(ol_report_verify(&report, keep_line, &lines, &found), 0);
    assert_int_equal(found.lawless, 1);
    assert_int_equal(found.differences, 1);
    assert_says(ol_buf_str(&lines), "containers-storage: no law of the oracle describes it, so its "
                                    "9 steps are not verified\n");
    assert_says(ol_buf_str(&lines),
                "docker/overlay2, commit 0: 22 regular inodes measured, 20 predicted\n");
    ol_report_fini(&report);
}

static void order__is_a_permutation_in_each_round(void **state)
{
    const struct ol_bench_job job = {.rounds = 50, .warmup = true, .seed = 3};
    ol_auto_free unsigned *order = ol_bench_order(&job, 4);
    ol_auto_free unsigned *again = ol_bench_order(&job, 4);
    unsigned first_seen = 0;

    (void)state;
    assert_non_null(order);
    assert_non_null(again);
    assert_memory_equal(order, again, 51 * 4 * sizeof *order);
    for (size_t row = 0; row < 51; row++) {
        unsigned seen = 0;

        for (size_t i = 0; i < 4; i++)
            seen |= 1u << order[row * 4 + i];
        assert_int_equal(seen, 15);
        first_seen |= 1u << order[row * 4];
    }
    assert_int_equal(first_seen, 15); /* each engine begins a round some time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_table__says_who_needs_more),
        cmocka_unit_test(report_table__no_winner_inside_the_noise),
        cmocka_unit_test(report_table__too_few_rounds_name_nobody),
        cmocka_unit_test(report__a_wrong_prediction_is_loud),
        cmocka_unit_test(report__other_kinds_are_wrong_too),
        cmocka_unit_test(report__counts_that_vary_name_nobody),
        cmocka_unit_test(report_table__narrow_terminals_lose_no_number),
        cmocka_unit_test(report_json__numbers_are_those_measured),
        cmocka_unit_test(report_table__tells_what_metadata_is_made_of),
        cmocka_unit_test(report_json__tells_what_metadata_is_made_of),
        cmocka_unit_test(report_json__strange_source_names),
        cmocka_unit_test(report__a_full_device_is_seen),
        cmocka_unit_test(verify__holds_when_every_kind_does),
        cmocka_unit_test(verify__names_engine_step_kind_and_numbers),
        cmocka_unit_test(verify__an_engine_without_a_law_is_named),
        cmocka_unit_test(order__is_a_permutation_in_each_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
