/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/pool.h"

#include <errno.h>
#include <stdatomic.h>

/* A job stands for a subtree: it puts `width` children until `depth` is used up. */
struct tree_job {
    struct ol_job job;
    unsigned depth;
};

struct tree {
    unsigned width;
    unsigned fail_at; /* fail the nth job run; 0: never */
    atomic_uint run;
    atomic_uint freed;
};

static struct ol_job *tree_job(unsigned depth)
{
    struct tree_job *j = malloc(sizeof *j);

    assert_non_null(j);
    j->depth = depth;
    return &j->job;
}

static void free_job(struct ol_job *job, void *data)
{
    struct tree *t = data;

    atomic_fetch_add(&t->freed, 1);
    free(job);
}

static int run_job(struct ol_pool *pool, struct ol_job *job, unsigned worker, void *data,
                   struct ol_error *err)
{
    struct tree *t = data;
    unsigned depth = ((struct tree_job *)job)->depth;
    unsigned n = atomic_fetch_add(&t->run, 1) + 1;

    (void)worker;
    free_job(job, data);
    if (n == t->fail_at)
        return ol_error_set(err, -EXDEV, "job %u", n);
    for (unsigned i = 0; depth > 0 && i < t->width; i++)
        ol_pool_put(pool, tree_job(depth - 1));
    return 0;
}

static const struct ol_pool_ops tree_ops = {run_job, free_job};

static void pool__runs_every_job_once(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct tree t = {.width = 8};

        assert_ok(ol_pool_run(&tree_ops, threads, tree_job(4), &t, &err), &err);
        assert_int_equal(t.run, 1 + 8 + 64 + 512 + 4096);
        assert_int_equal(t.freed, t.run);
    }
}

static void pool__reports_the_failure_and_frees_what_waited(void **state)
{
    (void)state;
    for (unsigned fail_at = 1; fail_at < 586; fail_at += 37) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct tree t = {.width = 8, .fail_at = fail_at};

        assert_int_equal(ol_pool_run(&tree_ops, 3, tree_job(3), &t, &err), -EXDEV);
        assert_message(&err, "job ");
        assert_true(t.freed >= t.run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool__runs_every_job_once),
        cmocka_unit_test(pool__reports_the_failure_and_frees_what_waited),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
