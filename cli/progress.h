/* SPDX-License-Identifier: Apache-2.0 */
/* One line on stderr that says what is going on, when stderr is a terminal. */
#ifndef OL_CLI_PROGRESS_H
#define OL_CLI_PROGRESS_H

#include "bench/harness/rounds.h"
#include "cli/cli.h"

struct ol_progress {
    bool on;
    bool shown;        /* the line holds something */
    uint64_t start_ns; /* of the run */
    uint64_t next_ns;  /* not before: redrawing costs time of the machine that is measured */
};

void ol_progress_init(struct ol_progress *progress, const struct ol_cli *cli);
/** Callback of struct ol_bench_job; data is the struct ol_progress. */
void ol_progress_show(const struct ol_bench_progress *now, void *data);
void ol_progress_clear(struct ol_progress *progress);

#endif
