/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All images of a prediction in one storage: every image is imported, then each gets its commits
 * and its containers, and nothing is removed. A layer that is there already costs nothing, and one
 * that is a parent already does not become one again.
 */
#include "bench/harness/predict_internal.h"

#include "common/cleanup.h"

#include <errno.h>

enum { BLOCK = 4096 };

/* Bytes of the contents of a file of the image, on average; those of a change where they are more.
 */
static int64_t file_bytes(const struct ol_predicted_image *image)
{
    const struct ol_layer_cost *last = &image->cost.layers[image->cost.count - 1];
    int64_t files = last->under[OL_LAW_VFS].kinds.regular; /* a full copy */
    int64_t mean = files > 0 ? (int64_t)last->under[OL_LAW_VFS].bytes / files : 0;
    int64_t change = (int64_t)image->report.workload.change_bytes;

    return mean > change ? mean : change;
}

static int64_t block_bytes(const struct ol_inode_kinds *kinds)
{
    return (kinds->directory + kinds->bookkeeping) * BLOCK + kinds->regular * (BLOCK / 2);
}

int64_t ol_predicted_bytes_of(const struct ol_predicted_image *image,
                              const struct ol_inode_kinds *kinds)
{
    return block_bytes(kinds) + kinds->regular * file_bytes(image);
}

/* The layer of this step under this engine's law. */
static const struct ol_cost_under *cost_of(const struct ol_predicted_image *image, size_t engine,
                                           const struct ol_bench_step *step)
{
    enum ol_law law = OL_LAW_OVERLAY2;

    (void)ol_engine_law(image->report.engines[engine].name,
                        &law); /* it has one: it was asked for */
    if ((unsigned)law >= OL_COST_LAWS)
        law = OL_LAW_OVERLAY2; /* the naive way of it has the same layers */
    return &image->cost.layers[step->index].under[law];
}

int64_t ol_predicted_bytes(const struct ol_predicted_image *image, const struct ol_bench_step *step,
                           bool *ret_estimate)
{
    if (ret_estimate != NULL)
        *ret_estimate = !step->has_predicted_bytes || step->bytes_estimate;
    return step->has_predicted_bytes ? step->predicted_bytes
                                     : ol_predicted_bytes_of(image, &step->predicted);
}

int64_t ol_predicted_shared(const struct ol_predicted_image *image, size_t engine,
                            const struct ol_bench_step *step)
{
    return step->op == OL_STEP_LAYER_APPLY ? cost_of(image, engine, step)->shared : 0;
}

/* One engine's storage as it fills. */
struct storage {
    const struct ol_prediction *prediction;
    size_t engine;
    bool **parents; /* owned; by image and layer, of its first image: something stands on it */
    int64_t inodes;
    struct ol_predicted_totals *totals;
};

static size_t first_with(const struct ol_prediction *prediction, size_t image, size_t layer)
{
    const char *chain_id = prediction->images[image].layers[layer].chain_id;

    for (size_t i = 0; i < image && chain_id[0] != '\0'; i++) {
        const struct ol_predicted_image *other = &prediction->images[i];

        if (layer < other->report.image.n_layers &&
            strcmp(other->layers[layer].chain_id, chain_id) == 0)
            return i;
    }
    return image;
}

static void tell_shared(const struct ol_prediction *prediction)
{
    for (size_t i = 0; i < prediction->n_images; i++) {
        const struct ol_predicted_image *image = &prediction->images[i];

        for (size_t layer = 0; layer < image->report.image.n_layers; layer++)
            image->layers[layer].shared_with = first_with(prediction, i, layer);
    }
}

/* How many images have the layer. */
static size_t owners(const struct ol_prediction *prediction, size_t first, size_t layer)
{
    size_t count = 0;

    for (size_t i = first; i < prediction->n_images; i++)
        count += layer < prediction->images[i].report.image.n_layers &&
                 prediction->images[i].layers[layer].shared_with == first;
    return count;
}

static void add(struct storage *s, int64_t inodes, int64_t bytes, int64_t *sum)
{
    s->inodes += inodes;
    s->totals->peak_bytes += bytes;
    *sum += inodes;
    if (s->inodes > s->totals->peak_inodes)
        s->totals->peak_inodes = s->inodes;
    if (s->inodes > s->totals->highest_inodes)
        s->totals->highest_inodes = s->inodes;
}

/* Before what the step leaves is added: what there is while it runs. */
static void pass_peak(struct storage *s, const struct ol_bench_step *step)
{
    if (s->inodes + step->predicted_peak > s->totals->highest_inodes)
        s->totals->highest_inodes = s->inodes + step->predicted_peak;
}

/* @return whether it was a parent before */
static bool *parent_flag(const struct storage *s, size_t image, size_t layer)
{
    return &s->parents[s->prediction->images[image].layers[layer].shared_with][layer];
}

/* What becoming a parent adds to a layer of this engine. */
static int64_t parenthood(const struct storage *s, size_t index)
{
    const struct ol_predicted_container *container =
        &s->prediction->images[index].containers[s->engine];

    return container->first - container->further;
}

