/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report as JSON, "overlab.compare/1": one object, keys in a fixed order. Keys may be added,
 * never changed in meaning. Times in seconds, sizes in bytes, counts as integers. The same input
 * and seed give the same text but for what was timed.
 */
#include "bench/report/internal.h"

#include "common/cleanup.h"

#include "config.h"

#include <errno.h>
#include <jansson.h>

static void drop(json_t **json)
{
    json_decref(*json);
}
#define auto_json __attribute__((cleanup(drop)))

/* Put a new reference under a key. Without memory value is NULL, and the failure is kept in *r. */
static void put(json_t *object, const char *key, json_t *value, int *r)
{
    if (value == NULL || json_object_set_new(object, key, value) < 0)
        *r = -ENOMEM;
}

static void push(json_t *array, json_t *value, int *r)
{
    if (value == NULL || json_array_append_new(array, value) < 0)
        *r = -ENOMEM;
}

/* Texts from outside (paths) need not be UTF-8: other bytes become "?" rather than an error. */
static json_t *text_json(const char *text)
{
    ol_auto_free char *copy = NULL;
    json_t *json = json_string(text);

    if (json != NULL)
        return json;
    copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    }
    return json_string(copy);
}

static json_t *count_json(uint64_t count)
{
    return json_integer((json_int_t)count);
}

static json_t *host_json(const struct ol_report_host *host, int *r)
{
    json_t *json = json_object();

    put(json, "kernel", text_json(host->kernel), r);
    put(json, "cpus", count_json(host->cpus), r);
    put(json, "memory_bytes", count_json(host->memory_bytes), r);
    put(json, "machine", text_json(host->machine), r);
    return json;
}

static json_t *backing_json(const struct ol_report_backing *backing, int *r)
{
    json_t *json = json_object();

    put(json, "fs", text_json(backing->fs), r);
    put(json, "path_kind", text_json(backing->path_kind), r);
    put(json, "block_size", count_json(backing->block_size), r);
    put(json, "inode_size", backing->inode_size > 0 ? count_json(backing->inode_size) : json_null(),
        r);
    put(json, "dedicated", json_boolean(backing->dedicated), r);
    put(json, "mount_options",
        backing->mount_options != NULL ? text_json(backing->mount_options) : json_null(), r);
    return json;
}

static json_t *history_json(const struct ol_image_history *history, int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < history->count; i++) {
        const struct ol_image_step *step = &history->steps[i];
        json_t *item = json_object();

        push(json, item, r);
        put(item, "created", text_json(step->created), r);
        put(item, "created_by", text_json(step->created_by), r);
        put(item, "comment", text_json(step->comment), r);
        put(item, "layer", step->layer >= 0 ? json_integer(step->layer) : json_null(), r);
    }
    return json;
}

static json_t *image_json(const struct ol_report *report, int *r)
{
    const struct ol_report_image *image = &report->image;
    json_t *json = json_object();
    json_t *layers = json_array();

    put(json, "source", text_json(image->source), r);
    put(json, "format", text_json(image->format), r);
    put(json, "id", text_json(image->id), r);
    put(json, "layers", layers, r);
    for (size_t i = 0; i < image->n_layers; i++) {
        json_t *layer = json_object();

        push(layers, layer, r);
        put(layer, "diff_id", text_json(image->layers[i].diff_id), r);
        put(layer, "entries", count_json(image->layers[i].entries), r);
        put(layer, "bytes", count_json(image->layers[i].bytes), r);
    }
    if (report->workload.replay)
        put(json, "history", history_json(&report->history, r), r);
    return json;
}

