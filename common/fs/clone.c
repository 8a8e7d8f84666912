/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ol_tree_clone(): moby 20.10 daemon/graphdriver/copy/copy.go, one job per directory. A directory's
 * times are set when its own entries are there: what happens below subdirectories does not touch
 * them. Differences to moby are counted in ol_clone_stats, never silent: EMLINK and EXDEV lead to a
 * copy, sockets are left out.
 */
#include "common/fs/clone.h"

#include "common/cleanup.h"
#include "common/fault.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int clone_open(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    node->fd[0] = ol_tree_open_dir(node->parent->fd[0], node->name);
    if (node->fd[0] < 0)
        return ol_tree_fail(v->err, -node->fd[0], node, "", "cannot open directory");
    node->fd[1] = ol_tree_open_dir(node->parent->fd[1], node->name);
    if (node->fd[1] < 0)
        return ol_tree_fail(v->err, -node->fd[1], node, "", "cannot open the copy of directory");
    return 0;
}

static int clone_begin(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    const struct ol_clone *c = ol_clone_of(v);
    struct ol_clone_worker *w = ol_clone_worker_of(v);
    struct stat dst;

    if (fstat(node->fd[0], &w->dir) < 0)
        return ol_tree_fail(v->err, errno, node, "", "cannot examine directory");
    if (fstat(node->fd[1], &dst) < 0)
        return ol_tree_fail(v->err, errno, node, "", "cannot examine the copy of directory");
    /* A set-gid directory, or the mount option grpid, gives the directory's group instead. */
    w->owner_known = dst.st_gid == c->gid;
    return 0;
}

static int make_directory(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name)
{
    static const char what[] = "cannot make directory";
    const struct ol_clone *c = ol_clone_of(v);

    if (ol_fault_hit("mkdir"))
        return ol_tree_fail(v->err, EIO, node, name, what);
    if (mkdirat(node->fd[1], name, 0700) < 0) /* the final mode comes with its other metadata */
        return ol_tree_fail(v->err, errno, node, name, what);
    if ((!c->mode_known || (c->umask & 0700) != 0) && /* an odd umask could shut us out meanwhile */
        fchmodat(node->fd[1], name, 0700, AT_SYMLINK_NOFOLLOW) < 0)
        return ol_tree_fail(v->err, errno, node, name, what);
    ol_clone_worker_of(v)->stats.directories++;
    return 1;
}

static int read_target(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name)
{
    struct ol_buf *target = &ol_clone_worker_of(v)->target;
    ssize_t n;

    for (size_t room = 4096;; room *= 2) {
        ol_buf_truncate(target, 0);
        if (ol_buf_reserve(target, room) < 0)
            return ol_error_nomem(v->err);
        n = readlinkat(node->fd[0], name, target->data, room);
        if (n < 0)
            return ol_tree_fail(v->err, errno, node, name, "cannot read symlink");
        if ((size_t)n < room)
            break;
    }
    target->len = (size_t)n;
    target->data[n] = '\0';
    return 0;
}

static int make_symlink(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                        const struct stat *st)
{
    struct ol_clone_worker *w = ol_clone_worker_of(v);
    int r = read_target(v, node, name);

    if (r < 0)
        return r;
    if (ol_fault_hit("symlink"))
        return ol_tree_fail(v->err, EIO, node, name, "cannot make symlink");
    if (symlinkat(w->target.data, node->fd[1], name) < 0)
        return ol_tree_fail(v->err, errno, node, name, "cannot make symlink");
    w->stats.specials++;
    return ol_clone_meta_name(v, node, name, st);
}

static int make_node(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                     const struct stat *st)
{
    struct ol_clone_worker *w = ol_clone_worker_of(v);
    bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);

    if (ol_fault_hit("mknod"))
        return ol_tree_fail(v->err, EIO, node, name, "cannot make special file");
    if (mknodat(node->fd[1], name, st->st_mode, device ? st->st_rdev : 0) < 0) {
        if (errno != EPERM || !device)
            return ol_tree_fail(v->err, errno, node, name, "cannot make special file");
        w->stats.skipped_devices++; /* moby does the same in a user namespace */
        return 0;
    }
    w->stats.specials++;
    return ol_clone_meta_name(v, node, name, st);
}

static int make_special(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                        const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return make_symlink(v, node, name, st);
    if (S_ISSOCK(st->st_mode)) {
        ol_clone_worker_of(v)->stats.skipped_sockets++;
        return 0;
    }
    return make_node(v, node, name, st);
}

