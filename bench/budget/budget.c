/* SPDX-License-Identifier: Apache-2.0 */
/* From sections of keys to workloads and limits; see budget.h. */
#include "bench/budget/budget.h"

#include "bench/budget/ini.h"
#include "bench/harness/backing.h"
#include "common/cleanup.h"
#include "common/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum {
    CHANGE_BYTES_MAX = 1 << 30, /* as compare's --change-bytes */
    CONTAINERS_MAX = 1000000,
};

/* What is being read. */
struct reader {
    const char *source, *dir;
    const struct ol_ini_section *defaults; /* keys that stand before the first section */
    struct ol_error *err;
};

const char *ol_budget_mode_name(enum ol_budget_mode mode)
{
    return mode == OL_BUDGET_PREDICT ? "predict" : "measure";
}

int ol_budget_mode_parse(const char *text, enum ol_budget_mode *ret, struct ol_error *err)
{
    for (enum ol_budget_mode mode = OL_BUDGET_PREDICT; mode <= OL_BUDGET_MEASURE; mode++) {
        if (strcmp(text, ol_budget_mode_name(mode)) == 0) {
            *ret = mode;
            return 0;
        }
    }
    return ol_error_set(err, -EINVAL, "'%s' is not a mode: predict or measure", text);
}

static void section_fini(struct ol_budget_section *section)
{
    for (size_t i = 0; i < section->n_limits; i++)
        ol_limit_fini(&section->limits[i]);
    free(section->limits);
    ol_engine_names_free(section->drivers);
    free(section->name);
    free(section->image_text);
    free(section->image);
    free(section->backing);
}

void ol_budget_fini(struct ol_budget *budget)
{
    for (size_t i = 0; i < budget->n_sections; i++)
        section_fini(&budget->sections[i]);
    free(budget->sections);
    free(budget->source);
    free(budget->baseline);
    *budget = (struct ol_budget){0};
}

/* "SOURCE:LINE: " before what err says. */
static int at_line(const struct reader *reader, unsigned line, int r)
{
    return r < 0 && r != -ENOMEM ? ol_error_wrap(reader->err, r, "%s:%u", reader->source, line) : r;
}

/* A path below the budget's directory. */
static int settle_path(const struct reader *reader, const char *path, char **ret)
{
    char *text = NULL;

    if (path[0] == '/' || reader->dir[0] == '\0')
        text = strdup(path);
    else if (asprintf(&text, "%s/%s", reader->dir, path) < 0)
        text = NULL;
    if (text == NULL)
        return ol_error_nomem(reader->err);
    *ret = text;
    return 0;
}

/* ---- keys ---- */

static int whole(const char *key, const char *text, uint64_t min, uint64_t max, uint64_t *ret,
                 struct ol_error *err)
{
    char *end = NULL;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0')
        return ol_error_set(err, -EINVAL, "%s is no whole number: '%s'", key, text);
    if (errno == ERANGE || value < min || value > max)
        return ol_error_set(err, -EINVAL, "%s must be %llu to %llu, not %s", key,
                            (unsigned long long)min, (unsigned long long)max, text);
    *ret = value;
    return 0;
}

static int take_image(struct reader *reader, const struct ol_ini_entry *entry,
                      struct ol_budget_section *section)
{
    if (entry->value[0] == '\0')
        return ol_error_set(reader->err, -EINVAL, "image is empty");
    section->image_line = entry->line;
    section->image_text = strdup(entry->value);
    if (section->image_text == NULL)
        return ol_error_nomem(reader->err);
    return strcmp(entry->value, "builtin") == 0
               ? 0
               : settle_path(reader, entry->value, &section->image);
}

static int check_driver(const char *name, struct ol_error *err)
{
    enum ol_law law;
    int r = ol_engine_name_check(name, err);

    if (r == 0 && ol_engine_law(name, &law) == 0 && law == OL_LAW_NULL)
        return ol_error_set(err, -EINVAL, "'%s' keeps no files: there is nothing to limit", name);
    return r;
}

static int take_drivers(struct reader *reader, const struct ol_ini_entry *entry,
                        struct ol_budget_section *section)
{
    int r = ol_engine_names_parse(entry->value, &section->drivers, &section->n_drivers,
                                  reader->err);

    for (size_t i = 0; i < section->n_drivers && r == 0; i++)
        r = check_driver(section->drivers[i], reader->err);
    return r;
}

static int take_commits(struct reader *reader, const struct ol_ini_entry *entry,
                        struct ol_budget_section *section)
{
    uint64_t value = 0;
    int r = whole("commits", entry->value, 1, OL_MAX_IMAGE_LAYERS - 1, &value, reader->err);

    section->workload.commits = (unsigned)value;
    return r;
}

