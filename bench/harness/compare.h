/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main job as a function: one image, the same seeded commits on every engine, a report. The
 * caller has chosen and entered the view, and made the place; nothing is printed here.
 */
#ifndef OL_BENCH_HARNESS_COMPARE_H
#define OL_BENCH_HARNESS_COMPARE_H

#include "bench/engines/engines.h"
#include "bench/report/report.h"

struct ol_compare_options {
    const char *image;    /* path; NULL: the built-in image of this seed */
    char *const *engines; /* full names */
    size_t n_engines;
    const struct ol_external_list *with; /* real engines beside them; NULL: none */
    unsigned timeout_s;                  /* of each of their answers; 0: OL_ENGINE_TIMEOUT_S */
    struct ol_report_workload workload;
    unsigned containers; /* beside the commits, as of ol_predict_options; our own engines' alone */
    enum ol_view view;   /* chosen and entered */
    const char *dir;     /* absolute; the place: a directory of this run's own */
    const char *path_kind; /* of the place: "directory", "loop", "tmpfs" */
    bool dedicated;        /* a file system made for this run */
    bool (*cancelled)(void *data);
    void (*progress)(const struct ol_bench_progress *progress, void *data);
    void *data;
};

/**
 * A real engine that is not installed, cannot start or fails on the way is left out of the report,
 * which says so; that is no failure of the run.
 *
 * @param ret  filled and concluded; ol_report_fini() it, also after a failure
 * @return 0; -ECANCELED; -E2BIG image and commits pass the layers an image may have; else the first
 *         failure. The place is as empty as it was.
 */
int ol_compare_run(const struct ol_compare_options *options, struct ol_report *ret,
                   struct ol_error *err);

#endif
