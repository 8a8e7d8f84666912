/* SPDX-License-Identifier: Apache-2.0 */
/* INI texts; see ini.h. */
#include "bench/budget/ini.h"

#include "common/cleanup.h"

#include <ini.h>
#include <stdbool.h>
#include <string.h>

/* inih asks for a line and then hands out what is in it: the last line read is the one meant. */
struct reading {
    const char *source;
    const char *at, *end;
    unsigned line;
    size_t n_entries;
    struct ol_ini *ini;
    struct ol_error *err;
    int r; /* the first failure: from there on nothing is read */
};

void ol_ini_fini(struct ol_ini *ini)
{
    for (size_t s = 0; s < ini->n_sections; s++) {
        struct ol_ini_section *section = &ini->sections[s];

        for (size_t i = 0; i < section->n_entries; i++) {
            free(section->entries[i].key);
            free(section->entries[i].value);
        }
        free(section->entries);
        free(section->name);
    }
    free(ini->sections);
    *ini = (struct ol_ini){0};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static int begin_section(struct ol_ini *ini, const char *name, size_t len, unsigned line)
{
    struct ol_ini_section *grown = reallocarray(ini->sections, ini->n_sections + 1, sizeof *grown);

    if (grown == NULL)
        return -ENOMEM;
    ini->sections = grown;
    grown += ini->n_sections;
    *grown = (struct ol_ini_section){.name = strndup(name, len), .line = line};
    if (grown->name == NULL)
        return -ENOMEM;
    ini->n_sections++;
    return 0;
}

/* Names appear in TAP, XML and tables. */
static bool is_section_name(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool letter = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z');

        if (!letter && (name[i] < '0' || name[i] > '9') && strchr("._+-/:@", name[i]) == NULL)
            return false;
    }
    return len > 0;
}

/* Without INI_CALL_HANDLER_ON_NEW_SECTION inih does not tell of headings. */
static int take_heading(struct reading *reading, const char *line, size_t len)
{
    const char *name = line + 1;
    const char *end = memchr(line, ']', len);
    const char *rest;
    size_t n;

    if (end == NULL)
        return ol_error_set(reading->err, -EINVAL, "%s:%u: no ']' behind the section's name",
                            reading->source, reading->line);
    n = (size_t)(end - name);
    if (!is_section_name(name, n))
        return ol_error_set(reading->err, -EINVAL,
                            "%s:%u: a section's name is of letters, digits and ._+-/:@, not '%.*s'",
                            reading->source, reading->line, (int)n, name);
    if (n > OL_INI_SECTION_MAX)
        return ol_error_set(reading->err, -EINVAL, "%s:%u: a section's name has at most %d letters",
                            reading->source, reading->line, OL_INI_SECTION_MAX);
    rest = end + 1;
    while (rest < line + len && is_blank(*rest))
        rest++;
    if (rest < line + len && *rest != ';')
        return ol_error_set(reading->err, -EINVAL,
                            "%s:%u: what stands behind [%.*s] has no meaning", reading->source,
                            reading->line, (int)n, name);
    for (size_t i = 0; i < reading->ini->n_sections; i++) {
        const struct ol_ini_section *other = &reading->ini->sections[i];

        if (strlen(other->name) == n && memcmp(other->name, name, n) == 0)
            return ol_error_set(reading->err, -EINVAL,
                                "%s:%u: section [%s] is there already, in line %u", reading->source,
                                reading->line, other->name, other->line);
    }
    return begin_section(reading->ini, name, n, reading->line) < 0 ? ol_error_nomem(reading->err)
                                                                   : 0;
}

static int check_line(const struct reading *reading, const char *line, size_t len)
{
    if (memchr(line, '\0', len) != NULL)
        return ol_error_set(reading->err, -EINVAL, "%s:%u: a NUL byte: this is no text",
                            reading->source, reading->line);
    if (len > OL_INI_LINE_MAX)
        return ol_error_set(reading->err, -EINVAL, "%s:%u: the line has %zu bytes, more than %d",
                            reading->source, reading->line, len, OL_INI_LINE_MAX);
    return 0;
}

/* An ini_reader. Blanks before a line would make it the continuation of the one before. */
static char *read_line(char *into, int room, void *data)
{
    struct reading *reading = data;
    const char *line = reading->at;
    const char *newline;
    size_t len;

    if (reading->r < 0 || line == reading->end)
        return NULL;
    newline = memchr(line, '\n', (size_t)(reading->end - line));
    reading->at = newline != NULL ? newline + 1 : reading->end;
    len = (size_t)((newline != NULL ? newline : reading->end) - line);
    if (reading->line++ == 0 && len >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) {
        line += 3; /* UTF-8's byte order mark */
        len -= 3;
    }
    while (len > 0 && is_blank(*line)) {
        line++;
        len--;
    }
    while (len > 0 && is_blank(line[len - 1]))
        len--;
    reading->r = check_line(reading, line, len);
    if (reading->r == 0 && len > 0 && *line == '[')
        reading->r = take_heading(reading, line, len);
    if (reading->r == 0 && len >= (size_t)room)
        reading->r = ol_error_set(reading->err, -EINVAL, "%s:%u: this inih reads lines of %d bytes",
                                  reading->source, reading->line, room - 1);
    if (reading->r < 0)
        return NULL;
    memcpy(into, line, len);
    into[len] = '\0';
    return into;
}

static int add_entry(struct reading *reading, const char *key, const char *value)
{
    struct ol_ini_section *section = &reading->ini->sections[reading->ini->n_sections - 1];
    struct ol_ini_entry *grown;

    if (reading->n_entries++ == OL_INI_ENTRIES_MAX)
        return ol_error_set(reading->err, -E2BIG, "%s:%u: more than %d keys", reading->source,
                            reading->line, OL_INI_ENTRIES_MAX);
    grown = reallocarray(section->entries, section->n_entries + 1, sizeof *grown);
    if (grown == NULL)
        return ol_error_nomem(reading->err);
    section->entries = grown;
    grown += section->n_entries;
    *grown = (struct ol_ini_entry){strdup(key), strdup(value), reading->line};
    section->n_entries++;
    return grown->key == NULL || grown->value == NULL ? ol_error_nomem(reading->err) : 0;
}

/* An ini_handler: 1 for success. */
static int take_pair(void *data, const char *section, const char *key, const char *value)
{
    struct reading *reading = data;

    (void)section; /* the last heading read, which inih has cut if it was long */
    if (reading->r == 0)
        reading->r = add_entry(reading, key, value);
    return reading->r == 0;
}

int ol_ini_parse(const char *source, const char *text, size_t len, struct ol_ini *ret,
                 struct ol_error *err)
{
    struct ol_ini ini = {0};
    struct reading reading = {
        .source = source, .at = text, .end = text + len, .ini = &ini, .err = err};
    int bad = 0;

    reading.r = begin_section(&ini, "", 0, 0) < 0 ? ol_error_nomem(err) : 0;
    if (reading.r == 0)
        bad = ini_parse_stream(read_line, &reading, take_pair, &reading);
    if (reading.r == 0 && bad > 0)
        reading.r = ol_error_set(err, -EINVAL, "%s:%d: neither [SECTION] nor KEY = VALUE", source,
                                 bad);
    else if (reading.r == 0 && bad < 0)
        reading.r = ol_error_nomem(err);
    if (reading.r < 0) {
        ol_ini_fini(&ini);
        return reading.r;
    }
    *ret = ini;
    return 0;
}
