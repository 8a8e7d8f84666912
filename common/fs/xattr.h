/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes by descriptor or by (dir_fd, name) without following the name. */
#ifndef OL_COMMON_FS_XATTR_H
#define OL_COMMON_FS_XATTR_H

#include "common/buf.h"
#include "common/error.h"

#include <stdbool.h>
#include <sys/types.h>

/**
 * Get one attribute of dir_fd/name, not following it; name "" means dir_fd itself. Uses
 * getxattrat(2) (Linux 6.13) and falls back to /proc/self/fd/N/name.
 * @param value  at most len bytes
 * @return length, -ENODATA when absent (also when the file system has no xattrs), or negative errno
 */
ssize_t ol_xattr_get(int dir_fd, const char *name, const char *attr, void *value, size_t len);

/** Set one attribute of dir_fd/name, not following it; name "" means dir_fd itself. */
int ol_xattr_set(int dir_fd, const char *name, const char *attr, const void *value, size_t len);

/** Remove one attribute of dir_fd/name, not following it; -ENODATA when it has none of that name.
 */
int ol_xattr_remove(int dir_fd, const char *name, const char *attr);

/** List the names (NUL-separated) into buf; an empty list where there is no support. */
int ol_xattr_list(int dir_fd, const char *name, struct ol_buf *buf);

/**
 * The allow list for attributes that come from an archive (spec: CVE table 3, W6):
 * security.capability, user.* except user.overlay.*, and the POSIX ACLs; everything else is
 * dropped.
 */
bool ol_xattr_importable(const char *attr);

#endif
