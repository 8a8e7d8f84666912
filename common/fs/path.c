/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confined resolution: openat2 where the kernel has it, else the walk by hand, which keeps a
 * descriptor for each directory on the way so that ".." never asks the file system.
 */
#include "common/fs/path.h"

#include "common/cleanup.h"
#include "common/fault.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    OL_PATH_LINKS_MAX = 40,  /* symlinks followed in one resolution, as the kernel's MAXSYMLINKS */
    OL_PATH_RACE_RETRIES = 8 /* openat2 says EAGAIN when a rename raced with ".." */
};

/* Cleared when the kernel or a seccomp filter refuses openat2; then the walk serves for good. */
static atomic_bool openat2_works = OL_HAVE_SYS_OPENAT2;

static int open_by_kernel(int root_fd, const char *path, int flags, mode_t mode, bool plain)
{
#if OL_HAVE_SYS_OPENAT2
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode & 07777 : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV |
                   (plain ? RESOLVE_NO_SYMLINKS : 0),
    };

    for (int i = 0; i < OL_PATH_RACE_RETRIES; i++) {
        long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
#else
    (void)root_fd, (void)path, (void)flags, (void)mode, (void)plain;
    return -ENOSYS;
#endif
}

/* Defined below. */
static int open_by_walk(int root_fd, const char *path, int flags, mode_t mode, bool plain);

static int open_in_root(int root_fd, const char *path, int flags, mode_t mode, bool plain)
{
    int fd;

    while (*path == '/')
        path++;
    if (*path == '\0')
        path = ".";
    if (atomic_load_explicit(&openat2_works, memory_order_relaxed)) {
        fd = open_by_kernel(root_fd, path, flags, mode, plain);
        if (fd != -ENOSYS && fd != -EAGAIN)
            return fd;
        if (fd == -ENOSYS)
            atomic_store(&openat2_works, false);
    }
    return open_by_walk(root_fd, path, flags, mode, plain);
}

int ol_path_open(int root_fd, const char *path, int flags, mode_t mode)
{
    return open_in_root(root_fd, path, flags, mode, false);
}

int ol_path_open_plain(int root_fd, const char *path, int flags)
{
    return open_in_root(root_fd, path, flags, 0, true);
}

/* The walk's state: directories from below the root down to where it stands, and what is left. */
struct walk {
    int root_fd;
    dev_t dev;
    int *dirs;
    size_t depth, cap;
    char *todo; /* owned; what is still to be resolved */
    unsigned links, links_max;
};

static void walk_fini(struct walk *w)
{
    int saved = errno;

    while (w->depth > 0)
        ol_fd_close(&w->dirs[--w->depth]);
    free(w->dirs);
    free(w->todo);
    errno = saved;
}

static int walk_here(const struct walk *w)
{
    return w->depth > 0 ? w->dirs[w->depth - 1] : w->root_fd;
}

static int walk_push(struct walk *w, int fd)
{
    if (w->depth == w->cap) {
        size_t cap = w->cap == 0 ? 16 : w->cap * 2;
        int *dirs = reallocarray(w->dirs, cap, sizeof *dirs);
        if (dirs == NULL)
            return -ENOMEM;
        w->dirs = dirs;
        w->cap = cap;
    }
    w->dirs[w->depth++] = fd;
    return 0;
}

static void walk_up(struct walk *w)
{
    if (w->depth > 0)
        ol_fd_close(&w->dirs[--w->depth]);
}

