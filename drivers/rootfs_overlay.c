/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations on an unmounted overlay, each in the order of Linux fs/overlayfs/dir.c and with
 * the same outcome in the upper directory and in work/work, to the inode. What differs: origin and
 * impure attributes are not written (they only keep inode numbers of a mount stable), and a default
 * ACL is not inherited by an object made over a whiteout.
 */
#include "drivers/rootfs_overlay.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/fs/whiteout.h"
#include "common/fs/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct ol_ovl *ovl_from(struct ol_rootfs *fs)
{
    return (struct ol_ovl *)fs;
}

/* Resolve a path that is to be changed. */
static int resolve_rw(struct ol_ovl *o, const char *path, bool follow, struct ol_ovl_pos *pos)
{
    int r = ol_ovl_resolve(o, path, follow, pos);

    return r == 0 && o->work_fd < 0 ? -EROFS : r;
}

/* The position's place in the upper layer, writable for as long as it is held. */
static int upper_place(const struct ol_ovl_pos *pos, struct ol_place *ret)
{
    bool root = *pos->name == '\0';

    ret->dir_fd = fcntl(pos->parent.fds[0], F_DUPFD_CLOEXEC, 0);
    if (ret->dir_fd < 0)
        return -errno;
    ret->name = strdup(root ? "." : pos->name);
    if (ret->name == NULL)
        return -ENOMEM;
    if (!root) /* else putting the mode back would undo a chmod */
        ol_place_grant(ret);
    return 0;
}

static int ovl_stat(struct ol_rootfs *fs, const char *path, bool follow, struct stat *ret)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    int r = ol_ovl_resolve(ovl_from(fs), path, follow, &pos);

    if (r < 0)
        return r;
    if (pos.found.kind == OL_OVL_MISSING)
        return -ENOENT;
    *ret = pos.found.st;
    return 0;
}

static int ovl_touch(struct ol_rootfs *fs, const char *path, struct ol_place *ret)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    int r = resolve_rw(ovl_from(fs), path, false, &pos);

    if (r == 0 && pos.found.kind == OL_OVL_MISSING)
        r = -ENOENT;
    if (r == 0)
        r = ol_ovl_copy_up_pos(ovl_from(fs), &pos);
    return r < 0 ? r : upper_place(&pos, ret);
}

static int ovl_open_file(struct ol_rootfs *fs, const char *path, bool write, int *ret_fd)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = write ? resolve_rw(ovl_from(fs), path, true, &pos)
                  : ol_ovl_resolve(ovl_from(fs), path, true, &pos);
    int fd;

    if (r < 0)
        return r;
    if (pos.found.kind == OL_OVL_MISSING)
        return -ENOENT;
    if (!S_ISREG(pos.found.st.st_mode))
        return S_ISDIR(pos.found.st.st_mode) ? -EISDIR : -EINVAL;
    if (write) {
        r = ol_ovl_copy_up_pos(ovl_from(fs), &pos);
        if (r == 0)
            r = upper_place(&pos, &place);
        if (r < 0)
            return r;
    }
    fd = ol_at_open_file(pos.parent.fds[pos.found.at], pos.name, write ? O_WRONLY : O_RDONLY);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

/* Something new is to be made at path: nothing is there, and the parent is in the upper. */
static int prepare_new(struct ol_ovl *o, const char *path, struct ol_ovl_pos *pos,
                       struct ol_place *place)
{
    int r = resolve_rw(o, path, false, pos);

    if (r < 0)
        return r;
    if (pos->found.kind != OL_OVL_MISSING)
        return -EEXIST;
    r = ol_ovl_copy_up_parent(o, pos);
    return r < 0 ? r : upper_place(pos, place);
}

