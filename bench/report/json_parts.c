/* SPDX-License-Identifier: Apache-2.0 */
/* What the JSON of comparisons and predictions is made of; see json_parts.h. */
#include "bench/report/json_parts.h"

static json_t *history_json(const struct ol_image_history *history, int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < history->count; i++) {
        const struct ol_image_step *step = &history->steps[i];
        json_t *item = json_object();

        ol_json_push(json, item, r);
        ol_json_put(item, "created", ol_json_text(step->created), r);
        ol_json_put(item, "created_by", ol_json_text(step->created_by), r);
        ol_json_put(item, "comment", ol_json_text(step->comment), r);
        ol_json_put(item, "layer", step->layer >= 0 ? json_integer(step->layer) : json_null(), r);
    }
    return json;
}

json_t *ol_report_image_json(const struct ol_report *report, bool history, int *r)
{
    const struct ol_report_image *image = &report->image;
    json_t *json = json_object();
    json_t *layers = json_array();

    ol_json_put(json, "source", ol_json_text(image->source), r);
    ol_json_put(json, "format", ol_json_text(image->format), r);
    ol_json_put(json, "id", ol_json_text(image->id), r);
    ol_json_put(json, "layers", layers, r);
    for (size_t i = 0; i < image->n_layers; i++) {
        json_t *layer = json_object();

        ol_json_push(layers, layer, r);
        ol_json_put(layer, "diff_id", ol_json_text(image->layers[i].diff_id), r);
        ol_json_put(layer, "entries", ol_json_count(image->layers[i].entries), r);
        ol_json_put(layer, "bytes", ol_json_count(image->layers[i].bytes), r);
    }
    if (history)
        ol_json_put(json, "history", history_json(&report->history, r), r);
    return json;
}

json_t *ol_report_workload_json(const struct ol_report *report, int *r)
{
    const struct ol_report_workload *work = &report->workload;
    json_t *json = json_object();
    json_t *changes = json_object();

    ol_json_put(json, "commits", ol_json_count(work->commits), r);
    ol_json_put(json, "changes", changes, r);
    ol_json_put(changes, "add", ol_json_count(work->changes.add), r);
    ol_json_put(changes, "modify", ol_json_count(work->changes.modify), r);
    ol_json_put(changes, "delete", ol_json_count(work->changes.remove), r);
    ol_json_put(changes, "rename", ol_json_count(work->changes.rename), r);
    ol_json_put(changes, "chmod", ol_json_count(work->changes.chmod), r);
    ol_json_put(changes, "mkdir", ol_json_count(work->changes.mkdir), r);
    ol_json_put(changes, "symlink", ol_json_count(work->changes.symlink), r);
    ol_json_put(changes, "link", ol_json_count(work->changes.link), r);
    ol_json_put(changes, "replace", ol_json_count(work->changes.replace), r);
    ol_json_put(json, "change_bytes", ol_json_count(work->change_bytes), r);
    ol_json_put(json, "seed", ol_json_count(work->seed), r);
    ol_json_put(json, "replay", json_boolean(work->replay), r);
    if (work->rounds == 0)
        return json;
    ol_json_put(json, "rounds", ol_json_count(work->rounds), r);
    ol_json_put(json, "warmup", json_boolean(work->warmup), r);
    return json;
}

json_t *ol_report_kinds_json(const struct ol_inode_kinds *kinds, int *r)
{
    json_t *json = json_object();

    ol_json_put(json, "directory", json_integer(kinds->directory), r);
    ol_json_put(json, "regular", json_integer(kinds->regular), r);
    ol_json_put(json, "symlink", json_integer(kinds->symlink), r);
    ol_json_put(json, "device", json_integer(kinds->device), r);
    ol_json_put(json, "fifo", json_integer(kinds->fifo), r);
    ol_json_put(json, "whiteout", json_integer(kinds->whiteout), r);
    ol_json_put(json, "bookkeeping", json_integer(kinds->bookkeeping), r);
    return json;
}

json_t *ol_report_verdict_json(const struct ol_report *report,
                               const struct ol_report_verdict *verdict, int *r)
{
    json_t *json = json_object();

    ol_json_put(json, "metric", json_string(verdict->metric), r);
    ol_json_put(json, "of", ol_json_text(report->engines[verdict->of].name), r);
    ol_json_put(json, "over", ol_json_text(report->engines[verdict->over].name), r);
    ol_json_put(json, "ratio", json_real(verdict->ratio), r);
    ol_json_put(json, "low", json_real(verdict->low), r);
    ol_json_put(json, "high", json_real(verdict->high), r);
    ol_json_put(json, "confidence", json_real(verdict->confidence), r);
    ol_json_put(json, "clear", json_boolean(verdict->clear), r);
    return json;
}

json_t *ol_report_notes_json(const struct ol_report *report, int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < report->n_notes; i++) {
        json_t *note = json_object();

        ol_json_push(json, note, r);
        ol_json_put(note, "warning", json_boolean(report->notes[i].warning), r);
        ol_json_put(note, "text", ol_json_text(report->notes[i].text), r);
    }
    return json;
}
