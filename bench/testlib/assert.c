/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions on steps, and the text of those that fail. */
#include "bench/testlib/lab.h"

#include <errno.h>
#include <inttypes.h>

static const char *const kind_names[OL_TEST_KINDS] = {
    [OL_TEST_DIRECTORIES] = "directories",
    [OL_TEST_FILES] = "files",
    [OL_TEST_SYMLINKS] = "symlinks",
    [OL_TEST_DEVICES] = "devices",
    [OL_TEST_FIFOS] = "fifos",
    [OL_TEST_WHITEOUTS] = "whiteouts",
    [OL_TEST_BOOKKEEPING] = "bookkeeping",
};

static int64_t kind_of(const struct ol_inode_kinds *kinds, enum ol_test_kind kind)
{
    switch (kind) {
    case OL_TEST_DIRECTORIES:
        return kinds->directory;
    case OL_TEST_FILES:
        return kinds->regular;
    case OL_TEST_SYMLINKS:
        return kinds->symlink;
    case OL_TEST_DEVICES:
        return kinds->device;
    case OL_TEST_FIFOS:
        return kinds->fifo;
    case OL_TEST_WHITEOUTS:
        return kinds->whiteout;
    case OL_TEST_BOOKKEEPING:
        break;
    }
    return kinds->bookkeeping;
}

/* ---- which drivers ---- */

static bool is_named(const struct ol_test_driver *driver, const char *name)
{
    return strcmp(name, OL_TEST_EVERY_DRIVER) == 0 || strcmp(name, driver->name) == 0;
}

static void check_name(const struct ol_test_lab *lab, const char *name, const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    for (size_t i = 0; i < lab->n_drivers; i++) {
        if (is_named(&lab->drivers[i], name))
            return;
    }
    ol_test_need(ol_error_set(&err, -ENOENT, "the lab has no driver '%s'", name), &err, file, line);
}

/* The one result that is meant. */
static const struct ol_test_result *result_of(const struct ol_test_step *step, const char *name,
                                              const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    for (size_t i = 0; i < step->lab->n_drivers; i++) {
        if (strcmp(name, step->lab->drivers[i].name) == 0)
            return &step->results[i];
    }
    ol_test_need(ol_error_set(&err, -ENOENT, "the lab has no driver '%s'", name), &err, file, line);
    return NULL; /* never: the line above does not return */
}

int64_t ol_test_inodes_at(const char *driver, const struct ol_test_step *step, const char *file,
                          int line)
{
    return result_of(step, driver, file, line)->added.inodes;
}

int64_t ol_test_inodes_of_kind_at(const char *driver, const struct ol_test_step *step,
                                  enum ol_test_kind kind, const char *file, int line)
{
    return kind_of(&result_of(step, driver, file, line)->added.kinds, kind);
}

int64_t ol_test_bytes_at(const char *driver, const struct ol_test_step *step, const char *file,
                         int line)
{
    return result_of(step, driver, file, line)->added.bytes;
}

/* ---- the text of a failure; memory that is short leaves it shorter ---- */

static void say_range(struct ol_buf *text, int64_t low, int64_t high)
{
    if (low == high)
        (void)ol_buf_printf(text, "exactly %" PRId64, low);
    else if (low == INT64_MIN)
        (void)ol_buf_printf(text, "at most %" PRId64, high);
    else if (high == INT64_MAX)
        (void)ol_buf_printf(text, "at least %" PRId64, low);
    else
        (void)ol_buf_printf(text, "%" PRId64 " to %" PRId64, low, high);
}

static void say_kinds(struct ol_buf *text, const struct ol_inode_kinds *kinds)
{
    const char *comma = "";

    for (int kind = 0; kind < OL_TEST_KINDS; kind++) {
        int64_t n = kind_of(kinds, (enum ol_test_kind)kind);

        if (n == 0)
            continue;
        (void)ol_buf_printf(text, "%s%" PRId64 " %s", comma, n, kind_names[kind]);
        comma = ", ";
    }
    if (*comma == '\0')
        (void)ol_buf_puts(text, "none");
}

