/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The snapshotter: containerd's overlay snapshotter (snapshots/overlay/overlay.go, v1.6.20) with
 * its directory layout, its metadata in LMDB (common/metadb) in place of bbolt. Preparing makes two
 * directories and a record; committing moves no data at all: the active snapshot's upper directory
 * becomes the layer, under the same id.
 *
 * Snapshots are known by a key (active, view) or a name (committed); both share one name space and
 * are any bytes but NUL. A parent is a committed snapshot. docs/snapshotter.md explains the order
 * of steps and what a crash leaves.
 *
 * All functions may be called by several threads and processes at once. Result codes stand for
 * containerd's error classes: -ENOENT NotFound (also: no snapshot was ever made here), -EEXIST
 * AlreadyExists, -EINVAL InvalidArgument, -EBUSY FailedPrecondition. Without a class: -ENOKEY an
 * empty key, -EUCLEAN a snapshot whose directory is missing or damaged metadata, -EBADF after
 * close, and what system calls return.
 */
#ifndef OL_DRIVERS_SNAPSHOT_SNAPSHOT_H
#define OL_DRIVERS_SNAPSHOT_SNAPSHOT_H

#include "common/layer/layer.h"
#include "common/metadb/snapshot_info.h"
#include "common/mount/view.h"

#include <stdbool.h>
#include <stddef.h>

/* Made up for every snapshot when asked for, never stored: the path of its "fs". */
#define OL_SNAPSHOT_UPPERDIR_LABEL "containerd.io/snapshot/overlay.upperdir"

struct ol_snapshots;

struct ol_snapshots_config {
    const char *root;    /* absolute; made with mode 0700 when missing */
    enum ol_view view;   /* USERNS: mounts say userxattr; USERNS, DIRECT: layers get user.overlay.*.
                            AUTO: as in this process' user namespace */
    bool keep_owner;     /* applied layers: owners can be given to files */
    bool async_remove;   /* remove: leave directories to the next cleanup */
    bool upperdir_label; /* add OL_SNAPSHOT_UPPERDIR_LABEL to infos */
    bool no_sync;        /* metadata is not synced at each commit: for measuring what that costs */
    void (*now)(struct timespec *ret); /* NULL: CLOCK_REALTIME */
};

/**
 * Open the snapshotter in config->root, and make it when missing. A process may open a root once.
 * @return 0; -EINVAL the path has a character mount options cannot carry; -ENOTSUP the file system
 *         does not say types of entries (d_type); errors of ol_metadb_open()
 */
int ol_snapshots_open(const struct ol_snapshots_config *config, struct ol_snapshots **ret,
                      struct ol_error *err);
/** Release the database; nothing is unmounted. Every later call but these two fails with -EBADF.
 * Closing twice is fine. Nobody may be inside a call. */
void ol_snapshots_close(struct ol_snapshots *sn);
/** Close, and free the object. Accepts NULL. */
void ol_snapshots_free(struct ol_snapshots *sn);

/* One mount, as containerd's snapshotters describe it: bind or overlay. */
struct ol_snapshot_mount {
    char *type, *source; /* owned */
    char **options;      /* owned; n_options of them and a NULL */
    size_t n_options;
};
void ol_snapshot_mount_fini(struct ol_snapshot_mount *mount);
#define ol_auto_snapshot_mount __attribute__((cleanup(ol_snapshot_mount_fini)))

/**
 * Mount it on the directory target (absolute). The options of long chains are passed relative to
 * the directories' common prefix, or one lower directory at a time (common/mount/overlay.h): 500
 * parents are the kernel's limit.
 * @return 0 or negative errno, with nothing mounted
 */
int ol_snapshot_mount_at(const struct ol_snapshot_mount *mount, const char *target,
                         struct ol_error *err);

/** @return 0; -ENOENT */
int ol_snapshots_stat(struct ol_snapshots *sn, const char *key, struct ol_snapshot_info *ret,
                      struct ol_error *err);

/**
 * Change labels of info->name; everything else in info is ignored.
 * @param paths  "labels": all are replaced; "labels.KEY": that one is set, or removed where info
 *               does not have it; n_paths 0: as "labels"
 * @param ret    the info afterwards; may be NULL
 * @return 0; -ENOENT; -EINVAL another path, nothing is changed
 */
int ol_snapshots_update(struct ol_snapshots *sn, const struct ol_snapshot_info *info,
                        const char *const *paths, size_t n_paths, struct ol_snapshot_info *ret,
                        struct ol_error *err);

/** Of an active snapshot measured now, of a committed one when it was committed, of a view zero.
 * Parents are not counted. */
int ol_snapshots_usage(struct ol_snapshots *sn, const char *key, struct ol_snapshot_usage *ret,
                       struct ol_error *err);

/** The mount of an active snapshot or view. @return 0; -ENOENT; -EBUSY it is committed */
int ol_snapshots_mounts(struct ol_snapshots *sn, const char *key, struct ol_snapshot_mount *ret,
                        struct ol_error *err);

