/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements of a budget; see check_measure.h. */
#include "cli/check_measure.h"

#include "cli/place.h"
#include "cli/progress.h"

#include "bench/harness/compare.h"
#include "bench/report/json_put.h"
#include "common/cleanup.h"
#include "common/io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { ANSWER_MAX = 16 << 20 }; /* bytes of values: some 20 for each layer and commit */

/* What the child works on. */
struct job {
    const struct ol_budget_section *section;
    int fd; /* the parent reads from it */
};

/* Write the object to the parent and release it. */
static int answer(int fd, json_t *json)
{
    ol_auto_free char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text == NULL ? -ENOMEM : ol_io_write(fd, text, strlen(text));
}

static int run_inside(struct ol_cli *cli, const struct place_found *found, void *data,
                      int *ret_status, struct ol_error *err)
{
    const struct job *job = data;
    const struct ol_budget_section *section = job->section;
    struct ol_progress progress;
    struct ol_budget_values values = {0};
    struct ol_report report = {0};
    const struct ol_compare_options options = {
        .image = section->image,
        .engines = section->drivers,
        .n_engines = section->n_drivers,
        .workload = section->workload,
        .view = found->view,
        .dir = found->dir,
        .path_kind = found->path_kind,
        .dedicated = found->dedicated,
        .cancelled = ol_cli_is_cancelled,
        .progress = ol_progress_show,
        .data = &progress,
    };
    int r;

    *ret_status = OL_EXIT_OK;
    ol_progress_init(&progress, cli);
    r = ol_compare_run(&options, &report, err);
    ol_progress_clear(&progress);
    if (r == 0)
        r = ol_budget_values_measured(&report, &values, err);
    if (r == 0 && answer(job->fd, ol_budget_values_json(section, &values)) < 0)
        r = ol_error_set(err, -EPIPE, "cannot hand back what was measured");
    ol_budget_values_fini(&values);
    ol_report_fini(&report);
    return r;
}

/* The parent's SIGTERM may be the second one, which would kill before all is cleaned up. */
static void keep_handling_sigterm(void)
{
    struct sigaction action;

    (void)sigaction(SIGTERM, NULL, &action); /* neither call can fail for this signal */
    action.sa_flags &= ~(int)SA_RESETHAND;
    (void)sigaction(SIGTERM, &action, NULL);
}

/* Its failure is an answer too: the parent says it. */
static int run_child(struct ol_cli *cli, struct job *job)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct place place = {.view = job->section->view};
    int status = OL_EXIT_OK;
    int r = job->section->backing != NULL ? place_set_backing(&place, job->section->backing, &err)
                                          : 0;

    if (r == 0)
        r = place_run(cli, &place, run_inside, job, &status, &err);
    if (r < 0) {
        (void)answer(job->fd,
                     json_pack("{si, so}", "code", r, "error", ol_json_text(ol_error_text(&err))));
        status = OL_EXIT_FAILED; /* should the parent not learn why */
    }
    place_fini(&place);
    return status;
}

/* All the child says. A signal for us is one for it; it then ends cleanly and closes the pipe. */
static int listen_to(pid_t child, int fd, struct ol_buf *text)
{
    bool told = false;

    for (;;) {
        char block[65536];
        struct pollfd pipe = {.fd = fd, .events = POLLIN};
        ssize_t n = 0;

        if (ol_cli_cancelled() && !told) {
            (void)kill(child, SIGTERM); /* it is there until it was waited for */
            told = true;
        }
        if (poll(&pipe, 1, 1000) <= 0)
            continue; /* a signal, or time to look for one that came just before */
        n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        if (text->len + (size_t)n > ANSWER_MAX)
            return -E2BIG;
        if (ol_buf_append(text, block, (size_t)n) < 0)
            return -ENOMEM;
    }
}

static int take_answer(const struct ol_budget_section *section, const struct ol_buf *text,
                       struct ol_budget_values *ret, struct ol_error *err)
{
    ol_auto_json_t json_t *json = json_loadb(ol_buf_str(text), text->len, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));

    if (ol_cli_cancelled())
        return ol_error_set(err, -ECANCELED, "interrupted");
    if (error != NULL)
        return ol_error_set(err, (int)json_integer_value(json_object_get(json, "code")), "%s",
                            error);
    if (json == NULL)
        return ol_error_set(err, -EIO, "section [%s]: the measurement ended without a result",
                            section->name);
    return ol_budget_values_from_json(section, json, ret, err);
}

/*
 * Signals wait meanwhile: one that came before the fork has reset its handler, and the child would
 * die of the next.
 */
static int start_child(struct ol_cli *cli, struct job *job, const int ends[2], pid_t *ret,
                       struct ol_error *err)
{
    sigset_t all;
    sigset_t before;
    int r = 0;

    (void)sigfillset(&all); /* none of these can fail for these arguments */
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    if (ol_cli_cancelled()) {
        r = ol_error_set(err, -ECANCELED, "interrupted");
    } else {
        *ret = fork();
        if (*ret < 0)
            r = ol_error_sys(err, errno, "cannot start a process");
    }
    if (r == 0 && *ret == 0) {
        keep_handling_sigterm();
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        close(ends[0]);
        job->fd = ends[1];
        _exit(run_child(cli, job));
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

int check_measure(struct ol_cli *cli, const struct ol_budget_section *section,
                  struct ol_budget_values *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    struct job job = {.section = section};
    int ends[2];
    pid_t child = -1;
    int r = ol_io_pipe(ends, err);

    if (r < 0)
        return r;
    (void)fflush(stdout); /* the child must not print what waits there once more */
    r = start_child(cli, &job, ends, &child, err);
    close(ends[1]);
    if (r == 0) {
        r = listen_to(child, ends[0], &text);
        if (r < 0)
            (void)ol_error_set(err, r, "cannot learn what was measured: %s", strerrordesc_np(-r));
    }
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    return r < 0 ? r : take_answer(section, &text, ret, err);
}
