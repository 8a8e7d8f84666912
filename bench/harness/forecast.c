/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions for the steps of a comparison; see forecast.h. */
#include "bench/harness/forecast.h"

#include "common/cleanup.h"

#include <errno.h>

#define LAWS ((unsigned)OL_LAW_NULL + 1)

/* What one layer should add, law by law. */
struct layer_forecast {
    struct ol_inode_kinds apply[LAWS];
};

struct commit_forecast {
    struct ol_inode_kinds create[LAWS], change[LAWS];
    struct ol_inode_kinds commit[LAWS]; /* the diff mounts nothing but the container */
    struct ol_inode_kinds
        naive_commit[LAWS]; /* it mounts the init layer too, or leaves what that would */
    struct ol_plan *plan;   /* owned */
};

struct ol_forecast {
    struct ol_model *model; /* owned */
    unsigned n_layers, seen_layers, commits;
    struct layer_forecast *layers;   /* owned */
    struct commit_forecast *planned; /* owned */
    struct ol_plan **plans;          /* owned array of what planned owns */
};

void ol_forecast_free(struct ol_forecast *forecast)
{
    if (forecast == NULL)
        return;
    for (unsigned i = 0; forecast->planned != NULL && i < forecast->commits; i++)
        ol_plan_free(forecast->planned[i].plan);
    ol_model_free(forecast->model);
    free(forecast->layers);
    free(forecast->planned);
    free(forecast->plans);
    free(forecast);
}

int ol_forecast_new(unsigned n_layers, unsigned commits, struct ol_forecast **ret,
                    struct ol_error *err)
{
    struct ol_forecast *forecast = calloc(1, sizeof *forecast);
    int r;

    if (forecast == NULL)
        return ol_error_nomem(err);
    forecast->n_layers = n_layers;
    forecast->commits = commits;
    forecast->layers = calloc((size_t)n_layers + 1, sizeof *forecast->layers);
    forecast->planned = calloc((size_t)commits + 1, sizeof *forecast->planned);
    forecast->plans = calloc((size_t)commits + 1, sizeof(struct ol_plan *));
    r = forecast->layers == NULL || forecast->planned == NULL || forecast->plans == NULL
            ? ol_error_nomem(err)
            : ol_model_new(&forecast->model, err);
    if (r < 0) {
        ol_forecast_free(forecast);
        return r;
    }
    *ret = forecast;
    return 0;
}

static int add_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

int ol_forecast_layer(struct ol_forecast *forecast, const struct ol_input *input,
                      enum ol_scan_digest digest, struct ol_layer_result *ret, struct ol_error *err)
{
    unsigned index = forecast->seen_layers;
    int r = ol_model_begin_layer(forecast->model, err);

    if (r == 0)
        r = ol_layer_scan_digest(input, digest, NULL, add_entry, forecast->model, ret, err);
    if (r < 0)
        return r;
    for (unsigned law = 0; law < LAWS && r == 0; law++)
        r = ol_law_layer_apply((enum ol_law)law, forecast->model, index == 0, true,
                               &forecast->layers[index].apply[law]);
    forecast->seen_layers++;
    return r < 0 ? ol_error_nomem(err) : 0;
}

const struct ol_model *ol_forecast_model(const struct ol_forecast *forecast)
{
    return forecast->model;
}

/* What the commits are made of: seeded changes, or the layers of an image. */
struct source {
    const struct ol_change_mix *mix;
    uint64_t change_bytes, seed;
    const struct ol_input *layers; /* NULL: seeded changes */
    bool keep_owner;
};

static int make_plan(struct ol_model *model, const struct source *source, unsigned index,
                     struct ol_plan **ret, struct ol_error *err)
{
    return source->layers != NULL
               ? ol_plan_replay(model, source->layers, index + 1, source->keep_owner, ret, err)
               : ol_plan_make(model, source->mix, source->change_bytes, source->seed + index, ret,
                              err);
}