struct ol_rootfs;
/**
 * Open what ol_snapshots_mounts() would mount, without mounting it: for the direct view, where
 * changes are written in overlay's own format. A view is read-only (-EROFS).
 * @param ret  to be closed with ol_rootfs_close(), before the snapshot is removed
 * @return 0; -ENOENT; -EBUSY it is committed; errors of ol_rootfs_open_overlay()
 */
int ol_snapshots_open_rootfs(struct ol_snapshots *sn, const char *key, struct ol_rootfs **ret,
                             struct ol_error *err);

/**
 * Make an active snapshot, or a view (read-only, never committed).
 * @param parent  NULL or "" for none
 * @param labels  may be NULL
 * @param ret     its mount; may be NULL
 * @return 0; -ENOENT no such parent, -EINVAL the parent is not committed, both before -EEXIST the
 *         key is taken. On failure nothing is left behind.
 */
int ol_snapshots_prepare(struct ol_snapshots *sn, const char *key, const char *parent,
                         const struct ol_labels *labels, struct ol_snapshot_mount *ret,
                         struct ol_error *err);
int ol_snapshots_view(struct ol_snapshots *sn, const char *key, const char *parent,
                      const struct ol_labels *labels, struct ol_snapshot_mount *ret,
                      struct ol_error *err);

/**
 * Turn active snapshot key into committed snapshot name. Its labels are these and no others, its
 * times are now. It may still be mounted, and what is then written goes into the layer.
 * @param parent  NULL, or the parent of a snapshot made without one (rebase, containerd 2.2)
 * @return 0; -ENOENT; -EEXIST; -EBUSY not active, or a parent that is not committed; -EINVAL it has
 *         another parent
 */
int ol_snapshots_commit(struct ol_snapshots *sn, const char *name, const char *key,
                        const struct ol_labels *labels, const char *parent, struct ol_error *err);

/* What a commit spent its time on. */
struct ol_snapshot_times {
    uint64_t usage_ns;       /* counting the upper directory */
    uint64_t transaction_ns; /* waiting for other writers, and the records, in memory */
    uint64_t sync_ns; /* LMDB's commit: the changed pages written, synced, the meta page synced */
};
/** ol_snapshots_commit() that tells. @param ret  also written on failure; may be NULL */
int ol_snapshots_commit_timed(struct ol_snapshots *sn, const char *name, const char *key,
                              const struct ol_labels *labels, const char *parent,
                              struct ol_snapshot_times *ret, struct ol_error *err);

/**
 * Remove a snapshot without children. Its key is free at once. Unless async_remove is set, every
 * directory without a snapshot is removed then; what cannot be is left to the next cleanup.
 * @return 0; -ENOENT; -EBUSY it has children
 */
int ol_snapshots_remove(struct ol_snapshots *sn, const char *key, struct ol_error *err);

/**
 * Remove every directory without a snapshot: of removed snapshots, and what killed processes left.
 * @param ret_removed  how many; may be NULL
 * @return 0; -ENOENT; the first failure, after all were tried
 */
int ol_snapshots_cleanup(struct ol_snapshots *sn, unsigned *ret_removed, struct ol_error *err);

typedef int ol_snapshots_walk_fn(const struct ol_snapshot_info *info, void *data,
                                 struct ol_error *err);
/**
 * Call fn for every snapshot one of the filters matches (none: for all), in byte order of names, as
 * they were when the walk began. fn may call everything else here. A negative result ends it.
 *
 * A filter is selectors joined by ",": FIELD, FIELD==VALUE, FIELD!=VALUE, FIELD~=REGEX, with the
 * fields kind, name, parent and labels.KEY (containerd's filters package; expressions are POSIX
 * extended ones).
 * @return 0; -ENOENT; -EINVAL a filter cannot be parsed
 */
int ol_snapshots_walk(struct ol_snapshots *sn, const char *const *filters, size_t n_filters,
                      ol_snapshots_walk_fn *fn, void *data, struct ol_error *err);

/**
 * Unpack a layer tar into active snapshot key: straight into its upper directory, in overlay's own
 * format when it has a parent. Not while it is mounted. On failure part of the layer is there.
 * @param ret  may be NULL
 * @return 0; -ENOENT; -EBUSY not active; errors of ol_layer_apply()
 */
int ol_snapshots_apply(struct ol_snapshots *sn, const char *key, const struct ol_input *tar,
                       struct ol_layer_result *ret, struct ol_error *err);

/**
 * Hold metadata and directories against each other.
 * @param problem      called with one line per finding; may be NULL
 * @param ret_orphans  directories without a snapshot, which are no finding; may be NULL
 * @return number of findings, or negative errno
 */
int ol_snapshots_check(struct ol_snapshots *sn, void (*problem)(const char *text, void *data),
                       void *data, unsigned *ret_orphans, struct ol_error *err);

#endif
