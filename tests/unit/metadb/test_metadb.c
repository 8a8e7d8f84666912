/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata store in one process: containerd's metastore tests
 * (snapshots/storage/metastore_test.go), written anew and named alike, and what is ours.
 */
#include "support.h"

#include "common/fault.h"

#include <errno.h>
#include <string.h>

static const struct population {
    const char *name, *parent;
    enum ol_snapshot_kind kind;
    size_t n_parents;
    int64_t size;
} population[] = {
    {"active-1", "", OL_SNAPSHOT_ACTIVE, 0, 0},
    {"active-2", "committed-1", OL_SNAPSHOT_ACTIVE, 1, 0},
    {"active-3", "committed-2", OL_SNAPSHOT_ACTIVE, 2, 0},
    {"committed-1", "", OL_SNAPSHOT_COMMITTED, 0, 1},
    {"committed-2", "committed-1", OL_SNAPSHOT_COMMITTED, 1, 2},
    {"view-1", "", OL_SNAPSHOT_VIEW, 0, 0},
    {"view-2", "committed-2", OL_SNAPSHOT_VIEW, 2, 0},
};

static int no_walk(uint64_t id, const struct ol_snapshot_info *info,
                   const struct ol_snapshot_usage *usage, void *data, struct ol_error *err)
{
    (void)id;
    (void)info;
    (void)usage;
    (void)data;
    (void)err;
    fail_msg("there is nothing to walk");
    return 0;
}

static void get_info__of_the_population(void **state)
{
    struct meta_test *t = *state;
    time_t now = time(NULL);

    meta_populate(t);
    for (size_t i = 0; i < OL_ARRAY_LEN(population); i++) {
        ol_auto_snapshot_info struct ol_snapshot_info info = {0};
        struct ol_snapshot_usage usage = {0};
        uint64_t id = 0;

        assert_int_equal(meta_info(t, population[i].name, &id, &info, &usage), 0);
        assert_string_equal(info.name, population[i].name);
        assert_string_equal(info.parent, population[i].parent);
        assert_int_equal(info.kind, population[i].kind);
        assert_int_equal(usage.size_bytes, population[i].size);
        assert_true(id > 0);
        assert_in_range(info.created.tv_sec, now - 1, now + 30);
        assert_int_equal(info.updated.tv_sec, info.created.tv_sec);
    }
}

static void get_info__not_exist(void **state)
{
    struct meta_test *t = *state;
    struct ol_snapshot_info info = {0};

    meta_populate(t);
    assert_int_equal(meta_info(t, "active-not-exist", NULL, &info, NULL), -ENOENT);
    assert_int_equal(meta_info(t, "", NULL, &info, NULL), -ENOENT);
}

static void empty_db__everything_is_not_found(void **state)
{
    struct meta_test *t = *state;
    struct ol_snapshot_info info = {.name = (char[]){"a"}};
    struct ol_snapshot_info found = {0};
    struct ol_meta_snapshot snapshot;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    uint64_t last;

    assert_int_equal(meta_info(t, "a", NULL, &found, NULL), -ENOENT);
    assert_int_equal(meta_get(t, "a", &snapshot), -ENOENT);
    assert_int_equal(meta_commit(t, "a", "b", 0), -ENOENT);
    assert_int_equal(meta_remove(t, "a"), -ENOENT);
    assert_int_equal(ol_metadb_begin(t->db, true, &txn, NULL), 0);
    assert_int_equal(ol_meta_update(txn, &info, NULL, 0, NULL, NULL), -ENOENT);
    assert_int_equal(ol_meta_walk(txn, no_walk, NULL, NULL), -ENOENT);
    assert_int_equal(ol_meta_sequence(txn, &last, NULL), -ENOENT);
}

static int expect_next(uint64_t id, const struct ol_snapshot_info *info,
                       const struct ol_snapshot_usage *usage, void *data, struct ol_error *err)
{
    size_t *n = data;

    (void)id;
    (void)usage;
    (void)err;
    assert_true(*n < OL_ARRAY_LEN(population));
    assert_string_equal(info->name, population[*n].name);
    ++*n;
    return 0;
}

