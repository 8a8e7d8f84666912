/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All images of a prediction in one storage: every image is imported, then each gets its commits
 * and its containers, and nothing is removed. A layer that is there already costs nothing, and one
 * that is a parent already does not become one again.
 */
#include "bench/harness/predict_internal.h"

#include "common/cleanup.h"

#include <errno.h>

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

static void add(struct storage *s, int64_t inodes, int64_t *sum)
{
    s->inodes += inodes;
    *sum += inodes;
    if (s->inodes > s->totals->peak_inodes)
        s->totals->peak_inodes = s->inodes;
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
        add(s, inodes, &s->totals->image_inodes);
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
        add(s, inodes, &s->totals->workload_inodes);
    }
}

/* Of a replayed image the newest commit is the whole image, and nothing stands on it. */
static void make_containers(struct storage *s, size_t index)
{
    const struct ol_predicted_image *image = &s->prediction->images[index];
    const struct ol_predicted_container *container = &image->containers[s->engine];
    bool *top = parent_flag(s, index, image->report.image.n_layers - 1);

    for (unsigned i = 0; i < s->prediction->containers; i++) {
        add(s, *top ? container->further : container->first, &s->totals->container_inodes);
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

int ol_prediction_total(struct ol_prediction *prediction, struct ol_error *err)
{
    size_t engines = prediction->images[0].report.n_engines;
    int r = 0;

    tell_shared(prediction);
    prediction->totals = calloc(engines, sizeof *prediction->totals);
    if (prediction->totals == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < engines && r == 0; i++)
        r = total_engine(prediction, i);
    return r < 0 ? ol_error_set(err, r, "cannot sum up: %s", strerrordesc_np(-r)) : 0;
}
