/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lookups in stacks; see stack.h. The cursor keeps, for each component of its directory, which
 * layers take part in the merge there (a few numbers), and open descriptors for the last one only:
 * a deep path costs memory, not descriptors.
 */
#include "common/layer/stack.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

struct ol_stack_level {
    size_t path_len; /* of the directory, in the cursor's dir */
    unsigned count;
    unsigned *layers; /* owned; indices into the stack, topmost first */
};

enum { OPEN_DIR = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* The kernel resolves PATH_MAX bytes at a time; a longer path is opened piece by piece. */
int ol_stack_open_dir(int root_fd, const char *path)
{
    ol_auto_fd int at = -1;
    char piece[PATH_MAX];
    size_t left = strlen(path);

    while (left >= PATH_MAX) {
        size_t cut = PATH_MAX - 1;
        int fd;

        while (cut > 0 && path[cut] != '/')
            cut--;
        if (cut == 0)
            return -ENAMETOOLONG; /* one component cannot have that many bytes */
        memcpy(piece, path, cut);
        piece[cut] = '\0';
        fd = ol_path_open(at < 0 ? root_fd : at, piece, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
        if (fd < 0)
            return fd;
        ol_fd_close(&at);
        at = fd;
        path += cut + 1;
        left -= cut + 1;
    }
    return ol_path_open(at < 0 ? root_fd : at, path, OPEN_DIR, 0);
}

int ol_stack_check_entry(const struct ol_stack *stack, int dir_fd, const char *name, mode_t type)
{
    static const char *const attrs[2][2] = {
        [OL_OVERLAY_TRUSTED] = {"trusted.overlay.redirect", "trusted.overlay.metacopy"},
        [OL_OVERLAY_USER] = {"user.overlay.redirect", "user.overlay.metacopy"},
    };
    char value[1];
    ssize_t n;

    if (!S_ISDIR(type) && !S_ISREG(type))
        return 0;
    n = ol_xattr_get(dir_fd, name, attrs[stack->ns][S_ISREG(type)], value, sizeof value);
    return n >= 0 || n == -ERANGE ? -EOPNOTSUPP : 0;
}

static void close_fds(struct ol_stack_cursor *c)
{
    for (size_t i = 0; i < c->n_fds; i++)
        ol_fd_close(&c->fds[i]);
    c->n_fds = 0;
}

static void pop_level(struct ol_stack_cursor *c)
{
    free(c->levels[--c->depth].layers);
}

/* A level with room for as many layers as the stack has. */
static struct ol_stack_level *push_level(struct ol_stack_cursor *c, size_t path_len)
{
    struct ol_stack_level *level;

    if (c->depth == c->cap) {
        size_t cap = c->cap == 0 ? 16 : c->cap * 2;
        struct ol_stack_level *levels = reallocarray(c->levels, cap, sizeof *levels);
        if (levels == NULL)
            return NULL;
        c->levels = levels;
        c->cap = cap;
    }
    level = &c->levels[c->depth];
    *level = (struct ol_stack_level){.path_len = path_len};
    level->layers = calloc(c->stack->count + 1, sizeof *level->layers);
    if (level->layers == NULL)
        return NULL;
    c->depth++;
    return level;
}

int ol_stack_cursor_init(struct ol_stack_cursor *cursor, const struct ol_stack *stack)
{
    struct ol_stack_level *root;

    *cursor = (struct ol_stack_cursor){.stack = stack};
    cursor->fds = calloc(stack->count + 1, sizeof *cursor->fds);
    root = cursor->fds == NULL ? NULL : push_level(cursor, 0);
    if (root == NULL || ol_buf_puts(&cursor->dir, "") < 0)
        return -ENOMEM;
    for (unsigned i = 0; i < stack->count; i++)
        root->layers[root->count++] = i;
    return 0;
}

void ol_stack_cursor_fini(struct ol_stack_cursor *cursor)
{
    close_fds(cursor);
    while (cursor->depth > 0)
        pop_level(cursor);
    free(cursor->levels);
    free(cursor->fds);
    ol_buf_fini(&cursor->dir);
}

/* Open the directory of the last level in each of its layers. */
static int open_level(struct ol_stack_cursor *c)
{
    const struct ol_stack_level *level = &c->levels[c->depth - 1];

    close_fds(c);
    for (unsigned i = 0; i < level->count; i++) {
        int fd = ol_stack_open_dir(c->stack->fds[level->layers[i]], ol_buf_str(&c->dir));
        if (fd < 0) {
            close_fds(c); /* half a merge must not serve the next lookup */
            return fd == -ENOTDIR || fd == -ELOOP ? -ENOENT : fd;
        }
        c->fds[c->n_fds++] = fd;
    }
    return 0;
}

static int stat_at(int dir_fd, const char *name, struct stat *ret)
{
    if (fstatat(dir_fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return errno == ENOENT ? -ENOENT : -errno;
}

/* Which of the directory's layers merge in its subdirectory name: the rule of stack.h. */
static int merge_layers(const struct ol_stack_cursor *c, const struct ol_stack_level *from,
                        const char *name, struct ol_stack_level *to)
{
    for (unsigned i = 0; i < from->count; i++) {
        struct stat st;
        int r = stat_at(c->fds[i], name, &st);

        if (r == -ENOENT)
            continue;
        if (r < 0)
            return r;
        if (!S_ISDIR(st.st_mode)) /* a whiteout, or something that is in the way */
            break;
        to->layers[to->count++] = from->layers[i];
        if (i + 1 < from->count && ol_stack_interprets(c->stack) &&
            ol_whiteout_is_opaque(c->fds[i], name, c->stack->ns))
            break;
    }
    return to->count == 0 ? -ENOENT : 0;
}

/* Go into the subdirectory name; the cursor stands in an opened directory. */
static int descend(struct ol_stack_cursor *c, const char *name, size_t len)
{
    size_t base = c->dir.len == 0 ? 0 : c->dir.len + 1;
    struct ol_stack_level *to;
    int r;

    if ((base > 0 && ol_buf_putc(&c->dir, '/') < 0) || ol_buf_append(&c->dir, name, len) < 0)
        return -ENOMEM;
    to = push_level(c, base + len);
    if (to == NULL)
        return -ENOMEM;
    r = merge_layers(c, to - 1, c->dir.data + base, to);
    return r < 0 ? r : open_level(c);
}

/* Leave directories until the cursor's is dir or above it. */
static void ascend(struct ol_stack_cursor *c, const char *dir, size_t len)
{
    while (c->depth > 1) {
        size_t have = c->levels[c->depth - 1].path_len;
        if (have <= len && memcmp(ol_buf_str(&c->dir), dir, have) == 0 &&
            (have == len || dir[have] == '/'))
            break;
        pop_level(c);
        ol_buf_truncate(&c->dir, c->levels[c->depth - 1].path_len);
        close_fds(c);
    }
}

/* A single directory needs no merging: straight to it, in one call. */
static int move_plain(struct ol_stack_cursor *c, const char *dir, size_t len)
{
    if (c->n_fds > 0 && c->dir.len == len && memcmp(ol_buf_str(&c->dir), dir, len) == 0)
        return 0;
    ol_buf_truncate(&c->dir, 0);
    if (ol_buf_append(&c->dir, dir, len) < 0)
        return -ENOMEM;
    return open_level(c);
}

static int move_merged(struct ol_stack_cursor *c, const char *dir, size_t len)
{
    ascend(c, dir, len);
    if (c->n_fds == 0) {
        int r = open_level(c);
        if (r < 0)
            return r;
    }
    while (c->dir.len < len) {
        size_t start = c->dir.len == 0 ? 0 : c->dir.len + 1;
        const char *end = memchr(dir + start, '/', len - start);
        size_t n = end == NULL ? len - start : (size_t)(end - (dir + start));
        int r = descend(c, dir + start, n);
        if (r < 0) { /* stand in a directory that is known to be whole */
            while (c->depth > 1)
                pop_level(c);
            ol_buf_truncate(&c->dir, 0);
            close_fds(c);
            return r;
        }
    }
    return 0;
}

int ol_stack_cursor_find(struct ol_stack_cursor *cursor, const char *path,
                         struct ol_stack_entry *ret)
{
    const char *rel = path + 1, *slash = strrchr(rel, '/');
    size_t dir_len = slash == NULL ? 0 : (size_t)(slash - rel);
    bool merged = ol_stack_interprets(cursor->stack);
    int r;

    if (cursor->stack->count == 0)
        return -ENOENT;
    r = merged ? move_merged(cursor, rel, dir_len) : move_plain(cursor, rel, dir_len);
    if (r < 0)
        return r;
    ret->name = slash == NULL ? rel : slash + 1;
    for (size_t i = 0; i < cursor->n_fds; i++) {
        r = stat_at(cursor->fds[i], ret->name, &ret->st);
        if (r == -ENOENT)
            continue;
        if (r == 0 && merged && ol_whiteout_is(&ret->st))
            return -ENOENT;
        ret->dir_fd = cursor->fds[i];
        return r;
    }
    return -ENOENT;
}
