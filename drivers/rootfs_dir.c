/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root that is a plain or mounted directory: the kernel does the work, and every path is resolved
 * beneath the root's descriptor, because images are hostile: a symlink of theirs must not lead out.
 */
#include "drivers/rootfs_impl.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/dirents.h"
#include "common/fs/path.h"
#include "common/fs/tree.h"

#include <errno.h>
#include <fcntl.h>

struct dir_rootfs {
    struct ol_rootfs base;
    int root_fd; /* owned */
};

static struct dir_rootfs *dir_from(struct ol_rootfs *fs)
{
    return (struct dir_rootfs *)fs;
}

/* The place of path; its object may be missing. The root itself is only for_attributes. */
static int place_at(struct ol_rootfs *fs, const char *path, bool for_attributes,
                    struct ol_place *ret)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    ol_auto_free char *dir = NULL;
    int r = ol_rootfs_split(path, &dir, &place.name);

    if (r < 0)
        return r;
    if (*place.name == '\0') {
        free(place.name);
        place.name = strdup(".");
        if (place.name == NULL)
            return -ENOMEM;
        if (!for_attributes)
            return -EBUSY;
    }
    place.dir_fd = ol_path_open(dir_from(fs)->root_fd, dir, O_PATH | O_DIRECTORY, 0);
    if (place.dir_fd < 0)
        return place.dir_fd;
    if (strcmp(place.name, ".") != 0) /* else putting the mode back would undo a chmod */
        ol_place_grant(&place);
    *ret = place;
    place = (struct ol_place)OL_PLACE_INIT;
    return 0;
}

static int dir_stat(struct ol_rootfs *fs, const char *path, bool follow, struct stat *ret)
{
    ol_auto_fd int fd = ol_path_open(dir_from(fs)->root_fd, path,
                                     O_PATH | (follow ? 0 : O_NOFOLLOW), 0);

    if (fd < 0)
        return fd;
    return fstat(fd, ret) < 0 ? -errno : 0;
}

static int dir_touch(struct ol_rootfs *fs, const char *path, struct ol_place *ret)
{
    return place_at(fs, path, true, ret);
}

static int dir_open_file(struct ol_rootfs *fs, const char *path, bool write, int *ret_fd)
{
    ol_auto_fd int probe = ol_path_open(dir_from(fs)->root_fd, path, O_PATH, 0);
    struct stat st;
    int fd;

    if (probe < 0)
        return probe;
    if (fstat(probe, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode)) /* asked before opening: to open a device can already do something */
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    fd = ol_path_open(dir_from(fs)->root_fd, path,
                      (write ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY, 0);
    if (fd == -EACCES && write)
        fd = ol_at_open_lent(probe, O_WRONLY);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

static int dir_mkdir(struct ol_rootfs *fs, const char *path, mode_t mode)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = place_at(fs, path, false, &place);

    return r < 0 ? r : ol_at_mkdir(place.dir_fd, place.name, mode);
}

static int dir_create(struct ol_rootfs *fs, const char *path, mode_t mode, const void *data,
                      size_t len)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = place_at(fs, path, false, &place);

    return r < 0 ? r : ol_at_create(place.dir_fd, place.name, mode, data, len);
}

static int dir_symlink(struct ol_rootfs *fs, const char *target, const char *path)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = place_at(fs, path, false, &place);

    return r < 0 ? r : ol_at_symlink(target, place.dir_fd, place.name);
}

static int dir_mknod(struct ol_rootfs *fs, const char *path, mode_t mode, dev_t dev)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = place_at(fs, path, false, &place);

    return r < 0 ? r : ol_at_mknod(place.dir_fd, place.name, mode, dev);
}

/* Two places at once; the second grant must not read what the first one changed. */
static int two_places(struct ol_rootfs *fs, const char *old_path, const char *new_path,
                      struct ol_place *ret_old, struct ol_place *ret_new)
{
    int r = place_at(fs, old_path, false, ret_old);

    return r < 0 ? r : place_at(fs, new_path, false, ret_new);
}

static int dir_link(struct ol_rootfs *fs, const char *old_path, const char *new_path)
{
    ol_auto_place struct ol_place old = OL_PLACE_INIT;
    ol_auto_place struct ol_place new = OL_PLACE_INIT;
    struct stat st;
    int r = dir_stat(fs, old_path, false, &st); /* linkat(2) looks at the old name first */

    if (r == 0)
        r = two_places(fs, old_path, new_path, &old, &new);
    return r < 0 ? r : ol_at_link(old.dir_fd, old.name, new.dir_fd, new.name);
}

static int dir_unlink(struct ol_rootfs *fs, const char *path)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = place_at(fs, path, false, &place);

    return r < 0 ? r : ol_at_unlink(place.dir_fd, place.name, 0);
}

static int dir_rmdir(struct ol_rootfs *fs, const char *path)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = place_at(fs, path, false, &place);

    return r < 0 ? r : ol_at_unlink(place.dir_fd, place.name, AT_REMOVEDIR);
}

static int dir_remove_tree(struct ol_rootfs *fs, const char *path, struct ol_error *err)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = place_at(fs, path, false, &place);

    if (r == -ENOENT || r == -ENOTDIR) /* not even its directory is there */
        return 0;
    return r < 0 ? r : ol_tree_remove(place.dir_fd, place.name, err);
}

static int dir_rename(struct ol_rootfs *fs, const char *old_path, const char *new_path)
{
    ol_auto_place struct ol_place old = OL_PLACE_INIT;
    ol_auto_place struct ol_place new = OL_PLACE_INIT;
    int r = two_places(fs, old_path, new_path, &old, &new);

    return r < 0 ? r : ol_at_rename(old.dir_fd, old.name, new.dir_fd, new.name, 0);
}

static int dir_list(struct ol_rootfs *fs, const char *path, char ***ret)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_path_open(dir_from(fs)->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
    char **names;
    int r;

    if (fd < 0)
        return fd;
    r = ol_dirents_read(&list, fd, false);
    if (r < 0)
        return r;
    names = calloc(list.count + 1, sizeof *names);
    if (names == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < list.count; i++) {
        names[i] = strdup(list.items[i].name);
        if (names[i] == NULL) {
            ol_rootfs_names_free(names);
            return -ENOMEM;
        }
    }
    *ret = ol_rootfs_names_seal(names, list.count);
    return 0;
}

static int dir_close(struct ol_rootfs *fs, struct ol_error *err)
{
    (void)err; /* nothing that could fail */
    ol_fd_close(&dir_from(fs)->root_fd);
    free(fs);
    return 0;
}

static const struct ol_rootfs_ops dir_ops = {
    .stat = dir_stat,
    .touch = dir_touch,
    .open_file = dir_open_file,
    .mkdir = dir_mkdir,
    .create = dir_create,
    .symlink = dir_symlink,
    .mknod = dir_mknod,
    .link = dir_link,
    .unlink = dir_unlink,
    .rmdir = dir_rmdir,
    .remove_tree = dir_remove_tree,
    .rename = dir_rename,
    .list = dir_list,
    .close = dir_close,
};

int ol_rootfs_open_dir(int root_fd, struct ol_rootfs **ret, struct ol_error *err)
{
    struct dir_rootfs *d = calloc(1, sizeof *d);

    if (d == NULL) {
        ol_fd_close(&root_fd); /* taken over, whatever happens */
        return ol_error_nomem(err);
    }
    d->base.ops = &dir_ops;
    d->root_fd = root_fd;
    *ret = &d->base;
    return 0;
}
