/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a measurement runs, for every subcommand that measures: a view and a place, entered and
 * left in the order that works.
 */
#ifndef OL_CLI_PLACE_H
#define OL_CLI_PLACE_H

#include "cli/cli.h"

#include "bench/harness/backing.h"
#include "common/mount/view.h"

/* As wanted; all zero: the best view, in the data root. */
struct place {
    struct ol_backing_spec backing;
    const char *backing_text; /* as typed; NULL: the data root */
    enum ol_view view;
};
void place_fini(struct place *place);

/** As typed after --backing. text is kept. @return 0 or -EINVAL with a text */
int place_set_backing(struct place *place, const char *text, struct ol_error *err);

/* As entered. */
struct place_found {
    enum ol_view view;
    const char *dir; /* absolute; a directory of this run's own */
    const char *path_kind;
    bool dedicated;
};

/* The work. *ret_status is the exit status when it returns 0. */
typedef int place_fn(struct ol_cli *cli, const struct place_found *found, void *data,
                     int *ret_status, struct ol_error *err);

/**
 * Enter the view, make the place, run, unmake it. Before any thread: this process, or a child where
 * a file system of our own meets a user namespace, ends in other namespaces than it began with.
 * What a child's run() fails with is printed there, and its status handed on with 0.
 */
int place_run(struct ol_cli *cli, struct place *place, place_fn *run, void *data, int *ret_status,
              struct ol_error *err);

#endif
