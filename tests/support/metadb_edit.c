/* SPDX-License-Identifier: Apache-2.0 */
#include "support/metadb_edit.h"

#include "support/support.h"

#include <lmdb.h>

void metadb_edit(const char *path, const char *bucket, void *key, size_t key_len, void *value,
                 size_t value_len)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    MDB_val k = {key_len, key};
    MDB_val v = {value_len, value};

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, bucket, 0, &dbi), 0);
    assert_int_equal(value != NULL ? mdb_put(txn, dbi, &k, &v, 0) : mdb_del(txn, dbi, &k, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}
