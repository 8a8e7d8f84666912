/* SPDX-License-Identifier: Apache-2.0 */
/* Debug lines; see trace.h. */
#include "common/trace.h"

#include "common/cleanup.h"
#include "common/error.h"

#include <stdarg.h>

static ol_trace_sink *trace_sink;
static void *trace_data;
static unsigned trace_mask;

void ol_trace_set_sink(ol_trace_sink *sink, void *data, unsigned mask)
{
    trace_sink = sink;
    trace_data = data;
    trace_mask = sink != NULL ? mask : 0;
}

bool ol_trace_wanted(enum ol_trace_area area)
{
    return (trace_mask & (1u << area)) != 0;
}

void ol_trace(enum ol_trace_area area, const char *fmt, ...)
{
    ol_auto_free char *text = NULL;
    va_list ap;
    int len;

    if (!ol_trace_wanted(area))
        return;
    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0) {
        text = NULL;
        return;
    }
    trace_sink(area, text, trace_data);
}

const char *ol_trace_area_name(enum ol_trace_area area)
{
    static const char *const names[OL_TRACE_AREAS] = {"fs",     "mount", "layer",
                                                      "driver", "store", "bench"};

    return (unsigned)area < OL_TRACE_AREAS ? names[area] : NULL;
}