static void import(struct storage *s, size_t index)
{
    const struct ol_predicted_image *image = &s->prediction->images[index];
    size_t count = ol_report_imported(&image->report);

    /* the layers are an engine's first steps */
    for (size_t layer = 0; layer < count; layer++) {
        const struct ol_bench_step *step = &image->report.engines[s->engine].steps[layer];
        int64_t inodes = ol_inode_kinds_total(&step->predicted);
        bool *below = layer > 0 ? parent_flag(s, index, layer - 1) : NULL;

        if (image->layers[layer].shared_with != index)
            continue;
        if (below != NULL && *below)
            inodes -= parenthood(s, index);
        if (below != NULL)
            *below = true;
        s->totals->whole = s->totals->whole && step->has_prediction;
        pass_peak(s, step);
        add(s, inodes, ol_predicted_bytes(image, step, NULL), &s->totals->image_inodes);
        if (owners(s->prediction, index, layer) == 1)
            s->totals->exclusive_inodes += inodes;
    }
}

static bool is_of_commit(const struct ol_bench_step *step)
{
    return step->op >= OL_STEP_CONTAINER_CREATE && step->op <= OL_STEP_COMMIT;
}

static void commit(struct storage *s, size_t index)
{
    const struct ol_predicted_image *image = &s->prediction->images[index];
    const struct ol_bench_engine *engine = &image->report.engines[s->engine];
    bool *top = parent_flag(s, index, ol_report_imported(&image->report) - 1);

    for (size_t i = 0; i < engine->n_steps; i++) {
        const struct ol_bench_step *step = &engine->steps[i];
        int64_t inodes = ol_inode_kinds_total(&step->predicted);

        if (!is_of_commit(step))
            continue;
        s->totals->whole = s->totals->whole && step->has_prediction;
        if (step->op == OL_STEP_CONTAINER_CREATE && step->index == 0) {
            inodes -= *top ? parenthood(s, index) : 0;
            *top = true;
        }
        pass_peak(s, step);
        add(s, inodes, ol_predicted_bytes(image, step, NULL), &s->totals->workload_inodes);
    }
}

/* Of a replayed image the newest commit is the whole image, and nothing stands on it. */
static void make_containers(struct storage *s, size_t index)
{
    const struct ol_predicted_image *image = &s->prediction->images[index];
    const struct ol_predicted_container *container = &image->containers[s->engine];
    bool *top = parent_flag(s, index, image->report.image.n_layers - 1);

    for (unsigned i = 0; i < s->prediction->containers; i++) {
        add(s, *top ? container->further : container->first, container->bytes,
            &s->totals->container_inodes);
        *top = true;
    }
}

static int fill(struct storage *s)
{
    const struct ol_prediction *prediction = s->prediction;

    s->totals->whole = true;
    for (size_t i = 0; i < prediction->n_images; i++) {
        s->parents[i] = calloc(prediction->images[i].report.image.n_layers, sizeof(bool));
        if (s->parents[i] == NULL)
            return -ENOMEM;
    }
    for (size_t i = 0; i < prediction->n_images; i++)
        import(s, i);
    for (size_t i = 0; i < prediction->n_images; i++) {
        commit(s, i);
        make_containers(s, i);
    }
    return 0;
}

static int total_engine(const struct ol_prediction *prediction, size_t engine)
{
    struct storage s = {.prediction = prediction,
                        .engine = engine,
                        .parents = calloc(prediction->n_images, sizeof(bool *)),
                        .totals = &prediction->totals[engine]};
    int r = s.parents == NULL ? -ENOMEM : fill(&s);

    for (size_t i = 0; i < prediction->n_images && s.parents != NULL; i++)
        free(s.parents[i]);
    free(s.parents);
    return r;
}

static void advise(const struct ol_prediction *prediction, size_t engine)
{
    const struct ol_predicted_totals *totals = &prediction->totals[engine];
    const unsigned commits = prediction->images[0].report.workload.commits;
    struct ol_fs_load load = {
        .inodes = (uint64_t)totals->highest_inodes,
        .bytes = (uint64_t)totals->peak_bytes,
        .containers = prediction->n_images * ((uint64_t)commits + prediction->containers),
        .images = prediction->n_images * (1 + (uint64_t)commits),
    };

    for (size_t i = 0; i < prediction->n_images; i++)
        load.layers += ol_report_imported(&prediction->images[i].report) + commits;
    prediction->advice[engine] = ol_fs_advise(prediction->fs, &load, prediction->headroom);
}

int ol_prediction_total(struct ol_prediction *prediction, struct ol_error *err)
{
    size_t engines = prediction->images[0].report.n_engines;
    int r = 0;

    tell_shared(prediction);
    prediction->totals = calloc(engines, sizeof *prediction->totals);
    prediction->advice = calloc(engines, sizeof *prediction->advice);
    if (prediction->totals == NULL || prediction->advice == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < engines && r == 0; i++) {
        r = total_engine(prediction, i);
        if (r == 0)
            advise(prediction, i);
    }
    return r < 0 ? ol_error_set(err, r, "cannot sum up: %s", strerrordesc_np(-r)) : 0;
}
