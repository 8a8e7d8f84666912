/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of "overlab doctor" share: the findings, and what they are drawn from. */
#ifndef OL_CLI_DOCTOR_H
#define OL_CLI_DOCTOR_H

#include "bench/harness/fsinfo.h"
#include "cli/cli.h"
#include "common/mount/view.h"

#include <jansson.h>

enum doctor_state {
    DOCTOR_OK,      /* works, or is as it should be */
    DOCTOR_NOTE,    /* good to know */
    DOCTOR_WARNING, /* numbers may mislead, or something was left behind */
    DOCTOR_NO,      /* not possible here */
};

struct doctor {
    struct ol_cli *cli;
    const char *asked; /* the directory as asked for; need not exist yet */
    char *dir;         /* owned; it, or its nearest ancestor that exists; absolute */
    bool probed;       /* probe holds something */
    struct ol_view_probe probe;
    bool any_view;       /* one of the views works */
    enum ol_view view;   /* the one auto picks; only with any_view */
    bool has_fs;         /* fs holds something */
    struct ol_fsinfo fs; /* of dir */
    json_t *findings;    /* owned; array of {check, state, found, proof, remedy} */
    json_t *engines;     /* owned; array of {name, path, version} */
    bool nomem;          /* a finding was lost: the command fails */
};

/**
 * Add a finding. @param proof what was looked at or tried; @param remedy what to do, NULL for
 * nothing. @param fmt the finding itself
 */
void doctor_add(struct doctor *d, const char *check, enum doctor_state state, const char *proof,
                const char *remedy, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* doctor_views.c: what can be mounted, by whom, and how the drivers fare there. */
void doctor_check_views(struct doctor *d);
void doctor_check_kernel(struct doctor *d);
void doctor_check_drivers(struct doctor *d);

/* doctor_place.c: the directory's file system, leftovers, loop devices, real engines. */
void doctor_check_place(struct doctor *d);
void doctor_check_leftovers(struct doctor *d);
void doctor_check_loop(struct doctor *d);
void doctor_check_engines(struct doctor *d);

#endif
