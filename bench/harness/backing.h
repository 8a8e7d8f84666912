/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a benchmark runs: below a directory of the user's, or on a file system made for the run
 * (ext4, xfs or btrfs on a loop device, or tmpfs) and unmade after it. Timings on a file system of
 * its own do not depend on what else the disk holds, and its inode totals are a cross-check.
 *
 * Everything of one run lies in a directory "overlab-run-<random>": "lock", held while the run
 * lives, and "fs", the place itself. The image of a loop file system has no name any more once it
 * is attached, and the device frees itself with the last mount. So a killed run leaves at most a
 * directory, and no mount when the process made its mounts private (ol_view_private_mounts()); the
 * next run in the same place removes what dead runs left.
 *
 * A program, before it has threads: ol_view_choose() for the directory the place will be in; then
 * ol_view_enter_userns() or, for the kernel view, ol_view_private_mounts(); then
 * ol_backing_open(); then ol_view_can_keep_owner() of the place. An ordinary user's tmpfs is only
 * possible inside the user namespace, which is why the view comes first.
 */
#ifndef OL_BENCH_HARNESS_BACKING_H
#define OL_BENCH_HARNESS_BACKING_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

enum ol_backing_kind {
    OL_BACKING_DIRECTORY,
    OL_BACKING_EXT4,
    OL_BACKING_XFS,
    OL_BACKING_BTRFS,
    OL_BACKING_TMPFS,
};

struct ol_backing_spec {
    enum ol_backing_kind kind;
    char *dir;           /* owned; OL_BACKING_DIRECTORY only */
    uint64_t size_bytes; /* all others */
};

/**
 * Parse "DIR", "ext4:SIZE", "xfs:SIZE", "btrfs:SIZE" or "tmpfs:SIZE"; SIZE takes K, M, G, T (powers
 * of 1024). A directory of such a name is written "./ext4:1G".
 * @return 0 or -EINVAL with a text
 */
int ol_backing_parse(const char *text, struct ol_backing_spec *ret, struct ol_error *err);
void ol_backing_spec_fini(struct ol_backing_spec *spec);

/** "directory", "loop" or "tmpfs": path_kind of the results. */
const char *ol_backing_path_kind(enum ol_backing_kind kind);

struct ol_backing;

/**
 * Make the place. Removes first what dead runs left beside it.
 * @param tmp_dir  where the image and the mount point go (existing; ignored for a directory)
 * @return 0; -EPERM an ordinary user asked for what needs root; -ENOENT mkfs is not installed;
 *         -ENOTSUP the kernel lacks the file system; -ENOSPC tmp_dir cannot hold size_bytes; …
 *         On failure nothing is left.
 */
int ol_backing_open(const struct ol_backing_spec *spec, const char *tmp_dir,
                    struct ol_backing **ret, struct ol_error *err);

/**
 * The place: absolute, a directory of this run alone. A new ext4 holds "lost+found". Valid until
 * closed.
 */
const char *ol_backing_path(const struct ol_backing *backing);

/** True for a file system made for this run. */
bool ol_backing_is_dedicated(const struct ol_backing *backing);

/**
 * Unmount everything in the place, unmake it and free the object. Accepts NULL. @return 0 or the
 * first failure; the object is gone in any case.
 */
int ol_backing_close(struct ol_backing *backing, struct ol_error *err);

/** Write back what is dirty on this file system: syncfs(2). */
int ol_backing_sync(const struct ol_backing *backing, struct ol_error *err);

/** Sync, then drop the page, dentry and inode caches of the whole machine. -EPERM without root. */
int ol_backing_drop_caches(const struct ol_backing *backing, struct ol_error *err);

/**
 * Remove what dead runs left in dir (mounts, devices, directories).
 * @param only_count  remove nothing
 * @return how many runs, or negative errno
 */
int ol_backing_clean_stale(const char *dir, bool only_count, struct ol_error *err);

#endif
