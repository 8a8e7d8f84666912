/* SPDX-License-Identifier: Apache-2.0 */
/* Costs of an image's layers; see image_cost.h. */
#include "bench/harness/image_cost.h"

#include "common/layer/layer.h"

#include <errno.h>
#include <stdlib.h>

int ol_image_cost_init(struct ol_image_cost *cost, size_t layers, size_t top, struct ol_error *err)
{
    *cost = (struct ol_image_cost){.room = layers, .top = top};
    cost->layers = calloc(layers + 1, sizeof *cost->layers);
    if (cost->layers == NULL)
        return ol_error_nomem(err);
    return ol_model_new(&cost->model, err);
}

void ol_image_cost_fini(struct ol_image_cost *cost)
{
    for (size_t i = 0; i < cost->count; i++) {
        for (size_t d = 0; d < cost->layers[i].n_dirs; d++)
            free(cost->layers[i].dirs[d].path);
        free(cost->layers[i].dirs);
    }
    free(cost->layers);
    ol_model_free(cost->model);
    *cost = (struct ol_image_cost){0};
}

static int add_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

static int judge_law(const struct ol_image_cost *cost, const struct ol_model *model,
                     enum ol_law law, bool base, struct ol_layer_cost *layer)
{
    struct ol_inode_kinds shared = {0};
    int r = ol_law_layer_apply(law, model, base, true, &layer->under[law].kinds);

    if (r == 0)
        r = ol_law_layer_bytes(law, model, base, &layer->under[law].bytes);
    if (r == 0 && cost->shares)
        r = ol_law_layer_shared(law, model, base, &shared);
    layer->under[law].shared = ol_inode_kinds_total(&shared);
    layer->under[law].inodes = ol_inode_kinds_total(&layer->under[law].kinds);
    return r;
}

static int judge(const struct ol_image_cost *cost, const struct ol_model *model, bool base,
                 struct ol_layer_cost *layer)
{
    int found;
    int r = 0;

    for (unsigned law = 0; law < OL_COST_LAWS && r == 0; law++)
        r = judge_law(cost, model, (enum ol_law)law, base, layer);
    if (r < 0 || cost->top == 0)
        return r;
    layer->dirs = calloc(cost->top, sizeof *layer->dirs);
    if (layer->dirs == NULL)
        return -ENOMEM;
    found = ol_model_blame(model, cost->top, layer->dirs);
    layer->n_dirs = found > 0 ? (size_t)found : 0;
    return found < 0 ? found : 0;
}

int ol_image_cost_take(struct ol_image_cost *cost, const struct ol_model *model, uint64_t entries,
                       struct ol_error *err)
{
    struct ol_layer_cost *layer = &cost->layers[cost->count];

    if (cost->count == cost->room)
        return ol_error_set(err, -E2BIG, "more layers than announced");
    cost->count++; /* from here on fini frees what it holds */
    layer->entries = entries;
    return judge(cost, model, cost->count == 1, layer) < 0 ? ol_error_nomem(err) : 0;
}

int ol_image_cost_add(struct ol_image_cost *cost, const struct ol_input *input,
                      struct ol_error *err)
{
    struct ol_layer_result scan = {0};
    int r = ol_model_begin_layer(cost->model, err);

    if (r == 0)
        r = ol_layer_scan_digest(input, OL_SCAN_NO_DIGEST, NULL, add_entry, cost->model, &scan,
                                 err);
    return r < 0 ? r : ol_image_cost_take(cost, cost->model, scan.entries, err);
}
