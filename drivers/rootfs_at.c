/* SPDX-License-Identifier: Apache-2.0 */
/* The single steps of rootfs_impl.h: one system call each, a fault point, negative errno. */
#include "drivers/rootfs_impl.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* chmod of a directory behind an O_PATH descriptor that may not even be searchable. */
static int chmod_fd(int fd, mode_t mode)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return chmod(path, mode) < 0 ? -errno : 0;
}

void ol_place_grant(struct ol_place *place)
{
    struct stat st;

    if (faccessat(place->dir_fd, ".", W_OK | X_OK, AT_EACCESS) == 0 || errno != EACCES)
        return;
    if (fstat(place->dir_fd, &st) < 0 || chmod_fd(place->dir_fd, st.st_mode | 0700) < 0)
        return; /* not ours: the operation itself fails and says so */
    place->granted = true;
    place->dir_mode = st.st_mode & 07777;
}

void ol_place_fini(struct ol_place *place)
{
    int saved = errno;

    if (place->granted)
        (void)chmod_fd(place->dir_fd, place->dir_mode); /* ours: it let us change it before */
    place->granted = false;
    ol_fd_close(&place->dir_fd);
    free(place->name);
    place->name = NULL;
    errno = saved;
}

int ol_rootfs_split(const char *path, char **ret_dir, char **ret_name)
{
    ol_auto_free char *dir = strdup(path);
    ol_auto_free char *name = NULL;
    size_t len = strlen(path);
    char *slash;

    if (dir == NULL)
        return -ENOMEM;
    while (len > 0 && dir[len - 1] == '/')
        dir[--len] = '\0';
    slash = strrchr(dir, '/');
    name = strdup(slash != NULL ? slash + 1 : dir);
    if (name == NULL)
        return -ENOMEM;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    if (slash != NULL)
        *slash = '\0';
    else
        *dir = '\0';
    *ret_dir = ol_ptr_steal(dir);
    *ret_name = ol_ptr_steal(name);
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **ol_rootfs_names_seal(char **items, size_t count)
{
    if (count > 1)
        qsort(items, count, sizeof *items, by_text);
    items[count] = NULL;
    return items;
}

int ol_at_mkdir(int dir_fd, const char *name, mode_t mode)
{
    struct stat st;
    int r = 0;

    if (ol_fault_hit("mkdirat"))
        return -EIO;
    if (mkdirat(dir_fd, name, mode) < 0)
        return -errno;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    else if ((st.st_mode & 07777 & ~(mode_t)S_ISGID) != (mode & ~(mode_t)S_ISGID))
        r = ol_at_chmod(dir_fd, name, mode | (st.st_mode & S_ISGID));
    if (r < 0)
        (void)unlinkat(dir_fd, name,
                       AT_REMOVEDIR); /* made just now, empty; the first error counts */
    return r;
}

int ol_at_create(int dir_fd, const char *name, mode_t mode, const void *data, size_t len)
{
    ol_auto_fd int fd = -1;
    struct stat st;
    int r;

    if (ol_fault_hit("openat"))
        return -EIO;
    fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    r = ol_fault_hit("write") ? -EIO : ol_io_write(fd, data, len);
    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0 && (st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir_fd, name, 0); /* the first error counts */
    return r;
}

int ol_at_symlink(const char *target, int dir_fd, const char *name)
{
    if (ol_fault_hit("symlinkat"))
        return -EIO;
    return symlinkat(target, dir_fd, name) < 0 ? -errno : 0;
}

int ol_at_mknod(int dir_fd, const char *name, mode_t mode, dev_t dev)
{
    int r;

    if (ol_fault_hit("mknodat"))
        return -EIO;
    if (mknodat(dir_fd, name, mode, dev) < 0)
        return -errno;
    r = ol_at_chmod(dir_fd, name, mode & 07777);
    if (r < 0)
        (void)unlinkat(dir_fd, name, 0); /* made just now; the first error counts */
    return r;
}

int ol_at_link(int old_fd, const char *old_name, int new_fd, const char *new_name)
{
    if (ol_fault_hit("linkat"))
        return -EIO;
    return linkat(old_fd, old_name, new_fd, new_name, 0) < 0 ? -errno : 0;
}

int ol_at_unlink(int dir_fd, const char *name, int flags)
{
    if (ol_fault_hit("unlinkat"))
        return -EIO;
    return unlinkat(dir_fd, name, flags) < 0 ? -errno : 0;
}

/* A directory whose ".." changes must be writable itself, rename(2); mode 0 when it is not ours. */
static int lend_write(int dir_fd, const char *name, mode_t *ret_mode)
{
    ol_auto_fd int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    *ret_mode = 0;
    if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IWUSR) != 0 ||
        chmod_fd(fd, st.st_mode | S_IWUSR) < 0)
        return -1;
    *ret_mode = st.st_mode & 07777;
    return ol_fd_steal(&fd);
}

