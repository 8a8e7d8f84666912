/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside common/metadb. The files:
 *
 *   metadb.c     the environment, transactions, one value read, written, removed
 *   pages.c      the file's pages, looked at before LMDB uses them
 *   record.c     the bytes of one snapshot's record
 *   snapshots.c  what containerd's storage package does in a transaction
 *   check.c      the checker
 */
#ifndef OL_COMMON_METADB_INTERNAL_H
#define OL_COMMON_METADB_INTERNAL_H

#include "common/buf.h"
#include "common/metadb/metadb.h"

#include <lmdb.h>

enum {
    OL_META_FORMAT = 1,    /* of the database; a higher one is refused */
    OL_META_KEY_MAX = 511, /* bytes; LMDB's limit as built by default */
};

enum ol_bucket {
    OL_BUCKET_STATE,     /* "format", "sequence": u64 */
    OL_BUCKET_SNAPSHOTS, /* name (ol_name_key) to record */
    OL_BUCKET_IDS,       /* id, u64 big-endian, to name */
    OL_BUCKET_CHILDREN,  /* id of the parent, id of the child, u64 big-endian each, to child's name
                          */
    OL_BUCKETS
};

struct ol_metatxn {
    struct ol_metadb *db;
    MDB_txn *mdb;
    bool write;
};

MDB_dbi ol_metadb_bucket(const struct ol_metadb *db, enum ol_bucket bucket);
void ol_metadb_now(const struct ol_metadb *db, struct timespec *ret);

/** An LMDB result (0, errno or MDB_*) as negative errno with the text "cannot <what> the …". */
int ol_metadb_error(const struct ol_metadb *db, int rc, const char *what, struct ol_error *err);

/** @return 0; -ENOENT without a text; else negative errno. *ret is valid until the next write. */
int ol_metatxn_get(struct ol_metatxn *txn, enum ol_bucket bucket, MDB_val key, MDB_val *ret,
                   struct ol_error *err);
/** @param fresh  fail with -EEXIST, without a text, when the key is there */
int ol_metatxn_put(struct ol_metatxn *txn, enum ol_bucket bucket, MDB_val key, MDB_val value,
                   bool fresh, struct ol_error *err);
/** @return 0; -EUCLEAN when the key is not there */
int ol_metatxn_delete(struct ol_metatxn *txn, enum ol_bucket bucket, MDB_val key,
                      struct ol_error *err);

/* Keys of the buckets. */
struct ol_key {
    unsigned char bytes[OL_META_KEY_MAX];
    size_t len;
};
static inline MDB_val ol_key_val(struct ol_key *key)
{
    return (MDB_val){.mv_size = key->len, .mv_data = key->bytes};
}
/**
 * The name itself; of a long one the beginning and the digest of the whole.
 * @return 0, -ENOKEY for "", -ENAMETOOLONG
 */
int ol_name_key(const char *name, struct ol_key *ret, struct ol_error *err);
void ol_id_key(uint64_t id, struct ol_key *ret);
void ol_child_key(uint64_t parent, uint64_t child, struct ol_key *ret);
/** @return false unless it is a key of that form */
bool ol_id_parse(const MDB_val *key, uint64_t *ret);
bool ol_child_parse(const MDB_val *key, uint64_t *ret_parent, uint64_t *ret_child);

/* A record in place: texts point into it. */
struct ol_record {
    uint64_t id;
    enum ol_snapshot_kind kind;
    struct timespec created, updated;
    struct ol_snapshot_usage usage;
    const char *name, *parent; /* "" for no parent */
    const char *labels;        /* n_labels times key, NUL, value, NUL */
    size_t n_labels;
};

/** @return 0 or -EUCLEAN, without a text */
int ol_record_read(const MDB_val *value, struct ol_record *ret);
/** Append the record's bytes. @return 0, -ENOMEM or -E2BIG */
int ol_record_write(uint64_t id, const struct ol_snapshot_info *info,
                    const struct ol_snapshot_usage *usage, struct ol_buf *ret,
                    struct ol_error *err);
/** Call fn for every record; one that is damaged (-EUCLEAN), or a negative result of fn, ends it.
 */
int ol_record_each(struct ol_metatxn *txn,
                   int (*fn)(const struct ol_record *record, void *data, struct ol_error *err),
                   void *data, struct ol_error *err);

/** Of the database a transaction is on: ol_meta_check_indexes() found them right. Guarded by the
 * writer. */
bool *ol_metadb_trusted(struct ol_metadb *db);

/** Copy it. */
int ol_record_info(const struct ol_record *record, struct ol_snapshot_info *ret,
                   struct ol_error *err);

/** The record of a name. @return 0; -ENOENT with the text "snapshot 'x' does not exist" */
int ol_record_find(struct ol_metatxn *txn, const char *name, struct ol_record *ret,
                   struct ol_error *err);

#endif
