/* SPDX-License-Identifier: Apache-2.0 */
/* Measurements of a budget; see check_measure.h. */
#include "cli/check_measure.h"

#include "cli/child.h"
#include "cli/place.h"
#include "cli/progress.h"

#include "bench/harness/compare.h"
#include "bench/report/json_put.h"
#include "common/cleanup.h"
#include "common/io.h"

#include <errno.h>
#include <unistd.h>

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
        .containers = section->containers,
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

static int listen_to(struct child *child, struct ol_buf *text)
{
    char block[65536];
    ssize_t n;

    while ((n = child_read(child, block, sizeof block)) > 0) {
        if (text->len + (size_t)n > ANSWER_MAX)
            return -E2BIG;
        if (ol_buf_append(text, block, (size_t)n) < 0)
            return -ENOMEM;
    }
    return (int)n;
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

int check_measure(struct ol_cli *cli, const struct ol_budget_section *section,
                  struct ol_budget_values *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    struct child child;
    int r = child_start(&child, err);

    if (r < 0)
        return r;
    if (child.pid == 0)
        _exit(run_child(cli, &(struct job){.section = section, .fd = child.fd}));
    r = listen_to(&child, &text);
    if (r < 0)
        (void)ol_error_set(err, r, "cannot learn what was measured: %s", strerrordesc_np(-r));
    (void)child_end(&child); /* what it said is what counts */
    return r < 0 ? r : take_answer(section, &text, ret, err);
}
