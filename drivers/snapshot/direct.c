/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot's root without a mount: the directories that would be mounted, read and written in
 * overlay's own format by hand (drivers/rootfs.h).
 */
#include "drivers/snapshot/internal.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "drivers/rootfs.h"

/* The directories of the mount, topmost first, and its workdir. */
struct dirs {
    int *fds; /* owned, and what they are */
    size_t count;
    int work_fd; /* owned */
};

static void dirs_fini(struct dirs *dirs)
{
    for (size_t i = 0; i < dirs->count; i++)
        ol_fd_close(&dirs->fds[i]);
    free(dirs->fds);
    ol_fd_close(&dirs->work_fd);
}
#define auto_dirs __attribute__((cleanup(dirs_fini)))

static int add_dir(struct ol_snapshots *sn, uint64_t id, struct dirs *dirs, struct ol_error *err)
{
    int fd = ol_snapshot_open_fs(sn, id, err);

    if (fd < 0)
        return fd;
    dirs->fds[dirs->count++] = fd;
    return 0;
}

static int open_work(struct ol_snapshots *sn, uint64_t id, struct dirs *dirs, struct ol_error *err)
{
    char name[OL_SNAPSHOT_NAME_SIZE];

    ol_snapshot_name(id, "work", name);
    dirs->work_fd = ol_fs_open_dir(sn->dir_fd, name);
    return dirs->work_fd < 0
               ? ol_error_sys(err, -dirs->work_fd, "cannot open '%s/%s'", sn->dir, name)
               : 0;
}

/* As ol_snapshot_mount_of() chooses them: a view's own directory counts when it is alone. */
static int open_dirs(struct ol_snapshots *sn, const struct ol_meta_snapshot *snapshot,
                     struct dirs *dirs, struct ol_error *err)
{
    bool active = snapshot->kind == OL_SNAPSHOT_ACTIVE;
    int r = 0;

    dirs->fds = calloc(snapshot->n_parents + 1, sizeof *dirs->fds);
    if (dirs->fds == NULL)
        return ol_error_nomem(err);
    if (active || snapshot->n_parents == 0)
        r = add_dir(sn, snapshot->id, dirs, err);
    for (size_t i = 0; i < snapshot->n_parents && r == 0; i++)
        r = add_dir(sn, snapshot->parents[i], dirs, err);
    return r == 0 && active ? open_work(sn, snapshot->id, dirs, err) : r;
}

int ol_snapshots_open_rootfs(struct ol_snapshots *sn, const char *key, struct ol_rootfs **ret,
                             struct ol_error *err)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    ol_auto_meta_snapshot struct ol_meta_snapshot snapshot = {0};
    auto_dirs struct dirs dirs = {.work_fd = -1};
    struct ol_stack stack = {.overlay = true, .ns = sn->ns};
    int r = ol_snapshots_read(sn, &txn, err);

    if (r == 0)
        r = ol_meta_get(txn, key, &snapshot, err);
    if (r == 0)
        r = open_dirs(sn, &snapshot, &dirs, err);
    if (r < 0)
        return r;
    if (snapshot.kind == OL_SNAPSHOT_ACTIVE && snapshot.n_parents == 0)
        return ol_rootfs_open_dir(ol_fd_steal(&dirs.fds[0]), ret, err);
    stack.fds = dirs.fds;
    stack.count = dirs.count;
    return ol_rootfs_open_overlay(&stack, dirs.work_fd, ret, err);
}
