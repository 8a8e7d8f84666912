/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a report that is about a replayed image: what each build step leaves in it, and which
 * layers are not what they were made from.
 */
#include "bench/report/internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>

size_t ol_report_imported(const struct ol_report *report)
{
    return report->workload.replay ? 1 : report->image.n_layers;
}

const struct ol_replay_verdict *ol_report_verdict_on(const struct ol_report *report, size_t engine,
                                                     size_t index)
{
    if (report->verdicts_on_layers == NULL || engine >= report->n_engines)
        return NULL;
    return &report->verdicts_on_layers[engine * report->workload.commits + index];
}

void ol_report_replay_fini(struct ol_report *report)
{
    size_t count = report->n_engines * report->workload.commits;

    for (size_t i = 0; report->verdicts_on_layers != NULL && i < count; i++)
        ol_replay_verdict_fini(&report->verdicts_on_layers[i]);
    free(report->verdicts_on_layers);
    ol_image_history_fini(&report->history);
}

/* ---- what a step costs ---- */

/* A container is removed in the end, unless the commit made a layer of it. */
static bool stays(const struct ol_bench_engine *engine, const struct ol_bench_step *step)
{
    return step->op == OL_STEP_COMMIT || engine->ops->commit_keeps_container;
}

static bool is_of_build(const struct ol_bench_step *step, unsigned index)
{
    return step->index == index && step->op >= OL_STEP_CONTAINER_CREATE &&
           step->op <= OL_STEP_COMMIT;
}

static int fill_build(const struct ol_report *report, const struct ol_bench_engine *engine,
                      unsigned index, double *rounds, struct ol_report_build *ret)
{
    *ret = (struct ol_report_build){.has_prediction = true};
    memset(rounds, 0, report->workload.rounds * sizeof *rounds);
    for (size_t i = 0; i < engine->n_steps; i++) {
        const struct ol_bench_step *step = &engine->steps[i];

        if (!is_of_build(step, index))
            continue;
        for (unsigned round = 0; round < report->workload.rounds; round++)
            rounds[round] += (double)step->wall_ns[round] / 1e9;
        if (!stays(engine, step))
            continue;
        ret->inodes += step->added.inodes;
        ret->bytes += step->added.bytes;
        ret->predicted += ol_inode_kinds_total(&step->predicted);
        ret->has_prediction = ret->has_prediction && step->has_prediction;
    }
    return report->workload.rounds == 0
               ? 0
               : ol_summary_make(rounds, report->workload.rounds, &ret->seconds);
}

int ol_report_fill_builds(const struct ol_report *report, const struct ol_bench_engine *engine,
                          double *rounds, struct ol_report_engine *found)
{
    int r = 0;

    if (!report->workload.replay)
        return 0;
    found->builds = calloc((size_t)report->workload.commits + 1, sizeof *found->builds);
    if (found->builds == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < report->workload.commits && r == 0; i++)
        r = fill_build(report, engine, i, rounds, &found->builds[i]);
    return r;
}

/* ---- sentences ---- */

/* Lines of "label<TAB>what the Dockerfile said", oldest first. */
int ol_text_history(const struct ol_report *report, size_t max, struct ol_buf *buf)
{
    const struct ol_image_history *history = &report->history;
    int r = 0;

    for (size_t i = 0; i < history->count && r == 0; i++) {
        const struct ol_image_step *step = &history->steps[i];
        const char *text = step->created_by[0] != '\0' ? step->created_by : "(not told)";

        if (step->layer == OL_STEP_NO_LAYER)
            r = ol_buf_puts(buf, "no layer\t");
        else if (step->layer == 0)
            r = ol_buf_puts(buf, "base\t");
        else
            r = ol_buf_printf(buf, "layer %d\t", step->layer);
        if (r == 0)
            r = ol_text_one_line(text, max, buf);
        if (r == 0)
            r = ol_buf_putc(buf, '\n');
    }
    return r;
}

