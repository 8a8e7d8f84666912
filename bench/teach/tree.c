/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures of directories and their comparison; see tree.h. The trees are meant to fit on a screen:
 * inodes are looked for one by one.
 */
#include "bench/teach/tree.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/fs/whiteout.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

/* ---- taking ---- */

struct take {
    struct ol_capture *capture;
    dev_t dev; /* of the root */
};

static void entry_fini(struct ol_capture_entry *entry)
{
    free(entry->path);
    free(entry->target);
    ol_buf_fini(&entry->handle);
    ol_buf_fini(&entry->content);
}

void ol_capture_fini(struct ol_capture *capture)
{
    for (size_t i = 0; i < capture->count; i++)
        entry_fini(&capture->entries[i]);
    free(capture->entries);
    *capture = (struct ol_capture){0};
}

/* Inode and generation; some file systems have none, and then the number has to do. */
static int read_handle(const struct ol_walk_entry *at, struct ol_buf *ret)
{
    char room[sizeof(struct file_handle) + MAX_HANDLE_SZ] = {0};
    struct file_handle *handle = (struct file_handle *)room;
    int mount_id;

    handle->handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(at->dir_fd, at->name, handle, &mount_id, 0) < 0)
        return errno == ENOMEM ? -ENOMEM : 0;
    return ol_buf_append(ret, handle->f_handle, handle->handle_bytes);
}

static int read_target(const struct ol_walk_entry *at, struct ol_capture_entry *entry)
{
    const size_t len = (size_t)at->st->st_size;
    ol_auto_free char *text = calloc(len + 1, 1);

    if (text == NULL)
        return -ENOMEM;
    if (readlinkat(at->dir_fd, at->name, text, len) < 0)
        return -errno;
    entry->target = ol_ptr_steal(text);
    return 0;
}

/* What may not be read is not compared: whose file it is does not matter here. */
static int read_content(const struct ol_walk_entry *at, struct ol_capture_entry *entry)
{
    int r;

    if (entry->size_bytes > OL_CAPTURE_CONTENT_MAX)
        return 0;
    r = ol_fs_read_file(at->dir_fd, at->name, OL_CAPTURE_CONTENT_MAX, &entry->content, NULL);
    return r == -EACCES || r == -EPERM ? 0 : r;
}

static const char *opaque_by(const struct ol_walk_entry *at)
{
    static const enum ol_overlay_ns both[] = {OL_OVERLAY_TRUSTED, OL_OVERLAY_USER};

    for (size_t i = 0; i < OL_ARRAY_LEN(both); i++) {
        if (ol_whiteout_is_opaque(at->dir_fd, at->name, both[i]))
            return ol_whiteout_opaque_attr(both[i]);
    }
    return NULL;
}

/* Under a mount the directory itself shows only its number, in the directory it is in. */
static int look_under(const struct ol_walk_entry *at, dev_t dev, struct ol_capture_entry *entry)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;
    ol_auto_fd int fd = openat(at->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : ol_dirents_read(&list, fd, false);

    for (size_t i = 0; r == 0 && i < list.count; i++) {
        if (strcmp(list.items[i].name, at->name) == 0)
            entry->ino = list.items[i].ino;
    }
    entry->dev = dev;
    entry->mounted = true;
    entry->links = 0;
    entry->size_bytes = 0;
    entry->disk_bytes = 0;
    return r;
}

static int describe(const struct ol_walk_entry *at, dev_t dev, struct ol_capture_entry *entry)
{
    int r;

    if (at->st->st_dev != dev)
        return look_under(at, dev, entry);
    r = read_handle(at, &entry->handle);
    if (r < 0)
        return r;
    switch (at->st->st_mode & S_IFMT) {
    case S_IFLNK:
        return read_target(at, entry);
    case S_IFREG:
        return read_content(at, entry);
    case S_IFDIR:
        entry->opaque = opaque_by(at);
        return 0;
    default:
        entry->whiteout = ol_whiteout_is(at->st);
        return 0;
    }
}

static struct ol_capture_entry *add(struct ol_capture *capture, const struct ol_walk_entry *at)
{
    struct ol_capture_entry *entry;

