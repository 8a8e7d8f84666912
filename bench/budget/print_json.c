/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab.check/1": one object, keys in a fixed order; docs/formats/results.md. Keys may be added,
 * never changed in meaning.
 */
#include "bench/budget/print_internal.h"

#include "bench/report/json_put.h"
#include "common/cleanup.h"

#include "config.h"

#include <errno.h>

static json_t *text_json(const char *text)
{
    return text != NULL ? ol_json_text(text) : json_null();
}

static json_t *culprit_json(const struct ol_check_result *result, int *r)
{
    const struct ol_culprit *culprit = &result->culprit;
    json_t *json = json_object();
    json_t *dirs = json_array();

    ol_json_put(json, "kind", json_string(culprit->is_commit ? "commit" : "layer"), r);
    ol_json_put(json, "index", json_integer((json_int_t)culprit->index), r);
    ol_json_put(json, ol_metric_is_bytes(result->limit->metric) ? "bytes" : "inodes",
                json_integer(culprit->amount), r);
    ol_json_put(json, "created_by", text_json(culprit->created_by), r);
    ol_json_put(json, "why", text_json(culprit->why), r);
    ol_json_put(json, "directories", dirs, r);
    for (size_t i = 0; i < culprit->n_dirs; i++) {
        json_t *dir = json_object();

        ol_json_push(dirs, dir, r);
        ol_json_put(dir, "path", text_json(culprit->dirs[i].path), r);
        ol_json_put(dir, "inodes", json_integer((json_int_t)culprit->dirs[i].inodes), r);
        ol_json_put(dir, "bytes", json_integer((json_int_t)culprit->dirs[i].bytes), r);
    }
    return json;
}

static const char *kind_name(const struct ol_limit *limit)
{
    static const char *const names[] = {
        [OL_LIMIT_VALUE] = "value",
        [OL_LIMIT_RATIO] = "ratio",
        [OL_LIMIT_GROWTH] = "growth",
        [OL_LIMIT_GROWTH_PERCENT] = "growth_percent",
    };

    return names[limit->kind];
}

static json_t *result_json(const struct ol_check_result *result, int *r)
{
    const struct ol_limit *limit = result->limit;
    const struct ol_metric_info *info = ol_metric_info(limit->metric);
    double number = (double)limit->number / (double)limit->scale;
    bool real = limit->kind == OL_LIMIT_RATIO || limit->kind == OL_LIMIT_GROWTH_PERCENT;
    json_t *json = json_object();

    ol_json_put(json, "limit", text_json(limit->text), r);
    ol_json_put(json, "line", json_integer(limit->line), r);
    ol_json_put(json, "passed", json_boolean(result->passed), r);
    ol_json_put(json, "kind", json_string(kind_name(limit)), r);
    ol_json_put(json, "driver", text_json(limit->driver_name), r);
    ol_json_put(json, "over", text_json(limit->over_name), r);
    ol_json_put(json, "metric", json_string(info->name), r);
    ol_json_put(json, "unit", json_string(info->unit), r);
    ol_json_put(json, "op", json_string(ol_limit_op_name(limit->op)), r);
    ol_json_put(json, "allowed", real ? json_real(number) : json_integer((json_int_t)number), r);
    ol_json_put(json, "value",
                real ? json_real(result->value) : json_integer((json_int_t)result->value), r);
    ol_json_put(json, "headroom",
                real ? json_real(result->headroom) : json_integer((json_int_t)result->headroom), r);
    ol_json_put(json, "count", json_integer(result->count), r);
    ol_json_put(json, limit->kind == OL_LIMIT_RATIO ? "over_count" : "baseline",
                limit->kind == OL_LIMIT_VALUE ? json_null() : json_integer(result->other), r);
    ol_json_put(json, "estimate", json_boolean(result->estimate), r);
    ol_json_put(json, "culprit", result->culprit.known ? culprit_json(result, r) : json_null(), r);
    return json;
}

static json_t *workload_json(const struct ol_check_workload *workload, int *r)
{
    const struct ol_budget_section *section = workload->section;
    json_t *json = json_object();
    json_t *checks = json_array();

    ol_json_put(json, "name", text_json(section->name), r);
    ol_json_put(json, "line", json_integer(section->line), r);
    ol_json_put(json, "image", text_json(section->image_text), r);
    ol_json_put(json, "mode", json_string(ol_budget_mode_name(workload->mode)), r);
    ol_json_put(json, "commits", json_integer(section->workload.commits), r);
    ol_json_put(json, "replay", json_boolean(section->workload.replay), r);
    ol_json_put(json, "containers", json_integer(section->containers), r);
    ol_json_put(json, "values", ol_budget_values_json(section, &workload->values), r);
    ol_json_put(json, "checks", checks, r);
    for (size_t i = 0; i < section->n_limits; i++)
        ol_json_push(checks, result_json(&workload->results[i], r), r);
    return json;
}

int ol_check_print_json(const struct ol_check *check, FILE *out)
{
    json_t *json = json_object();
    json_t *workloads = json_array();
    int r = 0;

    ol_json_put(json, "schema", json_string("overlab.check/1"), &r);
    ol_json_put(json, "overlab", json_string(OL_VERSION), &r);
    ol_json_put(json, "budget", text_json(check->budget->source), &r);
    ol_json_put(json, "passed", json_boolean(check->n_failed == 0), &r);
    ol_json_put(json, "limits", json_integer((json_int_t)check->n_results), &r);
    ol_json_put(json, "exceeded", json_integer((json_int_t)check->n_failed), &r);
    ol_json_put(json, "workloads", workloads, &r);
    for (size_t i = 0; i < check->n_workloads; i++)
        ol_json_push(workloads, workload_json(&check->workloads[i], &r), &r);
    if (r == 0 && json_dumpf(json, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) < 0 &&
        ferror(out) == 0)
        r = -ENOMEM;
    if (r == 0)
        fputc('\n', out);
    json_decref(json);
    return r;
}
