/* SPDX-License-Identifier: Apache-2.0 */
/* A prediction as JSON ("overlab.predict/1": the shape of a comparison's, with nothing measured)
 * and as CSV. */
#include "bench/report/json_parts.h"
#include "bench/report/prediction_internal.h"

#include "common/cleanup.h"

#include "config.h"

#include <errno.h>
#include <inttypes.h>

/* ---- JSON ---- */

static json_t *dirs_json(const struct ol_layer_cost *cost, int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < cost->n_dirs; i++) {
        json_t *dir = json_object();

        ol_json_push(json, dir, r);
        if (ol_json_put_bytes(dir, "path", cost->dirs[i].path) < 0)
            *r = -ENOMEM;
        ol_json_put(dir, "inodes", ol_json_count(cost->dirs[i].inodes), r);
        ol_json_put(dir, "bytes", ol_json_count(cost->dirs[i].bytes), r);
    }
    return json;
}

static json_t *shared_json(const struct ol_predicted_image *image, size_t index, size_t layer)
{
    size_t with = image->layers[layer].shared_with;

    return with == index ? json_null() : ol_json_count(with);
}

static json_t *image_json(const struct ol_predicted_image *image, size_t index, int *r)
{
    json_t *json = ol_report_image_json(&image->report, true, r);
    json_t *layers = json_object_get(json, "layers");

    for (size_t i = 0; i < image->report.image.n_layers; i++) {
        json_t *layer = json_array_get(layers, i);

        ol_json_put(layer, "chain_id", ol_json_text(image->layers[i].chain_id), r);
        ol_json_put(layer, "shared_with", shared_json(image, index, i), r);
        ol_json_put(layer, "directories", dirs_json(&image->cost.layers[i], r), r);
    }
    ol_json_put(json, "digests_verified", json_boolean(image->verified), r);
    return json;
}

static json_t *step_json(const struct ol_predicted_image *image, size_t index, size_t engine,
                         const struct ol_bench_step *step, int *r)
{
    bool of_layer = step->op == OL_STEP_LAYER_APPLY;
    bool estimate;
    int64_t bytes = ol_predicted_bytes(image, step, &estimate);
    json_t *json = json_object();

    ol_json_put(json, "op", json_string(ol_step_op_name(step->op)), r);
    ol_json_put(json, "index", ol_json_count(step->index), r);
    ol_json_put(json, "image", ol_json_count(index), r);
    ol_json_put(json, "predicted_inodes",
                step->has_prediction ? json_integer(ol_inode_kinds_total(&step->predicted))
                                     : json_null(),
                r);
    ol_json_put(json, "kinds",
                step->has_prediction ? ol_report_kinds_json(&step->predicted, r) : json_null(), r);
    ol_json_put(json, "predicted_bytes", step->has_prediction ? json_integer(bytes) : json_null(),
                r);
    ol_json_put(json, "bytes_estimate", step->has_prediction ? json_boolean(estimate) : json_null(),
                r);
    if (of_layer)
        ol_json_put(json, "shared_inodes", json_integer(ol_predicted_shared(image, engine, step)),
                    r);
    if (of_layer)
        ol_json_put(json, "shared_with", shared_json(image, index, step->index), r);
    if (of_layer || (image->report.workload.replay && step->op != OL_STEP_IMAGE_REMOVE)) {
        ol_json_put(json, "layer", ol_json_count(of_layer ? step->index : step->index + 1u), r);
        ol_json_put(json, "created_by", ol_json_text(ol_prediction_created_by(image, step)), r);
    }
    return json;
}

static int64_t imported_inodes(const struct ol_predicted_image *image, size_t engine)
{
    return image->report.found[engine].phases[OL_PHASE_IMPORT].predicted;
}

