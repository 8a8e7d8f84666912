/* SPDX-License-Identifier: Apache-2.0 */
/* HEALTHCHECK [--interval=D --timeout=D --start-period=D --retries=N] NONE | CMD command */
#include "store/change_internal.h"

#include "common/cleanup.h"
#include "store/change_word.h"
#include "store/image_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum { NS_PER_MS = 1000000 };

static const struct unit {
    const char *name; /* longer ones before their beginnings */
    double ns;
} units[] = {
    {"ns", 1},   {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3},
    {"ms", 1e6}, {"s", 1e9},  {"m", 60e9},        {"h", 3600e9},
};

static const struct unit *find_unit(const char *text)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(units); i++)
        if (strncmp(text, units[i].name, strlen(units[i].name)) == 0)
            return &units[i];
    return NULL;
}

/* Go's time.ParseDuration: "1h2m3.5s"; a sign may stand before it, "0" needs no unit. */
static bool parse_duration(const char *text, int64_t *ret)
{
    double sign = text[0] == '-' ? -1 : 1;
    double sum = 0;

    text += text[0] == '-' || text[0] == '+';
    if (strcmp(text, "0") == 0) {
        *ret = 0;
        return true;
    }
    if (text[0] == '\0')
        return false;
    while (*text != '\0') {
        size_t digits = strspn(text, "0123456789.");
        const struct unit *unit = find_unit(text + digits);
        ol_auto_free char *number = strndup(text, digits);
        char *end = NULL;
        double value;

        if (digits == 0 || unit == NULL || number == NULL)
            return false;
        value = strtod(number, &end);
        if (*end != '\0')
            return false;
        sum += value * unit->ns;
        text += digits + strlen(unit->name);
    }
    if (sum >= 9.2e18)
        return false;
    *ret = (int64_t)(sign * (sum + 0.5));
    return true;
}

static const struct flag {
    const char *name;
    const char *key; /* in the config */
} flags[] = {
    {"interval", "Interval"},
    {"timeout", "Timeout"},
    {"start-period", "StartPeriod"},
    {"retries", "Retries"},
};

static int duration(const struct ol_change *change, const struct flag *flag, const char *value,
                    json_t *health)
{
    int64_t ns;

    if (!parse_duration(value, &ns))
        return ol_error_set(change->err, -EINVAL, "time: invalid duration '%s'", value);
    if (ns < NS_PER_MS)
        return ol_error_set(change->err, -EINVAL, "Interval '%s' cannot be less than 1ms",
                            flag->name);
    return json_object_set_new(health, flag->key, json_integer(ns)) < 0
               ? ol_error_nomem(change->err)
               : 0;
}

static int retries(const struct ol_change *change, const struct flag *flag, const char *value,
                   json_t *health)
{
    char *end = NULL;
    long number;

    errno = 0;
    number = strtol(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0 || number > INT32_MAX)
        return ol_error_set(change->err, -EINVAL, "--retries is no number: '%s'", value);
    if (number < 1)
        return ol_error_set(change->err, -EINVAL, "--retries must be at least 1 (not %ld)", number);
    return json_object_set_new(health, flag->key, json_integer(number)) < 0
               ? ol_error_nomem(change->err)
               : 0;
}

/* "--name=value", quotes taken off. */
static int take_flag(const struct ol_change *change, const char *word, json_t *health)
{
    ol_auto_free char *text = NULL;
    char *value;
    int r = ol_word_expand(word, NULL, &text, change->err);

    if (r < 0)
        return r;
    value = strchr(text, '=');
    if (value != NULL)
        *value++ = '\0';
    for (size_t i = 0; i < OL_ARRAY_LEN(flags); i++) {
        if (strcmp(text + 2, flags[i].name) != 0)
            continue;
        if (value == NULL)
            return ol_error_set(change->err, -EINVAL, "Missing a value on flag: %s", flags[i].name);
        if (json_object_get(health, flags[i].key) != NULL)
            return ol_error_set(change->err, -EINVAL, "Duplicate flag specified: %s",
                                flags[i].name);
        return (strcmp(flags[i].name, "retries") == 0 ? retries : duration)(change, &flags[i],
                                                                            value, health);
    }
    return ol_error_set(change->err, -EINVAL, "Unknown flag: %s", text + 2);
}

static int take_flags(const struct ol_change *change, json_t *health, const char **ret_rest)
{
    const char *rest = change->rest;
    int r = 0;

    while (r == 0 && strncmp(rest, "--", 2) == 0 && rest[2] != '\0') {
        ol_auto_json json_t *words = NULL;
        const char *word;

        r = ol_word_split(rest, &words, change->err);
        if (r < 0)
            break;
        word = json_string_value(json_array_get(words, 0));
        r = take_flag(change, word, health);
        rest += strlen(word);
        rest += strspn(rest, " \t");
    }
    *ret_rest = rest;
    return r;
}

/* Test of "CMD command": a JSON array behind "CMD", or a line behind "CMD-SHELL". */
static int command_test(const struct ol_change *change, const char *command, json_t **ret)
{
    json_t *words = NULL;
    int r;

    if (command[0] == '\0')
        return ol_error_set(change->err, -EINVAL, "Missing command after HEALTHCHECK CMD");
    r = ol_change_json(change, command, &words);
    if (r < 0)
        return r;
    if (r == 0)
        words = json_pack("[s, s]", "CMD-SHELL", command);
    else if (json_array_insert_new(words, 0, json_string("CMD")) < 0) {
        json_decref(words);
        words = NULL;
    }
    if (words == NULL)
        return ol_error_nomem(change->err);
    *ret = words;
    return 0;
}

static int make_test(const struct ol_change *change, const char *rest, json_t **ret)
{
    size_t len = strcspn(rest, " \t");
    const char *command = rest + len + strspn(rest + len, " \t");

    if (len == 3 && strncasecmp(rest, "CMD", 3) == 0)
        return command_test(change, command, ret);
    if (len != 4 || strncasecmp(rest, "NONE", 4) != 0)
        return ol_error_set(change->err, -EINVAL, "Unknown type '%.*s' in HEALTHCHECK (try CMD)",
                            (int)len, rest);
    if (command[0] != '\0')
        return ol_error_set(change->err, -EINVAL, "HEALTHCHECK NONE takes no arguments");
    *ret = json_pack("[s]", "NONE");
    return *ret == NULL ? ol_error_nomem(change->err) : 0;
}

int ol_change_healthcheck(struct ol_change *change)
{
    ol_auto_json json_t *health = json_object();
    json_t *test = NULL;
    const char *rest = change->rest;
    int r = health == NULL ? ol_error_nomem(change->err) : take_flags(change, health, &rest);

    if (r == 0 && rest[0] == '\0')
        r = ol_change_needs(change, "at least one");
    if (r == 0)
        r = make_test(change, rest, &test);
    if (r == 0 && json_array_size(test) == 1) /* NONE: dockerd passes the flags over */
        (void)json_object_clear(health);      /* fails only for what is no object */
    if (r == 0 && json_object_set_new(health, "Test", test) < 0)
        r = ol_error_nomem(change->err);
    return r < 0 ? r : ol_change_set(change, "Healthcheck", json_incref(health));
}
