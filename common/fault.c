/* SPDX-License-Identifier: Apache-2.0 */
/* The counter behind the fault points; see fault.h. */
#include "common/fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_ulong passed;
static atomic_ulong target;
static atomic_bool delivered;
static void (*_Atomic instead_of_failing)(void);
static void (*_Atomic watcher)(const char *where);

#if OL_FAULTS
bool ol_fault_hit(const char *where)
{
    void (*instead)(void);
    void (*watch)(const char *) = atomic_load_explicit(&watcher, memory_order_relaxed);
    unsigned long n = atomic_fetch_add_explicit(&passed, 1, memory_order_relaxed) + 1;

    if (watch != NULL)
        watch(where); /* and for a breakpoint: gdb shows which call was failed */
    if (n != atomic_load_explicit(&target, memory_order_relaxed))
        return false;
    atomic_store(&delivered, true);
    instead = atomic_load(&instead_of_failing);
    if (instead != NULL) {
        instead();
        return false;
    }
    errno = EIO;
    return true;
}
#endif

void ol_fault_arm(unsigned long nth)
{
    ol_fault_arm_with(nth, NULL);
}

void ol_fault_arm_with(unsigned long nth, void (*instead)(void))
{
    atomic_store(&instead_of_failing, instead);
    atomic_store(&passed, 0);
    atomic_store(&delivered, false);
    atomic_store(&target, nth);
}

void ol_fault_watch(void (*fn)(const char *where))
{
    atomic_store(&watcher, fn);
}

unsigned long ol_fault_passed(void)
{
    return atomic_load(&passed);
}

bool ol_fault_delivered(void)
{
    return atomic_load(&delivered);
}
