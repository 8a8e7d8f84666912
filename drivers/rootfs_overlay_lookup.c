/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking names up in an unmounted overlay, with the rules of Linux fs/overlayfs/namei.c and
 * readdir.c. Paths are walked one component at a time in every layer; symlinks are interpreted in
 * the merged view, never inside one layer, and never lead above the root. At most three merged
 * directories are held open at once, because each may take a descriptor per layer.
 */
#include "drivers/rootfs_overlay.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/path.h"
#include "common/fs/whiteout.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { OL_SYMLINKS_MAX = 40 }; /* the kernel's own MAXSYMLINKS */

void ol_ovl_dir_fini(struct ol_ovl_dir *dir)
{
    for (size_t i = 0; i < dir->n; i++)
        ol_fd_close(&dir->fds[i]);
    ol_ptr_free(&dir->fds);
    ol_ptr_free(&dir->layers);
    dir->n = 0;
}

void ol_ovl_found_fini(struct ol_ovl_found *found)
{
    ol_ovl_dir_fini(&found->dir);
}

void ol_ovl_pos_fini(struct ol_ovl_pos *pos)
{
    ol_ptr_free(&pos->dir_path);
    ol_ptr_free(&pos->name);
    ol_ovl_dir_fini(&pos->parent);
    ol_ovl_found_fini(&pos->found);
}

static int dir_init(struct ol_ovl_dir *dir, size_t room)
{
    dir->fds = calloc(room, sizeof *dir->fds);
    dir->layers = calloc(room, sizeof *dir->layers);
    dir->n = 0;
    if (dir->fds != NULL && dir->layers != NULL)
        return 0;
    ol_ovl_dir_fini(dir);
    return -ENOMEM;
}

static int dir_add(struct ol_ovl_dir *dir, int parent_fd, const char *name, unsigned layer)
{
    int fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    dir->fds[dir->n] = fd;
    dir->layers[dir->n++] = layer;
    return 0;
}

int ol_ovl_open_root(struct ol_ovl *o, struct ol_ovl_dir *ret)
{
    ol_auto_ovl_dir struct ol_ovl_dir dir = OL_OVL_DIR_INIT;
    int r = dir_init(&dir, o->n_layers);

    for (size_t i = 0; r == 0 && i < o->n_layers; i++)
        r = dir_add(&dir, o->layers[i], ".", (unsigned)i);
    if (r < 0)
        return r;
    *ret = dir;
    dir = (struct ol_ovl_dir)OL_OVL_DIR_INIT;
    return 0;
}