/* What mkdir(2) and open(2) inherit from a directory with the set-group-id bit. */
static int inherit_group(int parent_fd, int dir_fd, const char *name)
{
    struct stat parent;
    struct stat st;
    int r;

    if (fstat(parent_fd, &parent) < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if ((parent.st_mode & S_ISGID) == 0)
        return 0;
    r = ol_at_chown(dir_fd, name, (uid_t)-1, parent.st_gid);
    if (r == 0 && S_ISDIR(st.st_mode))
        r = ol_at_chmod(dir_fd, name, (st.st_mode & 07777) | S_ISGID);
    return r;
}

/* The new file temp in work/work takes the whiteout's place. */
static int replace_whiteout(struct ol_ovl *o, const char *temp, const struct ol_place *place)
{
    return ol_at_rename(o->work_fd, temp, place->dir_fd, place->name, 0);
}

/* A directory over a whiteout is opaque: the lower one must not shine through. */
static int mkdir_over_whiteout(struct ol_ovl *o, const struct ol_place *place, mode_t mode)
{
    char temp[16];
    int r;

    ol_ovl_temp_name(o, temp);
    r = ol_at_mkdir(o->work_fd, temp, mode | S_IRWXU); /* attributes need a directory we can open */
    if (r < 0)
        return r;
    r = ol_xattr_set(o->work_fd, temp, ol_whiteout_opaque_attr(o->ns), "y", 1);
    if (r == 0 && (mode & S_IRWXU) != S_IRWXU)
        r = ol_at_chmod(o->work_fd, temp, mode);
    if (r == 0)
        r = inherit_group(place->dir_fd, o->work_fd, temp);
    if (r == 0)
        r = ol_at_rename(o->work_fd, temp, place->dir_fd, place->name, RENAME_EXCHANGE);
    if (r < 0) {
        (void)unlinkat(o->work_fd, temp, AT_REMOVEDIR); /* the first error counts */
        return r;
    }
    (void)unlinkat(o->work_fd, temp, 0); /* the whiteout; the next mount would clear it as well */
    return 0;
}

static int ovl_mkdir(struct ol_rootfs *fs, const char *path, mode_t mode)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = prepare_new(ovl_from(fs), path, &pos, &place);

    if (r < 0)
        return r;
    if (pos.found.upper_whiteout)
        return mkdir_over_whiteout(ovl_from(fs), &place, mode);
    return ol_at_mkdir(place.dir_fd, place.name, mode);
}

/* Move a new non-directory from work/work over the whiteout at place, or take it back. */
static int finish_over_whiteout(struct ol_ovl *o, const char *temp, const struct ol_place *place,
                                bool inherit)
{
    int r = inherit ? inherit_group(place->dir_fd, o->work_fd, temp) : 0;

    if (r == 0)
        r = replace_whiteout(o, temp, place);
    if (r < 0)
        (void)unlinkat(o->work_fd, temp, 0); /* the first error counts */
    return r;
}

static int ovl_create(struct ol_rootfs *fs, const char *path, mode_t mode, const void *data,
                      size_t len)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    struct ol_ovl *o = ovl_from(fs);
    char temp[16];
    int r = prepare_new(o, path, &pos, &place);

    if (r < 0)
        return r;
    if (!pos.found.upper_whiteout)
        return ol_at_create(place.dir_fd, place.name, mode, data, len);
    ol_ovl_temp_name(o, temp);
    r = ol_at_create(o->work_fd, temp, mode, data, len);
    return r < 0 ? r : finish_over_whiteout(o, temp, &place, true);
}

static int ovl_symlink(struct ol_rootfs *fs, const char *target, const char *path)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    struct ol_ovl *o = ovl_from(fs);
    char temp[16];
    int r = prepare_new(o, path, &pos, &place);

    if (r < 0)
        return r;
    if (!pos.found.upper_whiteout)
        return ol_at_symlink(target, place.dir_fd, place.name);
    ol_ovl_temp_name(o, temp);
    r = ol_at_symlink(target, o->work_fd, temp);
    return r < 0 ? r : finish_over_whiteout(o, temp, &place, true);
}

static int ovl_mknod(struct ol_rootfs *fs, const char *path, mode_t mode, dev_t dev)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    struct ol_ovl *o = ovl_from(fs);
    char temp[16];
    int r;

    if (S_ISCHR(mode) && dev == 0) /* a whiteout: the kernel's overlay refuses it as well */
        return -EPERM;
    r = prepare_new(o, path, &pos, &place);
    if (r < 0)
        return r;
    if (!pos.found.upper_whiteout)
        return ol_at_mknod(place.dir_fd, place.name, mode, dev);
    ol_ovl_temp_name(o, temp);
    r = ol_at_mknod(o->work_fd, temp, mode, dev);
    return r < 0 ? r : finish_over_whiteout(o, temp, &place, true);
}

