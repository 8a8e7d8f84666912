/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside overlab-test: a lab, its drivers and steps. What may fail here returns an error, and only
 * the functions of overlab/test.h, at the top, end a test: a test framework leaves by longjmp(),
 * and so everything that is not freed by then belongs to the lab.
 */
#ifndef OL_BENCH_TESTLIB_LAB_H
#define OL_BENCH_TESTLIB_LAB_H

#include "bench/harness/backing.h"
#include "bench/harness/engine.h"
#include "bench/oracle/held.h"
#include "bench/testlib/census.h"
#include "bench/testlib/overlab/test.h"
#include "bench/workloads/workload.h"
#include "common/buf.h"

enum {
    OL_TEST_CONTAINERS_MAX = 1024,
    OL_TEST_KINDS = OL_TEST_BOOKKEEPING + 1,
};

/* One driver's part of a step. */
struct ol_test_result {
    struct ol_engine_usage added;
    struct ol_test_census_news news;
    bool has_prediction;
    struct ol_inode_kinds predicted;
    const char *unpredicted; /* static; why there is no prediction */
};

/* One step, done on every driver. */
struct ol_test_step {
    struct ol_test_lab *lab;
    struct ol_test_step *next; /* the one before it */
    const char *name;          /* static: "commit" */
    unsigned index;
    struct ol_test_result results[]; /* one per driver */
};

/* A container's root while a change goes on. */
struct ol_test_root {
    struct ol_test_lab *lab;
    const struct ol_test_driver *driver;
    struct ol_rootfs *fs; /* borrowed from the engine */
    char *path;           /* owned; NULL where nothing is mounted */
    const char *step;     /* the change's name */
    unsigned index;
};

/* What the cost model knows of a driver's storage. */
struct ol_test_forecast {
    const char *unpredicted; /* static; why nothing can be said any more, or NULL */
    struct ol_held_way way;
    struct ol_model *model;               /* owned; the newest image */
    struct ol_held_layer *layers;         /* owned; the imported ones, then those of commits */
    struct ol_held_container *containers; /* owned */
    size_t *committed;                    /* owned; per commit: number of its layer from 1, or 0 */
    size_t n_layers, n_imported, n_containers, n_commits;
    int64_t newest_s; /* latest time of a file in the newest image's layers */
};

struct ol_test_driver {
    char *name; /* owned by the lab's list of names */
    const struct ol_engine_ops *ops;
    struct ol_engine *engine;            /* owned */
    char *dir;                           /* owned; the engine's */
    struct ol_engine_usage empty, usage; /* at first, and as last counted */
    struct ol_test_census census;

    struct ol_test_forecast forecast;
    uint64_t cached_before; /* cached whiteouts when the newest container was made */
};

struct ol_test_lab {
    enum ol_view view;
    struct ol_backing *backing; /* owned */
    uint64_t seed;
    char **names; /* owned */
    struct ol_test_driver *drivers;
    size_t n_drivers;
    struct ol_test_step *steps;         /* owned; newest first */
    const struct ol_test_step **layers; /* owned array; the steps of the imported layers */
    unsigned n_layers, n_containers, n_images, n_changes; /* n_changes: of the newest container */
    bool *container_gone, *image_gone;                    /* owned */
    bool is_committed;                                    /* the newest container */
    bool is_mounted;                                      /* by ol_test_mount() */
    bool is_over;                                         /* an image was removed */
    struct ol_test_root root;                             /* while a change goes on */
    struct ol_buf text;                                   /* owned; of the last failure's making */
};

/* ---- handler.c ---- */

/** End the test; returns only when the handler does. */
void ol_test_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Skip the test, or fail it where skipping is forbidden. */
void ol_test_skip(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));
/** When r is negative: end the test with err's message, which is freed; does not return. */
void ol_test_need(int r, struct ol_error *err, const char *file, int line);
/** The same for what depends on the machine: skips. */
void ol_test_need_host(int r, struct ol_error *err, const char *file, int line);

/* ---- step.c ---- */

/** A step of the lab's, with zeroed results. @param ret  owned by the lab */
int ol_test_step_new(struct ol_test_lab *lab, const char *name, unsigned index,
                     struct ol_test_step **ret, struct ol_error *err);
void ol_test_steps_free(struct ol_test_lab *lab);
/** Count what the driver's engine did since it was last counted, into the step. */
int ol_test_step_count(struct ol_test_step *step, struct ol_test_driver *driver,
                       struct ol_error *err);
/** Put the parts of one step to those of another of the same lab. */
int ol_test_step_merge(struct ol_test_step *to, const struct ol_test_step *part,
                       struct ol_error *err);
struct ol_test_result *ol_test_step_result(struct ol_test_step *step,
                                           const struct ol_test_driver *driver);

/** There is a container that can be mounted or changed: -EINVAL otherwise. */
int ol_test_check_container(const struct ol_test_lab *lab, struct ol_error *err);
/** Call fn for each driver as one step; its failure gets driver and step put before it. */
typedef int ol_test_driver_fn(struct ol_test_step *step, struct ol_test_driver *driver,
                              const void *data, struct ol_error *err);
int ol_test_step_run(struct ol_test_lab *lab, const char *name, unsigned index,
                     ol_test_driver_fn *fn, const void *data, struct ol_test_step **ret,
                     struct ol_error *err);

/* ---- predict.c: what each step should add, or why that cannot be said ---- */

/** @param name  the driver's. @return -EINVAL one that keeps nothing. Close it in any case. */
int ol_test_predict_open(struct ol_test_forecast *forecast, const char *name, bool mounts,
                         struct ol_error *err);
void ol_test_predict_close(struct ol_test_forecast *forecast);
/** Whether a commit's changes are found by comparing two trees. */
bool ol_test_predict_compares_trees(const struct ol_test_forecast *forecast);
/** @param skipped  entries that could not be made here */
int ol_test_predict_layer(struct ol_test_forecast *forecast, const struct ol_input *tar,
                          uint64_t skipped, struct ol_test_result *ret, struct ol_error *err);
int ol_test_predict_create(struct ol_test_forecast *forecast, struct ol_test_result *ret,
                           struct ol_error *err);
void ol_test_predict_mount(struct ol_test_forecast *forecast, bool unmount,
                           struct ol_test_result *ret);
/** A plan of seeded changes on the newest image, which stays as it is. */
int ol_test_predict_plan(const struct ol_test_forecast *forecast, const struct ol_change_mix *mix,
                         uint64_t bytes, uint64_t seed, struct ol_plan **ret, struct ol_error *err);
/**
 * After the change was counted into ret.
 * @param planned        what was to be added; NULL: nobody could know
 * @param leaves_cached  it left a cached whiteout without another name
 */
void ol_test_predict_change(struct ol_test_forecast *forecast, const struct ol_inode_kinds *planned,
                            bool mounted_here, bool leaves_cached, struct ol_test_result *ret);
/** @param diff_fd  the tar of what the container changed */
int ol_test_predict_commit(struct ol_test_forecast *forecast, int diff_fd,
                           struct ol_test_result *ret, struct ol_error *err);
void ol_test_predict_container_remove(const struct ol_test_forecast *forecast, unsigned index,
                                      struct ol_test_result *ret);
void ol_test_predict_image_remove(const struct ol_test_forecast *forecast, unsigned index,
                                  struct ol_test_result *ret);

#endif
