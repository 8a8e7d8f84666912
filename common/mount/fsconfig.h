/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay mounts by fsopen(2) and fsconfig(2), one lower directory at a time, and the words the
 * kernel leaves in the configuration context. Used by overlay.c and by the probes.
 */
#ifndef OL_COMMON_MOUNT_FSCONFIG_H
#define OL_COMMON_MOUNT_FSCONFIG_H

#include "common/buf.h"
#include "common/mount/overlay.h"

/* Not an errno: the kernel has no fsopen(2) or its overlay does not know "lowerdir+". */
#define OL_FSCONFIG_NO_LOWERDIR_PLUS (-4096)

/**
 * Configure an overlay with the names of spec as they stand, relative to the calling thread's
 * working directory, and mount it on spec->target.
 * @param attach  false: stop when the superblock was made, drop it again
 * @param words   what the kernel said is appended, messages joined by "; "
 * @return 0, OL_FSCONFIG_NO_LOWERDIR_PLUS, or negative errno
 */
int ol_fsconfig_overlay(const struct ol_overlay_spec *spec, bool attach, struct ol_buf *words);

/** True when this kernel's overlay takes lower directories one by one (found by trying). */
bool ol_fsconfig_has_lowerdir_plus(void);

#endif