static int ovl_link(struct ol_rootfs *fs, const char *old_path, const char *new_path)
{
    ol_auto_ovl_pos struct ol_ovl_pos old = OL_OVL_POS_INIT;
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    struct ol_ovl *o = ovl_from(fs);
    char temp[16];
    int r = resolve_rw(o, old_path, false, &old);

    if (r == 0 && old.found.kind == OL_OVL_MISSING)
        r = -ENOENT;
    if (r == 0)
        r = ol_ovl_resolve(o, new_path, false, &pos);
    if (r == 0 && pos.found.kind != OL_OVL_MISSING)
        r = -EEXIST;
    if (r == 0 && old.found.kind == OL_OVL_DIRECTORY)
        r = -EPERM;
    if (r == 0)
        r = ol_ovl_copy_up_pos(o, &old);
    if (r == 0)
        r = prepare_new(o, new_path, &pos,
                        &place); /* again: old's copy-up may have made its parent */
    if (r < 0)
        return r;
    if (!pos.found.upper_whiteout)
        return ol_at_link(old.parent.fds[0], old.name, place.dir_fd, place.name);
    ol_ovl_temp_name(o, temp);
    r = ol_at_link(old.parent.fds[0], old.name, o->work_fd, temp);
    return r < 0 ? r : finish_over_whiteout(o, temp, &place, false);
}

/*
 * Remove what was moved out of the upper into work/work. The operation is done by then, so a
 * failure is not its own: closing tries again and reports it, and the next mount would clear it.
 */
static void discard(struct ol_ovl *o, const char *temp)
{
    if (ol_tree_remove(o->work_fd, temp, NULL) < 0)
        o->leftovers = true;
}

/*
 * Put a whiteout at place (ovl_cleanup_and_whiteout). What the upper has there, a directory with
 * whatever it still holds, goes to work/work in the same rename and is removed from there.
 */
static int put_whiteout(struct ol_ovl *o, const struct ol_ovl_pos *pos,
                        const struct ol_place *place)
{
    bool exchange = pos->found.in_upper && pos->found.kind == OL_OVL_DIRECTORY;
    char temp[16];
    int r = ol_ovl_take_whiteout(o, temp);

    if (r < 0)
        return r;
    r = ol_at_rename(o->work_fd, temp, place->dir_fd, place->name, exchange ? RENAME_EXCHANGE : 0);
    if (r < 0) {
        (void)unlinkat(o->work_fd, temp, 0); /* the first error counts */
        return r;
    }
    if (exchange)
        discard(o, temp);
    return 0;
}

/* Remove a directory that only the upper has, with the whiteouts or the content in it. */
static int drop_upper_dir(struct ol_ovl *o, const struct ol_place *place)
{
    char temp[16];
    int r;

    ol_ovl_temp_name(o, temp);
    r = ol_at_rename(place->dir_fd, place->name, o->work_fd, temp, 0);
    if (r == 0)
        discard(o, temp);
    return r;
}

/* Remove the object at pos, in the upper by itself, or by a whiteout where a lower one would show.
 */
static int remove_pos(struct ol_ovl *o, struct ol_ovl_pos *pos)
{
    ol_auto_place struct ol_place place = OL_PLACE_INIT;
    int r = ol_ovl_copy_up_parent(o, pos);

    if (r == 0)
        r = upper_place(pos, &place);
    if (r < 0)
        return r;
    if (ol_ovl_lower_positive(&pos->parent, pos->name, &pos->found))
        return put_whiteout(o, pos, &place);
    if (pos->found.kind == OL_OVL_DIRECTORY)
        return drop_upper_dir(o, &place);
    return ol_at_unlink(place.dir_fd, place.name, 0);
}

static int ovl_unlink(struct ol_rootfs *fs, const char *path)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    int r = resolve_rw(ovl_from(fs), path, false, &pos);

    if (r < 0)
        return r;
    if (pos.found.kind != OL_OVL_FILE)
        return pos.found.kind == OL_OVL_MISSING ? -ENOENT : -EISDIR;
    return remove_pos(ovl_from(fs), &pos);
}

