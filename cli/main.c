/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlab command: global options, the subcommand looked up in the table, signals, and the last
 * word on stdout. Messages, exit statuses and cancellation of cli.h live here too.
 */
#include "cli/cli.h"

#include "common/cleanup.h"
#include "common/trace.h"
#include "store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

static volatile sig_atomic_t cancel_signal;
static volatile sig_atomic_t cancel_input = -1;
static int null_fd = -1;

static void on_signal(int signal_number)
{
    int saved = errno;
    int fd = cancel_input;

    cancel_signal = signal_number;
    if (fd >= 0 && null_fd >= 0)
        (void)dup2(null_fd, fd); /* fails only for a descriptor that is closed: nothing to end */
    errno = saved;
}

bool ol_cli_cancelled(void)
{
    return cancel_signal != 0;
}

bool ol_cli_is_cancelled(void *data)
{
    (void)data; /* one flag for the process */
    return ol_cli_cancelled();
}

void ol_cli_cancel_input(int fd)
{
    cancel_input = fd;
}

void ol_cli_cancel_image(const char *image)
{
    if (ol_image_is_stdin(image))
        ol_cli_cancel_input(STDIN_FILENO);
}

/*
 * The first SIGINT, SIGTERM or SIGHUP asks for a clean end, a second one of the same kind kills. No
 * SA_RESTART: a read that waits returns and finds its input at an end.
 */
