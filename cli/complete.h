/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion of a command line. The shell's script (completion.c) hands the words over, and gets
 * candidates back, a line each; all knowledge is here: the table, the options of each subcommand,
 * and what stands behind the names in capitals (DRIVER, IMAGE, …), some of which is looked up in
 * the data root, without changing anything there.
 *
 *   complete.c         which word is being completed: subcommand, option, value, argument
 *   complete_values.c  what can stand for it
 *   complete_root.c    images, containers, layers and snapshots of a data root
 */
#ifndef OL_CLI_COMPLETE_H
#define OL_CLI_COMPLETE_H

#include "cli/cli.h"
#include "common/buf.h"

/* Lines that are not candidates but ask the shell for something. */
#define COMPLETE_FILES    ":files"       /* names of files */
#define COMPLETE_DIRS     ":directories" /* names of directories */
#define COMPLETE_NO_SPACE ":nospace"     /* the word may go on: no blank after it */
#define COMPLETE_UNKNOWN  ":unknown"     /* nobody has said what the placeholder stands for */

struct complete {
    struct ol_buf *out; /* borrowed; lines */
    char *root;         /* owned; the data root the line names, or the default one */
    const char *driver; /* full name, as on the line or the default one */
    const char *before; /* what candidates are printed after: "--view=" */
    const char *text;   /* what they begin with */
    int r;              /* first failure: without memory there is no completion */
};

/** A candidate of len bytes; dropped where it does not begin with c->text. */
void complete_add_n(struct complete *c, const char *word, size_t len);
void complete_add(struct complete *c, const char *word);
/** A line for the shell. */
void complete_ask(struct complete *c, const char *what);

/**
 * Complete the last of these words, which follow the program's name; it may be empty.
 * @param root     data root where the words name none
 * @param ret      lines are appended
 * @return 0 or -ENOMEM
 */
int complete_line(const char *root, char *const *words, size_t count, struct ol_buf *ret);

/* complete_values.c */
/**
 * Complete the value of an option, or an argument.
 * @param command      NULL for a global option
 * @param option       its long name, NULL for an argument
 * @param placeholder  "DRIVER", "gzip|zstd|none", …
 */
void complete_value(struct complete *c, const char *command, const char *option,
                    const char *placeholder);

/* complete_root.c; a data root that is not there or cannot be read has nothing to offer. */
enum complete_snapshots { COMPLETE_SNAPSHOTS, COMPLETE_ACTIVE, COMPLETE_COMMITTED };
void complete_images(struct complete *c);
void complete_containers(struct complete *c);
void complete_layers(struct complete *c);
void complete_snapshots(struct complete *c, enum complete_snapshots which);

#endif
