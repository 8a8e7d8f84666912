/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labs about what counts wrongly, or is counted otherwise than one thinks: times within a second,
 * inodes beside bytes, names beside inodes.
 */
#include "bench/harness/backing.h"
#include "bench/teach/lab.h"
#include "bench/teach/lab_engine.h"
#include "bench/teach/tiny.h"
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/mount/mount.h"
#include "drivers/driver.h"
#include "drivers/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

/* ---- the same second ---- */

/* A layer of the tiny image, as an image layer of a bare driver. */
static int apply_layer(struct ol_driver *drv, size_t index, const char *parent,
                       struct ol_error *err)
{
    const struct ol_layer_spec spec = {.id = ol_tiny_name(index), .parent = parent};
    ol_auto_fd int fd = -1;
    struct ol_input tar;
    int r = ol_tiny_layer(index, &fd, err);

    if (r < 0)
        return r;
    tar = (struct ol_input){.fd = fd, .offset = 0, .length = UINT64_MAX};
    r = ol_driver_create(drv, &spec, err);
    return r < 0 ? r : ol_driver_apply_diff(drv, spec.id, parent, &tar, NULL, err);
}

/* The cow is written over with as many bytes, half a second after its time. */
static int edit_cow(struct ol_driver *drv, uint64_t *ret_size, struct ol_error *err)
{
    ol_auto_buf struct ol_buf content = OL_BUF_INIT;
    struct ol_rootfs *root = NULL;
    struct stat st;
    int closed;
    int r = ol_driver_rootfs(drv, "box", &root, err);

    if (r < 0)
        return r;
    r = ol_rootfs_lstat(root, "farm/cow", &st, err);
    if (r == 0 && ol_buf_reserve(&content, (size_t)st.st_size) < 0)
        r = ol_error_nomem(err);
    for (off_t i = 0; r == 0 && i < st.st_size; i++)
        r = ol_buf_putc(&content, 'm');
    if (r == 0)
        r = ol_rootfs_write(root, "farm/cow", content.data, content.len, err);
    st.st_mtim.tv_nsec = 500 * 1000 * 1000;
    if (r == 0)
        r = ol_rootfs_set_mtime(root, "farm/cow", st.st_mtim, err);
    *ret_size = (uint64_t)st.st_size;
    closed = ol_rootfs_close(root, r < 0 ? NULL : err);
    return r < 0 ? r : closed;
}

/* What a commit would make a layer of: the entries of the diff's tar. */
static int count_entries(struct ol_driver *drv, uint64_t *ret, struct ol_error *err)
{
    ol_auto_fd int fd = memfd_create("diff", MFD_CLOEXEC);
    ol_auto_fd int out_fd = -1;
    const struct ol_input tar = {.fd = fd, .offset = 0, .length = UINT64_MAX};
    struct ol_layer_result scan = {0};
    int r;

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot make a file in memory");
    out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    r = out_fd < 0 ? ol_error_sys(err, errno, "cannot duplicate a descriptor")
                   : ol_driver_diff(drv, "box", ol_tiny_name(0), &out_fd, NULL, err);
    if (r == 0)
        r = ol_layer_scan(&tar, NULL, NULL, NULL, &scan, err);
    *ret = scan.entries;
    return r;
}

/* The same edit on a driver of that name. */
static int edit_on(const struct ol_lab_run *run, const char *name, struct ol_driver **ret,
                   uint64_t *ret_size, struct ol_error *err)
{
    const struct ol_layer_spec box = {.id = "box", .parent = ol_tiny_name(0), .read_write = true};
    ol_auto_free char *home = NULL;
    struct ol_driver_config config = {.view = run->view, .keep_owner = run->keep_owner};
    int r = ol_lab_mkdir(run, name, &home, err);

    config.home = home;
    if (r == 0)
        r = ol_driver_open(name, &config, ret, err);
    if (r == 0)
        r = apply_layer(*ret, 0, NULL, err);
    if (r == 0)
        r = ol_driver_create(*ret, &box, err);
    return r < 0 ? r : edit_cow(*ret, ret_size, err);
}

static int same_second(struct ol_lab_run *run, struct ol_driver *drv[2], struct ol_error *err)
{
    uint64_t naive = 0;
    uint64_t native = 0;
    uint64_t size = 0;
    int r = edit_on(run, "overlay", &drv[0], &size, err);

    if (r == 0)
        r = edit_on(run, "overlay2", &drv[1], &size, err);
    if (r < 0)
        return r;
    ol_lab_say(run,
               "farm/cow has %" PRIu64 " bytes and came from a layer, with a time of whole "
               "seconds. In a container it was written over with %" PRIu64 " other bytes, half a "
               "second later by its time. overlay compares the container with its image.",
               size, size);
    r = ol_lab_ask(run, err);
    if (r == 0)
        r = count_entries(drv[0], &naive, err);
    if (r == 0)
        r = count_entries(drv[1], &native, err);
    if (r < 0)
        return r;
    ol_lab_say(
        run,
        "The diff of overlay has %" PRIu64
        " entries: the commit would lose the edit. overlay2, after the same edit, has %" PRIu64
        ": the directory and the file.",
        naive, native);
    run->truth = (int64_t)naive;
    return 0;
}

