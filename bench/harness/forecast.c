/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions for the steps of a comparison; see forecast.h. */
#include "bench/harness/forecast.h"

#include "bench/oracle/held.h"
#include "bench/oracle/peak.h"
#include "common/cleanup.h"

#include <errno.h>

/* One commit's container, and what its steps add. */
struct commit_forecast {
    struct ol_held_container container;
    struct ol_inode_kinds create, mount, change, unmount, commit;
    bool has_layer;      /* it makes one */
    bool unknown;        /* the driver's image is not the model's: what is changed in it */
    bool image_unknown;  /* nor is the image, after such changes */
    struct ol_peak peak; /* while it commits */
    struct ol_disk_bytes disk;
};

/* All steps of the engines that keep what they make in the same way. */
struct way_forecast {
    struct ol_held_way way;
    struct ol_held_layer *layers;    /* owned; imported ones, then one per commit that has one */
    struct ol_inode_kinds *applies;  /* owned; per imported layer */
    struct ol_peak *peaks;           /* owned; the same */
    struct ol_disk_bytes *disk;      /* owned; the same */
    struct commit_forecast *commits; /* owned */
    struct ol_held_layer *top;       /* the newest image's top layer; NULL: no layer yet */
};

enum { WAYS_MAX = OL_LAWS * 4 }; /* naive diff or not, mounted or not */

struct ol_forecast {
    struct ol_model *model; /* owned */
    unsigned n_layers, seen_layers, commits;
    bool on_disk; /* bytes are wanted, on this file system */
    enum ol_disk_fs fs;
    struct ol_plan **plans; /* owned, with what is in it */
    struct way_forecast ways[WAYS_MAX];
    size_t n_ways;
};

static void way_fini(struct way_forecast *way)
{
    free(way->layers);
    free(way->applies);
    free(way->peaks);
    free(way->disk);
    free(way->commits);
}

void ol_forecast_free(struct ol_forecast *forecast)
{
    if (forecast == NULL)
        return;
    for (unsigned i = 0; forecast->plans != NULL && i < forecast->commits; i++)
        ol_plan_free(forecast->plans[i]);
    for (size_t i = 0; i < forecast->n_ways; i++)
        way_fini(&forecast->ways[i]);
    ol_model_free(forecast->model);
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
    forecast->plans = calloc((size_t)commits + 1, sizeof(struct ol_plan *));
    r = forecast->plans == NULL ? ol_error_nomem(err) : ol_model_new(&forecast->model, err);
    if (r < 0) {
        ol_forecast_free(forecast);
        return r;
    }
    *ret = forecast;
    return 0;
}

/* ---- the ways that are followed ---- */

static int way_of(const char *engine, bool mounts, struct ol_held_way *ret)
{
    struct ol_held_way way = {.mounts = mounts,
                              .naive_diff = !ol_engine_has_option(engine, "diff=upper")};
    int r = ol_engine_law(engine, &way.law);

    if (r < 0)
        return r;
    *ret = way;
    return 0;
}

static bool same_way(const struct ol_held_way *a, const struct ol_held_way *b)
{
    return a->law == b->law && a->mounts == b->mounts && a->naive_diff == b->naive_diff;
}

static const struct way_forecast *find_way(const struct ol_forecast *forecast,
                                           const struct ol_held_way *way)
{
    for (size_t i = 0; i < forecast->n_ways; i++) {
        if (same_way(&forecast->ways[i].way, way))
            return &forecast->ways[i];
    }
    return NULL;
}

static int add_way(struct ol_forecast *forecast, const struct ol_held_way *way,
                   struct ol_error *err)
{
    struct way_forecast *added = &forecast->ways[forecast->n_ways];

    *added = (struct way_forecast){.way = *way};
    added->layers = calloc((size_t)forecast->n_layers + forecast->commits + 1,
                           sizeof *added->layers);
    added->applies = calloc((size_t)forecast->n_layers + 1, sizeof *added->applies);
    added->peaks = calloc((size_t)forecast->n_layers + 1, sizeof *added->peaks);
    added->disk = calloc((size_t)forecast->n_layers + 1, sizeof *added->disk);
    added->commits = calloc((size_t)forecast->commits + 1, sizeof *added->commits);
    forecast->n_ways++; /* from here on the forecast frees it */
    return added->layers == NULL || added->applies == NULL || added->peaks == NULL ||
                   added->disk == NULL || added->commits == NULL
               ? ol_error_nomem(err)
               : 0;
}

int ol_forecast_follow(struct ol_forecast *forecast, const char *engine, bool mounts,
                       struct ol_error *err)
{
    struct ol_held_way way;
    int r = way_of(engine, mounts, &way);

