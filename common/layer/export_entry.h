/* SPDX-License-Identifier: Apache-2.0 */
/* One file-system object as a tar entry, with the header rules all exports share. */
#ifndef OL_COMMON_LAYER_EXPORT_ENTRY_H
#define OL_COMMON_LAYER_EXPORT_ENTRY_H

#include "common/buf.h"
#include "common/fs/inode_map.h"
#include "common/fs/whiteout.h"
#include "common/layer/owner_names.h"
#include "common/layer/tar_writer.h"

#include <stdbool.h>

struct ol_exporter {
    struct ol_tar_writer *tar;    /* owned */
    struct ol_inode_map links;    /* where in paths the first name of an inode is */
    struct ol_buf paths;          /* names hard links point to, each with its NUL */
    bool upper;                   /* an overlay upper: whiteouts back to AUFS names */
    enum ol_overlay_ns ns;        /* upper: name of the opaque attribute */
    struct ol_owner_names *names; /* owned; NULL: owners have no names */
    struct ol_buf name;           /* scratch: the entry's name */
    struct ol_buf link;           /* scratch: a symlink's text */
};

/**
 * @param work        see ol_tar_writer_set_work()
 * @param host_names  fill in the owners' names
 * @return 0 or negative errno; nothing to release then
 */
int ol_exporter_init(struct ol_exporter *ex, int out_fd, unsigned work, bool host_names,
                     struct ol_error *err);
void ol_exporter_fini(struct ol_exporter *ex);

/**
 * Write the entry for dir_fd/name (moby addTarFile): sockets and what vanished in between are left
 * out.
 * @param path  relative, clean, without trailing slash
 * @param st    not followed
 */
int ol_exporter_add(struct ol_exporter *ex, int dir_fd, const char *name, const char *path,
                    const struct stat *st, struct ol_error *err);

#endif
