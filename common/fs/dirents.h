/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of one directory, read with getdents64 into one reusable buffer. */
#ifndef OL_COMMON_FS_DIRENTS_H
#define OL_COMMON_FS_DIRENTS_H

#include "common/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct ol_dirent {
    const char *name; /* points into the buffer */
    uint64_t ino; /* d_ino: the covered inode for a mount point; not comparable on overlay mounts */
    unsigned char type; /* DT_*, DT_UNKNOWN where the file system does not say */
};

struct ol_dirents {
    struct ol_buf raw;       /* getdents64 records */
    struct ol_dirent *items; /* owned; without "." and ".." */
    size_t count;
    size_t cap;
};

#define OL_DIRENTS_INIT                                                                            \
    {                                                                                              \
        .raw = OL_BUF_INIT                                                                         \
    }

/**
 * Read the whole directory fd, replacing what was there; memory is reused between calls.
 * @param sorted  sort bytewise by name
 * @return 0 or negative errno
 */
int ol_dirents_read(struct ol_dirents *list, int fd, bool sorted);
void ol_dirents_fini(struct ol_dirents *list);
#define ol_auto_dirents __attribute__((cleanup(ol_dirents_fini)))

#endif
