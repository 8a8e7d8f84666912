/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making what entries stand for. Create first, exclusively and without following; only when
 * something is there, look at it and remove it. Nothing existing is ever opened or written.
 */
#include "common/layer/apply.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/tree.h"
#include "common/layer/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

enum {
    OWNER_RWX = 0700, /* what we ourselves need on a directory until everything is in it */
};

int ol_apply_make_room(struct ol_apply *a, const struct ol_place *place, const char *path,
                       struct ol_error *err)
{
    struct stat st;
    int r;

    if (fstatat(place->dir->fd, place->base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : ol_apply_failed(-errno, "look at", path, err);
    if (!S_ISDIR(st.st_mode)) {
        if (place->again)
            ol_tarsplit_doubt(a->record);
        r = ol_sys_unlink(place->dir->fd, place->base);
        if (S_ISLNK(st.st_mode))
            ol_apply_after_removal(a);
        return r < 0 && r != -ENOENT ? ol_apply_failed(r, "replace", path, err) : 0;
    }
    r = ol_apply_before_removal(a, err);
    if (r == 0)
        r = ol_tree_remove(place->dir->fd, place->base, err);
    ol_apply_after_removal(a);
    return r < 0 ? ol_error_wrap(err, r, "replacing '%s'", path) : 0;
}

static struct ol_meta meta_of(const struct ol_apply *a, const struct ol_reader_entry *e)
{
    struct ol_meta meta = ol_meta_of(&e->header, a->options.keep_owner);

    meta.xattrs = e->xattrs;
    meta.n_xattrs = e->n_xattrs;
    return meta;
}

/*
 * Metadata of a directory but for its times. Without the owner's own rights we could not make
 * entries in it (root can): such a mode comes last, too.
 */
static int directory_meta(struct ol_apply *a, int fd, const char *name, const struct stat *st,
                          const struct ol_reader_entry *e, struct ol_dir *parent,
                          struct ol_error *err)
{
    struct ol_meta meta = meta_of(a, e);
    struct ol_late_record late = {.flags = OL_LATE_TIMES,
                                  .mtime = meta.mtime,
                                  .mode = meta.mode,
                                  .dev = st->st_dev,
                                  .ino = st->st_ino,
                                  .path = e->header.path,
                                  .at = parent};
    int r;

    meta.set_times = false;
    if ((meta.mode & OWNER_RWX) != OWNER_RWX ||
        ol_seen_has(&a->seen,
                    ol_seen_key(&a->seen, OL_SEEN_MODE_LATE, st->st_dev, st->st_ino, ""))) {
        late.flags |= OL_LATE_MODE;
        meta.mode |= OWNER_RWX;
    }
    r = ol_meta_apply(fd, name, st, &meta, &a->counts);
    if (r == 0)
        r = ol_apply_late(a, &late);
    return r < 0 ? ol_apply_failed(r, "set the metadata of directory", e->header.path, err) : 0;
}

/* An existing directory keeps its content and gets the entry's metadata. */
static int update_directory(struct ol_apply *a, const struct ol_reader_entry *e,
                            const struct ol_place *place, bool *ret_done, struct ol_error *err)
{
    struct stat st;

    *ret_done = false;
    if (fstatat(place->dir->fd, place->base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : ol_apply_failed(-errno, "look at", e->header.path, err);
    if (!S_ISDIR(st.st_mode))
        return 0;
    *ret_done = true;
    return directory_meta(a, place->dir->fd, place->base, &st, e, place->dir, err);
}

int ol_apply_directory(struct ol_apply *a, const struct ol_reader_entry *e,
                       const struct ol_place *place, struct ol_error *err)
{
    const char *path = e->header.path;
    ol_auto_dirref struct ol_dir *dir = NULL;
    struct stat st;
    int r = ol_sys_mkdir(place->dir->fd, place->base, (e->header.mode & 0777) | OWNER_RWX);

    if (r == -EEXIST) {
        bool done;
        r = update_directory(a, e, place, &done, err);
        if (r < 0 || done)
            return r;
        r = ol_apply_make_room(a, place, path, err);
        if (r < 0)
            return r;
        r = ol_sys_mkdir(place->dir->fd, place->base, (e->header.mode & 0777) | OWNER_RWX);
    }
    if (r == 0)
        r = ol_dirs_adopt(&a->dirs, place->dir, place->base, path, strlen(path), &dir);
    if (r == 0 && fstat(dir->fd, &st) < 0)
        r = -errno;
    if (r < 0)
        return ol_apply_failed(r, "make directory", path, err);
    return directory_meta(a, dir->fd, "", &st, e, place->dir, err);
}

/* moby's UnpackLayer gives the layer's root the metadata of "./"; its Unpack ignores them, and so
 * does containerd. */
int ol_apply_root(struct ol_apply *a, const struct ol_reader_entry *e, struct ol_error *err)
{
    struct stat st;

    if (a->options.target == OL_LAYER_UPPER || a->options.ignore_root)
        return 0;
    if (fstat(a->root_fd, &st) < 0)
        return ol_apply_failed(-errno, "look at", ".", err);
    return directory_meta(a, a->root_fd, ".", &st, e, NULL, err);
}

/* The finishing touches of anything but directories. */
static int named_meta(struct ol_apply *a, const struct ol_reader_entry *e,
                      const struct ol_place *place, struct ol_error *err)
{
    const struct ol_meta meta = meta_of(a, e);
    struct stat st;
    int r = 0;

    if (fstatat(place->dir->fd, place->base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    if (r == 0)
        r = ol_meta_apply(place->dir->fd, place->base, &st, &meta, &a->counts);
    return r < 0 ? ol_apply_failed(r, "set the metadata of", e->header.path, err) : 0;
}

int ol_apply_symlink(struct ol_apply *a, const struct ol_reader_entry *e,
                     const struct ol_place *place, struct ol_error *err)
{
    int r = ol_sys_symlink(e->header.link, place->dir->fd, place->base);

    if (r == -EEXIST) {
        r = ol_apply_make_room(a, place, e->header.path, err);
        if (r < 0)
            return r;
        r = ol_sys_symlink(e->header.link, place->dir->fd, place->base);
    }
    if (r < 0)
        return ol_apply_failed(r, "make symlink", e->header.path, err);
    return named_meta(a, e, place, err);
}

static mode_t special_type(enum ol_entry_type type)
{
    return type == OL_ENTRY_CHAR ? S_IFCHR : type == OL_ENTRY_BLOCK ? S_IFBLK : S_IFIFO;
}

int ol_apply_special(struct ol_apply *a, const struct ol_reader_entry *e,
                     const struct ol_place *place, struct ol_error *err)
{
    mode_t mode = special_type(e->header.type) | (e->header.mode & 0777);
    dev_t dev = makedev(e->header.dev_major, e->header.dev_minor);
    int r = ol_sys_mknod(place->dir->fd, place->base, mode, dev);

    if (r == -EEXIST) {
        r = ol_apply_make_room(a, place, e->header.path, err);
        if (r < 0)
            return r;
        r = ol_sys_mknod(place->dir->fd, place->base, mode, dev);
    }
    if (r == -EPERM && e->header.type != OL_ENTRY_FIFO) {
        a->res.skipped_devices++;
        return 0;
    }
    if (r < 0)
        return ol_apply_failed(r, "make device", e->header.path, err);
    return named_meta(a, e, place, err);
}

/* True when the crew can make it: new, small, without anything special. */
static bool is_simple(const struct ol_reader_entry *e, const struct ol_place *place)
{
    struct stat st;

    if (e->sparse || e->n_xattrs > 0 || e->header.size > OL_CREW_FILE_BYTES || place->again)
        return false;
    /* in a directory of this archive the names we have not seen are free */
    return place->dir->fresh ||
           (fstatat(place->dir->fd, place->base, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT);
}

static int file_by_crew(struct ol_apply *a, const struct ol_reader_entry *e,
                        const struct ol_place *place, struct ol_error *err)
{
    struct ol_reader_piece piece;
    uint64_t got = 0;
    int r = ol_crew_file_begin(a->crew, place->dir, place->base, place->key, &e->header, err);

    while (r == 0 && (r = ol_reader_data(a->reader, &piece, err)) == 1) {
        r = ol_crew_file_piece(a->crew, &piece, err);
        got += piece.len;
    }
    if (r == 0 && got != e->header.size)
        return ol_error_set(err, -EBADMSG, "'%s' has less content than its size says", e->name);
    return r < 0 ? r : ol_crew_file_end(a->crew, err);
}

static int create_file(struct ol_apply *a, const struct ol_reader_entry *e,
                       const struct ol_place *place, int *ret_fd, struct ol_error *err)
{
    int fd = ol_sys_create(place->dir->fd, place->base, e->header.mode & 0777);

    if (fd == -EEXIST) {
        int r = ol_apply_make_room(a, place, e->header.path, err);
        if (r < 0)
            return r;
        fd = ol_sys_create(place->dir->fd, place->base, e->header.mode & 0777);
    }
    *ret_fd = fd;
    return fd < 0 ? ol_apply_failed(fd, "create", e->header.path, err) : 0;
}

/* Pieces go where they belong, holes stay holes; what is missing at the end is one, too. */
static int write_content(struct ol_apply *a, int fd, const struct ol_reader_entry *e,
                         struct ol_error *err)
{
    struct ol_reader_piece piece;
    uint64_t end = 0;
    int r;

    while ((r = ol_reader_data(a->reader, &piece, err)) == 1) {
        r = ol_sys_pwrite(fd, piece.data, piece.len, piece.offset);
        if (r < 0)
            return ol_apply_failed(r, "write", e->header.path, err);
        if (piece.offset + piece.len > end)
            end = piece.offset + piece.len;
    }
    if (r == 0 && end != e->header.size) {
        r = ol_sys_truncate(fd, e->header.size);
        if (r < 0)
            return ol_apply_failed(r, "write", e->header.path, err);
    }
    return r;
}

int ol_apply_file(struct ol_apply *a, const struct ol_reader_entry *e, const struct ol_place *place,
                  struct ol_error *err)
{
    const struct ol_meta meta = meta_of(a, e);
    ol_auto_fd int fd = -1;
    struct stat st;
    int r;

    if (is_simple(e, place))
        return file_by_crew(a, e, place, err);
    r = create_file(a, e, place, &fd, err);
    if (r == 0)
        r = write_content(a, fd, e, err);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0)
        r = ol_meta_apply(fd, "", &st, &meta, &a->counts);
    return r < 0 ? ol_apply_failed(r, "set the metadata of", e->header.path, err) : 0;
}
