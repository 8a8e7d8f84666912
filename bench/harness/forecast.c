/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions for the steps of a comparison; see forecast.h. */
#include "bench/harness/forecast.h"

#include "common/cleanup.h"

#include <errno.h>

#define LAWS ((unsigned)OL_LAW_NULL + 1)

/* What one layer or commit should add, law by law. */
struct layer_forecast {
    struct ol_inode_kinds apply[LAWS];
};

struct commit_forecast {
    struct ol_inode_kinds create[LAWS], change[LAWS], apply[LAWS];
    struct ol_plan *plan; /* owned */
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
                      struct ol_layer_result *ret, struct ol_error *err)
{
    unsigned index = forecast->seen_layers;
    int r = ol_model_begin_layer(forecast->model, err);

    if (r == 0)
        r = ol_layer_scan(input, NULL, add_entry, forecast->model, ret, err);
    if (r < 0)
        return r;
    for (unsigned law = 0; law < LAWS; law++)
        ol_law_image_layer((enum ol_law)law, forecast->model, index == 0,
                           &forecast->layers[index].apply[law]);
    forecast->seen_layers++;
    return 0;
}

int ol_forecast_commits(struct ol_forecast *forecast, const struct ol_change_mix *mix,
                        uint64_t change_bytes, uint64_t seed, struct ol_error *err)
{
    for (unsigned i = 0; i < forecast->commits; i++) {
        struct commit_forecast *commit = &forecast->planned[i];
        int r;

        for (unsigned law = 0; law < LAWS; law++)
            ol_law_container_create((enum ol_law)law, forecast->model, true, &commit->create[law]);
        r = ol_plan_make(forecast->model, mix, change_bytes, seed + i, &commit->plan, err);
        if (r < 0)
            return ol_error_wrap(err, r, "planning commit %u", i);
        forecast->plans[i] = commit->plan;
        for (unsigned law = 0; law < LAWS; law++) {
            ol_plan_predict(commit->plan, (enum ol_law)law, &commit->change[law]);
            ol_law_image_layer((enum ol_law)law, forecast->model, false, &commit->apply[law]);
        }
    }
    return 0;
}

struct ol_plan *const *ol_forecast_plans(const struct ol_forecast *forecast)
{
    return forecast->plans;
}

static void set(struct ol_bench_step *step, const struct ol_inode_kinds *kinds)
{
    step->has_prediction = true;
    step->predicted = *kinds;
}

void ol_forecast_fill(const struct ol_forecast *forecast, bool mounts,
                      struct ol_bench_engine *engine)
{
    struct ol_inode_kinds merged = {.directory = 1};
    enum ol_law law;

    if (ol_engine_law(engine->name, &law) < 0)
        return;
    if (!mounts || law == OL_LAW_VFS || law == OL_LAW_NULL)
        merged = (struct ol_inode_kinds){0};
    for (size_t i = 0; i < engine->n_steps; i++) {
        struct ol_bench_step *step = &engine->steps[i];

        switch (step->op) {
        case OL_STEP_LAYER_APPLY:
            set(step, &forecast->layers[step->index].apply[law]);
            break;
        case OL_STEP_CONTAINER_CREATE:
            set(step, &forecast->planned[step->index].create[law]);
            break;
        case OL_STEP_CONTAINER_MOUNT:
            set(step, &merged);
            break;
        case OL_STEP_CONTAINER_CHANGE:
            set(step, &forecast->planned[step->index].change[law]);
            break;
        case OL_STEP_CONTAINER_UNMOUNT:
            set(step, &(struct ol_inode_kinds){.directory = -merged.directory});
            break;
        case OL_STEP_COMMIT:
            set(step, &forecast->planned[step->index].apply[law]);
            break;
        case OL_STEP_CONTAINER_REMOVE:
        case OL_STEP_IMAGE_REMOVE:
        case OL_STEP_OPS:
            break;
        }
    }
}
