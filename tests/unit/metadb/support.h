/* SPDX-License-Identifier: Apache-2.0 */
/* A database of a test's own, and single calls in transactions of their own. */
#ifndef OL_TESTS_METADB_SUPPORT_H
#define OL_TESTS_METADB_SUPPORT_H

#include "support/support.h"

#include "common/metadb/metadb.h"

struct meta_test {
    struct test_dir dir;
    char *path; /* owned; of the database */
    struct ol_metadb *db;
};

int meta_setup(void **state);
/** Runs the checker, too. */
int meta_teardown(void **state);
#define meta_test(fn) cmocka_unit_test_setup_teardown(fn, meta_setup, meta_teardown)

int meta_open(struct meta_test *t, struct ol_error *err);
void meta_close(struct meta_test *t);
void meta_assert_sound(struct meta_test *t);

/* One call in one transaction, committed when it succeeded; the result is the call's. */
int meta_create(struct meta_test *t, enum ol_snapshot_kind kind, const char *key,
                const char *parent);
int meta_commit(struct meta_test *t, const char *key, const char *name, int64_t size);
int meta_rebase(struct meta_test *t, const char *key, const char *name, const char *parent);
int meta_remove(struct meta_test *t, const char *key);
int meta_info(struct meta_test *t, const char *key, uint64_t *ret_id, struct ol_snapshot_info *ret,
              struct ol_snapshot_usage *usage);
int meta_get(struct meta_test *t, const char *key, struct ol_meta_snapshot *ret);

/** containerd's base population of seven; see the definition. */
void meta_populate(struct meta_test *t);

#endif