static int stop_at_two(uint64_t id, const struct ol_snapshot_info *info,
                       const struct ol_snapshot_usage *usage, void *data, struct ol_error *err)
{
    size_t *n = data;

    (void)id;
    (void)info;
    (void)usage;
    (void)err;
    return ++*n == 2 ? -ECANCELED : 0;
}

static void walk__meets_each_once_in_byte_order_and_stops_when_told(void **state)
{
    struct meta_test *t = *state;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    size_t n = 0;

    meta_populate(t);
    assert_int_equal(ol_metadb_begin(t->db, false, &txn, NULL), 0);
    assert_int_equal(ol_meta_walk(txn, expect_next, &n, NULL), 0);
    assert_int_equal(n, OL_ARRAY_LEN(population));
    n = 0;
    assert_int_equal(ol_meta_walk(txn, stop_at_two, &n, NULL), -ECANCELED);
    assert_int_equal(n, 2);
}

static void get_snapshot__not_exist_and_committed(void **state)
{
    struct meta_test *t = *state;
    struct ol_meta_snapshot snapshot;

    meta_populate(t);
    assert_int_equal(meta_get(t, "no-such", &snapshot), -ENOENT);
    assert_int_equal(meta_get(t, "committed-1", &snapshot), -EBUSY);
}

static void create__gives_what_get_gives(void **state)
{
    static const char *const parents[] = {"", "committed-2"};
    struct meta_test *t = *state;
    uint64_t last = 0;

    meta_populate(t);
    for (unsigned i = 0; i < 4; i++) {
        ol_auto_meta_snapshot struct ol_meta_snapshot made = {0};
        ol_auto_meta_snapshot struct ol_meta_snapshot got = {0};
        struct ol_metatxn *txn = NULL;
        char key[] = {'k', (char)('0' + i), '\0'};

        assert_int_equal(ol_metadb_begin(t->db, true, &txn, NULL), 0);
        assert_int_equal(ol_meta_create(txn, i < 2 ? OL_SNAPSHOT_ACTIVE : OL_SNAPSHOT_VIEW, key,
                                        parents[i % 2], NULL, &made, NULL),
                         0);
        assert_int_equal(ol_metatxn_commit(txn, NULL), 0);
        assert_int_equal(meta_get(t, key, &got), 0);
        assert_int_equal(got.id, made.id);
        assert_int_equal(got.kind, made.kind);
        assert_int_equal(got.n_parents, i % 2 == 0 ? 0 : 2);
        assert_int_equal(got.n_parents, made.n_parents);
        for (size_t p = 0; p < got.n_parents; p++)
            assert_int_equal(got.parents[p], made.parents[p]);
        assert_true(made.id > last);
        last = made.id;
    }
}

static void create__key_exists(void **state)
{
    struct meta_test *t = *state;

    meta_populate(t);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "active-1", NULL), -EEXIST);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_VIEW, "committed-1", NULL), -EEXIST);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_VIEW, "view-1", "committed-1"), -EEXIST);
}

static void create__parent_errors_come_before_those_of_the_key(void **state)
{
    struct meta_test *t = *state;

    meta_populate(t);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "new", "no-such"), -ENOENT);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "active-1", "no-such"), -ENOENT);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "active-1", "active-2"), -EINVAL);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_VIEW, "new", "view-1"), -EINVAL);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_VIEW, "", "no-such"), -ENOENT);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_VIEW, "", NULL), -ENOKEY);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_COMMITTED, "new", NULL), -EINVAL);
}

