/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting a driver's home: the whole tree by type, then the few inodes of the driver's own making,
 * all of which lie within three levels, are moved to their own kind.
 */
#include "bench/harness/home_usage.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int64_t *counter_of(struct ol_inode_kinds *kinds, mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return &kinds->directory;
    case S_IFREG:
        return &kinds->regular;
    case S_IFLNK:
        return &kinds->symlink;
    case S_IFCHR:
    case S_IFBLK:
        return &kinds->device;
    default:
        return &kinds->fifo;
    }
}

static void move_to_bookkeeping(struct ol_inode_kinds *kinds, mode_t mode)
{
    (*counter_of(kinds, mode))--;
    kinds->bookkeeping++;
}

static int type_of(int dir_fd, const struct ol_dirent *entry, mode_t *ret)
{
    struct stat st;

    if (entry->type != DT_UNKNOWN) {
        *ret = DTTOIF(entry->type);
        return 0;
    }
    if (fstatat(dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    *ret = st.st_mode;
    return 0;
}

typedef int entry_fn(int dir_fd, const char *name, mode_t mode, struct ol_inode_kinds *kinds);

static int each_entry(int dir_fd, const char *name, entry_fn *fn, struct ol_inode_kinds *kinds)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(dir_fd, name);
    int r = fd < 0 ? fd : ol_dirents_read(&list, fd, false);

    for (size_t i = 0; r == 0 && i < list.count; i++) {
        mode_t mode = 0;
        r = type_of(fd, &list.items[i], &mode);
        if (r == 0)
            r = fn(fd, list.items[i].name, mode, kinds);
    }
    return r;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

/* Something in <home>/<id>. */
static int layer_entry(int dir_fd, const char *name, mode_t mode, struct ol_inode_kinds *kinds)
{
    static const char *const content[] = {"root", "upper", "diff", "fs", NULL};
    struct stat st;

    if (S_ISDIR(mode) && (is_one_of(name, content) || strncmp(name, "tmproot", 7) == 0))
        return 0;
    move_to_bookkeeping(kinds, mode);
    if (strcmp(name, "work") != 0)
        return 0;
    if (fstatat(dir_fd, "work/work", &st, AT_SYMLINK_NOFOLLOW) == 0)
        move_to_bookkeeping(kinds, st.st_mode);
    else if (errno != ENOENT)
        return -errno;
    return 0;
}

static int link_entry(int dir_fd, const char *name, mode_t mode, struct ol_inode_kinds *kinds)
{
    (void)dir_fd;
    (void)name;
    move_to_bookkeeping(kinds, mode);
    return 0;
}

/*
 * vfs keeps its layers below "dir". A layer of another driver can have that name too, and is known
 * by what every such layer but legacy overlay's base layer holds.
 */
static bool is_vfs_dir(int home_fd, const char *name)
{
    static const char *const marks[] = {"dir/lower-id", "dir/link", "dir/work"};
    struct stat st;

    if (strcmp(name, "dir") != 0)
        return false;
    for (size_t i = 0; i < OL_ARRAY_LEN(marks); i++) {
        if (fstatat(home_fd, marks[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
            return false;
    }
    return true;
}

/* Something in <home>. */
static int home_entry(int home_fd, const char *name, mode_t mode, struct ol_inode_kinds *kinds)
{
    move_to_bookkeeping(kinds, mode);
    if (!S_ISDIR(mode) || is_vfs_dir(home_fd, name))
        return 0;
    return each_entry(home_fd, name, strcmp(name, "l") == 0 ? link_entry : layer_entry, kinds);
}

int ol_home_usage_get(int home_fd, struct ol_home_usage *ret, struct ol_error *err)
{
    struct ol_tree_usage usage;
    struct ol_home_usage home;
    int r = ol_tree_usage(home_fd, false, &usage, err);

    if (r < 0)
        return r;
    home = (struct ol_home_usage){
        .kinds =
            {
                .directory = (int64_t)usage.directories,
                .regular = (int64_t)usage.regular,
                .symlink = (int64_t)usage.symlinks,
                .device = (int64_t)usage.devices,
                .fifo = (int64_t)usage.fifos,
                .whiteout = (int64_t)usage.whiteouts,
            },
        .bytes = usage.bytes,
    };
    move_to_bookkeeping(&home.kinds, S_IFDIR); /* the home itself */
    r = each_entry(home_fd, ".", home_entry, &home.kinds);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot tell what the driver keeps in its home");
    *ret = home;
    return 0;
}
