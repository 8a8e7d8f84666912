/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of rootfs.h: dispatch to the implementation, and the text of errors. */
#include "drivers/rootfs_impl.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/xattr.h"
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int ol_rootfs_lstat(struct ol_rootfs *fs, const char *path, struct stat *ret, struct ol_error *err)
{
    int r = fs->ops->stat(fs, path, false, ret);

    return r < 0 ? ol_error_sys(err, -r, "cannot stat '%s'", path) : 0;
}

int ol_rootfs_stat(struct ol_rootfs *fs, const char *path, struct stat *ret, struct ol_error *err)
{
    int r = fs->ops->stat(fs, path, true, ret);

    return r < 0 ? ol_error_sys(err, -r, "cannot stat '%s'", path) : 0;
}

int ol_rootfs_mkdir(struct ol_rootfs *fs, const char *path, mode_t mode, struct ol_error *err)
{
    int r = fs->ops->mkdir(fs, path, mode);

    return r < 0 ? ol_error_sys(err, -r, "cannot make directory '%s'", path) : 0;
}

int ol_rootfs_create(struct ol_rootfs *fs, const char *path, mode_t mode, const void *data,
                     size_t len, struct ol_error *err)
{
    int r = fs->ops->create(fs, path, mode, data, len);

    return r < 0 ? ol_error_sys(err, -r, "cannot create '%s'", path) : 0;
}

static int overwrite(struct ol_rootfs *fs, const char *path, const void *data, size_t len)
{
    ol_auto_fd int fd = -1;
    int r = fs->ops->open_file(fs, path, true, &fd);

    if (r < 0)
        return r;
    r = ol_fault_hit("write") ? -EIO : ol_io_write(fd, data, len);
    if (r < 0)
        return r;
    return ftruncate(fd, (off_t)len) < 0 ? -errno : 0;
}

int ol_rootfs_write(struct ol_rootfs *fs, const char *path, const void *data, size_t len,
                    struct ol_error *err)
{
    int r = overwrite(fs, path, data, len);

    return r < 0 ? ol_error_sys(err, -r, "cannot write '%s'", path) : 0;
}

static int append(struct ol_rootfs *fs, const char *path, const void *data, size_t len)
{
    ol_auto_fd int fd = -1;
    int r = fs->ops->open_file(fs, path, true, &fd);

    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_END) < 0)
        return -errno;
    return ol_fault_hit("write") ? -EIO : ol_io_write(fd, data, len);
}

int ol_rootfs_append(struct ol_rootfs *fs, const char *path, const void *data, size_t len,
                     struct ol_error *err)
{
    int r = append(fs, path, data, len);

    return r < 0 ? ol_error_sys(err, -r, "cannot append to '%s'", path) : 0;
}

int ol_rootfs_symlink(struct ol_rootfs *fs, const char *target, const char *path,
                      struct ol_error *err)
{
    int r = fs->ops->symlink(fs, target, path);

    return r < 0 ? ol_error_sys(err, -r, "cannot make symlink '%s'", path) : 0;
}

int ol_rootfs_mknod(struct ol_rootfs *fs, const char *path, mode_t mode, dev_t dev,
                    struct ol_error *err)
{
    int r = fs->ops->mknod(fs, path, mode, dev);

    return r < 0 ? ol_error_sys(err, -r, "cannot make device '%s'", path) : 0;
}

int ol_rootfs_link(struct ol_rootfs *fs, const char *old_path, const char *new_path,
                   struct ol_error *err)
{
    int r = fs->ops->link(fs, old_path, new_path);

    return r < 0 ? ol_error_sys(err, -r, "cannot link '%s' to '%s'", new_path, old_path) : 0;
}

int ol_rootfs_unlink(struct ol_rootfs *fs, const char *path, struct ol_error *err)
{
    int r = fs->ops->unlink(fs, path);

    return r < 0 ? ol_error_sys(err, -r, "cannot unlink '%s'", path) : 0;
}

int ol_rootfs_rmdir(struct ol_rootfs *fs, const char *path, struct ol_error *err)
{
    int r = fs->ops->rmdir(fs, path);

    return r < 0 ? ol_error_sys(err, -r, "cannot remove directory '%s'", path) : 0;
}

int ol_rootfs_remove_tree(struct ol_rootfs *fs, const char *path, struct ol_error *err)
{
    ol_auto_error struct ol_error inner = OL_ERROR_INIT;
    int r = fs->ops->remove_tree(fs, path, &inner);

    if (r >= 0)
        return 0;
    if (inner.code == 0)
        return ol_error_sys(err, -r, "cannot remove '%s'", path);
    (void)ol_error_wrap(&inner, r, "cannot remove '%s'", path); /* r again */
    ol_error_move(err, &inner);
    return r;
}

int ol_rootfs_rename(struct ol_rootfs *fs, const char *old_path, const char *new_path,
                     struct ol_error *err)
{
    int r = fs->ops->rename(fs, old_path, new_path);

    return r < 0 ? ol_error_sys(err, -r, "cannot rename '%s' to '%s'", old_path, new_path) : 0;
}

