/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first half of an export: all that is to be known of one file-system object, taken from the
 * file system so that the second half (export_entry.h) needs only this. Not for use outside
 * common/layer.
 */
#ifndef OL_COMMON_LAYER_EXPORT_ITEM_H
#define OL_COMMON_LAYER_EXPORT_ITEM_H

#include "common/buf.h"
#include "common/error.h"
#include "common/fs/whiteout.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum { OL_EXPORT_CAPABILITY_MAX = 64 }; /* bytes; the kernel stores 24 at most */

struct ol_export_item {
    struct stat st;
    int fd;        /* owned: the content of a regular file that has one; else -1 */
    size_t path;   /* offset in the batch's text: relative, clean, no trailing slash */
    size_t target; /* likewise: of a symlink */
    bool deletion; /* there is no such object: path is deleted, st holds only the time */
    bool whiteout; /* an overlay upper's character device 0/0 */
    bool opaque;   /* an overlay upper's directory that hides the one below */
    size_t capability_len;
    char capability[OL_EXPORT_CAPABILITY_MAX]; /* security.capability, as it is exported */
};

/** Where an object is, and what it is in. */
struct ol_export_place {
    int dir_fd;       /* borrowed */
    const char *name; /* in dir_fd */
    const char *path; /* in the tar */
    bool upper;       /* an overlay upper directory: whiteouts and opaque directories */
    enum ol_overlay_ns ns;
};

/**
 * @param st    of the object, not followed, perhaps outdated by now
 * @param text  takes the strings
 * @return 1; 0 leave it out: it is a socket or has vanished; -EBUSY it is replaced again and again;
 *         or the errno of the failing call. Then nothing is owned.
 */
int ol_export_look(const struct ol_export_place *place, const struct stat *st, struct ol_buf *text,
                   struct ol_export_item *ret, struct ol_error *err);

#endif
