/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay mounts. libmount makes the classic mount; mount(2) copies one page of options and cuts
 * the rest without a word (70 layers then "succeed" as 61), so lengths are checked first: absolute
 * paths, then paths relative to a base directory as moby does, then fsopen/fsconfig("lowerdir+")
 * one lower at a time where the kernel has it (Linux 6.5). All calls pass a fault point.
 */
#ifndef OL_COMMON_MOUNT_OVERLAY_H
#define OL_COMMON_MOUNT_OVERLAY_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

struct ol_overlay_spec {
    const char *base;          /* absolute directory the relative names below start from */
    const char *const *lowers; /* nearest first; relative to base ("l/ABC", "<id>/root") */
    size_t n_lowers;
    const char *upper;  /* relative to base; NULL for a read-only mount */
    const char *work;   /* relative to base; NULL with upper */
    const char *target; /* relative to base, or absolute; must exist */
    bool index_off;     /* say index=off (only when the kernel knows the parameter) */
    bool userxattr;     /* say userxattr: user.overlay.* attributes, for user namespaces */
    const char *label;  /* SELinux mount label or NULL */
};

/**
 * Mount it. @return 0; -E2BIG when no form fits; -ENOTSUP where the kernel lacks overlay; else the
 * errno of the mount, with a text that names target and, where the kernel says it, the option at
 * fault.
 */
int ol_overlay_mount(const struct ol_overlay_spec *spec, struct ol_error *err);

/** The option string of the classic mount, absolute or relative form; owned by the caller. */
int ol_overlay_options(const struct ol_overlay_spec *spec, bool relative, char **ret,
                       struct ol_error *err);

/** True when /sys/module/overlay/parameters/index exists. */
bool ol_overlay_has_index(void);

#endif
