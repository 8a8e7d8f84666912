/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a comparison found, and its four forms: table, JSON, CSV, Markdown. The runner fills a
 * struct ol_report, ol_report_conclude() draws the conclusions (totals, verdicts, remarks), and the
 * printers only print: no form can say something another one does not know.
 */
#ifndef OL_BENCH_REPORT_REPORT_H
#define OL_BENCH_REPORT_REPORT_H

#include "bench/harness/replay_check.h"
#include "bench/harness/rounds.h"
#include "bench/harness/stats.h"
#include "bench/workloads/workload.h"
#include "store/image_history.h"

#include <stdio.h>

struct ol_report_host {
    char *kernel;  /* owned; uname release */
    char *machine; /* owned; uname machine */
    unsigned cpus;
    uint64_t memory_bytes;
};

struct ol_report_backing {
    char *fs;              /* owned; "ext4", "tmpfs", … */
    const char *path_kind; /* "directory", "loop" or "tmpfs" */
    char *mount_options;   /* owned; as the mount table has them; NULL when not known */
    uint64_t block_size;
    uint64_t inode_size; /* 0 when the file system does not say */
    bool dedicated;      /* made for this run alone */
};

struct ol_report_image {
    char *source; /* owned */
    const char *format;
    char *id; /* owned */
    struct ol_report_layer {
        char diff_id[OL_DIGEST_SIZE];
        uint64_t entries;
        uint64_t bytes; /* of the uncompressed tar */
    } * layers;         /* owned */
    size_t n_layers;
};

struct ol_report_workload {
    unsigned commits;
    struct ol_change_mix changes;
    uint64_t change_bytes;
    uint64_t seed;
    unsigned rounds; /* 0: nothing was run, the report is a prediction */
    bool warmup;
    bool replay; /* commit i is what layer i + 1 of the image changes; then changes, change_bytes
                    and commits as given say nothing */
};

/* The rows of the table: steps of one kind together. */
enum ol_phase {
    OL_PHASE_IMPORT, /* all layers of the image, summed */
    OL_PHASE_CREATE, /* from here on: one commit's share */
    OL_PHASE_MOUNT,
    OL_PHASE_CHANGE,
    OL_PHASE_UNMOUNT,
    OL_PHASE_COMMIT,
    OL_PHASE_CONTAINER_REMOVE,
    OL_PHASE_COMMIT_REMOVE, /* the image of one commit */
    OL_PHASE_IMAGE_REMOVE,  /* the imported image, all layers */
    OL_PHASES
};

/* One build step on one engine: container and commit, as far as they stay in the image. */
struct ol_report_build {
    bool has_prediction;
    int64_t inodes, predicted, bytes;
    struct ol_summary seconds; /* of the whole step, over the rounds */
};

/* One phase of one engine. Counts are medians over the commits, times over the rounds. */
struct ol_report_phase {
    bool present;
    bool has_prediction;
    int64_t inodes;
    int64_t predicted;
    int64_t bytes;
    struct ol_summary seconds; /* of the rounds' means over the commits */
};

struct ol_report_engine {
    struct ol_report_phase phases[OL_PHASES];
    struct ol_summary create, diff, apply, metadata; /* seconds of one commit */
    struct ol_summary rest; /* of it, what is in none of those: mounting and unmounting */
    struct ol_summary scan, transaction, sync; /* of metadata, where the engine tells them apart */
    double avoided_sleep; /* mean seconds of one commit the real engine would add */
    uint64_t squashed_owners, skipped_devices;
    double *commit_seconds;         /* owned; one per round: mean over the commits */
    size_t wrong_steps;             /* steps whose count is not the predicted one */
    struct ol_report_build *builds; /* owned; one per commit; NULL unless layers were replayed */
};

struct ol_report_verdict {
    const char *metric; /* "inodes_per_commit", "bytes_per_commit", "seconds_per_commit" */
    size_t of, over;    /* engines; of is the one that needs more */
    double ratio, low, high;
    double confidence; /* 1 for counts that were the same in every round */
    bool clear;        /* outside the noise */
};

struct ol_report {
    struct ol_report_host host;
    struct ol_report_backing backing;
    enum ol_view view;
    struct ol_report_image image;
    struct ol_report_workload workload;
    struct ol_bench_engine *engines; /* owned, with their contents */
    size_t n_engines;
    struct ol_report_left_out {
        char *name, *reason; /* owned */
        bool impossible;     /* not on this host; else it failed */
    } * left_out;            /* owned; real engines asked for that have no column */
    size_t n_left_out;
    size_t n_hidden; /* engines after those: at most one, null, the cost of measuring itself */
    unsigned *order; /* owned; (rounds + warm-up) x (n_engines + n_hidden) */

    /* Of replayed layers; else all empty. */
    struct ol_image_history history;              /* owned */
    struct ol_replay_verdict *verdicts_on_layers; /* owned; n_engines rows of one per commit */

    /* Remarks of the runner (owned texts), then those of ol_report_conclude(). */
    struct ol_report_note {
        char *text;
        bool warning; /* something that makes a number doubtful */
    } * notes;
    size_t n_notes;

    struct ol_report_engine *found; /* owned; by ol_report_conclude(); one per engine, hidden too */
    struct ol_report_verdict *verdicts;
    size_t n_verdicts;
};

void ol_report_fini(struct ol_report *report);

/** Add a remark; its text is formatted. */
int ol_report_note(struct ol_report *report, bool warning, struct ol_error *err, const char *fmt,
                   ...) __attribute__((format(printf, 4, 5)));

/** Say that an engine that was asked for has no column, and why. */
int ol_report_leave_out(struct ol_report *report, const char *name, bool impossible,
                        const char *reason, struct ol_error *err);

/** Fill in the host: kernel, CPUs, memory. */
int ol_report_host_get(struct ol_report_host *ret, struct ol_error *err);

/** Draw the conclusions from complete engines. */
int ol_report_conclude(struct ol_report *report, struct ol_error *err);

enum ol_report_format {
    OL_REPORT_TABLE,
    OL_REPORT_JSON,
    OL_REPORT_CSV,
    OL_REPORT_MARKDOWN,
};

struct ol_report_style {
    bool color;
    unsigned width; /* columns of the terminal; 0: as wide as it gets */
};

/**
 * Print. Write errors stay in out (ferror). @return 0 or -ENOMEM
 */
int ol_report_print(const struct ol_report *report, enum ol_report_format format,
                    const struct ol_report_style *style, FILE *out, struct ol_error *err);

/** "layer.apply, 3 layers", "commit", …: the row's name, for a report. */
const char *ol_phase_name(enum ol_phase phase);

/** The verdict on commit `index` of an engine; NULL when nothing was replayed. */
const struct ol_replay_verdict *ol_report_verdict_on(const struct ol_report *report, size_t engine,
                                                     size_t index);

/** The layers that are imported before the first commit. */
size_t ol_report_imported(const struct ol_report *report);

/** The step added other inodes than the oracle said, by kind. False without a prediction. */
bool ol_step_is_wrong(const struct ol_bench_step *step);

#endif
