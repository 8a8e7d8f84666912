/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounting, the mount table, and leaked mounts. */
#ifndef OL_COMMON_MOUNT_MOUNT_H
#define OL_COMMON_MOUNT_MOUNT_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

/** umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW), with a fault point. Not mounted is success. */
int ol_mount_detach(const char *path, struct ol_error *err);

/** True when path is on an overlay file system by statfs magic (moby's own check, 0x794C7630). */
bool ol_mount_is_overlay(const char *path);

/** True when path is a mount point in this namespace (mount table). */
bool ol_mount_is_point(const char *path);

/**
 * What the mount table says about the topmost mount on path: its type, its source, and its options
 * as the kernel writes them, those of the mount and those of the file system.
 * @param ret_type, ret_source, ret_options  owned by the caller
 * @return 0; -ENOENT path is no mount point
 */
int ol_mount_describe(const char *path, char **ret_type, char **ret_source, char **ret_options,
                      struct ol_error *err);

/**
 * Every mount point at or below dir, longest path first. *ret is a NULL-terminated array of owned
 * strings: free with ol_mount_list_free().
 */
int ol_mount_list_below(const char *dir, char ***ret, size_t *ret_count, struct ol_error *err);
void ol_mount_list_free(char **list);

/** Lazily unmount everything at or below dir, longest first. @return how many, or negative errno.
 */
int ol_mount_detach_below(const char *dir, struct ol_error *err);

#endif
