/* SPDX-License-Identifier: Apache-2.0 */
/* A child that does a subcommand's work, and is told of the signals that end us. */
#ifndef OL_CLI_CHILD_H
#define OL_CLI_CHILD_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid; /* 0 in the child itself */
    int fd;    /* owned; a pipe from the child to us: its writing end in the child, which is closed
                * by its end at the latest */
    bool told; /* it knows that it shall end */
};

/**
 * Fork. In the child a SIGTERM, and a second one, asks for a clean end (ol_cli_cancelled());
 * nothing is printed that waited in stdout before.
 * @return 0, in both; -ECANCELED a signal came before; another negative errno: there is no child
 */
int child_start(struct child *ret, struct ol_error *err);

/**
 * What the child writes next; a signal that comes meanwhile, or came before, is handed on to it as
 * one SIGTERM.
 * @return bytes; 0 it closed its end; negative errno
 */
ssize_t child_read(struct child *child, void *data, size_t size);

/** Wait for its end; only behind child_read()'s 0 does that not take long.
 * @return status as of waitpid(2) */
int child_end(struct child *child);

#endif