static json_t *workload_json(const struct ol_report *report, int *r)
{
    const struct ol_report_workload *work = &report->workload;
    json_t *json = json_object();
    json_t *changes = json_object();

    put(json, "commits", count_json(work->commits), r);
    put(json, "changes", changes, r);
    put(changes, "add", count_json(work->changes.add), r);
    put(changes, "modify", count_json(work->changes.modify), r);
    put(changes, "delete", count_json(work->changes.remove), r);
    put(changes, "rename", count_json(work->changes.rename), r);
    put(changes, "chmod", count_json(work->changes.chmod), r);
    put(changes, "mkdir", count_json(work->changes.mkdir), r);
    put(changes, "symlink", count_json(work->changes.symlink), r);
    put(changes, "link", count_json(work->changes.link), r);
    put(changes, "replace", count_json(work->changes.replace), r);
    put(json, "change_bytes", count_json(work->change_bytes), r);
    put(json, "seed", count_json(work->seed), r);
    put(json, "replay", json_boolean(work->replay), r);
    put(json, "rounds", count_json(work->rounds), r);
    put(json, "warmup", json_boolean(work->warmup), r);
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

        push(json, names, r);
        for (size_t i = 0; i < n; i++)
            push(names, text_json(report->engines[report->order[row * n + i]].name), r);
    }
    return json;
}

static json_t *kinds_json(const struct ol_inode_kinds *kinds, int *r)
{
    json_t *json = json_object();

    put(json, "directory", json_integer(kinds->directory), r);
    put(json, "regular", json_integer(kinds->regular), r);
    put(json, "symlink", json_integer(kinds->symlink), r);
    put(json, "device", json_integer(kinds->device), r);
    put(json, "fifo", json_integer(kinds->fifo), r);
    put(json, "whiteout", json_integer(kinds->whiteout), r);
    put(json, "bookkeeping", json_integer(kinds->bookkeeping), r);
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
        push(json, json_real((double)ns[part] / 1e9), r);
    }
    return json;
}

static json_t *parts_json(const struct ol_bench_step *step, unsigned rounds, int *r)
{
    json_t *json = json_object();

    put(json, "create", part_json(step, rounds, PART_CREATE, r), r);
    if (step->op == OL_STEP_COMMIT)
        put(json, "diff", part_json(step, rounds, PART_DIFF, r), r);
    put(json, "apply", part_json(step, rounds, PART_APPLY, r), r);
    put(json, "metadata", part_json(step, rounds, PART_METADATA, r), r);
    if (step->reports[0].metadata.sync_ns == 0)
        return json; /* not told apart */
    put(json, "metadata_scan", part_json(step, rounds, PART_SCAN, r), r);
    put(json, "metadata_transaction", part_json(step, rounds, PART_TRANSACTION, r), r);
    put(json, "metadata_sync", part_json(step, rounds, PART_SYNC, r), r);
    return json;
}

static json_t *sleep_json(const struct ol_bench_step *step, unsigned rounds, int *r)
{
    json_t *json = json_array();

    for (unsigned i = 0; i < rounds; i++)
        push(json, json_real((double)step->reports[i].avoided_sleep_ns / 1e9), r);
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
        push(json, item, r);
        put(item, "reason", json_string(ol_replay_reason_name((enum ol_replay_reason_kind)kind)),
            r);
        put(item, "count", count_json(reason->count), r);
        put(item, "example", reason->example != NULL ? text_json(reason->example) : json_null(), r);
    }
    return json;
}

static json_t *replayed_json(const struct ol_replay_verdict *verdict, int *r)
{
    json_t *json = json_object();

    put(json, "same_diff_id", json_boolean(verdict->same_diff), r);
    put(json, "same_tree", verdict->tree_known ? json_boolean(verdict->same_tree) : json_null(), r);
    put(json, "diff_id", text_json(verdict->diff_id), r);
    put(json, "reasons", reasons_json(verdict, r), r);
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
    put(json, "layer", count_json((uint64_t)step->index + 1), r);
    put(json, "created_by", text_json(build != NULL ? build->created_by : ""), r);
    if (step->op == OL_STEP_COMMIT)
        put(json, "replayed",
            verdict != NULL && verdict->checked ? replayed_json(verdict, r) : json_null(), r);
}

