/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ol_tree_usage(). Directories have one name, so only other inodes go through a set, and of those
 * only the ones with several links when their link count is known. Workers collect what has to go
 * through the set and enter it in batches under one lock.
 */
#include "common/cleanup.h"
#include "common/fs/inode_set.h"
#include "common/fs/tree.h"
#include "common/fs/tree_engine.h"
#include "common/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

enum { OL_USAGE_BATCH = 1024 };

/* An inode that may turn up again. */
struct seen {
    dev_t dev;
    uint64_t ino;
    uint64_t size;
    uint64_t blocks;
    dev_t rdev;
    uint32_t nlink;
    mode_t mode;
};

struct device {
    dev_t dev;
    struct ol_inode_set set;
};

struct counter {
    struct ol_tree_usage usage;
    dev_t dir_dev; /* of the directory being handled */
    struct seen *batch;
    size_t batched;
};

struct tally {
    bool inodes_only;
    bool one_device; /* all directories of this mount report the same device */
    pthread_mutex_t lock;
    struct device *devices;     /* guarded by lock */
    size_t device_count;        /* guarded by lock */
    struct ol_tree_usage usage; /* of inodes that went through a set; guarded by lock */
    struct counter counter[OL_THREADS_MAX];
};

/* Add one distinct inode. */
static void add_inode(struct ol_tree_usage *u, const struct seen *s)
{
    u->inodes++;
    u->bytes += s->blocks * 512;
    switch (s->mode & S_IFMT) {
    case S_IFDIR:
        u->directories++;
        break;
    case S_IFREG:
        u->regular++;
        u->apparent_bytes += s->size;
        break;
    case S_IFLNK:
        u->symlinks++;
        u->apparent_bytes += s->size;
        break;
    case S_IFCHR:
    case S_IFBLK:
        if (S_ISCHR(s->mode) && s->rdev == 0)
            u->whiteouts++;
        else
            u->devices++;
        break;
    default:
        u->fifos++;
        break;
    }
}

static struct ol_inode_set *set_of(struct tally *t, dev_t dev)
{
    struct device *more;

    for (size_t i = 0; i < t->device_count; i++) {
        if (t->devices[i].dev == dev)
            return &t->devices[i].set;
    }
    more = reallocarray(t->devices, t->device_count + 1, sizeof *more);
    if (more == NULL)
        return NULL;
    t->devices = more;
    more[t->device_count] = (struct device){.dev = dev};
    return &more[t->device_count++].set;
}

static int enter(struct tally *t, const struct seen *s)
{
    struct ol_inode_set *set = set_of(t, s->dev);
    int r;

    if (set == NULL)
        return -ENOMEM;
    r = t->inodes_only ? ol_inode_set_add(set, s->ino) : ol_inode_set_count(set, s->ino, s->nlink);
    if (r == 1)
        add_inode(&t->usage, s);
    return r < 0 ? r : 0;
}

static int flush(struct tally *t, struct counter *c, struct ol_error *err)
{
    int r = 0;

    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < c->batched && r == 0; i++)
        r = enter(t, &c->batch[i]);
    pthread_mutex_unlock(&t->lock);
    c->batched = 0;
    return r < 0 ? ol_error_nomem(err) : 0;
}

static int note_inode(struct tally *t, struct counter *c, const struct seen *s,
                      struct ol_error *err)
{
    if (c->batch == NULL) {
        c->batch = malloc(OL_USAGE_BATCH * sizeof *c->batch);
        if (c->batch == NULL)
            return ol_error_nomem(err);
    }
    c->batch[c->batched++] = *s;
    return c->batched == OL_USAGE_BATCH ? flush(t, c, err) : 0;
}

static struct counter *counter_of(const struct ol_tree_visit *v)
{
    return &((struct tally *)v->run->data)->counter[v->worker];
}

static int usage_open(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    int fd = ol_tree_open_dir_same_mount(node->parent->fd[0], node->name);

    if (fd == -EXDEV) { /* a mount point: the covered directory counts, what covers it does not */
        add_inode(&counter_of(v)->usage, &(struct seen){.mode = S_IFDIR});
        return 1;
    }
    if (fd < 0)
        return ol_tree_fail(v->err, -fd, node, "", "cannot count directory");
    node->fd[0] = fd;
    return 0;
}

static int usage_begin(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    const struct tally *t = v->run->data;
    struct counter *c = counter_of(v);
    struct seen s = {.mode = S_IFDIR};
    struct stat st;

    if (!t->inodes_only || !t->one_device) {
        if (fstat(node->fd[0], &st) < 0)
            return ol_tree_fail(v->err, errno, node, "", "cannot examine directory");
        c->dir_dev = st.st_dev;
        s.blocks = (uint64_t)st.st_blocks;
    }
    add_inode(&c->usage, &s);
    return 0;
}

static int stat_entry(struct ol_tree_visit *v, struct ol_tree_node *node, const struct ol_dirent *e,
                      struct seen *ret)
{
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
    struct statx sx;

