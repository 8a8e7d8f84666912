/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files and directories by (dir_fd, name): whole reads with a limit, atomic writes, temporary
 * names. Everything here that changes the world passes a fault point (common/fault.h).
 */
#ifndef OL_COMMON_FS_FILE_H
#define OL_COMMON_FS_FILE_H

#include "common/buf.h"
#include "common/error.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/** Open a directory: O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC. @return fd or negative errno.
 */
int ol_fs_open_dir(int dir_fd, const char *name);

/**
 * Open a file for reading, not following it and not waiting for a FIFO. A regular file of ours
 * whose mode forbids that (0222, 0000) is lent read permission for the moment of the open: root
 * ignores such modes, so copying and exporting as an ordinary user has to as well.
 * @param flags  O_NOATIME, left out where it is not allowed, or 0
 * @return fd or negative errno
 */
int ol_fs_open_read(int dir_fd, const char *name, int flags);

/** mkdirat, exclusive, with exactly this mode (the umask is undone by a chmod when it matters). */
int ol_fs_mkdir(int dir_fd, const char *name, mode_t mode, struct ol_error *err);

/** mkdir -p of an absolute or relative path of ours (never of untrusted text). */
int ol_fs_mkdir_path(const char *path, mode_t mode, struct ol_error *err);

/** True when name exists in dir_fd (not following it); false also when it cannot be told. */
bool ol_fs_exists(int dir_fd, const char *name);

/**
 * Read a whole regular file of at most max bytes; symlinks are not followed, FIFOs and devices are
 * refused (-EINVAL) without being opened for reading.
 * @return 0, or negative errno (-ENOENT plain when missing; -E2BIG past max). buf is appended to.
 */
int ol_fs_read_file(int dir_fd, const char *name, size_t max, struct ol_buf *buf,
                    struct ol_error *err);

/** Create or truncate name with this content and mode; not atomic (moby's bookkeeping files). */
int ol_fs_write_file(int dir_fd, const char *name, const void *data, size_t len, mode_t mode,
                     struct ol_error *err);

/**
 * Write aside, fsync, rename over name, fsync the directory. On failure name is as it was and the
 * temporary file is gone; only where the file system cannot exchange two names (NFS) has a failed
 * fsync of the directory put the new file there, and the error says so.
 */
int ol_fs_write_file_atomic(int dir_fd, const char *name, const void *data, size_t len, mode_t mode,
                            struct ol_error *err);

/* Writes what a file shall hold. @return 0 or negative errno */
typedef int ol_fs_fill_fn(int fd, void *data, struct ol_error *err);

/* What ol_fs_fill_text() writes. */
struct ol_fs_text {
    const void *data;
    size_t len;
};
/** An ol_fs_fill_fn whose data is a struct ol_fs_text. */
int ol_fs_fill_text(int fd, void *text, struct ol_error *err);

/** As ol_fs_write_file_atomic() for content that fill writes. */
int ol_fs_replace_file(int dir_fd, const char *name, mode_t mode, ol_fs_fill_fn *fill, void *data,
                       struct ol_error *err);

/** Make a directory "<prefix><random>" with mode 0700; *ret_name is owned by the caller. */
int ol_fs_mkdir_temp(int dir_fd, const char *prefix, char **ret_name, struct ol_error *err);

/** A file in dir without a name there, for reading and writing. @return a descriptor the caller
 * owns */
int ol_fs_open_unlinked(const char *dir, struct ol_error *err);

/** renameat with a fault point; fails with EEXIST when the target exists (RENAME_NOREPLACE). */
int ol_fs_rename_new(int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name,
                     struct ol_error *err);

/** symlinkat, unlinkat with fault points. A missing name is success for unlink. */
int ol_fs_symlink(const char *target, int dir_fd, const char *name, struct ol_error *err);
int ol_fs_unlink(int dir_fd, const char *name, struct ol_error *err);

/** fsync of a directory or file descriptor, with a fault point. */
int ol_fs_sync(int fd, const char *what, struct ol_error *err);

/** The path behind a descriptor of ours, from /proc/self/fd; *ret is owned by the caller. */
int ol_fs_path_of(int fd, char **ret, struct ol_error *err);

/** moby's name of a file system ("extfs", "xfs", …) from statfs.f_type; "<unknown>" otherwise. */
const char *ol_fs_magic_name(long f_type);

#endif