int ol_at_rename(int old_fd, const char *old_name, int new_fd, const char *new_name, unsigned flags)
{
    ol_auto_fd int moved = -1;
    ol_auto_fd int other = -1;
    mode_t moved_mode;
    mode_t other_mode;
    int r;

    if (ol_fault_hit("renameat2"))
        return -EIO;
    if (renameat2(old_fd, old_name, new_fd, new_name, flags) == 0)
        return 0;
    if (errno != EACCES)
        return -errno;
    moved = lend_write(old_fd, old_name, &moved_mode);
    other = lend_write(new_fd, new_name, &other_mode);
    r = renameat2(old_fd, old_name, new_fd, new_name, flags) < 0 ? -errno : 0;
    /* By descriptor, wherever they are now; both let us change their mode a moment ago. */
    if (moved >= 0)
        (void)chmod_fd(moved, moved_mode);
    if (other >= 0)
        (void)chmod_fd(other, other_mode);
    return r;
}

int ol_at_chmod(int dir_fd, const char *name, mode_t mode)
{
    if (ol_fault_hit("fchmodat"))
        return -EIO;
    return fchmodat(dir_fd, name, mode, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int ol_at_chown(int dir_fd, const char *name, uid_t uid, gid_t gid)
{
    if (ol_fault_hit("fchownat"))
        return -EIO;
    return fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int ol_at_utimens(int dir_fd, const char *name, const struct timespec times[2])
{
    if (ol_fault_hit("utimensat"))
        return -EIO;
    return utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int ol_at_open_lent(int path_fd, int flags)
{
    char path[64];
    struct stat st;
    int fd;
    int r;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", path_fd);
    if (fstat(path_fd, &st) < 0)
        return -errno;
    r = chmod_fd(path_fd, st.st_mode | S_IWUSR);
    if (r < 0)
        return -EACCES; /* not ours: the caller's first error stands */
    fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    r = fd < 0 ? -errno : fd;
    (void)chmod_fd(path_fd, st.st_mode & 07777); /* it let us change it a moment ago */
    return r;
}

int ol_at_open_file(int dir_fd, const char *name, int flags)
{
    ol_auto_fd int fd = -1;
    ol_auto_fd int probe = -1;
    struct stat st;

    /* Asked before opening: to open a device can already do something. */
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && (flags & O_ACCMODE) != O_RDONLY) {
        probe = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return probe < 0 ? -errno : ol_at_open_lent(probe, flags);
    }
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? ol_fd_steal(&fd) : -EINVAL;
}

int ol_at_readlink(int dir_fd, const char *name, char **ret)
{
    for (size_t room = 256;; room *= 2) {
        ol_auto_free char *text = malloc(room);
        ssize_t n;
        if (text == NULL)
            return -ENOMEM;
        n = readlinkat(dir_fd, name, text, room);
        if (n < 0)
            return -errno;
        if ((size_t)n == room)
            continue;
        text[n] = '\0';
        *ret = ol_ptr_steal(text);
        return 0;
    }
}
