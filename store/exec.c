/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a command in a container's root; see exec.h. Three processes: the caller, which waits and
 * passes signals on; the init, pid 1 of the new pid namespace, which makes the root, starts the
 * command, collects the dead and passes signals on; the command.
 *
 * A pipe that is closed by a successful execve(2) tells the caller whether the command was reached,
 * and if not, why. Another one, of which the caller holds the writing end, tells the init that the
 * caller still lives after it has asked to be killed with it.
 */
#include "store/exec_internal.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    INIT_STACK = 256 << 10, /* bytes; the functions called there are shallow */
    REPORT_MAX = 4096,      /* bytes of a failure's text */
};

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};

/* What a process below could not do. */
struct report {
    int code;   /* negative errno */
    int status; /* enum of exec.h */
    char text[REPORT_MAX];
};

struct run {
    const struct ol_exec *exec;
    sigset_t old_mask; /* of the caller, and of the command */
    sigset_t waited;   /* what is waited for: passed_on and SIGCHLD */
    bool terminal;     /* the command gets the foreground of the caller's terminal */
    int alive[2];      /* owned */
    int reports[2];    /* owned */
};

/* --- the processes below --- */

__attribute__((noreturn)) static void give_up(const struct run *run, int code, int status,
                                              const struct ol_error *err)
{
    struct report report = {.code = code, .status = status};

    (void)snprintf(report.text, sizeof report.text, "%s", ol_error_text(err));
    (void)ol_io_write(run->reports[1], &report, sizeof report); /* the status tells the rest */
    _exit(status);
}

/* Not found anywhere is 127, found and of no use is 126, as shells and docker have it. */
__attribute__((noreturn)) static void cannot_execute(const struct run *run, const char *name,
                                                     int code)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    bool missing = code == ENOENT || code == ENOTDIR;

    (void)ol_error_sys(&err, code, "cannot run '%s' in the container", name);
    give_up(run, -code, missing ? OL_EXEC_NOT_FOUND : OL_EXEC_CANNOT_RUN, &err);
}

