/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rounds of a comparison: the same steps on every engine, engines in a seeded random order
 * within each round, so that drift of the machine meets all of them alike and times can be compared
 * in pairs of one round. A warm-up comes first and its times are kept apart.
 *
 * Around each step: count the storage, sync it, read the clock, do the step, read the clock, count
 * again. Only the step is timed.
 */
#ifndef OL_BENCH_HARNESS_ROUNDS_H
#define OL_BENCH_HARNESS_ROUNDS_H

#include "bench/harness/engine.h"
#include "common/clock.h"

/** "layer.apply", "container.create", … */
const char *ol_step_op_name(enum ol_step_op op);

/* One step of one engine, over all rounds. */
struct ol_bench_step {
    enum ol_step_op op;
    unsigned index;                   /* layer, commit or image, from 0 */
    bool has_prediction;              /* the oracle knows this step */
    struct ol_inode_kinds predicted;  /* inodes it adds, from headers and plan alone */
    int64_t predicted_peak;           /* of layer.apply and commit: the highest count while it runs,
                                         less the one before it (bench/oracle/peak.h) */
    bool has_predicted_bytes;         /* of layer.apply and commit, where asked for */
    bool bytes_estimate;              /* near, not exact */
    int64_t predicted_bytes;          /* in blocks */
    struct ol_engine_usage added;     /* measured, last round; negative when it freed some */
    bool varies;                      /* the inodes added were not the same in all rounds */
    int64_t inodes_min, inodes_max;   /* over all rounds, warm-up included */
    uint64_t warmup_ns;               /* the warm-up round; 0 without one */
    uint64_t *wall_ns;                /* owned; one per round */
    struct ol_engine_report *reports; /* owned; one per round */
};

/* One engine of the comparison. The caller sets name, ops and optional; the rest is filled by the
 * run. */
struct ol_bench_engine {
    char *name; /* owned */
    const struct ol_engine_ops *ops;
    bool optional;                        /* its failure is kept here and does not end the others */
    struct ol_error failure;              /* owned; then it takes no part in further rounds */
    char version[OL_ENGINE_VERSION_SIZE]; /* a real engine's; "": overlab's */
    struct ol_bench_step *steps;          /* owned */
    size_t n_steps;
    int64_t start_inodes; /* the empty store */
    int64_t peak_inodes;  /* highest count between two steps, the empty store taken off */
    struct ol_engine_usage
        held;            /* what the job's containers beside the commits added, last round */
    bool has_held;       /* false: it was not asked for such, or cannot have them */
    int64_t left_inodes; /* what stayed after everything was removed; 0 when all is well */
};

void ol_bench_engine_fini(struct ol_bench_engine *engine);

struct ol_bench_progress {
    const char *engine;
    const char *step;
    unsigned round, rounds; /* round 0 is the warm-up */
    size_t done, total;     /* steps */
};

/* One layer of the image; read again in every round. */
struct ol_bench_layer {
    struct ol_input input; /* seekable: offset >= 0 */
    const char *diff_id;   /* what the stream must have, or NULL */
};

struct ol_bench_job {
    const struct ol_bench_layer *layers;
    unsigned n_layers;
    struct ol_plan *const *plans; /* one per commit */
    unsigned commits;
    unsigned containers;    /* made and mounted before anything is removed, and removed first */
    unsigned containers_of; /* of this image: 0 the imported one, k that of commit k - 1 */
    unsigned rounds;        /* at least 1; 0: to lay out steps that nobody runs */
    bool warmup;            /* one more round before the first */
    uint64_t seed;          /* of the order of engines */
    const char *dir;        /* absolute; scratch, on the file system that is measured */
    enum ol_view view;
    bool keep_owner;
    unsigned timeout_s;            /* of each answer of a real engine */
    bool (*cancelled)(void *data); /* asked between steps; NULL: never */
    void (*progress)(const struct ol_bench_progress *progress, void *data); /* or NULL */
    void *data;
};

/**
 * The order in which engines run: (rounds + warm-up) rows of n_engines numbers. The same seed gives
 * the same order. @return owned by the caller, or NULL without memory
 */
unsigned *ol_bench_order(const struct ol_bench_job *job, size_t n_engines);

/** Lay out the steps of an engine: their op and index, room for every round. -ENOMEM. */
int ol_bench_steps_make(const struct ol_bench_job *job, struct ol_bench_engine *engine,
                        struct ol_error *err);

/**
 * Run all rounds on all engines (whose steps are made).
 * @param order  from ol_bench_order()
 * @return 0; -ECANCELED when job->cancelled said so; else the first failure of an engine that is
 * not optional, with engine and step in the text. Nothing stays mounted and job->dir is empty
 * again, whatever happened.
 */
int ol_bench_run(const struct ol_bench_job *job, struct ol_bench_engine *engines, size_t n_engines,
                 const unsigned *order, struct ol_error *err);

/**
 * One more pass of one engine, in which nothing is timed or counted: before each commit what it
 * will make a layer of is saved.
 * @param ret_fds  one per commit, unnamed files in job->dir; owned by the caller, also after a
 *                 failure; left as they are when the engine has no save_diff
 */
int ol_bench_save_diffs(const struct ol_bench_job *job, struct ol_bench_engine *engine,
                        int *ret_fds, struct ol_error *err);

#endif
