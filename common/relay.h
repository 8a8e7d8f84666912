/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second thread for the second half of a job that comes in pieces: the caller fills the slots of
 * a ring one after the other and gives each away; the thread handles them in that order. What the
 * slots are is the caller's business. A long job is worth the thread and a short one is not, so it
 * starts when it is told to.
 */
#ifndef OL_COMMON_RELAY_H
#define OL_COMMON_RELAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ol_relay {
    int (*handle)(uint64_t n, void *data);
    void *data;
    unsigned slots;
    bool running;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    uint64_t given; /* these four are guarded by lock */
    uint64_t done;
    int failed;
    bool stop;
};

/**
 * @param slots   pieces that exist at a time, the one being filled included; at least 2
 * @param handle  for piece n, in the thread; 0 or a negative error, after which it is not called
 *                again
 */
void ol_relay_init(struct ol_relay *relay, unsigned slots, int (*handle)(uint64_t n, void *data),
                   void *data);

/** Start the thread; first is the number of the piece given next. @return false: there is none */
bool ol_relay_start(struct ol_relay *relay, uint64_t first);

/**
 * Give the next piece to the running thread, and wait until the slot after it may be filled.
 * @return 0 or the first failure so far, of this or an earlier piece
 */
int ol_relay_give(struct ol_relay *relay);

/** Let the thread handle what it was given, and end it. @return 0 or the first failure */
int ol_relay_end(struct ol_relay *relay);

/** Ends the thread if that was not done. */
void ol_relay_fini(struct ol_relay *relay);

#endif
