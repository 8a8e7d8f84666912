/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report as JSON, "overlab.compare/1": one object, keys in a fixed order. Keys may be added,
 * never changed in meaning. Times in seconds, sizes in bytes, counts as integers. The same input
 * and seed give the same text but for what was timed.
 */
#include "bench/report/internal.h"
#include "bench/report/json_parts.h"

#include "common/cleanup.h"

#include "config.h"

#include <errno.h>
#include <jansson.h>

static json_t *host_json(const struct ol_report_host *host, int *r)
{
    json_t *json = json_object();

    ol_json_put(json, "kernel", ol_json_text(host->kernel), r);
    ol_json_put(json, "cpus", ol_json_count(host->cpus), r);
    ol_json_put(json, "memory_bytes", ol_json_count(host->memory_bytes), r);
    ol_json_put(json, "machine", ol_json_text(host->machine), r);
    return json;
}

static json_t *backing_json(const struct ol_report_backing *backing, int *r)
{
    json_t *json = json_object();

    ol_json_put(json, "fs", ol_json_text(backing->fs), r);
    ol_json_put(json, "path_kind", ol_json_text(backing->path_kind), r);
    ol_json_put(json, "block_size", ol_json_count(backing->block_size), r);
    ol_json_put(json, "inode_size",
                backing->inode_size > 0 ? ol_json_count(backing->inode_size) : json_null(), r);
    ol_json_put(json, "dedicated", json_boolean(backing->dedicated), r);
    ol_json_put(json, "mount_options",
                backing->mount_options != NULL ? ol_json_text(backing->mount_options) : json_null(),
                r);
    return json;
}

/* The order in which engines ran, round by round (the warm-up first), by name. */
static json_t *order_json(const struct ol_report *report, int *r)
{
    size_t rows = (size_t)report->workload.rounds + (report->workload.warmup ? 1 : 0);
    size_t n = report->n_engines + report->n_hidden;
    json_t *json = json_array();

    for (size_t row = 0; row < rows; row++) {
        json_t *names = json_array();

        ol_json_push(json, names, r);
        for (size_t i = 0; i < n; i++)
            ol_json_push(names, ol_json_text(report->engines[report->order[row * n + i]].name), r);
    }
    return json;
}

enum part {
    PART_CREATE,
    PART_DIFF,
    PART_APPLY,
    PART_METADATA,
    PART_SCAN,
    PART_TRANSACTION,
    PART_SYNC,
    PARTS
};

static json_t *part_json(const struct ol_bench_step *step, unsigned rounds, enum part part, int *r)
{
    json_t *json = json_array();

    for (unsigned i = 0; i < rounds; i++) {
        const struct ol_store_times *times = &step->reports[i].times;
        const struct ol_engine_metadata *metadata = &step->reports[i].metadata;
        const uint64_t ns[PARTS] = {
            [PART_CREATE] = times->create_ns, [PART_DIFF] = times->diff_ns,
            [PART_APPLY] = times->apply_ns,   [PART_METADATA] = times->metadata_ns,
            [PART_SCAN] = metadata->scan_ns,  [PART_TRANSACTION] = metadata->transaction_ns,
            [PART_SYNC] = metadata->sync_ns,
        };
        ol_json_push(json, json_real((double)ns[part] / 1e9), r);
    }
    return json;
}

static json_t *parts_json(const struct ol_bench_step *step, unsigned rounds, int *r)
{
    json_t *json = json_object();

    ol_json_put(json, "create", part_json(step, rounds, PART_CREATE, r), r);
    if (step->op == OL_STEP_COMMIT)
        ol_json_put(json, "diff", part_json(step, rounds, PART_DIFF, r), r);
    ol_json_put(json, "apply", part_json(step, rounds, PART_APPLY, r), r);
    ol_json_put(json, "metadata", part_json(step, rounds, PART_METADATA, r), r);
    if (step->reports[0].metadata.sync_ns == 0)
        return json; /* not told apart */
    ol_json_put(json, "metadata_scan", part_json(step, rounds, PART_SCAN, r), r);
    ol_json_put(json, "metadata_transaction", part_json(step, rounds, PART_TRANSACTION, r), r);
    ol_json_put(json, "metadata_sync", part_json(step, rounds, PART_SYNC, r), r);
    return json;
}

static json_t *sleep_json(const struct ol_bench_step *step, unsigned rounds, int *r)
{
    json_t *json = json_array();

    for (unsigned i = 0; i < rounds; i++)
        ol_json_push(json, json_real((double)step->reports[i].avoided_sleep_ns / 1e9), r);
    return json;
}

static json_t *reasons_json(const struct ol_replay_verdict *verdict, int *r)
{
    json_t *json = json_array();

    for (unsigned kind = 0; kind < OL_REASONS; kind++) {
        const struct ol_replay_reason *reason = &verdict->reasons[kind];
        json_t *item;

        if (reason->count == 0)
            continue;
        item = json_object();
        ol_json_push(json, item, r);
        ol_json_put(item, "reason",
                    json_string(ol_replay_reason_name((enum ol_replay_reason_kind)kind)), r);
        ol_json_put(item, "count", ol_json_count(reason->count), r);
        ol_json_put(item, "example",
                    reason->example != NULL ? ol_json_text(reason->example) : json_null(), r);
    }
    return json;
}

