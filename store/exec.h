/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command inside a container's root, in mount, pid, uts and ipc namespaces of its own, for making
 * real changes with real tools. The network is the host's, no capability is dropped, no system call
 * filtered: this keeps mounts and processes tidy, it isolates nothing.
 *
 * Below the caller runs an init process, pid 1 of the new pid namespace, and below that the
 * command. When the command ends, the init ends, and with it whatever the command left running;
 * when the caller is killed the kernel kills the init. The mounts live in the init's mount
 * namespace and end with it. What they cover is what docker create made for it in the init layer;
 * nothing else is written to the root but a working directory that is missing.
 */
#ifndef OL_STORE_EXEC_H
#define OL_STORE_EXEC_H

#include "common/error.h"

#include <stdbool.h>

enum {
    OL_EXEC_FAILED = 125,     /* the command was never reached */
    OL_EXEC_CANNOT_RUN = 126, /* it is there and cannot be executed */
    OL_EXEC_NOT_FOUND = 127,
};

struct ol_exec {
    const char *root;        /* absolute path of the mounted root */
    const char *hostname;    /* NULL: the host's */
    const char *const *argv; /* NULL-terminated, at least one word; found through env's PATH */
    const char *const *env;  /* NULL-terminated "NAME=value" */
    const char *cwd;         /* inside the root; "" is "/"; made (0755) where it is missing */
    const char *user;        /* "user[:group]", names from the root's etc/passwd, etc/group; "" is
                                root */
    bool (*cancelled)(void); /* asked once signals go to the command only; NULL: never */
};

/**
 * Run it and wait. stdin, stdout, stderr and the terminal are the caller's; SIGHUP, SIGINT,
 * SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 and SIGWINCH that another process sends to the caller go to
 * the command (those of the terminal reach it by themselves, but for the SIGHUP of a terminal that
 * was closed, which goes to the command, too).
 *
 * Needs CAP_SYS_ADMIN in the caller's user namespace, a mount namespace whose mounts do not
 * propagate, and a caller with one thread.
 * @param ret_status  the command's status, 128 + the signal that killed it, or one of the above
 * @return 0 when the command ran; -ECANCELED; negative errno when it did not, with *ret_status set
 * as well
 */
int ol_exec_run(const struct ol_exec *exec, int *ret_status, struct ol_error *err);

#endif
