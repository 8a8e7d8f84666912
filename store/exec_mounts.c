/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a command: /proc, /sys, /dev and the host's resolver files, then pivot_root(2). All
 * of it in the init's own mount namespace. Mount points are opened beneath the root, whatever
 * symlinks the container holds, and mounted on through /proc/self/fd.
 */
#include "store/exec_internal.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/path.h"

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct fd_path {
    char text[sizeof "/proc/self/fd/" + 12];
};

static struct fd_path fd_path(int fd)
{
    struct fd_path path;

    (void)snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
    return path;
}

/* A directory to mount on; made, as runc makes it, where somebody removed it. */
static int open_point(int root_fd, const char *name, struct ol_error *err)
{
    int fd = ol_path_open(root_fd, name, O_PATH | O_DIRECTORY, 0);

    if (fd == -ENOENT)
        fd = ol_path_mkdirs(root_fd, name, 0755, NULL);
    return fd < 0 ? ol_error_sys(err, -fd, "cannot open '/%s' of the container", name) : fd;
}

/* What was just mounted there; ol_path_open() does not cross mounts. */
static int open_mounted(int root_fd, const char *name, int flags, struct ol_error *err)
{
    const struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, root_fd, name, &how, sizeof how);

    return fd < 0 ? ol_error_sys(err, errno, "cannot open what was mounted on '/%s'", name) : fd;
}

static int mount_on(int fd, const char *name, const char *source, const char *type,
                    unsigned long flags, const char *options, struct ol_error *err)
{
    if (mount(source, fd_path(fd).text, type, flags, options) < 0)
        return ol_error_sys(err, errno, "cannot mount on '/%s' of the container", name);
    return 0;
}

/* A fresh one shows the processes of the command only. Where the kernel refuses that (in a
 * container whose own /proc is partly covered), the host's. */
