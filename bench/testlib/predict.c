/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost model beside a lab: one model per driver, fed with the headers of each layer the driver
 * got. Drivers write the same changes as different layers (a replaced directory is one opaque
 * marker or many whiteouts), so that no model could serve two of them.
 */
#include "bench/testlib/lab.h"

#include "common/cleanup.h"
#include "common/limits.h"

#include <errno.h>

enum { LAYERS_MAX = OL_MAX_IMAGE_LAYERS + OL_TEST_CONTAINERS_MAX };

int ol_test_predict_open(struct ol_test_forecast *forecast, const char *name, bool mounts,
                         struct ol_error *err)
{
    int r;

    *forecast = (struct ol_test_forecast){
        .way = {.mounts = mounts, .naive_diff = !ol_engine_has_option(name, "diff=upper")},
    };
    if (ol_engine_law(name, &forecast->way.law) < 0)
        forecast->unpredicted = "the cost model has no law for this driver";
    if (forecast->way.law == OL_LAW_NULL)
        return ol_error_set(err, -EINVAL, "it keeps nothing that could be counted");
    forecast->layers = calloc(LAYERS_MAX, sizeof *forecast->layers);
    forecast->containers = calloc(OL_TEST_CONTAINERS_MAX, sizeof *forecast->containers);
    forecast->committed = calloc(OL_TEST_CONTAINERS_MAX, sizeof *forecast->committed);
    if (forecast->layers == NULL || forecast->containers == NULL || forecast->committed == NULL)
        return ol_error_nomem(err);
    r = ol_model_new(&forecast->model, err);
    if (r == 0 && forecast->way.law == OL_LAW_OVERLAY2_NAIVE)
        r = ol_model_track_naive(forecast->model, err);
    return r;
}

void ol_test_predict_close(struct ol_test_forecast *forecast)
{
    ol_model_free(forecast->model);
    free(forecast->layers);
    free(forecast->containers);
    free(forecast->committed);
}

bool ol_test_predict_compares_trees(const struct ol_test_forecast *forecast)
{
    return forecast->way.law != OL_LAW_OVERLAY2 && forecast->way.law != OL_LAW_SNAPSHOT &&
           forecast->way.naive_diff;
}

/* The newest image's top layer; NULL before the first. */
static struct ol_held_layer *top(struct ol_test_forecast *forecast)
{
    return forecast->n_layers > 0 ? &forecast->layers[forecast->n_layers - 1] : NULL;
}

static struct ol_held_container *newest(struct ol_test_forecast *forecast)
{
    return &forecast->containers[forecast->n_containers - 1];
}

static void tell(const struct ol_test_forecast *forecast, struct ol_test_result *ret)
{
    ret->unpredicted = forecast->unpredicted;
    ret->has_prediction = forecast->unpredicted == NULL;
}

/* r of a law: 0 or -ENOMEM. */
static int told(const struct ol_test_forecast *forecast, int r, struct ol_test_result *ret,
                struct ol_error *err)
{
    if (r < 0)
        return ol_error_nomem(err);
    tell(forecast, ret);
    return 0;
}

/* ---- layers ---- */

static int add_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct ol_test_forecast *forecast = data;

    if (entry->type == OL_ENTRY_FILE && entry->mtime.tv_sec > forecast->newest_s)
        forecast->newest_s = entry->mtime.tv_sec;
    return ol_model_add(forecast->model, entry, err);
}

static int feed(struct ol_test_forecast *forecast, const struct ol_input *tar,
                uint64_t *ret_entries, struct ol_error *err)
{
    struct ol_layer_result result = {.entries = 0};
    int r;

    if (forecast->n_layers == LAYERS_MAX)
        return ol_error_set(err, -E2BIG, "a lab has at most %d layers", LAYERS_MAX);
    r = ol_model_begin_layer(forecast->model, err);
    if (r == 0)
        r = ol_layer_scan(tar, NULL, add_entry, forecast, &result, err);
    *ret_entries = result.entries;
    return r;
}

