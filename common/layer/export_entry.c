/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar entry from a file: the rules of moby's addTarFile and FileInfoHeader
 * (pkg/archive/archive.go) and, for overlay uppers, of ConvertWrite (archive_linux.go). The tree
 * may change meanwhile: content is read through a descriptor that was checked to be the regular
 * file the header is about.
 */
#include "common/layer/export_entry.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

enum {
    SAME_FILE_TRIES = 8,      /* a file that is replaced more often while we look is an error */
    CAPABILITY_MAX = 128,     /* the kernel stores 24 bytes at most */
    CAPABILITY_V2_BYTES = 20, /* linux/capability.h: XATTR_CAPS_SZ_2 */
    CAPABILITY_VERSION = 3,   /* offset of the revision byte (little endian, the high one) */
};

/* What is known of one object, and its header as it takes shape. */
struct entry {
    int dir_fd;
    const char *name;
    const char *path;
    struct stat st;
    struct ol_tar_header header;
    struct ol_tar_xattr xattr;
    char capability[CAPABILITY_MAX];
};

int ol_exporter_init(struct ol_exporter *ex, int out_fd, unsigned work, bool host_names,
                     struct ol_error *err)
{
    int r;

    *ex = (struct ol_exporter){.links = OL_INODE_MAP_INIT};
    r = ol_tar_writer_new(out_fd, &ex->tar, err);
    if (r < 0)
        return r;
    ol_tar_writer_set_work(ex->tar, work);
    r = host_names ? ol_owner_names_new(&ex->names, err) : 0;
    if (r < 0)
        ol_exporter_fini(ex);
    return r;
}

void ol_exporter_fini(struct ol_exporter *ex)
{
    ol_tar_writer_free(ex->tar);
    ol_inode_map_fini(&ex->links);
    ol_owner_names_free(ex->names);
    ol_buf_fini(&ex->paths);
    ol_buf_fini(&ex->name);
    ol_buf_fini(&ex->link);
}

static char type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return '0';
    case S_IFLNK:
        return '2';
    case S_IFCHR:
        return '3';
    case S_IFBLK:
        return '4';
    case S_IFDIR:
        return '5';
    case S_IFIFO:
        return '6';
    default:
        return '\0'; /* a socket: tar has no type for it */
    }
}

/* "dir/" "prefix" "base" "suffix" as the entry's name. */
static int set_name(struct ol_exporter *ex, struct entry *e, const char *prefix, const char *suffix)
{
    const char *slash = strrchr(e->path, '/');
    size_t dir = slash == NULL ? 0 : (size_t)(slash - e->path) + 1;

    ol_buf_truncate(&ex->name, 0);
    if (ol_buf_append(&ex->name, e->path, dir) < 0 || ol_buf_puts(&ex->name, prefix) < 0 ||
        ol_buf_puts(&ex->name, e->path + dir) < 0 || ol_buf_puts(&ex->name, suffix) < 0)
        return -ENOMEM;
    e->header.name = ex->name.data;
    return 0;
}

/* The text of a symlink. @return 0; -ENOENT when it is no longer one */
static int set_symlink(struct ol_exporter *ex, struct entry *e)
{
    size_t room = (size_t)e->st.st_size + 1;

    for (;;) {
        ssize_t n;
        ol_buf_truncate(&ex->link, 0);
        if (ol_buf_reserve(&ex->link, room) < 0)
            return -ENOMEM;
        n = readlinkat(e->dir_fd, e->name, ex->link.data, room);
        if (n < 0)
            return errno == EINVAL ? -ENOENT : -errno;
        if ((size_t)n < room) {
            ex->link.data[n] = '\0';
            ex->link.len = (size_t)n;
            e->header.link = ex->link.data;
            return 0;
        }
        room *= 2; /* longer than st_size said */
    }
}

