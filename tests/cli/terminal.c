/* SPDX-License-Identifier: Apache-2.0 */
/* See terminal.h. */
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { PATIENCE_MS = 60000 };

static void become(const char *const *args)
{
    const char **argv;
    size_t n = 0;

    while (args[n] != NULL)
        n++;
    argv = calloc(n + 2, sizeof *argv);
    if (argv == NULL || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        _exit(126);
    program_default_signals();
    argv[0] = "overlab";
    memcpy(argv + 1, args, n * sizeof *argv);
    (void)execv(program_path(), (char **)(uintptr_t)argv); /* execv changes none of them */
    _exit(127);
}

void terminal_start(struct terminal *t, const char *const *args, unsigned rows, unsigned columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

    *t = (struct terminal){.fd = -1, .seen = OL_BUF_INIT};
    t->pid = forkpty(&t->fd, NULL, NULL, &size);
    assert_true(t->pid >= 0);
    if (t->pid == 0)
        become(args);
}

/* @return false at the end: the other side is closed, which Linux tells as EIO */
static bool read_more(struct terminal *t, int patience_ms)
{
    struct pollfd screen = {.fd = t->fd, .events = POLLIN};
    char block[4096];
    ssize_t n;

    if (poll(&screen, 1, patience_ms) != 1)
        fail_msg("nothing more comes after: %s", ol_buf_str(&t->seen));
    n = read(t->fd, block, sizeof block);
    if (n <= 0)
        return false;
    assert_int_equal(ol_buf_append(&t->seen, block, (size_t)n), 0);
    return true;
}

void terminal_await(struct terminal *t, const char *text)
{
    const char *found;

    while ((found = strstr(ol_buf_str(&t->seen) + t->from, text)) == NULL)
        if (!read_more(t, PATIENCE_MS))
            fail_msg("it ended without '%s': %s", text, ol_buf_str(&t->seen));
    t->from = (size_t)(found - ol_buf_str(&t->seen)) + strlen(text);
}

void terminal_type(struct terminal *t, const char *keys)
{
    assert_int_equal(write(t->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

void terminal_resize(struct terminal *t, unsigned rows, unsigned columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

    assert_int_equal(ioctl(t->fd, TIOCSWINSZ, &size), 0);
}

bool terminal_is_its_own(const struct terminal *t)
{
    return tcgetpgrp(t->fd) == t->pid;
}

int terminal_end(struct terminal *t)
{
    int status = 0;

    while (read_more(t, PATIENCE_MS))
        continue;
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    ol_fd_close(&t->fd);
    ol_buf_fini(&t->seen);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
