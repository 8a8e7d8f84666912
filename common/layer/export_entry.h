/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second half of an export: one object as a tar entry, with the header rules all exports share.
 * Not for use outside common/layer.
 */
#ifndef OL_COMMON_LAYER_EXPORT_ENTRY_H
#define OL_COMMON_LAYER_EXPORT_ENTRY_H

#include "common/buf.h"
#include "common/fs/inode_map.h"
#include "common/layer/export_item.h"
#include "common/layer/owner_names.h"
#include "common/layer/tar_writer.h"

struct ol_export_entries {
    struct ol_tar_writer *tar;    /* borrowed */
    struct ol_owner_names *names; /* owned; NULL: owners have no names */
    struct ol_inode_map links;    /* where in paths the first name of an inode is */
    struct ol_buf paths;          /* names hard links point to, each with its NUL */
    struct ol_buf name;           /* scratch: the entry's name */
};

void ol_export_entries_fini(struct ol_export_entries *entries);

/**
 * Write the entry, and the content through item->fd, which stays open.
 * @param text  what the offsets in item are of
 */
int ol_export_put(struct ol_export_entries *entries, const struct ol_export_item *item,
                  const char *text, struct ol_error *err);

#endif
