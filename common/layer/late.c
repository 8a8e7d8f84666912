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
    uint16_t flags;
};

int ol_late_add(struct ol_late *late, const struct ol_late_record *record)
{
    const struct packed p = {.sec = record->mtime.tv_sec,
                             .dev = record->dev,
                             .ino = record->ino,
                             .nsec = (uint32_t)record->mtime.tv_nsec,
                             .mode = (uint16_t)record->mode,
                             .flags = (uint16_t)record->flags};
    const size_t at = late->records.len;
    int r = ol_buf_append(&late->records, &p, sizeof p);

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

static int finish_one(const struct packed *p, const char *path, struct ol_dirs *dirs, bool check,
                      unsigned what)
{
    const char *base = *path == '\0' ? "." : ol_path_base(path);
    ol_auto_dirref struct ol_dir *parent = NULL;
    int r = ol_dirs_get(dirs, path, ol_path_dir_len(path), &parent);

    if (r < 0) /* gone, or no longer below a directory: a later entry removed it */
        return check && (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) ? 0 : r;
    if (check) {
        r = still_there(p, parent, base);
        if (r <= 0)
            return r;
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
    r = finish_one(&p, path, dirs, check, what);
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
}
