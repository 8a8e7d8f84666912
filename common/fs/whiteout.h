/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three dialects of "deleted": AUFS names in tars (".wh.NAME", ".wh..wh..opq"), char device 0/0
 * and trusted.overlay.opaque in an overlay upper, and user.overlay.opaque in a user namespace.
 * Sources: OCI image spec layer.md "Whiteouts"; Linux Documentation/filesystems/overlayfs.rst.
 */
#ifndef OL_COMMON_FS_WHITEOUT_H
#define OL_COMMON_FS_WHITEOUT_H

#include "common/error.h"

#include <stdbool.h>
#include <sys/stat.h>

#define OL_WH_PREFIX ".wh."
#define OL_WH_META   ".wh..wh."
#define OL_WH_OPAQUE ".wh..wh..opq"

/* Which namespace of attributes the overlay mount uses. */
enum ol_overlay_ns {
    OL_OVERLAY_TRUSTED, /* trusted.overlay.*: root of the initial namespace */
    OL_OVERLAY_USER,    /* user.overlay.*: mount option userxattr */
};

enum ol_wh_kind {
    OL_WH_NONE, /* an ordinary name */
    OL_WH_FILE, /* ".wh.NAME": NAME is deleted */
    OL_WH_OPQ,  /* ".wh..wh..opq": the directory is opaque */
    OL_WH_BAD,  /* ".wh.", ".wh..", ".wh...": would delete the directory itself or climb; refused */
};

/** What a base name means; for OL_WH_FILE *ret_name (may be NULL) points at the deleted name in
 * base. */
enum ol_wh_kind ol_whiteout_parse(const char *base, const char **ret_name);

/** True for char device 0/0. */
bool ol_whiteout_is(const struct stat *st);

/** "trusted.overlay.opaque" or "user.overlay.opaque". */
const char *ol_whiteout_opaque_attr(enum ol_overlay_ns ns);

/** Make a whiteout (char device 0/0, mode 0) in an upper directory. @return 0 or negative errno. */
int ol_whiteout_make(int dir_fd, const char *name);

/** Mark dir_fd opaque ("y"). @return 0 or negative errno. */
int ol_whiteout_set_opaque(int dir_fd, enum ol_overlay_ns ns);

/** True when dir_fd/name ("" = dir_fd itself) is marked opaque with exactly "y". */
bool ol_whiteout_is_opaque(int dir_fd, const char *name, enum ol_overlay_ns ns);

#endif