int ol_lab_same_second(struct ol_lab_run *run, struct ol_error *err)
{
    struct ol_driver *drv[2] = {NULL, NULL};
    int r = same_second(run, drv, err);

    ol_driver_close(drv[0]);
    ol_driver_close(drv[1]);
    return r;
}

/* ---- a file system that is full of inodes ---- */

static int look_at(const char *dir, struct statvfs *ret, struct ol_error *err)
{
    return statvfs(dir, ret) < 0 ? ol_error_sys(err, errno, "cannot ask how full '%s' is", dir) : 0;
}

static uint64_t percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : part * 100 / whole;
}

static void say_room(const struct ol_lab_run *run, const char *when, const struct statvfs *st)
{
    ol_lab_say(run,
               "%s: df says %" PRIu64 " of %" PRIu64 " KiB are free (%" PRIu64
               " %%), df -i says %" PRIu64 " of %" PRIu64 " inodes.",
               when, (uint64_t)st->f_bfree * st->f_frsize / 1024,
               (uint64_t)st->f_blocks * st->f_frsize / 1024, percent(st->f_bfree, st->f_blocks),
               (uint64_t)st->f_ffree, (uint64_t)st->f_files);
}

enum {
    EGGS = 8,          /* files a container adds: so many that it does not take long */
    COMMITS_MOST = 120 /* below what an image may have in layers */
};

static int lay_eggs(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    struct ol_rootfs *root = NULL;
    int r = engine->ops->root(engine, &root, &path, err);

    for (unsigned i = 0; i < EGGS && r == 0; i++) {
        char name[48];

        (void)snprintf(name, sizeof name, "farm/egg%u-%u", index, i);
        r = ol_rootfs_create(root, name, 0644, name, strlen(name), err);
    }
    return r;
}

/* One container with some small files more, committed and removed. */
static int commit_once(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct ol_engine_report report = {0};
    int r = engine->ops->container_create(engine, err);

    if (r == 0)
        r = engine->ops->mount(engine, err);
    if (r == 0)
        r = lay_eggs(engine, index, err);
    if (r == 0)
        r = engine->ops->unmount(engine, err);
    if (r == 0)
        r = engine->ops->commit(engine, &report, err);
    return r < 0 ? r : engine->ops->container_remove(engine, index, err);
}

/* @param refused  what the commit that failed said; @return 0 when one did */
static int commit_until_full(const struct ol_lab_run *run, struct ol_engine *engine, unsigned most,
                             unsigned *ret_commits, struct ol_error *refused, struct ol_error *err)
{
    for (unsigned i = 0; i < most; i++) {
        if (run->front->cancelled(run->front->data))
            return ol_error_set(err, -ECANCELED, "interrupted");
        *ret_commits = i;
        if (commit_once(engine, i, refused) < 0)
            return 0;
    }
    return ol_error_set(err, -EIO, "%u commits fitted into the small file system", most);
}

static int fill_up(struct ol_lab_run *run, const char *dir, struct ol_error *err)
{
    ol_auto_error struct ol_error refused = OL_ERROR_INIT;
    struct ol_lab_engine lab;
    struct statvfs st;
    unsigned commits = 0;
    int r = ol_lab_engine_open(run, dir, "overlay", COMMITS_MOST, &lab, err);

    if (r == 0)
        r = look_at(dir, &st, err);
    if (r == 0) {
        say_room(run, "A small file system with the image on it, under overlay", &st);
        ol_lab_say(run,
                   "Now containers add %d small files each and are committed and removed, again "
                   "and again, until a commit does not work any more.",
                   EGGS);
        r = ol_lab_ask(run, err);
    }
    if (r == 0)
        r = commit_until_full(run, lab.engine, COMMITS_MOST, &commits, &refused, err);
    if (r == 0)
        r = look_at(dir, &st, err);
    ol_lab_engine_close(&lab);
    if (r < 0)
        return r;
    say_room(run, "After the commit that failed", &st);
    ol_lab_say(run, "%u commits worked. Number %u said: \"%s\".", commits, commits + 1,
               strerrordesc_np(-refused.code));
    run->truth = refused.code == -EMLINK   ? 0
                 : refused.code == -ENOSPC ? 1
                 : refused.code == -EDQUOT ? 2
                 : refused.code == -EMFILE ? 3
                                           : -1;
    return run->truth < 0 ? ol_error_set(err, refused.code, "%s", refused.message) : 0;
}