/* Put the link's text before the rest of the path; an absolute one starts again at the root. */
static int walk_follow(struct walk *w, int link_fd, const char *rest)
{
    char target[PATH_MAX];
    char *todo = NULL;
    ssize_t n;

    if (++w->links > w->links_max)
        return -ELOOP;
    n = readlinkat(link_fd, "", target, sizeof target - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    if (n == 0)
        return -ENOENT;
    if (asprintf(&todo, "%s/%s", target, rest) < 0)
        return -ENOMEM;
    if (*rest == '\0')
        todo[n] = '\0'; /* no trailing slash: the link itself was the last component */
    if (strlen(todo) >= PATH_MAX) {
        free(todo);
        return -ENAMETOOLONG;
    }
    while (target[0] == '/' && w->depth > 0)
        walk_up(w);
    free(w->todo);
    w->todo = todo;
    return 0;
}

/* Enter the directory or follow the link that `name` is; rest is what comes after it. */
static int walk_step(struct walk *w, const char *name, const char *rest)
{
    ol_auto_fd int fd = openat(walk_here(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    char *left;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return walk_follow(w, fd, rest);
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if (st.st_dev != w->dev)
        return -EXDEV;
    left = strdup(rest);
    if (left == NULL)
        return -ENOMEM;
    r = walk_push(w, fd);
    if (r < 0) {
        free(left);
        return r;
    }
    (void)ol_fd_steal(&fd);
    free(w->todo);
    w->todo = left;
    return 0;
}

/* The last component. @return a descriptor, or -EAGAIN after following a link. */
static int walk_last(struct walk *w, const char *name, int flags, mode_t mode)
{
    bool follow = (flags & O_NOFOLLOW) == 0 && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    struct stat st;
    int fd;

    if (follow) {
        ol_auto_fd int link_fd = openat(walk_here(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (link_fd >= 0 && fstat(link_fd, &st) == 0 && S_ISLNK(st.st_mode)) {
            int r = walk_follow(w, link_fd, (flags & O_DIRECTORY) != 0 ? "." : "");
            return r < 0 ? r : -EAGAIN;
        }
    }
    fd = openat(walk_here(w), name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && st.st_dev != w->dev) {
        ol_fd_close(&fd);
        return -EXDEV;
    }
    return fd;
}

/* One component of w->todo. @return a descriptor at the end, -EAGAIN to go on, or negative errno.
 */
static int walk_next(struct walk *w, int flags, mode_t mode)
{
    ol_auto_free char *name = NULL;
    const char *p = w->todo + strspn(w->todo, "/");
    size_t len = strcspn(p, "/");
    const char *rest = p + len + strspn(p + len, "/");
    bool last = *rest == '\0';
    int r;

    if (last && p[len] == '/')
        flags |= O_DIRECTORY;
    if (len == 0 || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.')) {
        if (len == 2)
            walk_up(w);
        if (last)
            return walk_last(w, ".", flags & ~(O_CREAT | O_EXCL), 0);
        memmove(w->todo, rest, strlen(rest) + 1);
        return -EAGAIN;
    }
    name = strndup(p, len);
    if (name == NULL)
        return -ENOMEM;
    if (last)
        return walk_last(w, name, flags, mode);
    r = walk_step(w, name, rest);
    return r < 0 ? r : -EAGAIN;
}

static int open_by_walk(int root_fd, const char *path, int flags, mode_t mode, bool plain)
{
    struct walk w = {.root_fd = root_fd, .links_max = plain ? 0 : OL_PATH_LINKS_MAX};
    struct stat st;
    int r;

    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (fstat(root_fd, &st) < 0)
        return -errno;
    w.dev = st.st_dev;
    w.todo = strdup(path);
    if (w.todo == NULL)
        return -ENOMEM;
    do {
        r = walk_next(&w, flags, mode);
    } while (r == -EAGAIN);
    walk_fini(&w);
    return r;
}

int ol_path_open_walk(int root_fd, const char *path, int flags, mode_t mode)
{
    return open_by_walk(root_fd, path, flags, mode, false);
}

int ol_path_open_plain_walk(int root_fd, const char *path, int flags)
{
    return open_by_walk(root_fd, path, flags, 0, true);
}

/* mkdirat with exactly this mode, whatever the umask; an existing one is left alone. */
static int make_dir(int dir_fd, const char *name, mode_t mode, unsigned *made)
{
    ol_auto_fd int fd = -1;

    if (ol_fault_hit("mkdirat"))
        return -EIO;
    if (mkdirat(dir_fd, name, mode) < 0)
        return errno == EEXIST ? 0 : -errno;
    ++*made;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) < 0)
        return -errno;
    return 0;
}

int ol_path_mkdirs(int root_fd, const char *path, mode_t mode, unsigned *ret_made)
{
    const int how = O_PATH | O_DIRECTORY;
    ol_auto_free char *prefix = NULL;
    unsigned made = 0;
    int fd = ol_path_open(root_fd, path, how, 0);
    size_t len = 0;

    if (ret_made != NULL)
        *ret_made = 0;
    if (fd != -ENOENT)
        return fd;
    prefix = strdup(path);
    if (prefix == NULL)
        return -ENOMEM;
    fd = ol_path_open(root_fd, "", how, 0);
    while (fd >= 0 && path[len] != '\0') {
        ol_auto_fd int parent_fd = fd;
        size_t start = len + strspn(path + len, "/");
        int r = 0;

        len = start + strcspn(path + start, "/");
        prefix[len] = '\0';
        fd = ol_path_open(root_fd, prefix, how, 0);
        if (fd == -ENOENT && len > start) {
            r = make_dir(parent_fd, prefix + start, mode, &made);
            fd = r < 0 ? r : ol_path_open(root_fd, prefix, how, 0);
        }
        prefix[len] = path[len];
    }
    if (ret_made != NULL)
        *ret_made = made;
    return fd;
}

bool ol_path_clean(const char *name, char *ret)
{
    const char *p = name;
    size_t out = 0;
    bool climbs = false;

    while (*p != '\0') {
        size_t len = strcspn(p, "/");
        if (len == 2 && p[0] == '.' && p[1] == '.') {
            climbs |= out == 0;
            while (out > 0 && ret[--out] != '/')
                ;
        } else if (len > 0 && !(len == 1 && p[0] == '.')) {
            if (out > 0)
                ret[out++] = '/';
            memmove(ret + out, p, len);
            out += len;
        }
        p += len;
        p += strspn(p, "/");
    }
    ret[out] = '\0';
    return climbs;
}

size_t ol_path_dir_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash - path) : 0;
}

const char *ol_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}
