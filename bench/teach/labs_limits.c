/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labs about limits: of overlay2's depth, of the page of mount options, of layers that overlap, of
 * names of an inode. Failures that are met on purpose, where they harm nobody.
 */
#include "bench/teach/lab.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"
#include "drivers/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* ---- the layer too many ---- */

/*
 * Layers "layer1", "layer2", … each on the one before, until one is refused.
 * @param refused  what the driver said then
 */
static int stack_layers(const struct ol_lab_run *run, struct ol_driver *drv, unsigned *ret_made,
                        struct ol_error *refused, struct ol_error *err)
{
    enum { MORE_THAN_ANY = 2 * OL_MAX_LOWER_DIRS };
    char id[32];
    char parent[32];
    struct ol_layer_spec spec = {.id = id};

    for (unsigned made = 0; made < MORE_THAN_ANY; made++) {
        if (run->front->cancelled(run->front->data))
            return ol_error_set(err, -ECANCELED, "interrupted");
        (void)snprintf(id, sizeof id, "layer%u", made + 1);
        (void)snprintf(parent, sizeof parent, "layer%u", made);
        spec.parent = made > 0 ? parent : NULL;
        if (ol_driver_create(drv, &spec, refused) == 0)
            continue;
        *ret_made = made;
        if (refused->code == -E2BIG)
            return 0;
        ol_error_move(err, refused);
        return err != NULL ? err->code : -EIO;
    }
    return ol_error_set(err, -EIO, "%d layers were made, and none refused", MORE_THAN_ANY);
}

int ol_lab_depth(struct ol_lab_run *run, struct ol_error *err)
{
    const struct ol_driver_config config = {
        .home = run->dir, .view = run->view, .keep_owner = run->keep_owner};
    ol_auto_error struct ol_error refused = OL_ERROR_INIT;
    struct ol_driver *drv = NULL;
    unsigned made = 0;
    int r = ol_driver_open("overlay2", &config, &drv, err);

    if (r < 0)
        return r;
    ol_lab_say(run, "An empty home of overlay2. It is asked for a layer, then for one on top of "
                    "it, then for one on top of that, and so on.");
    r = ol_lab_ask(run, err);
    if (r == 0)
        r = stack_layers(run, drv, &made, &refused, err);
    ol_driver_close(drv);
    if (r < 0)
        return r;
    ol_lab_say(run, "%u layers were made. The driver refused number %u: \"%s\".", made, made + 1,
               refused.message);
    run->truth = made;
    return 0;
}

/* ---- the page of options ---- */

enum {
    LAYERS = 70,
    NAME_MIN = 66, /* bytes: of such names 61 fit into the page */
};

/* "<run>/0…07", as long as asked for. */
static int layer_path(const struct ol_lab_run *run, size_t len, unsigned number, char **ret,
                      struct ol_error *err)
{
    size_t digits = len - strlen(run->dir) - 1;

    if (asprintf(ret, "%s/%0*u", run->dir, (int)digits, number) >= 0)
        return 0;
    *ret = NULL;
    return ol_error_nomem(err);
}

static int make_file(const char *dir, unsigned number, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    char name[32];

    if (mkdir(dir, 0755) < 0)
        return ol_error_sys(err, errno, "cannot make '%s'", dir);
    fd = ol_fs_open_dir(AT_FDCWD, dir);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s'", dir);
    (void)snprintf(name, sizeof name, "file-of-layer-%u", number);
    return ol_fs_write_file(fd, name, "", 0, 0644, err);
}

/*
 * Seventy directories with a file each, and "lowerdir=" of them. All names have one length but for
 * slashes doubled in the first, so that the page ends where a name ends.
 */
