/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon in namespaces of its own; see daemon.h. */
#include "bench/engines/daemon.h"

#include "common/cleanup.h"
#include "common/process.h"
#include "common/trace.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum {
    LOG_TAIL = 4096, /* bytes of the log's end that are looked at */
    POLL_MS = 10,    /* between two looks at whether it is ready, or has ended */
};

struct ol_daemon {
    struct ol_daemon_config config; /* dir, data: borrowed; argv: not kept */
    char *name;                     /* owned; argv[0] */
    pid_t pid;
    int log_fd; /* owned; unlinked file */
    bool ended; /* waited for */
    int status; /* then: as waitpid() gave it */
};

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with a valid clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(unsigned ms)
{
    (void)poll(NULL, 0, (int)ms); /* a signal ends it early: the caller looks again */
}

/* ---- in the child: between clone and exec, so system calls only ---- */

struct child {
    const char *path;
    char *const *argv;
    char *const *env;
    int log_fd;
    int report_fd; /* close-on-exec: an errno and a step when it cannot start */
};

struct trouble {
    int errnum;
    const char *step; /* a literal: at the same address on both sides of the clone */
};

/* @return the step that failed, with errno; never NULL, as a successful exec does not return */
static const char *set_up(const struct child *child)
{
    static const int defaults[] = {SIGPIPE, SIGINT, SIGTERM, SIGQUIT, SIGHUP};
    sigset_t none;
    int null_fd;

    (void)sigemptyset(&none); /* fails only for a NULL set */
    for (size_t i = 0; i < OL_ARRAY_LEN(defaults); i++)
        (void)signal(defaults[i], SIG_DFL); /* fails only for numbers that are no signals */
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return "signals";
    if (setsid() < 0) /* a terminal's ^C is not for it */
        return "session";
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) /* it ends when we do */
        return "signal of our end";
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return "private mounts";
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return "/proc";
    if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
        return "/run";
    null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(child->log_fd, 1) < 0 ||
        dup2(child->log_fd, 2) < 0)
        return "input and output";
    if (chdir("/") < 0)
        return "working directory";
    (void)execve(child->path, child->argv, child->env);
    return "program";
}

__attribute__((noreturn)) static void become_daemon(const struct child *child)
{
    struct trouble trouble = {.step = set_up(child)};

    trouble.errnum = errno;
    (void)!write(child->report_fd, &trouble, sizeof trouble); /* the status says enough without */
    _exit(127);
}

/* ---- starting ---- */

