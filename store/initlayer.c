/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init layer: mount points for what a runtime bind-mounts, made in a layer of their own so that
 * a commit does not see them. Follows moby 20.10 daemon/initlayer/setup_unix.go, whose order is a
 * Go map's, random; here it is fixed.
 *
 * Every prefix of every path is unlinked first. That removes files and symlinks, so a symlinked
 * /dev or /etc of the image is replaced by a real directory and never followed (CVE-2026-41579);
 * directories survive. Files are therefore always made anew and the image's own whited out.
 */
#include "store/store_internal.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "drivers/rootfs.h"

#include <errno.h>

struct init_entry {
    const char *path;
    enum { INIT_DIR, INIT_FILE, INIT_LINK } kind;
    const char *target; /* of INIT_LINK */
};

static const struct init_entry entries[] = {
    {"dev/pts", INIT_DIR, NULL},      {"dev/shm", INIT_DIR, NULL},
    {"proc", INIT_DIR, NULL},         {"sys", INIT_DIR, NULL},
    {".dockerenv", INIT_FILE, NULL},  {"etc/resolv.conf", INIT_FILE, NULL},
    {"etc/hosts", INIT_FILE, NULL},   {"etc/hostname", INIT_FILE, NULL},
    {"dev/console", INIT_FILE, NULL}, {"etc/mtab", INIT_LINK, "/proc/mounts"},
};

/* unlink(2) of a directory is EISDIR on Linux, EPERM by POSIX; moby ignores every error, but a full
 * disk must not leave the image's file in place unseen. */
static int unlink_one(struct ol_rootfs *fs, const char *path, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = ol_rootfs_unlink(fs, path, &why);

    if (r >= 0 || r == -ENOENT || r == -EISDIR || r == -EPERM)
        return 0;
    ol_error_move(err, &why);
    return r;
}

/* Call fn for "a", "a/b", … up to the first len bytes of path. */
static int each_prefix(struct ol_rootfs *fs, const char *path, size_t len,
                       int (*fn)(struct ol_rootfs *fs, const char *path, struct ol_error *err),
                       struct ol_error *err)
{
    ol_auto_free char *prefix = strndup(path, len);
    int r = 0;

    if (prefix == NULL)
        return ol_error_nomem(err);
    for (char *p = prefix; r == 0; p++) {
        char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (p > prefix)
            r = fn(fs, prefix, err);
        *p = c;
        if (c == '\0')
            break;
    }
    return r;
}

static int make_dir(struct ol_rootfs *fs, const char *path, struct ol_error *err)
{
    struct stat st;
    int r = ol_rootfs_stat(fs, path, &st, NULL);

    return r == -ENOENT ? ol_rootfs_mkdir(fs, path, 0755, err) : 0;
}

int ol_store_mkdirs(struct ol_rootfs *fs, const char *path, struct ol_error *err)
{
    return each_prefix(fs, path, strlen(path), make_dir, err);
}

static int make_entry(struct ol_rootfs *fs, const struct init_entry *entry, struct ol_error *err)
{
    int r = each_prefix(fs, entry->path, ol_path_dir_len(entry->path), make_dir, err);

    if (r < 0)
        return r;
    switch (entry->kind) {
    case INIT_DIR:
        return ol_rootfs_mkdir(fs, entry->path, 0755, err);
    case INIT_FILE:
        return ol_rootfs_create(fs, entry->path, 0755, "", 0, err);
    case INIT_LINK:
        return ol_rootfs_symlink(fs, entry->target, entry->path, err);
    }
    return 0;
}

int ol_initlayer_setup(struct ol_rootfs *fs, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < OL_ARRAY_LEN(entries); i++) {
        const struct init_entry *entry = &entries[i];
        ol_auto_error struct ol_error why = OL_ERROR_INIT;
        struct stat st;

        r = each_prefix(fs, entry->path, strlen(entry->path), unlink_one, err);
        if (r < 0)
            break;
        r = ol_rootfs_stat(fs, entry->path, &st, &why);
        if (r == -ENOENT)
            r = make_entry(fs, entry, err);
        else if (r < 0)
            ol_error_move(err, &why);
    }
    return r;
}
