/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata; see meta.h. */
#include "common/layer/meta.h"

#include "common/fs/xattr.h"
#include "common/layer/sys.h"

#include <errno.h>
#include <sys/xattr.h>

struct ol_meta ol_meta_of(const struct ol_entry *entry, bool keep_owner)
{
    return (struct ol_meta){
        .mode = entry->mode,
        .uid = entry->uid,
        .gid = entry->gid,
        .mtime = entry->mtime,
        .keep_owner = keep_owner,
        .set_times = true,
    };
}

/* EINVAL is what a user namespace says about an id that it does not map. */
static int set_owner(int fd, const char *name, const struct stat *st, const struct ol_meta *meta,
                     bool *ret_changed, struct ol_meta_counts *counts)
{
    int r = -EINVAL;

    *ret_changed = false;
    if (st->st_uid == meta->uid && st->st_gid == meta->gid)
        return 0;
    if (meta->keep_owner)
        r = ol_sys_chown(fd, name, meta->uid, meta->gid);
    if (r == -EINVAL) {
        counts->squashed_owners++;
        return 0;
    }
    *ret_changed = r == 0;
    return r;
}

/* Attributes outside the allow list, and those the file system or the caller's privileges do not
 * allow, are left out and counted (moby collects such errors into a warning). */
static int set_xattrs(int fd, const char *name, const struct ol_meta *meta,
                      struct ol_meta_counts *counts)
{
    for (size_t i = 0; i < meta->n_xattrs; i++) {
        const struct ol_entry_xattr *x = &meta->xattrs[i];
        int r = -EOPNOTSUPP;
        if (ol_xattr_importable(x->name))
            r = ol_xattr_set(fd, name, x->name, x->value, x->len);
        if (r == -EOPNOTSUPP || r == -EPERM)
            counts->dropped_xattrs++;
        else if (r < 0)
            return r;
    }
    return 0;
}

int ol_meta_apply(int fd, const char *name, const struct stat *st, const struct ol_meta *meta,
                  struct ol_meta_counts *counts)
{
    bool chowned;
    bool chmod;
    int r = set_owner(fd, name, st, meta, &chowned, counts);

    if (r == 0 && meta->n_xattrs > 0)
        r = set_xattrs(fd, name, meta, counts);
    /* chown clears the set-id bits, an access ACL brings its own mode */
    chmod = ((st->st_mode ^ meta->mode) & 07777) != 0 || (chowned && (meta->mode & 06000) != 0) ||
            meta->n_xattrs > 0;
    if (r == 0 && chmod && !S_ISLNK(st->st_mode))
        r = ol_sys_chmod(fd, name, meta->mode);
    if (r == 0 && meta->set_times)
        r = ol_sys_set_times(fd, name, meta->mtime);
    return r;
}

static bool same_xattr(int fd, const char *name, const struct ol_entry_xattr *x)
{
    char *value;
    ssize_t n;
    bool same;

    if (!ol_xattr_importable(x->name))
        return true; /* it would not be set */
    value = malloc(x->len + 1);
    if (value == NULL)
        return false;
    n = ol_xattr_get(fd, name, x->name, value, x->len + 1);
    same = n == (ssize_t)x->len && memcmp(value, x->value, x->len) == 0;
    free(value);
    return same;
}

bool ol_meta_same(int fd, const char *name, const struct stat *st, const struct ol_meta *meta)
{
    if (meta->keep_owner && (st->st_uid != meta->uid || st->st_gid != meta->gid))
        return false;
    if (!S_ISLNK(st->st_mode) && ((st->st_mode ^ meta->mode) & 07777) != 0)
        return false;
    if (st->st_mtim.tv_sec != meta->mtime.tv_sec || st->st_mtim.tv_nsec != meta->mtime.tv_nsec)
        return false;
    for (size_t i = 0; i < meta->n_xattrs; i++)
        if (!same_xattr(fd, name, &meta->xattrs[i]))
            return false;
    return true;
}
