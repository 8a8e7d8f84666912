/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of parent directories; see dirs.h. */
#include "common/layer/dirs.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/layer/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

void ol_dirs_init(struct ol_dirs *dirs, int root_fd, struct ol_seen *seen)
{
    *dirs = (struct ol_dirs){.root_fd = root_fd, .seen = seen};
}

void ol_dirs_fini(struct ol_dirs *dirs)
{
    ol_dirs_forget(dirs);
    ol_buf_fini(&dirs->scratch);
}

void ol_dir_ref(struct ol_dir *dir)
{
    atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
}

void ol_dir_unref(struct ol_dir *dir)
{
    if (dir == NULL || atomic_fetch_sub_explicit(&dir->refs, 1, memory_order_acq_rel) != 1)
        return;
    ol_fd_close(&dir->fd);
    free(dir);
}

void ol_dirs_forget(struct ol_dirs *dirs)
{
    while (dirs->count > 0)
        ol_dir_unref(dirs->cached[--dirs->count]);
}

static struct ol_dir *find(struct ol_dirs *dirs, const char *path, size_t len)
{
    for (size_t i = dirs->count; i-- > 0;) {
        struct ol_dir *dir = dirs->cached[i];
        if (dir->len != len || memcmp(dir->path, path, len) != 0)
            continue;
        dir->used = ++dirs->clock;
        ol_dir_ref(dir);
        return dir;
    }
    return NULL;
}

static void keep(struct ol_dirs *dirs, struct ol_dir *dir)
{
    size_t oldest = 0;

    dir->used = ++dirs->clock;
    ol_dir_ref(dir);
    if (dirs->count < OL_DIRS_CACHED) {
        dirs->cached[dirs->count++] = dir;
        return;
    }
    for (size_t i = 1; i < dirs->count; i++)
        if (dirs->cached[i]->used < dirs->cached[oldest]->used)
            oldest = i;
    ol_dir_unref(dirs->cached[oldest]);
    dirs->cached[oldest] = dir;
}

/* The owner of a 0555 directory, as some distributions have them, cannot write to it; root can. */
static bool is_closed(const struct stat *st)
{
    return (st->st_mode & 0300) != 0300 && st->st_uid == geteuid() && geteuid() != 0;
}

/* Takes fd over, also on failure. */
static int add(struct ol_dirs *dirs, const char *path, size_t len, int taken_fd, bool made,
               struct ol_dir **ret)
{
    ol_auto_fd int fd = taken_fd;
    struct ol_dir *dir;
    struct stat st;
    uint64_t key;

    if (fstat(fd, &st) < 0)
        return -errno;
    key = ol_seen_key(dirs->seen, OL_SEEN_NEW_DIR, st.st_dev, st.st_ino, "");
    if (made && ol_seen_insert(dirs->seen, key) < 0)
        return -ENOMEM;
    dir = malloc(sizeof *dir + len + 1);
    if (dir == NULL)
        return -ENOMEM;
    *dir = (struct ol_dir){.fd = ol_fd_steal(&fd),
                           .dev = st.st_dev,
                           .ino = st.st_ino,
                           .fresh = made || ol_seen_has(dirs->seen, key),
                           .closed = is_closed(&st),
                           .refs = 1,
                           .len = len};
    memcpy(dir->path, path, len);
    dir->path[len] = '\0';
    keep(dirs, dir);
    *ret = dir;
    return 0;
}

/* path[0 … len) with a NUL; valid until the next call. */
static const char *terminated(struct ol_dirs *dirs, const char *path, size_t len)
{
    ol_buf_truncate(&dirs->scratch, 0);
    return ol_buf_append(&dirs->scratch, path, len) < 0 ? NULL : ol_buf_str(&dirs->scratch);
}

int ol_dirs_get(struct ol_dirs *dirs, const char *path, size_t len, struct ol_dir **ret)
{
    const char *text;
    bool linked;
    int fd;
    int r;

    *ret = find(dirs, path, len);
    if (*ret != NULL)
        return 0;
    text = terminated(dirs, path, len);
    if (text == NULL)
        return -ENOMEM;
    fd = ol_path_open_plain(dirs->root_fd, text, O_PATH | O_DIRECTORY);
    linked = fd == -ELOOP;
    if (linked)
        fd = ol_path_open(dirs->root_fd, text, O_PATH | O_DIRECTORY, 0);
    r = fd < 0 ? fd : add(dirs, path, len, fd, false, ret);
    if (r == 0)
        (*ret)->linked = linked;
    return r;
}

int ol_dirs_adopt(struct ol_dirs *dirs, const struct ol_dir *parent, const char *name,
                  const char *path, size_t len, struct ol_dir **ret)
{
    int fd = openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = fd < 0 ? -errno : add(dirs, path, len, fd, true, ret);

    if (r == 0)
        (*ret)->linked = parent->linked;
    return r;
}

/* The umask may have cut the mode; what a set-gid parent added stays. */
static int fix_mode(const struct ol_dir *dir)
{
    struct stat st;

    if (fstat(dir->fd, &st) < 0)
        return -errno;
    if ((st.st_mode & 0777) == 0755)
        return 0;
    return ol_sys_chmod(dir->fd, "", (st.st_mode & 07000) | 0755);
}

/* Make the one directory path[0 … len) below parent, whose path is shorter by one component. */
static int make_one(struct ol_dirs *dirs, const struct ol_dir *parent, const char *path, size_t len,
                    struct ol_dir **ret)
{
    size_t skip = parent->len > 0 ? parent->len + 1 : 0;
    ol_auto_free char *name = strndup(path + skip, len - skip);
    int r;

    if (name == NULL)
        return -ENOMEM;
    r = ol_sys_mkdir(parent->fd, name, 0755);
    if (r == -EEXIST) { /* a dangling symlink, or a file: say what following it says */
        r = ol_dirs_get(dirs, path, len, ret);
        return r;
    }
    if (r == 0) /* as if an entry had made it: it is in nobody's way unseen */
        r = ol_seen_insert(
            dirs->seen, ol_seen_key(dirs->seen, OL_SEEN_WRITTEN, parent->dev, parent->ino, name));
    if (r >= 0)
        r = ol_dirs_adopt(dirs, parent, name, path, len, ret);
    if (r < 0)
        return r;
    r = fix_mode(*ret);
    if (r == 0 && dirs->made != NULL)
        r = dirs->made(dirs->data, *ret);
    if (r < 0) {
        ol_dir_unref(*ret);
        *ret = NULL;
    }
    return r;
}

/* The longest part of path that is there. */
static int get_existing(struct ol_dirs *dirs, const char *path, size_t len, struct ol_dir **ret)
{
    int r = -ENOENT;

    while (r == -ENOENT && len > 0) {
        do
            len--;
        while (len > 0 && path[len] != '/');
        r = ol_dirs_get(dirs, path, len, ret);
    }
    return r;
}

int ol_dirs_make(struct ol_dirs *dirs, const char *path, size_t len, struct ol_dir **ret)
{
    struct ol_dir *dir = NULL;
    int r = ol_dirs_get(dirs, path, len, ret);

    if (r != -ENOENT)
        return r;
    r = get_existing(dirs, path, len, &dir);
    while (r == 0 && dir->len < len) {
        struct ol_dir *below = NULL;
        size_t end = dir->len > 0 ? dir->len + 1 : 0;
        while (end < len && path[end] != '/')
            end++;
        r = make_one(dirs, dir, path, end, &below);
        ol_dir_unref(dir);
        dir = below;
    }
    if (r < 0) {
        ol_dir_unref(dir);
        return r;
    }
    *ret = dir;
    return 0;
}
