/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that fail, or whose process is killed, at a fault point (common/fault.h) of the test's
 * choice: for tests that go through all of them.
 */
#ifndef OL_TESTS_SUPPORT_CRASH_H
#define OL_TESTS_SUPPORT_CRASH_H

#include "support/support.h"

#include <sys/types.h>

/* What is broken off. Both return 0 or negative errno. */
struct crash {
    const char *name;
    int (*begin)(void *data); /* before points are counted, in the child that is killed; or NULL */
    int (*run)(void *data);
};

/**
 * In a child: begin, then run, killed (SIGKILL) where it passes its nth point, from 1.
 * @return false when run has fewer points, and ended well; how else it ends fails the test
 */
bool crash_kill_at(const struct crash *crash, void *data, unsigned long n);

/**
 * Run here, its nth point failing with EIO.
 * @return false when run has fewer points
 */
bool crash_fail_at(const struct crash *crash, void *data, unsigned long n, int *ret_result);

/** For a child that is to die of a signal, or of taking longer than a minute: no handlers of
 * cmocka's. */
void crash_in_child(void);

/** waitpid(2)'s status of the child. */
int crash_wait(pid_t pid);

#endif
