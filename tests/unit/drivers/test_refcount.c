/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "drivers/driver_ops.h"

#include <pthread.h>
#include <stdatomic.h>

static bool mounted(const char *path)
{
    return path[0] == 'y';
}

static int get(struct ol_refs *refs, const char *path)
{
    int count;

    assert_int_equal(ol_refs_lock(refs, "id", NULL), 0);
    count = ol_refs_increment(refs, "id", mounted, path);
    ol_refs_unlock(refs, "id");
    return count;
}

static int put(struct ol_refs *refs, const char *path)
{
    int count;

    assert_int_equal(ol_refs_lock(refs, "id", NULL), 0);
    count = ol_refs_decrement(refs, "id", mounted, path);
    ol_refs_unlock(refs, "id");
    return count;
}

static void refcount__counts_from_zero(void **state)
{
    struct ol_refs *refs = NULL;

    (void)state;
    assert_int_equal(ol_refs_new(&refs, NULL), 0);
    assert_int_equal(get(refs, "no"), 1);
    assert_int_equal(get(refs, "no"), 2);
    assert_int_equal(put(refs, "no"), 1);
    assert_int_equal(put(refs, "no"), 0);
    assert_int_equal(get(refs, "no"), 1);
    ol_refs_free(refs);
}

static void refcount__found_mount_is_one_user(void **state)
{
    struct ol_refs *refs = NULL;

    (void)state;
    assert_int_equal(ol_refs_new(&refs, NULL), 0);
    assert_int_equal(get(refs, "yes"), 2);
    assert_int_equal(get(refs, "yes"), 3); /* asked at the first touch only */
    ol_refs_free(refs);
    assert_int_equal(ol_refs_new(&refs, NULL), 0);
    assert_int_equal(put(refs, "yes"), 0);
    ol_refs_free(refs);
}

static void refcount__nothing_negative_accumulates(void **state)
{
    struct ol_refs *refs = NULL;

    (void)state;
    assert_int_equal(ol_refs_new(&refs, NULL), 0);
    assert_int_equal(put(refs, "no"), -1);
    assert_int_equal(put(refs, "no"), -1);
    assert_int_equal(get(refs, "no"), 1);
    assert_int_equal(put(refs, "no"), 0);
    assert_int_equal(put(refs, "yes"), 0); /* forgotten: the next touch asks again */
    ol_refs_free(refs);
}

static void note_id(const char *id, void *data)
{
    assert_string_equal(id, "id");
    ++*(int *)data;
}

static void refcount__ours_is_kept_until_it_is_taken_back(void **state)
{
    struct ol_refs *refs = NULL;
    int found = 0;

    (void)state;
    assert_int_equal(ol_refs_new(&refs, NULL), 0);
    assert_int_equal(ol_refs_lock(refs, "id", NULL), 0);
    ol_refs_set_ours(refs, "id", true);
    ol_refs_unlock(refs, "id");
    ol_refs_each_ours(refs, note_id, &found);
    assert_int_equal(found, 1);
    assert_int_equal(ol_refs_lock(refs, "id", NULL), 0);
    ol_refs_forget(refs, "id");
    ol_refs_unlock(refs, "id");
    ol_refs_each_ours(refs, note_id, &found);
    assert_int_equal(found, 1);
    ol_refs_free(refs);
}

/* ---- the lock ---- */

struct race {
    struct ol_refs *refs;
    atomic_int inside;
    atomic_int most;
    int total; /* only changed under the lock */
};

static void *hold_and_count(void *data)
{
    struct race *race = data;

    for (int i = 0; i < 1000; i++) {
        int now;
        if (ol_refs_lock(race->refs, "id", NULL) < 0)
            return race;
        now = atomic_fetch_add(&race->inside, 1) + 1;
        if (now > atomic_load(&race->most))
            atomic_store(&race->most, now);
        race->total++;
        (void)atomic_fetch_sub(&race->inside, 1);
        ol_refs_unlock(race->refs, "id");
    }
    return NULL;
}

static void refcount__lock_lets_one_in(void **state)
{
    struct race race = {.total = 0};
    pthread_t threads[4];

    (void)state;
    assert_int_equal(ol_refs_new(&race.refs, NULL), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_count, &race), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(threads); i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(race.total, 4000);
    assert_int_equal(race.most, 1);
    ol_refs_free(race.refs);
}

static void refcount__ids_do_not_wait_for_each_other(void **state)
{
    struct ol_refs *refs = NULL;

    (void)state;
    assert_int_equal(ol_refs_new(&refs, NULL), 0);
    assert_int_equal(ol_refs_lock(refs, "a", NULL), 0);
    assert_int_equal(ol_refs_lock(refs, "b", NULL), 0); /* would hang with one lock for all */
    ol_refs_unlock(refs, "a");
    ol_refs_unlock(refs, "b");
    ol_refs_free(refs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refcount__counts_from_zero),
        cmocka_unit_test(refcount__found_mount_is_one_user),
        cmocka_unit_test(refcount__nothing_negative_accumulates),
        cmocka_unit_test(refcount__ours_is_kept_until_it_is_taken_back),
        cmocka_unit_test(refcount__lock_lets_one_in),
        cmocka_unit_test(refcount__ids_do_not_wait_for_each_other),
    };
    return cmocka_run_group_tests_name("refcount", tests, NULL, NULL);
}
