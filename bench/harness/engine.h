/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the harness drives: anything that can import an image, run containers on it and commit them.
 * driver_engine.c is a graph driver below our own layer store; others may stand beside it.
 *
 * One engine object is one fresh store with one image in it. Layers, containers and images are
 * known by their index, in the order they were made, so that nothing has to be named, allocated or
 * looked up inside a timed call. All functions but close return 0 or negative errno with a text.
 */
#ifndef OL_BENCH_HARNESS_ENGINE_H
#define OL_BENCH_HARNESS_ENGINE_H

#include "bench/oracle/oracle.h"
#include "bench/workloads/workload.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    OL_ENGINE_VERSION_SIZE = 64,
    OL_ENGINE_TIMEOUT_S =
        300, /* what a real engine gets for one answer, if nobody says otherwise */
};

struct ol_engine {
    const struct ol_engine_ops *ops;
    char version[OL_ENGINE_VERSION_SIZE]; /* a real engine's own; "": overlab's */
};

/* What it points to is borrowed until the engine is closed. */
struct ol_engine_config {
    const char *name; /* full name with options: "overlay:diff=upper,clone=all" */
    const char *dir;  /* absolute; an empty directory of this engine's own */
    enum ol_view view;
    bool keep_owner;
    unsigned commits;              /* how many containers there will be at most */
    unsigned timeout_s;            /* real engines: of each answer, and of starting */
    bool (*cancelled)(void *data); /* real engines: asked while waiting for them; may be NULL */
    void *data;
    /* Our own engines: told of every call to the driver, by several threads; NULL: nobody is, and
     * nothing stands between store and driver. The snapshotter's ids are keys and names. */
    ol_driver_trace_fn *trace;
    void *trace_data;
};

/* What the storage holds; see ol_engine_ops.usage. */
struct ol_engine_usage {
    struct ol_inode_kinds kinds;
    int64_t inodes; /* their sum */
    int64_t bytes;  /* blocks * 512 of distinct inodes */

    /* What the engine keeps about layers, images and containers outside that storage. */
    int64_t metadata_inodes, metadata_bytes;
};

/* What times.metadata_ns of an operation is made of; all 0 where an engine does not tell. */
struct ol_engine_metadata {
    uint64_t scan_ns;        /* counting what is kept */
    uint64_t transaction_ns; /* records changed in memory, waiting for other writers included */
    uint64_t sync_ns;        /* written and synced to disk */
};

/* What an operation tells beside its result. */
struct ol_engine_report {
    char id[OL_DIGEST_SIZE];      /* ChainID of the layer or image made */
    char diff_id[OL_DIGEST_SIZE]; /* digest of the layer's tar */
    struct ol_store_times times;  /* layer.apply and commit; 0 otherwise */
    struct ol_engine_metadata metadata;
    uint64_t avoided_sleep_ns; /* what the real engine would have slept in this operation */
    uint64_t squashed_owners;  /* entries whose owner could not be kept */
    uint64_t skipped_devices;  /* device entries that could not be made */
};

enum ol_step_op {
    OL_STEP_LAYER_APPLY,
    OL_STEP_CONTAINER_CREATE,
    OL_STEP_CONTAINER_MOUNT,
    OL_STEP_CONTAINER_CHANGE,
    OL_STEP_CONTAINER_UNMOUNT,
    OL_STEP_COMMIT,
    OL_STEP_CONTAINER_REMOVE,
    OL_STEP_IMAGE_REMOVE,
    OL_STEP_OPS
};

struct ol_engine_ops {
    const char *kind;            /* "driver", "snapshotter", "external" */
    bool commit_keeps_container; /* the container's own directory becomes the layer */

    /** Optional: why it cannot run here, before anything is started. -ENOENT: not installed. */
    int (*probe)(const struct ol_engine_config *config, struct ol_error *err);

    int (*open)(const struct ol_engine_config *config, struct ol_engine **ret,
                struct ol_error *err);
    void (*close)(struct ol_engine *engine); /* accepts NULL; unmounts what is left */

    /** Optional, not timed: bring the next layer into the form the engine takes. */
    int (*prepare_layer)(struct ol_engine *engine, const struct ol_input *tar,
                         const char *want_diff_id, struct ol_error *err);
    /** Optional, not timed: complete the report of the step that was just done. */
    int (*describe)(struct ol_engine *engine, enum ol_step_op op, struct ol_engine_report *report,
                    struct ol_error *err);

