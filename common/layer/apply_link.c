/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hard links. As in moby the entry's metadata go to the inode, whoever made it - unless the tree
 * shares inodes with a finished layer (legacy overlay): then an inode that this archive has not
 * made is copied before anything is written to it, and not even copied when nothing would change.
 */
#include "common/layer/apply.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/path.h"
#include "common/fs/tree.h"
#include "common/fs/xattr.h"
#include "common/layer/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>

/* What the link points to. */
struct target {
    struct ol_dir *dir; /* one reference */
    const char *base;
    struct stat st;
    bool shared; /* its inode may belong to another layer as well */
};

static int link_failed(int r, const struct ol_reader_entry *e, struct ol_error *err)
{
    return ol_error_sys(err, -r, "cannot link '%s' to '%s'", e->header.path, e->header.link);
}

static uint64_t shared_key(const struct ol_apply *a, const struct stat *st)
{
    return ol_seen_key(&a->seen, OL_SEEN_SHARED, st->st_dev, st->st_ino, "");
}

/*
 * A name this archive wrote is its own, unless it wrote it as a link to another layer's inode: then
 * the inode says so, through however many links it was reached.
 */
static bool is_shared(const struct ol_apply *a, const struct target *t, uint64_t written_key)
{
    if (ol_seen_has(&a->seen, shared_key(a, &t->st)))
        return true;
    return !ol_seen_has(&a->seen, written_key) &&
           !ol_seen_has(&a->seen,
                        ol_seen_key(&a->seen, OL_SEEN_PRIVATE, t->dir->dev, t->dir->ino, t->base));
}

static int find_target(struct ol_apply *a, const struct ol_reader_entry *e, struct target *t,
                       struct ol_error *err)
{
    uint64_t key;
    int r;

    if (*e->header.link == '\0')
        return link_failed(-EPERM, e, err); /* the root: a directory */
    if (a->options.target == OL_LAYER_TREE &&
        strncmp(e->header.link, OL_WH_META, sizeof OL_WH_META - 1) == 0)
        return ol_error_set(err, -EINVAL,
                            "'%s' is an aufs pseudo link to '%s', which overlab does "
                            "not support",
                            e->name, e->header.link);
    r = ol_apply_parent(a, e->header.link, false, &t->dir, err);
    if (r < 0)
        return ol_error_wrap(err, r, "linking '%s'", e->header.path);
    t->base = ol_path_base(e->header.link);
    key = ol_seen_key(&a->seen, OL_SEEN_WRITTEN, t->dir->dev, t->dir->ino, t->base);
    r = ol_crew_wait_for(a->crew, key, err);
    if (r < 0)
        return r;
    if (fstatat(t->dir->fd, t->base, &t->st, AT_SYMLINK_NOFOLLOW) < 0)
        return link_failed(-errno, e, err);
    t->shared = a->options.shared_inodes && is_shared(a, t, key);
    return 0;
}

/* Break the link of a shared inode before its metadata change. */
static int make_private(struct ol_apply *a, const struct ol_reader_entry *e, struct target *t,
                        struct ol_error *err)
{
    int r = ol_apply_break_link(a, t->dir, t->base, &t->st);

