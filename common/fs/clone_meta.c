/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata of cloned objects. Order: owner, attributes, mode, times, because chown(2) clears
 * security.capability and the set-id bits, and all of them move ctime only. What an object got by
 * being made (owner, mode) is not set again: these calls cost a fifth of a create each.
 */
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/clone.h"
#include "common/fs/xattr.h"

#include <fcntl.h>
#include <unistd.h>

enum { OL_LATE_MODE = 1 << 16 }; /* in ol_tree_node.note, with the mode in the bits below */

/* One object of the target: an open descriptor with name "", or a name in an open directory. */
struct object {
    struct ol_tree_node *node;
    const char *name; /* for messages */
    int src_fd;       /* the object, or the directory it is in */
    int dst_fd;       /* likewise */
    const char *at;   /* "" or the name in src_fd and dst_fd */
    const struct stat *st;
};

static int fail(struct ol_tree_visit *v, const struct object *o, int errnum, const char *what)
{
    return ol_tree_fail(v->err, errnum, o->node, o->name, what);
}

/* The umask without changing it: it belongs to the whole process. */
static mode_t read_umask(void)
{
    ol_auto_file FILE *status = fopen("/proc/self/status", "re");
    ol_auto_free char *line = NULL;
    size_t cap = 0;
    unsigned mask;

    while (status != NULL && getline(&line, &cap, status) > 0) {
        if (sscanf(line, "Umask: %o", &mask) == 1)
            return mask & 0777;
    }
    return 0777; /* unknown: every mode is set explicitly */
}

int ol_clone_learn(struct ol_clone *c, struct ol_error *err)
{
    char acl[1];
    ssize_t n = ol_xattr_get(c->dst_fd, "", "system.posix_acl_default", acl, sizeof acl);

    if (n < 0 && n != -ENODATA && n != -ERANGE && n != -EOPNOTSUPP)
        return ol_error_sys(err, (int)-n, "cannot read the access list of the clone's target");
    c->mode_known = n == -ENODATA || n == -EOPNOTSUPP;
    c->uid = geteuid();
    c->gid = getegid();
    c->umask = read_umask();
    return 0;
}

static bool needs_chown(const struct ol_tree_visit *v, const struct stat *st)
{
    const struct ol_clone *c = ol_clone_of(v);

    return c->options.keep_owner &&
           !(ol_clone_worker_of(v)->owner_known && st->st_uid == c->uid && st->st_gid == c->gid);
}

