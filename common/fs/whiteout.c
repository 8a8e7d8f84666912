/* SPDX-License-Identifier: Apache-2.0 */
/* The dialects of "deleted"; see whiteout.h. */
#include "common/fs/whiteout.h"

#include "common/fault.h"
#include "common/fs/xattr.h"

#include <errno.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum ol_wh_kind ol_whiteout_parse(const char *base, const char **ret_name)
{
    static const size_t prefix_len = sizeof OL_WH_PREFIX - 1;
    const char *name;

    if (strncmp(base, OL_WH_PREFIX, prefix_len) != 0)
        return OL_WH_NONE;
    if (strcmp(base, OL_WH_OPAQUE) == 0)
        return OL_WH_OPQ;
    name = base + prefix_len;
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return OL_WH_BAD;
    if (ret_name != NULL)
        *ret_name = name;
    return OL_WH_FILE;
}

bool ol_whiteout_is(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

const char *ol_whiteout_opaque_attr(enum ol_overlay_ns ns)
{
    return ns == OL_OVERLAY_USER ? "user.overlay.opaque" : "trusted.overlay.opaque";
}

int ol_whiteout_make(int dir_fd, const char *name)
{
    if (ol_fault_hit("mknodat"))
        return -EIO;
    return mknodat(dir_fd, name, S_IFCHR, makedev(0, 0)) < 0 ? -errno : 0;
}

int ol_whiteout_set_opaque(int dir_fd, enum ol_overlay_ns ns)
{
    return ol_xattr_set(dir_fd, "", ol_whiteout_opaque_attr(ns), "y", 1);
}

bool ol_whiteout_is_opaque(int dir_fd, const char *name, enum ol_overlay_ns ns)
{
    char value[2];

    return ol_xattr_get(dir_fd, name, ol_whiteout_opaque_attr(ns), value, sizeof value) == 1 &&
           value[0] == 'y';
}