/* A driver's ids are 64 digits; the first twelve say which one it is. */
static void say_path(struct ol_buf *text, const char *path)
{
    if (*path == '\0')
        (void)ol_buf_puts(text, "the driver's own directory");
    while (*path != '\0') {
        size_t len = strcspn(path, "/");
        bool id = len >= 64 && strspn(path, "0123456789abcdef") >= 64;

        (void)ol_buf_append(text, path, id ? 12 : len);
        if (id && len > 64)
            (void)ol_buf_append(text, path + 64, len - 64);
        path += len;
        if (*path == '/')
            (void)ol_buf_putc(text, *path++);
    }
}

static void say_result(struct ol_buf *text, const struct ol_test_result *result)
{
    const struct ol_test_census_news *news = &result->news;

    (void)ol_buf_puts(text, "\n  by kind: ");
    say_kinds(text, &result->added.kinds);
    if (result->has_prediction) {
        (void)ol_buf_printf(
            text, "\n  predicted: %" PRId64 " inodes: ", ol_inode_kinds_total(&result->predicted));
        say_kinds(text, &result->predicted);
    }
    if (news->top[0].path != NULL)
        (void)ol_buf_puts(text, "\n  most new inodes lie in:");
    for (size_t i = 0; i < OL_TEST_CENSUS_TOP && news->top[i].path != NULL; i++) {
        (void)ol_buf_printf(text, "\n  %8" PRIu64 "  ", news->top[i].inodes);
        say_path(text, news->top[i].path);
    }
}

/* "overlay2: commit 0 added 9 inodes, expected " */
static struct ol_buf *begin(const struct ol_test_step *step, size_t driver, const char *verb,
                            int64_t n, const char *what)
{
    struct ol_buf *text = &step->lab->text;

    ol_buf_truncate(text, 0);
    (void)ol_buf_printf(text, "%s: %s %u %s %" PRId64 " %s, expected ",
                        step->lab->drivers[driver].name, step->name, step->index, verb, n, what);
    return text;
}

static void fail_range(const struct ol_test_step *step, size_t driver, const char *verb, int64_t n,
                       const char *what, int64_t low, int64_t high, const char *file, int line)
{
    struct ol_buf *text = begin(step, driver, verb, n, what);

    say_range(text, low, high);
    say_result(text, &step->results[driver]);
    ol_test_fail(file, line, "%s", ol_buf_str(text));
}

/* ---- assertions ---- */

void ol_assert_inodes_at(const char *driver, const struct ol_test_step *step, int64_t low,
                         int64_t high, const char *file, int line)
{
    check_name(step->lab, driver, file, line);
    for (size_t i = 0; i < step->lab->n_drivers; i++) {
        int64_t n = step->results[i].added.inodes;

        if (is_named(&step->lab->drivers[i], driver) && (n < low || n > high))
            fail_range(step, i, "added", n, "inodes", low, high, file, line);
    }
}

void ol_assert_inodes_of_kind_at(const char *driver, const struct ol_test_step *step,
                                 enum ol_test_kind kind, int64_t n, const char *file, int line)
{
    check_name(step->lab, driver, file, line);
    for (size_t i = 0; i < step->lab->n_drivers; i++) {
        int64_t added = kind_of(&step->results[i].added.kinds, kind);

        if (is_named(&step->lab->drivers[i], driver) && added != n)
            fail_range(step, i, "added", added, kind_names[kind], n, n, file, line);
    }
}

static bool same_kinds(const struct ol_inode_kinds *a, const struct ol_inode_kinds *b)
{
    for (int kind = 0; kind < OL_TEST_KINDS; kind++) {
        if (kind_of(a, (enum ol_test_kind)kind) != kind_of(b, (enum ol_test_kind)kind))
            return false;
    }
    return true;
}