static int make_layers(const struct ol_lab_run *run, struct ol_buf *options, struct ol_error *err)
{
    const size_t room = OL_MOUNT_OPTIONS_MAX - strlen("lowerdir=");
    size_t len = strlen(run->dir) + 1 + strlen("70");
    size_t spare;
    int r = ol_buf_puts(options, "lowerdir=");

    if (len < NAME_MIN)
        len = NAME_MIN;
    spare = (room + 1) % (len + 1);
    for (unsigned i = 1; i <= LAYERS && r == 0; i++) {
        ol_auto_free char *path = NULL;

        r = layer_path(run, len, i, &path, err);
        if (r == 0)
            r = make_file(path, i, err);
        for (size_t s = 0; i == 1 && s < spare && r == 0; s++)
            r = ol_buf_putc(options, '/');
        if (r == 0)
            r = ol_buf_printf(options, "%s%s", path, i < LAYERS ? ":" : "");
    }
    return r < 0 && (err == NULL || err->code == 0) ? ol_error_nomem(err) : r;
}

static int count_names(const char *dir, size_t *ret, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, dir);
    int r = fd < 0 ? fd : ol_dirents_read(&list, fd, false);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read '%s'", dir);
    *ret = list.count;
    return 0;
}

/* As it should not be done: a string longer than the page, handed to mount(2). */
static int mount_cut(const char *target, const char *options, size_t *ret_seen,
                     struct ol_error *err)
{
    int unmounted;
    int r;

    if (mount("overlay", target, "overlay", MS_RDONLY, options) < 0)
        return ol_error_sys(err, errno, "mount(2) of %zu bytes of options", strlen(options));
    r = count_names(target, ret_seen, err);
    unmounted = ol_mount_detach(target, r < 0 ? NULL : err);
    return r < 0 ? r : unmounted;
}

/* As the drivers do it. */
static int mount_whole(const struct ol_lab_run *run, const char *target, const char *options,
                       size_t *ret_seen, struct ol_error *err)
{
    ol_auto_free char *names = strdup(options + strlen("lowerdir="));
    const char *lowers[LAYERS];
    struct ol_overlay_spec spec = {.base = run->dir,
                                   .lowers = lowers,
                                   .target = target,
                                   .userxattr = run->view == OL_VIEW_USERNS};
    char *rest = names;
    int unmounted;
    int r;

    if (names == NULL)
        return ol_error_nomem(err);
    for (char *name = strsep(&rest, ":"); name != NULL; name = strsep(&rest, ":"))
        lowers[spec.n_lowers++] = strrchr(name, '/') + 1;
    r = ol_overlay_mount(&spec, err);
    if (r < 0)
        return r;
    r = count_names(target, ret_seen, err);
    unmounted = ol_mount_detach(target, r < 0 ? NULL : err);
    return r < 0 ? r : unmounted;
}

int ol_lab_option_page(struct ol_lab_run *run, struct ol_error *err)
{
    ol_auto_buf struct ol_buf options = OL_BUF_INIT;
    ol_auto_free char *target = NULL;
    size_t cut = 0;
    size_t whole = 0;
    int r = ol_lab_mkdir(run, "merged", &target, err);

    if (r == 0)
        r = make_layers(run, &options, err);
    if (r < 0)
        return r;
    ol_lab_say(run,
               "%d directories, each with one file of its own, are to be the lower directories of "
               "one mount. Their names have %zu bytes each, and \"lowerdir=\" with all of them, "
               "colons between, has %zu. mount(2) is given that string.",
               LAYERS, strlen(strrchr(ol_buf_str(&options), ':')) - 1, options.len);
    r = ol_lab_ask(run, err);
    if (r == 0)
        r = mount_cut(target, ol_buf_str(&options), &cut, err);
    if (r == 0)
        r = mount_whole(run, target, ol_buf_str(&options), &whole, err);
    if (r < 0)
        return r;
    ol_lab_say(run,
               "mount(2) returned success, and %zu of %d files are there. The %zu others are in "
               "layers whose names lay behind byte %d. Mounted as overlab's drivers do it: %zu.",
               cut, LAYERS, LAYERS - cut, OL_MOUNT_OPTIONS_MAX, whole);
    run->truth = (int64_t)cut;
    return 0;
}

/* ---- the same directory twice ---- */

