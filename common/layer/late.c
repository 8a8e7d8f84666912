/* SPDX-License-Identifier: Apache-2.0 */
/* Deferred directory metadata; see late.h. */
#include "common/layer/late.h"

#include "common/fs/path.h"
#include "common/layer/sys.h"

#include <errno.h>
#include <fcntl.h>

/* A record as it is packed; path and NUL follow. */
struct packed {
    int64_t sec;
    uint64_t dev, ino;
    uint32_t nsec;
    uint16_t mode;
    uint8_t flags;
    uint8_t held; /* 0, or 1 + the index of what it is found in, whatever its name leads to */
};
_Static_assert(OL_LATE_HELD_MAX < UINT8_MAX, "held has 8 bits");

enum { LATE_UNHELD = 1 << 7 }; /* it should be held, but too many are */

/* 1 + its index; 0 when there is no room. */
static uint8_t hold(struct ol_late *late, struct ol_dir *dir)
{
    for (size_t i = late->n_held; i-- > 0;)
        if (late->held[i]->dev == dir->dev && late->held[i]->ino == dir->ino)
            return (uint8_t)(i + 1);
    if (late->n_held == OL_LATE_HELD_MAX)
        return 0;
    ol_dir_ref(dir);
    late->held[late->n_held++] = dir;
    return (uint8_t)late->n_held;
}

int ol_late_add(struct ol_late *late, const struct ol_late_record *record)
{
    struct packed p = {.sec = record->mtime.tv_sec,
                       .dev = record->dev,
                       .ino = record->ino,
                       .nsec = (uint32_t)record->mtime.tv_nsec,
                       .mode = (uint16_t)record->mode,
                       .flags = (uint8_t)record->flags};
    const size_t at = late->records.len;
    int r;

    if (record->at != NULL && record->at->linked) {
        p.held = hold(late, record->at);
        p.flags |= p.held == 0 ? LATE_UNHELD : 0;
    }
    r = ol_buf_append(&late->records, &p, sizeof p);
    if (r == 0 && (record->flags & OL_LATE_MODE) != 0)
        r = ol_buf_append(&late->modes, &at, sizeof at);
    return r < 0 ? r : ol_buf_append(&late->records, record->path, strlen(record->path) + 1);
}

/* 1 the directory is still the one the record is about, 0 it is not. */
static int still_there(const struct packed *p, const struct ol_dir *parent, const char *base)
{
    struct stat st;

    if (fstatat(parent->fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    return S_ISDIR(st.st_mode) && st.st_dev == p->dev && st.st_ino == p->ino;
}

/* The directory it is in, or itself with OL_LATE_SELF when it is held. */
static int find_parent(const struct ol_late *late, const struct packed *p, const char *path,
                       struct ol_dirs *dirs, struct ol_dir **ret)
{
    if (p->held == 0)
        return ol_dirs_get(dirs, path, ol_path_dir_len(path), ret);
    *ret = late->held[p->held - 1];
    ol_dir_ref(*ret);
    return 0;
}

static int finish_one(const struct ol_late *late, const struct packed *p, const char *path,
                      struct ol_dirs *dirs, bool check, unsigned what)
{
    bool self = *path == '\0' || (p->held != 0 && (p->flags & OL_LATE_SELF) != 0);
    const int gone = (p->flags & LATE_UNHELD) != 0 ? -E2BIG : 0;
    const char *base = self ? "." : ol_path_base(path);
    ol_auto_dirref struct ol_dir *parent = NULL;
    int r = find_parent(late, p, path, dirs, &parent);

    if (r < 0) /* gone, or no longer below a directory: a later entry removed it */
        return check && (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) ? gone : r;
    if (check) {
        r = still_there(p, parent, base);
        if (r <= 0)
            return r < 0 ? r : gone;
    }
    if (what == OL_LATE_MODE)
        return ol_sys_chmod(parent->fd, base, p->mode);
    return ol_sys_set_times(parent->fd, base,
                            (struct timespec){.tv_sec = p->sec, .tv_nsec = (long)p->nsec});
}

static int finish_at(const struct ol_late *late, size_t at, struct ol_dirs *dirs, bool check,
                     unsigned what, struct ol_error *err)
{
    const char *path = late->records.data + at + sizeof(struct packed);
    struct packed p;
    int r;

    memcpy(&p, late->records.data + at, sizeof p); /* records are not aligned */
    if ((p.flags & what) == 0)
        return 0;
    r = finish_one(late, &p, path, dirs, check, what);
    if (r == -E2BIG)
        return ol_error_set(err, r,
                            "'%s' was reached through a symlink that is gone, and there are more "
                            "than %d directories of such (held)",
                            path, OL_LATE_HELD_MAX);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot set the %s of directory '%s'",
                            what == OL_LATE_MODE ? "mode" : "times", path);
    return 0;
}

/* Deepest first: a directory we may no longer enter comes after what is below it. */
static int finish_modes(const struct ol_late *late, struct ol_dirs *dirs, bool check,
                        struct ol_error *err)
{
    int r = 0;

    for (size_t i = late->modes.len / sizeof(size_t); i-- > 0 && r == 0;) {
        struct packed p;
        size_t at;
        memcpy(&at, late->modes.data + i * sizeof at, sizeof at);
        memcpy(&p, late->records.data + at, sizeof p);
        r = ol_seen_insert(dirs->seen, ol_seen_key(dirs->seen, OL_SEEN_MODE_SET, p.dev, p.ino, ""));
        if (r == -ENOMEM)
            return ol_error_nomem(err);
        r = r == 1 ? 0 : finish_at(late, at, dirs, check, OL_LATE_MODE, err);
    }
    return r;
}

int ol_late_finish(struct ol_late *late, struct ol_dirs *dirs, bool check, struct ol_error *err)
{
    size_t at = 0;

    while (at < late->records.len) {
        int r = finish_at(late, at, dirs, check, OL_LATE_TIMES, err);
        if (r < 0)
            return r;
        at += sizeof(struct packed);
        at += strlen(late->records.data + at) + 1;
    }
    return finish_modes(late, dirs, check, err);
}

void ol_late_fini(struct ol_late *late)
{
    ol_buf_fini(&late->records);
    ol_buf_fini(&late->modes);
    while (late->n_held > 0)
        ol_dir_unref(late->held[--late->n_held]);
}
