/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at one object. The tree may change meanwhile: content is read through a descriptor that
 * was checked to be the regular file that was meant.
 */
#include "common/layer/export_item.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/xattr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    SAME_FILE_TRIES = 8,      /* a file that is replaced more often while we look is an error */
    CAPABILITY_V2_BYTES = 20, /* linux/capability.h: XATTR_CAPS_SZ_2 */
    CAPABILITY_VERSION = 3,   /* offset of the revision byte (little endian, the high one) */
};

/* The text of a symlink. @return 0; -EAGAIN when it is no longer one */
static int read_target(const struct ol_export_place *place, const struct stat *st,
                       struct ol_buf *text)
{
    for (size_t room = (size_t)st->st_size + 1;; room *= 2) { /* longer than st_size said */
        ssize_t n;
        if (ol_buf_reserve(text, room) < 0)
            return -ENOMEM;
        n = readlinkat(place->dir_fd, place->name, text->data + text->len, room);
        if (n < 0)
            return errno == EINVAL || errno == ENOENT ? -EAGAIN : -errno;
        if ((size_t)n < room) {
            text->len += (size_t)n;
            return ol_buf_append(text, "", 1);
        }
    }
}

/*
 * Open the content. @return a descriptor; -EAGAIN the name is another object, or none, by now; or
 * negative errno. O_NONBLOCK: nothing that took its place may keep us waiting.
 */
static int open_content(const struct ol_export_place *place, const struct stat *st)
{
    ol_auto_fd int fd = ol_fs_open_read(place->dir_fd, place->name, 0);
    struct stat now;

    if (fd < 0)
        return fd == -ELOOP || fd == -ENXIO || fd == -ENOENT ? -EAGAIN : fd;
    if (fstat(fd, &now) < 0)
        return -errno;
    if (!S_ISREG(now.st_mode) || now.st_ino != st->st_ino || now.st_dev != st->st_dev)
        return -EAGAIN;
    return ol_fd_steal(&fd);
}

/*
 * security.capability, the only attribute that is exported; failures count as none. Namespaced
 * values (revision 3) become revision 2: the root id in them means nothing outside. An open object
 * spares the look-up of its name.
 */
static void read_capability(const struct ol_export_place *place, struct ol_export_item *item)
{
    bool open = item->fd >= 0;
    ssize_t n = ol_xattr_get(open ? item->fd : place->dir_fd, open ? "" : place->name,
                             "security.capability", item->capability, sizeof item->capability);

    if (n <= 0)
        return;
    if (n > CAPABILITY_V2_BYTES && item->capability[CAPABILITY_VERSION] == 3) {
        item->capability[CAPABILITY_VERSION] = 2;
        n = CAPABILITY_V2_BYTES;
    }
    item->capability_len = (size_t)n;
}

/* @return 1; -EAGAIN when the object changed under us and has to be looked at again */
static int look(const struct ol_export_place *place, struct ol_buf *text,
                struct ol_export_item *item, struct ol_error *err)
{
    int r = ol_buf_append(text, place->path, strlen(place->path) + 1);

    if (r < 0)
        return ol_error_nomem(err);
    item->target = text->len;
    if (S_ISLNK(item->st.st_mode))
        r = read_target(place, &item->st, text);
    if (r < 0)
        return r == -EAGAIN ? r : ol_error_sys(err, -r, "cannot read '%s'", place->path);
    if (S_ISREG(item->st.st_mode) && item->st.st_size > 0) {
        item->fd = r = open_content(place, &item->st);
        if (r < 0)
            return r == -EAGAIN ? r : ol_error_sys(err, -r, "cannot open '%s'", place->path);
    }
    read_capability(place, item);
    item->whiteout = place->upper && ol_whiteout_is(&item->st);
    item->opaque = place->upper && S_ISDIR(item->st.st_mode) &&
                   ol_whiteout_is_opaque(place->dir_fd, place->name, place->ns);
    return 1;
}

int ol_export_look(const struct ol_export_place *place, const struct stat *st, struct ol_buf *text,
                   struct ol_export_item *ret, struct ol_error *err)
{
    struct ol_export_item item = {.st = *st};
    size_t start = text->len;

    for (int i = 0; i < SAME_FILE_TRIES; i++) {
        int r;
        if (S_ISSOCK(item.st.st_mode))
            return 0;
        item = (struct ol_export_item){.st = item.st, .fd = -1, .path = start};
        r = look(place, text, &item, err);
        if (r == 1)
            *ret = item;
        if (r != -EAGAIN)
            return r;
        ol_buf_truncate(text, start);
        if (fstatat(place->dir_fd, place->name, &item.st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno == ENOENT ? 0
                                   : ol_error_sys(err, errno, "cannot look at '%s'", place->path);
    }
    return ol_error_set(err, -EBUSY, "'%s' is replaced again and again while it is read",
                        place->path);
}
