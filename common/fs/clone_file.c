/* SPDX-License-Identifier: Apache-2.0 */
/* Regular files of a clone: content, then metadata. */
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/clone.h"
#include "common/fs/file.h"

#include <fcntl.h>
#include <unistd.h>

int ol_clone_create(struct ol_tree_node *node, const char *name, mode_t mode)
{
    int fd;

    if (ol_fault_hit("create"))
        return -EIO;
    fd = openat(node->fd[1], name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

/* Open the source for reading: whatever was put in its place meanwhile must not block or follow. */
static int open_source(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                       struct stat *st)
{
    ol_auto_fd int fd = ol_fs_open_read(node->fd[0], name, O_NOATIME);

    if (fd < 0)
        return ol_tree_fail(v->err, -fd, node, name, "cannot open");
    if (fstat(fd, st) < 0)
        return ol_tree_fail(v->err, errno, node, name, "cannot examine");
    if (!S_ISREG(st->st_mode))
        return ol_tree_fail(v->err, ESTALE, node, name, "somebody replaced the regular file");
    return ol_fd_steal(&fd);
}

int ol_clone_file(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name)
{
    struct ol_clone *c = ol_clone_of(v);
    struct ol_clone_worker *w = ol_clone_worker_of(v);
    struct stat st;
    ol_auto_fd int src = open_source(v, node, name, &st);
    ol_auto_fd int dst = -1;
    /* set-id bits only once the owner is right; writing would clear them besides */
    mode_t mode = st.st_mode & 01777;
    int r;

    if (src < 0)
        return src;
    if (st.st_nlink > 1) {
        r = ol_clone_link_or_create(c, node, name, &st, mode, &dst);
    } else {
        dst = ol_clone_create(node, name, mode);
        r = dst < 0 ? dst : 0;
    }
    if (r < 0)
        return ol_tree_fail(v->err, -r, node, name, "cannot create the copy of");
    if (dst < 0) {
        w->stats.relinked++;
        return 0;
    }
    r = ol_copy_data(src, dst, &st, &c->copy, &w->block);
    if (r < 0)
        return ol_tree_fail(v->err, -r, node, name, "cannot copy");
    w->stats.copied++;
    return ol_clone_meta_file(v, node, name, src, dst, &st, mode);
}