int ol_lab_duplicate_lower(struct ol_lab_run *run, struct ol_error *err)
{
    static const char *const lowers[] = {"barn", "base", "barn"};
    const struct ol_overlay_spec spec = {
        .base = run->dir,
        .lowers = lowers,
        .n_lowers = OL_ARRAY_LEN(lowers),
        .target = "merged",
        .userxattr = run->view == OL_VIEW_USERNS,
    };
    ol_auto_error struct ol_error refused = OL_ERROR_INIT;
    ol_auto_free char *barn = NULL;
    ol_auto_free char *base = NULL;
    ol_auto_free char *merged = NULL;
    int r = ol_lab_mkdir(run, "barn", &barn, err);

    if (r == 0)
        r = ol_lab_mkdir(run, "base", &base, err);
    if (r == 0)
        r = ol_lab_mkdir(run, "merged", &merged, err);
    if (r < 0)
        return r;
    ol_lab_say(run, "Two directories, barn and base, are the layers of an image. A list that was "
                    "put together wrongly names barn twice.");
    r = ol_lab_ask(run, err);
    if (r < 0)
        return r;
    r = ol_overlay_mount(&spec, &refused);
    if (r == 0) {
        ol_lab_say(run, "This kernel mounts it.");
        run->truth = 0;
        return ol_mount_detach(merged, err);
    }
    if (r != -EINVAL && r != -ELOOP && r != -EEXIST)
        return ol_error_set(err, r, "%s", refused.message);
    ol_lab_say(run, "The mount failed: \"%s\".", strerrordesc_np(-r));
    run->truth = r == -EINVAL ? 1 : r == -ELOOP ? 2 : 3;
    return 0;
}

/* ---- names of an inode ---- */

enum { NAMES = 70000, NAMES_AT_ONCE = 1000 };

/* @return how many names "cow" got, itself included, or negative errno */
static int64_t give_names(const struct ol_lab_run *run, int dir_fd, struct ol_error *err)
{
    int64_t names = 1;
    char name[32];

    for (; names < NAMES; names++) {
        if (names % NAMES_AT_ONCE == 0 && run->front->cancelled(run->front->data))
            return ol_error_set(err, -ECANCELED, "interrupted");
        (void)snprintf(name, sizeof name, "layer-%lld", (long long)names);
        if (linkat(dir_fd, "cow", dir_fd, name, 0) == 0)
            continue;
        if (errno == EMLINK)
            break;
        return ol_error_sys(err, errno, "cannot link '%s'", name);
    }
    return names;
}

int ol_lab_link_limit(struct ol_lab_run *run, struct ol_error *err)
{
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, run->dir);
    struct stat st = {0};
    int64_t names = 0;
    int r = fd < 0 ? ol_error_sys(err, -fd, "cannot open '%s'", run->dir)
                   : ol_fs_write_file(fd, "cow", "moo\n", 4, 0644, err);

    if (r < 0)
        return r;
    ol_lab_say(run,
               "One file, farm/cow, lies in a base image. Image after image is built on it "
               "under the legacy driver, and each gives the file one more name. Here the "
               "names are made one after the other, up to %d, on this file system.",
               NAMES);
    r = ol_lab_ask(run, err);
    if (r == 0)
        names = give_names(run, fd, err);
    if (r < 0 || names < 0)
        return r < 0 ? r : (int)names;
    if (fstatat(fd, "cow", &st, 0) < 0)
        return ol_error_sys(err, errno, "cannot look at '%s/cow'", run->dir);
    if (names == NAMES)
        ol_lab_say(run, "All %d names were made; the link count is %llu.", NAMES,
                   (unsigned long long)st.st_nlink);
    else
        ol_lab_say(run, "The file system refused name %lld: \"%s\". The link count is %llu.",
                   (long long)names + 1, strerror(EMLINK), (unsigned long long)st.st_nlink);
    run->truth = names == NAMES ? 3 : names > 32000 ? 2 : names > 1024 ? 1 : 0;
    return 0;
}
