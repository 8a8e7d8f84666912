/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graph drivers: the contract of moby 20.10 daemon/graphdriver as callers see it. One operation
 * table (driver_ops.h), several back-ends: overlay, overlay2, vfs, null; and decorators: trace,
 * fault.
 *
 * Only driver.c calls through the table: it validates ids, applies defaults and adds context to
 * errors. A driver object may be used by several threads; Diff of one layer and ApplyDiff of
 * another run at the same time (docker commit does both on one pipe).
 */
#ifndef OL_DRIVERS_DRIVER_H
#define OL_DRIVERS_DRIVER_H

#include "common/error.h"
#include "common/io.h"
#include "common/layer/changes.h"
#include "common/layer/layer.h"
#include "common/layer/tar_writer.h"
#include "common/mount/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ol_driver;
struct ol_rootfs;

enum ol_driver_cap { /* callers branch on these, never on a name */
                     OL_CAP_NATIVE_DIFF = 1
                                          << 0, /* the upper directory is the diff: no tree walk */
                     OL_CAP_MULTI_LOWER =
                         1 << 1, /* every ancestor is mounted as its own lower directory */
                     OL_CAP_NEEDS_MOUNT =
                         1 << 2, /* get() mounts: needs OL_VIEW_KERNEL or OL_VIEW_USERNS */
                     OL_CAP_KEEPS_DATA =
                         1 << 3, /* what is written can be read back (null does not) */
};

struct ol_driver_config {
    const char *home;  /* absolute; made when missing (0710), with its parents */
    enum ol_view view; /* kernel, userns or direct; never auto */
    bool keep_owner;   /* owners can be given to files (root, or a user namespace with id ranges) */
    unsigned threads;  /* for tree operations; 0: choose */
    /*
     * Several processes may have the home open at the same time, for commands that do one step each
     * ("layer diff a | layer apply b"): they know which layers they use. Only the one that finds
     * itself alone cleans up what an earlier process left. Without it the home is this object's
     * alone.
     */
    bool shared;
};

/**
 * Open a driver by its full name: "overlay2", "overlay:diff=upper,clone=all". What an earlier
 * process left half-made (layers being made or removed, temporary directories, dangling links,
 * unmounted mount points) is cleaned; a live mount is left alone and counts as one user. The home
 * is locked until ol_driver_close(), or until the process ends.
 * @return 0; -ENOENT no such driver; -EINVAL unknown option; -EBUSY another process or driver
 * object has the home open; -ENOTSUP not supported here (the "driver not supported" marker:
 * automatic selection goes on); else errno
 */
int ol_driver_open(const char *spec, const struct ol_driver_config *cfg, struct ol_driver **ret,
                   struct ol_error *err);

/**
 * Unmount what this object mounted and nobody put, release everything; accepts NULL. Layers stay.
 * Mounts found at open, and those handed over with ol_driver_keep(), stay too.
 */
void ol_driver_close(struct ol_driver *drv);

/** Full name with options, as given. */
const char *ol_driver_name(const struct ol_driver *drv);
unsigned ol_driver_caps(const struct ol_driver *drv);
const char *ol_driver_home(const struct ol_driver *drv);
const struct ol_driver_config *ol_driver_config_of(const struct ol_driver *drv);

/** NULL-terminated names of the built-in drivers, in probing order. */
const char *const *ol_driver_names(void);

/** One line of help about a built-in driver; NULL if unknown. */
const char *ol_driver_summary(const char *name);

/* An option a driver knows. */
struct ol_driver_choice {
    const char *key;
    const char *values[4]; /* NULL-terminated; the first is the default */
};
/** The options of the built-in driver whose name is the first len bytes; ends with a NULL key. NULL
 * if it is unknown or has none. */
const struct ol_driver_choice *ol_driver_choices(const char *name, size_t len);

/** Whether a full name can be opened at all. @return 0, -ENOENT no such driver, -EINVAL or -E2BIG
 * its options are not ones it knows */
int ol_driver_spec_check(const char *spec, struct ol_error *err);

/**
 * Ids: 1 to OL_ID_MAX of [A-Za-z0-9_.-], not starting with '.' or '-', and no name the driver keeps
 * for itself ("l"). What moby accepts and this refuses is in docs/divergences.md.
 */
bool ol_driver_id_valid(const char *id);

struct ol_layer_spec {
    const char *id;
    const char *parent; /* NULL: base layer */
    bool read_write;    /* container layer (CreateReadWrite) */
};

/** Make an empty layer over its parent. -EEXIST id exists; -ENOENT parent missing. Failure leaves
 * nothing. */
int ol_driver_create(struct ol_driver *drv, const struct ol_layer_spec *spec, struct ol_error *err);

/** Remove the layer and everything under it; a missing one is success. Children are not looked for.
 */
int ol_driver_remove(struct ol_driver *drv, const char *id, struct ol_error *err);

