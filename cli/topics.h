/* SPDX-License-Identifier: Apache-2.0 */
/* The subjects "overlab help" explains: docs/topics/<name>.txt, embedded by the build. */
#ifndef OL_CLI_TOPICS_H
#define OL_CLI_TOPICS_H

#include <stddef.h>
#include <stdio.h>

struct ol_cli_topic {
    const char *name;
    const char *text; /* the first line says what it is about, the second is empty */
};

/* Generated; ends with a NULL name. */
extern const struct ol_cli_topic ol_cli_topics[];

/* cmd_help.c */
/** One line for each topic. */
void ol_cli_print_topics(FILE *out);

#endif
