/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of a prediction. */
#include "bench/report/prediction_internal.h"

#include "common/cleanup.h"

#include <inttypes.h>

const char *ol_prediction_created_by(const struct ol_predicted_image *image,
                                     const struct ol_bench_step *step)
{
    size_t layer = step->op == OL_STEP_LAYER_APPLY ? step->index : step->index + 1;
    const struct ol_image_step *build = ol_image_history_of_layer(&image->report.history, layer);
    bool of_layer = step->op == OL_STEP_LAYER_APPLY ||
                    (image->report.workload.replay && step->op != OL_STEP_IMAGE_REMOVE);

    return of_layer && build != NULL ? build->created_by : "";
}

int ol_prediction_text_image(const struct ol_prediction *prediction, size_t index,
                             struct ol_buf *buf)
{
    const struct ol_report_image *image = &prediction->images[index].report.image;
    uint64_t entries = 0;
    int r = ol_buf_puts(buf, "Image ");

    for (size_t i = 0; i < image->n_layers; i++)
        entries += image->layers[i].entries;
    if (r == 0)
        r = ol_text_one_line(image->source, SIZE_MAX, buf);
    if (r == 0)
        r = ol_buf_printf(buf, ": %zu %s, ", image->n_layers,
                          image->n_layers == 1 ? "layer" : "layers");
    if (r == 0)
        r = ol_human_count(buf, (int64_t)entries);
    return r < 0 ? r : ol_buf_puts(buf, " entries");
}

int ol_prediction_text_workload(const struct ol_prediction *prediction, struct ol_buf *buf)
{
    const struct ol_report_workload *work = &prediction->images[0].report.workload;

    if (work->replay)
        return ol_buf_printf(buf,
                             "%u %s replayed: each layer's changes made in a container on the "
                             "layers below, and committed",
                             work->commits, work->commits == 1 ? "layer" : "layers");
    if (work->commits == 0)
        return ol_buf_puts(buf, "no commits");
    return ol_text_commits(buf, work, prediction->n_images > 1 ? " on each" : "");
}

int ol_prediction_text_marks(const struct ol_prediction *prediction,
                             const struct ol_engine_grid *grid, struct ol_buf *buf)
{
    const struct ol_report *report = &prediction->images[0].report;
    int r = 0;

    for (size_t i = 0; grid->marks != NULL && i < report->n_engines && r == 0; i++)
        r = ol_buf_printf(buf, "%s\t%s\n", grid->marks[i], report->engines[i].name);
    return r;
}

int ol_prediction_text_directories(const struct ol_prediction *prediction, size_t index,
                                   struct ol_buf *buf)
{
    const struct ol_image_cost *cost = &prediction->images[index].cost;
    int r = 0;

    for (size_t layer = 0; layer < cost->count && r == 0; layer++) {
        const struct ol_layer_cost *of = &cost->layers[layer];

        for (size_t i = 0; i < of->n_dirs && r == 0; i++) {
            r = ol_buf_printf(buf, "layer %zu\t", layer);
            if (r == 0)
                r = ol_text_blamed_dir(&of->dirs[i], SIZE_MAX, buf);
            if (r == 0)
                r = ol_buf_putc(buf, '\n');
        }
    }
    return r;
}

static bool has_shared(const struct ol_prediction *prediction)
{
    for (size_t i = 0; i < prediction->n_images; i++) {
        const struct ol_predicted_image *image = &prediction->images[i];

        for (size_t layer = 0; layer < image->report.image.n_layers; layer++) {
            if (image->layers[layer].shared_with != i)
                return true;
        }
    }
    return false;
}

/* Images whose DiffIDs somebody told, or we computed. */
static size_t with_diff_ids(const struct ol_prediction *prediction)
{
    size_t count = 0;

    for (size_t i = 0; i < prediction->n_images; i++)
        count += prediction->images[i].layers[0].chain_id[0] != '\0';
    return count;
}

static bool is_whole(const struct ol_prediction *prediction)
{
    for (size_t i = 0; i < prediction->images[0].report.n_engines; i++) {
        if (!prediction->totals[i].whole)
            return false;
    }
    return true;
}

/* In whose hands the numbers come out like this. */
static const char *teller(enum ol_view view)
{
    switch (view) {
    case OL_VIEW_AUTO:
    case OL_VIEW_KERNEL:
        break;
    case OL_VIEW_USERNS:
        return "compare in a user namespace (--view userns)";
    case OL_VIEW_DIRECT:
        return "compare without mounts (--view direct)";
    }
    return "root in a real engine";
}

int ol_prediction_text_notes(const struct ol_prediction *prediction, struct ol_buf *buf)
{
    int r = ol_buf_printf(buf,
                          "told from tar headers and the planned changes, as %s would have it; "
                          "nothing was unpacked\n",
                          teller(prediction->images[0].report.view));

    if (r == 0 && has_shared(prediction))
        r = ol_buf_puts(buf, "=: the layer is also in an image above, and counted there\n");
    if (r == 0 && prediction->images[0].verified)
        r = ol_buf_puts(buf, "every byte was read, and the digests are what the images say\n");
    else if (r == 0 && with_diff_ids(prediction) > 0)
        r = ol_buf_puts(buf, "DiffIDs were taken from the configs, and not verified: file contents "
                             "were skipped (--verify-digests reads them)\n");
    if (r == 0 && prediction->n_images > with_diff_ids(prediction) && prediction->n_images > 1)
        r = ol_buf_puts(buf, "an image without a config tells no DiffIDs: whether it shares layers "
                             "is known with --verify-digests\n");
    if (r == 0)
        r = ol_prediction_text_fs(prediction, buf);
    if (r == 0 && !is_whole(prediction))
        r = ol_buf_puts(
            buf, "?: a step the oracle cannot follow; the file system is too small by that\n");
    return r;
}
