/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What overlay and overlay2 share: layers that are mounted on <home>/<id>/merged while somebody
 * uses them, counted per layer; the trial mount at open; the clean-up of what an earlier process
 * left.
 */
#ifndef OL_DRIVERS_MOUNTED_H
#define OL_DRIVERS_MOUNTED_H

#include "common/buf.h"
#include "drivers/driver_ops.h"

/* How one layer is mounted; names are relative to the home. */
struct ol_mount_plan {
    const char *plain;   /* "root" or "diff": no mount, the directory itself; else NULL */
    struct ol_buf text;  /* what the names below point into */
    const char **lowers; /* owned array, nearest first */
    size_t n_lowers;
    bool read_only; /* no upper and work directory */
    char *upper;    /* owned */
    char *work;     /* owned */
    bool index_off;
};

/** Add a lower directory; name stays the caller's (plan->text or a constant). */
int ol_mount_plan_lower(struct ol_mount_plan *plan, const char *name, struct ol_error *err);
void ol_mount_plan_fini(struct ol_mount_plan *plan);

/* A driver of mounted layers: the first member of its instance. get, put, keep, cleanup, rootfs and
 * touch below are its operations as they stand. */
struct ol_mounted {
    struct ol_driver base;
    struct ol_refs *refs; /* owned */
    int (*plan)(struct ol_driver *drv, const char *id, int layer_fd, struct ol_mount_plan *ret,
                struct ol_error *err);
    unsigned test_lowers; /* lower directories of the trial mount (moby: 1 or 2) */
};

/** Clean the home, try a mount (when the home is new and the view mounts), make the counter. */
int ol_mounted_init(struct ol_mounted *mounted, struct ol_error *err);

/** Unmount what is ours and was not kept, free. */
void ol_mounted_fini(struct ol_mounted *mounted);

int ol_mounted_get(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err);
int ol_mounted_put(struct ol_driver *drv, const char *id, struct ol_error *err);
int ol_mounted_keep(struct ol_driver *drv, const char *id, struct ol_error *err);
int ol_mounted_cleanup(struct ol_driver *drv, struct ol_error *err);

/** Under the id's lock: unmount whatever is on merged, drop the count. For remove. */
int ol_mounted_drop(struct ol_driver *drv, const char *id, struct ol_error *err);

/** True while the layer is mounted. */
bool ol_mounted_is(const struct ol_driver *drv, const char *id);

/**
 * The layer's root in any view: through get() where the view mounts or nothing needs mounting; in
 * the direct view ops->stack and the work directory, one writer at a time (-EBUSY): a second one
 * would take the first one's work directory away.
 */
int ol_mounted_rootfs(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                      struct ol_error *err);

/**
 * ops->touch in the direct view: work/work as a mount makes it, which drops the cached whiteout of
 * an earlier session - unless a root of the layer is open, as a nested get would not mount.
 */
int ol_mounted_touch(struct ol_driver *drv, const char *id, struct ol_error *err);

/** -EOPNOTSUPP naming the layer: the direct view cannot do what needs a mount. */
int ol_mounted_unsupported(const char *id, struct ol_error *err);

/** Whether directory entries of the home carry types ("Supports d_type"). */
int ol_mounted_has_dtype(const struct ol_driver *drv, bool *ret, struct ol_error *err);

/** "Backing Filesystem" and "Supports d_type". */
int ol_mounted_status(struct ol_driver *drv, struct ol_pairs *ret, struct ol_error *err);

/** For ops->metadata: key with the path of name in the layer's directory. */
int ol_mounted_add_path(const struct ol_driver *drv, const char *id, const char *key,
                        const char *name, struct ol_pairs *ret, struct ol_error *err);

#endif
