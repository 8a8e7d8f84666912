/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failed calls leave nothing behind; what a killed process leaves is healed by the next call; many
 * processes at once. Whatever happens, a snapshot in the metadata has its directory.
 */
#include "support.h"

#include "common/buf.h"
#include "common/fs/file.h"
#include "support/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { FAULTS_MAX = 500, KILLS = 30, WORKERS = 4, EACH = 25 };

/* ---- fault points ---- */

/* All snapshots and the number of directories. */
static char *picture(struct snap *s)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    (void)ol_snapshots_walk(s->sn, NULL, 0, snap_note_name, &text, NULL); /* none is fine */
    assert_int_equal(ol_buf_printf(&text, "%zu", snap_dirs(s)), 0);
    return ol_buf_steal(&text);
}

struct doing {
    struct snap *s;
    int (*operation)(struct snap *s);
};

static int run(void *data)
{
    struct doing *doing = data;

    return doing->operation(doing->s);
}

/* The operation with its first, second, third … step failing, until none does. */
static void fail_every_step(struct snap *s, int (*operation)(struct snap *s), unsigned at_least)
{
    const struct crash crash = {.run = run};
    struct doing doing = {s, operation};
    unsigned failures = 0;

    OL_REQUIRE(can_inject_faults, "this build has no fault points (OL_FAULTS)");
    snap_committed(s, "base", NULL);
    snap_prepare(s, "active", "base");
    for (unsigned long n = 1; n < FAULTS_MAX; n++) {
        ol_auto_free char *before = picture(s);
        ol_auto_free char *after = NULL;
        int r;
        bool delivered = crash_fail_at(&crash, &doing, n, &r);

        if (!delivered || r == 0) { /* removal after the commit is left to the next cleanup */
            assert_int_equal(r, 0);
            break;
        }
        failures++;
        assert_int_equal(r, -EIO);
        after = picture(s);
        assert_string_equal(after, before);
        assert_int_equal(ol_snapshots_check(s->sn, NULL, NULL, NULL, NULL), 0);
    }
    assert_true(failures >= at_least);
}

static void faults__in_prepare_leave_nothing(void **state)
{
    fail_every_step(*state, snap_do_prepare, 10);
}

static void faults__in_view_leave_nothing(void **state)
{
    fail_every_step(*state, snap_do_view, 9);
}

static void faults__in_commit_leave_the_active_snapshot(void **state)
{
    fail_every_step(*state, snap_do_commit, 6);
}

static void faults__in_remove_leave_the_snapshot(void **state)
{
    fail_every_step(*state, snap_do_remove, 5);
}

static void faults__in_update_leave_the_labels(void **state)
{
    fail_every_step(*state, snap_do_update, 3);
}

static void faults__take_no_id(void **state)
{
    struct snap *s = *state;

    OL_REQUIRE(can_inject_faults, "this build has no fault points (OL_FAULTS)");
    fail_every_step(s, snap_do_prepare, 10);
    assert_present(s->dir.fd, "root/snapshots/3/fs"); /* base is 1, active 2 */
    assert_int_equal(snap_dirs(s), 3);
}

/* ---- what a crash leaves ---- */

/* After rename, before commit: a directory without a record, with the id that comes next. */
static void crash__before_the_commit_is_healed_by_the_next_prepare(void **state)
{
    struct snap *s = *state;

    snap_prepare(s, "a", NULL);
    test_mkdir(s->dir.fd, "root/snapshots/2", 0700);
    test_mkdir(s->dir.fd, "root/snapshots/2/fs", 0755);
    test_write(s->dir.fd, "root/snapshots/2/fs/stale", "x");
    snap_prepare(s, "b", NULL);
    assert_present(s->dir.fd, "root/snapshots/2/work");
    assert_absent(s->dir.fd, "root/snapshots/2/fs/stale");
    assert_int_equal(snap_dirs(s), 2);
}