static json_t *step_json(const struct ol_report *report, size_t engine,
                         const struct ol_bench_step *step, int *r)
{
    bool tells_parts = ol_engine_tells_parts(&report->engines[engine]);
    unsigned rounds = report->workload.rounds;
    json_t *json = json_object();
    json_t *seconds = json_array();

    put(json, "op", json_string(ol_step_op_name(step->op)), r);
    put(json, "index", count_json(step->index), r);
    put(json, "inodes", json_integer(step->added.inodes), r);
    put(json, "predicted_inodes",
        step->has_prediction ? json_integer(ol_inode_kinds_total(&step->predicted)) : json_null(),
        r);
    put(json, "bytes", json_integer(step->added.bytes), r);
    put(json, "metadata_inodes", json_integer(step->added.metadata_inodes), r);
    put(json, "metadata_bytes", json_integer(step->added.metadata_bytes), r);
    put(json, "kinds", kinds_json(&step->added.kinds, r), r);
    if (step->has_prediction)
        put(json, "predicted_kinds", kinds_json(&step->predicted, r), r);
    if (step->varies) {
        put(json, "inodes_min", json_integer(step->inodes_min), r);
        put(json, "inodes_max", json_integer(step->inodes_max), r);
    }
    put(json, "seconds", seconds, r);
    for (unsigned i = 0; i < rounds; i++)
        push(seconds, json_real((double)step->wall_ns[i] / 1e9), r);
    if (tells_parts && (step->op == OL_STEP_LAYER_APPLY || step->op == OL_STEP_COMMIT))
        put(json, "parts", parts_json(step, rounds, r), r);
    if (tells_parts && step->op == OL_STEP_COMMIT)
        put(json, "avoided_sleep_seconds", sleep_json(step, rounds, r), r);
    if (report->workload.warmup)
        put(json, "warmup_seconds", json_real((double)step->warmup_ns / 1e9), r);
    put_replay(json, report, engine, step, r);
    return json;
}

static json_t *summary_json(const struct ol_summary *sum, int *r)
{
    json_t *json = json_object();

    put(json, "median", json_real(sum->median), r);
    put(json, "low", json_real(sum->low), r);
    put(json, "high", json_real(sum->high), r);
    put(json, "confidence", json_real(sum->confidence), r);
    put(json, "min", json_real(sum->min), r);
    put(json, "max", json_real(sum->max), r);
    put(json, "mad", json_real(sum->mad), r);
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
            push(json, text_json(step->reports[report->workload.rounds - 1].id), r);
    }
    return json;
}

static json_t *totals_json(const struct ol_report *report, size_t index, int *r)
{
    const struct ol_report_engine *found = &report->found[index];
    const struct ol_bench_engine *engine = &report->engines[index];
    const struct ol_report_phase *commit = &found->phases[OL_PHASE_COMMIT];
    json_t *json = json_object();

    put(json, "image_inodes", json_integer(found->phases[OL_PHASE_IMPORT].inodes), r);
    put(json, "image_bytes", json_integer(found->phases[OL_PHASE_IMPORT].bytes), r);
    put(json, "commit_inodes", json_integer(commit->inodes), r);
    put(json, "commit_bytes", json_integer(commit->bytes), r);
    put(json, "commit_seconds_median", json_real(commit->seconds.median), r);
    put(json, "commit_seconds", summary_json(&commit->seconds, r), r);
    put(json, "commit_avoided_sleep_seconds", json_real(found->avoided_sleep), r);
    put(json, "peak_inodes", json_integer(engine->peak_inodes), r);
    put(json, "left_inodes", json_integer(engine->left_inodes), r);
    put(json, "unpredicted_steps", count_json(found->wrong_steps), r);
    put(json, "squashed_owners", count_json(found->squashed_owners), r);
    put(json, "skipped_devices", count_json(found->skipped_devices), r);
    put(json, "images", images_json(report, engine, r), r);
    return json;
}

