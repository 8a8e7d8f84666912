/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's root as a container's writes see it, the same in every view. Behind it is either a
 * directory (a mounted layer, a plain tree), where the kernel does the work, or, in the direct
 * view, an overlay that is not mounted: then copy-up, whiteouts, opaque directories and the cached
 * whiteout in work/work are made by hand exactly as the kernel's overlayfs makes them, to the
 * inode.
 *
 * Paths are relative to the root and resolved inside it, symlinks of the directory part included.
 * The last component is followed by stat, list, read, write and append only. Devices and FIFOs are
 * never opened (-EINVAL). Modes are made exact, whatever the umask.
 *
 * All functions return 0 or negative errno, as the system call of that name would, and set err with
 * the path. A failed one leaves the tree as it was; in an unmounted overlay parents may have been
 * copied up, as in the kernel's. One object is for one thread at a time.
 */
#ifndef OL_DRIVERS_ROOTFS_H
#define OL_DRIVERS_ROOTFS_H

#include "common/buf.h"
#include "common/error.h"
#include "common/layer/changes.h"
#include "common/layer/meta.h"

#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

struct ol_rootfs;

int ol_rootfs_lstat(struct ol_rootfs *fs, const char *path, struct stat *ret, struct ol_error *err);
/** Follows symlinks inside the root. */
int ol_rootfs_stat(struct ol_rootfs *fs, const char *path, struct stat *ret, struct ol_error *err);
/** Its parent must exist. */
int ol_rootfs_mkdir(struct ol_rootfs *fs, const char *path, mode_t mode, struct ol_error *err);
/** Create (must not exist) with this content. */
int ol_rootfs_create(struct ol_rootfs *fs, const char *path, mode_t mode, const void *data,
                     size_t len, struct ol_error *err);
/** Overwrite from the start and truncate to len (copies the file up). */
int ol_rootfs_write(struct ol_rootfs *fs, const char *path, const void *data, size_t len,
                    struct ol_error *err);
/** Write at the end. */
int ol_rootfs_append(struct ol_rootfs *fs, const char *path, const void *data, size_t len,
                     struct ol_error *err);
/** target is stored as it is. */
int ol_rootfs_symlink(struct ol_rootfs *fs, const char *target, const char *path,
                      struct ol_error *err);
/** Give old_path's object one more name; -EPERM for a directory. */
int ol_rootfs_link(struct ol_rootfs *fs, const char *old_path, const char *new_path,
                   struct ol_error *err);
/**
 * A character or block device or a FIFO (the type bits of mode). -EPERM without the privilege, and
 * for the device that means a whiteout.
 */
int ol_rootfs_mknod(struct ol_rootfs *fs, const char *path, mode_t mode, dev_t dev,
                    struct ol_error *err);
/** Anything but a directory (-EISDIR). */
int ol_rootfs_unlink(struct ol_rootfs *fs, const char *path, struct ol_error *err);
/** -ENOTEMPTY unless it looks empty; whiteouts in it do not count. */
int ol_rootfs_rmdir(struct ol_rootfs *fs, const char *path, struct ol_error *err);
/** Remove whatever is there, recursively; nothing there is success. */
int ol_rootfs_remove_tree(struct ol_rootfs *fs, const char *path, struct ol_error *err);
/** Files and symlinks; a directory from a lower layer is -EXDEV (redirect_dir=off), as the kernel
 * says. */
int ol_rootfs_rename(struct ol_rootfs *fs, const char *old_path, const char *new_path,
                     struct ol_error *err);
/** -EOPNOTSUPP for a symlink. */
int ol_rootfs_chmod(struct ol_rootfs *fs, const char *path, mode_t mode, struct ol_error *err);
/** Of the object itself, also of a symlink; (uid_t)-1 and (gid_t)-1 leave theirs. */
int ol_rootfs_chown(struct ol_rootfs *fs, const char *path, uid_t uid, gid_t gid,
                    struct ol_error *err);
/** Sets mtime and atime, not following a symlink. */
int ol_rootfs_set_mtime(struct ol_rootfs *fs, const char *path, struct timespec mtime,
                        struct ol_error *err);
/**
 * Give the object itself, never what a symlink leads to, the metadata of an archive's entry:
 * ol_meta_apply(). Importable attributes it had and the entry lacks are removed.
 * @param counts  is added to
 */
int ol_rootfs_set_meta(struct ol_rootfs *fs, const char *path, const struct ol_meta *meta,
                       struct ol_meta_counts *counts, struct ol_error *err);
/** Open a regular file, for reading or for writing (copies it up). @param ret_fd the caller's */
int ol_rootfs_open(struct ol_rootfs *fs, const char *path, bool write, int *ret_fd,
                   struct ol_error *err);
/** Whole content of a regular file of at most max bytes. */
int ol_rootfs_read(struct ol_rootfs *fs, const char *path, size_t max, struct ol_buf *buf,
                   struct ol_error *err);
/** Names in a directory, sorted; *ret is NULL-terminated: free with ol_rootfs_names_free(). */
int ol_rootfs_list(struct ol_rootfs *fs, const char *path, char ***ret, struct ol_error *err);
void ol_rootfs_names_free(char **names);

/** Closes it and puts the layer; accepts NULL. @return what put returned. */
int ol_rootfs_close(struct ol_rootfs *fs, struct ol_error *err);

/** On a plain or mounted directory. @param root_fd is taken over. */
int ol_rootfs_open_dir(int root_fd, struct ol_rootfs **ret, struct ol_error *err);

/**
 * On an unmounted overlay. @param dirs stack, topmost (the upper) first; descriptors are
 * duplicated.
 * @param work_fd the workdir (not work/work), only used here. work/work is made as a mount would.
 * -1: read-only, the topmost directory is a lower one too and every change is -EROFS.
 */
int ol_rootfs_open_overlay(const struct ol_stack *dirs, int work_fd, struct ol_rootfs **ret,
                           struct ol_error *err);

/**
 * What mounting an overlay does to its workdir before anything else, for a direct view that reads a
 * layer where a mount would have been made: work/work is emptied (the cached whiteout of an earlier
 * session goes) and made anew with mode 0.
 */
int ol_rootfs_workdir_reset(int work_fd, struct ol_error *err);

/** Run fn(data) when the rootfs is closed, its result becomes ol_rootfs_close()'s (drivers: put).
 */
void ol_rootfs_on_close(struct ol_rootfs *fs, int (*fn)(void *data, struct ol_error *err),
                        void *data);

#endif