static int take_changes(struct reader *reader, const struct ol_ini_entry *entry,
                        struct ol_budget_section *section)
{
    return ol_change_mix_parse(entry->value, &section->workload.changes, reader->err);
}

static int take_change_bytes(struct reader *reader, const struct ol_ini_entry *entry,
                             struct ol_budget_section *section)
{
    return whole("change_bytes", entry->value, 0, CHANGE_BYTES_MAX, &section->workload.change_bytes,
                 reader->err);
}

static int take_seed(struct reader *reader, const struct ol_ini_entry *entry,
                     struct ol_budget_section *section)
{
    return whole("seed", entry->value, 0, INT64_MAX, &section->workload.seed, reader->err);
}

static int take_replay(struct reader *reader, const struct ol_ini_entry *entry,
                       struct ol_budget_section *section)
{
    section->workload.replay = strcmp(entry->value, "yes") == 0;
    return section->workload.replay || strcmp(entry->value, "no") == 0
               ? 0
               : ol_error_set(reader->err, -EINVAL, "replay is yes or no, not '%s'", entry->value);
}

static int take_containers(struct reader *reader, const struct ol_ini_entry *entry,
                           struct ol_budget_section *section)
{
    uint64_t value = 0;
    int r = whole("containers", entry->value, 1, CONTAINERS_MAX, &value, reader->err);

    section->containers = (unsigned)value;
    return r;
}

static int take_mode(struct reader *reader, const struct ol_ini_entry *entry,
                     struct ol_budget_section *section)
{
    section->has_mode = true;
    return ol_budget_mode_parse(entry->value, &section->mode, reader->err);
}

static int take_view(struct reader *reader, const struct ol_ini_entry *entry,
                     struct ol_budget_section *section)
{
    return ol_view_parse(entry->value, &section->view, reader->err);
}

static int take_backing(struct reader *reader, const struct ol_ini_entry *entry,
                        struct ol_budget_section *section)
{
    struct ol_backing_spec spec = {0};
    bool directory;
    int r = ol_backing_parse(entry->value, &spec, reader->err);

    if (r < 0)
        return r;
    directory = spec.kind == OL_BACKING_DIRECTORY;
    ol_backing_spec_fini(&spec);
    section->backing_line = entry->line;
    if (directory)
        return settle_path(reader, entry->value, &section->backing);
    section->backing = strdup(entry->value);
    return section->backing == NULL ? ol_error_nomem(reader->err) : 0;
}

static int take_limit(struct reader *reader, const struct ol_ini_entry *entry,
                      struct ol_budget_section *section)
{
    struct ol_limit *grown = reallocarray(section->limits, section->n_limits + 1, sizeof *grown);
    int r;

    if (grown == NULL)
        return ol_error_nomem(reader->err);
    section->limits = grown;
    grown += section->n_limits;
    r = ol_limit_parse(entry->value, grown, reader->err);
    if (r < 0)
        return r;
    grown->line = entry->line;
    section->n_limits++;
    for (size_t i = 0; i + 1 < section->n_limits; i++) {
        if (strcmp(section->limits[i].text, grown->text) == 0)
            return ol_error_set(reader->err, -EINVAL, "this limit is there already, in line %u",
                                section->limits[i].line);
    }
    return 0;
}

/* The order of docs/formats/budget.md. */
static const struct key {
    const char *name;
    int (*take)(struct reader *reader, const struct ol_ini_entry *entry,
                struct ol_budget_section *section);
    bool many;   /* may be there more than once, and not as a default */
    bool seeded; /* what a replay has no use for */
} keys[] = {
    {"image", take_image, false, false},
    {"drivers", take_drivers, false, false},
    {"commits", take_commits, false, true},
    {"changes", take_changes, false, true},
    {"change_bytes", take_change_bytes, false, true},
    {"seed", take_seed, false, false},
    {"replay", take_replay, false, false},
    {"containers", take_containers, false, false},
    {"mode", take_mode, false, false},
    {"view", take_view, false, false},
    {"backing", take_backing, false, false},
    {"limit", take_limit, true, false},
};

static const struct key *find_key(const struct ol_ini_entry *entry)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i].name, entry->key) == 0)
            return &keys[i];
    }
    return NULL;
}

static int refuse_key(const struct reader *reader, const struct ol_ini_entry *entry)
{
    return ol_error_set(
        reader->err, -EINVAL,
        "unknown key '%s' (image, drivers, commits, changes, change_bytes, seed, "
        "replay, containers, mode, view, backing, limit; before the first section also "
        "baseline)",
        entry->key);
}

static const struct ol_ini_entry *find_entry(const struct ol_ini_section *section, const char *key,
                                             size_t before)
{
    for (size_t i = 0; i < before; i++) {
        if (strcmp(section->entries[i].key, key) == 0)
            return &section->entries[i];
    }
    return NULL;
}

