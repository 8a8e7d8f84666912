/* SPDX-License-Identifier: Apache-2.0 */
/* Limits held against values; see check.h. */
#include "bench/budget/check.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

__extension__ typedef __int128 wide; /* products of two numbers up to 2^53, and a hundred */

static void culprit_fini(struct ol_culprit *culprit)
{
    for (size_t i = 0; i < culprit->n_dirs; i++)
        free(culprit->dirs[i].path);
    free(culprit->dirs);
    free(culprit->created_by);
    free(culprit->why);
}

void ol_check_fini(struct ol_check *check)
{
    for (size_t i = 0; i < check->n_workloads; i++) {
        struct ol_check_workload *workload = &check->workloads[i];

        for (size_t k = 0; workload->results != NULL && k < workload->section->n_limits; k++)
            culprit_fini(&workload->results[k].culprit);
        free(workload->results);
        ol_budget_values_fini(&workload->values);
    }
    free(check->workloads);
    *check = (struct ol_check){0};
}

/* left : right is what is limited; 0 when they are equal. */
static bool holds(enum ol_limit_op op, wide left, wide right)
{
    switch (op) {
    case OL_LIMIT_MOST:
        return left <= right;
    case OL_LIMIT_LEAST:
        return left >= right;
    case OL_LIMIT_EXACTLY:
        break;
    }
    return left == right;
}

/* A count over what one unit of the limit is of: 1, another driver's count, a baseline's. */
struct quotient {
    wide count, unit;
};

static struct quotient quotient_of(const struct ol_limit *limit, int64_t count, int64_t other)
{
    switch (limit->kind) {
    case OL_LIMIT_RATIO:
        return (struct quotient){count, other};
    case OL_LIMIT_GROWTH:
        return (struct quotient){(wide)count - other, 1};
    case OL_LIMIT_GROWTH_PERCENT:
        return (struct quotient){((wide)count - other) * 100, other};
    case OL_LIMIT_VALUE:
        break;
    }
    return (struct quotient){count, 1};
}

static void judge(const struct ol_limit *limit, struct ol_check_result *result)
{
    const struct quotient q = quotient_of(limit, result->count, result->other);
    double number = (double)limit->number / (double)limit->scale;

    result->passed = holds(limit->op, q.count * (wide)limit->scale, (wide)limit->number * q.unit);
    result->value = (double)q.count / (double)q.unit;
    result->headroom = limit->op == OL_LIMIT_LEAST ? result->value - number
                                                   : number - result->value;
    if (limit->op == OL_LIMIT_EXACTLY && result->headroom > 0)
        result->headroom = -result->headroom;
}

static int value_of(const struct ol_check *check, const struct ol_limit *limit,
                    const struct ol_budget_values *values, size_t driver, const char *name,
                    int64_t *ret, struct ol_error *err)
{
    const struct ol_budget_value *value = &values->drivers[driver].metrics[limit->metric];

    *ret = value->value;
    return value->known
               ? 0
               : ol_error_set(err, -EINVAL, "%s:%u: nobody can tell %s of '%s' for this workload%s",
                              check->budget->source, limit->line,
                              ol_metric_info(limit->metric)->name, name,
                              values->fs == NULL ? ": it takes mode = measure" : "");
}

/* ---- who is to blame ---- */

/* The entry that grew most over what it was before; nothing was before what is new. */
static size_t worst_of(const int64_t *now, size_t n, const int64_t *then, size_t n_then)
{
    int64_t most = INT64_MIN;
    size_t worst = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t grown = now[i] - (i < n_then ? then[i] : 0);

        if (grown > most) {
            most = grown;
            worst = i;
        }
    }
    return worst;
}

/* The step that adds most inodes, or bytes, or of a limit on growth that grew most. */
static void suspect(struct ol_culprit *culprit, bool bytes, bool is_commit,
                    const struct ol_step_values *now, const struct ol_step_values *was)
{
    const int64_t *list = bytes ? now->bytes : now->inodes;
    const size_t n = bytes ? now->n_bytes : now->n_inodes;
    const int64_t *before = bytes ? was->bytes : was->inodes;
    size_t index = worst_of(list, n, before, bytes ? was->n_bytes : was->n_inodes);

    if (n > 0)
        *culprit = (struct ol_culprit){
            .known = true, .is_commit = is_commit, .index = index, .amount = list[index]};
}

