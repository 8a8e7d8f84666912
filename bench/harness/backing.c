/* SPDX-License-Identifier: Apache-2.0 */
/* The place a benchmark runs in; see backing.h. */
#include "bench/harness/backing.h"

#include "bench/harness/loop.h"
#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/mount/mount.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define RUN_PREFIX "overlab-run-"

/* A cleaner can only take a new directory in the moment before it is locked. */
enum { RUN_TRIES = 16 };

struct ol_backing {
    enum ol_backing_kind kind;
    int dir_fd;  /* owned; the directory the run's directory is in */
    char *name;  /* owned; "overlab-run-…" in dir_fd; NULL until made */
    int run_fd;  /* owned; dir_fd/name */
    int lock_fd; /* owned; held while the run lives */
    char *path;  /* owned; absolute path of "fs" */
    int fs_fd;   /* owned; "fs", opened after it was mounted */
};

/* --- names --- */

static const struct {
    const char *name;
    const char *path_kind;
} kinds[] = {
    [OL_BACKING_DIRECTORY] = {"directory", "directory"},
    [OL_BACKING_EXT4] = {"ext4", "loop"},
    [OL_BACKING_XFS] = {"xfs", "loop"},
    [OL_BACKING_BTRFS] = {"btrfs", "loop"},
    [OL_BACKING_TMPFS] = {"tmpfs", "tmpfs"},
};

const char *ol_backing_path_kind(enum ol_backing_kind kind)
{
    return kinds[kind].path_kind;
}

/* "512M" and the like; false when it is not a size, is 0 or passes what a file can have. */
static bool parse_size(const char *text, uint64_t *ret)
{
    static const char suffixes[] = "KMGT";
    uint64_t value = 0;
    const char *suffix;
    unsigned shift = 0;

    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    if (*text != '\0') {
        suffix = strchr(suffixes, *text >= 'a' ? *text - ('a' - 'A') : *text);
        if (suffix == NULL || *suffix == '\0' || text[1] != '\0')
            return false;
        shift = 10u * (unsigned)(suffix - suffixes + 1);
    }
    if (value == 0 || value > (uint64_t)INT64_MAX >> shift)
        return false;
    *ret = value << shift;
    return true;
}

int ol_backing_parse(const char *text, struct ol_backing_spec *ret, struct ol_error *err)
{
    struct ol_backing_spec spec = {.kind = OL_BACKING_DIRECTORY};

    for (size_t i = OL_BACKING_EXT4; i < OL_ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i].name);

        if (strncmp(text, kinds[i].name, len) != 0 || text[len] != ':')
            continue;
        spec.kind = (enum ol_backing_kind)i;
        if (!parse_size(text + len + 1, &spec.size_bytes))
            return ol_error_set(err, -EINVAL,
                                "'%s': '%s' is not a size such as 512M, 8G or 1T (a directory of "
                                "that name is written './%s')",
                                text, text + len + 1, text);
        *ret = spec;
        return 0;
    }
    /* "ext5:8G" is a slip of the pen, not a directory to make. */
    if (strchr(text, ':') != NULL && strchr(text, '/') == NULL)
        return ol_error_set(
            err, -EINVAL,
            "'%s': no such file system: ext4:SIZE, xfs:SIZE, btrfs:SIZE or tmpfs:SIZE (a "
            "directory of that name is written './%s')",
            text, text);
    if (text[0] == '\0')
        return ol_error_set(err, -EINVAL,
                            "the backing is empty: DIR, ext4:SIZE, xfs:SIZE, btrfs:SIZE or "
                            "tmpfs:SIZE");
    spec.dir = strdup(text);
    if (spec.dir == NULL)
        return ol_error_nomem(err);
    *ret = spec;
    return 0;
}

void ol_backing_spec_fini(struct ol_backing_spec *spec)
{
    free(spec->dir);
    spec->dir = NULL;
}

/* --- dead runs --- */

/* Exactly what ol_fs_mkdir_temp() makes: a user's own "overlab-run-x" is not ours to touch. */
static bool is_run_name(const char *name)
{
    size_t len = strlen(RUN_PREFIX);

    return strncmp(name, RUN_PREFIX, len) == 0 && strlen(name + len) == 16 &&
           strspn(name + len, "0123456789abcdef") == 16;
}