/**
 * Mount the layer (or count one more user) and return its absolute path, owned by the caller.
 * -ENOENT no such layer; -EOPNOTSUPP in the direct view for layers that need a mount.
 */
int ol_driver_get(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err);

/** Drop one user; the last one unmounts. Harmless when nobody holds it. */
int ol_driver_put(struct ol_driver *drv, const char *id, struct ol_error *err);

/**
 * Let the mount of a layer that was got outlive ol_driver_close() and the process; a later process
 * finds it mounted, and its first put unmounts it (moby counter.go counts such a mount as one
 * user).
 */
int ol_driver_keep(struct ol_driver *drv, const char *id, struct ol_error *err);

bool ol_driver_exists(struct ol_driver *drv, const char *id);

/**
 * The layer as a writable (or readable) root in any view: mounted through get() where the view
 * mounts, overlay's own format by hand in the direct view. Close with ol_rootfs_close(), which also
 * puts.
 */
int ol_driver_rootfs(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                     struct ol_error *err);

/**
 * Tar of what id adds to parent (NULL: everything).
 * @param out_fd  the caller's; -1: only digest. Closed, and -1, once everything is written, so that
 *                whoever reads need not wait until the parent is unmounted; after a failure still
 *                open
 * @param ret     may be NULL
 */
int ol_driver_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                   struct ol_tar_result *ret, struct ol_error *err);

int ol_driver_changes(struct ol_driver *drv, const char *id, const char *parent,
                      struct ol_changes *ret, struct ol_error *err);

struct ol_apply_result {
    uint64_t size_bytes; /* what moby's driver returns: header sum, or on-disk size (overlay2) */
    struct ol_layer_result layer;
};

/**
 * Apply a layer tar (any compression) right after create. On failure the layer is as create left
 * it; applying onto a layer that already has content of its own follows moby (overlay with an image
 * parent refuses, the others merge), and then a failure leaves a prefix, which the text says.
 * @return 0; -ENOENT no such layer or parent; -EEXIST overlay: the layer has its tree already;
 *         -EOPNOTSUPP it would have to go through a mount, which the direct view cannot make; else
 *         as ol_layer_apply()
 */
int ol_driver_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                         const struct ol_input *tar, struct ol_apply_result *ret,
                         struct ol_error *err);

int ol_driver_diff_size(struct ol_driver *drv, const char *id, const char *parent,
                        uint64_t *ret_bytes, struct ol_error *err);

/**
 * The directory where the files of the layer's own tar lie under the names they have there, for
 * reading their content back (moby's DiffGetter). Nothing is mounted; what older layers have may
 * lie there too.
 * @return a descriptor the caller owns; -ENOENT no such layer; -ENOTSUP the driver keeps nothing
 */
int ol_driver_open_own(struct ol_driver *drv, const char *id, struct ol_error *err);

/* Ordered key and value pairs (Status, GetMetadata). */
struct ol_pairs {
    struct ol_pair {
        char *key, *value;
    } * items;
    size_t count;
};
void ol_pairs_fini(struct ol_pairs *pairs);
int ol_pairs_add(struct ol_pairs *pairs, const char *key, const char *value);
#define ol_auto_pairs __attribute__((cleanup(ol_pairs_fini)))

int ol_driver_status(struct ol_driver *drv, struct ol_pairs *ret, struct ol_error *err);
int ol_driver_metadata(struct ol_driver *drv, const char *id, struct ol_pairs *ret,
                       struct ol_error *err);

/** Call fn for every layer in the driver's home (sorted by id). */
int ol_driver_list(struct ol_driver *drv, int (*fn)(const char *id, void *data), void *data,
                   struct ol_error *err);

/** Lazily unmount everything below the home (moby Cleanup). */
int ol_driver_cleanup(struct ol_driver *drv, struct ol_error *err);

/* The time a moby driver would have slept after naive diffs (to the next full second); overlab does
 * not sleep, it reports. Nanoseconds since open. */
uint64_t ol_driver_avoided_sleep_ns(const struct ol_driver *drv);

/* Decorators: own inner, which is closed with them. */
struct ol_driver_trace_event {
    const char *op;     /* "create", "get", … */
    const char *id;     /* or NULL */
    const char *parent; /* or NULL */
    int result;
    uint64_t wall_ns;
};
typedef void ol_driver_trace_fn(const struct ol_driver_trace_event *event, void *data);
int ol_driver_trace_new(struct ol_driver *inner, ol_driver_trace_fn *fn, void *data,
                        struct ol_driver **ret, struct ol_error *err);
/** Fail the nth call (from 1) with -EIO before it reaches inner; 0: never. */
int ol_driver_fault_new(struct ol_driver *inner, struct ol_driver **ret, struct ol_error *err);
void ol_driver_fault_arm(struct ol_driver *fault, unsigned long nth);
bool ol_driver_fault_delivered(const struct ol_driver *fault);

#endif
