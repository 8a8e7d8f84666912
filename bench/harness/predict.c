/* SPDX-License-Identifier: Apache-2.0 */
/* One image after the other, from headers; see predict.h. The totals are in predict_totals.c. */
#include "bench/harness/predict.h"

#include "bench/harness/forecast.h"
#include "bench/harness/image_layers.h"
#include "bench/harness/predict_internal.h"
#include "bench/oracle/held.h"
#include "common/cleanup.h"

#include <errno.h>

/* What the prediction of one image holds while it is made. */
struct work {
    const struct ol_predict_options *options;
    struct ol_predicted_image *image; /* being filled */
    struct ol_image_layers layers;    /* owned */
    struct ol_forecast *forecast;     /* owned */
};

int ol_predict_check_engine(const char *name, struct ol_error *err)
{
    enum ol_law law;
    int r = ol_engine_name_check(name, err);

    if (r < 0)
        return r;
    if (ol_engine_law(name, &law) < 0 || law == OL_LAW_NULL)
        return ol_error_set(err, -EINVAL, "there is no law for '%s'", name);
    return 0;
}

static void image_fini(struct ol_predicted_image *image)
{
    ol_report_fini(&image->report);
    ol_image_cost_fini(&image->cost);
    free(image->layers);
    free(image->containers);
}

void ol_prediction_fini(struct ol_prediction *prediction)
{
    for (size_t i = 0; i < prediction->n_images; i++)
        image_fini(&prediction->images[i]);
    free(prediction->images);
    free(prediction->totals);
    free(prediction->advice);
    *prediction = (struct ol_prediction){0};
}

/* @param name  NULL: the built-in image */
static int find_image(const struct ol_predict_options *options, const char *name,
                      struct ol_image **ret, struct ol_error *err)
{
    if (name == NULL)
        return ol_builtin_image_new(options->workload.seed, ret, err);
    if (options->stored != NULL && !ol_image_is_path(name))
        return ol_image_open_stored(options->stored, name, ret, err);
    return ol_image_open(name, options->tmp_dir, ret, err);
}

static int open_image(struct work *w, const char *name, struct ol_error *err)
{
    const struct ol_predict_options *options = w->options;
    struct ol_predicted_image *image = w->image;
    struct ol_image *opened = NULL;
    int r = find_image(options, name, &opened, err);

    if (r < 0)
        return r;
    if (options->verify_digests)
        ol_image_verify_blobs(opened);
    r = ol_image_layers_init(&w->layers, opened, err);
    if (r == 0)
        r = ol_image_layers_settle(&w->layers, &image->report.workload, err);
    if (r < 0)
        return r;
    image->layers = calloc(w->layers.count, sizeof *image->layers);
    image->report.image.layers = calloc(w->layers.count, sizeof *image->report.image.layers);
    image->report.image.n_layers = w->layers.count;
    return image->layers == NULL || image->report.image.layers == NULL ? ol_error_nomem(err) : 0;
}

/* Hold what the layer is against what the config says, where it was digested, and keep one. */
static int take_diff_id(struct work *w, size_t index, const char *digest, struct ol_error *err)
{
    char *diff_id = w->image->report.image.layers[index].diff_id;
    const char *told = ol_image_layer_diff_id(w->layers.image, index);

    if (digest[0] != '\0' && told != NULL && strcmp(digest, told) != 0)
        return ol_error_set(err, -EBADMSG, "it has the DiffID '%s', and the config says '%s'",
                            digest, told);
    if (digest[0] == '\0')
        digest = told != NULL ? told : "";
    memcpy(diff_id, digest, strlen(digest) + 1);
    return 0;
}

/* Read layer index once; what is not replayed goes into forecast and cost on the way. */
static int scan_layer(struct work *w, size_t index, struct ol_layer_result *ret,
                      struct ol_error *err)
{
    const enum ol_scan_digest digest = w->options->verify_digests ? OL_SCAN_DIGEST
                                                                  : OL_SCAN_NO_DIGEST;
    const struct ol_input *input = &w->layers.inputs[index];
    int r;

    if (w->options->workload.replay && index > 0)
        return ol_layer_scan_digest(input, digest, NULL, NULL, NULL, ret, err);
    r = ol_forecast_layer(w->forecast, input, digest, ret, err);
    if (r < 0 || w->options->workload.replay)
        return r;
    return ol_image_cost_take(&w->image->cost, ol_forecast_model(w->forecast), ret->entries, err);
}

