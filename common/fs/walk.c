/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ol_tree_walk(): pre-order, sorted, one thread, no recursion. A level keeps the names still to
 * come, packed; the descriptors of the first levels stay open, deeper ones are opened again through
 * "..", checked against the device and inode they had.
 */
#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/tree.h"
#include "common/fs/tree_engine.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { OL_WALK_OPEN_LEVELS = 64 };

struct level {
    struct level *up;
    char *names;     /* owned; NUL-separated, sorted */
    size_t len;      /* of names */
    size_t at;       /* the next name */
    size_t path_len; /* of the directory's path */
    unsigned depth;  /* components of it */
    int fd;          /* owned; -1 while closed for a time */
    dev_t dev;
    ino_t ino;
};

struct walk {
    struct level *top; /* the directory being handled; owned, as are those above */
    struct ol_dirents list;
    struct ol_buf path;
    ol_walk_fn *fn;
    void *data;
    struct ol_error *err;
};

static void pop(struct walk *w)
{
    struct level *level = w->top;

    w->top = level->up;
    ol_fd_close(&level->fd);
    free(level->names);
    free(level);
}

static int fail(struct walk *w, int errnum, const char *what)
{
    return ol_error_sys(w->err, errnum, "%s '%s'", what,
                        w->path.len > 0 ? ol_buf_str(&w->path) : ".");
}

/* Read the entries of the directory at w->path into level, in as little memory as they need. */
static int load(struct walk *w, struct level *level)
{
    size_t len = 0;
    int r = ol_dirents_read(&w->list, level->fd, true);

    if (r < 0)
        return fail(w, -r, "cannot read directory");
    for (size_t i = 0; i < w->list.count; i++)
        len += strlen(w->list.items[i].name) + 1;
    level->names = malloc(len + 1);
    if (level->names == NULL)
        return ol_error_nomem(w->err);
    for (size_t i = 0; i < w->list.count; i++) {
        size_t n = strlen(w->list.items[i].name) + 1;
        memcpy(level->names + level->len, w->list.items[i].name, n);
        level->len += n;
    }
    return 0;
}

/* Go into the directory fd (taken), whose state is *st and whose path is w->path. */
static int push(struct walk *w, int fd, const struct stat *st)
{
    struct level *level = calloc(1, sizeof *level);

    if (level == NULL) {
        ol_fd_close(&fd);
        return ol_error_nomem(w->err);
    }
    *level = (struct level){.up = w->top,
                            .fd = fd,
                            .path_len = w->path.len,
                            .depth = w->top != NULL ? w->top->depth + 1 : 0,
                            .dev = st->st_dev,
                            .ino = st->st_ino};
    w->top = level;
    if (level->up != NULL && level->up->depth >= OL_WALK_OPEN_LEVELS)
        ol_fd_close(&level->up->fd);
    return load(w, level);
}

static bool same(const struct stat *st, dev_t dev, ino_t ino)
{
    return st->st_dev == dev && st->st_ino == ino;
}

static int leave(struct walk *w)
{
    struct level *up = w->top->up;
    struct stat st;

    ol_buf_truncate(&w->path, w->top->path_len);
    if (up != NULL && up->fd < 0) {
        up->fd = ol_tree_open_dir(w->top->fd, "..");
        if (up->fd < 0)
            return fail(w, -up->fd, "cannot go back up from directory");
        if (fstat(up->fd, &st) < 0)
            return fail(w, errno, "cannot examine the directory above");
        if (!same(&st, up->dev, up->ino))
            return fail(w, ESTALE, "somebody moved directory");
    }
    pop(w);
    return 0;
}

static int descend(struct walk *w, const char *name, const struct stat *st)
{
    ol_auto_fd int fd = ol_tree_open_dir(w->top->fd, name);
    struct stat now;

    if (fd < 0)
        return fail(w, -fd, "cannot open directory");
    if (fstat(fd, &now) < 0)
        return fail(w, errno, "cannot examine directory");
    if (!same(&now, st->st_dev, st->st_ino))
        return fail(w, ESTALE, "somebody replaced directory");
    return push(w, ol_fd_steal(&fd), st);
}

static int handle_next(struct walk *w)
{
    struct level *level = w->top;
    const char *name = level->names + level->at;
    struct ol_walk_entry entry = {.dir_fd = level->fd, .depth = level->depth + 1};
    struct stat st;
    int r;

    level->at += strlen(name) + 1;
    ol_buf_truncate(&w->path, level->path_len);
    r = level->path_len > 0 ? ol_buf_putc(&w->path, '/') : 0;
    if (r == 0)
        r = ol_buf_puts(&w->path, name);
    if (r < 0)
        return ol_error_nomem(w->err);
    if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
        return fail(w, errno, "cannot examine");
    entry.path = w->path.data;
    entry.name = w->path.data + w->path.len - strlen(name);
    entry.st = &st;
    r = w->fn(&entry, w->data, w->err);
    if (r != 0 || !S_ISDIR(st.st_mode))
        return r < 0 ? r : 0;
    return descend(w, name, &st);
}

static int start(struct walk *w, int root_fd)
{
    ol_auto_fd int fd = ol_tree_open_dir(root_fd, ".");
    struct ol_walk_entry entry = {.path = "", .name = "", .dir_fd = root_fd};
    struct stat st;
    int r;

    if (fd < 0)
        return fail(w, -fd, "cannot open directory");
    if (fstat(fd, &st) < 0)
        return fail(w, errno, "cannot examine directory");
    entry.st = &st;
    r = w->fn(&entry, w->data, w->err);
    if (r != 0)
        return r < 0 ? r : 0;
    return push(w, ol_fd_steal(&fd), &st);
}

int ol_tree_walk(int root_fd, ol_walk_fn *fn, void *data, struct ol_error *err)
{
    struct walk w = {.list = OL_DIRENTS_INIT, .fn = fn, .data = data, .err = err};
    int r = start(&w, root_fd);

    while (r == 0 && w.top != NULL)
        r = w.top->at < w.top->len ? handle_next(&w) : leave(&w);
    while (w.top != NULL)
        pop(&w);
    ol_dirents_fini(&w.list);
    ol_buf_fini(&w.path);
    return r;
}