/* Take the lock of a run that may be dead. @return descriptor (the run is dead, and ours), or -1 */
static int lock_dead(int run_fd)
{
    int fd = openat(run_fd, "lock", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    ol_fd_close(&fd);
    return -1;
}

/* @return 1 when name is a dead run (and is gone now), 0 when not, or negative errno */
static int clean_run(int dir_fd, const char *dir, const char *name, bool only_count,
                     struct ol_error *err)
{
    ol_auto_fd int run_fd = ol_fs_open_dir(dir_fd, name);
    ol_auto_fd int lock_fd = -1;
    ol_auto_free char *path = NULL;
    struct stat st;
    int r;

    if (run_fd < 0 || fstat(run_fd, &st) < 0 || st.st_uid != geteuid())
        return 0; /* gone meanwhile, or another user's */
    lock_fd = lock_dead(run_fd);
    if (lock_fd < 0) {
        /* Alive, or killed before there was a lock: then it is empty and rmdir takes it. */
        if (only_count)
            return ol_fs_exists(run_fd, "lock") ? 0 : 1;
        return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 ? 1 : 0;
    }
    if (only_count)
        return 1;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return ol_error_nomem(err);
    r = ol_mount_detach_below(path, err);
    if (r >= 0)
        r = ol_tree_remove(dir_fd, name, err);
    return r < 0 ? ol_error_wrap(err, r, "removing what a dead run left in '%s'", path) : 1;
}

static int clean_dir(int dir_fd, const char *dir, bool only_count, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    int count = 0;
    int r = ol_dirents_read(&list, dir_fd, true);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read directory '%s'", dir);
    for (size_t i = 0; i < list.count; i++) {
        if (!is_run_name(list.items[i].name))
            continue;
        r = clean_run(dir_fd, dir, list.items[i].name, only_count, err);
        if (r < 0)
            return r;
        count += r;
    }
    return count;
}

int ol_backing_clean_stale(const char *dir, bool only_count, struct ol_error *err)
{
    ol_auto_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir_fd < 0)
        return ol_error_sys(err, errno, "cannot open directory '%s'", dir);
    return clean_dir(dir_fd, dir, only_count, err);
}

/* --- the run's directory --- */

/* @return descriptor of the lock, held; or negative errno: -EAGAIN when a cleaner was faster */
static int take_lock(int run_fd)
{
    ol_auto_fd int fd = openat(run_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    return st.st_nlink > 0 ? ol_fd_steal(&fd) : -EAGAIN;
}

/* Make the directory under a new name and take its lock. @return 0 or negative errno, -EAGAIN: once
 * more */
static int make_run_once(struct ol_backing *b, struct ol_error *err)
{
    int r = ol_fs_mkdir_temp(b->dir_fd, RUN_PREFIX, &b->name, err);

    if (r < 0)
        return r;
    b->run_fd = ol_fs_open_dir(b->dir_fd, b->name);
    b->lock_fd = b->run_fd >= 0 ? take_lock(b->run_fd) : b->run_fd;
    if (b->lock_fd >= 0)
        return 0;
    r = b->lock_fd == -ENOENT ? -EAGAIN : b->lock_fd;
    if (r != -EAGAIN)
        (void)ol_error_sys(err, -r, "cannot lock '%s'", b->name);
    (void)unlinkat(b->dir_fd, b->name, AT_REMOVEDIR); /* empty, or a cleaner's by now */
    free(ol_ptr_steal(b->name));
    ol_fd_close(&b->run_fd);
    b->lock_fd = -1;
    return r;
}

static int make_run(struct ol_backing *b, const char *dir, struct ol_error *err)
{
    ol_auto_free char *real = realpath(dir, NULL);
    int r = 0;

    if (real == NULL)
        return ol_error_sys(err, errno, "cannot open directory '%s'", dir);
    b->dir_fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->dir_fd < 0)
        return ol_error_sys(err, errno, "cannot open directory '%s'", dir);
    r = clean_dir(b->dir_fd, real, false, err);
    if (r < 0)
        return r;
    r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < RUN_TRIES; i++)
        r = make_run_once(b, err);
    if (r < 0)
        return ol_error_wrap(err, r, "cannot make a place for the run in '%s'", dir);
    if (asprintf(&b->path, "%s/%s/fs", real[1] == '\0' ? "" : real, b->name) < 0) {
        b->path = NULL;
        return ol_error_nomem(err);
    }
    return ol_fs_mkdir(b->run_fd, "fs", 0755, err);
}

/* --- file systems of its own --- */

/* What an ordinary user can do instead. */
static int explain_permission(const struct ol_backing *b, int r, struct ol_error *err)
{
    if (r != -EPERM && r != -EACCES)
        return r;
    if (b->kind == OL_BACKING_TMPFS)
        return ol_error_set(err, -EPERM,
                            "a tmpfs of its own needs the right to mount: run as root, use --view "
                            "userns, or use --backing DIR");
    return ol_error_set(err, -EPERM,
                        "an %s file system of its own needs root and loop devices: run as root, or "
                        "use --backing DIR (tmpfs:SIZE works with --view userns)",
                        kinds[b->kind].name);
}

static int mount_fs(const struct ol_backing *b, const char *source, const char *options,
                    struct ol_error *err)
{
    const char *type = kinds[b->kind].name;

    if (ol_fault_hit("backing.mount") || mount(source, b->path, type, 0, options) < 0) {
        if (errno == ENODEV)
            return ol_error_set(err, -ENOTSUP,
                                "this kernel has no %s file system (as root: modprobe %s)", type,
                                type);
        return ol_error_sys(err, errno, "cannot mount %s on '%s'", type, b->path);
    }
    return 0;
}

/* A sparse image that the disk cannot hold fails in the middle of a run, as an I/O error. */
static int check_space(const struct ol_backing *b, uint64_t size_bytes, const char *dir,
                       struct ol_error *err)
{
    struct statvfs fs;
    uint64_t free_bytes;

