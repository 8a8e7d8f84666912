/* SPDX-License-Identifier: Apache-2.0 */
/* Running the overlab command; see program.h. */
#include "cli/program.h"

#include "common/buf.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

void program_result_fini(struct program_result *result)
{
    free(result->out);
    free(result->err);
    result->out = result->err = NULL;
}

const char *program_path(void)
{
    const char *other = getenv("OL_TEST_PROGRAM");

    return other != NULL ? other : OL_PROGRAM;
}

static void set_environment(const char *const *env)
{
    (void)unsetenv("NO_COLOR");
    (void)unsetenv("OL_DEBUG");
    (void)unsetenv("ARGP_HELP_FMT");
    for (; env != NULL && *env != NULL; env++) {
        char *pair = strdup(*env);

        if (pair == NULL || putenv(pair) != 0)
            _exit(126);
    }
}

void program_default_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

    for (size_t i = 0; i < OL_ARRAY_LEN(signals); i++)
        (void)signal(signals[i], SIG_DFL); /* cannot fail for these */
}

static void become_program(const struct program_run *run, const int out[2], const int err[2])
{
    const char **argv;
    size_t n = 0;
    int in = open(run->in_path != NULL ? run->in_path : "/dev/null", O_RDONLY);
    int to = run->out_path != NULL ? open(run->out_path, O_WRONLY) : out[1];

    while (run->args[n] != NULL)
        n++;
    argv = calloc(n + 2, sizeof *argv);
    if (in < 0 || to < 0 || argv == NULL || dup2(in, 0) < 0 || dup2(to, 1) < 0 ||
        dup2(err[1], 2) < 0 || (run->cwd != NULL && chdir(run->cwd) < 0))
        _exit(126);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that failed meanwhile leaves nothing */
    program_default_signals();
    if (run->uid != 0 && (setgid(run->uid) < 0 || setuid(run->uid) < 0))
        _exit(126);
    argv[0] = "overlab";
    memcpy(argv + 1, run->args, n * sizeof *argv);
    set_environment(run->env);
    (void)execv(program_path(), (char **)(uintptr_t)argv); /* execv changes none of them */
    _exit(127);
}

