/* SPDX-License-Identifier: Apache-2.0 */
/* One limit: its words and numbers, and what can be limited; see budget.h. */
#include "bench/budget/budget.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

static const struct ol_metric_info metrics[OL_METRICS] = {
    [OL_METRIC_IMAGE_INODES] = {"image_inodes", "inodes", "of the image's layers", true, true},
    [OL_METRIC_IMAGE_BYTES] = {"image_bytes", "bytes", "of the image's layers on disk", true, true,
                               true},
    [OL_METRIC_CONTENT_BYTES] = {"content_bytes", "bytes",
                                 "of the file contents in the image's layers", true, false},
    [OL_METRIC_LAYER_INODES] = {"layer_inodes", "inodes", "of the image's most expensive layer",
                                true, true},
    [OL_METRIC_CONTAINER_INODES] = {"inodes_per_container", "inodes",
                                    "of a container, made and mounted", true, true},
    [OL_METRIC_CONTAINERS_INODES] = {"containers_inodes", "inodes",
                                     "of all the containers beside the commits", true, true},
    [OL_METRIC_COMMIT_INODES] = {"inodes_per_commit", "inodes", "of a commit (the median)", true,
                                 true},
    [OL_METRIC_COMMIT_INODES_MAX] = {"max_inodes_per_commit", "inodes",
                                     "of the most expensive commit", true, true},
    [OL_METRIC_COMMIT_BYTES] = {"bytes_per_commit", "bytes", "of a commit on disk (the median)",
                                true, true, true},
    [OL_METRIC_PEAK_INODES] = {"peak_inodes", "inodes", "at the highest point between two steps",
                               true, true},
    [OL_METRIC_LEFT_INODES] = {"left_inodes", "inodes", "left after everything was removed", false,
                               true},
    [OL_METRIC_WRONG_STEPS] = {"unpredicted_steps", "steps",
                               "whose inodes are not the predicted ones", false, true},
};

const struct ol_metric_info *ol_metric_info(enum ol_metric metric)
{
    return (unsigned)metric < OL_METRICS ? &metrics[metric] : NULL;
}

bool ol_metric_is_bytes(enum ol_metric metric)
{
    return strcmp(metrics[metric].unit, "bytes") == 0;
}

const char *ol_limit_op_name(enum ol_limit_op op)
{
    static const char *const names[] = {"<=", ">=", "="};

    return (unsigned)op < OL_ARRAY_LEN(names) ? names[op] : NULL;
}

void ol_limit_fini(struct ol_limit *limit)
{
    free(limit->text);
    free(limit->driver_name);
    free(limit->over_name);
    *limit = (struct ol_limit){0};
}

bool ol_limit_is_growth(const struct ol_limit *limit)
{
    return limit->kind == OL_LIMIT_GROWTH || limit->kind == OL_LIMIT_GROWTH_PERCENT;
}

/* ---- numbers ---- */

#define NUMBER_MAX (UINT64_C(1) << 53) /* as doubles and JSON have it exactly */

