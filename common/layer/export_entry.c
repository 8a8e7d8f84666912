/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar entry from what is known of a file: the rules of moby's addTarFile and FileInfoHeader
 * (pkg/archive/archive.go) and, for overlay uppers, of ConvertWrite (archive_linux.go).
 */
#include "common/layer/export_entry.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

/* One item, and its header as it takes shape. */
struct entry {
    const struct ol_export_item *item;
    const char *path;
    const char *target;
    struct ol_tar_header header;
    struct ol_tar_xattr xattr;
};

void ol_export_entries_fini(struct ol_export_entries *entries)
{
    ol_owner_names_free(entries->names);
    ol_inode_map_fini(&entries->links);
    ol_buf_fini(&entries->paths);
    ol_buf_fini(&entries->name);
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
    default:
        return '6'; /* a fifo: sockets, for which tar has no type, were left out */
    }
}

/* "dir/" "prefix" "base" "suffix" as the entry's name. */
static int set_name(struct ol_export_entries *entries, struct entry *e, const char *prefix,
                    const char *suffix)
{
    struct ol_buf *name = &entries->name;
    const char *slash = strrchr(e->path, '/');
    size_t dir = slash == NULL ? 0 : (size_t)(slash - e->path) + 1;

    ol_buf_truncate(name, 0);
    if (ol_buf_append(name, e->path, dir) < 0 || ol_buf_puts(name, prefix) < 0 ||
        ol_buf_puts(name, e->path + dir) < 0 || ol_buf_puts(name, suffix) < 0)
        return -ENOMEM;
    e->header.name = name->data;
    return 0;
}

/*
 * Inodes with several names within this tar: the first is remembered, later ones get its name as
 * their link name.
 * @return 1 a later one, 0, or negative errno
 */
static int set_link(struct ol_export_entries *entries, struct entry *e)
{
    const struct stat *st = &e->item->st;
    uint32_t first;
    int r;

    if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
        return 0;
    if (ol_inode_map_find(&entries->links, st, &first)) {
        e->header.link = entries->paths.data + first;
        return 1;
    }
    r = ol_inode_map_set(&entries->links, st, entries->paths.len);
    return r < 0 ? r : ol_buf_append(&entries->paths, e->path, strlen(e->path) + 1);
}

static void set_fields(struct entry *e)
{
    const struct ol_export_item *item = e->item;
    const struct stat *st = &item->st;
    struct ol_tar_header *h = &e->header;

    h->type = type_of(st->st_mode);
    h->mode = ol_tar_mode(st->st_mode);
    h->uid = st->st_uid;
    h->gid = st->st_gid;
    h->mtime.tv_sec = st->st_mtim.tv_sec; /* whole seconds, rounded down */
    if (S_ISREG(st->st_mode))
        h->size = (uint64_t)st->st_size;
    if (S_ISLNK(st->st_mode))
        h->link = e->target;
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
        h->dev_major = major(st->st_rdev);
        h->dev_minor = minor(st->st_rdev);
    }
    if (item->capability_len > 0) {
        e->xattr = (struct ol_tar_xattr){"security.capability", item->capability,
                                         item->capability_len};
        h->xattrs = &e->xattr;
        h->n_xattrs = 1;
    }
}

/* Names of the owners, where they are wanted. */
static int set_names(struct ol_export_entries *entries, struct entry *e, struct ol_error *err)
{
    const struct stat *st = &e->item->st;
    int r;

    if (entries->names == NULL)
        return 0;
    r = ol_owner_names_user(entries->names, st->st_uid, &e->header.uname, err);
    return r < 0 ? r : ol_owner_names_group(entries->names, st->st_gid, &e->header.gname, err);
}

/* A deletion: everything but the name and the time is zero (moby ExportChanges). */
static int put_deletion(struct ol_export_entries *entries, struct entry *e, struct ol_error *err)
{
    if (set_name(entries, e, OL_WH_PREFIX, "") < 0)
        return ol_error_nomem(err);
    e->header.type = '0';
    e->header.mtime.tv_sec = e->item->st.st_mtim.tv_sec;
    return ol_tar_put_header(entries->tar, &e->header, err);
}

/*
 * An upper's whiteout: an empty file named ".wh.NAME". The kernel makes whiteouts as hard links of
 * each other; moby leaves the second and later ones the first one's name as link name (its own
 * name, not ".wh."), which means nothing on a regular file but is part of the digest.
 */
static int put_whiteout(struct ol_export_entries *entries, struct entry *e, struct ol_error *err)
{
    int r = set_link(entries, e);

    if (r >= 0)
        r = set_name(entries, e, OL_WH_PREFIX, "");
    if (r < 0)
        return ol_error_sys(err, -r, "cannot remember the links of '%s'", e->path);
    e->header.type = '0';
    e->header.mode = 0600;
    return ol_tar_put_header(entries->tar, &e->header, err);
}

/* After the entry of an opaque directory: its marker, with the directory's permissions and owner,
 * and no time. */
static int put_opaque(struct ol_export_entries *entries, const struct entry *dir,
                      struct ol_error *err)
{
    struct ol_tar_header header = {.type = '0',
                                   .mode = dir->item->st.st_mode & 0777,
                                   .uid = dir->header.uid,
                                   .gid = dir->header.gid,
                                   .uname = dir->header.uname,
                                   .gname = dir->header.gname};

    if (ol_buf_puts(&entries->name, OL_WH_OPAQUE) < 0) /* after "dir/" */
        return ol_error_nomem(err);
    header.name = entries->name.data;
    return ol_tar_put_header(entries->tar, &header, err);
}

static int put_directory(struct ol_export_entries *entries, struct entry *e, struct ol_error *err)
{
    int r = set_name(entries, e, "", "/");

    if (r < 0)
        return ol_error_nomem(err);
    r = ol_tar_put_header(entries->tar, &e->header, err);
    return r == 0 && e->item->opaque ? put_opaque(entries, e, err) : r;
}

/* Everything but directories and whiteouts: a link to the earlier name, or header and content. */
static int put_object(struct ol_export_entries *entries, struct entry *e, struct ol_error *err)
{
    int r = set_link(entries, e);

    if (r == 1) {
        e->header.type = '1';
        e->header.size = 0;
    }
    if (r >= 0)
        r = set_name(entries, e, "", "");
    if (r < 0)
        return ol_error_sys(err, -r, "cannot remember the links of '%s'", e->path);
    r = ol_tar_put_header(entries->tar, &e->header, err);
    return r == 0 && e->header.size > 0 ? ol_tar_put_file(entries->tar, e->item->fd, err) : r;
}

int ol_export_put(struct ol_export_entries *entries, const struct ol_export_item *item,
                  const char *text, struct ol_error *err)
{
    struct entry e = {.item = item, .path = text + item->path, .target = text + item->target};
    int r;

    if (item->deletion)
        return put_deletion(entries, &e, err);
    set_fields(&e);
    r = set_names(entries, &e, err);
    if (r < 0)
        return r;
    if (item->whiteout)
        return put_whiteout(entries, &e, err);
    return S_ISDIR(item->st.st_mode) ? put_directory(entries, &e, err)
                                     : put_object(entries, &e, err);
}
