/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carrying a replay out: the layer's tar is read once more, and each entry is made through the
 * container's root, whatever view is behind it. Owner, attributes, mode and times are those of the
 * entry; the times of directories come last, because every change in them moves these.
 */
#include "bench/workloads/replay_internal.h"

#include "bench/oracle/tree.h"
#include "common/cleanup.h"
#include "common/layer/entries.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A directory of the layer, and the time it gets in the end. */
struct dir_time {
    const char *path; /* the item's */
    struct timespec mtime;
};

struct run {
    const struct ol_replay *replay;
    struct ol_rootfs *fs;
    size_t at;              /* the next item */
    struct dir_time *times; /* owned; room for every item */
    size_t n_times;
    struct ol_meta_counts counts;
};

static int set_meta(struct run *run, const char *path, const struct ol_reader_entry *entry,
                    struct ol_error *err)
{
    struct ol_meta meta = ol_meta_of(&entry->header, run->replay->keep_owner);

    meta.xattrs = entry->xattrs;
    meta.n_xattrs = entry->n_xattrs;
    return ol_rootfs_set_meta(run->fs, path, &meta, &run->counts, err);
}

/* @return 1 there, 0 not there */
static int look(struct run *run, const char *path, struct stat *ret, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = ol_rootfs_lstat(run->fs, path, ret, &why);

    if (r == 0)
        return 1;
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    ol_error_move(err, &why);
    return r;
}

static int imply(struct run *run, const char *path, struct ol_error *err)
{
    struct stat st;
    int r = look(run, path, &st, err);

    return r != 0 ? (r < 0 ? r : 0) : ol_rootfs_mkdir(run->fs, path, 0755, err);
}

/* Its own metadata stays, as far as the layer says nothing else. */
static int empty(struct run *run, const char *path, struct ol_error *err)
{
    struct stat st;
    int r = look(run, path, &st, err);

    if (r <= 0)
        return r;
    r = ol_rootfs_remove_tree(run->fs, path, err);
    if (r == 0)
        r = ol_rootfs_mkdir(run->fs, path, st.st_mode & 07777, err);
    return r < 0 || !run->replay->keep_owner
               ? r
               : ol_rootfs_chown(run->fs, path, st.st_uid, st.st_gid, err);
}

static int write_file(struct run *run, const char *path, const struct ol_reader_entry *entry,
                      struct ol_reader *reader, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    int r;

    if (entry->header.size == 0)
        return 0;
    r = ol_rootfs_open(run->fs, path, true, &fd, err);
    return r < 0 ? r : ol_entry_write(entry, reader, fd, err);
}

static int put_file(struct run *run, const struct ol_replay_item *item, bool there,
                    const struct ol_reader_entry *entry, struct ol_reader *reader,
                    struct ol_error *err)
{
    int r = there ? ol_rootfs_write(run->fs, item->path, "", 0, err)
                  : ol_rootfs_create(run->fs, item->path, entry->header.mode & 0777, "", 0, err);

    return r < 0 ? r : write_file(run, item->path, entry, reader, err);
}

/* @return 1 made, 0 left out: not without privileges */
static int put_special(struct run *run, const char *path, const struct ol_entry *entry,
                       struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    mode_t type = entry->type == OL_ENTRY_FIFO   ? S_IFIFO
                  : entry->type == OL_ENTRY_CHAR ? S_IFCHR
                                                 : S_IFBLK;
    int r = ol_rootfs_mknod(run->fs, path, type | (entry->mode & 0777),
                            makedev(entry->dev_major, entry->dev_minor), &why);

    if (r == 0)
        return 1;
    if (r == -EPERM && type != S_IFIFO)
        return 0;
    ol_error_move(err, &why);
    return r;
}

/* @return 1 when there is an object to give metadata to */
static int make(struct run *run, const struct ol_replay_item *item, bool there,
                const struct ol_reader_entry *entry, struct ol_reader *reader, struct ol_error *err)
{
    int r = 0;

    switch ((enum ol_mtype)item->type) {
    case OL_M_DIR:
        if (!there)
            r = ol_rootfs_mkdir(run->fs, item->path, entry->header.mode & 0777, err);
        break;
    case OL_M_FILE:
        r = put_file(run, item, there, entry, reader, err);
        break;
    case OL_M_SYMLINK:
        if (!there)
            r = ol_rootfs_symlink(run->fs, entry->header.link, item->path, err);
        break;
    default:
        return put_special(run, item->path, &entry->header, err);
    }
    return r < 0 ? r : 1;
}

