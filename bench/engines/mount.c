/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting a real engine's container; see mount.h. */
#include "bench/engines/mount.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void ol_engine_mount_fini(struct ol_engine_mount *mount)
{
    free(mount->base);
    free(mount->lowers);
    free(mount->lowers_at);
    free(mount->upper);
    free(mount->work);
    free(mount->target);
    *mount = (struct ol_engine_mount){.base = NULL};
}

/* The part of path below base; NULL when it is not, or could climb out again. */
static const char *below(const char *base, const char *path)
{
    size_t len = strlen(base);

    if (strncmp(path, base, len) != 0 || path[len] != '/' || path[len + 1] == '\0')
        return NULL;
    for (const char *at = path + len; at != NULL; at = strchr(at + 1, '/')) {
        size_t name = strcspn(at + 1, "/");

        if ((name == 1 && at[1] == '.') || (name == 2 && memcmp(at + 1, "..", 2) == 0))
            return NULL;
    }
    return path + len + 1;
}

static int take(const char *base, const char *path, char **ret, struct ol_error *err)
{
    const char *name = below(base, path);

    if (name == NULL)
        return ol_error_set(err, -EXDEV, "the engine names '%s', which is not below '%s'", path,
                            base);
    *ret = strdup(name);
    return *ret == NULL ? ol_error_nomem(err) : 0;
}

static int take_lowers(struct ol_engine_mount *mount, struct ol_error *err)
{
    char *rest = mount->lowers;

    mount->lowers_at = calloc(OL_MAX_LOWER_DIRS + 1, sizeof *mount->lowers_at);
    if (mount->lowers_at == NULL)
        return ol_error_nomem(err);
    for (char *path; (path = strsep(&rest, ":")) != NULL;) {
        const char *name = below(mount->base, path);

        if (name == NULL)
            return ol_error_set(err, -EXDEV, "the engine names '%s', which is not below '%s'", path,
                                mount->base);
        if (mount->n_lowers == OL_MAX_LOWER_DIRS)
            return ol_error_set(err, -E2BIG, "the engine names more than %d lower directories",
                                OL_MAX_LOWER_DIRS);
        mount->lowers_at[mount->n_lowers++] = name;
    }
    return 0;
}

int ol_engine_mount_set(struct ol_engine_mount *mount, const char *base, const char *lowers,
                        const char *upper, const char *work, const char *target,
                        struct ol_error *err)
{
    int r;

    ol_engine_mount_fini(mount);
    mount->base = strdup(base);
    mount->lowers = strdup(lowers);
    if (mount->base == NULL || mount->lowers == NULL)
        return ol_error_nomem(err);
    r = take_lowers(mount, err);
    if (r == 0)
        r = take(base, upper, &mount->upper, err);
    if (r == 0)
        r = take(base, work, &mount->work, err);
    return r < 0 ? r : take(base, target, &mount->target, err);
}

static int open_rootfs(struct ol_engine_mount *mount, int base_fd, struct ol_error *err)
{
    int fd = openat(base_fd, mount->target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s/%s'", mount->base, mount->target);
    return ol_rootfs_open_dir(fd, &mount->rootfs, err);
}

int ol_engine_mount(struct ol_engine_mount *mount, struct ol_error *err)
{
    const struct ol_overlay_spec spec = {
        .base = mount->base,
        .lowers = mount->lowers_at,
        .n_lowers = mount->n_lowers,
        .upper = mount->upper,
        .work = mount->work,
        .target = mount->target,
        .index_off = true,
    };
    ol_auto_fd int base_fd = -1;
    int r;

    if (mount->base == NULL)
        return ol_error_set(err, -EINVAL, "the engine said nothing about this container's mount");
    base_fd = ol_fs_open_dir(AT_FDCWD, mount->base);
    if (base_fd < 0)
        return ol_error_sys(err, -base_fd, "cannot open '%s'", mount->base);
    if (mkdirat(base_fd, mount->target, 0700) < 0)
        return ol_error_sys(err, errno, "cannot make '%s/%s'", mount->base, mount->target);
    r = ol_overlay_mount(&spec, err);
    if (r == 0)
        r = open_rootfs(mount, base_fd, err);
    if (r < 0) {
        ol_auto_free char *path = NULL;

        if (asprintf(&path, "%s/%s", mount->base, mount->target) >= 0)
            (void)ol_mount_detach(path, NULL); /* the first error is the one to report */
        (void)unlinkat(base_fd, mount->target, AT_REMOVEDIR);
    }
    return r;
}

int ol_engine_unmount(struct ol_engine_mount *mount, struct ol_error *err)
{
    struct ol_rootfs *rootfs = ol_ptr_steal(mount->rootfs);
    ol_auto_free char *path = NULL;
    int r;

    if (rootfs == NULL)
        return 0;
    r = ol_rootfs_close(rootfs, err);
    if (asprintf(&path, "%s/%s", mount->base, mount->target) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    if (r == 0)
        r = ol_mount_detach(path, err);
    else
        (void)ol_mount_detach(path, NULL); /* the first error is the one to report */
    if (r == 0 && rmdir(path) < 0)
        r = ol_error_sys(err, errno, "cannot remove '%s'", path);
    return r;
}