    if (r < 0)
        return ol_error_set(err, r, "no law describes engine '%s'", engine);
    if (find_way(forecast, &way) != NULL)
        return 0;
    r = way.law == OL_LAW_OVERLAY2_NAIVE ? ol_model_track_naive(forecast->model, err) : 0;
    return r < 0 ? r : add_way(forecast, &way, err);
}

void ol_forecast_on_disk(struct ol_forecast *forecast, enum ol_disk_fs fs)
{
    forecast->on_disk = true;
    forecast->fs = fs;
}

/* ---- the steps ---- */

static int add_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

static int forecast_apply(const struct ol_forecast *forecast, struct way_forecast *way,
                          unsigned index)
{
    struct ol_disk_bytes *disk = &way->disk[index];
    int r = ol_held_layer_peak(&way->way, forecast->model, way->top, &way->peaks[index]);

    if (r == 0 && forecast->on_disk)
        r = ol_held_layer_disk(&way->way, forecast->model, index == 0, forecast->fs, disk);
    disk->estimate = disk->estimate || !ol_disk_home_is_flat(forecast->fs, index + 1);
    if (r == 0)
        r = ol_held_layer_apply(&way->way, forecast->model, way->top, &way->layers[index],
                                &way->applies[index]);
    way->top = &way->layers[index];
    return r;
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
    for (size_t i = 0; i < forecast->n_ways && r == 0; i++)
        r = forecast_apply(forecast, &forecast->ways[i], index);
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

/* @param imported  the image is made of layers that were imported, and the model knows each */
static int forecast_create(struct way_forecast *way, const struct ol_model *model, unsigned index,
                           bool imported)
{
    struct commit_forecast *commit = &way->commits[index];
    int r = ol_held_container_create(&way->way, model, way->top, &commit->container,
                                     &commit->create);

    if (r == 0)
        ol_held_mount(&commit->container, &commit->mount);
    commit->unknown = ol_law_stacks(way->way.law, way->way.mounts) && ol_model_stacks_differ(model);
    commit->image_unknown = commit->unknown && !imported;
    return r;
}

/* Each commit before left a layer, a container and the container's init layer in the home. */
static int forecast_disk(const struct ol_forecast *forecast, struct commit_forecast *commit,
                         unsigned index)
{
    const uint64_t layers = forecast->n_layers + 3 * (uint64_t)(index + 1);
    int r = ol_held_commit_disk(&commit->container.way, forecast->model,
                                ol_plan_is_empty(forecast->plans[index], commit->container.way.law),
                                forecast->fs, &commit->disk);

    if (!commit->container.gone) /* else nothing is made */
        commit->disk.estimate = commit->disk.estimate ||
                                !ol_disk_home_is_flat(forecast->fs, layers);
    return r;
}

/* From the change on, when the plan is made and the model has it as a layer. */
static int forecast_rest(struct ol_forecast *forecast, struct way_forecast *way, unsigned index)
{
    struct commit_forecast *commit = &way->commits[index];
    struct ol_held_layer *layer = &way->layers[forecast->n_layers + index];
    const struct ol_plan *plan = forecast->plans[index];
    const bool empty = ol_plan_is_empty(plan, way->way.law);
    int r;

    ol_plan_predict(plan, way->way.law, &commit->change);
    ol_held_change(&commit->container, &commit->change, ol_plan_leaves_cached(plan, way->way.law));
    ol_held_unmount(&commit->container, &commit->unmount);
    r = ol_held_commit_peak(&commit->container, forecast->model, &commit->peak);
    if (r == 0)
        r = ol_held_commit(&commit->container, forecast->model, way->top, empty, layer,
                           &commit->commit);
    if (r == 0 && forecast->on_disk)
        r = forecast_disk(forecast, commit, index);
    commit->has_layer = !empty || commit->container.gone;
    if (commit->has_layer)
        way->top = layer;
    return r;
}

/* One commit on the model as it stands: create, plan (which changes the model), commit. */
static int forecast_commit(struct ol_forecast *forecast, const struct source *source,
                           unsigned index, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < forecast->n_ways && r == 0; i++)
        r = forecast_create(&forecast->ways[i], forecast->model, index,
                            index == 0 && source->layers == NULL);
    if (r < 0)
        return ol_error_nomem(err);
    r = make_plan(forecast->model, source, index, &forecast->plans[index], err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < forecast->n_ways && r == 0; i++)
        r = forecast_rest(forecast, &forecast->ways[i], index);
    return r < 0 ? ol_error_nomem(err) : 0;
}

