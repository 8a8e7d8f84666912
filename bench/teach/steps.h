/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be explained: a table of steps, each a short list of phases, each phase the acts that
 * are done in it and, for each kind of driver, one sentence of why with the function that did it.
 */
#ifndef OL_BENCH_TEACH_STEPS_H
#define OL_BENCH_TEACH_STEPS_H

#include "bench/teach/scene.h"

struct ol_step_note {
    const char *why;             /* a sentence or two; NULL: nothing to say */
    const char *file, *function; /* who did it, and may be read */
};

/* Whose note it is; OL_NOTE_OVERLAYS is for those of the first three that have none of their own.
 */
enum ol_note_kind {
    OL_NOTE_OVERLAY,
    OL_NOTE_OVERLAY2,
    OL_NOTE_SNAPSHOT,
    OL_NOTE_VFS,
    OL_NOTE_OVERLAYS,
    OL_NOTES
};

enum { OL_STEP_ACTS = 8, OL_STEP_PHASES = 6 };

struct ol_step_phase {
    const char *caption;
    struct ol_act acts[OL_STEP_ACTS]; /* the last one is OL_ACT_END */
    struct ol_step_note notes[OL_NOTES];
};

struct ol_step {
    const char *name;                            /* what users type */
    const char *summary;                         /* what there is to learn, one line */
    struct ol_act before[OL_STEP_ACTS + 2];      /* done before the first look */
    struct ol_step_phase phases[OL_STEP_PHASES]; /* ends with a caption of NULL */
};

/** The table; *ret_count rows. */
const struct ol_step *ol_steps(size_t *ret_count);

/** @return the step, or NULL with -ENOENT's text in err, which lists them */
const struct ol_step *ol_step_find(const char *name, struct ol_error *err);

/** The note for a driver of this law, as it is without options; NULL: there is nothing to say. */
const struct ol_step_note *ol_step_note(const struct ol_step_phase *phase, bool has_law,
                                        enum ol_law law);

#endif
