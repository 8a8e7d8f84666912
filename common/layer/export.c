/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three exports: of a list of changes, of a whole tree, of an overlay upper directory. They
 * differ in where entries come from and in what becomes of whiteouts; what one entry looks like is
 * export_entry.c.
 */
#include "common/layer/export.h"

#include "common/cleanup.h"
#include "common/fs/tree.h"
#include "common/layer/export_entry.h"
#include "common/layer/stack.h"

#include <errno.h>
#include <string.h>

/* A result nobody wants costs nothing: on long streams the digest is half of the work. */
static unsigned work_for(const struct ol_export_options *options, const struct ol_tar_result *ret)
{
    unsigned work = options->threads == 1 ? 0 : OL_TAR_THREAD;

    return ret == NULL ? work : work | OL_TAR_DIGEST;
}

static int init(struct ol_exporter *ex, int out_fd, const struct ol_export_options *options,
                const struct ol_tar_result *ret, struct ol_error *err)
{
    return ol_exporter_init(ex, out_fd, work_for(options, ret), options->host_names, err);
}

/* A deletion: everything but the name and the time is zero (moby ExportChanges). */
static int add_deletion(struct ol_exporter *ex, const char *rel, time_t now, struct ol_error *err)
{
    const char *slash = strrchr(rel, '/');
    size_t dir = slash == NULL ? 0 : (size_t)(slash - rel) + 1;
    struct ol_tar_header header = {.type = '0', .mtime = {now, 0}};

    ol_buf_truncate(&ex->name, 0);
    if (ol_buf_append(&ex->name, rel, dir) < 0 || ol_buf_puts(&ex->name, OL_WH_PREFIX) < 0 ||
        ol_buf_puts(&ex->name, rel + dir) < 0)
        return ol_error_nomem(err);
    header.name = ex->name.data;
    return ol_tar_put_header(ex->tar, &header, err);
}

static int add_change(struct ol_exporter *ex, struct ol_stack_cursor *cursor,
                      const struct ol_change *change, time_t now, struct ol_error *err)
{
    struct ol_stack_entry entry;
    int r;

    if (change->kind == OL_CHANGE_DELETE)
        return add_deletion(ex, change->path + 1, now, err);
    r = ol_stack_cursor_find(cursor, change->path, &entry);
    if (r == -ENOENT)
        return 0; /* vanished since the comparison */
    if (r < 0)
        return ol_error_sys(err, -r, "cannot look at '%s'", change->path);
    return ol_exporter_add(ex, entry.dir_fd, entry.name, change->path + 1, &entry.st, err);
}

int ol_export_changes(const struct ol_stack *new_side, const struct ol_changes *changes, int out_fd,
                      const struct ol_export_options *options, struct ol_tar_result *ret,
                      struct ol_error *err)
{
    struct ol_stack_cursor cursor;
    struct ol_exporter ex;
    int r = init(&ex, out_fd, options, ret, err);

    if (r < 0)
        return r;
    r = ol_stack_cursor_init(&cursor, new_side);
    if (r < 0)
        r = ol_error_nomem(err);
    for (size_t i = 0; r == 0 && i < changes->count; i++)
        r = add_change(&ex, &cursor, &changes->items[i], options->now, err);
    if (r == 0)
        r = ol_tar_finish(ex.tar, ret, err);
    ol_stack_cursor_fini(&cursor);
    ol_exporter_fini(&ex);
    return r;
}

static int add_walked(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    struct ol_exporter *ex = data;

    if (entry->depth == 0)
        return 0; /* the root has no entry */
    return ol_exporter_add(ex, entry->dir_fd, entry->name, entry->path, entry->st, err);
}

static int export_walk(struct ol_exporter *ex, int root_fd, struct ol_tar_result *ret,
                       struct ol_error *err)
{
    int r = ol_tree_walk(root_fd, add_walked, ex, err);

    return r == 0 ? ol_tar_finish(ex->tar, ret, err) : r;
}

int ol_export_tree(int root_fd, int out_fd, const struct ol_export_options *options,
                   struct ol_tar_result *ret, struct ol_error *err)
{
    struct ol_exporter ex;
    int r = init(&ex, out_fd, options, ret, err);

    if (r < 0)
        return r;
    r = export_walk(&ex, root_fd, ret, err);
    ol_exporter_fini(&ex);
    return r;
}

int ol_export_upper(int upper_fd, enum ol_overlay_ns ns, int out_fd,
                    const struct ol_export_options *options, struct ol_tar_result *ret,
                    struct ol_error *err)
{
    struct ol_exporter ex;
    int r = init(&ex, out_fd, options, ret, err);

    if (r < 0)
        return r;
    ex.upper = true;
    ex.ns = ns;
    r = export_walk(&ex, upper_fd, ret, err);
    ol_exporter_fini(&ex);
    return r;
}