/* Milliseconds of the monotonic clock. */
static long now_ms(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool take_some(struct pollfd *from, struct ol_buf *into)
{
    char block[65536];
    ssize_t n;

    if (from->fd < 0 || from->revents == 0)
        return from->fd >= 0;
    n = read(from->fd, block, sizeof block);
    if (n > 0) {
        assert_int_equal(ol_buf_append(into, block, (size_t)n), 0);
        return true;
    }
    close(from->fd);
    from->fd = -1;
    return false;
}

/* What is to happen while it runs, once. */
struct event {
    const struct program_run *run;
    pid_t child;
    long at_ms; /* -1: when the text comes */
    bool done;
};

static struct event event_of(const struct program_run *run, pid_t child)
{
    struct event event = {run, child, -1, run->awaited == NULL && run->after_ms == 0};

    if (run->awaited == NULL)
        event.at_ms = now_ms() + (long)run->after_ms;
    return event;
}

static void let_happen(struct event *event, const struct ol_buf *out, const struct ol_buf *err)
{
    const struct program_run *run = event->run;

    if (event->done)
        return;
    event->done = event->at_ms >= 0 ? now_ms() >= event->at_ms
                                    : strstr(ol_buf_str(out), run->awaited) != NULL ||
                                          strstr(ol_buf_str(err), run->awaited) != NULL;
    if (event->done && run->then != NULL)
        run->then(event->child, run->then_data);
    if (event->done && run->signal != 0)
        assert_int_equal(kill(event->child, run->signal), 0);
}

/* Read both pipes to their ends, and see to what is to happen meanwhile. */
static void listen_to(struct event *event, int out, int err, struct ol_buf *out_text,
                      struct ol_buf *err_text)
{
    struct pollfd pipes[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};

    while (pipes[0].fd >= 0 || pipes[1].fd >= 0) {
        long left = event->done || event->at_ms < 0 ? 1000 : event->at_ms - now_ms();

        if (poll(pipes, 2, left < 0 ? 0 : (int)left) < 0)
            fail_msg("poll failed");
        (void)take_some(&pipes[0], out_text);
        (void)take_some(&pipes[1], err_text);
        let_happen(event, out_text, err_text);
    }
    if (event->run->awaited != NULL && !event->done)
        fail_msg("nothing said '%s': %s%s", event->run->awaited, ol_buf_str(out_text),
                 ol_buf_str(err_text));
}

void program_run(const struct program_run *run, struct program_result *ret)
{
    ol_auto_buf struct ol_buf out_text = OL_BUF_INIT;
    ol_auto_buf struct ol_buf err_text = OL_BUF_INIT;
    struct event event;
    int out[2];
    int err[2];
    int status = 0;
    pid_t child;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(err, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        become_program(run, out, err);
    close(out[1]);
    close(err[1]);
    event = event_of(run, child);
    listen_to(&event, out[0], err[0], &out_text, &err_text);
    assert_int_equal(waitpid(child, &status, 0), child);
    ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    ret->out_len = out_text.len;
    ret->out = ol_buf_steal(&out_text);
    ret->err = ol_buf_steal(&err_text);
    assert_non_null(ret->out);
    assert_non_null(ret->err);
}

void program_args(struct program_result *ret, const char *const *args)
{
    const struct program_run run = {.args = args};

    program_run(&run, ret);
}

void program_more(const struct program_run *run, const char *const *words,
                  struct program_result *ret)
{
    const char *args[31] = {NULL};
    struct program_run more = *run;
    struct program_result result;
    size_t n = 0;

    for (const char *const *arg = run->args; *arg != NULL; arg++, n++) {
        assert_true(n + 1 < OL_ARRAY_LEN(args));
        args[n] = *arg;
    }
    for (; *words != NULL; words++, n++) {
        assert_true(n + 1 < OL_ARRAY_LEN(args));
        args[n] = *words;
    }
    more.args = args;
    program_run(&more, &result);
    program_result_fini(ret); /* a word may have been in it */
    *ret = result;
}

void program_expect(const struct program_run *run, const char *const *words, int status,
                    struct program_result *ret)
{
    program_more(run, words, ret);
    if (ret->status != status)
        fail_msg("'%s %s' ended with %d, not %d: %s%s", words[0],
                 words[0] != NULL && words[1] != NULL ? words[1] : "", ret->status, status,
                 ret->out, ret->err);
}

static void bless(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The first line that differs, rather than two long texts side by side. */
static void assert_same_lines(const char *name, const char *text, const char *want)
{
    for (unsigned line = 1; *text != '\0' || *want != '\0'; line++) {
        size_t n = strcspn(text, "\n");
        size_t m = strcspn(want, "\n");

        if (n != m || memcmp(text, want, n) != 0)
            fail_msg("%s, line %u:\n  is   '%.*s'\n  want '%.*s'", name, line, (int)n, text, (int)m,
                     want);
        text += n + (text[n] == '\n');
        want += m + (want[m] == '\n');
    }
}

void assert_golden(const char *name, const char *text)
{
    ol_auto_free char *path = NULL;
    ol_auto_buf struct ol_buf want = OL_BUF_INIT;
    ol_auto_file FILE *file = NULL;
    char block[4096];
    size_t n;

    assert_true(asprintf(&path, "%s/%s", OL_GOLDEN_DIR, name) > 0);
    if (getenv("OL_BLESS") != NULL) {
        bless(path, text);
        return;
    }
    file = fopen(path, "re");
    if (file == NULL)
        fail_msg("no golden file '%s': run with OL_BLESS=1 and look at it", path);
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        assert_int_equal(ol_buf_append(&want, block, n), 0);
    assert_same_lines(name, text, ol_buf_str(&want));
}

static bool is_unit(const char *text, size_t len)
{
    static const char *const units[] = {"s", "ms", "us", "B", "KiB", "MiB", "GiB"};

    for (size_t i = 0; i < OL_ARRAY_LEN(units); i++) {
        if (strlen(units[i]) == len && strncmp(text, units[i], len) == 0)
            return true;
    }
    return false;
}

/* Length of a number at text, with its commas, points and sign inside a range; 0 for none. */
static size_t number_length(const char *text)
{
    size_t len = strspn(text, "0123456789,.");

    if (!isdigit((unsigned char)text[0]))
        return 0;
    while (len > 0 && !isdigit((unsigned char)text[len - 1]))
        len--;
    return len;
}

static size_t skip_unit(const char *text)
{
    size_t len = text[0] == ' ' ? strspn(text + 1, "smuBKiMGib") : 0;

    return len > 0 && is_unit(text + 1, len) && !isalnum((unsigned char)text[1 + len]) ? 1 + len
                                                                                       : 0;
}

char *normalised(const char *text)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;

    while (*text != '\0') {
        size_t hex = strspn(text, "0123456789abcdef");
        size_t number = number_length(text);

        if (hex == 64) {
            assert_int_equal(ol_buf_puts(&buf, "HASH"), 0);
            text += hex;
        } else if (number > 0) {
            assert_int_equal(ol_buf_putc(&buf, '#'), 0);
            text += number;
            text += skip_unit(text);
        } else if (*text == ' ') {
            assert_int_equal(ol_buf_putc(&buf, ' '), 0);
            text += strspn(text, " ");
        } else {
            assert_int_equal(ol_buf_putc(&buf, *text++), 0);
        }
    }
    return ol_buf_steal(&buf);
}