static void install_signals(void)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction old;

    (void)sigemptyset(&action.sa_mask); /* cannot fail for a valid set */
    for (size_t i = 0; i < OL_ARRAY_LEN(ending); i++) {
        if (sigaction(ending[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            (void)sigaction(ending[i], &action, NULL); /* cannot fail for these signals */
    }
    action.sa_handler = SIG_IGN; /* a reader that goes away is a write error, seen by the writer */
    action.sa_flags = 0;
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* End as the signal would have ended us, so that the shell knows. */
static void die_by(int signal_number)
{
    sigset_t set;

    (void)signal(signal_number, SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signal_number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(signal_number);
}

/* In one piece, whatever other threads have to say. */
static void put_line(const char *first, const char *second, const char *third, const char *text)
{
    flockfile(stderr);
    fprintf(stderr, "%s%s%s", first, second, third);
    ol_cli_put_visible(stderr, text, "");
    fputc('\n', stderr);
    funlockfile(stderr);
}

__attribute__((format(printf, 3, 0))) static void say(const struct ol_cli *cli, const char *kind,
                                                      const char *fmt, va_list ap)
{
    ol_auto_free char *text = NULL;

    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    put_line(cli->invocation, ": ", kind, text != NULL ? text : fmt);
}

void ol_cli_complain(const struct ol_cli *cli, const char *text)
{
    put_line(cli->invocation, ": ", "", text);
}

void ol_cli_warn(struct ol_cli *cli, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(cli, "warning: ", fmt, ap);
    va_end(ap);
}

void ol_cli_note(struct ol_cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->quiet)
        return;
    va_start(ap, fmt);
    say(cli, "", fmt, ap);
    va_end(ap);
}

void ol_cli_detail(struct ol_cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (!cli->verbose || cli->quiet)
        return;
    va_start(ap, fmt);
    say(cli, "", fmt, ap);
    va_end(ap);
}

/* Of the first write to standard output that failed, which is told at the end; 0: none. */
static int output_error;

int ol_cli_fail(struct ol_cli *cli, int r, const struct ol_error *err)
{
    const char *text = err != NULL && err->message != NULL ? err->message : strerrordesc_np(-r);

    if (cancel_signal != 0 || output_error != 0)
        ol_cli_detail(cli, "%s", text); /* the consequence of that */
    else
        ol_cli_complain(cli, text);
    return r == -ENOTSUP || r == -EPERM ? OL_EXIT_IMPOSSIBLE : OL_EXIT_FAILED;
}

bool ol_cli_color(const struct ol_cli *cli, int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return !cli->no_color && (no_color == NULL || no_color[0] == '\0') && isatty(fd) &&
           term != NULL && strcmp(term, "dumb") != 0;
}

static void print_trace(enum ol_trace_area area, const char *text, void *data)
{
    (void)data; /* one sink for the process */
    put_line("overlab[", ol_trace_area_name(area), "]: ", text);
}

static void start_trace(struct ol_cli *cli)
{
    const char *wanted = getenv("OL_DEBUG");
    const char *bad = NULL;
    unsigned mask = 0;
    int len = 0;

    if (wanted != NULL && !ol_cli_parse_areas(wanted, &mask, &bad, &len))
        ol_cli_warn(cli, "no debug area '%.*s' (in OL_DEBUG)", len, bad);
    cli->debug |= mask;
    ol_trace_set_sink(cli->debug != 0 ? print_trace : NULL, NULL, cli->debug);
}

static char *home_directory(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home != NULL && home[0] == '/')
        return strdup(home);
    user = getpwuid(geteuid()); /* one thread so far */
    return strdup(user != NULL && user->pw_dir[0] == '/' ? user->pw_dir : "/");
}

/* Where data goes when --root is not given. */
static char *default_root(void)
{
    const char *data_home = getenv("XDG_DATA_HOME");
    ol_auto_free char *home = NULL;
    char *root = NULL;
    int len;

    if (geteuid() == 0)
        return strdup("/var/lib/overlab");
    if (data_home != NULL && data_home[0] == '/') {
        len = asprintf(&root, "%s/overlab", data_home);
        return len < 0 ? NULL : root;
    }
    home = home_directory();
    if (home == NULL)
        return NULL;
    len = asprintf(&root, "%s/.local/share/overlab", strcmp(home, "/") == 0 ? "" : home);
    return len < 0 ? NULL : root;
}

/* Make cli->root absolute, whatever was given. */
static int settle_root(struct ol_cli *cli)
{
    ol_auto_free char *here = NULL;
    char *root = NULL;

    if (cli->root == NULL) {
        cli->root = default_root();
        return cli->root == NULL ? -ENOMEM : 0;
    }
    if (cli->root[0] == '/')
        return 0;
    here = getcwd(NULL, 0);
    if (here == NULL)
        return -errno;
    if (asprintf(&root, "%s/%s", here, cli->root) < 0)
        return -ENOMEM;
    free(cli->root);
    cli->root = root;
    return 0;
}

static int set_invocation(struct ol_cli *cli, const char *command)
{
    char *text = NULL;

    if (asprintf(&text, "overlab%s%s", command[0] != '\0' ? " " : "", command) < 0)
        return -ENOMEM;
    free(cli->invocation);
    cli->invocation = text;
    return 0;
}

/* "no subcommand 'layer crate': did you mean 'layer create'?" */
static int say_no_subcommand(struct ol_cli *cli, const char *text)
{
    int len = 0;
    const char *near = ol_cli_nearest_command(text, &len);

    if (near == NULL)
        return ol_cli_usage(cli, "no subcommand '%s'", text);
    return ol_cli_usage(cli, "no subcommand '%s': did you mean '%.*s'?", text, len, near);
}

/* No row: a group without its second word, or a mistake. */
static int run_no_command(struct ol_cli *cli, int argc, char **argv)
{
    ol_auto_free char *two = NULL;

    if (!ol_cli_is_group(argv[0]))
        return say_no_subcommand(cli, argv[0]);
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)ol_cli_print_group(stdout, argv[0]);
        return OL_EXIT_OK;
    }
    if (set_invocation(cli, argv[0]) < 0)
        return ol_cli_fail(cli, -ENOMEM, NULL);
    if (argc < 2)
        return ol_cli_usage(cli, "'%s' needs a second word, such as 'overlab %s ls'", argv[0],
                            argv[0]);
    if (asprintf(&two, "%s %s", argv[0], argv[1]) < 0) {
        two = NULL;
        return ol_cli_fail(cli, -ENOMEM, NULL);
    }
    return say_no_subcommand(cli, two);
}

