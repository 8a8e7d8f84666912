/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of relay.h. */
#include "common/relay.h"

#include "common/banned.h"

#include <signal.h>
#include <stddef.h>

void ol_relay_init(struct ol_relay *relay, unsigned slots, int (*handle)(uint64_t n, void *data),
                   void *data)
{
    *relay = (struct ol_relay){.handle = handle, .data = data, .slots = slots};
    pthread_mutex_init(&relay->lock, NULL);
    pthread_cond_init(&relay->wake, NULL);
}

static void *relay_main(void *arg)
{
    struct ol_relay *relay = arg;

    pthread_mutex_lock(&relay->lock);
    for (;;) {
        int r;
        while (relay->done == relay->given && !relay->stop)
            pthread_cond_wait(&relay->wake, &relay->lock);
        if (relay->done == relay->given)
            break;
        r = relay->failed;
        pthread_mutex_unlock(&relay->lock);
        if (r == 0)
            r = relay->handle(relay->done, relay->data);
        pthread_mutex_lock(&relay->lock);
        relay->failed = r;
        relay->done++;
        pthread_cond_broadcast(&relay->wake);
    }
    pthread_mutex_unlock(&relay->lock);
    return NULL;
}

bool ol_relay_start(struct ol_relay *relay, uint64_t first)
{
    sigset_t all, old;

    relay->given = relay->done = first;
    sigfillset(&all); /* signals belong to the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    relay->running = pthread_create(&relay->thread, NULL, relay_main, relay) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return relay->running;
}

int ol_relay_give(struct ol_relay *relay)
{
    int r;

    pthread_mutex_lock(&relay->lock);
    relay->given++;
    pthread_cond_broadcast(&relay->wake);
    while (relay->given - relay->done >= relay->slots)
        pthread_cond_wait(&relay->wake, &relay->lock);
    r = relay->failed;
    pthread_mutex_unlock(&relay->lock);
    return r;
}

int ol_relay_end(struct ol_relay *relay)
{
    if (relay->running) {
        pthread_mutex_lock(&relay->lock);
        relay->stop = true;
        pthread_cond_broadcast(&relay->wake);
        pthread_mutex_unlock(&relay->lock);
        (void)pthread_join(relay->thread, NULL); /* cannot fail for a thread of ours */
        relay->running = false;
    }
    return relay->failed;
}

void ol_relay_fini(struct ol_relay *relay)
{
    (void)ol_relay_end(relay);
    pthread_mutex_destroy(&relay->lock);
    pthread_cond_destroy(&relay->wake);
}