/* Each image as if it were alone. */
static json_t *alone_json(const struct ol_prediction *prediction, size_t engine, int *r)
{
    json_t *json = json_array();

    for (size_t i = 0; i < prediction->n_images; i++) {
        const struct ol_predicted_image *image = &prediction->images[i];
        const struct ol_report_phase *commit = &image->report.found[engine].phases[OL_PHASE_COMMIT];
        json_t *item = json_object();

        ol_json_push(json, item, r);
        ol_json_put(item, "image_inodes", json_integer(imported_inodes(image, engine)), r);
        ol_json_put(item, "commit_inodes",
                    commit->present && commit->has_prediction ? json_integer(commit->predicted)
                                                              : json_null(),
                    r);
        ol_json_put(item, "first_container_inodes", json_integer(image->containers[engine].first),
                    r);
        ol_json_put(item, "further_container_inodes",
                    json_integer(image->containers[engine].further), r);
    }
    return json;
}

static json_t *totals_json(const struct ol_prediction *prediction, size_t engine, int *r)
{
    const struct ol_predicted_totals *totals = &prediction->totals[engine];
    json_t *json = json_object();

    ol_json_put(json, "image_inodes", json_integer(totals->image_inodes), r);
    ol_json_put(json, "exclusive_inodes", json_integer(totals->exclusive_inodes), r);
    ol_json_put(json, "workload_inodes",
                totals->whole ? json_integer(totals->workload_inodes) : json_null(), r);
    ol_json_put(json, "container_inodes", json_integer(totals->container_inodes), r);
    ol_json_put(json, "peak_inodes",
                totals->whole ? json_integer(totals->peak_inodes) : json_null(), r);
    ol_json_put(json, "highest_inodes",
                totals->whole ? json_integer(totals->highest_inodes) : json_null(), r);
    ol_json_put(json, "peak_bytes_estimate", json_integer(totals->peak_bytes), r);
    return json;
}

static json_t *fs_json(const struct ol_prediction *prediction, size_t engine, int *r)
{
    const struct ol_fs_advice *advice = &prediction->advice[engine];
    ol_auto_buf struct ol_buf command = OL_BUF_INIT;
    json_t *json = json_object();

    if (ol_prediction_text_mkfs(prediction, engine, &command) < 0)
        *r = -ENOMEM;
    ol_json_put(json, "fs", json_string(ol_disk_fs_name(prediction->fs)), r);
    ol_json_put(json, "headroom_percent", ol_json_count(prediction->headroom), r);
    ol_json_put(json, "inodes", ol_json_count(advice->inodes), r);
    ol_json_put(json, "size_bytes", ol_json_count(advice->size_bytes), r);
    ol_json_put(json, "bytes_per_inode",
                advice->bytes_per_inode > 0 ? ol_json_count(advice->bytes_per_inode) : json_null(),
                r);
    ol_json_put(json, "imaxpct", advice->imaxpct > 0 ? ol_json_count(advice->imaxpct) : json_null(),
                r);
    ol_json_put(json, "mkfs", json_string(ol_buf_str(&command)), r);
    return json;
}

static json_t *engine_json(const struct ol_prediction *prediction, size_t index, int *r)
{
    const struct ol_bench_engine *engine = &prediction->images[0].report.engines[index];
    json_t *json = json_object();
    json_t *steps = json_array();

    ol_json_put(json, "name", ol_json_text(engine->name), r);
    ol_json_put(json, "kind", ol_json_text(engine->ops->kind), r);
    ol_json_put(json, "version", ol_json_text(OL_VERSION), r);
    ol_json_put(json, "steps", steps, r);
    for (size_t i = 0; i < prediction->n_images; i++) {
        const struct ol_predicted_image *image = &prediction->images[i];
        const struct ol_bench_engine *of = &image->report.engines[index];

        for (size_t s = 0; s < of->n_steps; s++)
            ol_json_push(steps, step_json(image, i, index, &of->steps[s], r), r);
    }
    ol_json_put(json, "images", alone_json(prediction, index, r), r);
    ol_json_put(json, "totals", totals_json(prediction, index, r), r);
    ol_json_put(json, "file_system", fs_json(prediction, index, r), r);
    return json;
}