int ol_cli_run(struct ol_cli *cli, const struct ol_cli_command *command, int argc, char **argv)
{
    cli->command = command;
    if (set_invocation(cli, command->name) < 0)
        return ol_cli_fail(cli, -ENOMEM, NULL);
    if (cli->json && (command->flags & OL_CLI_HAS_JSON) == 0)
        return ol_cli_usage(cli, "there is no JSON of '%s'", command->name);
    argv[0] = cli->invocation; /* getopt begins its messages with it */
    return command->run(cli, argc, argv);
}

static int run_command(struct ol_cli *cli, int argc, char **argv)
{
    int words;
    const struct ol_cli_command *command = ol_cli_find_words(argc, argv, &words);

    if (command == NULL)
        return run_no_command(cli, argc, argv);
    return ol_cli_run(cli, command, argc - (words - 1), argv + (words - 1));
}

bool ol_cli_prepare(struct ol_cli *cli)
{
    int r = settle_root(cli);

    if (r < 0) {
        cli->status = ol_cli_fail(cli, r, NULL);
        return false;
    }
    start_trace(cli);
    if ((cli->command->flags & OL_CLI_NEEDS_ROOT) != 0 && geteuid() != 0) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        r = ol_error_set(&err, -EPERM, "only root can do this: run it with sudo");
        cli->status = ol_cli_fail(cli, r, &err);
        return false;
    }
    return true;
}

int ol_cli_flush(struct ol_error *err)
{
    if (output_error == 0 && fflush(stdout) != 0)
        output_error = errno;
    return output_error == 0 ? 0 : ol_error_sys(err, output_error, "cannot write the output");
}

/* A result that did not reach its reader is a failure. */
int ol_cli_finish_output(struct ol_cli *cli, int status)
{
    int e = ol_cli_flush(NULL) < 0 ? output_error : 0;

    if (ferror(stdout) != 0 && e == 0)
        e = EIO; /* an earlier write failed and its errno is gone */
    if (e == 0 && close(STDOUT_FILENO) < 0 && errno != EBADF)
        e = errno; /* network file systems report a full disk here */
    if (e == 0 || cancel_signal != 0)
        return status;
    if (e == EPIPE)
        die_by(SIGPIPE);
    fprintf(stderr, "%s: cannot write to standard output: %s\n", cli->invocation,
            strerrordesc_np(e));
    return OL_EXIT_FAILED;
}

/* stdin, stdout and stderr must be open: a file of ours must never get their numbers. */
static int open_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* a write to a closed stdout must fail */
    } while (fd >= 0 && fd <= STDERR_FILENO);
    null_fd = fd;
    return fd < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
    struct ol_cli cli = {0};
    int status = OL_EXIT_FAILED;
    int first;

    if (open_standard_fds() < 0 || set_invocation(&cli, "") < 0)
        return OL_EXIT_FAILED;
    (void)setlocale(LC_CTYPE, ""); /* the width of names in tables; "C" when it is not known */
    install_signals();
    if (argc > 0)
        argv[0] = cli.invocation;
    first = ol_cli_parse_global(&cli, argc, argv);
    if (first < 0)
        status = cli.status;
    else if (first >= argc)
        status = ol_cli_usage(&cli, "a subcommand is missing");
    else
        status = run_command(&cli, argc - first, argv + first);
    status = ol_cli_finish_output(&cli, status);
    if (cancel_signal != 0)
        fprintf(stderr, "%s: interrupted\n", cli.invocation);
    free(cli.root);
    free(cli.invocation);
    if (cancel_signal != 0)
        die_by(cancel_signal);
    return status;
}