static int ovl_rmdir(struct ol_rootfs *fs, const char *path)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    int r = resolve_rw(ovl_from(fs), path, false, &pos);

    if (r < 0)
        return r;
    if (pos.found.kind != OL_OVL_DIRECTORY)
        return pos.found.kind == OL_OVL_MISSING ? -ENOENT : -ENOTDIR;
    if (*pos.name == '\0')
        return -EBUSY;
    r = ol_ovl_is_empty(&pos.found.dir);
    return r < 0 ? r : remove_pos(ovl_from(fs), &pos);
}

/*
 * What removing entry by entry through a mount ends with, in one step: a whiteout over the tree, or
 * nothing where no lower layer has the name.
 */
static int ovl_remove_tree(struct ol_rootfs *fs, const char *path, struct ol_error *err)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    int r = resolve_rw(ovl_from(fs), path, false, &pos);

    (void)err; /* the dispatcher's text says it all */
    if (r == -ENOENT || r == -ENOTDIR || (r == 0 && pos.found.kind == OL_OVL_MISSING))
        return 0;
    if (r == 0 && *pos.name == '\0')
        r = -EBUSY;
    return r < 0 ? r : remove_pos(ovl_from(fs), &pos);
}

/* What vfs_rename() and ovl_rename() refuse, in their order; 1 when there is nothing to do. */
static int check_rename(const struct ol_ovl_pos *old, const struct ol_ovl_pos *new)
{
    bool is_dir = old->found.kind == OL_OVL_DIRECTORY;

    if (old->found.kind == OL_OVL_MISSING)
        return -ENOENT;
    if (*old->name == '\0' || *new->name == '\0')
        return -EBUSY;
    if (strcmp(old->dir_path, new->dir_path) == 0 && strcmp(old->name, new->name) == 0)
        return 1;
    if (new->found.kind == OL_OVL_DIRECTORY && !is_dir)
        return -EISDIR;
    if (new->found.kind == OL_OVL_FILE && is_dir)
        return -ENOTDIR;
    if (old->found.in_upper && new->found.kind != OL_OVL_MISSING &&new->found.in_upper &&
        old->found.st.st_ino == new->found.st.st_ino &&
        old->found.st.st_dev == new->found.st.st_dev)
        return 1; /* two names of one file */
    if (is_dir && ol_ovl_dir_in_lower(&old->found.dir))
        return -EXDEV; /* redirect_dir=off: directory trees are not copied up */
    return new->found.kind == OL_OVL_DIRECTORY ? ol_ovl_is_empty(&new->found.dir) : 0;
}

/* True when dir_path lies in the directory at pos, or is it. */
static bool is_below(const struct ol_ovl_pos *pos, const char *dir_path)
{
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;

    if (ol_buf_printf(&path, "%s%s%s", pos->dir_path, *pos->dir_path != '\0' ? "/" : "",
                      pos->name) < 0)
        return true; /* out of memory: refuse */
    return strncmp(dir_path, path.data, path.len) == 0 &&
           (dir_path[path.len] == '/' || dir_path[path.len] == '\0');
}

/*
 * An empty-looking target directory whose upper part holds whiteouts cannot be renamed over: put an
 * empty opaque one in its place first (ovl_clear_empty).
 */
static int clear_target_dir(struct ol_ovl *o, const struct ol_ovl_pos *pos,
                            const struct ol_place *place)
{
    const mode_t mode = pos->found.st.st_mode & 07777;
    char temp[16];
    int r;

    if (pos->found.kind != OL_OVL_DIRECTORY || !pos->found.in_upper)
        return 0;
    ol_ovl_temp_name(o, temp);
    r = ol_at_mkdir(o->work_fd, temp, 0700);
    if (r < 0)
        return r;
    r = ol_xattr_set(o->work_fd, temp, ol_whiteout_opaque_attr(o->ns), "y", 1);
    if (r == 0)
        r = ol_at_chmod(o->work_fd, temp, mode);
    if (r == 0)
        r = ol_at_rename(o->work_fd, temp, place->dir_fd, place->name, RENAME_EXCHANGE);
    if (r < 0) {
        (void)unlinkat(o->work_fd, temp, AT_REMOVEDIR); /* the first error counts */
        return r;
    }
    discard(o, temp);
    return 0;
}

