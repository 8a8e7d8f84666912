/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a back-end implements: the operation table and the base instance it embeds as its first
 * member. Callers include driver.h and never this.
 */
#ifndef OL_DRIVERS_DRIVER_OPS_H
#define OL_DRIVERS_DRIVER_OPS_H

#include "drivers/driver.h"
#include "drivers/rootfs.h"

#include <stdatomic.h>

/* One "key=value" of the driver's full name; a key without "=" has value "". */
struct ol_driver_option {
    const char *key, *value; /* owned by the base instance */
};

struct ol_driver_stack; /* below */

struct ol_driver_ops {
    const char *name;    /* what users type after --driver: [a-z0-9-]+ */
    const char *summary; /* one line of help */
    unsigned caps;       /* enum ol_driver_cap; copied to the instance, which may drop some */
    bool decorator;      /* wraps another driver, which adds the context to errors itself */
    const struct ol_driver_choice *options; /* ends with a NULL key; NULL: it has none */

    /*
     * Required: ol_driver_ops_check() refuses a table that lacks one and says which.
     * open: allocate the instance and set *ret; ol_driver_open() has filled `base` (name, config,
     * options, home_fd) and the back-end copies it into its instance. On failure base stays the
     * caller's.
     */
    int (*open)(const struct ol_driver *base, struct ol_driver **ret, struct ol_error *err);
    void (*close)(struct ol_driver *drv); /* frees the instance, not the base's contents */
    int (*create)(struct ol_driver *drv, const struct ol_layer_spec *spec, struct ol_error *err);
    int (*remove)(struct ol_driver *drv, const char *id, struct ol_error *err);
    int (*get)(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err);
    int (*put)(struct ol_driver *drv, const char *id, struct ol_error *err);

    /* Optional: NULL selects the default named beside it. */
    bool (*exists)(struct ol_driver *drv, const char *id); /* <home>/<id> is a directory */
    int (*stack)(struct ol_driver *drv, const char *id, struct ol_driver_stack *ret,
                 struct ol_error *err); /* get() and the one mounted directory */
    int (*touch)(struct ol_driver *drv, const char *id,
                 struct ol_error *err); /* before a stack is compared in place of a mount: leave in
                                           the layer what mounting it would have left; nothing */
    int (*diff)(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                struct ol_tar_result *ret, struct ol_error *err); /* ol_naive_diff() */
    int (*changes)(struct ol_driver *drv, const char *id, const char *parent,
                   struct ol_changes *ret, struct ol_error *err); /* ol_naive_changes() */
    int (*apply_diff)(struct ol_driver *drv, const char *id, const char *parent,
                      const struct ol_input *tar, struct ol_apply_result *ret,
                      struct ol_error *err); /* ol_naive_apply_diff(): get, apply, put */
    int (*diff_size)(struct ol_driver *drv, const char *id, const char *parent, uint64_t *ret,
                     struct ol_error *err); /* ol_naive_diff_size() */
    int (*open_own)(struct ol_driver *drv, const char *id,
                    struct ol_error *err); /* -ENOTSUP: nothing can be read back */
    int (*rootfs)(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                  struct ol_error *err); /* get() and ol_rootfs_open_dir() */
    int (*status)(struct ol_driver *drv, struct ol_pairs *ret, struct ol_error *err);
    int (*metadata)(struct ol_driver *drv, const char *id, struct ol_pairs *ret,
                    struct ol_error *err);
    int (*list)(struct ol_driver *drv, int (*fn)(const char *id, void *data), void *data,
                struct ol_error *err); /* subdirectories of home with a valid id */
    int (*cleanup)(struct ol_driver *drv, struct ol_error *err); /* ol_mount_detach_below(home) */
    int (*keep)(struct ol_driver *drv, const char *id, struct ol_error *err); /* nothing */
};

/* The base instance: first member of every back-end's struct. */
struct ol_driver {
    const struct ol_driver_ops *ops;
    unsigned caps;                  /* of this instance, in this view */
    struct ol_driver *inner;        /* decorators: owned; else NULL */
    char *name;                     /* owned; full name with options */
    struct ol_driver_config config; /* config.home is owned here */
    struct ol_driver_option *options;
    size_t n_options;
    char *option_text;   /* owned; what options points into */
    int home_fd;         /* owned; O_DIRECTORY on config.home, flock()ed */
    bool others;         /* config.shared, and other processes have the home open: what looks left
                            over may be theirs and is not cleaned */
    bool compare_stacks; /* the naive functions read stacks and mount nothing (diff=upper, and
                            always in the direct view) */
    bool host_names;     /* names=host: diffs carry the host's names of users and groups */
    bool sleepless;      /* no real engine diffs as this driver does, so none would have slept */
    atomic_uint_fast64_t avoided_sleep_ns;
};