    if (statx(node->fd[0], e->name, flags, STATX_BASIC_STATS, &sx) < 0)
        return ol_tree_fail(v->err, errno, node, e->name, "cannot count");
    if ((sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) { /* a file that something covers */
        *ret = (struct seen){.dev = counter_of(v)->dir_dev, .ino = e->ino, .nlink = 1};
        ret->mode = DTTOIF(e->type);
        return 0;
    }
    *ret = (struct seen){.dev = makedev(sx.stx_dev_major, sx.stx_dev_minor),
                         .ino = sx.stx_ino,
                         .size = sx.stx_size,
                         .blocks = sx.stx_blocks,
                         .rdev = makedev(sx.stx_rdev_major, sx.stx_rdev_minor),
                         .nlink = sx.stx_nlink,
                         .mode = sx.stx_mode};
    return 0;
}

static int usage_entry(struct ol_tree_visit *v, struct ol_tree_node *node,
                       const struct ol_dirent *e)
{
    struct tally *t = v->run->data;
    struct counter *c = counter_of(v);
    struct seen s = {.dev = c->dir_dev, .ino = e->ino, .mode = S_IFREG};
    int r;

    c->usage.names++;
    if (e->type == DT_DIR)
        return 1;
    if (t->inodes_only && e->type != DT_UNKNOWN)
        return note_inode(t, c, &s, v->err);
    r = stat_entry(v, node, e, &s);
    if (r < 0)
        return r;
    if (S_ISDIR(s.mode))
        return 1;
    if (t->inodes_only)
        s.dev = c->dir_dev; /* as for its other names */
    else if (s.nlink == 1) {
        add_inode(&c->usage, &s);
        return 0;
    }
    return note_inode(t, c, &s, v->err);
}

static const struct ol_tree_visitor usage_visitor = {
    .open = usage_open,
    .begin = usage_begin,
    .entry = usage_entry,
};

static void add_usage(struct ol_tree_usage *sum, const struct ol_tree_usage *one)
{
    sum->inodes += one->inodes;
    sum->directories += one->directories;
    sum->regular += one->regular;
    sum->symlinks += one->symlinks;
    sum->devices += one->devices;
    sum->fifos += one->fifos;
    sum->whiteouts += one->whiteouts;
    sum->names += one->names;
    sum->bytes += one->bytes;
    sum->apparent_bytes += one->apparent_bytes;
}

static int collect(struct tally *t, struct ol_tree_usage *ret, struct ol_error *err)
{
    struct ol_tree_usage sum = {.names = 1}; /* the root */

    for (unsigned i = 0; i < OL_THREADS_MAX; i++) {
        int r = flush(t, &t->counter[i], err);
        if (r < 0)
            return r;
        add_usage(&sum, &t->counter[i].usage);
    }
    add_usage(&sum, &t->usage);
    for (size_t i = 0; i < t->device_count; i++)
        sum.shared += ol_inode_set_incomplete(&t->devices[i].set);
    if (t->inodes_only)
        sum = (struct ol_tree_usage){.inodes = sum.inodes, .names = sum.names};
    *ret = sum;
    return 0;
}

/*
 * Which shortcuts the root's file system allows: overlayfs reports inode numbers of its layers in
 * directory entries, and btrfs gives each subvolume its own device and inode numbers.
 */
static int choose(struct tally *t, int fd, bool inodes_only, struct ol_error *err)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return ol_error_sys(err, errno, "cannot examine the file system of the tree to count");
    t->inodes_only = inodes_only && fs.f_type != OVERLAYFS_SUPER_MAGIC;
    t->one_device = fs.f_type != BTRFS_SUPER_MAGIC;
    return 0;
}

static int count_tree(struct tally *t, int root_fd, bool inodes_only, struct ol_tree_usage *ret,
                      struct ol_error *err)
{
    struct ol_tree_run run = {.visitor = &usage_visitor, .data = t, .fds = 1};
    ol_auto_fd int fd = ol_tree_open_dir(root_fd, ".");
    struct ol_tree_node *root;
    int r;

    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open the tree to count");
    r = choose(t, fd, inodes_only, err);
    if (r < 0)
        return r;
    root = ol_tree_node_new(NULL, "");
    if (root == NULL)
        return ol_error_nomem(err);
    root->fd[0] = ol_fd_steal(&fd);
    r = ol_tree_run(&run, root, 0, err);
    return r < 0 ? r : collect(t, ret, err);
}

int ol_tree_usage(int root_fd, bool inodes_only, struct ol_tree_usage *ret, struct ol_error *err)
{
    struct tally *t = calloc(1, sizeof *t);
    int r;

    if (t == NULL)
        return ol_error_nomem(err);
    pthread_mutex_init(&t->lock, NULL);
    r = count_tree(t, root_fd, inodes_only, ret, err);
    if (r == 0 && inodes_only) /* also where it took stat calls to find out */
        *ret = (struct ol_tree_usage){.inodes = ret->inodes, .names = ret->names};
    for (unsigned i = 0; i < OL_THREADS_MAX; i++)
        free(t->counter[i].batch);
    for (size_t i = 0; i < t->device_count; i++)
        ol_inode_set_fini(&t->devices[i].set);
    free(t->devices);
    pthread_mutex_destroy(&t->lock);
    free(t);
    return r;
}