int ol_test_predict_layer(struct ol_test_forecast *forecast, const struct ol_input *tar,
                          uint64_t skipped, struct ol_test_result *ret, struct ol_error *err)
{
    uint64_t entries;
    int r = feed(forecast, tar, &entries, err);

    if (r < 0)
        return r;
    if (skipped > 0)
        forecast->unpredicted = "the image has devices, which cannot be made without privileges";
    r = ol_held_layer_apply(&forecast->way, forecast->model, top(forecast),
                            &forecast->layers[forecast->n_layers], &ret->predicted);
    if (r == 0)
        forecast->n_imported = ++forecast->n_layers;
    return told(forecast, r, ret, err);
}

/* ---- containers ---- */

int ol_test_predict_create(struct ol_test_forecast *forecast, struct ol_test_result *ret,
                           struct ol_error *err)
{
    int r = ol_held_container_create(&forecast->way, forecast->model, top(forecast),
                                     &forecast->containers[forecast->n_containers],
                                     &ret->predicted);

    if (r == 0)
        forecast->n_containers++;
    return told(forecast, r, ret, err);
}

void ol_test_predict_mount(struct ol_test_forecast *forecast, bool unmount,
                           struct ol_test_result *ret)
{
    if (unmount)
        ol_held_unmount(newest(forecast), &ret->predicted);
    else
        ol_held_mount(newest(forecast), &ret->predicted);
    tell(forecast, ret);
}

int ol_test_predict_plan(const struct ol_test_forecast *forecast, const struct ol_change_mix *mix,
                         uint64_t bytes, uint64_t seed, struct ol_plan **ret, struct ol_error *err)
{
    struct ol_model *model = NULL;
    int r = ol_model_copy(forecast->model, &model, err);

    if (r == 0)
        r = ol_plan_make(model, mix, bytes, seed, ret, err);
    ol_model_free(model);
    return r;
}

/* Of a step that mounted and unmounted as well, that part goes by its law. */
void ol_test_predict_change(struct ol_test_forecast *forecast, const struct ol_inode_kinds *planned,
                            bool mounted_here, bool leaves_cached, struct ol_test_result *ret)
{
    struct ol_inode_kinds changed = ret->added.kinds;
    struct ol_inode_kinds around = {0};
    struct ol_inode_kinds part;

    if (mounted_here) {
        ol_held_mount(newest(forecast), &around);
        ol_held_unmount(newest(forecast), &part);
        ol_inode_kinds_add(&around, &part, 1);
        ol_inode_kinds_add(&changed, &around, -1);
    }
    ol_held_change(newest(forecast), &changed, leaves_cached);
    if (planned == NULL) {
        ret->unpredicted = "only seeded changes can be told beforehand; predict the commit";
        return;
    }
    ret->predicted = *planned;
    ol_inode_kinds_add(&ret->predicted, &around, 1);
    tell(forecast, ret);
}

/* ---- commit, removing ---- */

int ol_test_predict_commit(struct ol_test_forecast *forecast, int diff_fd,
                           struct ol_test_result *ret, struct ol_error *err)
{
    const struct ol_input tar = OL_INPUT_FD(diff_fd);
    bool makes_layer;
    uint64_t entries;
    int r = feed(forecast, &tar, &entries, err);

    if (r < 0)
        return r;
    makes_layer = entries > 0 || forecast->way.law == OL_LAW_SNAPSHOT;
    r = ol_held_commit(newest(forecast), forecast->model, top(forecast), entries == 0,
                       &forecast->layers[forecast->n_layers], &ret->predicted);
    if (r == 0 && makes_layer)
        forecast->committed[forecast->n_commits] = ++forecast->n_layers;
    forecast->n_commits++;
    return told(forecast, r, ret, err);
}

void ol_test_predict_container_remove(const struct ol_test_forecast *forecast, unsigned index,
                                      struct ol_test_result *ret)
{
    ol_held_container_remove(&forecast->containers[index], &ret->predicted);
    tell(forecast, ret);
}

void ol_test_predict_image_remove(const struct ol_test_forecast *forecast, unsigned index,
                                  struct ol_test_result *ret)
{
    size_t end = index == 0 ? forecast->n_imported : forecast->committed[index - 1];
    size_t first = index == 0 || end == 0 ? 0 : end - 1;

    for (size_t i = first; i < end; i++) {
        struct ol_inode_kinds freed;

        ol_held_layer_remove(&forecast->layers[i], &freed);
        ol_inode_kinds_add(&ret->predicted, &freed, 1);
    }
    tell(forecast, ret);
}
