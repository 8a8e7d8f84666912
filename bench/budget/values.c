/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of a workload; see values.h. */
#include "bench/budget/values.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

static void steps_fini(struct ol_step_values *steps)
{
    free(steps->inodes);
    free(steps->bytes);
}

void ol_budget_values_fini(struct ol_budget_values *values)
{
    for (size_t i = 0; i < values->n_drivers; i++) {
        steps_fini(&values->drivers[i].layers);
        steps_fini(&values->drivers[i].commits);
    }
    free(values->drivers);
    free(values->image_id);
    free(values->fs);
    *values = (struct ol_budget_values){0};
}

/* ---- from reports ---- */

static void set(struct ol_driver_values *values, enum ol_metric metric, int64_t value)
{
    values->metrics[metric] = (struct ol_budget_value){.known = true, .value = value};
}

/* The inodes of a step; false when they are wanted predicted and nobody knows. */
static bool step_inodes(const struct ol_bench_step *step, bool measured, int64_t *ret)
{
    *ret = measured ? step->added.inodes : ol_inode_kinds_total(&step->predicted);
    return measured || step->has_prediction;
}

/* What each step of one kind adds. -ENOMEM. */
static int list_steps(const struct ol_bench_engine *engine, enum ol_step_op op, bool measured,
                      struct ol_step_values *ret)
{
    bool known = true;
    size_t n = 0;

    ret->inodes = calloc(engine->n_steps + 1, sizeof *ret->inodes);
    ret->bytes = calloc(engine->n_steps + 1, sizeof *ret->bytes);
    if (ret->inodes == NULL || ret->bytes == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < engine->n_steps; i++) {
        const struct ol_bench_step *step = &engine->steps[i];

        if (step->op != op)
            continue;
        known = step_inodes(step, measured, &ret->inodes[n]) && known;
        ret->bytes[n++] = step->added.bytes;
    }
    ret->n_inodes = known ? n : 0;
    ret->n_bytes = measured ? n : 0;
    return 0;
}

static void set_largest(struct ol_driver_values *values, enum ol_metric metric, const int64_t *list,
                        size_t n)
{
    int64_t largest = n > 0 ? list[0] : 0;

    for (size_t i = 1; i < n; i++)
        largest = list[i] > largest ? list[i] : largest;
    if (n > 0)
        set(values, metric, largest);
}

static void set_phase(struct ol_driver_values *values, enum ol_metric metric,
                      const struct ol_report_phase *phase, bool measured)
{
    if (phase->present && (measured || phase->has_prediction))
        set(values, metric, measured ? phase->inodes : phase->predicted);
}

static void set_container(struct ol_driver_values *values, const struct ol_report_phase *phases,
                          bool measured)
{
    const struct ol_report_phase *create = &phases[OL_PHASE_CREATE];
    const struct ol_report_phase *mount = &phases[OL_PHASE_MOUNT];

    if (create->present && mount->present &&
        (measured || (create->has_prediction && mount->has_prediction)))
        set(values, OL_METRIC_CONTAINER_INODES,
            measured ? create->inodes + mount->inodes : create->predicted + mount->predicted);
}

/* What both kinds of reports know. */
static int take_engine(const struct ol_report *report, size_t index, bool measured,
                       struct ol_driver_values *ret)
{
    const struct ol_bench_engine *engine = &report->engines[index];
    const struct ol_report_phase *phases = report->found[index].phases;
    int r = list_steps(engine, OL_STEP_LAYER_APPLY, measured, &ret->layers);

    if (r == 0)
        r = list_steps(engine, OL_STEP_COMMIT, measured, &ret->commits);
    if (r < 0)
        return r;
    set_phase(ret, OL_METRIC_IMAGE_INODES, &phases[OL_PHASE_IMPORT], measured);
    set_phase(ret, OL_METRIC_COMMIT_INODES, &phases[OL_PHASE_COMMIT], measured);
    set_container(ret, phases, measured);
    set_largest(ret, OL_METRIC_LAYER_INODES, ret->layers.inodes, ret->layers.n_inodes);
    set_largest(ret, OL_METRIC_COMMIT_INODES_MAX, ret->commits.inodes, ret->commits.n_inodes);
    return 0;
}

static int begin(const struct ol_report *report, struct ol_budget_values *ret, struct ol_error *err)
{
    *ret = (struct ol_budget_values){.view = report->view};
    ret->image_id = strdup(report->image.id);
    ret->drivers = calloc(report->n_engines + 1, sizeof *ret->drivers);
    if (ret->image_id == NULL || ret->drivers == NULL)
        return ol_error_nomem(err);
    ret->n_drivers = report->n_engines;
    return 0;
}

static void take_measured(const struct ol_report *report, size_t index,
                          struct ol_driver_values *values)
{
    const struct ol_bench_engine *engine = &report->engines[index];
    const struct ol_report_phase *phases = report->found[index].phases;
    enum ol_law law;

