/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labs of `overlab lesson`: each sets a scene on a real file system, asks one question about
 * what comes next, does it, and measures the answer. No answer is kept anywhere: what is right is
 * what happened.
 *
 * A lab is one function that goes from the setting to the measurement and calls back for all that
 * is said and asked, so that a terminal, a test or a teacher's list can be in front of it.
 */
#ifndef OL_BENCH_TEACH_LAB_H
#define OL_BENCH_TEACH_LAB_H

#include "common/error.h"
#include "common/mount/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OL_LABS = 10, OL_LAB_CHOICES_MAX = 4 };

struct ol_lab_run;

struct ol_lab {
    const char *name;  /* one word: "commit" */
    const char *title; /* one line */
    const char *question;
    const char *unit;                            /* of a number: "inodes"; NULL: one of choices */
    const char *choices[OL_LAB_CHOICES_MAX + 1]; /* "a", "b", … in this order; NULL at the end */
    const char *hint;
    const char *why;  /* what to take along, said after the answer */
    bool needs_mount; /* not possible in the direct view */
    int (*run)(struct ol_lab_run *run, struct ol_error *err);
};

/** Lab 1 to OL_LABS; NULL for another number. */
const struct ol_lab *ol_lab_get(unsigned number);

/* The front end. */
struct ol_lab_front {
    /** A paragraph: what is there, or what happened. */
    void (*say)(const char *text, void *data);
    /**
     * The setting is complete: put the question and take the answer.
     * @return 0; -ECANCELED ends the lab, which cleans up
     */
    int (*ask)(const struct ol_lab *lab, void *data, struct ol_error *err);
    bool (*cancelled)(void *data);
    void *data;
};

/* Where and for whom a lab runs. All borrowed. */
struct ol_lab_run {
    const char *dir; /* absolute; a directory of this run alone; a lab sees "lab" in it */
    enum ol_view view;
    bool keep_owner;
    const struct ol_lab_front *front;
    const struct ol_lab *lab; /* by ol_lab_run() */
    int64_t truth;            /* the right answer as measured: a number, or a choice from 0 */
};

/**
 * Run a lab.
 * @param ret_truth  written on success only
 * @return 0; -ECANCELED; -EOPNOTSUPP not in this view, with the reason; else what failed. Nothing
 *         stays mounted, and "lab" is gone.
 */
int ol_lab_run(const struct ol_lab *lab, const struct ol_lab_run *where, int64_t *ret_truth,
               struct ol_error *err);

/**
 * Read an answer as typed: a number, or the letter of a choice.
 * @return 0; -EINVAL with a text that says what is wanted
 */
int ol_lab_answer_parse(const struct ol_lab *lab, const char *text, int64_t *ret,
                        struct ol_error *err);

/* ---- for the labs themselves ---- */

/** Say a paragraph, formatted; its text is lost without memory. */
void ol_lab_say(const struct ol_lab_run *run, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** Ask; then say nothing more of the setting. */
int ol_lab_ask(const struct ol_lab_run *run, struct ol_error *err);

/** A directory below the run's, made. @param ret_path owned by the caller, also after a failure */
int ol_lab_mkdir(const struct ol_lab_run *run, const char *name, char **ret_path,
                 struct ol_error *err);

/* labs_cost.c, labs_limits.c, labs_counts.c */
int ol_lab_commit_overlay(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_commit_overlay2(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_commit_snapshot(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_depth(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_option_page(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_duplicate_lower(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_link_limit(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_same_second(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_inode_table(struct ol_lab_run *run, struct ol_error *err);
int ol_lab_tmpfs(struct ol_lab_run *run, struct ol_error *err);

#endif
