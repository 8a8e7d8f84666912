/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the implementations behind rootfs.h share: the operation table, the base instance, and
 * single steps by (dir_fd, name) that pass a fault point and return negative errno. The dispatcher
 * in rootfs.c puts the error text together, so nothing here knows struct ol_error's text.
 */
#ifndef OL_DRIVERS_ROOTFS_IMPL_H
#define OL_DRIVERS_ROOTFS_IMPL_H

#include "drivers/rootfs.h"

#include <stdbool.h>

/*
 * Where one object lies: a directory and a name in it ("." for the root), ready for an *at() call.
 * A directory of ours without write or search permission (0555 and the like) gets them for as long
 * as the place is held: root ignores such modes, so an ordinary user's view has to as well.
 */
struct ol_place {
    int dir_fd;      /* owned */
    char *name;      /* owned */
    bool granted;    /* the directory's mode is to be put back */
    mode_t dir_mode; /* to this */
};
#define OL_PLACE_INIT                                                                              \
    {                                                                                              \
        .dir_fd = -1                                                                               \
    }
void ol_place_fini(struct ol_place *place);
#define ol_auto_place __attribute__((cleanup(ol_place_fini)))

/** Make the place's directory writable for us where that takes a chmod; see struct ol_place. */
void ol_place_grant(struct ol_place *place);

/* Every function returns 0 or negative errno; paths are as given by the caller. */
struct ol_rootfs_ops {
    int (*stat)(struct ol_rootfs *fs, const char *path, bool follow, struct stat *ret);
    /**
     * The existing object for a change of its attributes, copied up where that is needed. Symlinks
     * in the last component are not followed.
     */
    int (*touch)(struct ol_rootfs *fs, const char *path, struct ol_place *ret);
    /** Open the regular file, following symlinks inside the root; -EISDIR, -EINVAL otherwise. */
    int (*open_file)(struct ol_rootfs *fs, const char *path, bool write, int *ret_fd);
    int (*mkdir)(struct ol_rootfs *fs, const char *path, mode_t mode);
    int (*create)(struct ol_rootfs *fs, const char *path, mode_t mode, const void *data,
                  size_t len);
    int (*symlink)(struct ol_rootfs *fs, const char *target, const char *path);
    int (*mknod)(struct ol_rootfs *fs, const char *path, mode_t mode, dev_t dev);
    int (*link)(struct ol_rootfs *fs, const char *old_path, const char *new_path);
    int (*unlink)(struct ol_rootfs *fs, const char *path);
    int (*rmdir)(struct ol_rootfs *fs, const char *path);
    int (*remove_tree)(struct ol_rootfs *fs, const char *path, struct ol_error *err);
    int (*rename)(struct ol_rootfs *fs, const char *old_path, const char *new_path);
    int (*list)(struct ol_rootfs *fs, const char *path, char ***ret);
    /** Frees the instance, whatever it returns. */
    int (*close)(struct ol_rootfs *fs, struct ol_error *err);
};

/* First member of every implementation's instance. */
struct ol_rootfs {
    const struct ol_rootfs_ops *ops;
    int (*on_close)(void *data, struct ol_error *err);
    void *on_close_data;
};

/**
 * Split a path at its last component: *ret_dir is owned text of the directory part, *ret_name
 * points into path's copy *ret_dir was made from. Trailing slashes are dropped; the root is dir ""
 * and name "". @return -EINVAL when the last component is "." or "..", -ENOMEM.
 */
int ol_rootfs_split(const char *path, char **ret_dir, char **ret_name);

/** Sort and NULL-terminate: hand over count owned names (items has room for one more). */
char **ol_rootfs_names_seal(char **items, size_t count);

/* Single steps, each with a fault point. mode is made exact, but a set-group-id bit a directory
 * inherits from its parent stays, as mkdir(2) has it. */
int ol_at_mkdir(int dir_fd, const char *name, mode_t mode);
/** Exclusive; the file is gone again when its content could not be written. */
int ol_at_create(int dir_fd, const char *name, mode_t mode, const void *data, size_t len);
int ol_at_symlink(const char *target, int dir_fd, const char *name);
int ol_at_mknod(int dir_fd, const char *name, mode_t mode, dev_t dev);
int ol_at_link(int old_fd, const char *old_name, int new_fd, const char *new_name);
int ol_at_unlink(int dir_fd, const char *name, int flags);
/** renameat2; a directory of ours that lacks write permission is lent it for the move. */
int ol_at_rename(int old_fd, const char *old_name, int new_fd, const char *new_name,
                 unsigned flags);
int ol_at_chmod(int dir_fd, const char *name, mode_t mode);
int ol_at_chown(int dir_fd, const char *name, uid_t uid, gid_t gid);
int ol_at_utimens(int dir_fd, const char *name, const struct timespec times[2]);
/**
 * Open for writing the file behind an O_PATH descriptor although its mode forbids that, as root
 * could: a file of ours is lent write permission for the moment of the open. @return fd or -EACCES.
 */
int ol_at_open_lent(int path_fd, int flags);
/** A regular file only, without following; other types are -EISDIR or -EINVAL, never opened. */
int ol_at_open_file(int dir_fd, const char *name, int flags);
/** The text of a symlink; owned by the caller. */
int ol_at_readlink(int dir_fd, const char *name, char **ret);

#endif
