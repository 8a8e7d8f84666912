/* SPDX-License-Identifier: Apache-2.0 */
/* See child.h. */
#include "cli/child.h"

#include "cli/cli.h"
#include "common/io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The parent's SIGTERM may be the second one, which would kill before all is cleaned up. */
static void keep_handling_sigterm(void)
{
    struct sigaction action;

    (void)sigaction(SIGTERM, NULL, &action); /* neither call can fail for this signal */
    action.sa_flags &= ~(int)SA_RESETHAND;
    (void)sigaction(SIGTERM, &action, NULL);
}

static void hold_signals(sigset_t *ret_before)
{
    sigset_t all;

    (void)sigfillset(&all); /* neither can fail for these arguments */
    (void)sigprocmask(SIG_SETMASK, &all, ret_before);
}

/*
 * Signals wait meanwhile: one that came before the fork has reset its handler, and the child would
 * die of the next.
 */
static int fork_child(pid_t *ret, struct ol_error *err)
{
    sigset_t before;
    int r = 0;

    hold_signals(&before);
    if (ol_cli_cancelled()) {
        r = ol_error_set(err, -ECANCELED, "interrupted");
    } else {
        *ret = fork();
        if (*ret < 0)
            r = ol_error_sys(err, errno, "cannot start a process");
    }
    if (r == 0 && *ret == 0)
        keep_handling_sigterm();
    (void)sigprocmask(SIG_SETMASK, &before, NULL); /* cannot fail */
    return r;
}

int child_start(struct child *ret, struct ol_error *err)
{
    struct child child = {.pid = -1};
    int ends[2];
    int r = ol_io_pipe(ends, err);

    if (r < 0)
        return r;
    (void)fflush(stdout); /* the child must not print what waits there once more */
    r = fork_child(&child.pid, err);
    child.fd = r == 0 && child.pid == 0 ? ends[1] : ends[0];
    close(r == 0 && child.pid == 0 ? ends[0] : ends[1]);
    if (r < 0)
        close(child.fd);
    else
        *ret = child;
    return r;
}

/* Signals come while this waits and at no other time, so that none is between looking and waiting.
 */
static int await(struct child *child)
{
    struct pollfd pipe = {.fd = child->fd, .events = POLLIN};
    sigset_t before;
    int n;

    hold_signals(&before);
    do {
        if (ol_cli_cancelled() && !child->told) {
            (void)kill(child->pid, SIGTERM); /* it is there until it was waited for */
            child->told = true;
        }
        n = ppoll(&pipe, 1, NULL, &before);
    } while (n < 0 && errno == EINTR);
    n = n < 0 ? -errno : 0;
    (void)sigprocmask(SIG_SETMASK, &before, NULL); /* cannot fail */
    return n;
}

ssize_t child_read(struct child *child, void *data, size_t size)
{
    int r = await(child);
    ssize_t n;

    if (r < 0)
        return r;
    do
        n = read(child->fd, data, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int child_end(struct child *child)
{
    int status = 0;

    close(child->fd);
    child->fd = -1;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}