    set(values, OL_METRIC_IMAGE_BYTES, phases[OL_PHASE_IMPORT].bytes);
    if (phases[OL_PHASE_COMMIT].present)
        set(values, OL_METRIC_COMMIT_BYTES, phases[OL_PHASE_COMMIT].bytes);
    set(values, OL_METRIC_PEAK_INODES, engine->peak_inodes);
    if (engine->has_held)
        set(values, OL_METRIC_CONTAINERS_INODES, engine->held.inodes);
    set(values, OL_METRIC_LEFT_INODES, engine->left_inodes);
    if (ol_engine_law(engine->name, &law) == 0) /* else no step can be wrong */
        set(values, OL_METRIC_WRONG_STEPS, (int64_t)report->found[index].wrong_steps);
}

int ol_budget_values_measured(const struct ol_report *report, struct ol_budget_values *ret,
                              struct ol_error *err)
{
    struct ol_budget_values values;
    int r = begin(report, &values, err);

    if (r == 0) {
        values.fs = strdup(report->backing.fs);
        r = values.fs == NULL ? ol_error_nomem(err) : 0;
    }
    for (size_t i = 0; i < report->n_engines && r == 0; i++) {
        r = take_engine(report, i, true, &values.drivers[i]) < 0 ? ol_error_nomem(err) : 0;
        take_measured(report, i, &values.drivers[i]);
    }
    if (r < 0) {
        ol_budget_values_fini(&values);
        return r;
    }
    *ret = values;
    return 0;
}

/* Contents, which headers tell; what they take on disk they do not. */
static void take_contents(const struct ol_predicted_image *image, size_t index,
                          struct ol_driver_values *values)
{
    const size_t n = values->layers.n_inodes;
    int64_t sum = 0;
    enum ol_law law;

    if (ol_engine_law(image->report.engines[index].name, &law) < 0 ||
        (unsigned)law >= (unsigned)OL_COST_LAWS || n > image->cost.count)
        return;
    for (size_t i = 0; i < n; i++) {
        values->layers.bytes[i] = (int64_t)image->cost.layers[i].under[law].bytes;
        sum += values->layers.bytes[i];
    }
    values->layers.n_bytes = n;
    set(values, OL_METRIC_CONTENT_BYTES, sum);
}

