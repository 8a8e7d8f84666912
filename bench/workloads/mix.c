/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of a change mix: "add=10,modify=5,delete=3,rename=1,chmod=1,mkdir=1,…". */
#include "bench/workloads/workload.h"

#include "common/cleanup.h"

#include <errno.h>
#include <limits.h>

enum { MIX_MAX = 1000000 }; /* operations of one kind in one commit */

static unsigned *key_of(struct ol_change_mix *mix, const char *key)
{
    const struct {
        const char *name;
        unsigned *value;
    } keys[] = {
        {"add", &mix->add},         {"modify", &mix->modify}, {"delete", &mix->remove},
        {"rename", &mix->rename},   {"chmod", &mix->chmod},   {"mkdir", &mix->mkdir},
        {"symlink", &mix->symlink}, {"link", &mix->link},     {"replace", &mix->replace},
    };

    for (size_t i = 0; i < OL_ARRAY_LEN(keys); i++) {
        if (strcmp(key, keys[i].name) == 0)
            return keys[i].value;
    }
    return NULL;
}

static int parse_count(const char *text, unsigned *ret)
{
    char *end;
    unsigned long n;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    n = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return -EINVAL;
    if (n > MIX_MAX)
        return -E2BIG;
    *ret = (unsigned)n;
    return 0;
}

int ol_change_mix_parse(const char *text, struct ol_change_mix *ret, struct ol_error *err)
{
    ol_auto_free char *copy = strdup(text);
    struct ol_change_mix mix = {0};
    char *save = NULL;

    if (copy == NULL)
        return ol_error_nomem(err);
    if (strcmp(text, "none") == 0) {
        *ret = mix;
        return 0;
    }
    for (char *item = strtok_r(copy, ",", &save); item != NULL; item = strtok_r(NULL, ",", &save)) {
        char *value = strchr(item, '=');
        unsigned *count;
        int r;
        if (value == NULL)
            return ol_error_set(err, -EINVAL, "change '%s' lacks '=COUNT'", item);
        *value++ = '\0';
        count = key_of(&mix, item);
        if (count == NULL)
            return ol_error_set(err, -EINVAL,
                                "unknown change '%s' (add, modify, delete, rename, chmod, mkdir, "
                                "symlink, link, replace)",
                                item);
        r = parse_count(value, count);
        if (r < 0)
            return ol_error_set(err, r, "change '%s' needs a count from 0 to %d, not '%s'", item,
                                MIX_MAX, value);
    }
    *ret = mix;
    return 0;
}
