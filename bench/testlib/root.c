/* SPDX-License-Identifier: Apache-2.0 */
/* What a change may do in a container's root: drivers/rootfs, ending the test where it fails. */
#include "bench/testlib/lab.h"

#include "drivers/rootfs.h"

#include <errno.h>

/* A failed operation: who and when, before what. */
static void need(const struct ol_test_root *root, int r, struct ol_error *err, const char *file,
                 int line)
{
    if (r < 0)
        r = ol_error_wrap(err, r, "%s: %s %u", root->driver->name, root->step, root->index);
    ol_test_need(r, err, file, line);
}

const char *ol_test_root_driver(const struct ol_test_root *root)
{
    return root->driver->name;
}

const char *ol_test_root_path_at(struct ol_test_root *root, const char *file, int line)
{
    if (root->path == NULL)
        ol_test_skip(file, line, "%s: in the direct view no container is mounted and has a path",
                     root->driver->name);
    return root->path;
}

void ol_test_mkdir_at(struct ol_test_root *root, const char *path, const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    need(root, ol_rootfs_mkdir(root->fs, path, 0755, &err), &err, file, line);
}

static int write_text(struct ol_rootfs *fs, const char *path, const char *text,
                      struct ol_error *err)
{
    struct stat st;
    int r = ol_rootfs_stat(fs, path, &st, NULL);

    if (r == -ENOENT)
        return ol_rootfs_create(fs, path, 0644, text, strlen(text), err);
    return ol_rootfs_write(fs, path, text, strlen(text), err);
}

void ol_test_write_at(struct ol_test_root *root, const char *path, const char *text,
                      const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    need(root, write_text(root->fs, path, text, &err), &err, file, line);
}

void ol_test_append_at(struct ol_test_root *root, const char *path, const char *text,
                       const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    need(root, ol_rootfs_append(root->fs, path, text, strlen(text), &err), &err, file, line);
}

void ol_test_symlink_at(struct ol_test_root *root, const char *target, const char *path,
                        const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    need(root, ol_rootfs_symlink(root->fs, target, path, &err), &err, file, line);
}

void ol_test_link_at(struct ol_test_root *root, const char *path, const char *new_path,
                     const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    need(root, ol_rootfs_link(root->fs, path, new_path, &err), &err, file, line);
}

void ol_test_rename_at(struct ol_test_root *root, const char *path, const char *new_path,
                       const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;

    need(root, ol_rootfs_rename(root->fs, path, new_path, &err), &err, file, line);
}

void ol_test_chmod_at(struct ol_test_root *root, const char *path, unsigned mode, const char *file,
                      int line)
{
    struct ol_error err = OL_ERROR_INIT;

    need(root, ol_rootfs_chmod(root->fs, path, mode, &err), &err, file, line);
}

void ol_test_remove_at(struct ol_test_root *root, const char *path, const char *file, int line)
{
    struct ol_error err = OL_ERROR_INIT;
    struct stat st;
    int r = ol_rootfs_lstat(root->fs, path, &st, &err); /* to remove nothing is success there */

    if (r == 0)
        r = ol_rootfs_remove_tree(root->fs, path, &err);
    need(root, r, &err, file, line);
}