static json_t *replayed_json(const struct ol_replay_verdict *verdict, int *r)
{
    json_t *json = json_object();

    ol_json_put(json, "same_diff_id", json_boolean(verdict->same_diff), r);
    ol_json_put(json, "same_tree",
                verdict->tree_known ? json_boolean(verdict->same_tree) : json_null(), r);
    ol_json_put(json, "diff_id", ol_json_text(verdict->diff_id), r);
    ol_json_put(json, "reasons", reasons_json(verdict, r), r);
    return json;
}

/* Which layer a container's step is about, and how it came out. */
static void put_replay(json_t *json, const struct ol_report *report, size_t engine,
                       const struct ol_bench_step *step, int *r)
{
    const struct ol_replay_verdict *verdict;
    const struct ol_image_step *build;

    if (!report->workload.replay || step->op == OL_STEP_LAYER_APPLY ||
        step->op == OL_STEP_IMAGE_REMOVE)
        return;
    verdict = ol_report_verdict_on(report, engine, step->index);
    build = ol_image_history_of_layer(&report->history, (size_t)step->index + 1);
    ol_json_put(json, "layer", ol_json_count((uint64_t)step->index + 1), r);
    ol_json_put(json, "created_by", ol_json_text(build != NULL ? build->created_by : ""), r);
    if (step->op == OL_STEP_COMMIT)
        ol_json_put(json, "replayed",
                    verdict != NULL && verdict->checked ? replayed_json(verdict, r) : json_null(),
                    r);
}

static json_t *step_json(const struct ol_report *report, size_t engine,
                         const struct ol_bench_step *step, int *r)
{
    bool tells_parts = ol_engine_tells_parts(&report->engines[engine]);
    unsigned rounds = report->workload.rounds;
    json_t *json = json_object();
    json_t *seconds = json_array();

    ol_json_put(json, "op", json_string(ol_step_op_name(step->op)), r);
    ol_json_put(json, "index", ol_json_count(step->index), r);
    ol_json_put(json, "inodes", json_integer(step->added.inodes), r);
    ol_json_put(json, "predicted_inodes",
                step->has_prediction ? json_integer(ol_inode_kinds_total(&step->predicted))
                                     : json_null(),
                r);
    ol_json_put(json, "bytes", json_integer(step->added.bytes), r);
    ol_json_put(json, "metadata_inodes", json_integer(step->added.metadata_inodes), r);
    ol_json_put(json, "metadata_bytes", json_integer(step->added.metadata_bytes), r);
    ol_json_put(json, "kinds", ol_report_kinds_json(&step->added.kinds, r), r);
    if (step->has_prediction)
        ol_json_put(json, "predicted_kinds", ol_report_kinds_json(&step->predicted, r), r);
    if (step->varies) {
        ol_json_put(json, "inodes_min", json_integer(step->inodes_min), r);
        ol_json_put(json, "inodes_max", json_integer(step->inodes_max), r);
    }
    ol_json_put(json, "seconds", seconds, r);
    for (unsigned i = 0; i < rounds; i++)
        ol_json_push(seconds, json_real((double)step->wall_ns[i] / 1e9), r);
    if (tells_parts && (step->op == OL_STEP_LAYER_APPLY || step->op == OL_STEP_COMMIT))
        ol_json_put(json, "parts", parts_json(step, rounds, r), r);
    if (tells_parts && step->op == OL_STEP_COMMIT)
        ol_json_put(json, "avoided_sleep_seconds", sleep_json(step, rounds, r), r);
    if (report->workload.warmup)
        ol_json_put(json, "warmup_seconds", json_real((double)step->warmup_ns / 1e9), r);
    put_replay(json, report, engine, step, r);
    return json;
}

static json_t *summary_json(const struct ol_summary *sum, int *r)
{
    json_t *json = json_object();

    ol_json_put(json, "median", json_real(sum->median), r);
    ol_json_put(json, "low", json_real(sum->low), r);
    ol_json_put(json, "high", json_real(sum->high), r);
    ol_json_put(json, "confidence", json_real(sum->confidence), r);
    ol_json_put(json, "min", json_real(sum->min), r);
    ol_json_put(json, "max", json_real(sum->max), r);
    ol_json_put(json, "mad", json_real(sum->mad), r);
    return json;
}

/* ChainIDs of the images in the order they were made: the imported one, then each commit's. */
static json_t *images_json(const struct ol_report *report, const struct ol_bench_engine *engine,
                           int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < engine->n_steps; i++) {
        const struct ol_bench_step *step = &engine->steps[i];
        bool last_layer = step->op == OL_STEP_LAYER_APPLY &&
                          step->index + 1 == ol_report_imported(report);

        if (last_layer || step->op == OL_STEP_COMMIT)
            ol_json_push(json, ol_json_text(step->reports[report->workload.rounds - 1].id), r);
    }
    return json;
}

