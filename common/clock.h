/* SPDX-License-Identifier: Apache-2.0 */
/* The clock for durations. */
#ifndef OL_COMMON_CLOCK_H
#define OL_COMMON_CLOCK_H

#include <stdint.h>

/** The monotonic clock, nanoseconds. */
uint64_t ol_clock_ns(void);

#endif
