/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three exports: of a list of changes, of a whole tree, of an overlay upper directory. They
 * differ in where entries come from and in what becomes of whiteouts; looking at an object is
 * export_item.c, what its entry looks like export_entry.c.
 */
#include "common/layer/export.h"

#include "common/cleanup.h"
#include "common/fs/tree.h"
#include "common/layer/exporter.h"
#include "common/layer/stack.h"

#include <errno.h>

/* A result nobody wants costs nothing: on long streams the digest is half of the work. */
static unsigned work_for(const struct ol_export_options *options, const struct ol_tar_result *ret)
{
    unsigned work = options->threads == 1 ? 0 : OL_TAR_THREAD;

    return ret == NULL ? work : work | OL_TAR_DIGEST;
}

static int begin(int out_fd, const struct ol_export_options *options,
                 const struct ol_tar_result *ret, struct ol_exporter **ret_ex, struct ol_error *err)
{
    return ol_exporter_new(out_fd, work_for(options, ret), options->host_names, ret_ex, err);
}

static int add_change(struct ol_exporter *ex, struct ol_stack_cursor *cursor,
                      const struct ol_change *change, time_t now, struct ol_error *err)
{
    struct ol_stack_entry entry;
    struct ol_export_place place = {.path = change->path + 1};
    int r;

    if (change->kind == OL_CHANGE_DELETE)
        return ol_exporter_add_deletion(ex, place.path, now, err);
    r = ol_stack_cursor_find(cursor, change->path, &entry);
    if (r == -ENOENT)
        return 0; /* vanished since the comparison */
    if (r < 0)
        return ol_error_sys(err, -r, "cannot look at '%s'", change->path);
    place.dir_fd = entry.dir_fd;
    place.name = entry.name;
    return ol_exporter_add(ex, &place, &entry.st, err);
}

int ol_export_changes(const struct ol_stack *new_side, const struct ol_changes *changes, int out_fd,
                      const struct ol_export_options *options, struct ol_tar_result *ret,
                      struct ol_error *err)
{
    struct ol_stack_cursor cursor;
    struct ol_exporter *ex = NULL;
    int r = begin(out_fd, options, ret, &ex, err);

    if (r < 0)
        return r;
    r = ol_stack_cursor_init(&cursor, new_side);
    if (r < 0)
        r = ol_error_nomem(err);
    for (size_t i = 0; r == 0 && i < changes->count; i++)
        r = add_change(ex, &cursor, &changes->items[i], options->now, err);
    if (r == 0)
        r = ol_exporter_finish(ex, ret, err);
    ol_stack_cursor_fini(&cursor);
    ol_exporter_free(ex);
    return r;
}

/* A walk that exports what it meets. */
struct walk {
    struct ol_exporter *ex;
    bool upper;
    enum ol_overlay_ns ns;
};

static int add_walked(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    const struct walk *walk = data;
    const struct ol_export_place place = {.dir_fd = entry->dir_fd,
                                          .name = entry->name,
                                          .path = entry->path,
                                          .upper = walk->upper,
                                          .ns = walk->ns};

    if (entry->depth == 0)
        return 0; /* the root has no entry */
    return ol_exporter_add(walk->ex, &place, entry->st, err);
}

static int export_walk(struct walk *walk, int root_fd, int out_fd,
                       const struct ol_export_options *options, struct ol_tar_result *ret,
                       struct ol_error *err)
{
    int r = begin(out_fd, options, ret, &walk->ex, err);

    if (r < 0)
        return r;
    r = ol_tree_walk(root_fd, add_walked, walk, err);
    if (r == 0)
        r = ol_exporter_finish(walk->ex, ret, err);
    ol_exporter_free(walk->ex);
    return r;
}

int ol_export_tree(int root_fd, int out_fd, const struct ol_export_options *options,
                   struct ol_tar_result *ret, struct ol_error *err)
{
    struct walk walk = {.upper = false};

    return export_walk(&walk, root_fd, out_fd, options, ret, err);
}

int ol_export_upper(int upper_fd, enum ol_overlay_ns ns, int out_fd,
                    const struct ol_export_options *options, struct ol_tar_result *ret,
                    struct ol_error *err)
{
    struct walk walk = {.upper = true, .ns = ns};

    return export_walk(&walk, upper_fd, out_fd, options, ret, err);
}