/* What one layer has under the name, on top of what found holds. @return 1 to stop here. */
static int lookup_layer(struct ol_ovl *o, const struct ol_ovl_dir *parent, size_t i,
                        const char *name, struct ol_ovl_found *found)
{
    bool in_upper = parent->layers[i] == 0;
    bool opaque;
    struct stat st;
    int r;

    if (fstatat(parent->fds[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (ol_whiteout_is(&st)) {
        found->upper_whiteout = in_upper;
        return 1;
    }
    if (found->kind == OL_OVL_MISSING) {
        found->kind = S_ISDIR(st.st_mode) ? OL_OVL_DIRECTORY : OL_OVL_FILE;
        found->at = i;
        found->in_upper = in_upper;
        found->st = st;
    }
    if (!S_ISDIR(st.st_mode)) /* below a directory, a file ends the stack */
        return 1;
    if (found->dir.fds == NULL) {
        r = dir_init(&found->dir, parent->n - i);
        if (r < 0)
            return r;
    }
    r = dir_add(&found->dir, parent->fds[i], name, parent->layers[i]);
    if (r < 0)
        return r;
    opaque = ol_whiteout_is_opaque(parent->fds[i], name, o->ns);
    if (found->dir.n == 1)
        found->opaque = opaque;
    return opaque ? 1 : 0;
}

int ol_ovl_lookup(struct ol_ovl *o, const struct ol_ovl_dir *parent, const char *name,
                  struct ol_ovl_found *ret)
{
    struct ol_ovl_found found = OL_OVL_FOUND_INIT;
    int r = strlen(name) > OL_NAME_MAX ? -ENAMETOOLONG : 0;

    for (size_t i = 0; r == 0 && i < parent->n; i++)
        r = lookup_layer(o, parent, i, name, &found);
    if (r < 0) {
        ol_ovl_found_fini(&found);
        return r;
    }
    ol_ovl_found_fini(ret);
    *ret = found;
    return 0;
}

bool ol_ovl_lower_positive(const struct ol_ovl_dir *parent, const char *name,
                           const struct ol_ovl_found *found)
{
    if (found->kind == OL_OVL_MISSING)
        return found->upper_whiteout;
    if (!found->in_upper)
        return true;
    for (size_t i = 1; i < parent->n; i++) { /* fds[0] is the upper: it has the object */
        struct stat st;
        if (fstatat(parent->fds[i], name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return !ol_whiteout_is(&st);
        if (errno != ENOENT && errno != ENAMETOOLONG)
            return true; /* cannot be told: a whiteout too many is harmless, as the kernel says */
    }
    return false;
}

/* A walk in progress: what is resolved, and what is still to come. */
struct walk {
    struct ol_ovl *o;
    struct ol_buf done;    /* resolved path of dir, no symlinks */
    struct ol_ovl_dir dir; /* that directory */
    char *rest;            /* owned; components to come */
    unsigned links;
};

static void walk_fini(struct walk *w)
{
    ol_buf_fini(&w->done);
    ol_ovl_dir_fini(&w->dir);
    ol_ptr_free(&w->rest);
}
#define auto_walk __attribute__((cleanup(walk_fini)))

static int walk_root(struct walk *w)
{
    ol_ovl_dir_fini(&w->dir);
    ol_buf_truncate(&w->done, 0);
    return ol_ovl_open_root(w->o, &w->dir);
}

/* Step into a directory that was found. */
static int walk_into(struct walk *w, const char *name, struct ol_ovl_found *found)
{
    if ((w->done.len > 0 && ol_buf_putc(&w->done, '/') < 0) || ol_buf_puts(&w->done, name) < 0)
        return -ENOMEM;
    ol_ovl_dir_fini(&w->dir);
    w->dir = found->dir;
    found->dir = (struct ol_ovl_dir)OL_OVL_DIR_INIT;
    return 0;
}

/* Walk again to a path without symlinks; what is no directory any more ends it. */
static int walk_again(struct walk *w, const char *path)
{
    ol_auto_free char *copy = strdup(path);
    char *save = NULL;
    int r = copy == NULL ? -ENOMEM : walk_root(w);

    if (r < 0)
        return r;
    for (char *name = strtok_r(copy, "/", &save); name != NULL; name = strtok_r(NULL, "/", &save)) {
        ol_auto_ovl_found struct ol_ovl_found found = OL_OVL_FOUND_INIT;
        r = ol_ovl_lookup(w->o, &w->dir, name, &found);
        if (r == 0 && found.kind != OL_OVL_DIRECTORY)
            r = found.kind == OL_OVL_FILE ? -ENOTDIR : -ENOENT;
        if (r == 0)
            r = walk_into(w, name, &found);
        if (r < 0)
            return r;
    }
    return 0;
}

/* "..": nothing is above the root. */
static int walk_up(struct walk *w)
{
    ol_auto_free char *up = strdup(ol_buf_str(&w->done));

    if (up == NULL)
        return -ENOMEM;
    up[ol_path_dir_len(up)] = '\0';
    return walk_again(w, up);
}

/* Put the symlink's text before what is still to come. */
static int walk_link(struct walk *w, const char *name, const struct ol_ovl_found *found)
{
    ol_auto_free char *text = NULL;
    char *rest = NULL;
    int r;

    if (++w->links > OL_SYMLINKS_MAX)
        return -ELOOP;
    r = ol_at_readlink(w->dir.fds[found->at], name, &text);
    if (r < 0)
        return r;
    if (*text == '\0')
        return -ENOENT;
    if (asprintf(&rest, "%s/%s", text, w->rest) < 0)
        return -ENOMEM;
    free(w->rest);
    w->rest = rest;
    return *text == '/' ? walk_root(w) : 0;
}

/* Cut the next component off the rest; *ret_name is owned text, "" at the end. */
static int walk_next(struct walk *w, char **ret_name, bool *ret_last)
{
    char *start = w->rest + strspn(w->rest, "/");
    size_t len = strcspn(start, "/");
    char *name = strndup(start, len);

    if (name == NULL)
        return -ENOMEM;
    start += len;
    start += strspn(start, "/");
    memmove(w->rest, start, strlen(start) + 1);
    *ret_last = *w->rest == '\0';
    *ret_name = name;
    return 0;
}

static int take_pos(struct walk *w, char **name, struct ol_ovl_found *found, struct ol_ovl_pos *ret)
{
    char *dir_path = ol_buf_steal(&w->done);

    if (dir_path == NULL)
        return -ENOMEM;
    ol_ovl_pos_fini(ret);
    ret->dir_path = dir_path;
    ret->name = ol_ptr_steal(*name);
    ret->parent = w->dir;
    w->dir = (struct ol_ovl_dir)OL_OVL_DIR_INIT;
    ret->found = *found;
    found->dir = (struct ol_ovl_dir)OL_OVL_DIR_INIT;
    return 0;
}

/* The path ended in a directory that was walked into ("a/..", "/"): find it from its parent. */
static int end_in_dir(struct walk *w, struct ol_ovl_pos *ret)
{
    ol_auto_ovl_found struct ol_ovl_found found = OL_OVL_FOUND_INIT;
    ol_auto_free char *path = strdup(ol_buf_str(&w->done));
    ol_auto_free char *name = NULL;
    int r;

    if (path == NULL || (name = strdup(ol_path_base(path))) == NULL)
        return -ENOMEM;
    path[ol_path_dir_len(path)] = '\0';
    r = walk_again(w, path);
    if (r == 0 && *name != '\0') {
        r = ol_ovl_lookup(w->o, &w->dir, name, &found);
    } else if (r == 0) {
        found.kind = OL_OVL_DIRECTORY;
        found.in_upper = true;
        if (fstat(w->dir.fds[0], &found.st) < 0)
            return -errno;
        r = ol_ovl_open_root(w->o, &found.dir);
    }
    return r < 0 ? r : take_pos(w, &name, &found, ret);
}

int ol_ovl_resolve(struct ol_ovl *o, const char *path, bool follow, struct ol_ovl_pos *ret)
{
    auto_walk struct walk w = {.o = o, .done = OL_BUF_INIT, .dir = OL_OVL_DIR_INIT};
    int r;

    w.rest = strdup(path);
    r = w.rest == NULL ? -ENOMEM : walk_root(&w);
    while (r == 0) {
        ol_auto_ovl_found struct ol_ovl_found found = OL_OVL_FOUND_INIT;
        ol_auto_free char *name = NULL;
        bool last = false;
        r = walk_next(&w, &name, &last);
        if (r < 0)
            break;
        if (*name == '\0')
            return end_in_dir(&w, ret);
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0) {
            r = walk_up(&w);
            continue;
        }
        r = ol_ovl_lookup(o, &w.dir, name, &found);
        if (r < 0)
            break;
        if (found.kind == OL_OVL_FILE && S_ISLNK(found.st.st_mode) && (follow || !last))
            r = walk_link(&w, name, &found);
        else if (last)
            return take_pos(&w, &name, &found, ret);
        else if (found.kind == OL_OVL_DIRECTORY)
            r = walk_into(&w, name, &found);
        else
            r = found.kind == OL_OVL_FILE ? -ENOTDIR : -ENOENT;
    }
    return r;
}

/* One name of one layer, while a merged directory is read. */
struct seen {
    char *name; /* owned */
    size_t at;  /* index of the layer's directory: smaller is nearer */
    bool hides; /* a whiteout */
};
struct seen_list {
    struct seen *items;
    size_t count, cap;
};

static void seen_fini(struct seen_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].name);
    free(list->items);
}

static int by_name_then_layer(const void *a, const void *b)
{
    const struct seen *x = a;
    const struct seen *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

static int seen_add(struct seen_list *list, const char *name, size_t at, bool hides)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 64 : list->cap * 2;
        struct seen *items = reallocarray(list->items, cap, sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count] = (struct seen){strdup(name), at, hides};
    if (list->items[list->count].name == NULL)
        return -ENOMEM;
    list->count++;
    return 0;
}

static int read_layer(int dir_fd, size_t at, struct seen_list *list)
{
    ol_auto_dirents struct ol_dirents entries = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(dir_fd, ".");
    int r = fd < 0 ? fd : ol_dirents_read(&entries, fd, false);

    for (size_t i = 0; r == 0 && i < entries.count; i++) {
        const struct ol_dirent *d = &entries.items[i];
        bool hides = false;
        if (d->type == DT_CHR || d->type == DT_UNKNOWN) {
            struct stat st;
            if (fstatat(fd, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
            hides = ol_whiteout_is(&st);
        }
        r = seen_add(list, d->name, at, hides);
    }
    return r;
}

int ol_ovl_names(const struct ol_ovl_dir *dir, char ***ret)
{
    __attribute__((cleanup(seen_fini))) struct seen_list list = {NULL, 0, 0};
    char **names;
    size_t count = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < dir->n; i++)
        r = read_layer(dir->fds[i], i, &list);
    if (r < 0)
        return r;
    names = calloc(list.count + 1, sizeof *names);
    if (names == NULL)
        return -ENOMEM;
    if (list.count > 1)
        qsort(list.items, list.count, sizeof *list.items, by_name_then_layer);
    for (size_t i = 0; i < list.count; i++) {
        bool nearest = i == 0 || strcmp(list.items[i - 1].name, list.items[i].name) != 0;
        if (nearest && !list.items[i].hides)
            names[count++] = strdup(list.items[i].name);
        if (count > 0 && names[count - 1] == NULL) {
            ol_rootfs_names_free(names);
            return -ENOMEM;
        }
    }
    *ret = names;
    return 0;
}

int ol_ovl_is_empty(const struct ol_ovl_dir *dir)
{
    char **names = NULL;
    int r = ol_ovl_names(dir, &names);

    if (r == 0 && names[0] != NULL)
        r = -ENOTEMPTY;
    ol_rootfs_names_free(names);
    return r;
}
