/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that may not be used: they write without a bound, keep hidden state, or cannot report
 * an error. Included by error.h, and so by every source file; system headers come first.
 */
#ifndef OL_COMMON_BANNED_H
#define OL_COMMON_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets

#endif
