/* SPDX-License-Identifier: Apache-2.0 */
/* The legacy overlay driver's instance, shared by its source files. */
#ifndef OL_DRIVERS_OVERLAY_OVERLAY_H
#define OL_DRIVERS_OVERLAY_OVERLAY_H

#include "drivers/mounted.h"

struct overlay {
    struct ol_mounted mounted;
    bool diff_upper; /* diff=upper: compare the layers' own directories, mount nothing */
    bool link_all;   /* clone=all: hard-link everything but directories */
};

struct overlay *overlay_from(struct ol_driver *drv);

/** The id in <layer>/lower-id, checked; owned by the caller. */
int overlay_read_lower_id(int layer_fd, char **ret, struct ol_error *err);

/** ops->apply_diff and ops->open_own, in apply.c. */
int overlay_open_own(struct ol_driver *drv, const char *id, struct ol_error *err);
int overlay_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                       const struct ol_input *tar, struct ol_apply_result *ret,
                       struct ol_error *err);

/** Copy parent_fd/upper into layer_fd/name, made here with its mode (moby DirCopy, content). */
int overlay_copy_upper(const struct ol_driver *drv, int parent_fd, int layer_fd, const char *name,
                       struct ol_error *err);

#endif
