/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about a file system; see fsinfo.h. */
#include "bench/harness/fsinfo.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/io.h"

#include <fcntl.h>
#include <libmount/libmount.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static enum ol_known known(bool yes)
{
    return yes ? OL_KNOWN_YES : OL_KNOWN_NO;
}

/* --- the mount table --- */

/* The mount dir is on: by the kernel's mount id, which also tells stacked mounts apart. */
static struct libmnt_fs *find_mount(struct libmnt_table *table, const char *dir)
{
    struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
    struct libmnt_fs *fs = NULL;
    struct statx st;
    bool found = false;

    if (iter == NULL)
        return NULL;
    if (statx(AT_FDCWD, dir, 0, STATX_MNT_ID, &st) == 0 && (st.stx_mask & STATX_MNT_ID) != 0)
        while (!found && mnt_table_next_fs(table, iter, &fs) == 0)
            found = (uint64_t)mnt_fs_get_id(fs) == st.stx_mnt_id;
    mnt_free_iter(iter);
    return found ? fs : mnt_table_find_mountpoint(table, dir, MNT_ITER_BACKWARD);
}

static char *copy_of(const char *text)
{
    return strdup(text != NULL ? text : "");
}

static int read_mount(const char *dir, struct ol_fsinfo *info)
{
    struct libmnt_table *table = mnt_new_table();
    struct libmnt_fs *fs = NULL;
    int r = table != NULL ? mnt_table_parse_file(table, "/proc/self/mountinfo") : -ENOMEM;

    if (r == 0)
        fs = find_mount(table, dir);
    if (r == 0) { /* all empty when the table does not show it */
        info->type = copy_of(fs != NULL ? mnt_fs_get_fstype(fs) : NULL);
        info->source = copy_of(fs != NULL ? mnt_fs_get_source(fs) : NULL);
        info->options = copy_of(fs != NULL ? mnt_fs_get_options(fs) : NULL);
        info->mount_point = copy_of(fs != NULL ? mnt_fs_get_target(fs) : NULL);
        if (!info->type || !info->source || !info->options || !info->mount_point)
            r = -ENOMEM;
    }
    mnt_unref_table(table);
    return r > 0 ? -EIO : r;
}

/* --- superblocks --- */

enum {
    EXT_OFFSET = 1024, /* Documentation/filesystems/ext4/super.rst */
    EXT_MAGIC_AT = 0x38,
    EXT_INODE_SIZE_AT = 0x58,
    EXT_COMPAT_AT = 0x5C,
    EXT_HAS_JOURNAL = 0x4,
    XFS_INODE_SIZE_AT = 104, /* xfsprogs, "XFS Algorithms & Data Structures": sb_inodesize */
};

/* The device below, only when it is the one the directory is really on. */
static int open_device(const struct ol_fsinfo *info, dev_t dev)
{
    int fd = open(info->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev)
        return fd;
    (void)close(fd); /* opened for reading */
    return -1;
}

static void read_superblock(struct ol_fsinfo *info, dev_t dev)
{
    ol_auto_fd int fd = open_device(info, dev);
    unsigned char sb[EXT_OFFSET + 1024];

    if (fd < 0 || ol_io_pread(fd, sb, sizeof sb, 0) != (ssize_t)sizeof sb)
        return; /* an ordinary user: these facts stay unknown */
    if (memcmp(sb, "XFSB", 4) == 0) {
        info->inode_size = (uint64_t)sb[XFS_INODE_SIZE_AT] << 8 | sb[XFS_INODE_SIZE_AT + 1];
        return;
    }
    if (sb[EXT_OFFSET + EXT_MAGIC_AT] == 0x53 && sb[EXT_OFFSET + EXT_MAGIC_AT + 1] == 0xEF) {
        info->inode_size = (uint64_t)sb[EXT_OFFSET + EXT_INODE_SIZE_AT] |
                           (uint64_t)sb[EXT_OFFSET + EXT_INODE_SIZE_AT + 1] << 8;
        info->journal = known((sb[EXT_OFFSET + EXT_COMPAT_AT] & EXT_HAS_JOURNAL) != 0);
    }
}

/* The kernel's name of a device ("sda1", "loop0"), as /proc/fs uses it; false when unknown. */
static bool device_name(dev_t dev, char *ret, size_t size)
{
    char link[64];
    char target[4096];
    const char *base;
    ssize_t n;

    (void)snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(dev), minor(dev));
    n = readlink(link, target, sizeof target - 1);
    if (n <= 0)
        return false;
    target[n] = '\0';
    base = strrchr(target, '/');
    base = base != NULL ? base + 1 : target;
    return (size_t)snprintf(ret, size, "%s", base) < size;
}

/* In a chroot the table does not show the mount its root is on: the magic number tells the type. */
static int guess_type(struct ol_fsinfo *info, dev_t dev)
{
    ol_auto_free char *ext4 = NULL;
    char name[256];
    const char *type = info->magic_name;

    if (info->type[0] != '\0')
        return 0;
    if (strcmp(type, "extfs") == 0 && device_name(dev, name, sizeof name)) {
        if (asprintf(&ext4, "/proc/fs/ext4/%s", name) < 0)
            return -ENOMEM;
        if (access(ext4, F_OK) == 0)
            type = "ext4"; /* else it is ext2 or ext3, and the name stays vague */
    }
    free(info->type);
    info->type = strdup(type);
    return info->type != NULL ? 0 : -ENOMEM;
}

