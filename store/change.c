/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dockerfile lines applied to a config; see change.h. The texts are cut into instructions here, an
 * instruction's name chooses its function, and change_kind.c has those functions. At the end the
 * container's own values come back where an instruction left nothing (daemon/commit.go merge()).
 */
#include "store/change.h"

#include "common/cleanup.h"
#include "store/change_internal.h"
#include "store/image_internal.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static const struct kind {
    const char *name;
    int (*apply)(struct ol_change *change);
    bool flags; /* knows some; the others know none */
} kinds[] = {
    {"CMD", ol_change_cmd, false},         {"ENTRYPOINT", ol_change_entrypoint, false},
    {"ENV", ol_change_env, false},         {"EXPOSE", ol_change_expose, false},
    {"LABEL", ol_change_label, false},     {"HEALTHCHECK", ol_change_healthcheck, true},
    {"ONBUILD", ol_change_onbuild, false}, {"USER", ol_change_user, false},
    {"VOLUME", ol_change_volume, false},   {"WORKDIR", ol_change_workdir, false},
};

static const struct kind *find_kind(const char *word, size_t len)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(kinds); i++)
        if (strlen(kinds[i].name) == len && strncasecmp(kinds[i].name, word, len) == 0)
            return &kinds[i];
    return NULL;
}

/* Past a backslash at the end of a line, and the comments and empty lines that may follow it. */
static char *skip_continuation(char *from)
{
    while (*from == '\\') {
        char *end = from + 1 + strspn(from + 1, " \t\r");

        if (*end != '\n' && *end != '\0')
            return from;
        from = end + (*end == '\n');
        end = from + strspn(from, " \t\r");
        while (*end == '\n' || *end == '#') {
            from = end + strcspn(end, "\n");
            from += *from == '\n';
            end = from + strspn(from, " \t\r");
        }
    }
    return from;
}

/* The text's next line, joined with those it goes on in; NULL at the end. Cuts the text up. */
static char *next_line(char **text)
{
    char *line = *text;
    char *to = line;
    char *from = line;

    if (*line == '\0')
        return NULL;
    for (;;) {
        from = skip_continuation(from);
        if (*from == '\0' || *from == '\n')
            break;
        *to++ = *from++;
    }
    *text = from + (*from == '\n');
    *to = '\0';
    return line;
}

static char *trim_left(char *line)
{
    while (isspace((unsigned char)*line))
        line++;
    return line;
}

static void trim_right(char *line)
{
    size_t len = strlen(line);

    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    line[len] = '\0';
}

/* The carriage return of a line that ends with CR LF. */
static void drop_cr(char *line)
{
    size_t len = strlen(line);

    if (len > 0 && line[len - 1] == '\r')
        line[len - 1] = '\0';
}

static int unknown(const char *line, size_t len, struct ol_error *err)
{
    ol_auto_free char *name = strndup(line, len);

    if (name == NULL)
        return ol_error_nomem(err);
    for (char *c = name; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return ol_error_set(err, -EINVAL, "%s is not a valid change command", name);
}

static int apply_line(json_t *config, char *line, bool *cmd_set, struct ol_error *err)
{
    size_t len = strcspn(line, " \t\r\v\f");
    const struct kind *kind = find_kind(line, len);
    ol_auto_free char *raw = strdup(line);
    ol_auto_free char *name = NULL;
    struct ol_change change = {.config = config, .cmd_set = cmd_set, .err = err};
    int r;

    if (kind == NULL)
        return unknown(line, len, err);
    if (raw == NULL)
        return ol_error_nomem(err);
    trim_right(line);
    change.name = kind->name;
    change.raw = trim_left(raw + len);
    change.rest = line + len + strspn(line + len, " \t\r\v\f");
    change.blank = change.rest[0] == '\0';
    if (!kind->flags && strncmp(change.rest, "--", 2) == 0 && change.rest[2] != '\0' &&
        change.rest[2] != ' ') {
        name = strndup(change.rest + 2, strcspn(change.rest + 2, "= \t"));
        return name == NULL ? ol_error_nomem(err)
                            : ol_error_set(err, -EINVAL, "Unknown flag: %s", name);
    }
    r = kind->apply(&change);
    return r;
}

/* Refuse names first, as dockerd does, so that the first mistake shown is not a later one's. */
struct lines {
    char **items; /* owned array of pointers into the texts */
    size_t count;
};

static int collect(char *text, struct lines *lines, struct ol_error *err)
{
    size_t before = lines->count;
    char *line;

    while ((line = next_line(&text)) != NULL) {
        char **grown;

        line = trim_left(line);
        drop_cr(line);
        if (line[0] == '\0' || line[0] == '#')
            continue;
        if (lines->count >= OL_CHANGES_MAX)
            return ol_error_set(err, -E2BIG, "more than %d instructions", OL_CHANGES_MAX);
        grown = reallocarray(lines->items, lines->count + 1, sizeof *grown);
        if (grown == NULL)
            return ol_error_nomem(err);
        lines->items = grown;
        lines->items[lines->count++] = line;
    }
    return lines->count == before ? ol_error_set(err, -EINVAL, "no instruction in it") : 0;
}

static int apply_lines(json_t *config, const struct lines *lines, struct ol_error *err)
{
    bool cmd_set = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < lines->count; i++) {
        size_t len = strcspn(lines->items[i], " \t\r\v\f");
        if (find_kind(lines->items[i], len) == NULL)
            r = unknown(lines->items[i], len, err);
    }
    for (size_t i = 0; r == 0 && i < lines->count; i++) {
        ol_auto_free char *shown = strdup(lines->items[i]);

        if (shown == NULL)
            return ol_error_nomem(err);
        trim_right(shown);
        r = apply_line(config, lines->items[i], &cmd_set, err);
        if (r < 0)
            r = ol_error_wrap(err, r, "change '%s'", shown);
    }
    return r;
}

