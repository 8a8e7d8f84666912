/* SPDX-License-Identifier: Apache-2.0 */
/* Running a step on every engine; see explain.h. */
#include "bench/teach/explain.h"

#include "common/cleanup.h"

#include <errno.h>

static unsigned count_phases(const struct ol_step *step)
{
    unsigned count = 0;

    while (count < OL_STEP_PHASES && step->phases[count].caption != NULL)
        count++;
    return count;
}

static int open_column(const struct ol_explain_options *options, size_t index,
                       struct ol_explain_column *column, struct ol_error *err)
{
    struct ol_scene_config config = {
        .engine = options->engines[index],
        .view = options->view,
        .keep_owner = ol_view_can_keep_owner(options->dir),
    };

    if (asprintf(&column->dir, "%s/%zu", options->dir, index) < 0) {
        column->dir = NULL;
        return ol_error_nomem(err);
    }
    config.dir = column->dir;
    return ol_scene_open(&config, &column->scene, err);
}

/* Look at every column, after the acts were done in all of them. */
static int look(struct ol_explanation *ex, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < ex->options.n_engines && r == 0; i++) {
        struct ol_explain_column *column = &ex->columns[i];
        const struct ol_moment *before = ex->n_done > 0 ? &column->moments[ex->n_done - 1] : NULL;

        r = ol_scene_look(column->scene, before, &column->moments[ex->n_done], err);
    }
    ex->n_done++;
    return r;
}

static bool is_cancelled(const struct ol_explanation *ex)
{
    return ex->options.cancelled != NULL && ex->options.cancelled();
}

static int act(struct ol_explanation *ex, const struct ol_act *acts, struct ol_error *err)
{
    int r = 0;

    for (; acts->kind != OL_ACT_END && r == 0; acts++) {
        for (size_t i = 0; i < ex->options.n_engines && r == 0; i++)
            r = is_cancelled(ex) ? ol_error_set(err, -ECANCELED, "interrupted")
                                 : ol_scene_act(ex->columns[i].scene, acts, err);
    }
    return r;
}

int ol_explain_begin(const struct ol_explain_options *options, struct ol_explanation *ret,
                     struct ol_error *err)
{
    int r = 0;

    *ret = (struct ol_explanation){.options = *options, .n_phases = count_phases(options->step)};
    ret->columns = calloc(options->n_engines, sizeof *ret->columns);
    if (ret->columns == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < options->n_engines && r == 0; i++) {
        ret->columns[i].moments = calloc(ret->n_phases + 1, sizeof(struct ol_moment));
        r = ret->columns[i].moments == NULL ? ol_error_nomem(err)
                                            : open_column(options, i, &ret->columns[i], err);
    }
    if (r == 0)
        r = act(ret, options->step->before, err);
    return r < 0 ? r : look(ret, err);
}

int ol_explain_phase(struct ol_explanation *ex, struct ol_error *err)
{
    int r = act(ex, ex->options.step->phases[ex->n_done - 1].acts, err);

    return r < 0 ? r : look(ex, err);
}

static void column_fini(struct ol_explain_column *column, unsigned n_moments)
{
    ol_scene_close(column->scene);
    for (unsigned i = 0; column->moments != NULL && i < n_moments; i++)
        ol_moment_fini(&column->moments[i]);
    free(column->moments);
    free(column->dir);
}

void ol_explanation_fini(struct ol_explanation *ex)
{
    for (size_t i = 0; ex->columns != NULL && i < ex->options.n_engines; i++)
        column_fini(&ex->columns[i], ex->n_phases + 1);
    free(ex->columns);
    *ex = (struct ol_explanation){0};
}
