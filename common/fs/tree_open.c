/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the directories of a tree: without traces in access times, without crossing mounts. */
#include "common/cleanup.h"
#include "common/fs/tree_engine.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define OL_TREE_OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

int ol_tree_open_dir(int dir_fd, const char *name)
{
    /* Only the owner may ask for O_NOATIME; a layer read by others gets its time touched. */
    int fd = openat(dir_fd, name, OL_TREE_OPEN_FLAGS | O_NOATIME);

    if (fd < 0 && errno == EPERM)
        fd = openat(dir_fd, name, OL_TREE_OPEN_FLAGS);
    return fd < 0 ? -errno : fd;
}

/* @return true when both lie in the same mount; false also when it cannot be told */
static bool same_mount(int a, int b)
{
    struct statx sa;
    struct statx sb;

    if (statx(a, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &sa) < 0 ||
        statx(b, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &sb) < 0)
        return false;
    if ((sa.stx_mask & sb.stx_mask & STATX_MNT_ID) != 0) /* Linux 5.8 */
        return sa.stx_mnt_id == sb.stx_mnt_id;
    return sa.stx_dev_major == sb.stx_dev_major && sa.stx_dev_minor == sb.stx_dev_minor;
}

static int open_and_compare(int dir_fd, const char *name)
{
    ol_auto_fd int fd = ol_tree_open_dir(dir_fd, name);

    if (fd < 0)
        return fd;
    return same_mount(dir_fd, fd) ? ol_fd_steal(&fd) : -EXDEV;
}

int ol_tree_open_dir_same_mount(int dir_fd, const char *name)
{
    static atomic_bool have_openat2 = true;
    struct open_how how = {.flags = OL_TREE_OPEN_FLAGS | O_NOATIME, .resolve = RESOLVE_NO_XDEV};
    long fd;

    if (!atomic_load_explicit(&have_openat2, memory_order_relaxed))
        return open_and_compare(dir_fd, name);
    fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    if (fd >= 0)
        return (int)fd;
    if (errno == EPERM) /* not the owner, or a seccomp filter that does not know the call */
        return open_and_compare(dir_fd, name);
    if (errno != ENOSYS)
        return -errno;
    atomic_store(&have_openat2, false);
    return open_and_compare(dir_fd, name);
}
