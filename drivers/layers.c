/* SPDX-License-Identifier: Apache-2.0 */
/* Layer directories: made aside, renamed into place, renamed aside to be removed; see layers.h. */
#include "drivers/layers.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/mount/mount.h"
#include "common/trace.h"
#include "drivers/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

bool ol_layer_exists(int dir_fd, const char *id)
{
    struct stat st;

    return fstatat(dir_fd, id, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int ol_layer_open(int dir_fd, const char *id, struct ol_error *err)
{
    int fd = ol_fs_open_dir(dir_fd, id);

    if (fd == -ENOENT)
        return ol_error_set(err, -ENOENT, "layer '%s' does not exist", id);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open layer '%s'", id);
    return fd;
}

int ol_layer_subdir(int layer_fd, const char *name, struct ol_error *err)
{
    int fd = ol_fs_open_dir(layer_fd, name);

    return fd < 0 ? ol_error_sys(err, -fd, "cannot open '%s'", name) : fd;
}

/* ---- making ---- */

int ol_layer_begin(int home_fd, const char *id, mode_t mode, struct ol_layer_draft *ret,
                   struct ol_error *err)
{
    struct ol_layer_draft draft = {.home_fd = home_fd, .fd = -1, .id = id};
    int r;

    if (ol_fs_exists(home_fd, id))
        return ol_error_set(err, -EEXIST, "it exists already");
    if (asprintf(&draft.name, OL_LAYER_NEW "%s", id) < 0)
        return ol_error_nomem(err);
    r = ol_fs_mkdir(home_fd, draft.name, mode, err);
    if (r == 0) {
        draft.fd = ol_fs_open_dir(home_fd, draft.name);
        if (draft.fd >= 0) {
            *ret = draft;
            return 0;
        }
        r = ol_error_sys(err, -draft.fd, "cannot open '%s'", draft.name);
        (void)unlinkat(home_fd, draft.name, AT_REMOVEDIR); /* made just now, empty */
    }
    free(draft.name);
    return r;
}

int ol_layer_publish(struct ol_layer_draft *draft, struct ol_error *err)
{
    return ol_fs_rename_new(draft->home_fd, draft->name, draft->home_fd, draft->id, err);
}

void ol_layer_draft_fini(struct ol_layer_draft *draft)
{
    ol_fd_close(&draft->fd);
    free(draft->name);
    draft->name = NULL;
}

void ol_layer_abandon(struct ol_layer_draft *draft)
{
    /* The first error is reported, not this one; the next open removes what stays. */
    (void)ol_tree_remove(draft->home_fd, draft->name, NULL);
    ol_layer_draft_fini(draft);
}

/* ---- removing ---- */

/* Remove home_fd/name; a mount found below (somebody else's bind mount) is detached first. */
static int remove_unmounted(int home_fd, const char *path, const char *name, struct ol_error *err)
{
    ol_auto_error struct ol_error busy = OL_ERROR_INIT;
    ol_auto_free char *below = NULL;
    int r = ol_tree_remove(home_fd, name, &busy);

    if (r != -EBUSY) {
        ol_error_move(err, &busy);
        return r;
    }
    if (asprintf(&below, "%s/%s", path, name) < 0)
        return ol_error_nomem(err);
    r = ol_mount_detach_below(below, err);
    return r < 0 ? r : ol_tree_remove(home_fd, name, err);
}

int ol_layer_hide(int home_fd, const char *id, struct ol_error *err)
{
    ol_auto_free char *gone = NULL;

    if (!ol_fs_exists(home_fd, id))
        return 0;
    if (asprintf(&gone, OL_LAYER_GONE "%s", id) < 0)
        return ol_error_nomem(err);
    return ol_fs_rename_new(home_fd, id, home_fd, gone, err);
}

int ol_layer_purge(int home_fd, const char *path, const char *id, struct ol_error *err)
{
    ol_auto_free char *gone = NULL;

    if (asprintf(&gone, OL_LAYER_GONE "%s", id) < 0)
        return ol_error_nomem(err);
    if (!ol_fs_exists(home_fd, gone))
        return 0;
    return remove_unmounted(home_fd, path, gone, err);
}

int ol_layer_remove(int home_fd, const char *path, const char *id, struct ol_error *err)
{
    int r = ol_layer_purge(home_fd, path, id, err);

    if (r == 0)
        r = ol_layer_hide(home_fd, id, err);
    return r < 0 ? r : ol_layer_purge(home_fd, path, id, err);
}

int ol_layer_rmdir(int dir_fd, const char *name, struct ol_error *err)
{
    if ((ol_fault_hit("rmdir") || unlinkat(dir_fd, name, AT_REMOVEDIR) < 0) && errno != ENOENT)
        return ol_error_sys(err, errno, "cannot remove directory '%s'", name);
    return 0;
}

/* ---- all layers ---- */

static bool is_dir(int dir_fd, const struct ol_dirent *entry)
{
    if (entry->type != DT_UNKNOWN)
        return entry->type == DT_DIR;
    return ol_layer_exists(dir_fd, entry->name);
}

/* Reads dir_fd through a descriptor of its own: positions are shared by duplicates. */
static int read_names(int dir_fd, struct ol_dirents *list, struct ol_error *err)
{
    ol_auto_fd int fd = ol_fs_open_dir(dir_fd, ".");
    int r = fd < 0 ? fd : ol_dirents_read(list, fd, true);

    return r < 0 ? ol_error_sys(err, -r, "cannot list the layers") : 0;
}

int ol_layers_list(int dir_fd, int (*fn)(const char *id, void *data), void *data,
                   struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    int r = read_names(dir_fd, &list, err);

    for (size_t i = 0; i < list.count && r == 0; i++)
        if (ol_driver_id_valid(list.items[i].name) && is_dir(dir_fd, &list.items[i]))
            r = fn(list.items[i].name, data);
    return r;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

int ol_layers_clean(int home_fd, const char *path, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    int r = read_names(home_fd, &list, err);

    for (size_t i = 0; i < list.count && r == 0; i++) {
        const char *name = list.items[i].name;
        if (!starts_with(name, OL_LAYER_NEW) && !starts_with(name, OL_LAYER_GONE) &&
            !starts_with(name, OL_LAYER_TEST))
            continue;
        ol_trace(OL_TRACE_DRIVER, "removing '%s', left half-made by an earlier process", name);
        r = remove_unmounted(home_fd, path, name, err);
    }
    return r;
}

/* ---- directories of a layer ---- */

int ol_layer_rename_over(int dir_fd, const char *made, const char *name, struct ol_error *err)
{
    if (ol_fault_hit("renameat") || renameat(dir_fd, made, dir_fd, name) < 0)
        return ol_error_sys(err, errno, "cannot rename '%s' to '%s'", made, name);
    return 0;
}

bool ol_layer_dir_is_empty(int dir_fd, const char *name)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(dir_fd, name);

    return fd >= 0 && ol_dirents_read(&list, fd, false) == 0 && list.count == 0;
}

int ol_layer_size(int dir_fd, uint64_t *ret_bytes, struct ol_error *err)
{
    struct ol_tree_usage usage;
    int r = ol_tree_usage(dir_fd, false, &usage, err);

    if (r == 0)
        *ret_bytes = usage.apparent_bytes;
    return r;
}

int ol_layer_mark(int layer_fd, struct ol_error *err)
{
    int r = ol_fs_write_file(layer_fd, OL_LAYER_APPLYING, "", 0, 0600, err);

    if (r < 0)
        (void)unlinkat(layer_fd, OL_LAYER_APPLYING, 0); /* a failed write may have made it */
    return r;
}

int ol_layer_unmark(int layer_fd, struct ol_error *err)
{
    return ol_fs_unlink(layer_fd, OL_LAYER_APPLYING, err);
}