static void crash__leftovers_are_removed_by_cleanup(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    unsigned orphans = 0;
    unsigned removed = 0;

    snap_prepare(s, "a", NULL);
    test_mkdir(s->dir.fd, "root/snapshots/2", 0700);       /* before the commit of Prepare */
    test_mkdir(s->dir.fd, "root/snapshots/new-abc", 0700); /* before the rename */
    test_mkdir(s->dir.fd, "root/snapshots/01", 0700);      /* no id of ours */
    assert_int_equal(ol_snapshots_check(s->sn, NULL, NULL, &orphans, NULL), 0);
    assert_int_equal(orphans, 3);
    assert_ok(ol_snapshots_cleanup(s->sn, &removed, &err), &err);
    assert_int_equal(removed, 3);
    assert_present(s->dir.fd, "root/snapshots/1/fs");
    assert_int_equal(snap_dirs(s), 1);
}

static void crash__leftovers_are_removed_with_the_next_snapshot(void **state)
{
    struct snap *s = *state;

    snap_prepare(s, "a", NULL);
    snap_prepare(s, "b", NULL);
    test_mkdir(s->dir.fd, "root/snapshots/new-abc", 0700);
    test_mkdir(s->dir.fd, "root/snapshots/9", 0700);
    snap_remove(s, "a");
    assert_int_equal(snap_dirs(s), 1);
    assert_present(s->dir.fd, "root/snapshots/2/fs");
}

/* ---- processes ---- */

static pid_t start(struct snap *s, int (*body)(struct snap *s, unsigned n), unsigned n)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct ol_snapshots_config config = {.root = s->root, .no_sync = true};
        struct snap own = {.root = s->root};

        if (ol_snapshots_open(&config, &own.sn, NULL) < 0)
            _exit(2);
        _exit(body(&own, n));
    }
    return pid;
}

/* A chain of its own, half of it removed again. */
static int work_much(struct snap *s, unsigned n)
{
    char parent[32] = "";

    for (unsigned i = 0; i < EACH; i++) {
        char key[32];
        char name[32];

        (void)snprintf(key, sizeof key, "key %u/%u", n, i);
        (void)snprintf(name, sizeof name, "name %u/%u", n, i);
        if (ol_snapshots_prepare(s->sn, key, parent, NULL, NULL, NULL) < 0)
            return 3;
        if (i % 2 == 0 && ol_snapshots_remove(s->sn, key, NULL) < 0)
            return 4;
        if (i % 2 == 0)
            continue;
        if (ol_snapshots_commit(s->sn, name, key, NULL, NULL, NULL) < 0)
            return 5;
        memcpy(parent, name, sizeof parent);
    }
    return 0;
}

static int look_much(struct snap *s, unsigned n)
{
    (void)n;
    for (unsigned i = 0; i < EACH; i++) {
        ol_auto_buf struct ol_buf text = OL_BUF_INIT;
        int r = ol_snapshots_walk(s->sn, NULL, 0, snap_note_name, &text, NULL);

        if ((r < 0 && r != -ENOENT) || ol_snapshots_check(s->sn, NULL, NULL, NULL, NULL) != 0)
            return 6;
    }
    return 0;
}

static void processes__work_at_once(void **state)
{
    struct snap *s = *state;
    pid_t pids[WORKERS];

    ol_snapshots_free(s->sn);
    s->sn = NULL;
    for (unsigned i = 0; i < WORKERS; i++)
        pids[i] = start(s, i + 1 < WORKERS ? work_much : look_much, i);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(crash_wait(pids[i]), 0);
    snap_open(s);
    assert_int_equal(snap_dirs(s), (WORKERS - 1) * (EACH / 2));
}

struct worker {
    struct snap *s;
    unsigned n;
    int result;
};

static void *run_worker(void *data)
{
    struct worker *worker = data;

    worker->result = worker->n + 1 < WORKERS ? work_much(worker->s, worker->n)
                                             : look_much(worker->s, worker->n);
    return NULL;
}

static void threads__work_at_once(void **state)
{
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];

    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){*state, i, -1};
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].result, 0);
    }
}

