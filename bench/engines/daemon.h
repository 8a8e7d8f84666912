/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real engine's daemon as a child that cannot outlive us. It is process 1 of a PID namespace and
 * has a mount namespace of its own: when it ends, or is killed, the kernel ends everything it
 * started and takes back everything it mounted. It also ends when we do, however that happens. Its
 * /run is an empty tmpfs: sockets and state there are its own, have short names (a socket's may
 * have 107 bytes), and no daemon of the host can be mistaken for it.
 */
#ifndef OL_BENCH_ENGINES_DAEMON_H
#define OL_BENCH_ENGINES_DAEMON_H

#include "common/error.h"

#include <stdbool.h>

enum {
    OL_DAEMON_STOP_S = 15, /* after SIGTERM, before SIGKILL; never more than the time limit */
};

struct ol_daemon;

struct ol_daemon_config {
    const char *const *argv; /* argv[0]: a name for ol_process_find(), and the one in messages */
    const char *dir;         /* where its log goes, which is unlinked at once */
    unsigned timeout_s;      /* for starting, and the most it gets for stopping */
    bool (*cancelled)(void *data); /* asked while waiting; may be NULL */
    void *data;
};

/** Start it. dir and data are borrowed until it is stopped. -ENOENT: not installed. */
int ol_daemon_start(const struct ol_daemon_config *config, struct ol_daemon **ret,
                    struct ol_error *err);

/**
 * Wait until ready() says so: it returns 1, 0 for not yet, or negative errno with a text.
 * @return 0; what ready() returned; -ECANCELED; -ETIMEDOUT; -ECHILD when the daemon ended, with the
 * last line of its log
 */
int ol_daemon_wait(struct ol_daemon *daemon, int (*ready)(void *data, struct ol_error *err),
                   void *data, struct ol_error *err);

/** 0 while it runs; -ECHILD once it ended, with how and the last line of its log. */
int ol_daemon_check(struct ol_daemon *daemon, struct ol_error *err);

/** True when it ended or does so within a second, as one that broke off a connection may; err says
 * how, as from ol_daemon_check(). */
bool ol_daemon_ends_soon(struct ol_daemon *daemon, struct ol_error *err);

/** A path of the daemon's own /run as we can reach it: "/proc/<pid>/root/run/<name>"; owned by the
 * caller, NULL without memory. */
char *ol_daemon_run_path(const struct ol_daemon *daemon, const char *name);

/** SIGTERM, then SIGKILL, and wait; then nothing of it is left. Accepts NULL. */
void ol_daemon_stop(struct ol_daemon *daemon);

#endif
