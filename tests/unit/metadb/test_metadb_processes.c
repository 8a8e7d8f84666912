/* SPDX-License-Identifier: Apache-2.0 */
/* Several processes at once, and processes that are killed. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { WRITERS = 3, READERS = 2, EACH = 60, KILLS = 40 };

/* A process that has the database open for itself. */
static pid_t child(struct meta_test *t, int (*body)(struct meta_test *t, unsigned n), unsigned n)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct meta_test own = {.path = t->path};

        if (meta_open(&own, NULL) < 0)
            _exit(2);
        _exit(body(&own, n));
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* Makes, commits and half of the time removes. */
static int write_much(struct meta_test *t, unsigned n)
{
    for (unsigned i = 0; i < EACH; i++) {
        char key[32];
        char name[32];

        (void)snprintf(key, sizeof key, "key-%u-%u", n, i);
        (void)snprintf(name, sizeof name, "name-%u-%u", n, i);
        if (meta_create(t, OL_SNAPSHOT_ACTIVE, key, NULL) != 0 || meta_commit(t, key, name, i) != 0)
            return 3;
        if (i % 2 == 0 && meta_remove(t, name) != 0)
            return 4;
    }
    return 0;
}

static int count_one(uint64_t id, const struct ol_snapshot_info *info,
                     const struct ol_snapshot_usage *usage, void *data, struct ol_error *err)
{
    (void)id;
    (void)info;
    (void)usage;
    (void)err;
    ++*(size_t *)data;
    return 0;
}

static size_t count(struct meta_test *t)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    size_t n = 0;

    assert_int_equal(ol_metadb_begin(t->db, false, &txn, NULL), 0);
    (void)ol_meta_walk(txn, count_one, &n, NULL); /* nothing yet is none */
    return n;
}

/* What a reader sees is always whole. */
static int read_much(struct meta_test *t, unsigned n)
{
    (void)n;
    for (unsigned i = 0; i < 4 * EACH; i++) {
        struct ol_metatxn *txn = NULL;
        int findings;

        if (ol_metadb_begin(t->db, false, &txn, NULL) != 0)
            return 5;
        findings = ol_meta_check(txn, NULL, NULL, NULL);
        ol_metatxn_abort(txn);
        if (findings != 0)
            return 6;
    }
    return 0;
}

static void processes__write_one_after_the_other_while_others_read(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    pid_t pids[WRITERS + READERS];

    meta_close(t);
    for (unsigned i = 0; i < WRITERS + READERS; i++)
        pids[i] = child(t, i < WRITERS ? write_much : read_much, i);
    for (unsigned i = 0; i < WRITERS + READERS; i++)
        assert_int_equal(wait_for(pids[i]), 0);
    assert_ok(meta_open(t, &err), &err);
    assert_int_equal(count(t), WRITERS * EACH / 2);
}

static int write_for_ever(struct meta_test *t, unsigned n)
{
    for (unsigned i = 0;; i++) {
        char key[32];

        (void)snprintf(key, sizeof key, "round-%u-%u", n, i);
        if (meta_create(t, OL_SNAPSHOT_ACTIVE, key, NULL) != 0)
            return 3;
    }
}

static void kill__of_a_writer_loses_no_commit_and_blocks_nobody(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    size_t before = 0;

    for (unsigned i = 0; i < KILLS; i++) {
        const struct timespec delay = {.tv_nsec = (long)(i % 10 + 1) * 1000 * 1000};
        size_t after;
        pid_t pid;

        meta_close(t);
        pid = child(t, write_for_ever, i);
        (void)nanosleep(&delay, NULL); /* any moment will do */
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(WIFSIGNALED(wait_for(pid)));
        assert_ok(meta_open(t, &err), &err);
        meta_assert_sound(t);
        after = count(t);
        assert_true(after >= before);
        before = after;
        assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "mine", NULL), 0);
        assert_int_equal(meta_remove(t, "mine"), 0);
    }
    assert_true(before > 0);
}

static int hold_writer(struct meta_test *t, unsigned ready_fd)
{
    struct ol_metatxn *txn = NULL;
    struct ol_meta_snapshot made = {0};

    if (ol_metadb_begin(t->db, true, &txn, NULL) != 0 ||
        ol_meta_create(txn, OL_SNAPSHOT_ACTIVE, "half", NULL, NULL, &made, NULL) != 0)
        return 3;
    if (write((int)ready_fd, "x", 1) != 1)
        return 4;
    (void)pause();
    return 5;
}

static void kill__inside_a_transaction_rolls_it_back(void **state)
{
    struct meta_test *t = *state;
    struct ol_snapshot_info info = {0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int ready[2];
    char byte;
    pid_t pid;

    meta_close(t);
    assert_int_equal(pipe(ready), 0);
    pid = child(t, hold_writer, (unsigned)ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_ok(meta_open(t, &err), &err); /* readers and opens do not wait for a writer */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(wait_for(pid)));
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "mine", NULL), 0); /* does not wait */
    assert_int_equal(meta_info(t, "half", NULL, &info, NULL), -ENOENT);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void fork__the_childs_use_is_refused(void **state)
{
    struct meta_test *t = *state;
    pid_t pid = fork();

    if (pid == 0) {
        struct ol_metatxn *txn = NULL;

        _exit(ol_metadb_begin(t->db, false, &txn, NULL) == -EINVAL ? 0 : 1);
    }
    assert_int_equal(wait_for(pid), 0);
}

struct thread_work {
    struct meta_test *t;
    unsigned n;
    int result;
};

static void *write_in_thread(void *data)
{
    struct thread_work *work = data;

    work->result = write_much(work->t, work->n);
    return NULL;
}

static void threads__write_one_after_the_other(void **state)
{
    struct meta_test *t = *state;
    struct thread_work work[WRITERS];
    pthread_t threads[WRITERS];

    for (unsigned i = 0; i < WRITERS; i++) {
        work[i] = (struct thread_work){t, i, -1};
        assert_int_equal(pthread_create(&threads[i], NULL, write_in_thread, &work[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(work[i].result, 0);
    }
    assert_int_equal(count(t), WRITERS * EACH / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        meta_test(processes__write_one_after_the_other_while_others_read),
        meta_test(kill__of_a_writer_loses_no_commit_and_blocks_nobody),
        meta_test(kill__inside_a_transaction_rolls_it_back),
        meta_test(fork__the_childs_use_is_refused),
        meta_test(threads__write_one_after_the_other),
    };
    return cmocka_run_group_tests_name("metadb_processes", tests, NULL, NULL);
}
