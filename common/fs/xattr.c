/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes of (dir_fd, name) without a path: getxattrat(2) and kin (Linux 6.13, one call), else
 * the f*xattr calls for an open file, and /proc/self/fd/N/name with the l*xattr calls for a name.
 */
#include "common/fs/xattr.h"

#include "common/cleanup.h"
#include "common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The same numbers on every architecture of Linux but alpha, which keeps to the fallback. */
#if !defined(SYS_getxattrat) && !defined(__alpha__)
#define SYS_setxattrat  463
#define SYS_getxattrat  464
#define SYS_listxattrat 465
#endif

struct xattr_args { /* Linux include/uapi/linux/xattr.h */
    uint64_t value __attribute__((aligned(8)));
    uint32_t size;
    uint32_t flags;
};

static atomic_bool xattrat_works = true; /* until the kernel says ENOSYS */

static int at_flags(const char *name)
{
    return *name == '\0' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
}

static bool have_xattrat(void)
{
#ifdef SYS_getxattrat
    return atomic_load_explicit(&xattrat_works, memory_order_relaxed);
#else
    return false;
#endif
}

/*
 * True when the /proc way has to serve: the kernel lacks the call (remembered), or the descriptor
 * is an O_PATH one, which the *xattrat calls refuse with EBADF.
 */
static bool needs_proc(long r, const char *name)
{
    if (r >= 0 || (errno != ENOSYS && !(errno == EBADF && *name == '\0')))
        return false;
    if (errno == ENOSYS)
        atomic_store(&xattrat_works, false);
    return true;
}

static int proc_path(int dir_fd, const char *name, char **ret)
{
    int n = *name == '\0' ? asprintf(ret, "/proc/self/fd/%d", dir_fd)
                          : asprintf(ret, "/proc/self/fd/%d/%s", dir_fd, name);
    return n < 0 ? -ENOMEM : 0;
}

static ssize_t plain_errno(ssize_t r)
{
    if (r >= 0)
        return r;
    return errno == EOPNOTSUPP ? -ENODATA : -errno;
}

ssize_t ol_xattr_get(int dir_fd, const char *name, const char *attr, void *value, size_t len)
{
    ol_auto_free char *path = NULL;
    int r;

#ifdef SYS_getxattrat
    if (have_xattrat()) {
        struct xattr_args args = {.value = (uintptr_t)value, .size = (uint32_t)len};
        long n = syscall(SYS_getxattrat, dir_fd, name, at_flags(name), attr, &args, sizeof args);
        if (!needs_proc(n, name))
            return plain_errno(n);
    }
#endif
    if (*name == '\0') {
        ssize_t n = fgetxattr(dir_fd, attr, value, len);
        if (n >= 0 || errno != EBADF)
            return plain_errno(n);
    }
    r = proc_path(dir_fd, name, &path);
    if (r < 0)
        return r;
    return plain_errno(*name == '\0' ? getxattr(path, attr, value, len)
                                     : lgetxattr(path, attr, value, len));
}

int ol_xattr_set(int dir_fd, const char *name, const char *attr, const void *value, size_t len)
{
    ol_auto_free char *path = NULL;
    int r;

    if (ol_fault_hit("setxattr"))
        return -EIO;
#ifdef SYS_setxattrat
    if (have_xattrat()) {
        struct xattr_args args = {.value = (uintptr_t)value, .size = (uint32_t)len};
        long n = syscall(SYS_setxattrat, dir_fd, name, at_flags(name), attr, &args, sizeof args);
        if (!needs_proc(n, name))
            return n < 0 ? -errno : 0;
    }
#endif
    if (*name == '\0') {
        r = fsetxattr(dir_fd, attr, value, len, 0);
        if (r == 0 || errno != EBADF)
            return r < 0 ? -errno : 0;
    }
    r = proc_path(dir_fd, name, &path);
    if (r < 0)
        return r;
    r = *name == '\0' ? setxattr(path, attr, value, len, 0) : lsetxattr(path, attr, value, len, 0);
    return r < 0 ? -errno : 0;
}

int ol_xattr_remove(int dir_fd, const char *name, const char *attr)
{
    ol_auto_free char *path = NULL;
    int r;

    if (ol_fault_hit("removexattr"))
        return -EIO;
    r = proc_path(dir_fd, name, &path);
    if (r < 0)
        return r;
    r = *name == '\0' ? removexattr(path, attr) : lremovexattr(path, attr);
    return r < 0 ? -errno : 0;
}

static ssize_t list_once(int dir_fd, const char *name, const char *path, char *out, size_t len)
{
#ifdef SYS_listxattrat
    if (have_xattrat()) {
        long n = syscall(SYS_listxattrat, dir_fd, name, at_flags(name), out, len);
        if (!needs_proc(n, name))
            return n;
    }
#endif
    if (*name == '\0') {
        ssize_t n = flistxattr(dir_fd, out, len);
        if (n >= 0 || errno != EBADF)
            return n;
    }
    return *name == '\0' ? listxattr(path, out, len) : llistxattr(path, out, len);
}

int ol_xattr_list(int dir_fd, const char *name, struct ol_buf *buf)
{
    ol_auto_free char *path = NULL;
    int r = proc_path(dir_fd, name, &path);

    ol_buf_truncate(buf, 0);
    for (size_t room = 512; r == 0; room = buf->cap) { /* a buffer used before stays as it is */
        ssize_t n;
        r = ol_buf_reserve(buf, room);
        if (r < 0)
            break;
        n = list_once(dir_fd, name, path, buf->data, buf->cap - 1);
        if (n >= 0) {
            buf->len = (size_t)n;
            buf->data[n] = '\0';
            break;
        }
        if (errno == EOPNOTSUPP)
            break;
        if (errno != ERANGE)
            r = -errno;
    }
    return r;
}

bool ol_xattr_importable(const char *attr)
{
    static const char user_overlay[] = "user.overlay.";

    if (strncmp(attr, "user.", 5) == 0)
        return strncmp(attr, user_overlay, sizeof user_overlay - 1) != 0;
    return strcmp(attr, "security.capability") == 0 ||
           strcmp(attr, "system.posix_acl_access") == 0 ||
           strcmp(attr, "system.posix_acl_default") == 0;
}