static void create__that_failed_takes_no_id(void **state)
{
    struct meta_test *t = *state;
    struct ol_snapshot_info info = {0};
    uint64_t first = 0;
    uint64_t second = 0;

    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "a", NULL), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "a", NULL), -EEXIST);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "b", "none"), -ENOENT);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "b", NULL), 0);
    assert_int_equal(meta_info(t, "a", &first, &info, NULL), 0);
    ol_snapshot_info_fini(&info);
    assert_int_equal(meta_info(t, "b", &second, &info, NULL), 0);
    ol_snapshot_info_fini(&info);
    assert_int_equal(first, 1);
    assert_int_equal(second, 2);
}

static void commit__keeps_the_id_and_frees_the_key(void **state)
{
    struct meta_test *t = *state;
    ol_auto_snapshot_info struct ol_snapshot_info before = {0};
    ol_auto_snapshot_info struct ol_snapshot_info after = {0};
    ol_auto_meta_snapshot struct ol_meta_snapshot child = {0};
    struct ol_meta_snapshot none;
    uint64_t id = 0;
    uint64_t committed_id = 0;

    meta_populate(t);
    assert_int_equal(meta_info(t, "active-2", &id, &before, NULL), 0);
    assert_int_equal(meta_commit(t, "active-2", "done", 7), 0);
    assert_int_equal(meta_info(t, "active-2", NULL, &after, NULL), -ENOENT);
    assert_int_equal(meta_info(t, "done", &committed_id, &after, NULL), 0);
    assert_int_equal(committed_id, id);
    assert_int_equal(meta_get(t, "done", &none), -EBUSY);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "child", "done"), 0);
    assert_int_equal(meta_get(t, "child", &child), 0);
    assert_int_equal(child.n_parents, 2);
    assert_int_equal(child.parents[0], id);
}

static void commit__refuses_what_cannot_be(void **state)
{
    struct meta_test *t = *state;

    meta_populate(t);
    assert_int_equal(meta_commit(t, "active-1", "committed-1", 0), -EEXIST);
    assert_int_equal(meta_commit(t, "active-1", "active-1", 0), -EEXIST);
    assert_int_equal(meta_commit(t, "active-1", "view-1", 0), -EEXIST);
    assert_int_equal(meta_commit(t, "committed-1", "new", 0), -EBUSY);
    assert_int_equal(meta_commit(t, "view-1", "new", 0), -EBUSY);
    assert_int_equal(meta_commit(t, "no-such", "new", 0), -ENOENT);
    assert_int_equal(meta_commit(t, "active-1", "", 0), -ENOKEY);
}

static void remove__of_each_kind(void **state)
{
    struct meta_test *t = *state;

    meta_populate(t);
    assert_int_equal(meta_remove(t, "prepare-1"), -ENOENT);
    assert_int_equal(meta_remove(t, "committed-1"), -EBUSY);
    assert_int_equal(meta_remove(t, "committed-2"), -EBUSY);
    assert_int_equal(meta_remove(t, "committed-2"), -EBUSY);
    assert_int_equal(meta_remove(t, "active-3"), 0);
    assert_int_equal(meta_remove(t, "view-2"), 0);
    assert_int_equal(meta_remove(t, "committed-2"), 0);
    assert_int_equal(meta_remove(t, "active-2"), 0);
    assert_int_equal(meta_remove(t, "committed-1"), 0);
    assert_int_equal(meta_remove(t, "committed-1"), -ENOENT);
}

static void remove__says_remove(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;

    meta_populate(t);
    assert_int_equal(ol_metadb_begin(t->db, true, &txn, NULL), 0);
    assert_int_equal(ol_meta_remove(txn, "committed-1", NULL, &err), -EBUSY);
    assert_message(&err, "remove");
}

