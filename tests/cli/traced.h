/* SPDX-License-Identifier: Apache-2.0 */
/* Signals at an instant that no clock can hit: between two system calls of another process. */
#ifndef OL_TESTS_CLI_TRACED_H
#define OL_TESTS_CLI_TRACED_H

#include <sys/types.h>

/**
 * Follow a child until a write() of its own holds the text, and have the signal handled right
 * behind that call, before the next one begins. The child then goes on by itself. Fails the test
 * when the child ends first.
 */
void signal_behind_write(pid_t child, const char *text, int signal_number);

/** Wait a minute at most for its end; a child that is still there is killed and fails the test.
 * @return its exit status, or 128 + the signal that ended it */
int end_of(pid_t child);

#endif
