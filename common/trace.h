/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug lines by subsystem. The program installs a sink and says which areas it wants
 * (--debug=AREA); without a sink a line costs one load. The library itself never prints.
 */
#ifndef OL_COMMON_TRACE_H
#define OL_COMMON_TRACE_H

#include <stdbool.h>

enum ol_trace_area {
    OL_TRACE_FS,
    OL_TRACE_MOUNT,
    OL_TRACE_LAYER,
    OL_TRACE_DRIVER,
    OL_TRACE_STORE,
    OL_TRACE_BENCH,
    OL_TRACE_AREAS
};

typedef void ol_trace_sink(enum ol_trace_area area, const char *text, void *data);

/** Install the sink (NULL: none) for the areas in mask (1 << area). Not thread-safe: once, at
 * start. */
void ol_trace_set_sink(ol_trace_sink *sink, void *data, unsigned mask);

bool ol_trace_wanted(enum ol_trace_area area);
void ol_trace(enum ol_trace_area area, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** "fs", "mount", …; NULL past the last area. */
const char *ol_trace_area_name(enum ol_trace_area area);

#endif
