/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of directory jobs for the tree operations: each worker takes a job (a directory), handles
 * its entries, and puts a job for each subdirectory. Last in, first out, so that memory follows the
 * tree's depth and not its size. The calling thread is worker 0; the others start only when enough
 * jobs wait (OL_POOL_START), because below some ten milliseconds of work a thread costs what it
 * gains.
 */
#ifndef OL_COMMON_POOL_H
#define OL_COMMON_POOL_H

#include "common/error.h"

#include <stdbool.h>

struct ol_pool;

/* First member of every job; the pool links jobs through it and never allocates or frees one. */
struct ol_job {
    struct ol_job *next;
};

struct ol_pool_ops {
    /**
     * Handle one job and free it, whatever the outcome. worker is 0 … threads-1, constant within a
     * thread, for buffers kept per worker. A negative result stops the pool.
     */
    int (*run)(struct ol_pool *pool, struct ol_job *job, unsigned worker, void *data,
               struct ol_error *err);
    /** Free a job that will not be run, after a failure. */
    void (*drop)(struct ol_job *job, void *data);
};

/**
 * Run first and everything it puts.
 * @param threads  workers at most; 0: one per CPU, at most OL_THREADS_MAX
 * @return 0 or the first failure; then all workers have stopped and all waiting jobs were dropped.
 */
int ol_pool_run(const struct ol_pool_ops *ops, unsigned threads, struct ol_job *first, void *data,
                struct ol_error *err);

/** Add a job, from inside run(). The pool owns it now. */
void ol_pool_put(struct ol_pool *pool, struct ol_job *job);

/**
 * Add a chain of jobs (linked by next, NULL at the end; NULL adds nothing) in one step: no worker
 * sees only some of them, so what waits stays ordered by depth.
 */
void ol_pool_put_all(struct ol_pool *pool, struct ol_job *first);

/** True once some worker failed: long loops inside one job may stop early. */
bool ol_pool_failed(struct ol_pool *pool);

/** What threads = 0 stands for here. */
unsigned ol_pool_threads(unsigned threads);

#endif