/* "12", "12.5": no sign, no exponent, nothing behind. False when it is anything else. */
static bool parse_decimal(struct ol_limit *limit, const char *text, size_t len, bool fraction)
{
    uint64_t number = 0;
    uint64_t scale = 1;
    bool point = false;

    if (len == 0 || text[0] == '.' || text[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.' && fraction && !point) {
            point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
        scale *= point ? 10 : 1;
        if (number > NUMBER_MAX || scale > NUMBER_MAX)
            return false;
    }
    limit->number = number;
    limit->scale = scale;
    return true;
}

/* 10 for "k" …; 0 when it is no such letter. */
static unsigned suffix_shift(char letter)
{
    static const char letters[] = "kmgt";
    const char *at = letter != '\0' ? strchr(letters, letter | 0x20) : NULL;

    return at != NULL ? 10 * (unsigned)(at - letters + 1) : 0;
}

static int bad_number(const struct ol_limit *limit, const char *text, struct ol_error *err)
{
    if (limit->kind == OL_LIMIT_RATIO)
        return ol_error_set(err, -EINVAL, "a ratio is a number such as 30 or 1.5, not '%s'", text);
    if (ol_metric_is_bytes(limit->metric))
        return ol_error_set(err, -EINVAL,
                            "%s takes a whole number up to 2^53, with k, m, g or t behind it for "
                            "powers of 1024%s, not '%s'",
                            metrics[limit->metric].name,
                            limit->kind == OL_LIMIT_GROWTH ? ", or a percentage" : "", text);
    return ol_error_set(err, -EINVAL, "%s takes a whole number of %s up to 2^53%s, not '%s'",
                        metrics[limit->metric].name, metrics[limit->metric].unit,
                        limit->kind == OL_LIMIT_GROWTH ? ", or a percentage such as 5%" : "", text);
}

static int parse_number(struct ol_limit *limit, const char *text, struct ol_error *err)
{
    bool bytes = ol_metric_is_bytes(limit->metric);
    size_t len = strlen(text);
    unsigned shift = 0;

    if (limit->kind == OL_LIMIT_GROWTH && len > 1 && text[len - 1] == '%') {
        limit->kind = OL_LIMIT_GROWTH_PERCENT;
        return parse_decimal(limit, text, len - 1, true)
                   ? 0
                   : ol_error_set(err, -EINVAL, "no percentage: '%s'", text);
    }
    if (bytes && limit->kind != OL_LIMIT_RATIO && len > 1) {
        shift = suffix_shift(text[len - 1]);
        len -= shift > 0 ? 1 : 0;
    }
    if (!parse_decimal(limit, text, len, limit->kind == OL_LIMIT_RATIO) ||
        limit->number > NUMBER_MAX >> shift)
        return bad_number(limit, text, err);
    limit->number <<= shift;
    return 0;
}

/* ---- words ---- */

enum { WORDS_MAX = 6 };

/* Cut text into words, in place. @return their number, or WORDS_MAX + 1: too many */
static size_t split(char *text, char **words)
{
    char *save = NULL;
    size_t n = 0;

    for (char *word = strtok_r(text, " \t", &save); word != NULL;
         word = strtok_r(NULL, " \t", &save)) {
        if (n == WORDS_MAX)
            return WORDS_MAX + 1;
        words[n++] = word;
    }
    return n;
}

static int find_metric(const char *name, enum ol_metric *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf known = OL_BUF_INIT;

    for (unsigned i = 0; i < OL_METRICS; i++) {
        if (strcmp(metrics[i].name, name) == 0) {
            *ret = (enum ol_metric)i;
            return 0;
        }
        if (ol_buf_printf(&known, "%s%s", i > 0 ? ", " : "", metrics[i].name) < 0)
            return ol_error_nomem(err);
    }
    return ol_error_set(err, -EINVAL, "unknown metric '%s' (%s)", name, ol_buf_str(&known));
}

static int find_op(const char *name, enum ol_limit_op *ret, struct ol_error *err)
{
    for (unsigned op = OL_LIMIT_MOST; op <= OL_LIMIT_EXACTLY; op++) {
        if (strcmp(name, ol_limit_op_name((enum ol_limit_op)op)) == 0) {
            *ret = (enum ol_limit_op)op;
            return 0;
        }
    }
    return ol_error_set(err, -EINVAL, "'%s' compares nothing (<=, >=, =)", name);
}

static int take_drivers(struct ol_limit *limit, const char *word, struct ol_error *err)
{
    const char *slash = strchr(word, '/');

    limit->driver_name = slash != NULL ? strndup(word, (size_t)(slash - word)) : strdup(word);
    if (limit->driver_name == NULL)
        return ol_error_nomem(err);
    if (slash == NULL)
        return 0;
    if (limit->kind == OL_LIMIT_GROWTH)
        return ol_error_set(err, -EINVAL, "growth is of one driver, not of a ratio '%s'", word);
    limit->kind = OL_LIMIT_RATIO;
    limit->over_name = strdup(slash + 1);
    if (limit->over_name == NULL)
        return ol_error_nomem(err);
    if (strcmp(limit->driver_name, limit->over_name) == 0)
        return ol_error_set(err, -EINVAL, "'%s' is always 1", word);
    return 0;
}

static int take_words(struct ol_limit *limit, char **words, size_t n, struct ol_error *err)
{
    bool growth = n > 0 && strcmp(words[0], "growth") == 0;
    int r;

    if (growth) {
        words++;
        n--;
    }
    if (n != 4)
        return ol_error_set(err, -EINVAL,
                            "a limit reads '[growth] DRIVER[/DRIVER] METRIC <= NUMBER', all apart");
    limit->kind = growth ? OL_LIMIT_GROWTH : OL_LIMIT_VALUE;
    r = take_drivers(limit, words[0], err);
    if (r == 0)
        r = find_metric(words[1], &limit->metric, err);
    if (r == 0)
        r = find_op(words[2], &limit->op, err);
    if (r == 0)
        r = parse_number(limit, words[3], err);
    if (r == 0 && asprintf(&limit->text, "%s%s %s %s %s", growth ? "growth " : "", words[0],
                           words[1], words[2], words[3]) < 0) {
        limit->text = NULL;
        r = ol_error_nomem(err);
    }
    return r;
}

int ol_limit_parse(const char *text, struct ol_limit *ret, struct ol_error *err)
{
    ol_auto_free char *copy = strdup(text);
    struct ol_limit limit = {0};
    char *words[WORDS_MAX];
    size_t n;
    int r;

    if (copy == NULL)
        return ol_error_nomem(err);
    n = split(copy, words);
    r = take_words(&limit, words, n, err);
    if (r < 0) {
        ol_limit_fini(&limit);
        return r;
    }
    *ret = limit;
    return 0;
}