static int compare_counts(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* What steps of one kind are estimated to take on disk, one after the other. */
static size_t estimate_steps(const struct ol_predicted_image *image, size_t index,
                             enum ol_step_op op, int64_t *ret)
{
    const struct ol_bench_engine *engine = &image->report.engines[index];
    size_t n = 0;

    for (size_t i = 0; i < engine->n_steps; i++) {
        if (engine->steps[i].op == op)
            ret[n++] = ol_predicted_bytes(image, &engine->steps[i], NULL);
    }
    return n;
}

/* Of the commits the median, as compare has it: of an even number the lower of the two. */
static int take_estimates(const struct ol_predicted_image *image, size_t index,
                          struct ol_driver_values *values)
{
    ol_auto_free int64_t *bytes = calloc(image->report.engines[index].n_steps + 1, sizeof *bytes);
    int64_t sum = 0;
    size_t n;

    if (bytes == NULL)
        return -ENOMEM;
    n = estimate_steps(image, index, OL_STEP_LAYER_APPLY, bytes);
    for (size_t i = 0; i < n; i++)
        sum += bytes[i];
    set(values, OL_METRIC_IMAGE_BYTES, sum);
    n = estimate_steps(image, index, OL_STEP_COMMIT, bytes);
    if (n == 0)
        return 0;
    qsort(bytes, n, sizeof *bytes, compare_counts);
    set(values, OL_METRIC_COMMIT_BYTES, bytes[(n - 1) / 2]);
    return 0;
}

int ol_budget_values_predicted(const struct ol_prediction *prediction, struct ol_budget_values *ret,
                               struct ol_error *err)
{
    const struct ol_report *report = &prediction->images[0].report;
    struct ol_budget_values values;
    int r = begin(report, &values, err);

    for (size_t i = 0; i < report->n_engines && r == 0; i++) {
        const struct ol_predicted_totals *totals = &prediction->totals[i];

        r = take_engine(report, i, false, &values.drivers[i]) < 0 ? ol_error_nomem(err) : 0;
        if (r == 0)
            take_contents(&prediction->images[0], i, &values.drivers[i]);
        if (r == 0 && take_estimates(&prediction->images[0], i, &values.drivers[i]) < 0)
            r = ol_error_nomem(err);
        if (totals->whole)
            set(&values.drivers[i], OL_METRIC_PEAK_INODES, totals->peak_inodes);
        if (prediction->containers > 0)
            set(&values.drivers[i], OL_METRIC_CONTAINERS_INODES, totals->container_inodes);
    }
    if (r < 0) {
        ol_budget_values_fini(&values);
        return r;
    }
    *ret = values;
    return 0;
}

/* ---- JSON ---- */

static json_t *list_json(const int64_t *list, size_t n)
{
    json_t *json = json_array();

    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(json, json_integer(list[i])) < 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static json_t *steps_json(const struct ol_step_values *steps)
{
    return json_pack("{so*, so*}", "inodes", list_json(steps->inodes, steps->n_inodes), "bytes",
                     list_json(steps->bytes, steps->n_bytes));
}

static json_t *driver_json(const struct ol_driver_values *values)
{
    json_t *metrics = json_object();
    json_t *json = json_pack("{so*, so*, so*}", "metrics", metrics, "layers",
                             steps_json(&values->layers), "commits", steps_json(&values->commits));

    for (unsigned i = 0; json != NULL && i < OL_METRICS; i++) {
        const struct ol_budget_value *value = &values->metrics[i];

        if (value->known && json_object_set_new(metrics, ol_metric_info((enum ol_metric)i)->name,
                                                json_integer(value->value)) < 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

json_t *ol_budget_values_json(const struct ol_budget_section *section,
                              const struct ol_budget_values *values)
{
    json_t *drivers = json_object();
    json_t *json = json_pack("{ss, ss*, ss*, so}", "image_id", values->image_id, "fs", values->fs,
                             "view", values->fs != NULL ? ol_view_name(values->view) : NULL,
                             "drivers", drivers);

    for (size_t i = 0; json != NULL && i < values->n_drivers; i++) {
        if (json_object_set_new(drivers, section->drivers[i], driver_json(&values->drivers[i])) <
            0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static int read_list(const json_t *json, int64_t **ret, size_t *ret_n)
{
    size_t n = json_array_size(json);

    if (!json_is_array(json))
        return -EBADMSG;
    *ret = calloc(n + 1, sizeof **ret);
    if (*ret == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!json_is_integer(json_array_get(json, i)))
            return -EBADMSG;
        (*ret)[i] = json_integer_value(json_array_get(json, i));
    }
    *ret_n = n;
    return 0;
}

static int read_steps(const json_t *json, struct ol_step_values *ret)
{
    int r = read_list(json_object_get(json, "inodes"), &ret->inodes, &ret->n_inodes);

    return r < 0 ? r : read_list(json_object_get(json, "bytes"), &ret->bytes, &ret->n_bytes);
}

static int read_driver(const json_t *json, struct ol_driver_values *values)
{
    const json_t *metrics = json_object_get(json, "metrics");
    int r = read_steps(json_object_get(json, "layers"), &values->layers);

    if (r == 0)
        r = read_steps(json_object_get(json, "commits"), &values->commits);
    if (r < 0)
        return r;
    if (!json_is_object(metrics))
        return -EBADMSG;
    for (unsigned i = 0; i < OL_METRICS; i++) {
        const json_t *value = json_object_get(metrics, ol_metric_info((enum ol_metric)i)->name);

        if (value == NULL)
            continue;
        if (!json_is_integer(value))
            return -EBADMSG;
        set(values, (enum ol_metric)i, json_integer_value(value));
    }
    return 0;
}

static int read_values(const struct ol_budget_section *section, const json_t *json,
                       struct ol_budget_values *values, struct ol_error *err)
{
    const char *id = json_string_value(json_object_get(json, "image_id"));
    const char *fs = json_string_value(json_object_get(json, "fs"));
    const char *view = json_string_value(json_object_get(json, "view"));
    const json_t *drivers = json_object_get(json, "drivers");

    if (id == NULL || !json_is_object(drivers) ||
        (view != NULL && ol_view_parse(view, &values->view, NULL) < 0))
        return ol_error_set(err, -EBADMSG, "no image_id or drivers, or no such view");
    values->image_id = strdup(id);
    values->fs = fs != NULL ? strdup(fs) : NULL;
    values->drivers = calloc(section->n_drivers + 1, sizeof *values->drivers);
    if (values->image_id == NULL || values->drivers == NULL || (fs != NULL && values->fs == NULL))
        return ol_error_nomem(err);
    values->n_drivers = section->n_drivers;
    for (size_t i = 0; i < section->n_drivers; i++) {
        const json_t *driver = json_object_get(drivers, section->drivers[i]);
        int r = driver != NULL ? read_driver(driver, &values->drivers[i]) : 0;

        if (r < 0)
            return ol_error_set(err, r, "the values of '%s' cannot be read", section->drivers[i]);
    }
    return 0;
}

int ol_budget_values_from_json(const struct ol_budget_section *section, const json_t *json,
                               struct ol_budget_values *ret, struct ol_error *err)
{
    struct ol_budget_values values = {0};
    int r = read_values(section, json, &values, err);

    if (r < 0) {
        ol_budget_values_fini(&values);
        return r;
    }
    *ret = values;
    return 0;
}