int ol_rootfs_chmod(struct ol_rootfs *fs, const char *path, mode_t mode, struct ol_error *err)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    struct stat st;
    int r = fs->ops->stat(fs, path, false, &st);

    if (r == 0 && S_ISLNK(st.st_mode)) /* has no mode; told before it is copied up for nothing */
        r = -EOPNOTSUPP;
    if (r == 0)
        r = fs->ops->touch(fs, path, &place);
    if (r == 0)
        r = ol_at_chmod(place.dir_fd, place.name, mode);
    return r < 0 ? ol_error_sys(err, -r, "cannot change the mode of '%s'", path) : 0;
}

int ol_rootfs_chown(struct ol_rootfs *fs, const char *path, uid_t uid, gid_t gid,
                    struct ol_error *err)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = fs->ops->touch(fs, path, &place);

    if (r == 0)
        r = ol_at_chown(place.dir_fd, place.name, uid, gid);
    return r < 0 ? ol_error_sys(err, -r, "cannot change the owner of '%s'", path) : 0;
}

int ol_rootfs_set_mtime(struct ol_rootfs *fs, const char *path, struct timespec mtime,
                        struct ol_error *err)
{
    const struct timespec times[2] = {mtime, mtime};
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = fs->ops->touch(fs, path, &place);

    if (r == 0)
        r = ol_at_utimens(place.dir_fd, place.name, times);
    return r < 0 ? ol_error_sys(err, -r, "cannot set the time of '%s'", path) : 0;
}

static bool is_wanted(const struct ol_meta *meta, const char *attr)
{
    for (size_t i = 0; i < meta->n_xattrs; i++) {
        if (strcmp(meta->xattrs[i].name, attr) == 0)
            return true;
    }
    return false;
}

static int drop_xattrs(const struct ol_place *place, const struct ol_meta *meta)
{
    ol_auto_buf struct ol_buf names = OL_BUF_INIT;
    int r = ol_xattr_list(place->dir_fd, place->name, &names);

    for (size_t at = 0; r >= 0 && at < names.len; at += strlen(names.data + at) + 1) {
        const char *attr = names.data + at;

        if (ol_xattr_importable(attr) && !is_wanted(meta, attr))
            r = ol_xattr_remove(place->dir_fd, place->name, attr);
    }
    return r < 0 ? r : 0;
}

static int set_meta(const struct ol_place *place, const struct ol_meta *meta,
                    struct ol_meta_counts *counts)
{
    struct stat st;
    int r = drop_xattrs(place, meta);

    if (r < 0)
        return r;
    if (fstatat(place->dir_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return ol_meta_apply(place->dir_fd, place->name, &st, meta, counts);
}

int ol_rootfs_set_meta(struct ol_rootfs *fs, const char *path, const struct ol_meta *meta,
                       struct ol_meta_counts *counts, struct ol_error *err)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = fs->ops->touch(fs, path, &place);

    if (r == 0)
        r = set_meta(&place, meta, counts);
    return r < 0 ? ol_error_sys(err, -r, "cannot set the metadata of '%s'", path) : 0;
}

int ol_rootfs_open(struct ol_rootfs *fs, const char *path, bool write, int *ret_fd,
                   struct ol_error *err)
{
    int r = fs->ops->open_file(fs, path, write, ret_fd);

    return r < 0 ? ol_error_sys(err, -r, "cannot open '%s'", path) : 0;
}

static int read_all(int fd, size_t max, struct ol_buf *buf)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size > max)
        return -E2BIG;
    if (ol_buf_reserve(buf, (size_t)st.st_size) < 0)
        return -ENOMEM;
    n = ol_io_read(fd, buf->data + buf->len, (size_t)st.st_size);
    if (n < 0)
        return (int)n;
    buf->len += (size_t)n;
    buf->data[buf->len] = '\0';
    return 0;
}

int ol_rootfs_read(struct ol_rootfs *fs, const char *path, size_t max, struct ol_buf *buf,
                   struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    int r = fs->ops->open_file(fs, path, false, &fd);

    if (r == 0)
        r = read_all(fd, max, buf);
    return r < 0 ? ol_error_sys(err, -r, "cannot read '%s'", path) : 0;
}

int ol_rootfs_list(struct ol_rootfs *fs, const char *path, char ***ret, struct ol_error *err)
{
    int r = fs->ops->list(fs, path, ret);

    return r < 0 ? ol_error_sys(err, -r, "cannot list '%s'", path) : 0;
}

void ol_rootfs_names_free(char **names)
{
    if (names == NULL)
        return;
    for (char **name = names; *name != NULL; name++)
        free(*name);
    free(names);
}

int ol_rootfs_close(struct ol_rootfs *fs, struct ol_error *err)
{
    int (*on_close)(void *data, struct ol_error *e);
    void *data;
    int closed;
    int r;

    if (fs == NULL)
        return 0;
    on_close = fs->on_close;
    data = fs->on_close_data;
    closed = fs->ops->close(fs, err); /* its descriptors first: they would keep a mount busy */
    r = on_close != NULL ? on_close(data, closed < 0 ? NULL : err) : 0;
    return closed < 0 ? closed : r;
}

void ol_rootfs_on_close(struct ol_rootfs *fs, int (*fn)(void *data, struct ol_error *err),
                        void *data)
{
    fs->on_close = fn;
    fs->on_close_data = data;
}