static json_t *notes_json(const struct ol_prediction *prediction, int *r)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    json_t *json = json_array();
    const char *text;

    if (ol_prediction_text_notes(prediction, &buf) < 0)
        *r = -ENOMEM;
    for (text = ol_buf_str(&buf); *text != '\0'; text += strcspn(text, "\n") + 1) {
        json_t *note = json_object();

        ol_json_push(json, note, r);
        ol_json_put(note, "warning", json_false(), r);
        ol_json_put(note, "text", json_stringn(text, strcspn(text, "\n")), r);
    }
    return json;
}

static json_t *prediction_json(const struct ol_prediction *prediction, int *r)
{
    const struct ol_report *first = &prediction->images[0].report;
    json_t *workload = ol_report_workload_json(first, r);
    json_t *images = json_array();
    json_t *engines = json_array();
    json_t *verdicts = json_array();
    json_t *json = json_object();

    ol_json_put(json, "schema", json_string("overlab.predict/1"), r);
    ol_json_put(json, "overlab", json_string(OL_VERSION), r);
    ol_json_put(json, "view", json_string(ol_view_name(first->view)), r);
    ol_json_put(json, "image", image_json(&prediction->images[0], 0, r), r);
    ol_json_put(json, "images", images, r);
    for (size_t i = 0; i < prediction->n_images; i++)
        ol_json_push(images, image_json(&prediction->images[i], i, r), r);
    ol_json_put(json, "workload", workload, r);
    ol_json_put(workload, "containers", ol_json_count(prediction->containers), r);
    ol_json_put(json, "engines", engines, r);
    for (size_t i = 0; i < first->n_engines; i++)
        ol_json_push(engines, engine_json(prediction, i, r), r);
    ol_json_put(json, "verdict", verdicts, r);
    for (size_t i = 0; i < first->n_verdicts; i++)
        ol_json_push(verdicts, ol_report_verdict_json(first, &first->verdicts[i], r), r);
    ol_json_put(json, "notes", notes_json(prediction, r), r);
    return json;
}

int ol_prediction_print_json(const struct ol_prediction *prediction, FILE *out)
{
    int r = 0;
    ol_auto_json_t json_t *json = prediction_json(prediction, &r);

    return r < 0 ? r : ol_json_print(json, out);
}

/* ---- CSV ---- */

static void print_kinds(FILE *out, const struct ol_inode_kinds *kinds)
{
    fprintf(out,
            "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
            ",%" PRId64,
            ol_inode_kinds_total(kinds), kinds->directory, kinds->regular, kinds->symlink,
            kinds->device, kinds->fifo, kinds->whiteout, kinds->bookkeeping);
}

static void print_row(FILE *out, const struct ol_predicted_image *image, size_t index,
                      const struct ol_bench_engine *engine, const struct ol_bench_step *step)
{
    ol_csv_field(out, engine->name);
    fputc(',', out);
    ol_csv_field(out, image->report.image.source);
    fprintf(out, ",%s,%u,", ol_step_op_name(step->op), step->index);
    if (step->has_prediction)
        print_kinds(out, &step->predicted);
    else
        fputs(",,,,,,,", out);
    fputc(',', out);
    if (step->op == OL_STEP_LAYER_APPLY && image->layers[step->index].shared_with != index)
        fprintf(out, "%zu", image->layers[step->index].shared_with);
    fputc(',', out);
    ol_csv_field(out, ol_prediction_created_by(image, step));
    fputc('\n', out);
}

int ol_prediction_print_csv(const struct ol_prediction *prediction, FILE *out)
{
    fputs("engine,image,op,index,predicted_inodes,directory,regular,symlink,device,fifo,whiteout,"
          "bookkeeping,shared_with,created_by\n",
          out);
    for (size_t i = 0; i < prediction->n_images; i++) {
        const struct ol_predicted_image *image = &prediction->images[i];

        for (size_t e = 0; e < image->report.n_engines; e++) {
            const struct ol_bench_engine *engine = &image->report.engines[e];

            for (size_t s = 0; s < engine->n_steps; s++)
                print_row(out, image, i, engine, &engine->steps[s]);
        }
    }
    return 0;
}
