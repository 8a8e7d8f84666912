/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step, explained: the same acts on several engines, phase by phase, each looked at before and
 * after. Printed as text, as JSON (overlab.explain/1) or drawn as SVG.
 */
#ifndef OL_BENCH_TEACH_EXPLAIN_H
#define OL_BENCH_TEACH_EXPLAIN_H

#include "bench/teach/steps.h"

#include <stdio.h>

struct ol_explain_options {
    const struct ol_step *step;
    char *const *engines; /* full names */
    size_t n_engines;
    const char *dir;         /* absolute; a directory of this run's own */
    enum ol_view view;       /* chosen and entered */
    bool (*cancelled)(void); /* asked between acts; may be NULL */
};

/* One engine's part. */
struct ol_explain_column {
    struct ol_scene *scene;    /* owned */
    char *dir;                 /* owned; where it keeps everything */
    struct ol_moment *moments; /* owned; the first is before any phase; n_done of them are there */
};

struct ol_explanation {
    struct ol_explain_options options;
    struct ol_explain_column *columns; /* owned; n_engines of them */
    unsigned n_phases;
    unsigned n_done; /* moments that were looked at, in every column */
};

/**
 * Make the scenes and bring them to where the step begins: moment 0. What options point to is
 * borrowed until the end.
 * @param ret  ol_explanation_fini() it, also after a failure
 */
int ol_explain_begin(const struct ol_explain_options *options, struct ol_explanation *ret,
                     struct ol_error *err);

/** Do the next phase in every column: one more moment. */
int ol_explain_phase(struct ol_explanation *ex, struct ol_error *err);

/** Unmounts; the files are the place's. */
void ol_explanation_fini(struct ol_explanation *ex);

/* ---- what people see ---- */

enum { OL_EXPLAIN_WIDTH_MIN = 60, OL_EXPLAIN_WIDTH = 80 };

struct ol_explain_style {
    bool color;
    unsigned width; /* columns, at least OL_EXPLAIN_WIDTH_MIN */
};

/** What it is about, and how to read it. @return 0 or -ENOMEM */
int ol_explain_print_head(const struct ol_explanation *ex, const struct ol_explain_style *style,
                          FILE *out);
/** Moment index: 0 what there is before, then phase by phase. @return 0 or -ENOMEM */
int ol_explain_print_moment(const struct ol_explanation *ex, unsigned index,
                            const struct ol_explain_style *style, FILE *out);

/** All moments there are. @return 0 or negative errno */
int ol_explain_print_json(const struct ol_explanation *ex, FILE *out, struct ol_error *err);

/** The directories of each engine after the last moment, in one self-contained SVG. */
int ol_explain_print_svg(const struct ol_explanation *ex, FILE *out);

#endif