static int set_owner(struct ol_tree_visit *v, const struct object *o)
{
    if (ol_fault_hit("chown"))
        return fail(v, o, EIO, "cannot set the owner of");
    if (fchownat(o->dst_fd, o->at, o->st->st_uid, o->st->st_gid,
                 AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
        return fail(v, o, errno, "cannot set the owner of");
    return 0;
}

static bool wanted_attr(const struct ol_clone *c, const char *attr)
{
    return c->options.all_xattrs || strcmp(attr, "security.capability") == 0 ||
           strcmp(attr, ol_whiteout_opaque_attr(c->options.ns)) == 0;
}

/* *ret is the length, or -1 when the attribute vanished or may not be read */
static int read_attr(struct ol_tree_visit *v, const struct object *o, const char *attr,
                     ssize_t *ret)
{
    struct ol_buf *value = &ol_clone_worker_of(v)->value;
    size_t room = 512;

    for (;;) {
        if (ol_buf_reserve(value, room) < 0)
            return ol_error_nomem(v->err);
        *ret = ol_xattr_get(o->src_fd, o->at, attr, value->data, room);
        if (*ret >= 0)
            return 0;
        if (*ret != -ERANGE || room >= OL_XATTR_VALUE_MAX)
            break;
        room = OL_XATTR_VALUE_MAX;
    }
    if (*ret == -ENODATA || (ol_clone_of(v)->options.all_xattrs && *ret == -EPERM)) {
        *ret = -1;
        return 0;
    }
    return fail(v, o, (int)-*ret, "cannot read the attributes of");
}

static int copy_attr(struct ol_tree_visit *v, const struct object *o, const char *attr)
{
    struct ol_clone_worker *w = ol_clone_worker_of(v);
    ssize_t n;
    int r = read_attr(v, o, attr, &n);

    if (r < 0 || n < 0)
        return r;
    r = ol_xattr_set(o->dst_fd, o->at, attr, w->value.data, (size_t)n);
    if (r == -EPERM && !ol_clone_of(v)->options.keep_owner) {
        w->stats.skipped_xattrs++;
        return 0;
    }
    return r < 0 ? fail(v, o, -r, "cannot set an attribute of") : 0;
}

static int copy_attrs(struct ol_tree_visit *v, const struct object *o)
{
    struct ol_clone_worker *w = ol_clone_worker_of(v);
    int r = ol_xattr_list(o->src_fd, o->at, &w->names);

    if (r < 0)
        return fail(v, o, -r, "cannot list the attributes of");
    for (size_t at = 0; at < w->names.len; at += strlen(w->names.data + at) + 1) {
        const char *attr = w->names.data + at;
        r = wanted_attr(ol_clone_of(v), attr) ? copy_attr(v, o, attr) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether an object made with made_mode has another mode than st by now. */
static bool needs_chmod(const struct ol_tree_visit *v, const struct stat *st, mode_t made_mode,
                        bool chowned)
{
    const struct ol_clone *c = ol_clone_of(v);
    mode_t want = st->st_mode & 07777;

    return !c->mode_known || want != (made_mode & 07777 & ~c->umask) ||
           (chowned && (want & (S_ISUID | S_ISGID)) != 0);
}

static int set_mode(struct ol_tree_visit *v, const struct object *o)
{
    mode_t mode = o->st->st_mode & 07777;
    int r;

    if (ol_fault_hit("chmod"))
        return fail(v, o, EIO, "cannot set the mode of");
    r = *o->at == '\0' ? fchmod(o->dst_fd, mode)
                       : fchmodat(o->dst_fd, o->at, mode, AT_SYMLINK_NOFOLLOW);
    return r < 0 ? fail(v, o, errno, "cannot set the mode of") : 0;
}

/* moby's clamp (pkg/system/chtimes.go): times before 1970 or past 2^63-1 ns become 1970. */
static struct timespec clamped(struct timespec t)
{
    const struct timespec last = {INT64_MAX / 1000000000, INT64_MAX % 1000000000};

    if (t.tv_sec < 0 || t.tv_sec > last.tv_sec ||
        (t.tv_sec == last.tv_sec && t.tv_nsec > last.tv_nsec))
        return (struct timespec){0, 0};
    return t;
}

static int set_times(struct ol_tree_visit *v, const struct object *o)
{
    bool link = S_ISLNK(o->st->st_mode); /* moby does not clamp those */
    struct timespec times[2] = {link ? o->st->st_atim : clamped(o->st->st_atim),
                                link ? o->st->st_mtim : clamped(o->st->st_mtim)};
    int r;

    if (ol_fault_hit("utimens"))
        return fail(v, o, EIO, "cannot set the times of");
    r = *o->at == '\0' ? futimens(o->dst_fd, times)
                       : utimensat(o->dst_fd, o->at, times, AT_SYMLINK_NOFOLLOW);
    return r < 0 ? fail(v, o, errno, "cannot set the times of") : 0;
}

static int set_all(struct ol_tree_visit *v, const struct object *o, bool chown, bool chmod)
{
    int r = chown ? set_owner(v, o) : 0;

    if (r == 0)
        r = copy_attrs(v, o);
    if (r == 0 && chmod)
        r = set_mode(v, o);
    if (r == 0)
        r = set_times(v, o);
    return r;
}

int ol_clone_meta_name(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                       const struct stat *st)
{
    struct object o = {node, name, node->fd[0], node->fd[1], name, st};
    bool chown = needs_chown(v, st);
    bool chmod = !S_ISLNK(st->st_mode) && needs_chmod(v, st, st->st_mode, chown);

    return set_all(v, &o, chown, chmod);
}

int ol_clone_meta_file(struct ol_tree_visit *v, struct ol_tree_node *node, const char *name,
                       int src_fd, int dst_fd, const struct stat *st, mode_t made_mode)
{
    struct object o = {node, name, src_fd, dst_fd, "", st};
    bool chown = needs_chown(v, st);

    return set_all(v, &o, chown, needs_chmod(v, st, made_mode, chown));
}

int ol_clone_meta_dir(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    const struct stat *st = &ol_clone_worker_of(v)->dir;
    struct object o = {node, "", node->fd[0], node->fd[1], "", st};
    struct stat made;
    bool chown;
    bool chmod;

    if (fstat(node->fd[1], &made) < 0)
        return fail(v, &o, errno, "cannot examine the copy of");
    chown = ol_clone_of(v)->options.keep_owner &&
            (made.st_uid != st->st_uid || made.st_gid != st->st_gid);
    chmod = ((made.st_mode ^ st->st_mode) & 07777) != 0;
    /* Without read and search permission for the owner, an ordinary user could not open what is
     * still to be filled below. */
    if (chmod && (st->st_mode & 0500) != 0500 && node->below != NULL) {
        node->note = OL_LATE_MODE | (unsigned)(st->st_mode & 07777);
        chmod = false;
    }
    return set_all(v, &o, chown, chmod);
}

int ol_clone_meta_late(struct ol_tree_visit *v, struct ol_tree_node *node)
{
    struct stat st = {.st_mode = node->note & 07777};
    struct object o = {.node = node, .name = "", .dst_fd = node->fd[1], .at = "", .st = &st};

    return node->note != 0 ? set_mode(v, &o) : 0;
}
