/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine does above a driver: the layer store (DiffID, ChainID, cache ids), the init layer,
 * containers, and commit = Create, Diff, ApplyDiff with Diff and ApplyDiff at the same time on one
 * bounded pipe. Follows moby 20.10 layer/, daemon/commit.go and daemon/initlayer. On-disk format:
 * docs/formats/layerdb.md.
 */
#ifndef OL_STORE_STORE_H
#define OL_STORE_STORE_H

#include "common/digest.h"
#include "drivers/driver.h"

struct ol_store;

/* A registered layer. */
struct ol_store_layer {
    char chain_id[OL_DIGEST_SIZE];
    char diff_id[OL_DIGEST_SIZE];
    char parent[OL_DIGEST_SIZE]; /* parent's ChainID; "" for a base layer */
    char cache_id[OL_HEX_SIZE];  /* the driver's layer id */
    uint64_t size_bytes;         /* what ApplyDiff returned */
    unsigned depth;              /* 1 for a base layer */
};

/* Who wants to hear about what is wrong: one line, no newline. */
typedef void ol_problem_fn(const char *text, void *data);

struct ol_store_options {
    bool sync;      /* fsync metadata before the rename, as moby does */
    bool tar_split; /* keep what is needed to make each layer's exact tar again; costs a file for
                       each layer and a thread's time while it is registered */
    /* For checkers: what would refuse the store is told, what it concerns left out, and nothing is
     * cleaned up. NULL: refuse. */
    ol_problem_fn *problem;
    void *problem_data;
};

/**
 * Open (or make) the store in dir (absolute; 0700) over drv, which is borrowed and must outlive it.
 * Locks the directory against a second process (-EBUSY). Half-made state of an earlier process is
 * removed: write sets, driver layers no layer owns that were being registered.
 * @return 0; -EBUSY; -ENOTSUP tar_split with a driver that keeps no files; -EBADMSG …
 */
int ol_store_open(const char *dir, struct ol_driver *drv, const struct ol_store_options *options,
                  struct ol_store **ret, struct ol_error *err);
void ol_store_close(struct ol_store *store);

/* Wall time of the parts of one register or commit, nanoseconds. */
struct ol_store_times {
    uint64_t create_ns;   /* driver Create */
    uint64_t diff_ns;     /* driver Diff, running beside apply; 0 for register */
    uint64_t apply_ns;    /* driver ApplyDiff */
    uint64_t metadata_ns; /* digests compared, metadata written */
    uint64_t total_ns;
};

/**
 * Register one layer tar on top of parent_chain (NULL: base): Create, ApplyDiff, metadata. A layer
 * with the same ChainID that exists already wins, the new one is removed again (*ret_existed).
 * @param want_diff_id  NULL, or the DiffID the stream must have (-EBADMSG otherwise)
 * @return 0; -E2BIG past OL_MAX_IMAGE_LAYERS; failure leaves nothing.
 */
int ol_store_register(struct ol_store *store, const char *parent_chain, const struct ol_input *tar,
                      const char *want_diff_id, struct ol_store_layer *ret,
                      struct ol_apply_result *ret_apply, struct ol_store_times *ret_times,
                      bool *ret_existed, struct ol_error *err);

/* A layer's tar, as it was streamed. */
struct ol_store_tar {
    char diff_id[OL_DIGEST_SIZE];
    uint64_t bytes;
    bool exact; /* the stream that was registered; else one of the same content, written anew */
};

/**
 * Stream the layer's tar: the very bytes that were registered, made again from its tar-split file
 * and the driver's files and compared with the DiffID; without such a file as the driver's Diff
 * writes it.
 * @param sink  gets the stream; what it got before a failure is worthless
 * @param ret   may be NULL
 * @return 0; -ENOENT; -EBADMSG the layer or its tar-split file was changed, with the file's name
 */
int ol_store_layer_tar(struct ol_store *store, const char *chain_id, ol_sink_fn *sink, void *data,
                       struct ol_store_tar *ret, struct ol_error *err);

int ol_store_layer_get(struct ol_store *store, const char *chain_id, struct ol_store_layer *ret,
                       struct ol_error *err);

/** Remove a layer without children or containers (-EBUSY otherwise). */
int ol_store_layer_remove(struct ol_store *store, const char *chain_id, struct ol_error *err);

int ol_store_layer_list(struct ol_store *store,
                        int (*fn)(const struct ol_store_layer *layer, void *data), void *data,
                        struct ol_error *err);

struct ol_store_container {
    char id[OL_HEX_SIZE];        /* also the name under mounts/ */
    char mount_id[OL_HEX_SIZE];  /* the driver's layer id; its init layer is "<mount_id>-init" */
    char parent[OL_DIGEST_SIZE]; /* ChainID of the image's top layer; "" for none */
};

/**
 * Container layer: CreateReadWrite "<mount id>-init" over the image, fill it
 * (ol_initlayer_setup()), CreateReadWrite the mount id over it; then one Get and Put, as docker
 * create does for the working directory. Failure leaves nothing.
 */
int ol_store_container_create(struct ol_store *store, const char *parent_chain,
                              struct ol_store_container *ret, struct ol_error *err);
int ol_store_container_get(struct ol_store *store, const char *id, struct ol_store_container *ret,
                           struct ol_error *err);
int ol_store_container_remove(struct ol_store *store, const char *id, struct ol_error *err);
int ol_store_container_list(struct ol_store *store,
                            int (*fn)(const struct ol_store_container *c, void *data), void *data,
                            struct ol_error *err);

struct ol_store_commit {
    struct ol_store_layer layer; /* for an empty commit: the container's image layer */
    bool empty;                  /* the diff was the empty tar: no layer was added */
    bool existed;
    struct ol_tar_result diff;
    struct ol_apply_result apply;
    struct ol_store_times times;
};

/** docker commit: Get(rw), Diff(rw, init) | Register(image layer), Put. Failure leaves nothing. */
int ol_store_commit(struct ol_store *store, const char *container_id, struct ol_store_commit *ret,
                    struct ol_error *err);

/** Fill an init layer as moby daemon/initlayer/setup_unix.go (spec: graphdriver.md 11.4). */
int ol_initlayer_setup(struct ol_rootfs *fs, struct ol_error *err);

#endif