const char *ol_verdict_word(const struct ol_replay_verdict *verdict)
{
    if (verdict == NULL || !verdict->checked)
        return "-";
    if (verdict->same_diff)
        return "same bytes";
    if (!verdict->tree_known)
        return "other bytes";
    return verdict->same_tree ? "same tree" : "DIFFERS";
}

static int put_reasons(const struct ol_replay_verdict *verdict, struct ol_buf *buf)
{
    const char *before = ": ";
    int r = 0;

    for (unsigned kind = 0; kind < OL_REASONS && r == 0; kind++) {
        const struct ol_replay_reason *reason = &verdict->reasons[kind];

        if (reason->count == 0)
            continue;
        r = ol_buf_printf(buf, "%s%" PRIu64 " x %s", before, reason->count,
                          ol_replay_reason_text((enum ol_replay_reason_kind)kind));
        if (r == 0 && reason->example != NULL)
            r = ol_buf_puts(buf, " (");
        if (r == 0 && reason->example != NULL)
            r = ol_text_one_line(reason->example, 120, buf);
        if (r == 0 && reason->example != NULL)
            r = ol_buf_putc(buf, ')');
        before = "; ";
    }
    return r;
}

/* Engines whose diffs were the same bytes are one line. */
static bool is_told(const struct ol_report *report, size_t engine, unsigned index)
{
    const struct ol_replay_verdict *verdict = ol_report_verdict_on(report, engine, index);

    for (size_t i = 0; i < engine; i++) {
        const struct ol_replay_verdict *other = ol_report_verdict_on(report, i, index);

        if (other->checked && strcmp(other->diff_id, verdict->diff_id) == 0)
            return true;
    }
    return false;
}

static int put_engines(const struct ol_report *report, size_t first, unsigned index,
                       struct ol_buf *buf)
{
    const struct ol_replay_verdict *verdict = ol_report_verdict_on(report, first, index);
    int r = 0;

    for (size_t i = first; i < report->n_engines && r == 0; i++) {
        const struct ol_replay_verdict *other = ol_report_verdict_on(report, i, index);

        if (other->checked && strcmp(other->diff_id, verdict->diff_id) == 0)
            r = ol_buf_printf(buf, "%s%s", i > first ? ", " : "", report->engines[i].name);
    }
    return r;
}

static int put_layer(const struct ol_report *report, unsigned index, struct ol_buf *buf)
{
    int r = 0;

    for (size_t i = 0; i < report->n_engines && r == 0; i++) {
        const struct ol_replay_verdict *verdict = ol_report_verdict_on(report, i, index);

        if (!verdict->checked || verdict->same_diff || is_told(report, i, index))
            continue;
        r = ol_buf_printf(buf, "layer %u\t", index + 1);
        if (r == 0)
            r = put_engines(report, i, index, buf);
        if (r == 0)
            r = ol_buf_printf(buf, " - %sother bytes",
                              !verdict->tree_known ? "it shows no diff to compare: "
                              : verdict->same_tree ? "same tree, "
                                                   : "another tree, ");
        if (r == 0)
            r = put_reasons(verdict, buf);
        if (r == 0)
            r = ol_buf_putc(buf, '\n');
    }
    return r;
}

int ol_text_unequal_layers(const struct ol_report *report, struct ol_buf *buf)
{
    int r = 0;

    for (unsigned i = 0; report->verdicts_on_layers != NULL && i < report->workload.commits; i++) {
        r = put_layer(report, i, buf);
        if (r < 0)
            return r;
    }
    return r;
}

int ol_text_equal_layers(const struct ol_report *report, struct ol_buf *buf)
{
    size_t checked = 0;
    size_t same_diff = 0;
    size_t same_tree = 0;

    for (size_t i = 0; i < report->n_engines * report->workload.commits; i++) {
        const struct ol_replay_verdict *verdict = &report->verdicts_on_layers[i];

        checked += verdict->checked;
        same_diff += verdict->same_diff;
        same_tree += verdict->same_tree;
    }
    return ol_buf_printf(buf,
                         "of %zu committed layers %zu %s the DiffID of their original and %zu its "
                         "tree\n",
                         checked, same_diff, same_diff == 1 ? "has" : "have", same_tree);
}
