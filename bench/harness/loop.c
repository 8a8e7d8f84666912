/* SPDX-License-Identifier: Apache-2.0 */
/* Image files and loop devices; see loop.h and loop(4). */
#include "bench/harness/loop.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>

/* Another program may take the free device between two calls. */
enum { ATTACH_TRIES = 32 };

/* How each file system is made. The path goes where the NULL before the end is. */
static const struct {
    const char *type;
    const char *package;
    const char *argv[16]; /* the first free slot takes the path */
} makers[] = {
    /* An inode for every 4 KiB: layers are small files, and running out of inodes is not what is
     * measured. A journal, whatever mke2fs.conf says: without one, creating after deleting is
     * quadratic. No reserved blocks, no check by age. */
    {"ext4",
     "e2fsprogs",
     {"mkfs.ext4", "-q", "-F", "-O", "has_journal", "-i", "4096", "-I", "256", "-m", "0"}},
    {"xfs", "xfsprogs", {"mkfs.xfs", "-q", "-f"}},
    {"btrfs", "btrfs-progs", {"mkfs.btrfs", "-q", "-f"}},
};

static int run_mkfs(const char *type, const char *path, struct ol_error *err)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(makers); i++) {
        const char *argv[OL_ARRAY_LEN(makers[i].argv) + 1] = {NULL};
        size_t n = 0;
        int r;

        if (strcmp(makers[i].type, type) != 0)
            continue;
        for (; makers[i].argv[n] != NULL; n++)
            argv[n] = makers[i].argv[n];
        argv[n] = path;
        r = ol_process_run(argv, 0, NULL, err);
        if (r == -ENOENT)
            return ol_error_set(err, -ENOENT, "'%s' is not installed (as root: apt-get install %s)",
                                argv[0], makers[i].package);
        return r < 0 ? ol_error_wrap(err, r, "cannot make the %s file system", type) : 0;
    }
    return ol_error_set(err, -EINVAL, "'%s' is not a file system overlab can make", type);
}

int ol_loop_image(int dir_fd, const char *name, const char *path, const char *type,
                  uint64_t size_bytes, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    int r;

    if (ol_fault_hit("loop.image"))
        return ol_error_sys(err, EIO, "cannot make '%s'", path);
    fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ol_error_sys(err, errno, "cannot make '%s'", path);
    if (ftruncate(fd, (off_t)size_bytes) < 0)
        return ol_error_sys(err, errno, "cannot make '%s' %ju bytes long", path,
                            (uintmax_t)size_bytes);
    r = run_mkfs(type, path, err);
    return r < 0 ? r : ol_fd_steal(&fd);
}

static int no_devices(int errnum, const char *what, struct ol_error *err)
{
    if (errnum == EPERM || errnum == EACCES)
        return ol_error_sys(err, errnum, "cannot open '%s'", what);
    return ol_error_sys(err, errnum,
                        "cannot open '%s' (no loop devices: as root, modprobe loop; in a container "
                        "they have to be passed in)",
                        what);
}

/* @return descriptor, or negative errno; -EBUSY: somebody else was faster */
static int configure(const char *device, int image_fd, struct ol_error *err)
{
    struct loop_config config = {.fd = (__u32)image_fd, .info.lo_flags = LO_FLAGS_AUTOCLEAR};
    ol_auto_fd int fd = open(device, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return no_devices(errno, device, err);
    if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
        return ol_fd_steal(&fd);
    if (errno == EBUSY)
        return -EBUSY;
    return ol_error_sys(err, errno, "cannot attach the image to '%s' (needs Linux 5.8)", device);
}

int ol_loop_attach(int image_fd, char **ret_device, struct ol_error *err)
{
    static const char control[] = "/dev/loop-control";
    ol_auto_fd int control_fd = open(control, O_RDWR | O_CLOEXEC);

    if (control_fd < 0)
        return no_devices(errno, control, err);
    if (ol_fault_hit("loop.attach"))
        return ol_error_sys(err, EIO, "cannot attach the image");
    for (unsigned i = 0; i < ATTACH_TRIES; i++) {
        ol_auto_free char *device = NULL;
        int number = ioctl(control_fd, LOOP_CTL_GET_FREE);
        int fd;

        if (number < 0)
            return ol_error_sys(err, errno, "cannot find a free loop device");
        if (asprintf(&device, "/dev/loop%d", number) < 0)
            return ol_error_nomem(err);
        fd = configure(device, image_fd, err);
        if (fd == -EBUSY)
            continue;
        if (fd >= 0)
            *ret_device = ol_ptr_steal(device);
        return fd;
    }
    return ol_error_set(err, -EBUSY, "cannot attach a loop device: others take them faster");
}