static const char *variable(const char *const *env, const char *name)
{
    size_t len = strlen(name);

    for (; *env != NULL; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
            return *env + len + 1;
    return NULL;
}

/* Like execvpe(3), with the PATH of the new environment, and without its shell for scripts. */
static int execute(const char *const *argv, const char *const *env)
{
    const char *path = variable(env, "PATH");
    int code = ENOENT;

    if (strchr(argv[0], '/') != NULL || argv[0][0] == '\0') {
        (void)execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
        return errno;
    }
    for (const char *dir = path != NULL ? path : ""; *dir != '\0';) {
        size_t len = strcspn(dir, ":");
        ol_auto_free char *file = NULL;

        if (asprintf(&file, "%.*s/%s", (int)len, dir, argv[0]) < 0)
            return ENOMEM;
        (void)execve(file, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
        if (errno != ENOENT && errno != ENOTDIR)
            code = errno;
        dir += len + (dir[len] == ':');
    }
    return code;
}

/* docker makes a working directory that is missing, for root. */
static int enter_cwd(const char *cwd, struct ol_error *err)
{
    ol_auto_fd int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ol_auto_fd int fd = -1;

    if (root_fd < 0)
        return ol_error_sys(err, errno, "cannot open the container's root");
    fd = ol_path_open(root_fd, cwd, O_PATH | O_DIRECTORY, 0);
    if (fd == -ENOENT) {
        ol_auto_free char *clean = strdup(cwd);

        if (clean == NULL)
            return ol_error_nomem(err);
        (void)ol_path_clean(cwd, clean); /* what climbs ends at the root */
        fd = ol_path_mkdirs(root_fd, clean, 0755, NULL);
    }
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open working directory '%s' of the container", cwd);
    return fchdir(fd) < 0 ? ol_error_sys(err, errno, "cannot enter working directory '%s'", cwd)
                          : 0;
}

/* The environment, with HOME where nobody set it. */
static const char **complete_env(const struct ol_exec *exec, const struct ol_exec_user *user)
{
    size_t count = 0;
    const char **env;
    char *home = NULL;

    while (exec->env[count] != NULL)
        count++;
    env = calloc(count + 2, sizeof *env);
    if (env == NULL)
        return NULL;
    memcpy(env, exec->env, count * sizeof *env);
    if (variable(exec->env, "HOME") == NULL) {
        if (asprintf(&home, "HOME=%s", ol_buf_str(&user->home)) < 0) {
            free(env);
            return NULL;
        }
        env[count] = home; /* lives as long as the process */
    }
    return env;
}

/*
 * A shell in there wants to know its terminal's process group, and the caller's has no number in
 * the new pid namespace. SIGTTOU is blocked.
 */
static void take_terminal(void)
{
    (void)setpgid(0, 0); /* fails only for session leaders, which this is not */
    (void)tcsetpgrp(STDIN_FILENO, getpgrp());
}

/* The command's process, before it is one. */
__attribute__((noreturn)) static void become_command(const struct run *run)
{
    struct ol_error err = OL_ERROR_INIT;
    struct ol_exec_user user = {.home = OL_BUF_INIT};
    const char **env = NULL;
    int r = ol_exec_user_find(run->exec->user, &user, &err);

    if (r == 0)
        r = enter_cwd(run->exec->cwd, &err);
    if (r == 0)
        r = ol_exec_user_become(&user, &err);
    if (r == 0) {
        env = complete_env(run->exec, &user);
        r = env == NULL ? ol_error_nomem(&err) : 0;
    }
    if (r < 0)
        give_up(run, r, OL_EXEC_FAILED, &err);
    if (run->terminal)
        take_terminal();
    (void)signal(SIGPIPE, SIG_DFL); /* overlab ignores it */
    (void)sigprocmask(SIG_SETMASK, &run->old_mask, NULL);
    cannot_execute(run, run->exec->argv[0], execute(run->exec->argv, env));
}

/* --- waiting, in the caller and in the init --- */

static int status_of(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* Whether the child ended; others that did are collected. With the terminal its own nobody is there
 * to wake a command that a key has stopped: it goes on. */
static bool has_ended(const struct run *run, pid_t child, pid_t which, int *ret_status)
{
    const int flags = WNOHANG | (run->terminal && which < 0 ? WUNTRACED : 0);
    int status = 0;
    pid_t pid;

    while ((pid = waitpid(which, &status, flags)) > 0) {
        if (WIFSTOPPED(status))
            (void)kill(pid, SIGCONT);
        else if (pid == child) {
            *ret_status = status_of(status);
            return true;
        }
    }
    if (pid < 0 && errno == ECHILD) { /* somebody else collected it: cannot happen */
        *ret_status = OL_EXEC_FAILED;
        return true;
    }
    return false;
}

/* What the terminal sends goes to all processes in its foreground, the command included; but that
 * it was closed is told to the leader of the session only, and that may be us. */
static bool from_terminal(const siginfo_t *info)
{
    return info->si_code == SI_KERNEL && info->si_signo != SIGHUP;
}

/* @param which  what waitpid(2) is asked for: the child, or -1 for an init */
static int wait_and_pass_on(const struct run *run, pid_t child, pid_t which)
{
    int status;

    while (!has_ended(run, child, which, &status)) {
        siginfo_t info;
        int number = sigwaitinfo(&run->waited, &info);

        if (number > 0 && number != SIGCHLD && !from_terminal(&info))
            (void)kill(child, number); /* it may be gone: then the next turn sees that */
    }
    return status;
}

/* --- the init --- */

/* The caller may have died before it was tied to us: then its end of the pipe is closed. */
static void tie_to_caller(struct run *run)
{
    char byte;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        _exit(OL_EXEC_FAILED);
    ol_fd_close(&run->alive[1]);
    if (ol_io_read(run->alive[0], &byte, 1) != 1)
        _exit(OL_EXEC_FAILED);
    ol_fd_close(&run->alive[0]);
}

static int init_main(void *data)
{
    struct run *run = data;
    struct ol_error err = OL_ERROR_INIT;
    pid_t child;
    int r = 0;

    tie_to_caller(run);
    (void)prctl(PR_SET_NAME, "overlab-init"); /* for ps(1) only */
    if (run->exec->hostname != NULL &&
        sethostname(run->exec->hostname, strlen(run->exec->hostname)) < 0)
        r = ol_error_sys(&err, errno, "cannot set the host name");
    if (r == 0)
        r = ol_exec_enter_root(run->exec->root, &err);
    if (r < 0)
        give_up(run, r, OL_EXEC_FAILED, &err);
    child = fork();
    if (child < 0)
        give_up(run, ol_error_sys(&err, errno, "cannot make a process"), OL_EXEC_FAILED, &err);
    if (child == 0)
        become_command(run);
    ol_fd_close(&run->reports[1]);
    _exit(wait_and_pass_on(run, child, -1)); /* the kernel kills what is left here */
}

/* --- the caller --- */

static int start_init(struct run *run, pid_t *ret, struct ol_error *err)
{
    const int flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD;
    char *stack = malloc(INIT_STACK); /* of the copy: not shared memory */
    pid_t pid;

    if (stack == NULL)
        return ol_error_nomem(err);
    pid = clone(init_main, stack + INIT_STACK, flags, run);
    if (pid < 0)
        (void)ol_error_sys(err, errno, "cannot make namespaces for the command");
    free(stack);
    if (pid < 0)
        return err != NULL ? err->code : -EPERM;
    *ret = pid;
    return 0;
}

/* Nothing comes when the command was reached. */
static int read_report(const struct run *run, int *ret_status, struct ol_error *err)
{
    struct report report;
    ssize_t n = ol_io_read(run->reports[0], &report, sizeof report);

    if (n == 0)
        return 0;
    *ret_status = OL_EXEC_FAILED;
    if (n != (ssize_t)sizeof report)
        return ol_error_set(err, -EIO, "what the command's start said cannot be read");
    report.text[sizeof report.text - 1] = '\0';
    *ret_status = report.status;
    return ol_error_set(err, report.code, "%s", report.text);
}

static int run_and_wait(struct run *run, int *ret_status, struct ol_error *err)
{
    pid_t init = -1;
    int r = start_init(run, &init, err);
    int status;

    if (r < 0)
        return r;
    ol_fd_close(&run->alive[0]);
    ol_fd_close(&run->reports[1]);
    (void)ol_io_write(run->alive[1], "a", 1); /* fails only when the init is gone already */
    r = read_report(run, ret_status, err);
    status = wait_and_pass_on(run, init, init);
    if (r == 0)
        *ret_status = status;
    return r;
}

static int make_pipes(struct run *run, struct ol_error *err)
{
    if (pipe2(run->alive, O_CLOEXEC) < 0 || pipe2(run->reports, O_CLOEXEC) < 0)
        return ol_error_sys(err, errno, "cannot make a pipe");
    return 0;
}

int ol_exec_run(const struct ol_exec *exec, int *ret_status, struct ol_error *err)
{
    struct run run = {.exec = exec, .alive = {-1, -1}, .reports = {-1, -1}};
    sigset_t blocked;
    int r;

    *ret_status = OL_EXEC_FAILED;
    /* not in a pipeline, whose other end may need the terminal, and not in the background */
    run.terminal = isatty(STDOUT_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
    (void)sigemptyset(&run.waited); /* cannot fail for a valid set */
    (void)sigaddset(&run.waited, SIGCHLD);
    for (size_t i = 0; i < OL_ARRAY_LEN(passed_on); i++)
        (void)sigaddset(&run.waited, passed_on[i]);
    r = make_pipes(&run, err);
    if (r == 0) {
        blocked = run.waited;
        (void)sigaddset(&blocked, SIGTTOU); /* for tcsetpgrp(3) from the background */
        (void)sigprocmask(SIG_BLOCK, &blocked, &run.old_mask); /* in force below as well */
        if (exec->cancelled != NULL && exec->cancelled())
            r = ol_error_set(err, -ECANCELED, "interrupted");
        else
            r = run_and_wait(&run, ret_status, err);
        if (run.terminal)
            (void)tcsetpgrp(STDIN_FILENO, getpgrp());
        (void)sigprocmask(SIG_SETMASK, &run.old_mask, NULL);
    }
    for (size_t i = 0; i < 2; i++) {
        ol_fd_close(&run.alive[i]);
        ol_fd_close(&run.reports[i]);
    }
    return r;
}