static json_t *totals_json(const struct ol_report *report, size_t index, int *r)
{
    const struct ol_report_engine *found = &report->found[index];
    const struct ol_bench_engine *engine = &report->engines[index];
    const struct ol_report_phase *commit = &found->phases[OL_PHASE_COMMIT];
    json_t *json = json_object();

    ol_json_put(json, "image_inodes", json_integer(found->phases[OL_PHASE_IMPORT].inodes), r);
    ol_json_put(json, "image_bytes", json_integer(found->phases[OL_PHASE_IMPORT].bytes), r);
    ol_json_put(json, "commit_inodes", json_integer(commit->inodes), r);
    ol_json_put(json, "commit_bytes", json_integer(commit->bytes), r);
    ol_json_put(json, "commit_seconds_median", json_real(commit->seconds.median), r);
    ol_json_put(json, "commit_seconds", summary_json(&commit->seconds, r), r);
    ol_json_put(json, "commit_avoided_sleep_seconds", json_real(found->avoided_sleep), r);
    ol_json_put(json, "peak_inodes", json_integer(engine->peak_inodes), r);
    ol_json_put(json, "left_inodes", json_integer(engine->left_inodes), r);
    ol_json_put(json, "unpredicted_steps", ol_json_count(found->wrong_steps), r);
    ol_json_put(json, "squashed_owners", ol_json_count(found->squashed_owners), r);
    ol_json_put(json, "skipped_devices", ol_json_count(found->skipped_devices), r);
    ol_json_put(json, "images", images_json(report, engine, r), r);
    return json;
}

static json_t *engine_json(const struct ol_report *report, size_t index, int *r)
{
    const struct ol_bench_engine *engine = &report->engines[index];
    json_t *json = json_object();
    json_t *steps = json_array();

    ol_json_put(json, "name", ol_json_text(engine->name), r);
    ol_json_put(json, "kind", ol_json_text(engine->ops->kind), r);
    ol_json_put(json, "version",
                ol_json_text(engine->version[0] != '\0' ? engine->version : OL_VERSION), r);
    ol_json_put(json, "steps", steps, r);
    for (size_t i = 0; i < engine->n_steps; i++)
        ol_json_push(steps, step_json(report, index, &engine->steps[i], r), r);
    ol_json_put(json, "totals", totals_json(report, index, r), r);
    return json;
}

static json_t *left_out_json(const struct ol_report *report, int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < report->n_left_out; i++) {
        const struct ol_report_left_out *engine = &report->left_out[i];
        json_t *item = json_object();

        ol_json_push(json, item, r);
        ol_json_put(item, "name", ol_json_text(engine->name), r);
        ol_json_put(item, "possible", json_boolean(!engine->impossible), r);
        ol_json_put(item, "reason", ol_json_text(engine->reason), r);
    }
    return json;
}

/* What a commit costs on the driver that does nothing: harness, store and metadata. */
static json_t *harness_json(const struct ol_report *report, int *r)
{
    size_t null = report->n_engines;
    json_t *json = json_object();

    ol_json_put(json, "engine", ol_json_text(report->engines[null].name), r);
    ol_json_put(json, "commit_seconds",
                summary_json(&report->found[null].phases[OL_PHASE_COMMIT].seconds, r), r);
    return json;
}

static json_t *report_json(const struct ol_report *report, int *r)
{
    json_t *json = json_object();
    json_t *engines = json_array();
    json_t *verdicts = json_array();

    ol_json_put(json, "schema", json_string("overlab.compare/1"), r);
    ol_json_put(json, "overlab", json_string(OL_VERSION), r);
    ol_json_put(json, "host", host_json(&report->host, r), r);
    ol_json_put(json, "backing", backing_json(&report->backing, r), r);
    ol_json_put(json, "view", json_string(ol_view_name(report->view)), r);
    ol_json_put(json, "image", ol_report_image_json(report, report->workload.replay, r), r);
    ol_json_put(json, "workload", ol_report_workload_json(report, r), r);
    ol_json_put(json, "order", order_json(report, r), r);
    ol_json_put(json, "engines", engines, r);
    for (size_t i = 0; i < report->n_engines; i++)
        ol_json_push(engines, engine_json(report, i, r), r);
    ol_json_put(json, "left_out", left_out_json(report, r), r);
    ol_json_put(json, "harness", report->n_hidden > 0 ? harness_json(report, r) : json_null(), r);
    ol_json_put(json, "verdict", verdicts, r);
    for (size_t i = 0; i < report->n_verdicts; i++)
        ol_json_push(verdicts, ol_report_verdict_json(report, &report->verdicts[i], r), r);
    ol_json_put(json, "notes", ol_report_notes_json(report, r), r);
    return json;
}

int ol_report_print_json(const struct ol_report *report, FILE *out)
{
    int r = 0;
    ol_auto_json_t json_t *json = report_json(report, &r);

    return r < 0 ? r : ol_json_print(json, out);
}
