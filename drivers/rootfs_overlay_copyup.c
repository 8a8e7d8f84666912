/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy-up and whiteouts of an unmounted overlay, after Linux fs/overlayfs/copy_up.c and dir.c:
 * everything is made complete in work/work and moved into the upper by one rename, so that a kill
 * at any instant leaves either the lower object or its whole copy in view.
 *
 * As with index=off, a file with several names in the lower layer is copied up alone: the link is
 * broken. Owners and attributes that this process may not give away are left out without an error;
 * the same user could not have given them to the lower object either.
 */
#include "drivers/rootfs_overlay.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void ol_ovl_temp_name(struct ol_ovl *o, char ret[static 16])
{
    (void)snprintf(ret, 16, "#%x", o->next_temp++);
}

/* Where a copy-up reads from and what it makes. */
struct source {
    int dir_fd; /* borrowed */
    const char *name;
    const struct stat *st;
};

static int copy_content(struct ol_ovl *o, const struct source *src, const char *temp)
{
    ol_auto_fd int in = ol_at_open_file(src->dir_fd, src->name, O_RDONLY);
    ol_auto_fd int out = -1;
    int r;

    if (in < 0)
        return in;
    if (ol_fault_hit("openat"))
        return -EIO;
    out = openat(o->work_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return -errno;
    r = ol_file_copy_data(in, out, (uint64_t)src->st->st_size, NULL);
    /* The copy hides the only good content: it must not be lost with the power (ovl_copy_up_file).
     */
    return r < 0 ? r : ol_fs_sync(out, temp, NULL);
}

static int make_object(struct ol_ovl *o, const struct source *src, const char *temp)
{
    ol_auto_free char *text = NULL;
    int r;

    switch (src->st->st_mode & S_IFMT) {
    case S_IFDIR:
        return ol_at_mkdir(o->work_fd, temp, 0700);
    case S_IFREG:
        return copy_content(o, src, temp);
    case S_IFLNK:
        r = ol_at_readlink(src->dir_fd, src->name, &text);
        return r < 0 ? r : ol_at_symlink(text, o->work_fd, temp);
    default:
        if (ol_fault_hit("mknodat"))
            return -EIO;
        return mknodat(o->work_fd, temp, src->st->st_mode & (S_IFMT | 0600), src->st->st_rdev) < 0
                   ? -errno
                   : 0;
    }
}

static bool is_overlay_attr(const char *attr)
{
    static const char trusted[] = "trusted.overlay.";
    static const char user[] = "user.overlay.";

    return strncmp(attr, trusted, sizeof trusted - 1) == 0 ||
           strncmp(attr, user, sizeof user - 1) == 0;
}

/* What an unprivileged process, or this file system, cannot keep. */
static bool is_refusal(int r)
{
    return r == -EPERM || r == -EACCES || r == -EOPNOTSUPP;
}

static int copy_xattr(struct ol_ovl *o, const struct source *src, const char *temp,
                      const char *attr, struct ol_buf *value)
{
    ssize_t n;
    int r = ol_buf_reserve(value, OL_XATTR_VALUE_MAX);

    if (r < 0)
        return r;
    n = ol_xattr_get(src->dir_fd, src->name, attr, value->data, OL_XATTR_VALUE_MAX);
    if (n == -ENODATA || is_refusal((int)n))
        return 0;
    if (n < 0)
        return (int)n;
    r = ol_xattr_set(o->work_fd, temp, attr, value->data, (size_t)n);
    return is_refusal(r) ? 0 : r;
}

static int copy_xattrs(struct ol_ovl *o, const struct source *src, const char *temp)
{
    ol_auto_buf struct ol_buf names = OL_BUF_INIT;
    ol_auto_buf struct ol_buf value = OL_BUF_INIT;
    int r = ol_xattr_list(src->dir_fd, src->name, &names);

    for (size_t at = 0; r == 0 && at < names.len; at += strlen(names.data + at) + 1) {
        if (!is_overlay_attr(names.data + at))
            r = copy_xattr(o, src, temp, names.data + at, &value);
    }
    return r;
}

/*
 * Owner before attributes and mode: chown drops security.capability and set-id bits. Mode after
 * attributes: user.* can only be set on what is writable. Times last.
 */
static int copy_metadata(struct ol_ovl *o, const struct source *src, const char *temp)
{
    const struct timespec times[2] = {src->st->st_atim, src->st->st_mtim};
    struct stat now;
    int r = 0;

    if (fstatat(o->work_fd, temp, &now, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (now.st_uid != src->st->st_uid || now.st_gid != src->st->st_gid) {
        r = ol_at_chown(o->work_fd, temp, src->st->st_uid, src->st->st_gid);
        if (is_refusal(r) || r == -EINVAL) /* EINVAL: no id of this user namespace */
            r = 0;
    }
    if (r == 0)
        r = copy_xattrs(o, src, temp);
    if (r == 0 && !S_ISLNK(src->st->st_mode))
        r = ol_at_chmod(o->work_fd, temp, src->st->st_mode & 07777);
    return r < 0 ? r : ol_at_utimens(o->work_fd, temp, times);
}

/* Move the copy into the upper directory, whose times stay: a copy-up is no change of it. */
static int move_up(struct ol_ovl *o, const char *temp, int upper_fd, const char *name)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    struct timespec times[2];
    struct stat st;
    int r;

    place.dir_fd = fcntl(upper_fd, F_DUPFD_CLOEXEC, 0);
    if (place.dir_fd < 0 || fstat(upper_fd, &st) < 0)
        return -errno;
    ol_place_grant(&place);
    r = ol_at_rename(o->work_fd, temp, upper_fd, name, RENAME_NOREPLACE);
    if (r < 0)
        return r;
    times[0] = st.st_atim;
    times[1] = st.st_mtim;
    (void)utimensat(upper_fd, ".", times, 0); /* best effort, as the kernel's */
    return 0;
}

int ol_ovl_copy_up(struct ol_ovl *o, const struct ol_ovl_dir *parent, const char *name,
                   const struct ol_ovl_found *found)
{
    const struct source src = {parent->fds[found->at], name, &found->st};
    char temp[16];
    int r;

    ol_ovl_temp_name(o, temp);
    r = make_object(o, &src, temp);
    if (r == 0)
        r = copy_metadata(o, &src, temp);
    if (r == 0)
        r = move_up(o, temp, parent->fds[0], name);
    if (r < 0) /* may not have been made; the first error counts */
        (void)unlinkat(o->work_fd, temp, S_ISDIR(found->st.st_mode) ? AT_REMOVEDIR : 0);
    return r;
}

/* After a copy-up of the directory name: put its upper descriptor first. */
static int dir_add_upper(const struct ol_ovl_dir *parent, const char *name, struct ol_ovl_dir *dir)
{
    int *fds = reallocarray(dir->fds, dir->n + 1, sizeof *fds);
    unsigned *layers;
    int fd;

    if (fds == NULL)
        return -ENOMEM;
    dir->fds = fds;
    layers = reallocarray(dir->layers, dir->n + 1, sizeof *layers);
    if (layers == NULL)
        return -ENOMEM;
    dir->layers = layers;
    fd = openat(parent->fds[0], name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    memmove(fds + 1, fds, dir->n * sizeof *fds);
    memmove(layers + 1, layers, dir->n * sizeof *layers);
    fds[0] = fd;
    layers[0] = 0;
    dir->n++;
    return 0;
}

/* One step of the way: the directory name of dir, in the upper too; becomes dir. */
static int copy_up_step(struct ol_ovl *o, struct ol_ovl_dir *dir, const char *name)
{
    ol_auto_ovl_found struct ol_ovl_found found = OL_OVL_FOUND_INIT;
    int r = ol_ovl_lookup(o, dir, name, &found);

    if (r == 0 && found.kind != OL_OVL_DIRECTORY)
        r = found.kind == OL_OVL_FILE ? -ENOTDIR : -ENOENT;
    if (r == 0 && !found.in_upper) {
        r = ol_ovl_copy_up(o, dir, name, &found);
        if (r == 0)
            r = dir_add_upper(dir, name, &found.dir);
    }
    if (r < 0)
        return r;
    ol_ovl_dir_fini(dir);
    *dir = found.dir;
    found.dir = (struct ol_ovl_dir)OL_OVL_DIR_INIT;
    return 0;
}

int ol_ovl_copy_up_parent(struct ol_ovl *o, struct ol_ovl_pos *pos)
{
    ol_auto_ovl_dir struct ol_ovl_dir dir = OL_OVL_DIR_INIT;
    ol_auto_free char *path = NULL;
    char *save = NULL;
    int r;

    if (ol_ovl_dir_in_upper(&pos->parent))
        return 0;
    path = strdup(pos->dir_path);
    r = path == NULL ? -ENOMEM : ol_ovl_open_root(o, &dir);
    for (char *name = r < 0 ? NULL : strtok_r(path, "/", &save); r == 0 && name != NULL;
         name = strtok_r(NULL, "/", &save))
        r = copy_up_step(o, &dir, name);
    if (r < 0)
        return r;
    ol_ovl_dir_fini(&pos->parent);
    pos->parent = dir;
    dir = (struct ol_ovl_dir)OL_OVL_DIR_INIT;
    return ol_ovl_lookup(o, &pos->parent, pos->name, &pos->found);
}

int ol_ovl_copy_up_pos(struct ol_ovl *o, struct ol_ovl_pos *pos)
{
    int r = ol_ovl_copy_up_parent(o, pos);

    if (r < 0 || pos->found.in_upper)
        return r;
    r = ol_ovl_copy_up(o, &pos->parent, pos->name, &pos->found);
    return r < 0 ? r : ol_ovl_lookup(o, &pos->parent, pos->name, &pos->found);
}

/*
 * ovl_whiteout() of Linux 5.8 and later: the first one made stays in work/work, and every whiteout
 * put into the upper is a further link to it. Past the file system's limit of links the cached one
 * itself is used, and the next call makes a new one.
 */
int ol_ovl_take_whiteout(struct ol_ovl *o, char ret[static 16])
{
    int r;

    if (*o->whiteout == '\0') {
        ol_ovl_temp_name(o, ret);
        r = ol_whiteout_make(o->work_fd, ret);
        if (r < 0)
            return r;
        memcpy(o->whiteout, ret, sizeof o->whiteout);
    }
    if (!o->no_shared_whiteout) {
        ol_ovl_temp_name(o, ret);
        r = ol_at_link(o->work_fd, o->whiteout, o->work_fd, ret);
        if (r == 0)
            return 0;
        if (r != -EMLINK)
            o->no_shared_whiteout = true;
    }
    memcpy(ret, o->whiteout, sizeof o->whiteout);
    *o->whiteout = '\0';
    return 0;
}