/*
 * security.capability, the only attribute that is exported; failures count as none. Namespaced
 * values (revision 3) become revision 2: the root id in them means nothing outside.
 * @param fd  the opened object, which spares the look-up of its name; -1: by name
 */
static void set_capability(struct entry *e, int fd)
{
    ssize_t n = ol_xattr_get(fd < 0 ? e->dir_fd : fd, fd < 0 ? e->name : "", "security.capability",
                             e->capability, sizeof e->capability);

    if (n <= 0)
        return;
    if (n > CAPABILITY_V2_BYTES && e->capability[CAPABILITY_VERSION] == 3) {
        e->capability[CAPABILITY_VERSION] = 2;
        n = CAPABILITY_V2_BYTES;
    }
    e->xattr = (struct ol_tar_xattr){"security.capability", e->capability, (size_t)n};
    e->header.xattrs = &e->xattr;
    e->header.n_xattrs = 1;
}

/* The second and later names of an inode within this tar are links to the first. */
static bool set_hard_link(struct ol_exporter *ex, struct entry *e)
{
    uint32_t first;

    if (S_ISDIR(e->st.st_mode) || e->st.st_nlink < 2 ||
        !ol_inode_map_find(&ex->links, &e->st, &first))
        return false;
    e->header.type = '1';
    e->header.link = ex->paths.data + first;
    e->header.size = 0;
    return true;
}

static int remember_link(struct ol_exporter *ex, const struct entry *e)
{
    int r;

    if (S_ISDIR(e->st.st_mode) || e->st.st_nlink < 2)
        return 0;
    r = ol_inode_map_set(&ex->links, &e->st, ex->paths.len);
    return r < 0 ? r : ol_buf_append(&ex->paths, e->path, strlen(e->path) + 1);
}

/* Everything a stat says. */
static void set_fields(struct entry *e)
{
    struct ol_tar_header *h = &e->header;

    h->mode = ol_tar_mode(e->st.st_mode);
    h->uid = e->st.st_uid;
    h->gid = e->st.st_gid;
    h->mtime.tv_sec = e->st.st_mtim.tv_sec; /* whole seconds, rounded down */
    if (S_ISREG(e->st.st_mode))
        h->size = (uint64_t)e->st.st_size;
    if (S_ISCHR(e->st.st_mode) || S_ISBLK(e->st.st_mode)) {
        h->dev_major = major(e->st.st_rdev);
        h->dev_minor = minor(e->st.st_rdev);
    }
}

/* Names of the owners, where they are wanted. */
static int set_names(struct ol_exporter *ex, struct entry *e, struct ol_error *err)
{
    int r;

    if (ex->names == NULL)
        return 0;
    r = ol_owner_names_user(ex->names, e->st.st_uid, &e->header.uname, err);
    return r < 0 ? r : ol_owner_names_group(ex->names, e->st.st_gid, &e->header.gname, err);
}

/*
 * An upper's whiteout: an empty file named ".wh.NAME". The kernel makes whiteouts as hard links of
 * each other; moby leaves the second and later ones the first one's name as link name (its own
 * name, not ".wh."), which means nothing on a regular file but is part of the digest.
 */
static int put_whiteout(struct ol_exporter *ex, struct entry *e, struct ol_error *err)
{
    int r = set_hard_link(ex, e) ? 0 : remember_link(ex, e);

    if (r >= 0)
        r = set_name(ex, e, OL_WH_PREFIX, "");
    if (r < 0)
        return ol_error_sys(err, -r, "cannot remember the links of '%s'", e->path);
    e->header.type = '0';
    e->header.mode = 0600;
    return ol_tar_put_header(ex->tar, &e->header, err);
}

/* After the entry of an opaque directory: its marker, with the directory's permissions and owner,
 * and no time. */
