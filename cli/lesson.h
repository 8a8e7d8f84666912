/* SPDX-License-Identifier: Apache-2.0 */
/* How far a learner got: one small file in the data root (docs/formats/lessons.md). */
#ifndef OL_CLI_LESSON_H
#define OL_CLI_LESSON_H

#include "bench/teach/lab.h"
#include "cli/cli.h"

struct lesson_progress {
    struct lesson_mark {
        unsigned tries;
        bool passed;
    } marks[OL_LABS];
};

/**
 * Read it; nothing is done yet where there is no file.
 * @return 0; -EBADMSG it is damaged, naming it and what helps
 */
int lesson_progress_load(const char *root, struct lesson_progress *ret, struct ol_error *err);

/** Write it aside and rename it; makes the data root. @return 0 or negative errno */
int lesson_progress_save(const char *root, const struct lesson_progress *progress,
                         struct ol_error *err);

#endif