/* A layer as a stack of open directories, for comparing without (or with) mounting. */
struct ol_driver_stack {
    struct ol_stack stack; /* .fds = fds */
    int *fds;              /* owned */
    size_t count;
    bool needs_put; /* the layer was Got for this */
    char *id;       /* owned; for the put */
};
void ol_driver_stack_fini(struct ol_driver *drv, struct ol_driver_stack *stack);

/**
 * A layer as a stack to compare: ops->stack where the driver compares stacks and has one, else
 * get() and the mounted directory. Release with ol_driver_stack_fini().
 */
int ol_driver_stack_open(struct ol_driver *drv, const char *id, struct ol_driver_stack *ret,
                         struct ol_error *err);

/** get() and the mounted directory, whatever the driver prefers. */
int ol_driver_stack_got(struct ol_driver *drv, const char *id, struct ol_driver_stack *ret,
                        struct ol_error *err);

/** Add a directory below the ones already there; takes fd over, also on failure. */
int ol_driver_stack_push(struct ol_driver_stack *stack, int fd, struct ol_error *err);

/** get() and ol_rootfs_open_dir(): the default of ops->rootfs. */
int ol_driver_rootfs_got(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                         struct ol_error *err);

/** Release what ol_driver_open() filled in; decorators call it for their own base. */
void ol_driver_base_fini(struct ol_driver *base);

/** Which attributes an overlay of this view keeps its marks in. */
enum ol_overlay_ns ol_driver_ns(const struct ol_driver *drv);

/** Options of ol_layer_apply() from the driver's configuration. */
struct ol_layer_options ol_driver_layer_options(const struct ol_driver *drv,
                                                enum ol_layer_target target);

/** "<home>/<id>/<name>", name NULL: the layer itself; owned by the caller. */
int ol_driver_layer_path(const struct ol_driver *drv, const char *id, const char *name, char **ret,
                         struct ol_error *err);

/* options.c */

/** Split a full name into base->name, options and option_text (released by ol_driver_base_fini());
 * base->ops is the back-end, which knows all of them. @return 0, -ENOENT, -EINVAL or -E2BIG */
int ol_driver_spec_parse(const char *spec, struct ol_driver *base, struct ol_error *err);

/** Which value of the back-end's list the option key has: 0, the default, when it is not given. */
unsigned ol_driver_option(const struct ol_driver *drv, const char *key);

/* The option of the drivers that write diffs, see host_names below. */
#define OL_DRIVER_CHOICE_NAMES                                                                     \
    {                                                                                              \
        "names",                                                                                   \
        {                                                                                          \
            "none", "host"                                                                         \
        }                                                                                          \
    }

int ol_driver_ops_check(const struct ol_driver_ops *ops, struct ol_error *err);

/* naive_diff.c: the defaults, from moby daemon/graphdriver/fsdiff.go. */
int ol_naive_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                  struct ol_tar_result *ret, struct ol_error *err);
int ol_naive_changes(struct ol_driver *drv, const char *id, const char *parent,
                     struct ol_changes *ret, struct ol_error *err);
int ol_naive_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                        const struct ol_input *tar, struct ol_apply_result *ret,
                        struct ol_error *err);
int ol_naive_diff_size(struct ol_driver *drv, const char *id, const char *parent, uint64_t *ret,
                       struct ol_error *err);

/* refcount.c: Get/Put counting as moby's counter.go, with a mutex per layer id. */
struct ol_refs;
int ol_refs_new(struct ol_refs **ret, struct ol_error *err);
void ol_refs_free(struct ol_refs *refs);
/** Lock the id's mutex for the duration of get/put/remove. */
int ol_refs_lock(struct ol_refs *refs, const char *id, struct ol_error *err);
void ol_refs_unlock(struct ol_refs *refs, const char *id);
/** Under the lock: add one (first touch asks is_mounted). @return the new count. */
int ol_refs_increment(struct ol_refs *refs, const char *id, bool (*is_mounted)(const char *path),
                      const char *path);
int ol_refs_decrement(struct ol_refs *refs, const char *id, bool (*is_mounted)(const char *path),
                      const char *path);
/** Under the lock: forget the count (the layer was removed). */
void ol_refs_forget(struct ol_refs *refs, const char *id);
/** Under the lock: close unmounts what this process mounted, unless it is kept. */
void ol_refs_set_ours(struct ol_refs *refs, const char *id, bool ours);
/** Under the lock: users now, without asking whether it is mounted. */
int ol_refs_count(struct ol_refs *refs, const char *id);
/** Forget every count that nobody holds the lock of (everything was unmounted). */
void ol_refs_reset(struct ol_refs *refs);
/** Call fn for every id whose mount is ours; no other thread may use refs any more. */
void ol_refs_each_ours(struct ol_refs *refs, void (*fn)(const char *id, void *data), void *data);

/* registry.c: the one table of back-ends; order is probing order. */
extern const struct ol_driver_ops ol_overlay2_ops, ol_overlay_ops, ol_vfs_ops, ol_null_ops;
/** The back-end of this name (len bytes), or NULL. */
const struct ol_driver_ops *ol_driver_find(const char *name, size_t len);

#endif