static void parent_ids__follow_the_names(void **state)
{
    struct meta_test *t = *state;

    meta_populate(t);
    for (size_t i = 0; i < OL_ARRAY_LEN(population); i++) {
        ol_auto_meta_snapshot struct ol_meta_snapshot snapshot = {0};
        ol_auto_snapshot_info struct ol_snapshot_info info = {0};

        if (population[i].kind == OL_SNAPSHOT_COMMITTED)
            continue;
        assert_int_equal(meta_get(t, population[i].name, &snapshot), 0);
        assert_int_equal(snapshot.n_parents, population[i].n_parents);
        assert_int_equal(meta_info(t, population[i].name, NULL, &info, NULL), 0);
        for (size_t p = 0; p < snapshot.n_parents; p++) {
            struct ol_snapshot_info above = {0};
            uint64_t id = 0;

            assert_int_equal(meta_info(t, info.parent, &id, &above, NULL), 0);
            assert_int_equal(id, snapshot.parents[p]);
            ol_snapshot_info_fini(&info);
            info = above;
        }
        assert_string_equal(info.parent, "");
    }
}

static void rebase__gives_a_parent_at_commit(void **state)
{
    struct meta_test *t = *state;
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    ol_auto_meta_snapshot struct ol_meta_snapshot child = {0};

    meta_populate(t);
    assert_int_equal(meta_rebase(t, "active-2", "x", "committed-2"), -EINVAL);
    assert_int_equal(meta_rebase(t, "active-1", "x", "active-3"), -EBUSY);
    assert_int_equal(meta_rebase(t, "active-1", "x", "no-such"), -ENOENT);
    assert_int_equal(meta_rebase(t, "active-2", "same", "committed-1"), 0);
    assert_int_equal(meta_rebase(t, "active-1", "moved", "committed-2"), 0);
    assert_int_equal(meta_info(t, "moved", NULL, &info, NULL), 0);
    assert_string_equal(info.parent, "committed-2");
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "child", "moved"), 0);
    assert_int_equal(meta_get(t, "child", &child), 0);
    assert_int_equal(child.n_parents, 3);
    assert_int_equal(meta_remove(t, "active-3"), 0);
    assert_int_equal(meta_remove(t, "view-2"), 0);
    assert_int_equal(meta_remove(t, "committed-2"), -EBUSY); /* the rebased one is its child */
}

static void names__of_every_length_and_byte(void **state)
{
    static const size_t lengths[] = {1, 446, 447, 510, 511, 512, 4096, OL_META_NAME_MAX};
    struct meta_test *t = *state;
    ol_auto_free char *name = calloc(1, OL_META_NAME_MAX + 2);

    assert_non_null(name);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "with space/and:colon\n\xff", NULL), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(lengths); i++) {
        for (char last = 'a'; last <= 'b'; last++) {
            ol_auto_snapshot_info struct ol_snapshot_info info = {0};

            memset(name, 'x', lengths[i]);
            name[lengths[i] - 1] = last;
            name[lengths[i]] = '\0';
            assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, name, NULL), 0);
            assert_int_equal(meta_info(t, name, NULL, &info, NULL), 0);
            assert_string_equal(info.name, name);
        }
    }
    memset(name, 'x', OL_META_NAME_MAX + 1);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, name, NULL), -ENAMETOOLONG);
    assert_int_equal(meta_remove(t, name), -ENOENT);
}

static void labels__past_the_limit_are_refused(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    ol_auto_labels struct ol_labels labels = {0};
    ol_auto_meta_snapshot struct ol_meta_snapshot made = {0};
    ol_auto_free char *huge = malloc(OL_META_RECORD_MAX + 1);

    assert_non_null(huge);
    memset(huge, 'v', OL_META_RECORD_MAX);
    huge[OL_META_RECORD_MAX] = '\0';
    assert_int_equal(ol_labels_set(&labels, "big", huge), 0);
    assert_int_equal(ol_metadb_begin(t->db, true, &txn, NULL), 0);
    assert_int_equal(ol_meta_create(txn, OL_SNAPSHOT_ACTIVE, "a", NULL, &labels, &made, &err),
                     -E2BIG);
    assert_message(&err, "'a'");
    ol_metatxn_abort(ol_ptr_steal(txn));
    huge[OL_META_RECORD_MAX / 2] = '\0'; /* this one fits */
    assert_int_equal(ol_labels_set(&labels, "big", huge), 0);
    assert_int_equal(ol_metadb_begin(t->db, true, &txn, NULL), 0);
    assert_int_equal(ol_meta_create(txn, OL_SNAPSHOT_ACTIVE, "a", NULL, &labels, &made, NULL), 0);
    assert_int_equal(ol_metatxn_commit(ol_ptr_steal(txn), NULL), 0);
}