static int forecast_all(struct ol_forecast *forecast, const struct source *source,
                        struct ol_error *err)
{
    for (unsigned i = 0; i < forecast->commits; i++) {
        int r = forecast_commit(forecast, source, i, err);

        if (r < 0)
            return ol_error_wrap(err, r, "planning commit %u", i);
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

int ol_forecast_hold(struct ol_forecast *forecast, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < forecast->n_ways && r == 0; i++) {
        struct way_forecast *way = &forecast->ways[i];
        struct ol_inode_kinds added;

        r = ol_held_containers_create(&way->way, forecast->model, way->top, 1, NULL, &added);
    }
    return r < 0 ? ol_error_nomem(err) : 0;
}

struct ol_plan *const *ol_forecast_plans(const struct ol_forecast *forecast)
{
    return forecast->plans;
}

static void add_removal(const struct ol_held_layer *layer, struct ol_inode_kinds *to)
{
    struct ol_inode_kinds freed;

    ol_held_layer_remove(layer, &freed);
    ol_inode_kinds_add(to, &freed, 1);
}

/* Image 0 is the imported one, image k that of commit k - 1. */
static void predict_image_remove(const struct ol_forecast *forecast, const struct way_forecast *way,
                                 unsigned index, struct ol_inode_kinds *ret)
{
    *ret = (struct ol_inode_kinds){0};
    for (unsigned i = 0; index == 0 && i < forecast->n_layers; i++)
        add_removal(&way->layers[i], ret);
    if (index > 0 && way->commits[index - 1].has_layer)
        add_removal(&way->layers[forecast->n_layers + index - 1], ret);
}

/* What a replayed layer changes is not known where the oracle cannot follow it: nor is what is
 * freed with it. */
static bool is_known(const struct ol_forecast *forecast, const struct way_forecast *way,
                     const struct ol_bench_step *step)
{
    const unsigned index = step->index;

    if (step->op == OL_STEP_CONTAINER_CREATE || step->op == OL_STEP_CONTAINER_MOUNT ||
        step->op == OL_STEP_CONTAINER_UNMOUNT)
        return !way->commits[index].image_unknown;
    if (step->op > OL_STEP_CONTAINER_CREATE && step->op <= OL_STEP_CONTAINER_REMOVE &&
        way->commits[index].unknown)
        return false;
    if (step->op == OL_STEP_IMAGE_REMOVE && index > 0 && way->commits[index - 1].unknown)
        return false;
    switch (step->op) {
    case OL_STEP_CONTAINER_CHANGE:
        return ol_plan_is_predicted(forecast->plans[step->index]);
    case OL_STEP_CONTAINER_REMOVE:
        return way->commits[step->index].container.gone ||
               ol_plan_is_predicted(forecast->plans[step->index]);
    case OL_STEP_IMAGE_REMOVE:
        return step->index == 0 || !way->commits[step->index - 1].container.gone ||
               ol_plan_is_predicted(forecast->plans[step->index - 1]);
    default:
        return true;
    }
}

static void fill_bytes(const struct ol_disk_bytes *disk, struct ol_bench_step *step)
{
    step->has_predicted_bytes = true;
    step->predicted_bytes = (int64_t)disk->allocated;
    step->bytes_estimate = disk->estimate;
}

static void fill_step(const struct ol_forecast *forecast, const struct way_forecast *way,
                      struct ol_bench_step *step)
{
    const struct commit_forecast *commit = &way->commits[step->index];

    step->has_prediction = is_known(forecast, way, step);
    switch (step->op) {
    case OL_STEP_LAYER_APPLY:
        step->predicted = way->applies[step->index];
        step->predicted_peak = way->peaks[step->index].inodes;
        if (forecast->on_disk)
            fill_bytes(&way->disk[step->index], step);
        break;
    case OL_STEP_CONTAINER_CREATE:
        step->predicted = commit->create;
        break;
    case OL_STEP_CONTAINER_MOUNT:
        step->predicted = commit->mount;
        break;
    case OL_STEP_CONTAINER_UNMOUNT:
        step->predicted = commit->unmount;
        break;
    case OL_STEP_CONTAINER_CHANGE:
        step->predicted = commit->change;
        break;
    case OL_STEP_COMMIT:
        step->predicted = commit->commit;
        step->predicted_peak = commit->peak.inodes;
        if (forecast->on_disk)
            fill_bytes(&commit->disk, step);
        break;
    case OL_STEP_CONTAINER_REMOVE:
        ol_held_container_remove(&commit->container, &step->predicted);
        break;
    case OL_STEP_IMAGE_REMOVE:
        predict_image_remove(forecast, way, step->index, &step->predicted);
        break;
    case OL_STEP_OPS:
        step->has_prediction = false;
        break;
    }
}

void ol_forecast_fill(const struct ol_forecast *forecast, bool mounts,
                      struct ol_bench_engine *engine)
{
    const struct way_forecast *followed;
    struct ol_held_way way;

    if (way_of(engine->name, mounts, &way) < 0)
        return;
    followed = find_way(forecast, &way);
    for (size_t i = 0; followed != NULL && i < engine->n_steps; i++)
        fill_step(forecast, followed, &engine->steps[i]);
}
