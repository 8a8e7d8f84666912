/* SPDX-License-Identifier: Apache-2.0 */
/* What the man pages (docs/man, written in scdoc's language) take from the table of subcommands. */
#ifndef OL_CLI_MAN_H
#define OL_CLI_MAN_H

#include <stdio.h>

/**
 * Print fragments of scdoc, each after a line "@KIND NAME" and up to the next one. Kinds: synopsis,
 * summary, options, and help of each subcommand NAME; without a name: commands (all of them, with
 * their pages), pages (their names, each once), global (options) and topics.
 */
void ol_cli_print_scd(FILE *out);

#endif