/* Without the right to read the device: jbd2 shows each journal as /proc/fs/jbd2/<device>-<inode>.
 */
static void look_for_journal(struct ol_fsinfo *info, dev_t dev)
{
    ol_auto_free char *ext4 = NULL;
    ol_auto_free char *jbd2 = NULL;
    char name[256];

    if (strcmp(info->type, "ext4") != 0 || !device_name(dev, name, sizeof name) ||
        asprintf(&ext4, "/proc/fs/ext4/%s", name) < 0 ||
        asprintf(&jbd2, "/proc/fs/jbd2/%s-8", name) < 0) /* 8: the journal's inode number */
        return;
    if (access(jbd2, F_OK) == 0)
        info->journal = OL_KNOWN_YES;
    else if (access(ext4, F_OK) == 0 && access("/proc/fs/jbd2", F_OK) == 0)
        info->journal = OL_KNOWN_NO; /* or on another device, which only the superblock tells */
}

/* --- trying --- */

static int temp_file(int dir_fd, const char *name)
{
    return openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

static void try_reflink(int dir_fd, struct ol_fsinfo *info)
{
    ol_auto_fd int from = temp_file(dir_fd, "a");
    ol_auto_fd int to = temp_file(dir_fd, "b");
    static const char block[4096];

    if (from < 0 || to < 0 || ol_io_write(from, block, sizeof block) < 0)
        return;
    info->reflink = known(ioctl(to, FICLONE, from) == 0);
}

static void try_d_type(int dir_fd, struct ol_fsinfo *info)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;

    if (ol_dirents_read(&list, dir_fd, false) < 0 || list.count == 0)
        return;
    info->d_type = OL_KNOWN_YES;
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].type == DT_UNKNOWN)
            info->d_type = OL_KNOWN_NO;
}

/* In a directory of its own, so that nothing of the user's is touched. */
static void try_abilities(const char *dir, struct ol_fsinfo *info)
{
    ol_auto_fd int parent_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_fd int dir_fd = -1;
    ol_auto_free char *name = NULL;

    if (parent_fd < 0 || ol_fs_mkdir_temp(parent_fd, ".overlab-probe-", &name, NULL) < 0)
        return;
    dir_fd = ol_fs_open_dir(parent_fd, name);
    if (dir_fd >= 0) {
        try_reflink(dir_fd, info);
        try_d_type(dir_fd, info);
        info->user_xattr = known(fsetxattr(dir_fd, "user.overlab", "y", 1, 0) == 0);
        info->trusted_xattr = known(fsetxattr(dir_fd, "trusted.overlab", "y", 1, 0) == 0);
        (void)unlinkat(dir_fd, "a", 0); /* either may be missing */
        (void)unlinkat(dir_fd, "b", 0);
    }
    (void)unlinkat(parent_fd, name, AT_REMOVEDIR); /* empty now */
}

/* --- all of it --- */

int ol_fsinfo_get(const char *dir, struct ol_fsinfo *ret, struct ol_error *err)
{
    struct ol_fsinfo info = {.journal = OL_UNKNOWN,
                             .reflink = OL_UNKNOWN,
                             .d_type = OL_UNKNOWN,
                             .user_xattr = OL_UNKNOWN,
                             .trusted_xattr = OL_UNKNOWN};
    ol_auto_free char *real = realpath(dir, NULL);
    struct statfs fs;
    struct stat st;
    int r;

    if (real == NULL || stat(real, &st) < 0 || statfs(real, &fs) < 0)
        return ol_error_sys(err, errno, "cannot look at '%s'", dir);
    if (!S_ISDIR(st.st_mode))
        return ol_error_set(err, -ENOTDIR, "'%s' is not a directory", dir);
    info.magic_name = ol_fs_magic_name((long)fs.f_type);
    r = read_mount(real, &info);
    if (r == 0)
        r = guess_type(&info, st.st_dev);
    if (r < 0) {
        ol_fsinfo_fini(&info);
        return ol_error_sys(err, -r, "cannot read the mount table");
    }
    info.block_size = (uint64_t)fs.f_bsize;
    info.total_bytes = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
    info.free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
    info.total_inodes = fs.f_files;
    info.free_inodes = fs.f_ffree;
    info.counts_links = strcmp(info.type, "tmpfs") == 0;
    info.floats_total = strcmp(info.type, "xfs") == 0;
    look_for_journal(&info, st.st_dev);
    read_superblock(&info, st.st_dev);
    try_abilities(real, &info);
    *ret = info;
    return 0;
}

void ol_fsinfo_fini(struct ol_fsinfo *info)
{
    free(info->type);
    free(info->source);
    free(info->options);
    free(info->mount_point);
    *info = (struct ol_fsinfo){0};
}

bool ol_fsinfo_is_slow_ext4(const struct ol_fsinfo *info)
{
    return strcmp(info->type, "ext4") == 0 && info->journal == OL_KNOWN_NO;
}