static int read_layer(struct work *w, size_t index, struct ol_error *err)
{
    bool replay = w->options->workload.replay; /* reads layers again */
    const struct ol_image_layers_want want = {.spool_dir = replay ? w->options->tmp_dir : NULL};
    struct ol_report_layer *layer = &w->image->report.image.layers[index];
    struct ol_layer_result scan = {0};
    char copied[OL_DIGEST_SIZE];
    int r = ol_image_layers_open(&w->layers, index, &want, copied, err);

    if (r == 0)
        r = scan_layer(w, index, &scan, err);
    if (r == 0 && !replay)
        r = ol_image_layers_close(&w->layers, index, err);
    if (r == 0)
        r = take_diff_id(w, index, scan.diff_id[0] != '\0' ? scan.diff_id : copied, err);
    layer->entries = scan.entries;
    layer->bytes = scan.stream_bytes;
    return r;
}

static int read_layers(struct work *w, struct ol_error *err)
{
    int r = ol_image_cost_init(&w->image->cost, w->layers.count, w->options->top, err);

    w->image->cost.shares = true;
    for (size_t i = 0; i < w->layers.count && r == 0; i++) {
        if (w->options->cancelled != NULL && w->options->cancelled(w->options->data))
            return ol_error_set(err, -ECANCELED, "interrupted");
        r = read_layer(w, i, err);
        if (r < 0)
            return ol_error_wrap(err, r, "layer %zu of '%s'", i, ol_image_source(w->layers.image));
    }
    for (size_t i = 0; w->options->workload.replay && i < w->layers.count && r == 0; i++)
        r = ol_image_cost_add(&w->image->cost, &w->layers.inputs[i], err);
    return r;
}

/* Of the view that is predicted: whether layers are mounted. */
static bool mounts(const struct work *w)
{
    return w->image->report.view != OL_VIEW_DIRECT;
}

/* The first container on an image layer may mark it, the others do not. */
static int container_cost(const struct work *w, enum ol_law law, struct ol_predicted_container *ret)
{
    const struct ol_held_way way = {.law = law, .mounts = mounts(w)};
    struct ol_held_layer image = {.way = way};
    struct ol_held_container container;
    struct ol_inode_kinds first, mount;
    int r = ol_held_container_create(&way, ol_forecast_model(w->forecast), &image, &container,
                                     &first);

    if (r < 0)
        return r;
    ret->further = ol_inode_kinds_total(&container.own);
    ol_held_mount(&container, &mount);
    ret->first = ol_inode_kinds_total(&first) + ol_inode_kinds_total(&mount);
    ret->further += ol_inode_kinds_total(&mount);
    ret->bytes = ol_predicted_bytes_of(w->image, &first) + ol_predicted_bytes_of(w->image, &mount);
    return 0;
}

/* On the image as it is in the model now. */
static int predict_containers(struct work *w, struct ol_error *err)
{
    struct ol_predicted_image *image = w->image;
    int r = 0;

    image->containers = calloc(w->options->n_engines, sizeof *image->containers);
    if (image->containers == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < w->options->n_engines && r == 0; i++) {
        enum ol_law law;

        r = ol_engine_law(w->options->engines[i], &law);
        if (r == 0)
            r = container_cost(w, law, &image->containers[i]);
    }
    return r < 0 ? ol_error_set(err, r, "cannot predict containers: %s", strerrordesc_np(-r)) : 0;
}

static int predict_commits(struct work *w, struct ol_error *err)
{
    const struct ol_report_workload *work = &w->image->report.workload;
    int r = 0;

    if (!work->replay)
        r = predict_containers(w, err);
    if (r < 0)
        return r;
    r = work->replay
            ? ol_forecast_replay(w->forecast, w->layers.inputs, true, err)
            : ol_forecast_commits(w->forecast, &work->changes, work->change_bytes, work->seed, err);
    return r < 0 || !work->replay ? r : predict_containers(w, err);
}

