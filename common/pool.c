/* SPDX-License-Identifier: Apache-2.0 */
/* The directory-job pool of pool.h: one mutex, one condition, a LIFO list. */
#include "common/pool.h"

#include "common/limits.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { OL_POOL_START = 16 }; /* waiting jobs that make it worth starting the other workers */

struct ol_pool {
    const struct ol_pool_ops *ops;
    void *data;
    unsigned threads;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct ol_job *head;   /* guarded by lock */
    unsigned waiting_jobs; /* guarded by lock */
    unsigned idle;         /* workers in pthread_cond_wait; guarded by lock */
    unsigned running;      /* workers started, the caller included; guarded by lock */
    bool done;             /* guarded by lock */
    atomic_bool failed;
    int result;            /* first failure; guarded by lock */
    struct ol_error error; /* of that failure; guarded by lock */
    pthread_t thread[OL_THREADS_MAX];
};

struct worker {
    struct ol_pool *pool;
    unsigned index;
};

unsigned ol_pool_threads(unsigned threads)
{
    cpu_set_t set;

    if (threads == 0)
        threads = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    return threads > OL_THREADS_MAX ? OL_THREADS_MAX : threads;
}

bool ol_pool_failed(struct ol_pool *pool)
{
    return atomic_load_explicit(&pool->failed, memory_order_relaxed);
}

static void *worker_main(void *arg);

/* Called with the lock held: a thread that cannot be started only costs speed. */
static void start_workers(struct ol_pool *pool)
{
    while (pool->running < pool->threads) {
        struct worker *w = malloc(sizeof *w);
        if (w == NULL)
            return;
        w->pool = pool;
        w->index = pool->running;
        if (pthread_create(&pool->thread[pool->running], NULL, worker_main, w) != 0) {
            free(w);
            pool->threads = pool->running;
            return;
        }
        pool->running++;
    }
}

void ol_pool_put_all(struct ol_pool *pool, struct ol_job *first)
{
    struct ol_job *last = first;
    unsigned count = 1;

    if (first == NULL)
        return;
    for (; last->next != NULL; last = last->next)
        count++;
    pthread_mutex_lock(&pool->lock);
    last->next = pool->head;
    pool->head = first;
    pool->waiting_jobs += count;
    for (unsigned i = 0; i < pool->idle && i < count; i++)
        pthread_cond_signal(&pool->wake);
    if (pool->idle == 0 && pool->running < pool->threads && pool->waiting_jobs >= OL_POOL_START)
        start_workers(pool);
    pthread_mutex_unlock(&pool->lock);
}

void ol_pool_put(struct ol_pool *pool, struct ol_job *job)
{
    job->next = NULL;
    ol_pool_put_all(pool, job);
}

/* Next job, or NULL when nothing is left and nobody can add more. */
static struct ol_job *take(struct ol_pool *pool)
{
    struct ol_job *job;

    pthread_mutex_lock(&pool->lock);
    while (pool->head == NULL && !pool->done) {
        pool->idle++;
        if (pool->idle == pool->running) {
            pool->done = true;
            pthread_cond_broadcast(&pool->wake);
        } else {
            pthread_cond_wait(&pool->wake, &pool->lock);
        }
        pool->idle--;
    }
    job = pool->done ? NULL : pool->head;
    if (job != NULL) {
        pool->head = job->next;
        pool->waiting_jobs--;
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void fail(struct ol_pool *pool, int r, struct ol_error *err)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->result == 0) {
        pool->result = r;
        ol_error_move(&pool->error, err);
    }
    atomic_store(&pool->failed, true);
    pool->done = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

static void work(struct ol_pool *pool, unsigned index)
{
    struct ol_job *job;

    while ((job = take(pool)) != NULL) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        int r = pool->ops->run(pool, job, index, pool->data, &err);
        if (r < 0)
            fail(pool, r, &err);
    }
}

static void *worker_main(void *arg)
{
    struct worker w = *(struct worker *)arg;

    free(arg);
    work(w.pool, w.index);
    return NULL;
}

int ol_pool_run(const struct ol_pool_ops *ops, unsigned threads, struct ol_job *first, void *data,
                struct ol_error *err)
{
    struct ol_pool pool = {.ops = ops, .data = data, .threads = ol_pool_threads(threads)};
    struct ol_job *job;

    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pool.running = 1;
    pool.head = first;
    first->next = NULL;
    pool.waiting_jobs = 1;
    work(&pool, 0);
    /* running is final now: done is set, and only run() starts workers */
    for (unsigned i = 1; i < pool.running; i++)
        (void)pthread_join(pool.thread[i], NULL); /* cannot fail for a thread of ours */
    while ((job = pool.head) != NULL) {
        pool.head = job->next;
        ops->drop(job, data);
    }
    pthread_mutex_destroy(&pool.lock);
    pthread_cond_destroy(&pool.wake);
    if (pool.result < 0)
        ol_error_move(err, &pool.error);
    ol_error_fini(&pool.error);
    return pool.result;
}