    if (capture->count == capture->room) {
        size_t room = capture->room > 0 ? 2 * capture->room : 64;
        struct ol_capture_entry *grown = reallocarray(capture->entries, room, sizeof *grown);

        if (grown == NULL)
            return NULL;
        capture->entries = grown;
        capture->room = room;
    }
    entry = &capture->entries[capture->count];
    *entry = (struct ol_capture_entry){
        .path = strdup(at->path),
        .depth = at->depth,
        .ino = at->st->st_ino,
        .dev = at->st->st_dev,
        .mode = at->st->st_mode,
        .links = at->st->st_nlink,
        .size_bytes = (uint64_t)at->st->st_size,
        .disk_bytes = (uint64_t)at->st->st_blocks * 512,
        .mtime = at->st->st_mtim,
    };
    if (entry->path == NULL)
        return NULL;
    entry->name = entry->path + (at->name - at->path);
    capture->count++; /* from here on the capture frees what the entry holds */
    return entry;
}

static int take_entry(const struct ol_walk_entry *at, void *data, struct ol_error *err)
{
    struct take *take = data;
    struct ol_capture_entry *entry;
    int r;

    if (at->depth == 0) {
        take->dev = at->st->st_dev;
        return 0;
    }
    entry = add(take->capture, at);
    if (entry == NULL)
        return ol_error_nomem(err);
    r = describe(at, take->dev, entry);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot look at '%s'", at->path);
    return entry->mounted ? 1 : 0;
}

int ol_capture_take(int root_fd, struct ol_capture *ret, struct ol_error *err)
{
    struct ol_capture capture = {0};
    struct take take = {.capture = &capture};
    int r = ol_tree_walk(root_fd, take_entry, &take, err);

    if (r < 0) {
        ol_capture_fini(&capture);
        return r;
    }
    *ret = capture;
    return 0;
}

/* ---- looking ---- */

