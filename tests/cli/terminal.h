/* SPDX-License-Identifier: Apache-2.0 */
/* The overlab command on a pseudo-terminal, as somebody at a keyboard has it. */
#ifndef OL_TESTS_CLI_TERMINAL_H
#define OL_TESTS_CLI_TERMINAL_H

#include "cli/program.h"

#include "common/buf.h"

struct terminal {
    pid_t pid;          /* the command; leads a session of its own */
    int fd;             /* owned: the keyboard's and screen's side */
    struct ol_buf seen; /* owned: all that was on the screen, with CR LF */
    size_t from;        /* where the next terminal_await() looks from */
};

/** Start it with these arguments (without the program's name) on a terminal of this size. */
void terminal_start(struct terminal *t, const char *const *args, unsigned rows, unsigned columns);
/** Wait for the text to come; what comes after it is left to the next call. Fails the test when it
 * does not come for a minute, or the command ends first. */
void terminal_await(struct terminal *t, const char *text);
void terminal_type(struct terminal *t, const char *keys);
void terminal_resize(struct terminal *t, unsigned rows, unsigned columns);
/** Whether the command's own process group has the terminal. */
bool terminal_is_its_own(const struct terminal *t);
/** Wait for its end and release t. @return its exit status, or 128 + the signal that ended it */
int terminal_end(struct terminal *t);

#endif