    /** The next layer of the image. @param want_diff_id NULL or what the stream must have */
    int (*import_layer)(struct ol_engine *engine, const struct ol_input *tar,
                        const char *want_diff_id, struct ol_engine_report *ret,
                        struct ol_error *err);
    /** The next container, from the newest image; init layer included. */
    int (*container_create)(struct ol_engine *engine, struct ol_error *err);
    int (*mount)(struct ol_engine *engine, struct ol_error *err);
    int (*change)(struct ol_engine *engine, const struct ol_plan *plan, struct ol_error *err);
    int (*unmount)(struct ol_engine *engine, struct ol_error *err);
    /** Commit the newest container to a new image. */
    int (*commit)(struct ol_engine *engine, struct ol_engine_report *ret, struct ol_error *err);
    /** Optional: write what commit would make a layer of as a tar, without committing. It may
     * mount. Without it a replayed layer cannot be held against its original. */
    int (*save_diff)(struct ol_engine *engine, int fd, struct ol_error *err);
    int (*container_remove)(struct ol_engine *engine, unsigned index, struct ol_error *err);
    /**
     * Optional: one more container of an image, mounted until all of them are released. None of
     * the other calls means it. @param image  as of image_remove
     */
    int (*hold)(struct ol_engine *engine, unsigned image, struct ol_error *err);
    /** Unmount and remove the containers held, newest first. */
    int (*release)(struct ol_engine *engine, struct ol_error *err);
    /** Image 0 is the imported one with all its layers, image k that of commit k - 1. */
    int (*image_remove)(struct ol_engine *engine, unsigned index, struct ol_error *err);

    /**
     * Optional: the root of the container that is mounted.
     * @param ret       borrowed until it is unmounted; NULL: the engine keeps no data
     * @param ret_path  its absolute path, owned by the caller; NULL where no mount shows it
     */
    int (*root)(struct ol_engine *engine, struct ol_rootfs **ret, char **ret_path,
                struct ol_error *err);
    /** Optional: the directory that usage() counts; borrowed. */
    int (*home)(struct ol_engine *engine);

    /** Count the storage home: by distinct inode and kind. */
    int (*usage)(struct ol_engine *engine, struct ol_engine_usage *ret, struct ol_error *err);
};

/* What usage() is made of: the storage home, then each directory of metadata beside it. */
int ol_engine_usage_home(struct ol_engine_usage *ret, int home_fd, struct ol_error *err);
int ol_engine_usage_add_metadata(struct ol_engine_usage *usage, int fd, struct ol_error *err);
/** A directory that holds the storage home as well, which is counted already. */
int ol_engine_usage_add_around(struct ol_engine_usage *usage, int fd, struct ol_error *err);

/** Add sign times what one count or difference says to another. */
void ol_engine_usage_sum(struct ol_engine_usage *to, const struct ol_engine_usage *what, int sign);

/** A graph driver below our layer store. */
extern const struct ol_engine_ops ol_driver_engine_ops;
/** Our snapshotter, used as containerd uses its own; its name is "snapshot". */
extern const struct ol_engine_ops ol_snapshot_engine_ops;

/** The engine an element of a list of our own engines names, valid or not. */
const struct ol_engine_ops *ol_engine_ops_of(const char *name);

/** One of our own engines, with options it has. @return 0 or -EINVAL, naming it */
int ol_engine_name_check(const char *name, struct ol_error *err);

/**
 * The law of the cost model that describes a driver by its full name.
 * @return 0; -ENOENT when there is none for it
 */
int ol_engine_law(const char *name, enum ol_law *ret);

/** True when the full name carries this option ("clone=all"). */
bool ol_engine_has_option(const char *name, const char *option);

/**
 * Split "overlay,overlay:diff=upper,clone=all,overlay2" into full names. Options are separated by
 * commas too: a piece with "=" and no ":" before it goes on with the engine before it.
 * @param ret  NULL-terminated; free with ol_engine_names_free()
 * @return 0; -EINVAL for a missing name or one that is there twice
 */
int ol_engine_names_parse(const char *text, char ***ret, size_t *ret_count, struct ol_error *err);
void ol_engine_names_free(char **names);

#endif
