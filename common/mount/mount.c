/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unmounting and the mount table; see mount.h. The table is read by libmount, which also undoes the
 * octal escapes. Paths are made canonical first: the table knows no symbolic links.
 */
#include "common/mount/mount.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/trace.h"

#include <fcntl.h>
#include <libmount/libmount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { OVERLAY_MAGIC = 0x794C7630 };

#define MOUNT_TABLE "/proc/self/mountinfo"

int ol_mount_detach(const char *path, struct ol_error *err)
{
    if (ol_fault_hit("mount.detach"))
        return ol_error_sys(err, EIO, "cannot unmount '%s'", path);
    ol_trace(OL_TRACE_MOUNT, "umount %s", path);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == ENOENT)
        return 0;
    /* EINVAL is "not a mount point", but also "locked": a mount that came with a namespace. */
    if (errno == EINVAL && !ol_mount_is_point(path))
        return 0;
    return ol_error_sys(err, errno, "cannot unmount '%s'", path);
}

bool ol_mount_is_overlay(const char *path)
{
    struct statfs fs;

    return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == OVERLAY_MAGIC;
}

/* The table of this namespace; NULL when it cannot be read (errno is set). */
static struct libmnt_table *read_table(void)
{
    struct libmnt_table *table = mnt_new_table();
    int r;