/* Both places are in the upper and old is copied up: the move itself (ovl_rename). */
static int do_rename(struct ol_ovl *o, const struct ol_ovl_pos *old, const struct ol_ovl_pos *new)
{
    ol_auto_place struct ol_place from = OL_PLACE_INIT;
    ol_auto_place struct ol_place to = OL_PLACE_INIT;
    bool is_dir = old->found.kind == OL_OVL_DIRECTORY;
    bool onto_whiteout = new->found.kind == OL_OVL_MISSING &&new->found.upper_whiteout;
    bool drop_whiteout = false;
    unsigned flags = 0;
    int r = upper_place(old, &from);

    if (r == 0)
        r = upper_place(new, &to);
    if (r < 0)
        return r;
    if (ol_ovl_lower_positive(&old->parent, old->name, &old->found)) {
        flags = onto_whiteout ? RENAME_EXCHANGE : RENAME_WHITEOUT;
    } else if (is_dir && onto_whiteout) {
        flags = RENAME_EXCHANGE;
        drop_whiteout = true;
    }
    r = clear_target_dir(o, new, &to);
    if (r == 0 && is_dir && !old->found.opaque && ol_ovl_dir_in_lower(&new->parent))
        r = ol_xattr_set(from.dir_fd, from.name, ol_whiteout_opaque_attr(o->ns), "y", 1) < 0
                ? -EXDEV
                : 0;
    if (r == 0)
        r = ol_at_rename(from.dir_fd, from.name, to.dir_fd, to.name, flags);
    if (r == 0 && drop_whiteout)
        r = ol_at_unlink(from.dir_fd, from.name, 0);
    return r;
}

/* lock_rename(): neither may lie in the other. */
static int check_nesting(const struct ol_ovl_pos *old, const struct ol_ovl_pos *new)
{
    if (old->found.kind == OL_OVL_MISSING)
        return -ENOENT;
    if (old->found.kind == OL_OVL_DIRECTORY && is_below(old, new->dir_path))
        return -EINVAL;
    return new->found.kind == OL_OVL_DIRECTORY &&is_below(new, old->dir_path) ? -ENOTEMPTY : 0;
}

static int ovl_rename(struct ol_rootfs *fs, const char *old_path, const char *new_path)
{
    ol_auto_ovl_pos struct ol_ovl_pos old = OL_OVL_POS_INIT;
    ol_auto_ovl_pos struct ol_ovl_pos new = OL_OVL_POS_INIT;
    struct ol_ovl *o = ovl_from(fs);
    int r = resolve_rw(o, old_path, false, &old);

    if (r == 0)
        r = ol_ovl_resolve(o, new_path, false, &new);
    if (r == 0 && *old.name != '\0' && *new.name != '\0')
        r = check_nesting(&old, &new);
    if (r == 0)
        r = check_rename(&old, &new);
    if (r != 0)
        return r < 0 ? r : 0;
    r = ol_ovl_copy_up_pos(o, &old);
    if (r == 0)
        r = ol_ovl_resolve(o, new_path, false, &new); /* old's copy-up may have made its parent */
    if (r == 0)
        r = ol_ovl_copy_up_parent(o, &new);
    return r < 0 ? r : do_rename(o, &old, &new);
}

static int ovl_list(struct ol_rootfs *fs, const char *path, char ***ret)
{
    ol_auto_ovl_pos struct ol_ovl_pos pos = OL_OVL_POS_INIT;
    int r = ol_ovl_resolve(ovl_from(fs), path, true, &pos);

    if (r < 0)
        return r;
    if (pos.found.kind != OL_OVL_DIRECTORY)
        return pos.found.kind == OL_OVL_MISSING ? -ENOENT : -ENOTDIR;
    return ol_ovl_names(&pos.found.dir, ret);
}

