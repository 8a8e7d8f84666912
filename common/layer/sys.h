/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls with which the applier changes a tree: each asks its fault point first and
 * answers 0 or a negative errno. A name is one component and never followed; where "" is allowed it
 * means the descriptor itself.
 */
#ifndef OL_COMMON_LAYER_SYS_H
#define OL_COMMON_LAYER_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

int ol_sys_mkdir(int dir_fd, const char *name, mode_t mode);
/** Create a regular file that was not there. @return descriptor for writing, or negative errno. */
int ol_sys_create(int dir_fd, const char *name, mode_t mode);
int ol_sys_mknod(int dir_fd, const char *name, mode_t mode, dev_t dev);
int ol_sys_symlink(const char *target, int dir_fd, const char *name);
int ol_sys_link(int old_dir_fd, const char *old_name, int dir_fd, const char *name);
int ol_sys_unlink(int dir_fd, const char *name);
int ol_sys_rmdir(int dir_fd, const char *name);
int ol_sys_rename(int dir_fd, const char *old_name, const char *new_name);
/** All of it, at offset. */
int ol_sys_pwrite(int fd, const void *data, size_t len, uint64_t offset);
int ol_sys_truncate(int fd, uint64_t size);
/** name may be "". */
int ol_sys_chown(int dir_fd, const char *name, uid_t uid, gid_t gid);
/** name may be "". Refuses symlinks (-ELOOP). */
int ol_sys_chmod(int dir_fd, const char *name, mode_t mode);
/** Both access and modification time. name may be "" for a descriptor that is no O_PATH one. */
int ol_sys_set_times(int dir_fd, const char *name, struct timespec mtime);
/** The same with a time for each. */
int ol_sys_set_both_times(int dir_fd, const char *name, struct timespec atime,
                          struct timespec mtime);

#endif