static int mount_proc(int root_fd, struct ol_error *err)
{
    ol_auto_fd int fd = open_point(root_fd, "proc", err);

    if (fd < 0)
        return fd;
    if (mount("proc", fd_path(fd).text, "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL) == 0)
        return 0;
    return mount_on(fd, "proc", "/proc", NULL, MS_BIND | MS_REC, NULL, err);
}

/* A mount and all that is below it. @return -ENOSYS before Linux 5.12 */
static int make_read_only(int mounted_fd)
{
#if OL_HAVE_MOUNT_SETATTR
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                          MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV};

    return mount_setattr(mounted_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0
               ? -errno
               : 0;
#else
    (void)mounted_fd;
    return -ENOSYS;
#endif
}

/*
 * mount(2) changes the uppermost mount alone: it serves where nothing else can, and there what the
 * host has mounted below source can be written to.
 *
 * @param fd  what name is in the root, to be covered by source
 */
static int bind_read_only(int root_fd, int fd, const char *name, const char *source,
                          unsigned long recursive, struct ol_error *err)
{
    ol_auto_fd int mounted = -1;
    int r = mount_on(fd, name, source, NULL, MS_BIND | recursive, NULL, err);

    if (r < 0)
        return r;
    mounted = open_mounted(root_fd, name, O_PATH, err);
    if (mounted < 0)
        return mounted;
    r = make_read_only(mounted);
    if (r == -ENOSYS)
        return mount_on(mounted, name, NULL, NULL,
                        MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL,
                        err);
    return r < 0 ? ol_error_sys(err, -r, "cannot make '/%s' of the container read-only", name) : 0;
}

/* The host's, not to be written to: a fresh one needs a network namespace of our own. */
static int mount_sys(int root_fd, struct ol_error *err)
{
    ol_auto_fd int fd = open_point(root_fd, "sys", err);

    return fd < 0 ? fd : bind_read_only(root_fd, fd, "sys", "/sys", MS_REC, err);
}

static const char *const devices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                      "/dev/random", "/dev/urandom", "/dev/tty"};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

/* The host's node on an empty file: making nodes is not for everybody. */
static int bind_device(int dev_fd, const char *name, const char *source, struct ol_error *err)
{
    ol_auto_fd int fd = openat(dev_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot make '/dev/%s'", name);
    if (mount(source, fd_path(fd).text, NULL, MS_BIND, NULL) < 0)
        return ol_error_sys(err, errno, "cannot bind '%s'", source);
    return 0;
}

static int mount_dev_part(int dev_fd, const char *name, const char *type, const char *options,
                          struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    int r = ol_fs_mkdir(dev_fd, name, 0755, err);

    if (r < 0)
        return r;
    fd = ol_fs_open_dir(dev_fd, name);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '/dev/%s'", name);
    if (mount(type, fd_path(fd).text, type, MS_NOSUID | MS_NOEXEC, options) < 0)
        return ol_error_sys(err, errno, "cannot mount '/dev/%s'", name);
    return 0;
}

static int fill_dev(int dev_fd, struct ol_error *err)
{
    const char *tty = ttyname(STDIN_FILENO); /* one thread */
    int r = 0;

    for (size_t i = 0; r == 0 && i < OL_ARRAY_LEN(devices); i++)
        r = bind_device(dev_fd, strrchr(devices[i], '/') + 1, devices[i], err);
    if (r == 0 && tty != NULL) /* of the host's devpts: here ttyname(3) finds it */
        r = bind_device(dev_fd, "console", tty, err);
    for (size_t i = 0; r == 0 && i < OL_ARRAY_LEN(links); i++)
        r = ol_fs_symlink(links[i].target, dev_fd, links[i].name, err);
    if (r == 0)
        r = mount_dev_part(dev_fd, "pts", "devpts", "newinstance,ptmxmode=0666,mode=0620", err);
    return r < 0 ? r : mount_dev_part(dev_fd, "shm", "tmpfs", "mode=1777", err);
}

static int mount_dev(int root_fd, struct ol_error *err)
{
    ol_auto_fd int fd = open_point(root_fd, "dev", err);
    ol_auto_fd int dev_fd = -1;
    int r = fd < 0 ? fd
                   : mount_on(fd, "dev", "tmpfs", "tmpfs", MS_NOSUID | MS_STRICTATIME,
                              "mode=755,size=65536k", err);

    if (r < 0)
        return r;
    dev_fd = open_mounted(root_fd, "dev", O_RDONLY | O_DIRECTORY, err);
    return dev_fd < 0 ? dev_fd : fill_dev(dev_fd, err);
}

/* Where the init layer's empty files still are; a container that has its own keeps them. The host's
 * are not to be written to. */
static int bind_host_file(int root_fd, const char *path, struct ol_error *err)
{
    ol_auto_fd int fd = ol_path_open(root_fd, path, O_PATH | O_NOFOLLOW, 0);
    ol_auto_free char *source = NULL;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 0)
        return 0;
    if (asprintf(&source, "/%s", path) < 0) {
        source = NULL;
        return ol_error_nomem(err);
    }
    if (stat(source, &st) < 0 || !S_ISREG(st.st_mode))
        return 0; /* the host has none either */
    return bind_read_only(root_fd, fd, path, source, 0, err);
}

/* As bwrap does: the old root is put on top of the new one and dropped with all its mounts. */
static int pivot(struct ol_error *err)
{
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        if (umount2(".", MNT_DETACH) < 0)
            return ol_error_sys(err, errno, "cannot drop the host's root");
    } else if (errno != EINVAL) /* in a chroot and in the initial ramfs "/" is no mount to swap */
        return ol_error_sys(err, errno, "cannot make the container's root '/'");
    else if (chroot(".") < 0)
        return ol_error_sys(err, errno, "cannot change the root");
    return chdir("/") < 0 ? ol_error_sys(err, errno, "cannot enter the root") : 0;
}

int ol_exec_enter_root(const char *root, struct ol_error *err)
{
    ol_auto_fd int root_fd = -1;
    int r;

    /* pivot_root wants a mount; a driver without mounts has none here */
    if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0)
        return ol_error_sys(err, errno, "cannot bind '%s'", root);
    root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", root);
    r = mount_dev(root_fd, err);
    if (r == 0)
        r = mount_sys(root_fd, err);
    if (r == 0)
        r = bind_host_file(root_fd, "etc/resolv.conf", err);
    if (r == 0)
        r = bind_host_file(root_fd, "etc/hosts", err);
    if (r == 0)
        r = mount_proc(root_fd, err); /* last: what is above goes through the host's */
    if (r == 0 && fchdir(root_fd) < 0)
        r = ol_error_sys(err, errno, "cannot enter '%s'", root);
    return r < 0 ? r : pivot(err);
}