/* One commit on the model as it stands: create, plan (which changes the model), commit. */
static int forecast_commit(struct ol_forecast *forecast, const struct source *source,
                           unsigned index, struct ol_error *err)
{
    struct commit_forecast *commit = &forecast->planned[index];
    struct ol_model *model = forecast->model;
    int r = 0;

    for (unsigned law = 0; law < LAWS && r == 0; law++)
        r = ol_law_container_create((enum ol_law)law, model, true, &commit->create[law]);
    if (r < 0)
        return ol_error_nomem(err);
    r = make_plan(model, source, index, &commit->plan, err);
    if (r < 0)
        return r;
    for (unsigned law = 0; law < LAWS && r == 0; law++) {
        int64_t freed = ol_plan_leaves_cached(commit->plan, (enum ol_law)law) ? 1 : 0;

        ol_plan_predict(commit->plan, (enum ol_law)law, &commit->change[law]);
        r = ol_law_commit((enum ol_law)law, model, &commit->create[law], false,
                          &commit->commit[law]);
        if (r == 0)
            r = ol_law_commit((enum ol_law)law, model, &commit->create[law], true,
                              &commit->naive_commit[law]);
        commit->commit[law].whiteout -= freed;
        commit->naive_commit[law].whiteout -= freed;
    }
    return r < 0 ? ol_error_nomem(err) : 0;
}

static int forecast_all(struct ol_forecast *forecast, const struct source *source,
                        struct ol_error *err)
{
    for (unsigned i = 0; i < forecast->commits; i++) {
        int r = forecast_commit(forecast, source, i, err);

        if (r < 0)
            return ol_error_wrap(err, r, "planning commit %u", i);
        forecast->plans[i] = forecast->planned[i].plan;
    }
    return 0;
}

int ol_forecast_commits(struct ol_forecast *forecast, const struct ol_change_mix *mix,
                        uint64_t change_bytes, uint64_t seed, struct ol_error *err)
{
    const struct source source = {.mix = mix, .change_bytes = change_bytes, .seed = seed};

    return forecast_all(forecast, &source, err);
}

int ol_forecast_replay(struct ol_forecast *forecast, const struct ol_input *layers, bool keep_owner,
                       struct ol_error *err)
{
    const struct source source = {.layers = layers, .keep_owner = keep_owner};

    return forecast_all(forecast, &source, err);
}

struct ol_plan *const *ol_forecast_plans(const struct ol_forecast *forecast)
{
    return forecast->plans;
}

static void fill_step(const struct ol_forecast *forecast, enum ol_law law, bool mounts,
                      bool naive_diff, struct ol_bench_step *step)
{
    const struct commit_forecast *planned = &forecast->planned[step->index];
    bool known = true;

    switch (step->op) {
    case OL_STEP_LAYER_APPLY:
        step->predicted = forecast->layers[step->index].apply[law];
        break;
    case OL_STEP_CONTAINER_CREATE:
        step->predicted = planned->create[law];
        break;
    case OL_STEP_CONTAINER_MOUNT:
        ol_law_container_mount(law, mounts, &step->predicted);
        break;
    case OL_STEP_CONTAINER_UNMOUNT:
        ol_law_container_unmount(law, mounts, &step->predicted);
        break;
    case OL_STEP_CONTAINER_CHANGE:
        step->predicted = planned->change[law];
        known = ol_plan_is_predicted(planned->plan);
        break;
    case OL_STEP_COMMIT:
        step->predicted = naive_diff ? planned->naive_commit[law] : planned->commit[law];
        break;
    case OL_STEP_CONTAINER_REMOVE:
    case OL_STEP_IMAGE_REMOVE:
    case OL_STEP_OPS:
        known = false; /* the oracle has no law for what removing frees */
        break;
    }
    step->has_prediction = known;
}

void ol_forecast_fill(const struct ol_forecast *forecast, bool mounts,
                      struct ol_bench_engine *engine)
{
    bool naive_diff = !ol_engine_has_option(engine->name, "diff=upper");
    enum ol_law law;

    if (ol_engine_law(engine->name, &law) < 0)
        return;
    for (size_t i = 0; i < engine->n_steps; i++)
        fill_step(forecast, law, mounts, naive_diff, &engine->steps[i]);
}
