/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay of a real engine's container, mounted by us as the engine says it would mount it. The
 * paths are its word: they have to lie inside its own directory.
 */
#ifndef OL_BENCH_ENGINES_MOUNT_H
#define OL_BENCH_ENGINES_MOUNT_H

#include "drivers/rootfs.h"

#include <stdbool.h>

struct ol_engine_mount {
    char *base;             /* owned; absolute: what the names below start from */
    char *lowers;           /* owned; the text lowers_at points into */
    const char **lowers_at; /* owned array; nearest first, relative to base */
    size_t n_lowers;
    char *upper, *work;       /* owned; relative to base */
    char *target;             /* owned; relative to base */
    struct ol_rootfs *rootfs; /* owned; open while it is mounted */
};

void ol_engine_mount_fini(struct ol_engine_mount *mount);

/**
 * Describe it: absolute paths, lowers separated by colons.
 * @return 0; -EXDEV a path that is not below base
 */
int ol_engine_mount_set(struct ol_engine_mount *mount, const char *base, const char *lowers,
                        const char *upper, const char *work, const char *target,
                        struct ol_error *err);

/** Make the mount point, which must not exist, and mount; rootfs is open then. */
int ol_engine_mount(struct ol_engine_mount *mount, struct ol_error *err);
/** Close rootfs, unmount, remove the mount point. Not mounted is success. */
int ol_engine_unmount(struct ol_engine_mount *mount, struct ol_error *err);

#endif
