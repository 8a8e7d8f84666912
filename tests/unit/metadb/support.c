/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

int meta_open(struct meta_test *t, struct ol_error *err)
{
    const struct ol_metadb_config config = {.path = t->path, .no_sync = true};

    return ol_metadb_open(&config, &t->db, err);
}

void meta_close(struct meta_test *t)
{
    ol_metadb_close(t->db);
    t->db = NULL;
}

int meta_setup(void **state)
{
    struct meta_test *t = calloc(1, sizeof *t);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_non_null(t);
    test_dir_make(&t->dir);
    assert_true(asprintf(&t->path, "%s/metadata.mdb", t->dir.path) > 0);
    assert_ok(meta_open(t, &err), &err);
    *state = t;
    return 0;
}

static void print_problem(const char *text, void *data)
{
    (void)data;
    print_error("check: %s\n", text);
}

void meta_assert_sound(struct meta_test *t)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;

    assert_ok(ol_metadb_begin(t->db, false, &txn, &err), &err);
    assert_int_equal(ol_meta_check(txn, print_problem, NULL, &err), 0);
}

int meta_teardown(void **state)
{
    struct meta_test *t = *state;

    if (t->db != NULL)
        meta_assert_sound(t);
    meta_close(t);
    test_dir_remove(&t->dir);
    free(t->path);
    free(t);
    return 0;
}

static struct ol_metatxn *begin(struct meta_test *t)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_metatxn *txn = NULL;

    assert_ok(ol_metadb_begin(t->db, true, &txn, &err), &err);
    return txn;
}

static int end(struct ol_metatxn *txn, int r)
{
    if (r == 0)
        return ol_metatxn_commit(txn, NULL);
    ol_metatxn_abort(txn);
    return r;
}

int meta_create(struct meta_test *t, enum ol_snapshot_kind kind, const char *key,
                const char *parent)
{
    ol_auto_meta_snapshot struct ol_meta_snapshot made = {0};
    struct ol_metatxn *txn = begin(t);

    return end(txn, ol_meta_create(txn, kind, key, parent, NULL, &made, NULL));
}

int meta_commit(struct meta_test *t, const char *key, const char *name, int64_t size)
{
    const struct ol_snapshot_usage usage = {.inodes = 1, .size_bytes = size};
    struct ol_metatxn *txn = begin(t);

    return end(txn, ol_meta_commit(txn, key, name, &usage, NULL, NULL, NULL));
}

int meta_rebase(struct meta_test *t, const char *key, const char *name, const char *parent)
{
    const struct ol_snapshot_usage usage = {0};
    struct ol_metatxn *txn = begin(t);

    return end(txn, ol_meta_commit(txn, key, name, &usage, NULL, parent, NULL));
}

int meta_remove(struct meta_test *t, const char *key)
{
    struct ol_metatxn *txn = begin(t);

    return end(txn, ol_meta_remove(txn, key, NULL, NULL));
}

int meta_info(struct meta_test *t, const char *key, uint64_t *ret_id, struct ol_snapshot_info *ret,
              struct ol_snapshot_usage *usage)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;

    assert_int_equal(ol_metadb_begin(t->db, false, &txn, NULL), 0);
    return ol_meta_info(txn, key, ret_id, ret, usage, NULL);
}

int meta_get(struct meta_test *t, const char *key, struct ol_meta_snapshot *ret)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;

    assert_int_equal(ol_metadb_begin(t->db, false, &txn, NULL), 0);
    return ol_meta_get(txn, key, ret, NULL);
}

void meta_populate(struct meta_test *t)
{
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "prepare-1", NULL), 0);
    assert_int_equal(meta_commit(t, "prepare-1", "committed-1", 1), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "prepare-2", "committed-1"), 0);
    assert_int_equal(meta_commit(t, "prepare-2", "committed-2", 2), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "active-1", NULL), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "active-2", "committed-1"), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "active-3", "committed-2"), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_VIEW, "view-1", NULL), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_VIEW, "view-2", "committed-2"), 0);
}
