/* SPDX-License-Identifier: Apache-2.0 */
/* The store object and its parts: tables in memory (layerstore.c) over files (layerdb.c). */
#ifndef OL_STORE_STORE_INTERNAL_H
#define OL_STORE_STORE_INTERNAL_H

#include "store/store.h"

#include <pthread.h>

struct ol_layer_entry {
    struct ol_store_layer layer;
    unsigned refs; /* children, containers, and work in progress on top of it; guarded by lock */
};

struct ol_container_entry {
    struct ol_store_container container;
    unsigned refs; /* commits in progress; guarded by lock */
};

struct ol_store {
    char *dir;                        /* owned; for messages */
    int dir_fd;                       /* owned; holds the flock */
    int layers_fd, mounts_fd, tmp_fd; /* owned: sha256/, mounts/, tmp/ */
    struct ol_driver *drv;            /* borrowed */
    struct ol_store_options options;

    pthread_mutex_t lock; /* guards the tables; never held across a call into the driver */
    struct ol_layer_entry **layers; /* owned; sorted by ChainID */
    size_t n_layers, cap_layers;
    struct ol_container_entry *containers; /* owned; sorted by id */
    size_t n_containers, cap_containers;
};

/* --- layerstore.c: the tables. Callers hold the lock. --- */
struct ol_layer_entry *ol_store_find_layer(const struct ol_store *store, const char *chain_id);
/** Make room for one more, so that adding after the rename on disk cannot fail. */
int ol_store_reserve_layer(struct ol_store *store, struct ol_error *err);
/** entry is taken over. Needs a reservation. */
void ol_store_add_layer(struct ol_store *store, struct ol_layer_entry *entry);
struct ol_container_entry *ol_store_find_container(const struct ol_store *store, const char *id);
int ol_store_reserve_container(struct ol_store *store, struct ol_error *err);
void ol_store_add_container(struct ol_store *store, const struct ol_store_container *container);
void ol_store_drop_container(struct ol_store *store, struct ol_container_entry *entry);

/** Whether a layer or container of the store has this driver layer (not "<id>-init"). */
bool ol_store_owns(const struct ol_store *store, const char *driver_id);
/**
 * A violation found while opening: told, and success, when somebody wants to hear; else it stays an
 * error. @return r, or 0 with err empty
 */
int ol_store_problem(const struct ol_store_options *options, int r, struct ol_error *err);

/* These take the lock themselves. */
/** Find and hold a layer that something is built on; -ENOENT names it. parent_chain NULL: none. */
int ol_store_hold(struct ol_store *store, const char *parent_chain, struct ol_layer_entry **ret,
                  struct ol_error *err);
void ol_store_release(struct ol_store *store, struct ol_layer_entry *entry); /* accepts NULL */
/** container.c: a copy of the container, which cannot be removed until it is released. */
int ol_store_hold_container(struct ol_store *store, const char *id, struct ol_store_container *ret,
                            struct ol_error *err);
void ol_store_release_container(struct ol_store *store, const char *id);

/* --- layerdb.c: the files. See docs/formats/layerdb.md --- */
/**
 * A write set is begun before the driver layer it is named after is made, so that whatever is found
 * in tmp/ at the next start names driver layers nobody owns.
 */
int ol_layerdb_begin(const struct ol_store *store, const char *driver_id, struct ol_error *err);
/** Write the layer's files into its write set. */
int ol_layerdb_write_layer(const struct ol_store *store, const struct ol_store_layer *layer,
                           struct ol_error *err);
int ol_layerdb_write_container(const struct ol_store *store,
                               const struct ol_store_container *container, struct ol_error *err);
/** A new file for the record of the layer's tar in its write set. @return an owned descriptor */
int ol_layerdb_create_tar_split(const struct ol_store *store, const char *driver_id,
                                struct ol_error *err);
/** The record of a layer that exists; -ENOENT when it has none. @return an owned descriptor */
int ol_layerdb_open_tar_split(const struct ol_store *store, const struct ol_store_layer *layer,
                              struct ol_error *err);
/** Rename the write set into place: the one step that makes it exist. */
int ol_layerdb_commit_layer(const struct ol_store *store, const struct ol_store_layer *layer,
                            struct ol_error *err);
int ol_layerdb_commit_container(const struct ol_store *store,
                                const struct ol_store_container *container, struct ol_error *err);