    if (fstatvfs(b->dir_fd, &fs) < 0)
        return ol_error_sys(err, errno, "cannot look at '%s'", dir);
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= size_bytes)
        return 0;
    return ol_error_set(err, -ENOSPC,
                        "'%s' has %" PRIu64 " MiB free, an image of %" PRIu64
                        " MiB does not fit: ask for less, or set TMPDIR",
                        dir, free_bytes >> 20, size_bytes >> 20);
}

static int make_loop(struct ol_backing *b, uint64_t size_bytes, const char *tmp_dir,
                     struct ol_error *err)
{
    ol_auto_fd int image_fd = -1;
    ol_auto_fd int device_fd = -1;
    ol_auto_free char *image = NULL;
    ol_auto_free char *device = NULL;
    int r = check_space(b, size_bytes, tmp_dir, err);

    if (r < 0)
        return r;
    if (asprintf(&image, "%.*simage", (int)(strlen(b->path) - strlen("fs")), b->path) < 0)
        return ol_error_nomem(err);
    image_fd = ol_loop_image(b->run_fd, "image", image, kinds[b->kind].name, size_bytes, err);
    if (image_fd < 0)
        return image_fd;
    device_fd = ol_loop_attach(image_fd, &device, err);
    if (device_fd < 0)
        return device_fd;
    r = ol_fs_unlink(b->run_fd, "image", err);
    return r < 0 ? r : mount_fs(b, device, NULL, err);
}

static int make_tmpfs(struct ol_backing *b, uint64_t size_bytes, struct ol_error *err)
{
    ol_auto_free char *options = NULL;
    uint64_t inodes = size_bytes / 1024; /* what the kernel needs for one, about */

    if (asprintf(&options, "size=%" PRIu64 ",nr_inodes=%" PRIu64 ",mode=0755", size_bytes,
                 inodes > 1024 ? inodes : 1024) < 0)
        return ol_error_nomem(err);
    return mount_fs(b, "overlab", options, err);
}

static int make_fs(struct ol_backing *b, const struct ol_backing_spec *spec, const char *tmp_dir,
                   struct ol_error *err)
{
    int r = 0;

    if (spec->kind == OL_BACKING_TMPFS)
        r = make_tmpfs(b, spec->size_bytes, err);
    else if (spec->kind != OL_BACKING_DIRECTORY)
        r = make_loop(b, spec->size_bytes, tmp_dir, err);
    if (r < 0)
        return explain_permission(b, r, err);
    b->fs_fd = open(b->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (b->fs_fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", b->path);
    return 0;
}

/* --- the object --- */

int ol_backing_open(const struct ol_backing_spec *spec, const char *tmp_dir,
                    struct ol_backing **ret, struct ol_error *err)
{
    const char *dir = spec->kind == OL_BACKING_DIRECTORY ? spec->dir : tmp_dir;
    struct ol_backing *b = calloc(1, sizeof *b);
    int r;

    if (b == NULL)
        return ol_error_nomem(err);
    b->kind = spec->kind;
    b->dir_fd = b->run_fd = b->lock_fd = b->fs_fd = -1;
    r = make_run(b, dir, err);
    if (r >= 0)
        r = make_fs(b, spec, dir, err);
    if (r < 0) {
        (void)ol_backing_close(b, NULL); /* report the first error, not this one */
        return r;
    }
    *ret = b;
    return 0;
}

const char *ol_backing_path(const struct ol_backing *backing)
{
    return backing->path;
}

bool ol_backing_is_dedicated(const struct ol_backing *backing)
{
    return backing->kind != OL_BACKING_DIRECTORY;
}

int ol_backing_close(struct ol_backing *b, struct ol_error *err)
{
    int r = 0;

    if (b == NULL)
        return 0;
    ol_fd_close(&b->fs_fd); /* or the file system would stay busy */
    if (b->path != NULL)
        r = ol_mount_detach_below(b->path, err);
    if (r >= 0 && b->name != NULL)
        r = ol_tree_remove(b->dir_fd, b->name, err);
    ol_fd_close(&b->lock_fd); /* last: until here no other run takes this one for dead */
    ol_fd_close(&b->run_fd);
    ol_fd_close(&b->dir_fd);
    free(b->name);
    free(b->path);
    free(b);
    return r < 0 ? r : 0;
}

int ol_backing_sync(const struct ol_backing *backing, struct ol_error *err)
{
    if (syncfs(backing->fs_fd) < 0)
        return ol_error_sys(err, errno, "cannot write back '%s'", backing->path);
    return 0;
}

int ol_backing_drop_caches(const struct ol_backing *backing, struct ol_error *err)
{
    static const char file[] = "/proc/sys/vm/drop_caches";
    ol_auto_fd int fd = -1;
    int r = ol_backing_sync(backing, err);

    if (r < 0)
        return r;
    fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EPERM || errno == EROFS))
        return ol_error_set(err, -EPERM, "dropping caches needs root ('%s')", file);
    if (fd < 0 || write(fd, "3", 1) != 1)
        return ol_error_sys(err, errno, "cannot write '%s'", file);
    return 0;
}
