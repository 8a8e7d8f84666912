/* SPDX-License-Identifier: Apache-2.0 */
/* Thin wrappers; see sys.h. */
#include "common/layer/sys.h"

#include "common/cleanup.h"
#include "common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(SYS_fchmodat2) && !defined(__alpha__)
#define SYS_fchmodat2 452 /* Linux 6.6; the same number everywhere but on alpha */
#endif

static int plain_errno(long r)
{
    return r < 0 ? -errno : 0;
}

int ol_sys_mkdir(int dir_fd, const char *name, mode_t mode)
{
    return ol_fault_hit("layer.mkdir") ? -EIO : plain_errno(mkdirat(dir_fd, name, mode));
}

int ol_sys_create(int dir_fd, const char *name, mode_t mode)
{
    int fd;

    if (ol_fault_hit("layer.create"))
        return -EIO;
    fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

int ol_sys_mknod(int dir_fd, const char *name, mode_t mode, dev_t dev)
{
    return ol_fault_hit("layer.mknod") ? -EIO : plain_errno(mknodat(dir_fd, name, mode, dev));
}

int ol_sys_symlink(const char *target, int dir_fd, const char *name)
{
    return ol_fault_hit("layer.symlink") ? -EIO : plain_errno(symlinkat(target, dir_fd, name));
}

int ol_sys_link(int old_dir_fd, const char *old_name, int dir_fd, const char *name)
{
    if (ol_fault_hit("layer.link"))
        return -EIO;
    return plain_errno(linkat(old_dir_fd, old_name, dir_fd, name, 0));
}

int ol_sys_unlink(int dir_fd, const char *name)
{
    return ol_fault_hit("layer.unlink") ? -EIO : plain_errno(unlinkat(dir_fd, name, 0));
}

int ol_sys_rmdir(int dir_fd, const char *name)
{
    return ol_fault_hit("layer.rmdir") ? -EIO : plain_errno(unlinkat(dir_fd, name, AT_REMOVEDIR));
}

int ol_sys_rename(int dir_fd, const char *old_name, const char *new_name)
{
    if (ol_fault_hit("layer.rename"))
        return -EIO;
    return plain_errno(renameat(dir_fd, old_name, dir_fd, new_name));
}

int ol_sys_pwrite(int fd, const void *data, size_t len, uint64_t offset)
{
    size_t done = 0;

    if (ol_fault_hit("layer.write"))
        return -EIO;
    while (done < len) {
        ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

int ol_sys_truncate(int fd, uint64_t size)
{
    return ol_fault_hit("layer.truncate") ? -EIO : plain_errno(ftruncate(fd, (off_t)size));
}

int ol_sys_chown(int dir_fd, const char *name, uid_t uid, gid_t gid)
{
    if (ol_fault_hit("layer.chown"))
        return -EIO;
    return plain_errno(fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
}

/* An O_PATH descriptor, which fchmod(2) does not take. */
static int chmod_path_fd(int fd, mode_t mode)
{
    char path[64];
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode))
        return -ELOOP;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return plain_errno(chmod(path, mode));
}

/*
 * fchmodat(3) cannot leave a symlink alone on Linux before 6.6: pin what the name is with O_PATH,
 * look at it, and change it through /proc/self/fd.
 */
static int chmod_pinned(int dir_fd, const char *name, mode_t mode)
{
    ol_auto_fd int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    return fd < 0 ? -errno : chmod_path_fd(fd, mode);
}

int ol_sys_chmod(int dir_fd, const char *name, mode_t mode)
{
    if (ol_fault_hit("layer.chmod"))
        return -EIO;
    if (*name == '\0') {
        int r = plain_errno(fchmod(dir_fd, mode));
        return r == -EBADF ? chmod_path_fd(dir_fd, mode) : r;
    }
#ifdef SYS_fchmodat2
    if (syscall(SYS_fchmodat2, dir_fd, name, mode, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (errno == EOPNOTSUPP)
        return -ELOOP;                     /* its word for a symlink */
    if (errno != ENOSYS && errno != EPERM) /* EPERM: also what an older seccomp filter says */
        return -errno;
#endif
    return chmod_pinned(dir_fd, name, mode);
}

int ol_sys_set_times(int dir_fd, const char *name, struct timespec mtime)
{
    return ol_sys_set_both_times(dir_fd, name, mtime, mtime);
}

int ol_sys_set_both_times(int dir_fd, const char *name, struct timespec atime,
                          struct timespec mtime)
{
    const struct timespec both[2] = {atime, mtime};

    if (ol_fault_hit("layer.times"))
        return -EIO;
    if (*name == '\0')
        return plain_errno(futimens(dir_fd, both));
    return plain_errno(utimensat(dir_fd, name, both, AT_SYMLINK_NOFOLLOW));
}