/** Rename aside: from now on the layer, or container, does not exist. */
int ol_layerdb_retire_layer(const struct ol_store *store, const struct ol_store_layer *layer,
                            struct ol_error *err);
int ol_layerdb_retire_container(const struct ol_store *store,
                                const struct ol_store_container *container, struct ol_error *err);
/** Remove what begin or retire left, after the driver's layers are gone. */
int ol_layerdb_drop(const struct ol_store *store, const char *driver_id, struct ol_error *err);
int ol_layerdb_drop_retired(const struct ol_store *store, const struct ol_store_layer *layer,
                            struct ol_error *err);

int ol_layerdb_read_layer(const struct ol_store *store, const char *hex, struct ol_store_layer *ret,
                          struct ol_error *err);
int ol_layerdb_read_container(const struct ol_store *store, const char *id,
                              struct ol_store_container *ret, struct ol_error *err);

/** True for 64 digits of [0-9a-f]: names of layers, containers and driver layers of the store. */
bool ol_layerdb_id_valid(const char *id);
/** The driver layer a name in tmp/ stands for, or NULL. */
const char *ol_layerdb_write_set_id(const char *name);
/** True for "<64 hex>-…-removing" in sha256/. */
bool ol_layerdb_is_retired(const char *name);
/** Read the driver layer's id from a retired layer; -ENOENT when it was never written. */
int ol_layerdb_retired_id(const struct ol_store *store, const char *name, char ret[OL_HEX_SIZE],
                          struct ol_error *err);

/* --- register.c: the steps of registering, for register and commit --- */
struct ol_register {
    struct ol_store *store;
    struct ol_layer_entry *parent; /* held; NULL for a base layer */
    char cache_id[OL_HEX_SIZE];
    bool begun;   /* the write set is there */
    bool created; /* the driver layer is there */
    struct ol_apply_result apply;
    struct ol_store_layer layer; /* valid once written */
    struct ol_store_times times;
};
/** Hold the parent, begin the write set, Create. On failure nothing is left. */
int ol_register_begin(struct ol_register *reg, struct ol_store *store, const char *parent_chain,
                      struct ol_error *err);
/** ApplyDiff, and compare the DiffID with the one wanted (NULL: any). */
int ol_register_apply(struct ol_register *reg, const struct ol_input *tar, const char *want_diff_id,
                      struct ol_error *err);
/** Compute the ChainID, write the metadata and, as the store's options say, sync it. */
int ol_register_write(struct ol_register *reg, struct ol_error *err);
/** Let it count. *ret_existed: the ChainID is there already, ret is the older layer. */
int ol_register_commit(struct ol_register *reg, struct ol_store_layer *ret, bool *ret_existed,
                       struct ol_error *err);
/** Take back what was not committed, release the parent. @return 0 or why something is left. */
int ol_register_end(struct ol_register *reg, struct ol_error *err);

/* --- layer_tar.c: keeping a layer's tar, and making it again --- */
struct ol_tar_record {
    struct ol_tarsplit *ts; /* owned */
    int fd;                 /* owned */
};
#define OL_TAR_RECORD_INIT                                                                         \
    {                                                                                              \
        NULL, -1                                                                                   \
    }
/** Have what is applied from input recorded in the write set. A file is read from where it stands
 * with pread from now on, so that it can be read twice. */
int ol_tar_record_begin(struct ol_tar_record *record, const struct ol_store *store,
                        const char *driver_id, struct ol_input *input, struct ol_error *err);
/** After the apply: see to it that the stream can be made again. */
int ol_tar_record_end(struct ol_tar_record *record, const struct ol_store *store,
                      const char *driver_id, const struct ol_input *input, struct ol_error *err);
void ol_tar_record_fini(struct ol_tar_record *record);

/** initlayer.c: make the directories of a clean path that are missing, mode 0755. */
int ol_store_mkdirs(struct ol_rootfs *fs, const char *path, struct ol_error *err);

/** CLOCK_MONOTONIC in nanoseconds. */
uint64_t ol_store_clock_ns(void);
/** Remove the driver layers "<id>" and "<id>-init"; missing ones are fine. */
int ol_store_remove_driver_layers(const struct ol_store *store, const char *id,
                                  struct ol_error *err);

#endif
