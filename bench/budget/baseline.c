/* SPDX-License-Identifier: Apache-2.0 */
/* Saved values; see baseline.h. */
#include "bench/budget/baseline.h"

#include "bench/report/json_put.h"
#include "common/cleanup.h"
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SCHEMA "overlab.baseline/1"

void ol_baseline_fini(struct ol_baseline *baseline)
{
    free(baseline->path);
    json_decref(baseline->json);
    *baseline = (struct ol_baseline){0};
}

static int take(const char *path, json_t *json, struct ol_baseline *ret, struct ol_error *err)
{
    *ret = (struct ol_baseline){.path = strdup(path), .json = json};
    if (ret->path != NULL && json != NULL)
        return 0;
    ol_baseline_fini(ret);
    return ol_error_nomem(err);
}

int ol_baseline_new(const char *path, struct ol_baseline *ret, struct ol_error *err)
{
    return take(path, json_pack("{ss, s{}}", "schema", SCHEMA, "workloads"), ret, err);
}

static int read_text(const char *path, struct ol_buf *text, struct ol_error *err)
{
    ol_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot open baseline '%s'", path);
    if (ol_buf_reserve(text, OL_BASELINE_MAX + 1) < 0)
        return ol_error_nomem(err);
    n = ol_io_read(fd, text->data, OL_BASELINE_MAX + 1);
    if (n < 0)
        return ol_error_sys(err, (int)-n, "cannot read baseline '%s'", path);
    if (n > OL_BASELINE_MAX)
        return ol_error_set(err, -E2BIG, "baseline '%s' has more than %d bytes", path,
                            OL_BASELINE_MAX);
    text->len = (size_t)n;
    return 0;
}

int ol_baseline_read(const char *path, struct ol_baseline *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    json_error_t where;
    ol_auto_json_t json_t *json = NULL;
    const char *schema;
    int r = read_text(path, &text, err);

    if (r < 0)
        return r;
    json = json_loadb(ol_buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &where);
    if (json == NULL)
        return ol_error_set(err, -EBADMSG, "%s:%d: no baseline: %s", path, where.line, where.text);
    schema = json_string_value(json_object_get(json, "schema"));
    if (schema == NULL || strcmp(schema, SCHEMA) != 0 ||
        !json_is_object(json_object_get(json, "workloads")))
        return ol_error_set(err, -EBADMSG, "%s: no baseline: it has not the schema %s", path,
                            SCHEMA);
    return take(path, json_incref(json), ret, err);
}

/* What has to be the same for two values to be comparable. Bytes depend on the file system. */
static json_t *workload_json(const struct ol_budget_section *section, enum ol_budget_mode mode,
                             const struct ol_budget_values *values)
{
    const struct ol_report_workload *work = &section->workload;
    const struct ol_change_mix *mix = &work->changes;

    return json_pack(
        "{ss, ss, ss*, sI, sI, sI, sI, sb, s{sI, sI, sI, sI, sI, sI, sI, sI, sI}}", "image",
        section->image_text, "mode", ol_budget_mode_name(mode), "fs", values->fs, "commits",
        (json_int_t)work->commits, "containers", (json_int_t)section->containers, "change_bytes",
        (json_int_t)work->change_bytes, "seed", (json_int_t)work->seed, "replay", work->replay,
        "changes", "add", (json_int_t)mix->add, "modify", (json_int_t)mix->modify, "delete",
        (json_int_t)mix->remove, "rename", (json_int_t)mix->rename, "chmod", (json_int_t)mix->chmod,
        "mkdir", (json_int_t)mix->mkdir, "symlink", (json_int_t)mix->symlink, "link",
        (json_int_t)mix->link, "replace", (json_int_t)mix->replace);
}

static const char *as_text(const json_t *json, char **owned)
{
    *owned = json != NULL ? json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS)
                          : NULL;
    return *owned != NULL ? *owned : "nothing";
}

static int compare_workloads(const struct ol_baseline *baseline,
                             const struct ol_budget_section *section, const json_t *then,
                             json_t *now, struct ol_error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(now, key, value)
    {
        const json_t *before = json_object_get(then, key);
        ol_auto_free char *a = NULL;
        ol_auto_free char *b = NULL;

        if (json_equal(before, value))
            continue;
        return ol_error_set(err, -ESTALE,
                            "baseline '%s' is of another workload: [%s] had %s %s then, and has %s "
                            "now; check --update saves a new one",
                            baseline->path, section->name, key, as_text(before, &a),
                            as_text(value, &b));
    }
    return 0;
}

int ol_baseline_get(const struct ol_baseline *baseline, const struct ol_budget_section *section,
                    enum ol_budget_mode mode, const struct ol_budget_values *now,
                    struct ol_budget_values *ret, struct ol_error *err)
{
    const json_t *saved = json_object_get(json_object_get(baseline->json, "workloads"),
                                          section->name);
    ol_auto_json_t json_t *workload = workload_json(section, mode, now);
    int r;

    if (workload == NULL)
        return ol_error_nomem(err);
    if (saved == NULL)
        return ol_error_set(err, -ENOENT,
                            "baseline '%s' has no section [%s]: check --update saves it",
                            baseline->path, section->name);
    r = compare_workloads(baseline, section, json_object_get(saved, "workload"), workload, err);
    if (r < 0)
        return r;
    r = ol_budget_values_from_json(section, json_object_get(saved, "values"), ret, err);
    return r == -EBADMSG
               ? ol_error_wrap(err, r, "baseline '%s', section [%s]", baseline->path, section->name)
               : r;
}

int ol_baseline_set(struct ol_baseline *baseline, const struct ol_budget_section *section,
                    enum ol_budget_mode mode, const struct ol_budget_values *now,
                    struct ol_error *err)
{
    json_t *saved = json_pack("{so*, so*}", "workload", workload_json(section, mode, now), "values",
                              ol_budget_values_json(section, now));

    /* who measured does not matter: the counts are the same in all views */
    (void)json_object_del(json_object_get(saved, "values"), "view"); /* not there without memory */
    if (saved == NULL || json_object_size(saved) != 2 ||
        json_object_set(json_object_get(baseline->json, "workloads"), section->name, saved) < 0) {
        json_decref(saved);
        return ol_error_nomem(err);
    }
    json_decref(saved);
    return 0;
}

int ol_baseline_text(const struct ol_baseline *baseline, struct ol_buf *ret, struct ol_error *err)
{
    ol_auto_free char *text = json_dumps(baseline->json, JSON_INDENT(1) | JSON_SORT_KEYS);

    if (text == NULL || ol_buf_puts(ret, text) < 0 || ol_buf_putc(ret, '\n') < 0)
        return ol_error_nomem(err);
    return 0;
}
