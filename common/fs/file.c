/* SPDX-License-Identifier: Apache-2.0 */
/* Small files and directories by (dir_fd, name); see file.h. */
#include "common/fs/file.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

int ol_fs_open_dir(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* Through the descriptor of the file itself: what stands behind the name may change. */
static int open_lent(int dir_fd, const char *name, int flags)
{
    /* two threads at two names of one inode would take the lent mode for its own */
    static pthread_mutex_t lending = PTHREAD_MUTEX_INITIALIZER;
    ol_auto_fd int path_fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char path[64];
    struct stat st;
    int fd = -EACCES;

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", path_fd);
    (void)pthread_mutex_lock(&lending); /* a default mutex of ours: no error is possible */
    if (path_fd >= 0 && fstat(path_fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        chmod(path, (st.st_mode & 07777) | S_IRUSR) == 0) {
        fd = open(path, flags);
        fd = fd < 0 ? -errno : fd;
        (void)chmod(path, st.st_mode & 07777); /* it let us change it a moment ago */
    }
    (void)pthread_mutex_unlock(&lending);
    return fd;
}

int ol_fs_open_read(int dir_fd, const char *name, int flags)
{
    const int basic = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = openat(dir_fd, name, basic | O_NOFOLLOW | flags);

    if (fd < 0 && errno == EPERM && flags != 0) /* O_NOATIME is for the owner */
        fd = openat(dir_fd, name, basic | O_NOFOLLOW);
    if (fd < 0 && errno == EACCES)
        return open_lent(dir_fd, name, basic);
    return fd < 0 ? -errno : fd;
}

int ol_fs_mkdir(int dir_fd, const char *name, mode_t mode, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    struct stat st;

    if (ol_fault_hit("mkdirat") || mkdirat(dir_fd, name, mode) < 0)
        return ol_error_sys(err, errno, "cannot make directory '%s'", name);
    fd = ol_fs_open_dir(dir_fd, name);
    if (fd >= 0 && fstat(fd, &st) == 0 && ((st.st_mode & 07777) == mode || fchmod(fd, mode) == 0))
        return 0;
    (void)ol_error_sys(err, errno, "cannot set the mode of directory '%s'", name);
    (void)unlinkat(dir_fd, name, AT_REMOVEDIR); /* made just now, empty; the first error counts */
    return err != NULL && err->code != 0 ? err->code : -EIO;
}

int ol_fs_mkdir_path(const char *path, mode_t mode, struct ol_error *err)
{
    ol_auto_free char *prefix = strdup(path);

    if (prefix == NULL)
        return ol_error_nomem(err);
    for (char *p = prefix + strspn(prefix, "/");; p++) {
        char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (*prefix != '\0' && mkdir(prefix, mode) < 0 && errno != EEXIST)
            return ol_error_sys(err, errno, "cannot make directory '%s'", prefix);
        *p = c;
        if (c == '\0')
            return 0;
    }
}

bool ol_fs_exists(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int ol_fs_read_file(int dir_fd, const char *name, size_t max, struct ol_buf *buf,
                    struct ol_error *err)
{
    /* O_NONBLOCK: a FIFO in the place of a file must not make us wait */
    ol_auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    size_t start = buf->len;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", name);
    if (!S_ISREG(st.st_mode))
        return ol_error_set(err, -EINVAL, "'%s' is not a regular file", name);
    if ((uint64_t)st.st_size > max)
        return ol_error_set(err, -E2BIG, "'%s' has %jd bytes, more than %zu", name,
                            (intmax_t)st.st_size, max);
    if (ol_buf_reserve(buf, (size_t)st.st_size + 1) < 0)
        return ol_error_nomem(err);
    /* One byte more than its size, to see a file that is growing. */
    n = ol_io_read(fd, buf->data + start, (size_t)st.st_size + 1);
    if (n < 0)
        return ol_error_sys(err, (int)-n, "cannot read '%s'", name);
    if (n > st.st_size)
        return ol_error_set(err, -EAGAIN, "'%s' grew while it was read", name);
    buf->len = start + (size_t)n;
    buf->data[buf->len] = '\0';
    return 0;
}

int ol_fs_fill_text(int fd, void *data, struct ol_error *err)
{
    const struct ol_fs_text *text = data;
    int r = ol_fault_hit("write") ? -EIO : ol_io_write(fd, text->data, text->len);

    return r < 0 ? ol_error_sys(err, -r, "cannot write") : 0;
}

static int write_new(int dir_fd, const char *name, int flags, mode_t mode, ol_fs_fill_fn *fill,
                     void *data, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    int r;

    if (ol_fault_hit("openat"))
        return ol_error_sys(err, EIO, "cannot create '%s'", name);
    fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, mode);
    if (fd < 0)
        return ol_error_sys(err, errno, "cannot create '%s'", name);
    r = fill(fd, data, err);
    if (r < 0)
        return ol_error_wrap(err, r, "'%s'", name);
    if (fchmod(fd, mode) < 0)
        return ol_error_sys(err, errno, "cannot set the mode of '%s'", name);
    return (flags & O_EXCL) != 0 ? ol_fs_sync(fd, name, err) : 0;
}

int ol_fs_write_file(int dir_fd, const char *name, const void *data, size_t len, mode_t mode,
                     struct ol_error *err)
{
    return write_new(dir_fd, name, O_TRUNC, mode, ol_fs_fill_text, &(struct ol_fs_text){data, len},
                     err);
}

/* Without O_TMPFILE (NFS, old overlayfs) a name is made and removed. */
int ol_fs_open_unlinked(const char *dir, struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    if (asprintf(&name, "%s/overlab-spool.XXXXXX", dir) < 0) {
        name = NULL;
        return ol_error_nomem(err);
    }
    fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return ol_error_sys(err, errno, "cannot make a temporary file in '%s'", dir);
    if (unlink(name) < 0) {
        int e = errno;
        ol_fd_close(&fd);
        return ol_error_sys(err, e, "cannot unlink '%s'", name);
    }
    return fd;
}

/* "<prefix><16 hex digits>" from the kernel's random numbers. */
static int random_name(const char *prefix, char **ret)
{
    uint64_t n;

    if (getrandom(&n, sizeof n, 0) != (ssize_t)sizeof n)
        return -errno;
    return asprintf(ret, "%s%016jx", prefix, (uintmax_t)n) < 0 ? -ENOMEM : 0;
}

/* What a file's name had before it was given to another one. */
enum before {
    BEFORE_NOTHING,
    BEFORE_ASIDE, /* has the temporary name now */
    BEFORE_GONE,  /* this file system cannot exchange names (NFS, older overlayfs) */
};

/* Give the file aside its name. A directory of this name refuses, as for rename(2). */
static int take_name(int dir_fd, const char *aside, const char *name, enum before *ret,
                     struct ol_error *err)
{
    struct stat st;
    bool is_dir = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);

    *ret = BEFORE_ASIDE;
    if (!ol_fault_hit("renameat")) {
        if (!is_dir && renameat2(dir_fd, aside, dir_fd, name, RENAME_EXCHANGE) == 0)
            return 0;
        *ret = !is_dir && errno == ENOENT ? BEFORE_NOTHING : BEFORE_GONE;
        if (renameat(dir_fd, aside, dir_fd, name) == 0)
            return 0;
    }
    return ol_error_sys(err, errno, "cannot rename to '%s'", name);
}

/* What the caller is told and what is there must agree. @return r */
static int give_back(int dir_fd, const char *aside, const char *name, enum before before, int r,
                     struct ol_error *err)
{
    if (before == BEFORE_GONE)
        return ol_error_wrap(err, r, "'%s' is replaced, but a power failure may undo that", name);
    if (before == BEFORE_ASIDE)
        (void)renameat2(dir_fd, aside, dir_fd, name, RENAME_EXCHANGE); /* the first error counts */
    else
        (void)unlinkat(dir_fd, name, 0);
    return r;
}

int ol_fs_replace_file(int dir_fd, const char *name, mode_t mode, ol_fs_fill_fn *fill, void *data,
                       struct ol_error *err)
{
    ol_auto_free char *aside = NULL;
    enum before before = BEFORE_NOTHING;
    int r = random_name(".new-", &aside);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot make a temporary name for '%s'", name);
    r = write_new(dir_fd, aside, O_EXCL, mode, fill, data, err);
    if (r == 0)
        r = take_name(dir_fd, aside, name, &before, err);
    if (r == 0) {
        r = ol_fs_sync(dir_fd, name, err);
        if (r < 0)
            r = give_back(dir_fd, aside, name, before, r, err);
    }
    (void)unlinkat(dir_fd, aside, 0); /* the old file, or the new one; or there is none */
    return r;
}

int ol_fs_write_file_atomic(int dir_fd, const char *name, const void *data, size_t len, mode_t mode,
                            struct ol_error *err)
{
    return ol_fs_replace_file(dir_fd, name, mode, ol_fs_fill_text, &(struct ol_fs_text){data, len},
                              err);
}

int ol_fs_mkdir_temp(int dir_fd, const char *prefix, char **ret_name, struct ol_error *err)
{
    for (int tries = 0; tries < 100; tries++) {
        ol_auto_free char *name = NULL;
        int r = random_name(prefix, &name);
        if (r < 0)
            return ol_error_sys(err, -r, "cannot make a temporary name '%s…'", prefix);
        if (!ol_fault_hit("mkdirat") && mkdirat(dir_fd, name, 0700) == 0) {
            *ret_name = ol_ptr_steal(name);
            return 0;
        }
        if (errno != EEXIST)
            return ol_error_sys(err, errno, "cannot make temporary directory '%s'", name);
    }
    return ol_error_set(err, -EEXIST, "cannot find a free name '%s…'", prefix);
}

int ol_fs_rename_new(int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name,
                     struct ol_error *err)
{
    if (ol_fault_hit("renameat") ||
        renameat2(old_dir_fd, old_name, new_dir_fd, new_name, RENAME_NOREPLACE) < 0)
        return ol_error_sys(err, errno, "cannot rename '%s' to '%s'", old_name, new_name);
    return 0;
}

int ol_fs_symlink(const char *target, int dir_fd, const char *name, struct ol_error *err)
{
    if (ol_fault_hit("symlinkat") || symlinkat(target, dir_fd, name) < 0)
        return ol_error_sys(err, errno, "cannot make symlink '%s'", name);
    return 0;
}

int ol_fs_unlink(int dir_fd, const char *name, struct ol_error *err)
{
    if ((ol_fault_hit("unlinkat") || unlinkat(dir_fd, name, 0) < 0) && errno != ENOENT)
        return ol_error_sys(err, errno, "cannot remove '%s'", name);
    return 0;
}

int ol_fs_sync(int fd, const char *what, struct ol_error *err)
{
    if (ol_fault_hit("fsync") || fsync(fd) < 0)
        return ol_error_sys(err, errno, "cannot sync '%s'", what);
    return 0;
}

int ol_fs_path_of(int fd, char **ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    char link[64];
    ssize_t n = 0;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    for (size_t room = 256;; room *= 2) {
        if (ol_buf_reserve(&buf, room) < 0)
            return ol_error_nomem(err);
        n = readlink(link, buf.data, room);
        if (n < 0)
            return ol_error_sys(err, errno, "cannot find the path of descriptor %d", fd);
        if ((size_t)n < room)
            break;
    }
    buf.len = (size_t)n;
    buf.data[n] = '\0';
    *ret = ol_buf_steal(&buf);
    return 0;
}

const char *ol_fs_magic_name(long f_type)
{
    /* moby daemon/graphdriver/driver_linux.go FsNames */
    static const struct {
        uint32_t magic;
        const char *name;
    } names[] = {
        {0x61756673, "aufs"},     {0x9123683E, "btrfs"},     {0x28cd3d45, "cramfs"},
        {0xf15f, "ecryptfs"},     {0xEF53, "extfs"},         {0xF2F52010, "f2fs"},
        {0x65735546, "fuse"},     {0x47504653, "gpfs"},      {0x72b6, "jffs2"},
        {0x6969, "nfs"},          {0x794C7630, "overlayfs"}, {0x858458f6, "ramfs"},
        {0x52654973, "reiserfs"}, {0x517B, "smb"},           {0x73717368, "squashfs"},
        {0x01021994, "tmpfs"},    {0xa501fcf5, "vxfs"},      {0x58465342, "xfs"},
        {0x2fc12fc1, "zfs"},      {0, "unsupported"},
    };

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        if (names[i].magic == (uint32_t)f_type)
            return names[i].name;
    }
    return "<unknown>";
}