    if (table == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    r = mnt_table_parse_file(table, MOUNT_TABLE);
    if (r != 0) {
        mnt_unref_table(table);
        errno = r < 0 ? -r : EIO;
        return NULL;
    }
    return table;
}

/* Canonical form of the directory part, the last component as it stands (it may be a dead mount).
 */
static char *canonical(const char *path)
{
    ol_auto_free char *copy = NULL;
    ol_auto_free char *parent = NULL;
    char *whole = realpath(path, NULL);
    char *slash;
    char *ret = NULL;

    if (whole != NULL)
        return whole;
    copy = strdup(path);
    slash = copy != NULL ? strrchr(copy, '/') : NULL;
    if (slash == NULL || slash[1] == '\0')
        return NULL;
    *slash = '\0';
    parent = realpath(slash == copy ? "/" : copy, NULL);
    if (parent == NULL || asprintf(&ret, "%s/%s", parent[1] == '\0' ? "" : parent, slash + 1) < 0)
        return NULL;
    return ret;
}

bool ol_mount_is_point(const char *path)
{
    struct libmnt_table *table;
    ol_auto_free char *real = NULL;
    struct statx st;
    bool found;

    /* One call where the kernel says it itself (Linux 5.8). */
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &st) == 0 &&
        (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
        return (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    real = canonical(path);
    table = real != NULL ? read_table() : NULL;
    if (table == NULL)
        return false;
    found = mnt_table_find_target(table, real, MNT_ITER_BACKWARD) != NULL;
    mnt_unref_table(table);
    return found;
}

static int describe(struct libmnt_fs *fs, char **ret_type, char **ret_source, char **ret_options)
{
    const char *source = mnt_fs_get_source(fs);
    const char *options = mnt_fs_get_options(fs);
    ol_auto_free char *type_copy = strdup(mnt_fs_get_fstype(fs));
    ol_auto_free char *source_copy = strdup(source != NULL ? source : "none");
    ol_auto_free char *options_copy = strdup(options != NULL ? options : "");

    if (type_copy == NULL || source_copy == NULL || options_copy == NULL)
        return -ENOMEM;
    *ret_type = ol_ptr_steal(type_copy);
    *ret_source = ol_ptr_steal(source_copy);
    *ret_options = ol_ptr_steal(options_copy);
    return 0;
}

int ol_mount_describe(const char *path, char **ret_type, char **ret_source, char **ret_options,
                      struct ol_error *err)
{
    ol_auto_free char *real = canonical(path);
    struct libmnt_table *table = real != NULL ? read_table() : NULL;
    struct libmnt_fs *fs;
    int r;

    if (table == NULL)
        return ol_error_sys(err, errno, "cannot look up the mount on '%s'", path);
    fs = mnt_table_find_target(table, real, MNT_ITER_BACKWARD);
    if (fs == NULL)
        r = ol_error_set(err, -ENOENT, "nothing is mounted on '%s'", path);
    else
        r = describe(fs, ret_type, ret_source, ret_options) < 0 ? ol_error_nomem(err) : 0;
    mnt_unref_table(table);
    return r;
}

/* A mount point and where it stood in the table, so that stacked mounts keep their order. */
struct found {
    char *path;
    size_t len;
    size_t order;
};

static int compare_found(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;

    if (x->len != y->len)
        return x->len > y->len ? -1 : 1;
    return x->order > y->order ? -1 : x->order < y->order;
}

static bool is_at_or_below(const char *path, const char *dir, size_t dir_len)
{
    if (dir_len == 1) /* "/" */
        return true;
    return strncmp(path, dir, dir_len) == 0 && (path[dir_len] == '/' || path[dir_len] == '\0');
}

/* Copies of the targets in table at or below dir; *ret_list has room for *ret_count + 1. */
static int collect(struct libmnt_table *table, const char *dir, struct found *found,
                   size_t *ret_count)
{
    struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
    struct libmnt_fs *fs;
    size_t dir_len = strlen(dir);
    size_t count = 0;
    int r = iter != NULL ? 0 : -ENOMEM;

    while (r == 0 && mnt_table_next_fs(table, iter, &fs) == 0) {
        const char *target = mnt_fs_get_target(fs);

        if (target == NULL || !is_at_or_below(target, dir, dir_len))
            continue;
        found[count].path = strdup(target);
        if (found[count].path == NULL)
            r = -ENOMEM;
        else {
            found[count].len = strlen(target);
            found[count].order = count;
            count++;
        }
    }
    mnt_free_iter(iter);
    *ret_count = count;
    return r;
}

static int list_from_table(struct libmnt_table *table, const char *dir, char ***ret,
                           size_t *ret_count)
{
    size_t cap = (size_t)mnt_table_get_nents(table);
    ol_auto_free struct found *found = calloc(cap + 1, sizeof *found);
    ol_auto_free char **list = calloc(cap + 1, sizeof *list);
    size_t count = 0;
    int r;

    if (found == NULL || list == NULL)
        return -ENOMEM;
    r = collect(table, dir, found, &count);
    if (r < 0) {
        while (count > 0)
            free(found[--count].path);
        return r;
    }
    qsort(found, count, sizeof *found, compare_found);
    for (size_t i = 0; i < count; i++)
        list[i] = found[i].path;
    *ret = ol_ptr_steal(list);
    if (ret_count != NULL)
        *ret_count = count;
    return 0;
}

int ol_mount_list_below(const char *dir, char ***ret, size_t *ret_count, struct ol_error *err)
{
    ol_auto_free char *real = canonical(dir);
    struct libmnt_table *table;
    int r;

    if (real == NULL && errno != ENOENT && errno != ENOTDIR)
        return ol_error_sys(err, errno, "cannot resolve '%s'", dir);
    table = read_table();
    if (table == NULL)
        return ol_error_sys(err, errno, "cannot read the mount table %s", MOUNT_TABLE);
    /* A directory that does not exist has nothing below; "" matches no absolute path. */
    r = list_from_table(table, real != NULL ? real : dir, ret, ret_count);
    mnt_unref_table(table);
    return r < 0 ? ol_error_nomem(err) : 0;
}

void ol_mount_list_free(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

int ol_mount_detach_below(const char *dir, struct ol_error *err)
{
    char **list = NULL;
    size_t count = 0;
    int r = ol_mount_list_below(dir, &list, &count, err);

    for (size_t i = 0; i < count && r == 0; i++)
        r = ol_mount_detach(list[i], err);
    ol_mount_list_free(list);
    return r < 0 ? r : (int)count;
}