/* Root has loop devices; in a user namespace tmpfs can be given a number of inodes. */
static int with_loop(struct ol_lab_run *run, struct ol_error *err)
{
    const struct ol_backing_spec spec = {.kind = OL_BACKING_EXT4, .size_bytes = 4 << 20};
    struct ol_backing *backing = NULL;
    int closed;
    int r = ol_backing_open(&spec, run->dir, &backing, err);

    if (r < 0)
        return r;
    r = fill_up(run, ol_backing_path(backing), err);
    closed = ol_backing_close(backing, r < 0 ? NULL : err);
    return r < 0 ? r : closed;
}

static int with_tmpfs(struct ol_lab_run *run, struct ol_error *err)
{
    ol_auto_free char *dir = NULL;
    int unmounted;
    int r = ol_lab_mkdir(run, "small", &dir, err);

    if (r < 0)
        return r;
    if (mount("tmpfs", dir, "tmpfs", MS_NODEV | MS_NOSUID, "size=16m,nr_inodes=600") < 0)
        return ol_error_sys(err, errno, "cannot mount a tmpfs with 600 inodes");
    ol_lab_say(run, "An ordinary user has no loop devices, so this is a tmpfs that was given 600 "
                    "inodes, where every name counts as one.");
    r = fill_up(run, dir, err);
    unmounted = ol_mount_detach(dir, r < 0 ? NULL : err);
    return r < 0 ? r : unmounted;
}

int ol_lab_inode_table(struct ol_lab_run *run, struct ol_error *err)
{
    return run->view == OL_VIEW_KERNEL ? with_loop(run, err) : with_tmpfs(run, err);
}

/* ---- names on tmpfs ---- */

/* What lies in a driver's home, and what the file system says of itself. */
struct count {
    struct ol_tree_usage tree;
    struct statvfs fs;
};

static int count_both(const char *home, struct count *ret, struct ol_error *err)
{
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, home);
    int r = fd < 0 ? ol_error_sys(err, -fd, "cannot open '%s'", home)
                   : ol_tree_usage(fd, false, &ret->tree, err);

    return r < 0 ? r : look_at(home, &ret->fs, err);
}

static int clone_on(struct ol_lab_run *run, struct ol_driver *drv, struct ol_error *err)
{
    struct count before;
    struct count after;
    uint64_t inodes;
    uint64_t names;
    int r = apply_layer(drv, 0, NULL, err);

    if (r == 0)
        r = count_both(run->dir, &before, err);
    if (r == 0)
        r = apply_layer(drv, 1, ol_tiny_name(0), err);
    if (r == 0)
        r = count_both(run->dir, &after, err);
    if (r < 0)
        return r;
    inodes = after.tree.inodes - before.tree.inodes;
    names = after.tree.names - before.tree.names;
    ol_lab_say(run,
               "overlay has its home on a tmpfs. A second image layer was just made there. Counted "
               "by inode number it added %" PRIu64 " inodes; beside them it gave %" PRIu64
               " files of the layer below one more name.",
               inodes, names - inodes);
    r = ol_lab_ask(run, err);
    if (r < 0)
        return r;
    run->truth = (int64_t)(before.fs.f_ffree - after.fs.f_ffree);
    ol_lab_say(run, "df -i: %" PRIu64 " free inodes before, %" PRIu64 " after: %" PRId64 " fewer.",
               (uint64_t)before.fs.f_ffree, (uint64_t)after.fs.f_ffree, run->truth);
    return 0;
}

static int overlay_on(struct ol_lab_run *run, const char *dir, struct ol_error *err)
{
    const struct ol_driver_config config = {
        .home = dir, .view = run->view, .keep_owner = run->keep_owner};
    struct ol_lab_run there = *run;
    struct ol_driver *drv = NULL;
    int r = ol_driver_open("overlay", &config, &drv, err);

    there.dir = dir;
    if (r == 0)
        r = clone_on(&there, drv, err);
    ol_driver_close(drv);
    run->truth = there.truth;
    return r;
}

int ol_lab_tmpfs(struct ol_lab_run *run, struct ol_error *err)
{
    const struct ol_backing_spec spec = {.kind = OL_BACKING_TMPFS, .size_bytes = 4 << 20};
    struct ol_backing *backing = NULL;
    int closed;
    int r = ol_backing_open(&spec, run->dir, &backing, err);

    if (r < 0)
        return r;
    r = overlay_on(run, ol_backing_path(backing), err);
    closed = ol_backing_close(backing, r < 0 ? NULL : err);
    return r < 0 ? r : closed;
}
