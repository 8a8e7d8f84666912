/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ol_tree_remove(): each directory's files are unlinked by the worker that reads it, and the
 * directory goes when the last one below it has gone. Mounts are never entered.
 */
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/tree.h"
#include "common/fs/tree_engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OL_REMOVE_TRIES = 8 }; /* visits of a directory that others keep filling */

struct removal {
    int dir_fd;       /* borrowed; where the root is */
    const char *name; /* of the root in dir_fd; NULL: keep the root */
};

static const char mounted[] = "is a mount point, or in use as one elsewhere; unmount it first";

/* EBUSY means a mount here: name the remedy as well. */
static int fail_busy(struct ol_tree_visit *v, const struct ol_tree_node *node, const char *name)
{
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;

    if (v->err == NULL || ol_tree_path(node, name, &path) < 0)
        return -EBUSY;
    return ol_error_set(v->err, -EBUSY, "cannot remove '%s': it %s", path.data, mounted);
}

static int fail(struct ol_tree_visit *v, int errnum, const struct ol_tree_node *node,
                const char *name)
{
    if (errnum == EBUSY || errnum == EXDEV)
        return fail_busy(v, node, name);
    return ol_tree_fail(v->err, errnum, node, name, "cannot remove");
}

/* Give the owner all of a directory's permissions. @return true when that changed something */
static bool make_writable(int dir_fd)
{
    struct stat st;

    if (fstat(dir_fd, &st) < 0 || (st.st_mode & 0700) == 0700)
        return false;
    return !ol_fault_hit("chmod") && fchmod(dir_fd, (st.st_mode & 07777) | 0700) == 0;
}

/* unlinkat(2), once more with permissions when the directory lacks them; missing is success.
 * @return 0 or negative errno */
static int unlink_at(int dir_fd, const char *name, int flags)
{
    if (ol_fault_hit("unlink"))
        return -EIO;
    if (unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT)
        return 0;
    if (errno != EACCES || !make_writable(dir_fd))
        return -errno;
    return unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT ? 0 : -errno;
}

/* Open a directory to be emptied, giving its owner access when there is none. */
static int open_writable(int dir_fd, const char *name)
{
    int fd = ol_tree_open_dir_same_mount(dir_fd, name);

    if (fd != -EACCES)
        return fd;
    if (fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != EACCES || !make_writable(dir_fd) ||
            fchmodat(dir_fd, name, 0700, AT_SYMLINK_NOFOLLOW) < 0)
            return -EACCES;
    }
    return ol_tree_open_dir_same_mount(dir_fd, name);
}

static int remove_open(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    int fd = open_writable(node->parent->fd[0], node->name);

    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return 1; /* gone, or no directory any more: the parent's second visit sees to it */
    if (fd < 0)
        return fail(v, -fd, node, "");
    node->fd[0] = fd;
    return 0;
}

static int remove_entry(struct ol_tree_visit *v, struct ol_tree_node *node,
                        const struct ol_dirent *e)
{
    int r;

    if (e->type == DT_DIR)
        return 1;
    r = unlink_at(node->fd[0], e->name, 0);
    if (r == -EISDIR)
        return 1;
    return r < 0 ? fail(v, -r, node, e->name) : 0;
}

static int remove_leave(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    const struct removal *removal = v->run->data;
    int r;

    if (node->parent == NULL && removal->name == NULL)
        return 0;
    r = node->parent != NULL ? unlink_at(node->parent->fd[0], node->name, AT_REMOVEDIR)
                             : unlink_at(removal->dir_fd, removal->name, AT_REMOVEDIR);
    if ((r == -ENOTEMPTY || r == -EEXIST) && ++node->note < OL_REMOVE_TRIES)
        return 1; /* new entries, or ones that readdir left out while others vanished */
    return r < 0 ? fail(v, -r, node, "") : 0;
}

static const struct ol_tree_visitor remove_visitor = {
    .open = remove_open,
    .entry = remove_entry,
    .leave = remove_leave,
    .hold = true,
};

/* Takes root_fd. */
static int remove_tree(int root_fd, const struct removal *removal, struct ol_error *err)
{
    struct removal data = *removal;
    struct ol_tree_run run = {.visitor = &remove_visitor, .data = &data, .fds = 1};
    struct ol_tree_node *root = ol_tree_node_new(NULL, data.name != NULL ? data.name : "");

    if (root == NULL) {
        ol_fd_close(&root_fd);
        return ol_error_nomem(err);
    }
    root->fd[0] = root_fd;
    return ol_tree_run(&run, root, 0, err);
}

static int remove_name(int dir_fd, const char *name, struct ol_error *err)
{
    struct removal removal = {.dir_fd = dir_fd, .name = name};
    int r;

    if (*name == '\0')
        return ol_error_set(err, -EINVAL, "cannot remove an empty name");
    r = unlink_at(dir_fd, name, 0);
    if (r == 0)
        return 0;
    if (r == -EISDIR)
        r = open_writable(dir_fd, name);
    if (r == -ENOENT)
        return 0;
    if (r == -EBUSY || r == -EXDEV)
        return ol_error_set(err, -EBUSY, "cannot remove '%s': it %s", name, mounted);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot remove '%s'", name);
    return remove_tree(r, &removal, err);
}

int ol_tree_remove(int dir_fd, const char *name, struct ol_error *err)
{
    const char *slash = strrchr(name, '/');
    ol_auto_free char *dir = NULL;
    ol_auto_fd int fd = -1;

    if (slash == NULL)
        return remove_name(dir_fd, name, err);
    /* Mounts on the way to the tree are fine, so its directory is opened first. */
    dir = strndup(name, (size_t)(slash - name) + 1);
    if (dir == NULL)
        return ol_error_nomem(err);
    fd = openat(dir_fd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : ol_error_sys(err, errno, "cannot open '%s'", dir);
    return remove_name(fd, slash + 1, err);
}

int ol_tree_remove_content(int dir_fd, struct ol_error *err)
{
    struct removal removal = {.dir_fd = dir_fd, .name = NULL};
    int fd = ol_tree_open_dir(dir_fd, ".");

    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open the directory to empty");
    return remove_tree(fd, &removal, err);
}
