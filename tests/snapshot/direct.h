/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite in the direct view: snapshots are "mounted" as an object that reads and writes their
 * directories (ol_snapshots_open_rootfs()), known to the play by the path a mount would have.
 */
#ifndef OL_TESTS_SNAPSHOT_DIRECT_H
#define OL_TESTS_SNAPSHOT_DIRECT_H

#include "support.h"

#include "drivers/rootfs.h"

/** As snap_mount() and snap_unmount(). */
char *direct_mount(struct snap *s, const char *key, const char *dir);
void direct_unmount(const char *path);

/** What is at this path; NULL: a plain directory, or a mount. */
struct ol_rootfs *direct_at(const char *path);

/** A line for each object but the root: path, type, mode, owner, content or target or links. */
char *direct_listing(struct ol_rootfs *fs);

#endif