/* @return 1 linked, 0 the object has to be copied instead, or an error */
static int try_link(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name)
{
    struct ol_clone_worker *w = ol_clone_worker_of(v);

    if (ol_fault_hit("link"))
        return ol_tree_fail(v->err, EIO, node, name, "cannot link");
    if (linkat(node->fd[0], name, node->fd[1], name, 0) == 0) {
        w->stats.linked++;
        return 1;
    }
    if (errno != EMLINK && errno != EXDEV)
        return ol_tree_fail(v->err, errno, node, name, "cannot link");
    w->stats.copied_fallback++;
    return 0;
}

static int stat_entry(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                      struct stat *st)
{
    if (fstatat(node->fd[0], name, st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
        return ol_tree_fail(v->err, errno, node, name, "cannot examine");
    return 0;
}

static bool links(const struct ol_clone_options *options, unsigned char type)
{
    return options->mode == OL_CLONE_LINK && type != DT_SOCK &&
           (type == DT_REG || options->link_all);
}

static int clone_entry(struct ol_tree_visit *v, struct ol_tree_node *node,
                       const struct ol_dirent *e)
{
    struct stat st = {.st_mode = DTTOIF(e->type)};
    bool known = false;
    int r = 0;

    if (e->type == DT_UNKNOWN) {
        r = stat_entry(v, node, e->name, &st);
        known = true;
    }
    if (r < 0)
        return r;
    if (S_ISDIR(st.st_mode))
        return make_directory(v, node, e->name);
    if (links(&ol_clone_of(v)->options, IFTODT(st.st_mode)))
        r = try_link(v, node, e->name);
    if (r != 0)
        return r < 0 ? r : 0;
    if (S_ISREG(st.st_mode))
        return ol_clone_file(v, node, e->name);
    if (!known)
        r = stat_entry(v, node, e->name, &st);
    if (r < 0)
        return r;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        return ol_tree_fail(v->err, ESTALE, node, e->name, "somebody replaced");
    return make_special(v, node, e->name, &st);
}

static const struct ol_tree_visitor clone_visitor = {
    .open = clone_open,
    .begin = clone_begin,
    .entry = clone_entry,
    .end = ol_clone_meta_dir,
    .closing = ol_clone_meta_late,
};

static void add_stats(struct ol_clone_stats *sum, const struct ol_clone_stats *one)
{
    sum->directories += one->directories;
    sum->linked += one->linked;
    sum->copied += one->copied;
    sum->relinked += one->relinked;
    sum->specials += one->specials;
    sum->copied_fallback += one->copied_fallback;
    sum->skipped_sockets += one->skipped_sockets;
    sum->skipped_devices += one->skipped_devices;
    sum->skipped_xattrs += one->skipped_xattrs;
}

static void clone_free(struct ol_clone *c, struct ol_clone_stats *ret)
{
    if (ret != NULL)
        *ret = (struct ol_clone_stats){0};
    for (unsigned i = 0; i < OL_THREADS_MAX; i++) {
        struct ol_clone_worker *w = &c->worker[i];
        if (ret != NULL)
            add_stats(ret, &w->stats);
        ol_buf_fini(&w->target);
        ol_buf_fini(&w->names);
        ol_buf_fini(&w->value);
        free(w->block);
    }
    ol_clone_links_fini(c);
    free(c);
}

static int open_roots(struct ol_tree_node *root, int src_fd, int dst_fd, struct ol_error *err)
{
    /* Descriptors of our own: the caller's keep their positions, and may be O_PATH ones. */
    root->fd[0] = ol_tree_open_dir(src_fd, ".");
    if (root->fd[0] < 0)
        return ol_error_sys(err, -root->fd[0], "cannot open the tree to clone");
    root->fd[1] = ol_tree_open_dir(dst_fd, ".");
    if (root->fd[1] < 0)
        return ol_error_sys(err, -root->fd[1], "cannot open the clone's target");
    return 0;
}

int ol_tree_clone(int src_fd, int dst_fd, const struct ol_clone_options *options,
                  struct ol_clone_stats *ret, struct ol_error *err)
{
    struct ol_clone *c = calloc(1, sizeof *c);
    struct ol_tree_node *root = ol_tree_node_new(NULL, "");
    struct ol_tree_run run = {.visitor = &clone_visitor, .data = c, .fds = 2};
    int r;

    if (c == NULL || root == NULL) {
        free(c);
        ol_tree_node_unref(root);
        return ol_error_nomem(err);
    }
    c->options = *options;
    c->dst_fd = dst_fd;
    ol_clone_links_init(c);
    r = open_roots(root, src_fd, dst_fd, err);
    if (r == 0)
        r = ol_clone_learn(c, err);
    if (r == 0)
        r = ol_tree_run(&run, root, options->threads, err);
    else
        ol_tree_node_unref(root);
    clone_free(c, r == 0 ? ret : NULL);
    return r;
}
