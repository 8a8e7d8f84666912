/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that feed a pipe. They run with every signal blocked: the program's handlers stay on its
 * own threads, and a reader that goes away is EPIPE here, never a SIGPIPE that ends the process (a
 * SIGPIPE is sent to the writing thread and vanishes with it).
 */
#ifndef OL_STORE_THREAD_H
#define OL_STORE_THREAD_H

#include "common/error.h"

#include <pthread.h>

int ol_thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg, struct ol_error *err);

#endif
