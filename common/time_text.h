/* SPDX-License-Identifier: Apache-2.0 */
/* Times as JSON and listings show them: RFC 3339, UTC. */
#ifndef OL_COMMON_TIME_TEXT_H
#define OL_COMMON_TIME_TEXT_H

#include <stdbool.h>
#include <time.h>

enum { OL_TIME_TEXT_SIZE = 40 };

/** "2024-05-06T07:08:09Z"; nanos: with nine digits behind the second. */
void ol_time_text(const struct timespec *time, bool nanos, char ret[static OL_TIME_TEXT_SIZE]);

#endif
