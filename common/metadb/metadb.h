/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata store of the snapshotter: which snapshots there are, their parents, labels and
 * sizes, in one LMDB file. One writer at a time and any number of readers, over all threads and
 * processes; a reader sees the state at its begin, whatever is written meanwhile. It does what
 * containerd's snapshots/storage does with bbolt; docs/formats/snapshot.md has the format.
 *
 * Names are bytes without NUL, 1 to OL_META_NAME_MAX of them; active keys and committed names share
 * one name space. Ids are numbers from 1 that are never handed out twice.
 *
 * Result codes stand for containerd's error classes: -ENOENT NotFound, -EEXIST AlreadyExists,
 * -EINVAL InvalidArgument, -EBUSY FailedPrecondition. Others have no class: -ENOKEY an empty name,
 * -ENAMETOOLONG, -E2BIG labels past OL_META_RECORD_MAX, -EUCLEAN damage, -EPROTO a database of a
 * newer version, -ENOSPC a full disk or map.
 */
#ifndef OL_COMMON_METADB_METADB_H
#define OL_COMMON_METADB_METADB_H

#include "common/error.h"
#include "common/metadb/snapshot_info.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OL_META_NAME_MAX = 32768,     /* bytes of a name (bbolt's limit of a key) */
    OL_META_RECORD_MAX = 1 << 20, /* bytes of one record, labels included */
};

struct ol_metadb;
struct ol_metatxn;

struct ol_metadb_config {
    const char *path; /* the file; made with mode 0600 when missing, beside it "<path>-lock" */
    bool no_sync;     /* leave writing to the kernel: a crash of the machine may lose the file */
    void (*now)(struct timespec *ret); /* NULL: CLOCK_REALTIME */
};

/**
 * Open or make the database. A file that is cut off is found here, one of a newer version too.
 * LMDB allows one open per file and process, and none to be carried through fork(2).
 * @return 0; -EBUSY this process has it open; -EUCLEAN; -EPROTO; else negative errno
 */
int ol_metadb_open(const struct ol_metadb_config *config, struct ol_metadb **ret,
                   struct ol_error *err);
/** No transaction may be open. Accepts NULL. */
void ol_metadb_close(struct ol_metadb *db);

/**
 * Begin a transaction. A writer waits for the writer before it, without limit; a reader never
 * waits. One thread may have many readers, and a reader beside its writer.
 */
int ol_metadb_begin(struct ol_metadb *db, bool write, struct ol_metatxn **ret,
                    struct ol_error *err);

/**
 * Make everything written in it durable and visible, all or nothing. The transaction is over and
 * released whatever the result: on failure nothing of it is there, and there is nothing left to
 * abort.
 */
int ol_metatxn_commit(struct ol_metatxn *txn, struct ol_error *err);
/** Forget everything written in it. Accepts NULL. */
void ol_metatxn_abort(struct ol_metatxn *txn);

static inline void ol_metatxn_cleanup(struct ol_metatxn **txn)
{
    ol_metatxn_abort(*txn);
}
/* Rolls back at return, unless it was handed to ol_metatxn_commit() with ol_ptr_steal(). */
#define ol_auto_metatxn __attribute__((cleanup(ol_metatxn_cleanup)))

/* A snapshot as mounts need it. */
struct ol_meta_snapshot {
    uint64_t id;
    enum ol_snapshot_kind kind;
    uint64_t *parents; /* owned; ids, [0] the direct parent, the last one the base */
    size_t n_parents;
};
void ol_meta_snapshot_fini(struct ol_meta_snapshot *snapshot);
#define ol_auto_meta_snapshot __attribute__((cleanup(ol_meta_snapshot_fini)))

/*
 * Every function below that writes needs a writing transaction, and leaves that to be aborted when
 * it fails. "No snapshot was ever made" is -ENOENT everywhere but in ol_meta_create().
 */

/**
 * Record a new active snapshot or view.
 * @param parent  NULL or "" for none; checked before the key
 * @return 0; -ENOENT no such parent; -EINVAL the parent is not committed; -EEXIST the key is taken
 */
int ol_meta_create(struct ol_metatxn *txn, enum ol_snapshot_kind kind, const char *key,
                   const char *parent, const struct ol_labels *labels, struct ol_meta_snapshot *ret,
                   struct ol_error *err);

/**
 * Turn active snapshot key into committed snapshot name: same id and parent; both times are now;
 * its labels are these and no others.
 * @param parent  NULL, or the parent of a snapshot made without one (rebase, containerd 2.2)
 * @return 0; -EEXIST name is taken; -ENOENT no such key or parent; -EBUSY key is not active, or
 *         parent not committed; -EINVAL it has another parent
 */
int ol_meta_commit(struct ol_metatxn *txn, const char *key, const char *name,
                   const struct ol_snapshot_usage *usage, const struct ol_labels *labels,
                   const char *parent, struct ol_error *err);

/** Forget a snapshot without children. @return 0; -ENOENT; -EBUSY it has children */
int ol_meta_remove(struct ol_metatxn *txn, const char *key, uint64_t *ret_id, struct ol_error *err);

/** @param ret_id, ret_usage  may be NULL; the usage of what is not committed is zero */
int ol_meta_info(struct ol_metatxn *txn, const char *key, uint64_t *ret_id,
                 struct ol_snapshot_info *ret, struct ol_snapshot_usage *ret_usage,
                 struct ol_error *err);

/** @return 0; -ENOENT; -EBUSY it is committed */
int ol_meta_get(struct ol_metatxn *txn, const char *key, struct ol_meta_snapshot *ret,
                struct ol_error *err);

/**
 * Change labels of the snapshot info->name, and its time of update. Everything else in info is
 * ignored.
 * @param paths  "labels" replaces all, "labels.KEY" sets or removes that one; none: all
 * @param ret    the info afterwards; may be NULL
 * @return 0; -ENOENT; -EINVAL another path, with nothing changed
 */
int ol_meta_update(struct ol_metatxn *txn, const struct ol_snapshot_info *info,
                   const char *const *paths, size_t n_paths, struct ol_snapshot_info *ret,
                   struct ol_error *err);

typedef int ol_meta_walk_fn(uint64_t id, const struct ol_snapshot_info *info,
                            const struct ol_snapshot_usage *usage, void *data,
                            struct ol_error *err);
/** Call fn for every snapshot, in byte order of names; a negative result ends the walk. */
int ol_meta_walk(struct ol_metatxn *txn, ol_meta_walk_fn *fn, void *data, struct ol_error *err);

/** The last id handed out. @return 0; -ENOENT when no snapshot was ever made */
int ol_meta_sequence(struct ol_metatxn *txn, uint64_t *ret, struct ol_error *err);

/** Whether a snapshot has this id. @return 1, 0 or negative errno */
int ol_meta_id_used(struct ol_metatxn *txn, uint64_t id, struct ol_error *err);

/**
 * For who is about to delete what no snapshot needs: that every record has its entries in the
 * indexes of ids and children, which have no checksums of their own. All records are read, once for
 * each open; what is written afterwards is right.
 * @param txn  a writing transaction
 * @return 0; -EUCLEAN an entry is missing or wrong, or a record is damaged
 */
int ol_meta_check_indexes(struct ol_metatxn *txn, struct ol_error *err);

/**
 * Hold everything in the database against everything else: records readable, every index entry
 * there and none too many, parents committed, no cycles.
 * @param problem  called with one line per finding; may be NULL
 * @return number of findings, or negative errno; a database without snapshots has none
 */
int ol_meta_check(struct ol_metatxn *txn, void (*problem)(const char *text, void *data), void *data,
                  struct ol_error *err);

#endif
