/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepare and View (containerd overlay.go, createSnapshot), in its order: transaction, directory
 * "new-<random>", record, owner, rename to "<id>", commit. A record thus always has its directory;
 * docs/snapshotter.md goes through the failures and crashes.
 */
#include "drivers/snapshot/internal.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Remove what was made for a snapshot that will not be. The first error is the one to report; this
 * one is added to it. */
static int undo(struct ol_snapshots *sn, const char *name, int r, struct ol_error *err)
{
    ol_auto_error struct ol_error second = OL_ERROR_INIT;

    if (ol_tree_remove(sn->dir_fd, name, &second) == 0)
        return r;
    return ol_error_wrap(err, r, "'%s/%s' is left behind (%s)", sn->dir, name,
                         ol_error_text(&second));
}

static int fill(struct ol_snapshots *sn, const char *name, enum ol_snapshot_kind kind,
                struct ol_error *err)
{
    ol_auto_fd int fd = ol_fs_open_dir(sn->dir_fd, name);
    int r;

    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s/%s'", sn->dir, name);
    r = ol_fs_mkdir(fd, "fs", 0755, err);
    if (r == 0 && kind == OL_SNAPSHOT_ACTIVE)
        r = ol_fs_mkdir(fd, "work", 0711, err);
    return r;
}

/* The directory under its temporary name. */
static int make(struct ol_snapshots *sn, enum ol_snapshot_kind kind, char **ret_name,
                struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    int r = ol_fs_mkdir_temp(sn->dir_fd, OL_SNAPSHOT_NEW, &name, err);

    if (r < 0)
        return r;
    r = fill(sn, name, kind, err);
    if (r < 0)
        return undo(sn, name, r, err);
    *ret_name = ol_ptr_steal(name);
    return 0;
}

/* Owner and group of the parent's root, not its mode: that stays 0755 (containerd). */
static int take_owner(struct ol_snapshots *sn, const char *name,
                      const struct ol_meta_snapshot *snapshot, struct ol_error *err)
{
    ol_auto_fd int parent_fd = -1;
    ol_auto_fd int dir_fd = -1;
    struct stat above;
    struct stat st;

    if (snapshot->n_parents == 0)
        return 0;
    parent_fd = ol_snapshot_open_fs(sn, snapshot->parents[0], err);
    if (parent_fd < 0)
        return ol_error_wrap(err, parent_fd, "the parent's");
    dir_fd = ol_fs_open_dir(sn->dir_fd, name);
    if (dir_fd < 0)
        return ol_error_sys(err, -dir_fd, "cannot open '%s/%s'", sn->dir, name);
    if (fstat(parent_fd, &above) < 0 || fstatat(dir_fd, "fs", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return ol_error_sys(err, errno, "cannot stat the parent of '%s/%s'", sn->dir, name);
    if (above.st_uid == st.st_uid && above.st_gid == st.st_gid)
        return 0;
    if (ol_fault_hit("fchownat") ||
        fchownat(dir_fd, "fs", above.st_uid, above.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return ol_error_sys(err, errno, "cannot give '%s/%s/fs' the owner %u:%u of its parent",
                            sn->dir, name, above.st_uid, above.st_gid);
    return 0;
}

/*
 * A directory with this id but no record is what a crash between rename and commit left: the id was
 * never given out, and as the only writer we may remove it. (containerd fails once, removing it,
 * and works the next time.)
 */
static int publish(struct ol_snapshots *sn, struct ol_metatxn *txn, const char *name,
                   const char *id_name, struct ol_error *err)
{
    int r = ol_fs_rename_new(sn->dir_fd, name, sn->dir_fd, id_name, NULL);

    if (r == -EEXIST) {
        ol_trace(OL_TRACE_DRIVER, "removing orphan %s/%s", sn->dir, id_name);
        r = ol_meta_check_indexes(txn, err); /* that it is an orphan, indeed */
        if (r == 0)
            r = ol_tree_remove(sn->dir_fd, id_name, err);
        if (r < 0)
            return r;
        return ol_fs_rename_new(sn->dir_fd, name, sn->dir_fd, id_name, err);
    }
    if (r < 0)
        return ol_error_sys(err, -r, "cannot rename '%s/%s' to '%s'", sn->dir, name, id_name);
    return 0;
}

struct order {
    enum ol_snapshot_kind kind;
    const char *key, *parent;
    const struct ol_labels *labels;
};

static int create_locked(struct ol_snapshots *sn, struct ol_metatxn *begun,
                         const struct order *order, struct ol_snapshot_mount *mount,
                         struct ol_error *err)
{
    ol_auto_free char *name = NULL;
    ol_auto_metatxn struct ol_metatxn *txn = begun;
    ol_auto_meta_snapshot struct ol_meta_snapshot snapshot = {0};
    char id_name[OL_SNAPSHOT_NAME_SIZE];
    int r = make(sn, order->kind, &name, err);

    if (r < 0)
        return r;
    r = ol_meta_create(txn, order->kind, order->key, order->parent, order->labels, &snapshot, err);
    if (r == 0)
        r = take_owner(sn, name, &snapshot, err);
    if (r == 0)
        r = ol_snapshot_mount_of(sn, &snapshot, mount, err);
    ol_snapshot_name(snapshot.id, "", id_name);
    if (r == 0)
        r = publish(sn, txn, name, id_name, err);
    if (r < 0) {
        ol_metatxn_abort(ol_ptr_steal(txn));
        return undo(sn, name, r, err);
    }
    /* The transaction is over after this, whatever it returns: containerd's "rollback = false"
     * before Commit. What is left to take back is the directory, while the lock is held. */
    r = ol_metatxn_commit(ol_ptr_steal(txn), err);
    return r < 0 ? undo(sn, id_name, r, err) : 0;
}

static int create(struct ol_snapshots *sn, const struct order *order, struct ol_snapshot_mount *ret,
                  struct ol_error *err)
{
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    struct ol_metatxn *txn = NULL;
    int r = ol_snapshots_lock(sn, &txn, err);

    if (r < 0)
        return r;
    r = create_locked(sn, txn, order, &mount, err);
    ol_snapshots_unlock(sn);
    if (r < 0)
        return ol_error_wrap(err, r, "cannot make snapshot '%s'", order->key);
    if (ret != NULL) {
        *ret = mount;
        mount = (struct ol_snapshot_mount){0};
    }
    return 0;
}

int ol_snapshots_prepare(struct ol_snapshots *sn, const char *key, const char *parent,
                         const struct ol_labels *labels, struct ol_snapshot_mount *ret,
                         struct ol_error *err)
{
    return create(sn, &(struct order){OL_SNAPSHOT_ACTIVE, key, parent, labels}, ret, err);
}

int ol_snapshots_view(struct ol_snapshots *sn, const char *key, const char *parent,
                      const struct ol_labels *labels, struct ol_snapshot_mount *ret,
                      struct ol_error *err)
{
    return create(sn, &(struct order){OL_SNAPSHOT_VIEW, key, parent, labels}, ret, err);
}
