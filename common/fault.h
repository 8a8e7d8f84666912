/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault points: the hook the unwinding tests use. Every helper in common/fs and common/mount that
 * changes the world asks ol_fault_hit() first; a test arms the hook to fail call 1, 2, 3… until the
 * operation succeeds, and looks for what was left behind. Not compiled into release builds
 * (OL_FAULTS=OFF), where the function is a constant.
 */
#ifndef OL_COMMON_FAULT_H
#define OL_COMMON_FAULT_H

#include "config.h"

#include <stdbool.h>

#if OL_FAULTS
/** True when this call is the one to fail; errno is then EIO, as if the kernel had refused. */
bool ol_fault_hit(const char *where);
#else
static inline bool ol_fault_hit(const char *where)
{
    (void)where;
    return false;
}
#endif

/** Fail the nth (from 1) fault point from now on, once; 0 disarms. Process-wide, for tests only. */
void ol_fault_arm(unsigned long nth);

/** At that point call instead, which does not fail the call when it returns: a test that kills its
 * process there. */
void ol_fault_arm_with(unsigned long nth, void (*instead)(void));

/** Call fn with the name of every fault point, in whatever thread passes it, before what it stands
 * for is done; NULL ends that. For tests that look at each state in between. */
void ol_fault_watch(void (*fn)(const char *where));

/** Fault points passed since ol_fault_arm(); also counts when disarmed. 0 without OL_FAULTS. */
unsigned long ol_fault_passed(void);

/** True when the armed fault was delivered. */
bool ol_fault_delivered(void);

#endif