/* Everything in work/work but the cached whiteout. */
static int sweep(struct ol_ovl *o, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&list, o->work_fd, true);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read the overlay work directory");
    for (size_t i = 0; r == 0 && i < list.count; i++) {
        if (strcmp(list.items[i].name, o->whiteout) != 0)
            r = ol_tree_remove(o->work_fd, list.items[i].name, err);
    }
    return r < 0 ? ol_error_wrap(err, r, "cannot clear the overlay work directory") : 0;
}

/*
 * Mode 0, as a mount leaves work/work. Without the privilege to read such a directory, neither
 * counting the layer nor removing it would work any more: then it stays as it is.
 */
static int seal_workdir(int fd)
{
    if (fchmod(fd, 0) < 0)
        return -errno;
    if (faccessat(fd, ".", R_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    return fchmod(fd, 0700) < 0 ? -errno : 0;
}

static int ovl_close(struct ol_rootfs *fs, struct ol_error *err)
{
    struct ol_ovl *o = ovl_from(fs);
    int r = o->leftovers ? sweep(o, err) : 0;

    for (size_t i = 0; i < o->n_layers; i++)
        ol_fd_close(&o->layers[i]);
    free(o->layers);
    if (o->work_fd >= 0)
        (void)seal_workdir(o->work_fd); /* only looks; the next session makes it anew anyway */
    ol_fd_close(&o->work_fd);
    free(o);
    return r;
}

static const struct ol_rootfs_ops overlay_ops = {
    .stat = ovl_stat,
    .touch = ovl_touch,
    .open_file = ovl_open_file,
    .mkdir = ovl_mkdir,
    .create = ovl_create,
    .symlink = ovl_symlink,
    .mknod = ovl_mknod,
    .link = ovl_link,
    .unlink = ovl_unlink,
    .rmdir = ovl_rmdir,
    .remove_tree = ovl_remove_tree,
    .rename = ovl_rename,
    .list = ovl_list,
    .close = ovl_close,
};

/* work/work as a mount makes it, but with access for us: a mount has CAP_DAC_OVERRIDE. */
static int workdir_make(int work_fd, int *ret_fd, struct ol_error *err)
{
    int r = ol_tree_remove(work_fd, "work", err);
    int fd;

    if (r < 0)
        return ol_error_wrap(err, r, "cannot clear the overlay work directory");
    r = ol_at_mkdir(work_fd, "work", 0700);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot make the overlay work directory 'work/work'");
    fd = ol_fs_open_dir(work_fd, "work");
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open the overlay work directory 'work/work'");
    *ret_fd = fd;
    return 0;
}

int ol_rootfs_workdir_reset(int work_fd, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    int r = workdir_make(work_fd, &fd, err);

    if (r < 0)
        return r;
    r = seal_workdir(fd);
    return r < 0 ? ol_error_sys(err, -r, "cannot set the mode of 'work/work'") : 0;
}

static int dup_layers(struct ol_ovl *o, const struct ol_stack *dirs)
{
    o->layers = calloc(dirs->count, sizeof *o->layers);
    if (o->layers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < dirs->count; i++) {
        o->layers[i] = fcntl(dirs->fds[i], F_DUPFD_CLOEXEC, 0);
        if (o->layers[i] < 0)
            return -errno;
        o->n_layers++;
    }
    return 0;
}

int ol_rootfs_open_overlay(const struct ol_stack *dirs, int work_fd, struct ol_rootfs **ret,
                           struct ol_error *err)
{
    struct ol_ovl *o;
    int r;

    if (dirs->count == 0)
        return ol_error_set(err, -EINVAL, "an overlay needs an upper directory");
    o = calloc(1, sizeof *o);
    if (o == NULL)
        return ol_error_nomem(err);
    o->base.ops = &overlay_ops;
    o->ns = dirs->ns;
    o->work_fd = -1;
    r = dup_layers(o, dirs);
    if (r < 0)
        (void)ol_error_sys(err, -r, "cannot open an overlay of %zu layers", dirs->count);
    else if (work_fd >= 0)
        r = workdir_make(work_fd, &o->work_fd, err);
    if (r < 0) {
        (void)ovl_close(&o->base, NULL); /* nothing was made yet; the first error counts */
        return r;
    }
    *ret = &o->base;
    return 0;
}