static int make_engines(struct work *w, struct ol_error *err)
{
    struct ol_report *report = &w->image->report;
    const struct ol_bench_job job = {
        .n_layers = (unsigned)ol_report_imported(report),
        .commits = report->workload.commits,
    };
    int r = 0;

    report->engines = calloc(w->options->n_engines, sizeof *report->engines);
    if (report->engines == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < w->options->n_engines && r == 0; i++) {
        const char *name = w->options->engines[i];
        struct ol_bench_engine *engine = &report->engines[report->n_engines++];

        *engine = (struct ol_bench_engine){.name = strdup(name), .ops = ol_engine_ops_of(name)};
        r = engine->name == NULL ? ol_error_nomem(err) : ol_bench_steps_make(&job, engine, err);
        if (r == 0)
            ol_forecast_fill(w->forecast, mounts(w), engine);
    }
    return r;
}

static int make_chain_ids(struct work *w, struct ol_error *err)
{
    struct ol_predicted_image *image = w->image;
    int r = 0;

    for (size_t i = 0; i < w->layers.count && r == 0; i++) {
        const char *diff_id = image->report.image.layers[i].diff_id;

        if (diff_id[0] == '\0')
            return 0; /* the format tells none, and nobody asked for it */
        r = ol_chain_id(i > 0 ? image->layers[i - 1].chain_id : NULL, diff_id,
                        image->layers[i].chain_id, err);
    }
    return r;
}

static int describe_image(struct work *w, struct ol_error *err)
{
    struct ol_report_image *image = &w->image->report.image;
    const struct ol_image *opened = w->layers.image;
    const char *id = ol_image_id(opened);
    int r = make_chain_ids(w, err);

    if (r < 0)
        return r;
    image->format = ol_image_format_name(ol_image_format_of(opened));
    image->source = strdup(ol_image_source(opened));
    image->id = strdup(id[0] != '\0' ? id : image->layers[0].diff_id); /* as a comparison does */
    if (image->source == NULL || image->id == NULL)
        return ol_error_nomem(err);
    return ol_image_history_get(ol_image_config_of(opened), w->layers.count,
                                &w->image->report.history, err);
}

static int predict_image(struct work *w, const char *name, struct ol_error *err)
{
    struct ol_report *report = &w->image->report;
    int r;

    report->view = w->options->view == OL_VIEW_AUTO ? OL_VIEW_KERNEL : w->options->view;
    report->workload = w->options->workload;
    report->workload.rounds = 0;
    report->workload.warmup = false;
    w->image->verified = w->options->verify_digests;
    r = open_image(w, name, err);
    if (r == 0)
        r = ol_forecast_new((unsigned)ol_report_imported(report), report->workload.commits,
                            &w->forecast, err);
    if (r == 0)
        ol_forecast_on_disk(w->forecast, w->options->fs);
    for (size_t i = 0; i < w->options->n_engines && r == 0; i++)
        r = ol_forecast_follow(w->forecast, w->options->engines[i], mounts(w), err);
    if (r == 0)
        r = read_layers(w, err);
    if (r == 0)
        r = predict_commits(w, err);
    if (r == 0)
        r = make_engines(w, err);
    if (r == 0)
        r = describe_image(w, err);
    return r < 0 ? r : ol_report_conclude(report, err);
}

int ol_predict(const struct ol_predict_options *options, struct ol_prediction *ret,
               struct ol_error *err)
{
    size_t n = options->n_images > 0 ? options->n_images : 1;
    struct ol_prediction prediction = {
        .containers = options->containers, .fs = options->fs, .headroom = options->headroom};
    int r = 0;

    if (options->workload.replay && n > 1)
        return ol_error_set(err, -EINVAL, "a replay is of one image, and there are %zu", n);
    prediction.images = calloc(n, sizeof *prediction.images);
    if (prediction.images == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < n && r == 0; i++) {
        struct work w = {.options = options, .image = &prediction.images[i]};

        prediction.n_images++; /* from here on it is freed with the others */
        r = predict_image(&w, options->n_images > 0 ? options->images[i] : NULL, err);
        ol_forecast_free(w.forecast);
        ol_image_layers_fini(&w.layers);
    }
    if (r == 0)
        r = ol_prediction_total(&prediction, err);
    if (r < 0) {
        ol_prediction_fini(&prediction);
        return r;
    }
    *ret = prediction;
    return 0;
}