static int work_for_ever(struct snap *s, unsigned n)
{
    for (unsigned i = 0;; i++) {
        char key[48];
        char name[48];

        (void)snprintf(key, sizeof key, "key-%u-%u", n, i);
        (void)snprintf(name, sizeof name, "name-%u-%u", n, i);
        if (ol_snapshots_prepare(s->sn, key, NULL, NULL, NULL, NULL) < 0 ||
            ol_snapshots_commit(s->sn, name, key, NULL, NULL, NULL) < 0 ||
            (i % 3 != 0 && ol_snapshots_remove(s->sn, name, NULL) < 0))
            return 3;
    }
}

static void kill__at_any_instant_leaves_every_snapshot_its_directory(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    for (unsigned i = 0; i < KILLS; i++) {
        const struct timespec delay = {.tv_nsec = (long)(i % 15 + 1) * 1000 * 1000};
        pid_t pid;

        ol_snapshots_free(s->sn);
        s->sn = NULL;
        pid = start(s, work_for_ever, i);
        (void)nanosleep(&delay, NULL); /* any moment will do */
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(WIFSIGNALED(crash_wait(pid)));
        snap_open(s);
        assert_int_equal(ol_snapshots_check(s->sn, NULL, NULL, NULL, &err), 0);
        snap_prepare(s, "mine", NULL); /* whatever was left is not in the way */
        snap_remove(s, "mine");
        assert_int_equal(ol_snapshots_check(s->sn, NULL, NULL, NULL, &err), 0);
    }
}

/* A full disk, as a limit of the file's size: the metadata cannot grow. */
static int fill_up(struct snap *s, unsigned n)
{
    ol_auto_labels struct ol_labels labels = {0};
    const struct rlimit limit = {256 << 10, 256 << 10};
    ol_auto_free char *big = malloc(4096);
    int r = 0;

    (void)n;
    (void)signal(SIGXFSZ, SIG_IGN); /* EFBIG instead */
    if (big == NULL)
        return 2;
    memset(big, 'x', 4095);
    big[4095] = '\0';
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || ol_labels_set(&labels, "big", big) < 0)
        return 3;
    for (unsigned i = 0; i < 1000 && r == 0; i++) {
        char key[32];

        (void)snprintf(key, sizeof key, "fill-%u", i);
        r = ol_snapshots_prepare(s->sn, key, NULL, &labels, NULL, NULL);
    }
    if (r == 0)
        return 4;
    return ol_snapshots_check(s->sn, NULL, NULL, NULL, NULL) == 0 ? 0 : 5;
}

static void disk__that_is_full_fails_the_prepare_and_nothing_else(void **state)
{
    struct snap *s = *state;
    unsigned orphans = 0;

    ol_snapshots_free(s->sn);
    s->sn = NULL;
    assert_int_equal(crash_wait(start(s, fill_up, 0)), 0);
    snap_open(s);
    assert_int_equal(ol_snapshots_check(s->sn, NULL, NULL, &orphans, NULL), 0);
    assert_int_equal(orphans, 0);
    snap_remove(s, "fill-0");
    snap_prepare(s, "goes-on", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        snap_test(faults__in_prepare_leave_nothing),
        snap_test(faults__in_view_leave_nothing),
        snap_test(faults__in_commit_leave_the_active_snapshot),
        snap_test(faults__in_remove_leave_the_snapshot),
        snap_test(faults__in_update_leave_the_labels),
        snap_test(faults__take_no_id),
        snap_test(crash__before_the_commit_is_healed_by_the_next_prepare),
        snap_test(crash__leftovers_are_removed_by_cleanup),
        snap_test(crash__leftovers_are_removed_with_the_next_snapshot),
        snap_test(processes__work_at_once),
        snap_test(threads__work_at_once),
        snap_test(kill__at_any_instant_leaves_every_snapshot_its_directory),
        snap_test(disk__that_is_full_fails_the_prepare_and_nothing_else),
    };
    return cmocka_run_group_tests_name("snapshot failures", tests, NULL, NULL);
}