static void labels__are_sorted_and_an_empty_value_is_none(void **state)
{
    ol_auto_labels struct ol_labels labels = {0};

    (void)state;
    assert_int_equal(ol_labels_set(&labels, "b", "2"), 0);
    assert_int_equal(ol_labels_set(&labels, "a", "1"), 0);
    assert_int_equal(ol_labels_set(&labels, "c", ""), 0);
    assert_int_equal(ol_labels_set(&labels, "b", "3"), 0);
    assert_int_equal(labels.count, 2);
    assert_string_equal(labels.items[0].key, "a");
    assert_string_equal(ol_labels_get(&labels, "b"), "3");
    assert_null(ol_labels_get(&labels, "c"));
    assert_int_equal(ol_labels_set(&labels, "a", ""), 0);
    assert_int_equal(labels.count, 1);
}

static void reader__sees_the_state_at_its_begin(void **state)
{
    struct meta_test *t = *state;
    ol_auto_metatxn struct ol_metatxn *before = NULL;
    ol_auto_metatxn struct ol_metatxn *after = NULL;
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};

    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "a", NULL), 0);
    assert_int_equal(ol_metadb_begin(t->db, false, &before, NULL), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "b", NULL), 0);
    assert_int_equal(ol_metadb_begin(t->db, false, &after, NULL), 0);
    assert_int_equal(ol_meta_info(before, "b", NULL, &info, NULL, NULL), -ENOENT);
    assert_int_equal(ol_meta_info(after, "b", NULL, &info, NULL, NULL), 0);
}

static void fault__at_any_call_leaves_the_database_as_it_was(void **state)
{
    struct meta_test *t = *state;
    unsigned failures = 0;
    int r = -1;

    OL_REQUIRE(can_inject_faults, "this build has no fault points (OL_FAULTS)");
    meta_populate(t);
    for (unsigned long n = 2; r != 0; n++) { /* the first one is the begin of the helper */
        ol_auto_snapshot_info struct ol_snapshot_info info = {0};

        assert_true(n < 100);
        ol_fault_arm(n);
        r = meta_commit(t, "active-3", "done", 1);
        ol_fault_arm(0);
        meta_assert_sound(t);
        if (r == 0)
            break;
        failures++;
        assert_int_equal(r, -EIO);
        assert_int_equal(meta_info(t, "active-3", NULL, &info, NULL), 0);
    }
    assert_true(failures >= 4); /* record out, record in, id, child, commit */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        meta_test(get_info__of_the_population),
        meta_test(get_info__not_exist),
        meta_test(empty_db__everything_is_not_found),
        meta_test(walk__meets_each_once_in_byte_order_and_stops_when_told),
        meta_test(get_snapshot__not_exist_and_committed),
        meta_test(create__gives_what_get_gives),
        meta_test(create__key_exists),
        meta_test(create__parent_errors_come_before_those_of_the_key),
        meta_test(create__that_failed_takes_no_id),
        meta_test(commit__keeps_the_id_and_frees_the_key),
        meta_test(commit__refuses_what_cannot_be),
        meta_test(remove__of_each_kind),
        meta_test(remove__says_remove),
        meta_test(parent_ids__follow_the_names),
        meta_test(rebase__gives_a_parent_at_commit),
        meta_test(names__of_every_length_and_byte),
        meta_test(labels__past_the_limit_are_refused),
        cmocka_unit_test(labels__are_sorted_and_an_empty_value_is_none),
        meta_test(reader__sees_the_state_at_its_begin),
        meta_test(fault__at_any_call_leaves_the_database_as_it_was),
    };
    return cmocka_run_group_tests_name("metadb", tests, NULL, NULL);
}
