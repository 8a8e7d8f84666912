/* SPDX-License-Identifier: Apache-2.0 */
/* overlay2's Get of a container on a deep chain, and the mount alone: HOME holds nothing but the
 * driver's home. */
#include "bench/peers/op.h"
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "drivers/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SIZE = 32 };

static int open_home(const char *home, struct ol_driver **ret, struct ol_error *err)
{
    const struct ol_driver_config config = {
        .home = home, .view = OL_VIEW_KERNEL, .keep_owner = true};

    return ol_driver_open("overlay2", &config, ret, err);
}

/* layer-0 … layer-<LAYERS - 1>, each on the one before, and the container "top" on the last. */
static int op_mount_prepare(char **operands, struct ol_error *err)
{
    unsigned layers = (unsigned)strtoul(operands[1], NULL, 10);
    struct ol_driver *drv = NULL;
    char parent[NAME_SIZE] = "", name[NAME_SIZE];
    struct ol_layer_spec spec = {.id = name};
    int r = open_home(operands[0], &drv, err);

    for (unsigned i = 0; i < layers && r == 0; i++) {
        (void)snprintf(name, sizeof name, "layer-%u", i);
        r = ol_driver_create(drv, &spec, err);
        memcpy(parent, name, sizeof parent);
        spec.parent = parent;
    }
    (void)snprintf(name, sizeof name, "top");
    spec.read_write = true;
    if (r == 0)
        r = ol_driver_create(drv, &spec, err);
    ol_driver_close(drv);
    return r;
}

static int op_mount(char **operands, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    struct ol_driver *drv = NULL;
    uint64_t begin = 0;
    int r = open_home(operands[0], &drv, err);

    if (r == 0) {
        begin = bench_now_ns();
        r = ol_driver_get(drv, "top", &path, err);
    }
    if (r == 0) {
        r = bench_note_time(bench_now_ns() - begin, err);
        (void)ol_driver_put(drv, "top", r < 0 ? NULL : err);
    }
    ol_driver_close(drv);
    return r;
}

/* What the kernel takes for it: one mount(2) with the options Get would use. */
static int op_mount_kernel(char **operands, struct ol_error *err)
{
    ol_auto_buf struct ol_buf lower = OL_BUF_INIT;
    ol_auto_free char *data = NULL;
    uint64_t begin;
    int r;

    if (chdir(operands[0]) < 0)
        return ol_error_sys(err, errno, "cannot enter '%s'", operands[0]);
    r = ol_fs_read_file(AT_FDCWD, "top/lower", OL_SMALL_FILE_MAX, &lower, err);
    if (r < 0)
        return r;
    if (asprintf(&data, "index=off,lowerdir=%s,upperdir=top/diff,workdir=top/work",
                 ol_buf_str(&lower)) < 0) {
        data = NULL;
        return ol_error_nomem(err);
    }
    if (mkdir("top/merged", 0700) < 0)
        return ol_error_sys(err, errno, "cannot make 'top/merged'");
    begin = bench_now_ns();
    if (mount("overlay", "top/merged", "overlay", 0, data) < 0)
        r = ol_error_sys(err, errno, "cannot mount 'top/merged'");
    else
        r = bench_note_time(bench_now_ns() - begin, err);
    (void)umount("top/merged"); /* nothing is mounted after a failure */
    (void)rmdir("top/merged");
    return r;
}

const struct bench_op bench_mount_ops[] = {
    {"mount-prepare", "HOME LAYERS", 2, op_mount_prepare},
    {"mount", "HOME", 1, op_mount},
    {"mount-kernel", "HOME", 1, op_mount_kernel},
    {0},
};