static pid_t clone_into_namespaces(void)
{
    struct clone_args args = {.flags = CLONE_NEWPID | CLONE_NEWNS, .exit_signal = SIGCHLD};

    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static int open_log(struct ol_daemon *daemon, struct ol_error *err)
{
    daemon->log_fd = open(daemon->config.dir, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    return daemon->log_fd < 0
               ? ol_error_sys(err, errno, "cannot make a log in '%s'", daemon->config.dir)
               : 0;
}

/* Until the exec the pipe says what went wrong; the exec closes it. */
static int listen_to(const struct ol_daemon *daemon, int fd, struct ol_error *err)
{
    struct trouble trouble = {0};
    ssize_t n;

    do
        n = read(fd, &trouble, sizeof trouble);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof trouble)
        return 0;
    return ol_error_sys(err, trouble.errnum, "cannot start '%s': its %s", daemon->name,
                        trouble.step);
}

static int launch(struct ol_daemon *daemon, const char *path, const char *const *argv,
                  struct ol_error *err)
{
    static char path_var[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char locale_var[] = "LC_ALL=C";
    static char home_var[] = "HOME=/run";
    char *const env[] = {path_var, locale_var, home_var, NULL};
    ol_auto_fd int read_fd = -1;
    ol_auto_fd int write_fd = -1;
    struct child child = {
        .path = path,
        .argv = (char *const *)(uintptr_t)argv, /* execve changes none of them */
        .env = env,
        .log_fd = daemon->log_fd,
    };
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return ol_error_sys(err, errno, "cannot make a pipe");
    read_fd = ends[0];
    write_fd = ends[1];
    child.report_fd = write_fd;
    daemon->pid = clone_into_namespaces();
    if (daemon->pid == 0)
        become_daemon(&child);
    if (daemon->pid < 0) {
        daemon->ended = true;
        return ol_error_sys(err, errno, "cannot start '%s' in namespaces of its own", daemon->name);
    }
    ol_fd_close(&write_fd);
    return listen_to(daemon, read_fd, err);
}

int ol_daemon_start(const struct ol_daemon_config *config, struct ol_daemon **ret,
                    struct ol_error *err)
{
    ol_auto_free char *path = ol_process_find(config->argv[0]);
    struct ol_daemon *daemon;
    int r;

    if (path == NULL)
        return ol_error_set(err, -ENOENT, "'%s' is not installed", config->argv[0]);
    daemon = calloc(1, sizeof *daemon);
    if (daemon == NULL)
        return ol_error_nomem(err);
    *daemon = (struct ol_daemon){.config = *config, .log_fd = -1, .ended = true};
    daemon->config.argv = NULL;
    daemon->name = strdup(config->argv[0]);
    r = daemon->name == NULL ? ol_error_nomem(err) : open_log(daemon, err);
    if (r == 0) {
        daemon->ended = false;
        r = launch(daemon, path, config->argv, err);
    }
    if (r < 0) {
        ol_daemon_stop(daemon);
        return r;
    }
    ol_trace(OL_TRACE_BENCH, "%s started as process %d", config->argv[0], (int)daemon->pid);
    *ret = daemon;
    return 0;
}

/* ---- while it runs ---- */

static bool has_ended(struct ol_daemon *daemon)
{
    if (!daemon->ended && waitpid(daemon->pid, &daemon->status, WNOHANG) == daemon->pid)
        daemon->ended = true;
    return daemon->ended;
}

/* The last line of the log that says something, into text (which has room for LOG_TAIL + 1). */
static const char *last_words(const struct ol_daemon *daemon, char *text)
{
    struct stat st;
    ssize_t n = -1;
    char *line;

    if (fstat(daemon->log_fd, &st) == 0)
        n = pread(daemon->log_fd, text, LOG_TAIL,
                  st.st_size > LOG_TAIL ? st.st_size - LOG_TAIL : 0);
    if (n < 0)
        n = 0;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    text[n] = '\0';
    for (char *c = text; *c != '\0'; c++) { /* a log is for us to quote, not to act on a terminal */
        if ((unsigned char)*c < ' ' && *c != '\n')
            *c = ' ';
    }
    line = strrchr(text, '\n');
    return line != NULL ? line + 1 : text;
}

static int tell_end(const struct ol_daemon *daemon, struct ol_error *err)
{
    char text[LOG_TAIL + 1];
    const char *said = last_words(daemon, text);
    const char *colon = said[0] != '\0' ? ": " : "";

    if (WIFSIGNALED(daemon->status))
        return ol_error_set(err, -ECHILD, "'%s' was killed by signal %d%s%s", daemon->name,
                            WTERMSIG(daemon->status), colon, said);
    return ol_error_set(err, -ECHILD, "'%s' ended with status %d%s%s", daemon->name,
                        WEXITSTATUS(daemon->status), colon, said);
}

int ol_daemon_check(struct ol_daemon *daemon, struct ol_error *err)
{
    return has_ended(daemon) ? tell_end(daemon, err) : 0;
}

bool ol_daemon_ends_soon(struct ol_daemon *daemon, struct ol_error *err)
{
    int64_t deadline = now_ms() + 1000;

    while (!has_ended(daemon) && now_ms() < deadline)
        pause_ms(POLL_MS);
    return ol_daemon_check(daemon, err) < 0;
}

static int tell_silence(const struct ol_daemon *daemon, struct ol_error *err)
{
    char text[LOG_TAIL + 1];
    const char *said = last_words(daemon, text);

    return ol_error_set(err, -ETIMEDOUT, "'%s' was not ready within %u s%s%s", daemon->name,
                        daemon->config.timeout_s, said[0] != '\0' ? "; it last said: " : "", said);
}

int ol_daemon_wait(struct ol_daemon *daemon, int (*ready)(void *data, struct ol_error *err),
                   void *data, struct ol_error *err)
{
    const struct ol_daemon_config *config = &daemon->config;
    int64_t deadline = now_ms() + (int64_t)config->timeout_s * 1000;
    ol_auto_error struct ol_error end = OL_ERROR_INIT;

    for (;;) {
        int r;

        if (config->cancelled != NULL && config->cancelled(config->data))
            return ol_error_set(err, -ECANCELED, "interrupted");
        r = ol_daemon_check(daemon, err);
        if (r == 0)
            r = ready(data, err);
        if (r == -EPIPE && ol_daemon_ends_soon(daemon, &end)) { /* that is why it broke off */
            ol_error_fini(err);
            ol_error_move(err, &end);
            return -ECHILD;
        }
        if (r != 0)
            return r < 0 ? r : 0;
        if (now_ms() >= deadline)
            return tell_silence(daemon, err);
        pause_ms(POLL_MS);
    }
}

char *ol_daemon_run_path(const struct ol_daemon *daemon, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "/proc/%d/root/run/%s", (int)daemon->pid, name) < 0 ? NULL : path;
}

void ol_daemon_stop(struct ol_daemon *daemon)
{
    unsigned limit_s;
    int64_t deadline;

    if (daemon == NULL)
        return;
    limit_s = daemon->config.timeout_s < OL_DAEMON_STOP_S ? daemon->config.timeout_s
                                                          : (unsigned)OL_DAEMON_STOP_S;
    deadline = now_ms() + (int64_t)limit_s * 1000;
    if (!has_ended(daemon))
        (void)kill(daemon->pid, SIGTERM); /* ours and not yet waited for: the id is its own */
    while (!has_ended(daemon) && now_ms() < deadline)
        pause_ms(POLL_MS);
    if (!has_ended(daemon)) {
        ol_trace(OL_TRACE_BENCH, "%s did not stop within %u s: killed", daemon->name, limit_s);
        (void)kill(daemon->pid, SIGKILL); /* and with it its whole PID namespace */
        while (waitpid(daemon->pid, &daemon->status, 0) < 0 && errno == EINTR)
            continue;
    }
    ol_fd_close(&daemon->log_fd);
    free(daemon->name);
    free(daemon);
}