static int take_entry(struct reader *reader, const struct ol_ini_section *from, size_t index,
                      struct ol_budget_section *section)
{
    const struct ol_ini_entry *entry = &from->entries[index];
    const struct ol_ini_entry *before = find_entry(from, entry->key, index);
    const struct key *key = find_key(entry);
    int r = key == NULL ? refuse_key(reader, entry) : 0;

    if (key != NULL && before != NULL && !key->many)
        r = ol_error_set(reader->err, -EINVAL, "%s is there already, in line %u", key->name,
                         before->line);
    if (key != NULL && r == 0)
        r = key->take(reader, entry, section);
    return at_line(reader, entry->line, r);
}

/* ---- a section as a whole ---- */

/* Which driver of the section a limit means. */
static int find_driver(struct reader *reader, struct ol_budget_section *section, const char *name,
                       bool listed, size_t *ret)
{
    char **grown;
    int r;

    for (size_t i = 0; i < section->n_drivers; i++) {
        if (strcmp(section->drivers[i], name) == 0) {
            *ret = i;
            return 0;
        }
    }
    r = check_driver(name, reader->err);
    if (r < 0)
        return r;
    if (listed)
        return ol_error_set(reader->err, -EINVAL, "'%s' is not among the section's drivers", name);
    grown = reallocarray(section->drivers, section->n_drivers + 2, sizeof *grown);
    if (grown == NULL)
        return ol_error_nomem(reader->err);
    section->drivers = grown;
    grown[section->n_drivers] = strdup(name);
    grown[section->n_drivers + 1] = NULL;
    if (grown[section->n_drivers] == NULL)
        return ol_error_nomem(reader->err);
    *ret = section->n_drivers++;
    return 0;
}

static int settle_limits(struct reader *reader, struct ol_budget_section *section)
{
    bool listed = section->n_drivers > 0;
    int r = 0;

    for (size_t i = 0; i < section->n_limits && r == 0; i++) {
        struct ol_limit *limit = &section->limits[i];

        r = find_driver(reader, section, limit->driver_name, listed, &limit->driver);
        if (r == 0 && limit->over_name != NULL)
            r = find_driver(reader, section, limit->over_name, listed, &limit->over);
        r = at_line(reader, limit->line, r);
    }
    return r;
}

/* The image's own layers are the commits and their changes. */
static int settle_replay(const struct reader *reader, const struct ol_ini_section *from,
                         struct ol_budget_section *section)
{
    for (size_t i = 0; i < from->n_entries; i++) {
        const struct ol_ini_entry *entry = &from->entries[i];
        const struct key *key = find_key(entry);

        if (key != NULL && key->seeded)
            return at_line(reader, entry->line,
                           ol_error_set(reader->err, -EINVAL,
                                        "%s means nothing with replay = yes: the image's layers "
                                        "say what is committed",
                                        key->name));
    }
    section->workload.commits = 0;
    section->workload.changes = (struct ol_change_mix){0};
    section->workload.change_bytes = 0;
    return 0;
}

static int take_defaults(struct reader *reader, const struct ol_ini_section *own,
                         struct ol_budget_section *section)
{
    int r = 0;

    for (size_t i = 0; i < reader->defaults->n_entries && r == 0; i++) {
        const struct ol_ini_entry *entry = &reader->defaults->entries[i];

        if (strcmp(entry->key, "baseline") != 0 &&
            find_entry(own, entry->key, own->n_entries) == NULL)
            r = take_entry(reader, reader->defaults, i, section);
    }
    return r;
}

static int read_section(struct reader *reader, const struct ol_ini_section *from,
                        struct ol_budget_section *section)
{
    int r;

    section->line = from->line;
    section->name = strdup(from->name);
    if (section->name == NULL)
        return ol_error_nomem(reader->err);
    section->workload = (struct ol_report_workload){
        .commits = 3,
        .changes = OL_CHANGE_MIX_DEFAULT,
        .change_bytes = 4096,
        .seed = 1,
        .rounds = 1, /* counts are the same in every round */
    };
    r = take_defaults(reader, from, section);
    for (size_t i = 0; i < from->n_entries && r == 0; i++)
        r = take_entry(reader, from, i, section);
    if (r < 0)
        return r;
    if (section->image_text == NULL)
        return ol_error_set(reader->err, -EINVAL,
                            "%s:%u: section [%s] has no image = PATH (or builtin)", reader->source,
                            section->line, section->name);
    if (section->n_limits == 0)
        return ol_error_set(reader->err, -EINVAL, "%s:%u: section [%s] limits nothing",
                            reader->source, section->line, section->name);
    r = section->workload.replay ? settle_replay(reader, from, section) : 0;
    return r < 0 ? r : settle_limits(reader, section);
}