    if (r == 0 && fstatat(t->dir->fd, t->base, &t->st, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    if (r == 0)
        r = ol_seen_insert(
            &a->seen, ol_seen_key(&a->seen, OL_SEEN_PRIVATE, t->dir->dev, t->dir->ino, t->base));
    if (r < 0)
        return ol_apply_failed(r, "copy, before a hard link changes it,", e->header.link, err);
    a->res.broken_links++;
    return 0;
}

/* link(2), removing what is in the way - but never the target itself. */
static int make_link(struct ol_apply *a, const struct ol_reader_entry *e,
                     const struct ol_place *place, const struct target *t, struct ol_error *err)
{
    struct stat st;
    int r = ol_sys_link(t->dir->fd, t->base, place->dir->fd, place->base);

    if (r != -EEXIST)
        return r < 0 ? link_failed(r, e, err) : 0;
    if (place->dir->dev == t->dir->dev && place->dir->ino == t->dir->ino &&
        strcmp(place->base, t->base) == 0)
        return ol_error_set(err, -EINVAL, "'%s' is a hard link to itself", e->name);
    if (fstatat(place->dir->fd, place->base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_dev == t->st.st_dev && st.st_ino == t->st.st_ino)
        return 0; /* linked already */
    r = ol_apply_make_room(a, place, e->header.path, err);
    if (r < 0)
        return r;
    r = ol_sys_link(t->dir->fd, t->base, place->dir->fd, place->base);
    return r < 0 ? link_failed(r, e, err) : 0;
}

int ol_apply_hardlink(struct ol_apply *a, const struct ol_reader_entry *e,
                      const struct ol_place *place, struct ol_error *err)
{
    struct ol_meta meta = ol_meta_of(&e->header, a->options.keep_owner);
    struct target t = {.dir = NULL};
    bool same = false;
    int r = find_target(a, e, &t, err);

    meta.xattrs = e->xattrs;
    meta.n_xattrs = e->n_xattrs;
    if (r == 0 && S_ISDIR(t.st.st_mode))
        r = link_failed(-EPERM, e, err);
    if (r == 0)
        same = ol_meta_same(t.dir->fd, t.base, &t.st, &meta);
    if (r == 0 && !same && t.shared)
        r = make_private(a, e, &t, err);
    else if (r == 0 && t.shared && ol_seen_insert(&a->seen, shared_key(a, &t.st)) < 0)
        r = ol_error_nomem(err);
    if (r == 0)
        r = make_link(a, e, place, &t, err);
    if (r == 0 && !same) {
        r = ol_meta_apply(place->dir->fd, place->base, &t.st, &meta, &a->counts);
        if (r < 0)
            r = ol_apply_failed(r, "set the metadata of", e->header.path, err);
    }
    ol_dir_unref(t.dir);
    return r;
}

static int copy_xattrs(int dir_fd, const char *from, const char *to)
{
    ol_auto_buf struct ol_buf names = OL_BUF_INIT;
    ol_auto_free char *value = malloc(OL_XATTR_VALUE_MAX);
    int r = value == NULL ? -ENOMEM : ol_xattr_list(dir_fd, from, &names);

    for (const char *attr = ol_buf_str(&names); r == 0 && attr < ol_buf_str(&names) + names.len;
         attr += strlen(attr) + 1) {
        ssize_t n = ol_xattr_get(dir_fd, from, attr, value, OL_XATTR_VALUE_MAX);
        if (n == -ENODATA)
            continue;
        r = n < 0 ? (int)n : ol_xattr_set(dir_fd, to, attr, value, (size_t)n);
    }
    return r;
}

static int copy_content(int dir_fd, const char *from, const char *to, const struct stat *st)
{
    ol_auto_fd int in = ol_fs_open_read(dir_fd, from, 0);
    ol_auto_fd int out = -1;
    struct stat now;

    if (in < 0)
        return in;
    if (fstat(in, &now) < 0)
        return -errno;
    if (!S_ISREG(now.st_mode) || now.st_ino != st->st_ino || now.st_dev != st->st_dev)
        return -ESTALE;
    out = ol_sys_create(dir_fd, to, 0600);
    return out < 0 ? out : ol_file_copy_data(in, out, (uint64_t)st->st_size, NULL);
}

static int copy_symlink(int dir_fd, const char *from, const char *to)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dir_fd, from, target, sizeof target - 1);

    if (n < 0)
        return -errno;
    target[n] = '\0';
    return ol_sys_symlink(target, dir_fd, to);
}

/* The new inode: content, then the same metadata as st. */
static int copy_inode(struct ol_apply *a, int dir_fd, const char *from, const char *to,
                      const struct stat *st)
{
    struct ol_meta meta = {.mode = st->st_mode & 07777,
                           .uid = st->st_uid,
                           .gid = st->st_gid,
                           .mtime = st->st_mtim,
                           .keep_owner = a->options.keep_owner,
                           .set_times = true};
    struct ol_meta_counts ignored = {0, 0};
    struct stat now;
    int r;

    if (S_ISREG(st->st_mode))
        r = copy_content(dir_fd, from, to, st);
    else if (S_ISLNK(st->st_mode))
        r = copy_symlink(dir_fd, from, to);
    else
        r = ol_sys_mknod(dir_fd, to, st->st_mode & S_IFMT, st->st_rdev);
    if (r == 0 && fstatat(dir_fd, to, &now, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    if (r == 0) /* chown before the attributes: it would drop file capabilities */
        r = ol_meta_apply(dir_fd, to, &now, &meta, &ignored);
    if (r == 0)
        r = copy_xattrs(dir_fd, from, to);
    return r == 0 ? ol_sys_set_times(dir_fd, to, meta.mtime) : r;
}

int ol_apply_break_link(struct ol_apply *a, struct ol_dir *dir, const char *name,
                        const struct stat *st)
{
    char temp[sizeof ".overlab-" + 16];
    struct stat before;
    uint64_t random;
    int r;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random ||
        fstat(dir->fd, &before) < 0)
        return -errno;
    (void)snprintf(temp, sizeof temp, ".overlab-%016llx", (unsigned long long)random);
    r = copy_inode(a, dir->fd, name, temp, st);
    if (r == 0)
        r = ol_sys_rename(dir->fd, temp, name);
    if (r < 0)
        (void)unlinkat(dir->fd, temp,
                       0); /* the first error counts, and the caller drops the tree */
    else
        r = ol_sys_set_times(dir->fd, ".", before.st_mtim);
    return r;
}
