/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which directories an exceeded limit was spent on: the image's headers are read once more, up to
 * the layers and commits in question. Nothing of this is needed while a budget is kept.
 */
#include "bench/budget/check.h"

#include "bench/harness/image_cost.h"
#include "bench/harness/image_layers.h"
#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { TOP = 5 }; /* directories named for each limit */

struct search {
    struct ol_check_workload *workload;
    struct ol_image_layers layers;   /* owned */
    struct ol_image_cost cost;       /* owned; its model has what was read so far */
    struct ol_image_history history; /* owned */
};

static void search_fini(struct search *search)
{
    ol_image_history_fini(&search->history);
    ol_image_cost_fini(&search->cost);
    ol_image_layers_fini(&search->layers);
}

static int open_image(struct search *search, const char *tmp_dir, struct ol_error *err)
{
    const struct ol_budget_section *section = search->workload->section;
    struct ol_image *image = NULL;
    int r = section->image != NULL ? ol_image_open(section->image, tmp_dir, &image, err)
                                   : ol_builtin_image_new(section->workload.seed, &image, err);

    if (r == 0)
        r = ol_image_layers_init(&search->layers, image, err);
    if (r == 0)
        r = ol_image_history_get(ol_image_config_of(image), search->layers.count, &search->history,
                                 err);
    return r < 0 ? r : ol_image_cost_init(&search->cost, search->layers.count, 0, err);
}

/* What makes a layer cost more than it holds; NULL for drivers whose layers do not. */
static int explain(enum ol_law law, const struct ol_model *model, bool base, char **ret)
{
    struct ol_model_counts counts;
    int len = 0;

    ol_model_counts(model, &counts);
    if (law == OL_LAW_OVERLAY && !base)
        len = asprintf(ret,
                       "legacy overlay makes every directory (%" PRIu64
                       ") and every symlink or device (%" PRIu64
                       ") of the whole image anew in each layer and commit",
                       counts.directories, counts.specials);
    else if (law == OL_LAW_OVERLAY_CLONE_ALL && !base)
        len = asprintf(ret,
                       "clone=all makes every directory (%" PRIu64
                       ") of the whole image anew in each layer and commit",
                       counts.directories);
    else if (law == OL_LAW_VFS)
        len = asprintf(ret, "vfs copies the whole image for each layer and commit");
    if (len < 0)
        *ret = NULL;
    return len < 0 ? -ENOMEM : 0;
}

/* The model has just been fed with this layer, or commit. */
static int describe(const struct search *search, const struct ol_check_result *result,
                    struct ol_culprit *culprit, struct ol_error *err)
{
    const char *name = search->workload->section->drivers[result->limit->driver];
    const struct ol_model *model = search->cost.model;
    bool base = !culprit->is_commit && culprit->index == 0;
    enum ol_law law;
    int n;

    if (ol_engine_law(name, &law) < 0)
        return 0; /* measured, and no law to say where its inodes are */
    culprit->dirs = calloc(TOP, sizeof *culprit->dirs);
    if (culprit->dirs == NULL || explain(law, model, base, &culprit->why) < 0)
        return ol_error_nomem(err);
    n = ol_model_blame_under(law, model, base, ol_metric_is_bytes(result->limit->metric), TOP,
                             culprit->dirs);
    culprit->n_dirs = n > 0 ? (size_t)n : 0;
    return n < 0 ? ol_error_nomem(err) : 0;
}

static int describe_all(const struct search *search, bool is_commit, size_t index,
                        struct ol_error *err)
{
    const struct ol_budget_section *section = search->workload->section;
    int r = 0;

    for (size_t i = 0; i < section->n_limits && r == 0; i++) {
        struct ol_check_result *result = &search->workload->results[i];
        struct ol_culprit *culprit = &result->culprit;

        if (culprit->known && culprit->is_commit == is_commit && culprit->index == index)
            r = describe(search, result, culprit, err);
    }
    return r;
}

static int read_layer(struct search *search, size_t index, struct ol_error *err)
{
    const struct ol_image_layers_want want = {0}; /* once is enough */
    char copied[OL_DIGEST_SIZE];
    int r = ol_image_layers_open(&search->layers, index, &want, copied, err);

    if (r == 0)
        r = ol_image_cost_add(&search->cost, &search->layers.inputs[index], err);
    return r < 0 ? r : ol_image_layers_close(&search->layers, index, err);
}

static int read_layers(struct search *search, bool (*cancelled)(void *data), void *data,
                       struct ol_error *err)
{
    bool replay = search->workload->section->workload.replay;
    int r = 0;

    for (size_t i = 0; i < search->layers.count && r == 0; i++) {
        if (cancelled != NULL && cancelled(data))
            return ol_error_set(err, -ECANCELED, "interrupted");
        r = read_layer(search, i, err);
        if (r == 0) /* of a replay layer i + 1 is commit i */
            r = describe_all(search, replay && i > 0, replay && i > 0 ? i - 1 : i, err);
    }
    return r;
}

/* As the forecast planned them. */
static int plan_commits(struct search *search, struct ol_error *err)
{
    const struct ol_report_workload *work = &search->workload->section->workload;
    int r = 0;

    for (unsigned i = 0; i < work->commits && r == 0; i++) {
        struct ol_plan *plan = NULL;

        r = ol_plan_make(search->cost.model, &work->changes, work->change_bytes, work->seed + i,
                         &plan, err);
        ol_plan_free(plan);
        if (r == 0)
            r = describe_all(search, true, i, err);
    }
    return r;
}

/* Which build step made the layers in question. */
static int name_steps(const struct search *search, struct ol_error *err)
{
    const struct ol_budget_section *section = search->workload->section;

    for (size_t i = 0; i < section->n_limits; i++) {
        struct ol_culprit *culprit = &search->workload->results[i].culprit;
        const struct ol_image_step *step;

        if (!culprit->known || (culprit->is_commit && !section->workload.replay))
            continue;
        step = ol_image_history_of_layer(&search->history,
                                         culprit->index + (culprit->is_commit ? 1 : 0));
        if (step == NULL || step->created_by[0] == '\0')
            continue;
        culprit->created_by = strdup(step->created_by);
        if (culprit->created_by == NULL)
            return ol_error_nomem(err);
    }
    return 0;
}

int ol_check_blame(struct ol_check *check, const char *tmp_dir, bool (*cancelled)(void *data),
                   void *data, struct ol_error *err)
{
    struct search search = {.workload = &check->workloads[check->n_workloads - 1]};
    int r;

    if (search.workload->n_failed == 0)
        return 0;
    r = open_image(&search, tmp_dir, err);
    if (r == 0)
        r = read_layers(&search, cancelled, data, err);
    if (r == 0 && !search.workload->section->workload.replay)
        r = plan_commits(&search, err);
    if (r == 0)
        r = name_steps(&search, err);
    search_fini(&search);
    return r;
}
