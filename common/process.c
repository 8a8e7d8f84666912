/* SPDX-License-Identifier: Apache-2.0 */
/* Running another program; see process.h. posix_spawn(3) is safe whatever threads there are. */
#include "common/process.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

static const char *const search_path[] = {
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
};

char *ol_process_find(const char *program)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(search_path); i++) {
        char *path = NULL;

        if (asprintf(&path, "%s/%s", search_path[i], program) < 0)
            return NULL;
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with a valid clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The file actions: no input, both outputs into the pipe. */
static int prepare(posix_spawn_file_actions_t *actions, int out_fd)
{
    int r = posix_spawn_file_actions_init(actions);

    if (r != 0)
        return -r;
    r = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(actions, out_fd, 1);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(actions, out_fd, 2);
    if (r != 0)
        (void)posix_spawn_file_actions_destroy(actions); /* only frees memory */
    return -r;
}

/* A child must not inherit blocked signals, nor an ignored SIGPIPE. */
static int prepare_signals(posix_spawnattr_t *attr)
{
    sigset_t none, defaults;
    int r = posix_spawnattr_init(attr);

    if (r != 0)
        return -r;
    (void)sigemptyset(&none); /* fails only for a NULL set */
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    r = posix_spawnattr_setsigmask(attr, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attr, &defaults);
    if (r == 0)
        r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (r != 0)
        (void)posix_spawnattr_destroy(attr); /* only frees memory */
    return -r;
}

static int spawn(const char *path, const char *const argv[], int out_fd, pid_t *ret)
{
    static char path_var[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char locale_var[] = "LC_ALL=C";
    char *const environment[] = {path_var, locale_var, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int r = prepare(&actions, out_fd);

    if (r < 0)
        return r;
    r = prepare_signals(&attr);
    if (r == 0) {
        /* posix_spawn takes char *const[] for historical reasons and changes nothing */
        r = -posix_spawn(ret, path, &actions, &attr, (char *const *)(uintptr_t)argv, environment);
        (void)posix_spawnattr_destroy(&attr); /* only frees memory */
    }
    (void)posix_spawn_file_actions_destroy(&actions); /* only frees memory */
    return r;
}

/* Read until the program closed its outputs; -ETIMEDOUT when that takes too long. */
static int read_output(int fd, unsigned timeout_ms, struct ol_buf *output)
{
    int64_t deadline = now_ms() + timeout_ms;
    size_t start = output->len;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = timeout_ms == 0 ? -1 : deadline - now_ms();
        char block[4096];
        size_t room;
        ssize_t n;

        if (timeout_ms != 0 && left <= 0)
            return -ETIMEDOUT;
        if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
            return -errno;
        if (p.revents == 0)
            continue;
        n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        room = OL_PROCESS_OUTPUT_MAX - (output->len - start);
        if (ol_buf_append(output, block, (size_t)n < room ? (size_t)n : room) < 0)
            return -ENOMEM;
    }
}

static int wait_for(pid_t pid, int *ret_status)
{
    pid_t got;

    do
        got = waitpid(pid, ret_status, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : 0;
}

/* The last line that says something. */
static const char *last_line(const char *text)
{
    const char *line = strrchr(text, '\n');

    return line != NULL ? line + 1 : text;
}

static int judge(const char *program, int status, const struct ol_buf *output, struct ol_error *err)
{
    const char *said = last_line(ol_buf_str(output));

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return ol_error_set(err, -ECHILD, "'%s' was killed by signal %d", program,
                            WTERMSIG(status));
    return ol_error_set(err, -ECHILD, "'%s' failed with status %d%s%s", program,
                        WEXITSTATUS(status), said[0] != '\0' ? ": " : "", said);
}

static int run_path(const char *path, const char *const argv[], unsigned timeout_ms,
                    struct ol_buf *output, struct ol_error *err)
{
    ol_auto_fd int read_fd = -1;
    ol_auto_fd int write_fd = -1;
    int ends[2];
    int status = 0;
    pid_t pid = -1;
    int r, waited;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return ol_error_sys(err, errno, "cannot make a pipe");
    read_fd = ends[0];
    write_fd = ends[1];
    r = spawn(path, argv, write_fd, &pid);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot run '%s'", path);
    ol_fd_close(&write_fd);
    r = read_output(read_fd, timeout_ms, output);
    if (r < 0)
        (void)kill(pid, SIGKILL); /* ours and not yet waited for: the id is still its own */
    waited = wait_for(pid, &status);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot read what '%s' says", path);
    if (waited < 0)
        return ol_error_sys(err, -waited, "cannot wait for '%s'", path);
    while (output->len > 0 && output->data[output->len - 1] == '\n')
        ol_buf_truncate(output, output->len - 1);
    return judge(argv[0], status, output, err);
}

int ol_process_run(const char *const argv[], unsigned timeout_ms, struct ol_buf *output,
                   struct ol_error *err)
{
    ol_auto_buf struct ol_buf own = OL_BUF_INIT;
    ol_auto_free char *found = NULL;
    const char *path = argv[0];

    if (strchr(path, '/') == NULL) {
        found = ol_process_find(path);
        path = found;
    }
    if (path == NULL)
        return ol_error_set(err, -ENOENT, "'%s' is not installed", argv[0]);
    return run_path(path, argv, timeout_ms, output != NULL ? output : &own, err);
}
