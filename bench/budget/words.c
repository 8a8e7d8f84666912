/* SPDX-License-Identifier: Apache-2.0 */
/* The words every form of a check's outcome is made of; see print_internal.h. */
#include "bench/budget/print_internal.h"

#include "bench/report/human.h"
#include "bench/report/json_put.h"
#include "common/cleanup.h"

#include <errno.h>
#include <math.h>
#include <string.h>

const char *ol_check_format_name(enum ol_check_format format)
{
    static const char *const names[OL_CHECK_FORMATS] = {"text",  "tap",  "tap13",
                                                        "junit", "json", "markdown"};

    return (unsigned)format < OL_CHECK_FORMATS ? names[format] : NULL;
}

int ol_check_format_parse(const char *text, enum ol_check_format *ret, struct ol_error *err)
{
    for (unsigned i = 0; i < OL_CHECK_FORMATS; i++) {
        if (strcmp(text, ol_check_format_name((enum ol_check_format)i)) == 0) {
            *ret = (enum ol_check_format)i;
            return 0;
        }
    }
    return ol_error_set(err, -EINVAL,
                        "'%s' is not a format: text, tap, tap13, junit, json, markdown", text);
}

int ol_check_print(const struct ol_check *check, enum ol_check_format format,
                   const struct ol_report_style *style, FILE *out, struct ol_error *err)
{
    int r = 0;

    switch (format) {
    case OL_CHECK_TEXT:
        r = ol_check_print_text(check, style, out);
        break;
    case OL_CHECK_TAP:
        r = ol_check_print_tap(check, 14, out);
        break;
    case OL_CHECK_TAP13:
        r = ol_check_print_tap(check, 13, out);
        break;
    case OL_CHECK_JUNIT:
        r = ol_check_print_junit(check, out);
        break;
    case OL_CHECK_JSON:
        r = ol_check_print_json(check, out);
        break;
    case OL_CHECK_MARKDOWN:
        r = ol_check_print_markdown(check, out);
        break;
    case OL_CHECK_FORMATS:
        break;
    }
    return r < 0 ? ol_error_nomem(err) : 0;
}

/* ---- texts from outside ---- */

int ol_check_clean(const char *text, struct ol_buf *buf)
{
    ol_auto_buf struct ol_buf line = OL_BUF_INIT;
    ol_auto_json_t json_t *valid = NULL;

    if (ol_text_one_line(text, SIZE_MAX, &line) < 0)
        return -ENOMEM;
    valid = ol_json_text(ol_buf_str(&line));
    return valid == NULL ? -ENOMEM : ol_buf_puts(buf, json_string_value(valid));
}

int ol_check_quote(const char *text, struct ol_buf *buf)
{
    ol_auto_buf struct ol_buf line = OL_BUF_INIT;
    ol_auto_json_t json_t *valid = NULL;
    ol_auto_free char *quoted = NULL;

    if (ol_text_one_line(text, SIZE_MAX, &line) < 0)
        return -ENOMEM;
    valid = ol_json_text(ol_buf_str(&line));
    quoted = valid != NULL ? json_dumps(valid, JSON_ENCODE_ANY) : NULL;
    return quoted == NULL ? -ENOMEM : ol_buf_puts(buf, quoted);
}

/* ---- numbers ---- */

static int put_count(const struct ol_limit *limit, int64_t count, struct ol_buf *buf)
{
    return ol_metric_is_bytes(limit->metric) ? ol_human_bytes(buf, count)
                                             : ol_human_count(buf, count);
}

/* Two places, and four of what two would make nothing of. */
static int put_fraction(double value, const char *sign, const char *unit, struct ol_buf *buf)
{
    return ol_buf_printf(buf, "%s%.*f%s", value >= 0 ? sign : "",
                         fabs(value) < 0.1 && value != 0 ? 4 : 2, value, unit);
}

static int put_pair(const struct ol_check_result *result, const char *between, struct ol_buf *buf)
{
    int r = ol_buf_puts(buf, " (");

    if (r == 0)
        r = put_count(result->limit, result->count, buf);
    if (r == 0)
        r = ol_buf_puts(buf, between);
    if (r == 0)
        r = put_count(result->limit, result->other, buf);
    return r < 0 ? r : ol_buf_puts(buf, ")");
}

static int put_value(const struct ol_check_result *result, struct ol_buf *buf)
{
    const struct ol_limit *limit = result->limit;
    int r = 0;

    switch (limit->kind) {
    case OL_LIMIT_VALUE:
        r = put_count(limit, result->count, buf);
        return r < 0 || ol_metric_is_bytes(limit->metric)
                   ? r
                   : ol_buf_printf(buf, " %s", ol_metric_info(limit->metric)->unit);
    case OL_LIMIT_RATIO:
        r = put_fraction(result->value, "", "", buf);
        return r < 0 ? r : put_pair(result, " over ", buf);
    case OL_LIMIT_GROWTH:
        r = ol_buf_puts(buf, result->value >= 0 ? "+" : "");
        if (r == 0)
            r = put_count(limit, result->count - result->other, buf);
        break;
    case OL_LIMIT_GROWTH_PERCENT:
        r = put_fraction(result->value, "+", "%", buf);
        break;
    }
    return r < 0 ? r : put_pair(result, ", it was ", buf);
}