static bool is_empty(const json_t *object, const char *key)
{
    return json_array_size(json_object_get(object, key)) == 0;
}

static int restore(json_t *config, const json_t *from, const char *key)
{
    json_t *old = json_object_get(from, key);

    return old == NULL ? 0 : json_object_set_new(config, key, json_deep_copy(old));
}

/* daemon/config.go Merge(): of a healthcheck what was not said; dockerd's zero value is a 0. */
static int restore_health(json_t *config, const json_t *from)
{
    static const char *const keys[] = {"Test", "Interval", "Timeout", "StartPeriod", "Retries"};
    json_t *health = json_object_get(config, "Healthcheck");
    const json_t *old = json_object_get(from, "Healthcheck");
    int r = 0;

    for (size_t i = 0; json_is_object(health) && i < OL_ARRAY_LEN(keys); i++)
        if (r == 0 && json_object_get(health, keys[i]) == NULL)
            r = restore(health, old, keys[i]);
    return r;
}

static int merge(json_t *config, const json_t *from)
{
    const char *user = ol_json_string(config, "User");
    int r = 0;

    if (user == NULL || user[0] == '\0')
        r = restore(config, from, "User");
    if (r == 0 && is_empty(config, "Entrypoint")) {
        if (is_empty(config, "Cmd"))
            r = restore(config, from, "Cmd");
        if (r == 0 && !json_is_array(json_object_get(config, "Entrypoint")))
            r = restore(config, from, "Entrypoint");
    }
    return r < 0 ? r : restore_health(config, from);
}

static char *join(const char *const *changes, size_t count, size_t *ret_len)
{
    ol_auto_buf struct ol_buf all = OL_BUF_INIT;

    for (size_t i = 0; i < count; i++)
        if (ol_buf_puts(&all, changes[i]) < 0 || ol_buf_putc(&all, '\n') < 0)
            return NULL;
    *ret_len = all.len;
    return ol_buf_steal(&all);
}

static int check_texts(const char *const *changes, size_t count, struct ol_error *err)
{
    if (count > OL_CHANGES_MAX)
        return ol_error_set(err, -E2BIG, "more than %d changes", OL_CHANGES_MAX);
    for (size_t i = 0; i < count; i++) {
        json_t *text;

        if (strlen(changes[i]) > OL_CHANGE_MAX)
            return ol_error_set(err, -E2BIG, "a change of more than %d bytes", OL_CHANGE_MAX);
        text = json_string(changes[i]);
        if (text == NULL)
            return ol_error_set(err, -EINVAL, "change '%s' is not UTF-8", changes[i]);
        json_decref(text);
    }
    return 0;
}

int ol_change_apply(const json_t *config, const char *const *changes, size_t count, json_t **ret,
                    struct ol_error *err)
{
    struct lines lines = {NULL, 0};
    ol_auto_free char *text = NULL;
    size_t len = 0;
    json_t *made;
    int r = check_texts(changes, count, err);

    if (r < 0)
        return r;
    made = json_deep_copy(config);
    text = join(changes, count, &len);
    if (made == NULL || text == NULL)
        r = ol_error_nomem(err);
    if (r == 0 && count > 0)
        r = collect(text, &lines, err);
    if (r == 0 && count > 0)
        r = apply_lines(made, &lines, err);
    if (r == 0 && merge(made, config) < 0)
        r = ol_error_nomem(err);
    free(lines.items);
    if (r < 0)
        json_decref(made);
    else
        *ret = made;
    return r;
}
