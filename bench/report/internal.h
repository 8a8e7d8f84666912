/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of bench/report share: human numbers, the grid behind table and Markdown. */
#ifndef OL_BENCH_REPORT_INTERNAL_H
#define OL_BENCH_REPORT_INTERNAL_H

#include "bench/report/human.h"
#include "bench/report/report.h"

#include "common/buf.h"

/* A column is data: every form of output takes its name and unit from here. */
struct ol_grid_column {
    const char *key;     /* CSV and JSON spelling */
    const char *heading; /* of the table */
    const char *unit;    /* "" for counts and names */
    bool right;          /* numbers */
};

/* Text cells, row by row. */
struct ol_grid {
    const struct ol_grid_column *columns;
    size_t n_columns;
    char **cells; /* owned texts; NULL for an empty one */
    size_t n_rows, room;
};
void ol_grid_fini(struct ol_grid *grid);
#define ol_auto_grid __attribute__((cleanup(ol_grid_fini)))
/** Begin a row of empty cells. */
int ol_grid_row(struct ol_grid *grid);
/** The cell of the last row takes the buffer's text; the buffer is empty afterwards. */
int ol_grid_set(struct ol_grid *grid, size_t column, struct ol_buf *text);
int ol_grid_set_count(struct ol_grid *grid, size_t column, int64_t count);
int ol_grid_set_bytes(struct ol_grid *grid, size_t column, int64_t bytes);

/* The grids of a comparison. */
int ol_grid_commit(const struct ol_report *report, struct ol_grid *ret);
int ol_grid_steps(const struct ol_report *report, bool markdown, struct ol_grid *ret);
int ol_grid_builds(const struct ol_report *report, bool markdown, struct ol_grid *ret);
int ol_grid_parts(const struct ol_report *report, struct ol_grid *ret);

/** What "metadata" of that grid is made of; no row where no engine tells. */
int ol_grid_metadata(const struct ol_report *report, struct ol_grid *ret);

/** True for engines of ours: a real one is seen from outside, and its parts are not known. */
bool ol_engine_tells_parts(const struct ol_bench_engine *engine);

/* Sentences. */
int ol_text_title(const struct ol_report *report, struct ol_buf *buf);
int ol_text_workload(const struct ol_report *report, struct ol_buf *buf);
/** Lines of "label<TAB>sentence". */
int ol_text_verdict(const struct ol_report *report, size_t of, size_t over, struct ol_buf *buf);
/** "overlay, commit 0: 14 inodes measured, 13 predicted". */
int ol_text_mismatch(const struct ol_bench_engine *engine, const struct ol_bench_step *step,
                     struct ol_buf *buf);
/** Nothing when a count was not as predicted: the printers say that first. */
int ol_text_predictions(const struct ol_report *report, struct ol_buf *buf);
int ol_text_host(const struct ol_report *report, struct ol_buf *buf);
int ol_text_sleep(const struct ol_report *report, struct ol_buf *buf);
int ol_text_interval(const struct ol_report *report, struct ol_buf *buf);
/* Of a replayed image (replay.c). */
void ol_report_replay_fini(struct ol_report *report);
/** @param rounds  working memory, one per round */
int ol_report_fill_builds(const struct ol_report *report, const struct ol_bench_engine *engine,
                          double *rounds, struct ol_report_engine *found);
/** Lines of "label<TAB>what the history says", each text at most max bytes. */
int ol_text_history(const struct ol_report *report, size_t max, struct ol_buf *buf);
/** "same bytes", "same tree", "DIFFERS" or "-". */
const char *ol_verdict_word(const struct ol_replay_verdict *verdict);
/** Lines of "layer N<TAB>engines - verdict: reasons"; nothing when all are the same bytes. */
int ol_text_unequal_layers(const struct ol_report *report, struct ol_buf *buf);
int ol_text_equal_layers(const struct ol_report *report, struct ol_buf *buf);

/** The engine the others are compared with: the one whose commit adds the fewest inodes. */
size_t ol_report_baseline(const struct ol_report *report);

int ol_report_print_table(const struct ol_report *report, const struct ol_report_style *style,
                          FILE *out);
int ol_report_print_json(const struct ol_report *report, FILE *out);
int ol_report_print_csv(const struct ol_report *report, FILE *out);
int ol_report_print_markdown(const struct ol_report *report, FILE *out);

void ol_markdown_grid(FILE *out, const struct ol_grid *grid);
/** Text as a cell of a table, which it cannot end. NULL: an empty one. */
void ol_markdown_cell(FILE *out, const char *text);
/** Every line of a text as an item; what stands before a tab is a label. */
void ol_markdown_items(FILE *out, const char *text);
/** Quote where needed: engine names have commas in their options. */
void ol_csv_field(FILE *out, const char *text);
/** "3 commits on each of 10 added, …; 4 KiB a file; seed 1". @param each  " on each" or "" */
int ol_text_commits(struct ol_buf *buf, const struct ol_report_workload *work, const char *each);

#endif
