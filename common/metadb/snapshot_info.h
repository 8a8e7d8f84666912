/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about one snapshot, as containerd's snapshotter contract defines it
 * (snapshots/snapshotter.go): kind, name, parent, labels, times, usage.
 */
#ifndef OL_COMMON_METADB_SNAPSHOT_INFO_H
#define OL_COMMON_METADB_SNAPSHOT_INFO_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The values are stored on disk. */
enum ol_snapshot_kind {
    OL_SNAPSHOT_UNKNOWN = 0,
    OL_SNAPSHOT_VIEW = 1,
    OL_SNAPSHOT_ACTIVE = 2,
    OL_SNAPSHOT_COMMITTED = 3,
};

/** "Unknown", "View", "Active", "Committed". */
const char *ol_snapshot_kind_name(enum ol_snapshot_kind kind);

struct ol_label {
    char *key, *value; /* owned; never empty values */
};

/* Labels sorted bytewise by key, each key once. */
struct ol_labels {
    struct ol_label *items; /* owned */
    size_t count;
};

void ol_labels_fini(struct ol_labels *labels);
#define ol_auto_labels __attribute__((cleanup(ol_labels_fini)))

/** The value of a label; NULL when there is none. Owned by labels. */
const char *ol_labels_get(const struct ol_labels *labels, const char *key);

/**
 * Set a label. An empty or NULL value is the same as no label and removes it.
 * @return 0 or -ENOMEM, with labels as they were
 */
int ol_labels_set(struct ol_labels *labels, const char *key, const char *value);

/** Set every label of from in to (NULL: none). @return 0 or -ENOMEM, with some of them set. */
int ol_labels_merge(struct ol_labels *to, const struct ol_labels *from);

struct ol_snapshot_info {
    enum ol_snapshot_kind kind;
    char *name;   /* owned; key of an active snapshot or view, name of a committed one */
    char *parent; /* owned; name of a committed snapshot, "" for none */
    struct ol_labels labels;
    struct timespec created, updated; /* UTC */
};

void ol_snapshot_info_fini(struct ol_snapshot_info *info);
#define ol_auto_snapshot_info __attribute__((cleanup(ol_snapshot_info_fini)))

/* What a snapshot holds by itself, its parents not counted. */
struct ol_snapshot_usage {
    int64_t inodes;     /* distinct (device, inode), the "fs" directory itself included */
    int64_t size_bytes; /* allocated blocks * 512 of them */
};

#endif