void ol_assert_inodes_as_predicted_at(const char *driver, const struct ol_test_step *step,
                                      const char *file, int line)
{
    check_name(step->lab, driver, file, line);
    for (size_t i = 0; i < step->lab->n_drivers; i++) {
        const struct ol_test_result *result = &step->results[i];
        const char *name = step->lab->drivers[i].name;

        if (!is_named(&step->lab->drivers[i], driver))
            continue;
        if (!result->has_prediction) {
            ol_test_fail(file, line, "%s: there is no prediction for %s %u: %s", name, step->name,
                         step->index,
                         result->unpredicted != NULL ? result->unpredicted : "nothing was done");
        } else if (!same_kinds(&result->added.kinds, &result->predicted)) {
            struct ol_buf *text = begin(step, i, "added", result->added.inodes, "inodes");

            (void)ol_buf_printf(text, "the %" PRId64 " of the cost model, kind by kind",
                                ol_inode_kinds_total(&result->predicted));
            say_result(text, result);
            ol_test_fail(file, line, "%s", ol_buf_str(text));
        }
    }
}

void ol_assert_inodes_shared_at(const char *driver, const struct ol_test_step *step, int64_t n,
                                const char *file, int line)
{
    check_name(step->lab, driver, file, line);
    for (size_t i = 0; i < step->lab->n_drivers; i++) {
        int64_t shared = (int64_t)step->results[i].news.shared;

        if (is_named(&step->lab->drivers[i], driver) && shared != n)
            fail_range(step, i, "shares", shared, "inodes with what was there", n, n, file, line);
    }
}

void ol_assert_inodes_ratio_at(const char *driver, const char *other,
                               const struct ol_test_step *step, double low, double high,
                               const char *file, int line)
{
    const struct ol_test_result *over = result_of(step, driver, file, line);
    const struct ol_test_result *under = result_of(step, other, file, line);
    struct ol_buf *text = &step->lab->text;
    double ratio = (double)over->added.inodes / (double)under->added.inodes;

    if (under->added.inodes != 0 && ratio >= low && ratio <= high)
        return;
    ol_buf_truncate(text, 0);
    (void)ol_buf_printf(
        text, "%s: %s %u added %" PRId64 " inodes, %s %" PRId64 ", expected a ratio of %g to %g",
        driver, step->name, step->index, over->added.inodes, other, under->added.inodes, low, high);
    if (under->added.inodes != 0)
        (void)ol_buf_printf(text, ", not %.3g", ratio);
    (void)ol_buf_printf(text, "\n%s", driver);
    say_result(text, over);
    (void)ol_buf_printf(text, "\n%s", other);
    say_result(text, under);
    ol_test_fail(file, line, "%s", ol_buf_str(text));
}

void ol_assert_bytes_at(const char *driver, const struct ol_test_step *step, int64_t low,
                        int64_t high, const char *file, int line)
{
    check_name(step->lab, driver, file, line);
    for (size_t i = 0; i < step->lab->n_drivers; i++) {
        int64_t n = step->results[i].added.bytes;

        if (is_named(&step->lab->drivers[i], driver) && (n < low || n > high))
            fail_range(step, i, "took", n, "bytes", low, high, file, line);
    }
}

static void fail_left(const struct ol_test_driver *driver, const struct ol_engine_usage *left,
                      struct ol_buf *text, const char *file, int line)
{
    ol_buf_truncate(text, 0);
    (void)ol_buf_printf(text, "%s: %" PRId64 " inodes are left, expected none: ", driver->name,
                        left->inodes);
    say_kinds(text, &left->kinds);
    ol_test_fail(file, line, "%s", ol_buf_str(text));
}

void ol_assert_nothing_left_at(const char *driver, struct ol_test_lab *lab, const char *file,
                               int line)
{
    struct ol_error err = OL_ERROR_INIT;

    check_name(lab, driver, file, line);
    for (size_t i = 0; i < lab->n_drivers; i++) {
        const struct ol_test_driver *at = &lab->drivers[i];
        struct ol_engine_usage left;
        const struct ol_inode_kinds none = {0};

        if (!is_named(at, driver))
            continue;
        ol_test_need(at->ops->usage(at->engine, &left, &err), &err, file, line);
        ol_engine_usage_sum(&left, &at->empty, -1);
        if (!same_kinds(&left.kinds, &none))
            fail_left(at, &left, &lab->text, file, line);
    }
}