static json_t *engine_json(const struct ol_report *report, size_t index, int *r)
{
    const struct ol_bench_engine *engine = &report->engines[index];
    json_t *json = json_object();
    json_t *steps = json_array();

    put(json, "name", text_json(engine->name), r);
    put(json, "kind", text_json(engine->ops->kind), r);
    put(json, "version", text_json(engine->version[0] != '\0' ? engine->version : OL_VERSION), r);
    put(json, "steps", steps, r);
    for (size_t i = 0; i < engine->n_steps; i++)
        push(steps, step_json(report, index, &engine->steps[i], r), r);
    put(json, "totals", totals_json(report, index, r), r);
    return json;
}

static json_t *left_out_json(const struct ol_report *report, int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < report->n_left_out; i++) {
        const struct ol_report_left_out *engine = &report->left_out[i];
        json_t *item = json_object();

        push(json, item, r);
        put(item, "name", text_json(engine->name), r);
        put(item, "possible", json_boolean(!engine->impossible), r);
        put(item, "reason", text_json(engine->reason), r);
    }
    return json;
}

static json_t *verdict_json(const struct ol_report *report, const struct ol_report_verdict *verdict,
                            int *r)
{
    json_t *json = json_object();

    put(json, "metric", json_string(verdict->metric), r);
    put(json, "of", text_json(report->engines[verdict->of].name), r);
    put(json, "over", text_json(report->engines[verdict->over].name), r);
    put(json, "ratio", json_real(verdict->ratio), r);
    put(json, "low", json_real(verdict->low), r);
    put(json, "high", json_real(verdict->high), r);
    put(json, "confidence", json_real(verdict->confidence), r);
    put(json, "clear", json_boolean(verdict->clear), r);
    return json;
}

static json_t *notes_json(const struct ol_report *report, int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < report->n_notes; i++) {
        json_t *note = json_object();

        push(json, note, r);
        put(note, "warning", json_boolean(report->notes[i].warning), r);
        put(note, "text", text_json(report->notes[i].text), r);
    }
    return json;
}

/* What a commit costs on the driver that does nothing: harness, store and metadata. */
static json_t *harness_json(const struct ol_report *report, int *r)
{
    size_t null = report->n_engines;
    json_t *json = json_object();

    put(json, "engine", text_json(report->engines[null].name), r);
    put(json, "commit_seconds",
        summary_json(&report->found[null].phases[OL_PHASE_COMMIT].seconds, r), r);
    return json;
}

static json_t *report_json(const struct ol_report *report, int *r)
{
    json_t *json = json_object();
    json_t *engines = json_array();
    json_t *verdicts = json_array();

    put(json, "schema", json_string("overlab.compare/1"), r);
    put(json, "overlab", json_string(OL_VERSION), r);
    put(json, "host", host_json(&report->host, r), r);
    put(json, "backing", backing_json(&report->backing, r), r);
    put(json, "view", json_string(ol_view_name(report->view)), r);
    put(json, "image", image_json(report, r), r);
    put(json, "workload", workload_json(report, r), r);
    put(json, "order", order_json(report, r), r);
    put(json, "engines", engines, r);
    for (size_t i = 0; i < report->n_engines; i++)
        push(engines, engine_json(report, i, r), r);
    put(json, "left_out", left_out_json(report, r), r);
    put(json, "harness", report->n_hidden > 0 ? harness_json(report, r) : json_null(), r);
    put(json, "verdict", verdicts, r);
    for (size_t i = 0; i < report->n_verdicts; i++)
        push(verdicts, verdict_json(report, &report->verdicts[i], r), r);
    put(json, "notes", notes_json(report, r), r);
    return json;
}

int ol_report_print_json(const struct ol_report *report, FILE *out)
{
    int r = 0;
    auto_json json_t *json = report_json(report, &r);

    if (r < 0 || json == NULL)
        return -ENOMEM;
    if (json_dumpf(json, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) < 0 && ferror(out) == 0)
        return -ENOMEM;
    fputc('\n', out);
    return 0;
}
