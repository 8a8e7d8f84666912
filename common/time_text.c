/* SPDX-License-Identifier: Apache-2.0 */
/* Times as text; see time_text.h. */
#include "common/time_text.h"

#include <stdio.h>

void ol_time_text(const struct timespec *time, bool nanos, char ret[static OL_TIME_TEXT_SIZE])
{
    struct tm tm;
    size_t n;

    if (gmtime_r(&time->tv_sec, &tm) == NULL) { /* a year past the range of int */
        (void)snprintf(ret, OL_TIME_TEXT_SIZE, "@%lld", (long long)time->tv_sec);
        return;
    }
    n = strftime(ret, OL_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ret + n, OL_TIME_TEXT_SIZE - n, nanos ? ".%09ldZ" : "Z", time->tv_nsec);
}