/* What is there stays, changed, when it is of the kind that can: then only it is copied up. */
static bool can_stay(const struct ol_replay_item *item, const struct stat *st)
{
    switch ((enum ol_mtype)item->type) {
    case OL_M_DIR:
        return S_ISDIR(st->st_mode);
    case OL_M_FILE:
        return S_ISREG(st->st_mode) && !item->fresh;
    case OL_M_SYMLINK:
        return S_ISLNK(st->st_mode) && item->same;
    default:
        return false;
    }
}

static int put(struct run *run, const struct ol_replay_item *item,
               const struct ol_reader_entry *entry, struct ol_reader *reader, struct ol_error *err)
{
    struct stat st;
    int r = look(run, item->path, &st, err);
    bool there = r > 0 && can_stay(item, &st);

    if (r > 0 && !there)
        r = ol_rootfs_remove_tree(run->fs, item->path, err);
    if (r >= 0)
        r = make(run, item, there, entry, reader, err);
    return r <= 0 ? r : set_meta(run, item->path, entry, err);
}

static int link_name(struct run *run, const struct ol_replay_item *item, struct ol_error *err)
{
    int r = ol_rootfs_remove_tree(run->fs, item->path, err);

    return r < 0 ? r : ol_rootfs_link(run->fs, item->target, item->path, err);
}

static int carry_out(struct run *run, const struct ol_replay_item *item,
                     const struct ol_reader_entry *entry, struct ol_reader *reader,
                     struct ol_error *err)
{
    int r = 0;

    switch ((enum ol_replay_op)item->op) {
    case OL_REPLAY_NOTHING:
        return 0;
    case OL_REPLAY_IMPLY:
        return imply(run, item->path, err);
    case OL_REPLAY_EMPTY:
        return empty(run, item->path, err);
    case OL_REPLAY_REMOVE:
        return ol_rootfs_remove_tree(run->fs, item->path, err);
    case OL_REPLAY_PUT:
        return put(run, item, entry, reader, err);
    case OL_REPLAY_LINK:
        r = link_name(run, item, err);
        break;
    case OL_REPLAY_MOVE:
        r = ol_rootfs_remove_tree(run->fs, item->path, err); /* an earlier entry of the name */
        if (r == 0)
            r = ol_rootfs_rename(run->fs, item->target, item->path, err);
        break;
    }
    return r < 0 ? r : set_meta(run, item->path, entry, err);
}

static int changed(struct ol_error *err)
{
    return ol_error_set(err, -EBADMSG, "the layer has changed since it was planned");
}

/* The items before the entry's own, then that one. */
static int take_entry(const struct ol_reader_entry *entry, struct ol_reader *reader, void *data,
                      struct ol_error *err)
{
    struct run *run = data;
    bool mine = false;
    int r = 0;

    while (r == 0 && !mine) {
        const struct ol_replay_item *item;

        if (run->at == run->replay->count)
            return changed(err);
        item = &run->replay->items[run->at++];
        if (item->op == OL_REPLAY_PUT && ol_replay_type(entry->header.type) != item->type)
            return changed(err);
        mine = item->entry;
        r = carry_out(run, item, entry, reader, err);
        if (item->stays)
            run->times[run->n_times++] = (struct dir_time){item->path, entry->header.mtime};
    }
    return r < 0 ? ol_error_wrap(err, r, "replaying '%s'", entry->header.path) : 0;
}

static int set_times(struct run *run, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < run->n_times && r == 0; i++)
        r = ol_rootfs_set_mtime(run->fs, run->times[i].path, run->times[i].mtime, err);
    return r;
}

int ol_replay_run(const struct ol_replay *replay, struct ol_rootfs *fs, struct ol_error *err)
{
    struct run run = {.replay = replay, .fs = fs};
    int r;

    run.times = calloc(replay->count + 1, sizeof *run.times);
    if (run.times == NULL)
        return ol_error_nomem(err);
    r = ol_layer_entries(&replay->input, take_entry, &run, err);
    if (r == 0 && run.at < replay->count)
        r = changed(err);
    if (r == 0)
        r = set_times(&run, err);
    free(run.times);
    return r < 0 ? ol_error_wrap(err, r, "layer %zu", replay->layer) : 0;
}