static void find_suspect(const struct ol_limit *limit, const struct ol_driver_values *now,
                         const struct ol_budget_values *then, struct ol_culprit *culprit)
{
    const struct ol_driver_values none = {0};
    const struct ol_driver_values *was = ol_limit_is_growth(limit) ? &then->drivers[limit->driver]
                                                                   : &none;
    const bool bytes = ol_metric_is_bytes(limit->metric);

    switch (limit->metric) {
    case OL_METRIC_COMMIT_INODES:
    case OL_METRIC_COMMIT_INODES_MAX:
    case OL_METRIC_COMMIT_BYTES:
        suspect(culprit, bytes, true, &now->commits, &was->commits);
        break;
    case OL_METRIC_IMAGE_INODES:
    case OL_METRIC_IMAGE_BYTES:
    case OL_METRIC_CONTENT_BYTES:
    case OL_METRIC_LAYER_INODES:
    case OL_METRIC_PEAK_INODES:
        suspect(culprit, bytes, false, &now->layers, &was->layers);
        break;
    case OL_METRIC_CONTAINER_INODES:
    case OL_METRIC_CONTAINERS_INODES:
    case OL_METRIC_LEFT_INODES:
    case OL_METRIC_WRONG_STEPS:
    case OL_METRICS:
        break; /* no layer's doing */
    }
}

static int check_limit(const struct ol_check *check, const struct ol_limit *limit,
                       const struct ol_budget_values *values, const struct ol_budget_values *then,
                       struct ol_check_result *result, struct ol_error *err)
{
    int r;

    *result = (struct ol_check_result){
        .limit = limit,
        .estimate = values->fs == NULL && ol_metric_info(limit->metric)->estimate,
    };
    r = value_of(check, limit, values, limit->driver, limit->driver_name, &result->count, err);
    if (r == 0 && limit->kind == OL_LIMIT_RATIO)
        r = value_of(check, limit, values, limit->over, limit->over_name, &result->other, err);
    if (r == 0 && ol_limit_is_growth(limit)) {
        const struct ol_budget_value *was = &then->drivers[limit->driver].metrics[limit->metric];

        if (!was->known)
            return ol_error_set(err, -EINVAL,
                                "%s:%u: the baseline does not know %s of '%s': check --update "
                                "saves it",
                                check->budget->source, limit->line,
                                ol_metric_info(limit->metric)->name, limit->driver_name);
        result->other = was->value;
    }
    if (r == 0 && result->other <= 0 &&
        (limit->kind == OL_LIMIT_RATIO || limit->kind == OL_LIMIT_GROWTH_PERCENT))
        return ol_error_set(err, -EINVAL, "%s:%u: %s is %lld there: %s of it says nothing",
                            check->budget->source, limit->line, ol_metric_info(limit->metric)->name,
                            (long long)result->other,
                            limit->kind == OL_LIMIT_RATIO ? "a multiple" : "a percentage");
    if (r < 0)
        return r;
    judge(limit, result);
    if (!result->passed && limit->op != OL_LIMIT_LEAST)
        find_suspect(limit, &values->drivers[limit->driver], then, &result->culprit);
    return 0;
}

static bool needs_baseline(const struct ol_budget_section *section)
{
    for (size_t i = 0; i < section->n_limits; i++) {
        if (ol_limit_is_growth(&section->limits[i]))
            return true;
    }
    return false;
}

static struct ol_check_workload *add_workload(struct ol_check *check,
                                              const struct ol_budget_section *section)
{
    struct ol_check_workload *grown = reallocarray(check->workloads, check->n_workloads + 1,
                                                   sizeof *grown);

    if (grown == NULL)
        return NULL;
    check->workloads = grown;
    grown += check->n_workloads;
    *grown = (struct ol_check_workload){
        .section = section, .results = calloc(section->n_limits, sizeof *grown->results)};
    if (grown->results == NULL)
        return NULL;
    check->n_workloads++;
    return grown;
}

int ol_check_add(struct ol_check *check, const struct ol_budget_section *section,
                 enum ol_budget_mode mode, struct ol_budget_values *values,
                 const struct ol_baseline *baseline, struct ol_error *err)
{
    struct ol_check_workload *workload = add_workload(check, section);
    struct ol_budget_values then = {0};
    int r = workload == NULL ? ol_error_nomem(err) : 0;

    if (r == 0 && needs_baseline(section))
        r = baseline != NULL ? ol_baseline_get(baseline, section, mode, values, &then, err)
                             : ol_error_set(err, -EINVAL,
                                            "%s:%u: section [%s] limits growth, and there is no "
                                            "baseline",
                                            check->budget->source, section->line, section->name);
    for (size_t i = 0; i < section->n_limits && r == 0; i++) {
        struct ol_check_result *result = &workload->results[i];

        r = check_limit(check, &section->limits[i], values, &then, result, err);
        workload->n_failed += r == 0 && !result->passed;
    }
    ol_budget_values_fini(&then);
    if (r < 0)
        return r;
    workload->mode = mode;
    workload->values = *values;
    *values = (struct ol_budget_values){0};
    check->n_results += section->n_limits;
    check->n_failed += workload->n_failed;
    return 0;
}