/* ---- the whole ---- */

/* Defaults are read once for themselves, so that a mistake in one that no section uses is seen. */
static int read_defaults(struct reader *reader, struct ol_budget *budget)
{
    struct ol_budget_section scratch = {0};
    const struct ol_ini_section *defaults = reader->defaults;
    int r = 0;

    for (size_t i = 0; i < defaults->n_entries && r == 0; i++) {
        const struct ol_ini_entry *entry = &defaults->entries[i];

        if (strcmp(entry->key, "limit") == 0)
            r = ol_error_set(reader->err, -EINVAL, "a limit needs a [SECTION] before it");
        else if (strcmp(entry->key, "baseline") != 0)
            r = take_entry(reader, defaults, i, &scratch);
        else if (budget->baseline != NULL || entry->value[0] == '\0')
            r = ol_error_set(reader->err, -EINVAL, "baseline is %s",
                             entry->value[0] == '\0' ? "empty" : "there already");
        else
            r = settle_path(reader, entry->value, &budget->baseline);
        if (strcmp(entry->key, "limit") == 0 || strcmp(entry->key, "baseline") == 0)
            r = at_line(reader, entry->line, r);
    }
    section_fini(&scratch);
    return r;
}

static int read_budget(struct reader *reader, const struct ol_ini *ini, struct ol_budget *budget)
{
    int r = read_defaults(reader, budget);

    if (r < 0)
        return r;
    if (ini->n_sections < 2)
        return ol_error_set(reader->err, -EINVAL,
                            "%s: no [SECTION] in it: there is nothing to check", reader->source);
    budget->sections = calloc(ini->n_sections - 1, sizeof *budget->sections);
    budget->source = strdup(reader->source);
    if (budget->sections == NULL || budget->source == NULL)
        return ol_error_nomem(reader->err);
    for (size_t i = 1; i < ini->n_sections && r == 0; i++) {
        budget->n_sections++; /* from here on fini frees it */
        r = read_section(reader, &ini->sections[i], &budget->sections[i - 1]);
    }
    return r;
}

int ol_budget_parse(const char *source, const char *dir, const char *text, size_t len,
                    struct ol_budget *ret, struct ol_error *err)
{
    struct reader reader = {.source = source, .dir = dir, .err = err};
    struct ol_budget budget = {0};
    struct ol_ini ini = {0};
    int r = ol_ini_parse(source, text, len, &ini, err);

    if (r < 0)
        return r;
    reader.defaults = &ini.sections[0];
    r = read_budget(&reader, &ini, &budget);
    ol_ini_fini(&ini);
    if (r < 0) {
        ol_budget_fini(&budget);
        return r;
    }
    *ret = budget;
    return 0;
}

static int check_metric(const struct ol_budget *budget, const struct ol_limit *limit,
                        enum ol_budget_mode mode, struct ol_error *err)
{
    const struct ol_metric_info *info = ol_metric_info(limit->metric);

    if (mode == OL_BUDGET_PREDICT && !info->predict)
        return ol_error_set(err, -EINVAL, "%s:%u: %s cannot be predicted: it takes mode = measure",
                            budget->source, limit->line, info->name);
    if (mode == OL_BUDGET_MEASURE && !info->measure)
        return ol_error_set(err, -EINVAL, "%s:%u: %s is not measured: it takes mode = predict",
                            budget->source, limit->line, info->name);
    return 0;
}

/* The line that names a driver first. */
static unsigned line_of_driver(const struct ol_budget_section *section, size_t driver)
{
    for (size_t i = 0; i < section->n_limits; i++) {
        const struct ol_limit *limit = &section->limits[i];

        if (limit->driver == driver || (limit->over_name != NULL && limit->over == driver))
            return limit->line;
    }
    return section->line;
}

int ol_budget_check_mode(const struct ol_budget *budget, const struct ol_budget_section *section,
                         enum ol_budget_mode mode, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < section->n_limits && r == 0; i++) {
        r = check_metric(budget, &section->limits[i], mode, err);
        if (r == 0 && section->limits[i].metric == OL_METRIC_CONTAINERS_INODES &&
            section->containers == 0)
            r = ol_error_set(err, -EINVAL, "%s:%u: section [%s] has no containers = N",
                             budget->source, section->limits[i].line, section->name);
    }
    for (size_t i = 0; i < section->n_drivers && mode == OL_BUDGET_PREDICT && r == 0; i++) {
        enum ol_law law;

        if (ol_engine_law(section->drivers[i], &law) < 0)
            r = ol_error_set(err, -EINVAL,
                             "%s:%u: '%s' cannot be predicted: it takes mode = measure",
                             budget->source, line_of_driver(section, i), section->drivers[i]);
    }
    return r;
}