/* Pre-order with siblings bytewise: a slash comes before every other byte. */
static int compare_paths(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    if (*a == '\0' || *b == '\0')
        return (*a != '\0') - (*b != '\0');
    if (*a == '/' || *b == '/')
        return (*b == '/') - (*a == '/');
    return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

const struct ol_capture_entry *ol_capture_find(const struct ol_capture *capture, const char *path)
{
    for (size_t i = 0; i < capture->count; i++) {
        if (strcmp(capture->entries[i].path, path) == 0)
            return &capture->entries[i];
    }
    return NULL;
}

char ol_capture_letter(const struct ol_capture_entry *entry)
{
    switch (entry->mode & S_IFMT) {
    case S_IFDIR:
        return 'd';
    case S_IFREG:
        return 'f';
    case S_IFLNK:
        return 'l';
    case S_IFCHR:
        return entry->whiteout ? 'w' : 'c';
    case S_IFBLK:
        return 'b';
    case S_IFIFO:
        return 'p';
    default:
        return 's';
    }
}

const char *ol_capture_kind(const struct ol_capture_entry *entry)
{
    switch (ol_capture_letter(entry)) {
    case 'd':
        return "directory";
    case 'f':
        return "file";
    case 'l':
        return "symlink";
    case 'w':
        return "whiteout";
    case 'c':
    case 'b':
        return "device";
    case 'p':
        return "fifo";
    default:
        return "socket";
    }
}

/* ---- comparing ---- */

static bool same_handle(const struct ol_buf *a, const struct ol_buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* What is covered by a mount has no handle: the number has to do. */
static bool same_inode(const struct ol_capture_entry *a, const struct ol_capture_entry *b)
{
    if (a->dev != b->dev || a->ino != b->ino || (a->mode & S_IFMT) != (b->mode & S_IFMT))
        return false;
    return a->mounted || b->mounted || same_handle(&a->handle, &b->handle);
}

static bool is_dir(const struct ol_capture_entry *entry)
{
    return S_ISDIR(entry->mode);
}

/* Times of directories change with every name in them; what is in them is compared by itself. */
static bool same_state(const struct ol_capture_entry *a, const struct ol_capture_entry *b)
{
    if (a->mounted || b->mounted)
        return a->mounted == b->mounted;
    if (a->mode != b->mode || a->opaque != b->opaque)
        return false;
    return is_dir(a) || (a->size_bytes == b->size_bytes && a->mtime.tv_sec == b->mtime.tv_sec &&
                         a->mtime.tv_nsec == b->mtime.tv_nsec);
}

static const struct ol_capture_entry *other_name(const struct ol_capture *capture,
                                                 const struct ol_capture_entry *entry, size_t end)
{
    for (size_t i = 0; i < end; i++) {
        const struct ol_capture_entry *other = &capture->entries[i];

        if (other != entry && same_inode(other, entry))
            return other;
    }
    return NULL;
}

/* A path that had no such inode before. */
static enum ol_tree_change judge_new(const struct ol_capture *before,
                                     const struct ol_capture *after,
                                     const struct ol_capture_entry *now)
{
    const struct ol_capture_entry *old = other_name(before, now, before->count);

    if (old == NULL && !is_dir(now) &&
        other_name(after, now, (size_t)(now - after->entries)) != NULL)
        return OL_TREE_LINKED;
    if (old == NULL)
        return OL_TREE_NEW;
    /* the old name may be another inode's by now, so it is looked for by inode */
    for (size_t i = 0; i < after->count; i++) {
        if (strcmp(after->entries[i].path, old->path) == 0 && same_inode(&after->entries[i], now) &&
            !is_dir(now))
            return OL_TREE_LINKED;
    }
    return OL_TREE_MOVED;
}

/* The file of the same name whose content this new one begins with, the longest there is. */
static const struct ol_capture_entry *copied_from(const struct ol_capture *before,
                                                  const struct ol_capture_entry *now,
                                                  unsigned copy_depth)
{
    const struct ol_capture_entry *best = NULL;

    for (size_t i = 0; i < before->count; i++) {
        const struct ol_capture_entry *old = &before->entries[i];
        size_t len = old->content.len;

        if (len == 0 || old->depth < copy_depth || len > now->content.len ||
            (best != NULL && best->content.len >= len) || strcmp(old->name, now->name) != 0)
            continue;
        if (memcmp(old->content.data, now->content.data, len) == 0)
            best = old;
    }
    return best;
}

static void judge(const struct ol_capture *before, const struct ol_capture *after,
                  unsigned copy_depth, struct ol_tree_row *row)
{
    if (row->now == NULL) {
        row->change = OL_TREE_GONE;
        return;
    }
    row->shared = !is_dir(row->now) && other_name(after, row->now, after->count) != NULL;
    if (before == NULL)
        row->change = OL_TREE_SAME;
    else if (row->was != NULL && same_inode(row->was, row->now))
        row->change = same_state(row->was, row->now) ? OL_TREE_SAME : OL_TREE_CHANGED;
    else
        row->change = judge_new(before, after, row->now);
    if (row->change == OL_TREE_NEW && row->now->depth >= copy_depth)
        row->copy_of = copied_from(before, row->now, copy_depth);
}

static bool is_touched(const struct ol_tree_row *row)
{
    if (row->change != OL_TREE_SAME)
        return true;
    return row->was != NULL && row->was->links != row->now->links && !is_dir(row->now);
}

const struct ol_capture_entry *ol_tree_row_entry(const struct ol_tree_row *row)
{
    return row->now != NULL ? row->now : row->was;
}

/* Backwards: what is below a directory comes after it. */
static void spread_touched(struct ol_tree_rows *rows)
{
    unsigned above = 0; /* a directory of this depth or less has something touched below it */

    for (size_t i = rows->count; i-- > 0;) {
        struct ol_tree_row *row = &rows->rows[i];
        unsigned depth = ol_tree_row_entry(row)->depth;

        row->touched = is_touched(row) || depth <= above;
        if (depth <= above)
            above = 0;
        if (row->touched && depth - 1 > above)
            above = depth - 1;
    }
}

/* Both lists have the same order: take the smaller path, or both. */
static void merge(const struct ol_capture *before, const struct ol_capture *after,
                  unsigned copy_depth, struct ol_tree_rows *rows)
{
    size_t i = 0;
    size_t j = 0;

    while ((before != NULL && i < before->count) || j < after->count) {
        struct ol_tree_row *row = &rows->rows[rows->count++];
        int order = 1;

        *row = (struct ol_tree_row){0};
        if (before != NULL && i < before->count)
            order = j < after->count
                        ? compare_paths(before->entries[i].path, after->entries[j].path)
                        : -1;
        if (order <= 0)
            row->was = &before->entries[i++];
        if (order >= 0)
            row->now = &after->entries[j++];
        judge(before, after, copy_depth, row);
    }
}

int ol_tree_compare(const struct ol_capture *before, const struct ol_capture *after,
                    unsigned copy_depth, struct ol_tree_rows *ret)
{
    const size_t most = after->count + (before != NULL ? before->count : 0);
    struct ol_tree_rows rows = {.rows = calloc(most + 1, sizeof *rows.rows)};

    if (rows.rows == NULL)
        return -ENOMEM;
    merge(before, after, copy_depth, &rows);
    spread_touched(&rows);
    *ret = rows;
    return 0;
}

void ol_tree_rows_fini(struct ol_tree_rows *rows)
{
    free(rows->rows);
    *rows = (struct ol_tree_rows){0};
}
