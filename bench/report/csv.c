/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The raw samples as CSV (RFC 4180, but "\n"): one row for each engine, step and round. Counts are
 * the same in every round unless the report says otherwise.
 */
#include "bench/report/internal.h"

#include "common/cleanup.h"

#include <inttypes.h>

void ol_csv_field(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\n\r") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void print_part(FILE *out, bool split, uint64_t ns)
{
    if (split)
        fprintf(out, ",%.9f", (double)ns / 1e9);
    else
        fputc(',', out);
}

/* The layer a step of a replay is about; of a commit, whether it came out as it was. */
static void print_replay(FILE *out, const struct ol_report *report, size_t engine,
                         const struct ol_bench_step *step)
{
    const struct ol_replay_verdict *verdict = NULL;
    bool of_build = report->workload.replay && step->op != OL_STEP_LAYER_APPLY &&
                    step->op != OL_STEP_IMAGE_REMOVE;

    if (of_build && step->op == OL_STEP_COMMIT)
        verdict = ol_report_verdict_on(report, engine, step->index);
    if (of_build)
        fprintf(out, ",%u", step->index + 1);
    else
        fputc(',', out);
    if (verdict != NULL && verdict->checked)
        fprintf(out, ",%d,%s\n", verdict->same_diff,
                !verdict->tree_known ? "" : (verdict->same_tree ? "1" : "0"));
    else
        fputs(",,\n", out);
}

static void print_row(FILE *out, const struct ol_report *all, size_t index,
                      const struct ol_bench_step *step, unsigned round)
{
    const struct ol_bench_engine *engine = &all->engines[index];
    const struct ol_engine_report *report = &step->reports[round];
    const struct ol_inode_kinds *kinds = &step->added.kinds;
    bool tells = ol_engine_tells_parts(engine);
    bool commit = tells && step->op == OL_STEP_COMMIT;
    bool split = commit || (tells && step->op == OL_STEP_LAYER_APPLY);

    ol_csv_field(out, engine->name);
    fprintf(out, ",%s,%u,%u,%" PRId64 ",", ol_step_op_name(step->op), step->index, round,
            step->added.inodes);
    if (step->has_prediction)
        fprintf(out, "%" PRId64, ol_inode_kinds_total(&step->predicted));
    fprintf(out, ",%" PRId64, step->added.bytes);
    fprintf(out,
            ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64,
            kinds->directory, kinds->regular, kinds->symlink, kinds->device, kinds->fifo,
            kinds->whiteout, kinds->bookkeeping);
    fprintf(out, ",%.9f", (double)step->wall_ns[round] / 1e9);
    print_part(out, split, report->times.create_ns);
    print_part(out, commit, report->times.diff_ns);
    print_part(out, split, report->times.apply_ns);
    print_part(out, split, report->times.metadata_ns);
    print_part(out, commit, report->avoided_sleep_ns);
    fprintf(out, ",%" PRId64 ",%" PRId64, step->added.metadata_inodes, step->added.metadata_bytes);
    split = split && report->metadata.sync_ns > 0;
    print_part(out, split, report->metadata.scan_ns);
    print_part(out, split, report->metadata.transaction_ns);
    print_part(out, split, report->metadata.sync_ns);
    print_replay(out, all, index, step);
}

int ol_report_print_csv(const struct ol_report *report, FILE *out)
{
    fputs("engine,op,index,round,inodes,predicted_inodes,bytes,directory,regular,symlink,device,"
          "fifo,whiteout,bookkeeping,seconds,create,diff,apply,metadata,avoided_sleep,"
          "metadata_inodes,metadata_bytes,metadata_scan,metadata_transaction,metadata_sync,"
          "layer,same_diff_id,same_tree\n",
          out);
    for (size_t i = 0; i < report->n_engines; i++) {
        const struct ol_bench_engine *engine = &report->engines[i];

        for (size_t s = 0; s < engine->n_steps; s++) {
            for (unsigned round = 0; round < report->workload.rounds; round++)
                print_row(out, report, i, &engine->steps[s], round);
        }
    }
    return 0;
}
