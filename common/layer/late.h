/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What directories get after everything else: their times, because every entry made in them changes
 * these, and modes that would have kept us from making entries. Records are packed; nothing of it
 * follows a symlink, and a directory that is no longer the one its entry made is left alone. Where
 * an entry was reached through a symlink, a later one may replace that: its parent is held open.
 */
#ifndef OL_COMMON_LAYER_LATE_H
#define OL_COMMON_LAYER_LATE_H

#include "common/buf.h"
#include "common/error.h"
#include "common/layer/dirs.h"

#include <time.h>

enum { OL_LATE_HELD_MAX = 128 };

struct ol_late {
    struct ol_buf records;
    struct ol_buf modes;                   /* offsets of the records with OL_LATE_MODE */
    struct ol_dir *held[OL_LATE_HELD_MAX]; /* a reference each */
    size_t n_held;
};

enum ol_late_flags {
    OL_LATE_TIMES = 1 << 0,
    OL_LATE_MODE = 1 << 1,
    OL_LATE_SELF = 1 << 2, /* `at` is the directory itself, not the one it is in */
};

struct ol_late_record {
    unsigned flags; /* enum ol_late_flags */
    struct timespec mtime;
    unsigned mode;
    dev_t dev; /* of the directory, so that no other one gets its times */
    ino_t ino;
    const char *path;  /* clean; "" for the root */
    struct ol_dir *at; /* where it is; NULL for the root */
};

int ol_late_add(struct ol_late *late, const struct ol_late_record *record);

/**
 * Do all of it: times in the order of the archive, modes deepest first; of several entries for one
 * directory the last decides.
 * @param check  some directory was removed or replaced meanwhile: compare device and inode
 * @return 0; -E2BIG one is gone from its name, and OL_LATE_HELD_MAX others are held open
 */
int ol_late_finish(struct ol_late *late, struct ol_dirs *dirs, bool check, struct ol_error *err);

void ol_late_fini(struct ol_late *late);

#endif
