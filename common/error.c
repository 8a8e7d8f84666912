/* SPDX-License-Identifier: Apache-2.0 */
/* The error object; see error.h for the rules of use. */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>

void ol_error_fini(struct ol_error *err)
{
    int saved = errno;

    if (err == NULL)
        return;
    free(err->message);
    err->message = NULL;
    err->code = 0;
    errno = saved;
}

__attribute__((format(printf, 1, 0))) static char *format_text(const char *fmt, va_list ap)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, ap) < 0)
        return NULL;
    return text;
}

static void replace(struct ol_error *err, int code, char *text)
{
    free(err->message);
    err->message = text;
    err->code = code;
}

int ol_error_vset(struct ol_error *err, int code, const char *fmt, va_list ap)
{
    if (err != NULL)
        replace(err, code, format_text(fmt, ap));
    return code;
}

int ol_error_set(struct ol_error *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)ol_error_vset(err, code, fmt, ap); /* that code */
    va_end(ap);
    return code;
}

int ol_error_sys(struct ol_error *err, int errnum, const char *fmt, ...)
{
    char detail[128];
    char *text = NULL;
    char *whole = NULL;
    va_list ap;

    if (err == NULL)
        return -errnum;
    va_start(ap, fmt);
    text = format_text(fmt, ap);
    va_end(ap);
    const char *why = strerror_r(errnum, detail, sizeof detail);
    if (text != NULL && asprintf(&whole, "%s: %s", text, why) < 0)
        whole = NULL;
    if (whole == NULL) { /* no memory for the longer text: the shorter one is better than none */
        whole = text;
        text = NULL;
    }
    free(text);
    replace(err, -errnum, whole);
    return -errnum;
}

int ol_error_wrap(struct ol_error *err, int r, const char *fmt, ...)
{
    char *context = NULL;
    char *whole = NULL;
    va_list ap;

    if (err == NULL)
        return r;
    va_start(ap, fmt);
    context = format_text(fmt, ap);
    va_end(ap);
    if (context != NULL && asprintf(&whole, "%s: %s", context, ol_error_text(err)) >= 0)
        replace(err, r, whole);
    free(context);
    return r;
}

int ol_error_nomem(struct ol_error *err)
{
    return ol_error_set(err, -ENOMEM, "out of memory");
}

void ol_error_move(struct ol_error *to, struct ol_error *from)
{
    if (to == NULL) {
        ol_error_fini(from);
        return;
    }
    free(to->message);
    *to = *from;
    from->message = NULL;
    from->code = 0;
}

const char *ol_error_text(const struct ol_error *err)
{
    if (err == NULL || (err->message == NULL && err->code == 0))
        return "no error";
    return err->message != NULL ? err->message : strerrordesc_np(-err->code);
}
