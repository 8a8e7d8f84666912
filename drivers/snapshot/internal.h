/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the snapshotter. The files:
 *
 *   snapshot.c  open and close, reading, labels, commit, applying a layer
 *   create.c    prepare and view
 *   garbage.c   remove, cleanup, the checker: directories without a snapshot
 *   mounts.c    what a snapshot's mount is, and mounting it
 *   filter.c    filters of walk
 *   direct.c    a snapshot's root without a mount
 */
#ifndef OL_DRIVERS_SNAPSHOT_INTERNAL_H
#define OL_DRIVERS_SNAPSHOT_INTERNAL_H

#include "common/metadb/metadb.h"
#include "drivers/snapshot/snapshot.h"

#include <pthread.h>

#define OL_SNAPSHOT_NEW "new-" /* a snapshot being made: "new-<random>" */

enum { OL_SNAPSHOT_NAME_SIZE = 24 + 6 }; /* an id in decimal and "/work" */

struct ol_snapshots {
    char *dir;            /* owned; "<root>/snapshots" */
    int dir_fd;           /* owned; flock()ed by whoever writes, over all processes */
    struct ol_metadb *db; /* owned; NULL after close */
    pthread_mutex_t lock; /* the same, over the threads of this process */
    bool userxattr, index_off;
    bool keep_owner, async_remove, upperdir_label;
    enum ol_overlay_ns ns;
};

/**
 * Become the only writer and begin a transaction. The lock is held until ol_snapshots_unlock(),
 * which is longer than the transaction: a commit releases LMDB's lock also when it fails, and the
 * directory made for it must be gone before another writer gets the same id.
 */
int ol_snapshots_lock(struct ol_snapshots *sn, struct ol_metatxn **ret, struct ol_error *err);
void ol_snapshots_unlock(struct ol_snapshots *sn);

/** Begin reading. */
int ol_snapshots_read(struct ol_snapshots *sn, struct ol_metatxn **ret, struct ol_error *err);

/** "<id>" or "<id>/<sub>" */
void ol_snapshot_name(uint64_t id, const char *sub, char ret[static OL_SNAPSHOT_NAME_SIZE]);

/** Open "<id>/fs". @return descriptor, or negative errno (-EUCLEAN when it is missing) */
int ol_snapshot_open_fs(struct ol_snapshots *sn, uint64_t id, struct ol_error *err);

/** The mount of a snapshot (containerd overlay.go, mounts). */
int ol_snapshot_mount_of(const struct ol_snapshots *sn, const struct ol_meta_snapshot *snapshot,
                         struct ol_snapshot_mount *ret, struct ol_error *err);

/* filter.c */
struct ol_filters; /* a list, any of which may match */
int ol_filters_parse(const char *const *texts, size_t count, struct ol_filters **ret,
                     struct ol_error *err);
bool ol_filters_match(const struct ol_filters *filters, const struct ol_snapshot_info *info);
void ol_filters_free(struct ol_filters *filters);

#endif
