/* SPDX-License-Identifier: Apache-2.0 */
/* Text files that are part of the program, put there by the build (cmake/OlEmbed.cmake). */
#ifndef OL_CLI_EMBEDDED_H
#define OL_CLI_EMBEDDED_H

#include <stddef.h>

struct ol_embedded {
    const char *name; /* of the file, without directory and suffix; NULL ends a table */
    const char *text;
};

/* docs/topics: what "overlab help" explains. A text's first line says what it is about, the second
 * is empty. */
extern const struct ol_embedded ol_cli_topics[];

/* cli/bash.completion: the completion script of each shell. */
extern const struct ol_embedded ol_cli_completions[];

/** The text of this name in a table, or NULL. */
const char *ol_embedded_find(const struct ol_embedded *table, const char *name);

#endif
