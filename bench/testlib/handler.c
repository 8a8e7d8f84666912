/* SPDX-License-Identifier: Apache-2.0 */
/* How a test ends: through the handler of the process, cmocka's unless another one was set. */
#include "bench/testlib/lab.h"

#include "common/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void cmocka_fail(const char *text, const char *file, int line, void *data)
{
    (void)data;
    print_error("%s\n", text);
    _fail(file, line);
}

static void cmocka_skip(const char *text, const char *file, int line, void *data)
{
    (void)data;
    print_message("SKIP %s:%d: %s\n", file, line, text);
    _skip(file, line);
}

static const struct ol_test_handler of_cmocka = {cmocka_fail, cmocka_skip, NULL};
static const struct ol_test_handler *handler = &of_cmocka;

/* Who gets the text may leave by longjmp(), so that nobody after it could free it. */
static _Thread_local char *last_text;

void ol_test_set_handler(const struct ol_test_handler *wanted)
{
    handler = wanted != NULL ? wanted : &of_cmocka;
}

static void keep(char *text)
{
    free(last_text); /* only now: the new text may have quoted it */
    last_text = text;
}

static void keep_formatted(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
static void keep_formatted(const char *fmt, va_list args)
{
    char *text = NULL;

    keep(vasprintf(&text, fmt, args) < 0 ? NULL : text);
}

static void keep_error(struct ol_error *err)
{
    keep(strdup(ol_error_text(err)));
    ol_error_fini(err);
}

static void fail_kept(const char *file, int line)
{
    handler->on_failure(last_text != NULL ? last_text : "out of memory", file, line, handler->data);
}

/* The list the project's own tests have: OL_TEST_REQUIRE=probe,… or "all". */
static bool may_skip(void)
{
    const char *list = getenv("OL_TEST_REQUIRE");

    return list == NULL || strcmp(list, "all") != 0;
}

static void skip_kept(const char *file, int line)
{
    if (may_skip())
        handler->on_skip(last_text != NULL ? last_text : "out of memory", file, line,
                         handler->data);
    else
        fail_kept(file, line);
}

void ol_test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    keep_formatted(fmt, args);
    va_end(args);
    fail_kept(file, line);
}

void ol_test_skip(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    keep_formatted(fmt, args);
    va_end(args);
    skip_kept(file, line);
    abort();
}

void ol_test_need(int r, struct ol_error *err, const char *file, int line)
{
    if (r >= 0)
        return;
    keep_error(err);
    fail_kept(file, line);
    abort();
}

void ol_test_need_host(int r, struct ol_error *err, const char *file, int line)
{
    if (r >= 0)
        return;
    keep_error(err);
    skip_kept(file, line);
    abort();
}
