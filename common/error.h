/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error object. Whoever detects a failure sets it; whoever passes it on may put context before
 * it. The library never prints: only a program's main does.
 *
 * Text: the problem first, the subject in single quotes, no capital, no full stop, for example
 * "cannot mount 'abc': Invalid argument".
 */
#ifndef OL_COMMON_ERROR_H
#define OL_COMMON_ERROR_H

#include "common/banned.h"

#include <stdarg.h>

struct ol_error {
    int code;      /* 0 or negative errno */
    char *message; /* owned; NULL until set, or when there was no memory for it */
};

#define OL_ERROR_INIT                                                                              \
    {                                                                                              \
        0, NULL                                                                                    \
    }

/** Release the message and reset the object; accepts NULL. Keeps errno. */
void ol_error_fini(struct ol_error *err);

#define ol_auto_error __attribute__((cleanup(ol_error_fini)))

/**
 * Set the error from a text. @param err may be NULL: the caller needs only the code.
 * @param code  negative errno; @return code.
 */
int ol_error_set(struct ol_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** The same with a list of arguments. */
int ol_error_vset(struct ol_error *err, int code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
/** Like ol_error_set() for a failed system call: appends ": " and the text of errnum (positive).
 * @return -errnum. */
int ol_error_sys(struct ol_error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Put "context: " before the message already there. @return r, unchanged. */
int ol_error_wrap(struct ol_error *err, int r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Out of memory. @return -ENOMEM. */
int ol_error_nomem(struct ol_error *err);

/** Move *from into *to (which may be NULL), leaving *from empty. */
void ol_error_move(struct ol_error *to, struct ol_error *from);

/** The message, or the text of the code, never NULL. */
const char *ol_error_text(const struct ol_error *err);

#endif