static int put_opaque(struct ol_exporter *ex, const struct entry *dir, struct ol_error *err)
{
    struct ol_tar_header header = {.type = '0',
                                   .mode = dir->st.st_mode & 0777,
                                   .uid = dir->st.st_uid,
                                   .gid = dir->st.st_gid,
                                   .uname = dir->header.uname,
                                   .gname = dir->header.gname};

    if (ol_buf_puts(&ex->name, OL_WH_OPAQUE) < 0) /* after "dir/" */
        return ol_error_nomem(err);
    header.name = ex->name.data;
    return ol_tar_put_header(ex->tar, &header, err);
}

static int put_directory(struct ol_exporter *ex, struct entry *e, struct ol_error *err)
{
    int r = ol_tar_put_header(ex->tar, &e->header, err);

    if (r == 0 && ex->upper && ol_whiteout_is_opaque(e->dir_fd, e->name, ex->ns))
        r = put_opaque(ex, e, err);
    return r;
}

/*
 * Open the content. @return a descriptor; -ENOENT it vanished; -EAGAIN the name is another object
 * by now; or negative errno. O_NONBLOCK: nothing that took its place may keep us waiting.
 */
static int open_content(const struct entry *e)
{
    ol_auto_fd int fd = ol_fs_open_read(e->dir_fd, e->name, 0);
    struct stat st;

    if (fd < 0)
        return fd == -ELOOP || fd == -ENXIO ? -EAGAIN : fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_ino != e->st.st_ino || st.st_dev != e->st.st_dev)
        return -EAGAIN;
    return ol_fd_steal(&fd);
}

/*
 * Everything but directories and whiteouts: the header and the content.
 * @return 1 when the object changed under us
 */
static int put_object(struct ol_exporter *ex, struct entry *e, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    int r;

    if (e->header.size > 0) {
        fd = open_content(e);
        if (fd == -ENOENT || fd == -EAGAIN)
            return 1;
        if (fd < 0)
            return ol_error_sys(err, -fd, "cannot open '%s'", e->path);
    }
    set_capability(e, fd);
    r = remember_link(ex, e);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot remember the links of '%s'", e->path);
    r = ol_tar_put_header(ex->tar, &e->header, err);
    return r == 0 && e->header.size > 0 ? ol_tar_put_file(ex->tar, fd, err) : r;
}

/* @return 1 when the object changed under us and has to be looked at again */
static int put_entry(struct ol_exporter *ex, struct entry *e, struct ol_error *err)
{
    bool directory = S_ISDIR(e->st.st_mode);
    bool whiteout = ex->upper && ol_whiteout_is(&e->st);
    int r = 0;

    e->header = (struct ol_tar_header){.type = type_of(e->st.st_mode)};
    if (e->header.type == '\0')
        return 0;
    if (S_ISLNK(e->st.st_mode))
        r = set_symlink(ex, e);
    if (r == 0)
        r = set_name(ex, e, "", directory ? "/" : "");
    if (r < 0)
        return r == -ENOENT ? 1 : ol_error_sys(err, -r, "cannot read '%s'", e->path);
    set_fields(e);
    r = set_names(ex, e, err);
    if (r < 0)
        return r;
    if (!whiteout && !directory && !set_hard_link(ex, e))
        return put_object(ex, e, err);
    set_capability(e, -1);
    if (whiteout)
        return put_whiteout(ex, e, err);
    return directory ? put_directory(ex, e, err) : ol_tar_put_header(ex->tar, &e->header, err);
}

int ol_exporter_add(struct ol_exporter *ex, int dir_fd, const char *name, const char *path,
                    const struct stat *st, struct ol_error *err)
{
    struct entry e = {.dir_fd = dir_fd, .name = name, .path = path, .st = *st};

    for (int i = 0; i < SAME_FILE_TRIES; i++) {
        int r = put_entry(ex, &e, err);
        if (r <= 0)
            return r;
        if (fstatat(dir_fd, name, &e.st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno == ENOENT ? 0 : ol_error_sys(err, errno, "cannot look at '%s'", path);
    }
    return ol_error_set(err, -EBUSY, "'%s' is replaced again and again while it is read", path);
}