int ol_check_words_value(const struct ol_check_result *result, struct ol_buf *buf)
{
    int r = put_value(result, buf);

    return r < 0 || !result->estimate ? r : ol_buf_puts(buf, " estimated");
}

int ol_check_words_headroom(const struct ol_check_result *result, struct ol_buf *buf)
{
    const struct ol_limit *limit = result->limit;
    double amount = fabs(result->headroom);
    bool fraction = limit->kind == OL_LIMIT_RATIO || limit->kind == OL_LIMIT_GROWTH_PERCENT;
    int r;

    if (limit->op == OL_LIMIT_EXACTLY && result->passed)
        return ol_buf_puts(buf, "exact");
    r = fraction ? put_fraction(amount, "", limit->kind == OL_LIMIT_RATIO ? "" : " points", buf)
                 : put_count(limit, (int64_t)amount, buf);
    if (r < 0)
        return r;
    if (result->passed)
        return ol_buf_puts(buf, " left");
    if (limit->op == OL_LIMIT_EXACTLY)
        return ol_buf_puts(buf, " off");
    return ol_buf_puts(buf, limit->op == OL_LIMIT_LEAST ? " too little" : " too much");
}

/* ---- sentences ---- */

int ol_check_words_dir(const struct ol_check_result *result, size_t index, struct ol_buf *buf)
{
    const struct ol_blamed_dir *dir = &result->culprit.dirs[index];
    int r = put_count(
        result->limit,
        (int64_t)(ol_metric_is_bytes(result->limit->metric) ? dir->bytes : dir->inodes), buf);

    if (r == 0)
        r = ol_buf_puts(buf, " in /");
    return r < 0 ? r : ol_check_clean(dir->path, buf);
}

int ol_check_words_culprit(const struct ol_check_workload *workload,
                           const struct ol_check_result *result, struct ol_buf *buf)
{
    const struct ol_culprit *culprit = &result->culprit;
    int r;

    if (!culprit->known)
        return 0;
    r = ol_buf_printf(buf, "%s %zu", culprit->is_commit ? "commit" : "layer", culprit->index);
    if (r == 0 && culprit->is_commit && workload->section->workload.replay)
        r = ol_buf_printf(buf, " (layer %zu)", culprit->index + 1);
    if (r == 0 && culprit->created_by != NULL) {
        r = ol_buf_puts(buf, ", made by '");
        if (r == 0)
            r = ol_check_clean(culprit->created_by, buf);
        if (r == 0)
            r = ol_buf_puts(buf, "',");
    }
    if (r == 0)
        r = ol_buf_puts(buf, " adds ");
    if (r == 0)
        r = put_count(result->limit, culprit->amount, buf);
    if (r == 0 && !ol_metric_is_bytes(result->limit->metric))
        r = ol_buf_puts(buf, " inodes");
    if (r == 0 && culprit->why != NULL)
        r = ol_buf_printf(buf, ": %s", culprit->why);
    return r;
}

int ol_check_words_workload(const struct ol_check_workload *workload, struct ol_buf *buf)
{
    const struct ol_budget_section *section = workload->section;
    int r = ol_check_clean(section->image_text, buf);

    if (r == 0 && section->workload.replay)
        r = ol_buf_puts(buf, ", replayed");
    else if (r == 0)
        r = ol_buf_printf(buf, ", %u commit%s", section->workload.commits,
                          section->workload.commits == 1 ? "" : "s");
    if (r == 0 && section->containers > 0)
        r = ol_buf_printf(buf, ", %u container%s", section->containers,
                          section->containers == 1 ? "" : "s");
    if (r < 0)
        return r;
    return workload->mode == OL_BUDGET_PREDICT
               ? ol_buf_puts(buf, ", predicted")
               : ol_buf_printf(buf, ", measured on %s (view %s)", workload->values.fs,
                               ol_view_name(workload->values.view));
}

int ol_check_words_total(const struct ol_check *check, struct ol_buf *buf)
{
    if (check->n_failed == 0)
        return ol_buf_printf(buf, "%zu %s kept", check->n_results,
                             check->n_results == 1 ? "limit" : "limits");
    return ol_buf_printf(buf, "%zu of %zu limits kept, %zu exceeded",
                         check->n_results - check->n_failed, check->n_results, check->n_failed);
}
