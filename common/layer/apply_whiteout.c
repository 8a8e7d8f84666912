/* SPDX-License-Identifier: Apache-2.0 */
/* Whiteouts: deletions in a tree, character devices 0/0 and opaque attributes in an upper. */
#include "common/layer/apply.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/tree.h"
#include "common/layer/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

/* A missing name is fine, as in moby. */
static int delete_name(struct ol_apply *a, const struct ol_reader_entry *e,
                       const struct ol_dir *dir, const char *name, struct ol_error *err)
{
    int r = ol_apply_before_removal(a, err);

    if (r < 0)
        return r;
    r = ol_sys_unlink(dir->fd, name);
    if (r == -ENOENT)
        return 0;
    ol_apply_after_removal(a);
    if (r == 0)
        return 0;
    if (r != -EISDIR && r != -EPERM) /* EPERM: what POSIX says about directories */
        return ol_apply_failed(r, "delete what is named by", e->header.path, err);
    r = ol_tree_remove(dir->fd, name, err);
    return r < 0 ? ol_error_wrap(err, r, "applying '%s'", e->header.path) : 0;
}

/* Where there is a name already, by this archive or before, moby fails, too (EEXIST). */
static int make_whiteout(struct ol_apply *a, const struct ol_reader_entry *e,
                         const struct ol_dir *dir, const char *name, struct ol_error *err)
{
    uint64_t key = ol_seen_key(&a->seen, OL_SEEN_WRITTEN, dir->dev, dir->ino, name);
    struct ol_meta_counts ignored = {0, 0};
    struct ol_meta meta = ol_meta_of(&e->header, a->options.keep_owner);
    struct stat st;
    int r = ol_seen_insert(&a->seen, key);

    if (r < 0)
        return ol_error_nomem(err);
    if (r == 1) {
        r = ol_crew_wait_for(a->crew, key, err);
        if (r < 0)
            return r;
    }
    r = ol_whiteout_make(dir->fd, name);
    if (r == -EEXIST)
        return ol_error_set(err, r, "whiteout '%s' deletes what is in its own layer", e->name);
    if (r == 0 && fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    if (r < 0)
        return ol_apply_failed(r, "make whiteout", e->header.path, err);
    meta.mode = st.st_mode & 07777; /* only the owner counts, and only where it can be given */
    meta.set_times = false;
    r = ol_meta_apply(dir->fd, name, &st, &meta, &ignored);
    return r < 0 ? ol_apply_failed(r, "set the owner of whiteout", e->header.path, err) : 0;
}

int ol_apply_whiteout(struct ol_apply *a, const struct ol_reader_entry *e, struct ol_dir *dir,
                      const char *name, struct ol_error *err)
{
    a->res.whiteouts++;
    if (a->options.target == OL_LAYER_UPPER)
        return make_whiteout(a, e, dir, name, err);
    return delete_name(a, e, dir, name, err);
}

static int delete_older(struct ol_apply *a, int dir_fd, dev_t dev, ino_t ino);

/* A directory keeps what this archive put below it, and itself when anything was. */
static int delete_older_dir(struct ol_apply *a, int dir_fd, const char *name, bool written)
{
    ol_auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (ol_seen_has(&a->seen, ol_seen_key(&a->seen, OL_SEEN_NEW_DIR, st.st_dev, st.st_ino, "")))
        return 0; /* made by this archive: nothing older in it */
    r = delete_older(a, fd, st.st_dev, st.st_ino);
    if (r < 0 || written)
        return r;
    r = ol_sys_rmdir(dir_fd, name);
    return r == -ENOTEMPTY ? 0 : r;
}

/* Delete in this directory and below what this archive has not written. */
static int delete_older(struct ol_apply *a, int dir_fd, dev_t dev, ino_t ino)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&list, dir_fd, false);

    for (size_t i = 0; r == 0 && i < list.count; i++) {
        const char *name = list.items[i].name;
        bool written = ol_seen_has(&a->seen,
                                   ol_seen_key(&a->seen, OL_SEEN_WRITTEN, dev, ino, name));
        r = written && list.items[i].type != DT_DIR && list.items[i].type != DT_UNKNOWN
                ? 0
                : delete_older_dir(a, dir_fd, name, written);
        if (r == -ENOTDIR || r == -ELOOP) /* no directory after all */
            r = written ? 0 : ol_sys_unlink(dir_fd, name);
    }
    return r;
}

int ol_apply_opaque(struct ol_apply *a, const struct ol_reader_entry *e, struct ol_dir *dir,
                    struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    int r;

    a->res.opaques++;
    if (a->options.target == OL_LAYER_UPPER) {
        r = ol_whiteout_set_opaque(dir->fd, a->options.ns);
        return r < 0 ? ol_apply_failed(r, "mark as opaque for", e->header.path, err) : 0;
    }
    if (dir->fresh)
        return 0;
    r = ol_apply_before_removal(a, err);
    if (r < 0)
        return r;
    fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = fd < 0 ? -errno : delete_older(a, fd, dir->dev, dir->ino);
    ol_apply_after_removal(a);
    return r < 0 ? ol_apply_failed(r, "delete what is hidden by", e->header.path, err) : 0;
}
