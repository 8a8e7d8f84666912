/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that entries only imply, in an upper directory: they get what the lower directory
 * they come to lie over has, or the mount would show another one (containerd archive/tar.go,
 * mkparent, copyDirInfo, copyUpXAttrs).
 */
#include "common/layer/apply.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/xattr.h"
#include "common/layer/sys.h"

#include <errno.h>
#include <fcntl.h>

enum { OWNER_RWX = 0700 }; /* what we ourselves need until everything is in it */

/* The attributes overlayfs keeps for itself say something about the lower directory alone. */
static bool is_copied(const struct ol_apply *a, const char *attr)
{
    if (strncmp(attr, "trusted.", 8) == 0)
        return false;
    return a->options.ns != OL_OVERLAY_USER || strncmp(attr, "user.overlay.", 13) != 0;
}

static int copy_xattr(struct ol_apply *a, int from, const struct ol_dir *dir, const char *attr)
{
    ol_auto_free char *value = NULL;
    ssize_t len = ol_xattr_get(from, "", attr, NULL, 0);
    int r;

    if (len == -ENODATA || len == -EOPNOTSUPP)
        return 0;
    if (len < 0)
        return (int)len;
    if (ol_xattr_get(dir->fd, "", attr, NULL, 0) >= 0)
        return 0; /* inherited from the directory it was made in: that one stays */
    value = malloc((size_t)len + 1);
    if (value == NULL)
        return -ENOMEM;
    len = ol_xattr_get(from, "", attr, value, (size_t)len);
    r = len < 0 ? (int)len : ol_xattr_set(dir->fd, "", attr, value, (size_t)len);
    if (r == -EOPNOTSUPP || r == -EPERM) {
        a->counts.dropped_xattrs++;
        return 0;
    }
    return r;
}

static int copy_xattrs(struct ol_apply *a, int from, const struct ol_dir *dir)
{
    ol_auto_buf struct ol_buf names = OL_BUF_INIT;
    int r = ol_xattr_list(from, "", &names);

    for (size_t at = 0; r == 0 && at < names.len; at += strlen(names.data + at) + 1) {
        if (is_copied(a, names.data + at))
            r = copy_xattr(a, from, dir, names.data + at);
    }
    return r;
}

/* Owner, mode, times, attributes. What is made in the directory next changes its modification time
 * again, as it does in containerd. */
static int copy_meta(struct ol_apply *a, int from, struct ol_dir *dir)
{
    struct ol_late_record late = {
        .flags = OL_LATE_MODE | OL_LATE_SELF, .path = dir->path, .at = dir};
    struct ol_meta meta = {.keep_owner = a->options.keep_owner};
    struct stat lower;
    struct stat st;
    int r;

    if (fstat(from, &lower) < 0 || fstat(dir->fd, &st) < 0)
        return -errno;
    late.mode = lower.st_mode & 07777;
    late.dev = st.st_dev;
    late.ino = st.st_ino;
    meta.mode = late.mode | OWNER_RWX;
    meta.uid = lower.st_uid;
    meta.gid = lower.st_gid;
    r = ol_meta_apply(dir->fd, "", &st, &meta, &a->counts);
    if (r == 0 && meta.mode != late.mode)
        r = ol_apply_late(a, &late);
    if (r == 0)
        r = ol_sys_set_both_times(dir->fd, "", lower.st_atim, lower.st_mtim);
    return r == 0 ? copy_xattrs(a, from, dir) : r;
}

/* @return a descriptor; -ENOENT this one does not have it; -ENOTDIR it was replaced there */
static int open_lower(const struct ol_layer_lowers *lowers, size_t index, const char *path)
{
    ol_auto_fd int root_fd = lowers->open(lowers->data, index);

    return root_fd < 0 ? root_fd : ol_path_open(root_fd, path, O_RDONLY | O_DIRECTORY, 0);
}

int ol_apply_implied(void *data, struct ol_dir *dir)
{
    struct ol_apply *a = data;
    const struct ol_layer_lowers *lowers = a->options.lowers;

    for (size_t i = 0; i < lowers->count; i++) {
        ol_auto_fd int fd = open_lower(lowers, i, dir->path);

        if (fd == -ENOENT)
            continue;
        if (fd == -ENOTDIR) /* a whiteout, a file: nothing below it is seen any more */
            return 0;
        return fd < 0 ? fd : copy_meta(a, fd, dir);
    }
    return 0;
}
