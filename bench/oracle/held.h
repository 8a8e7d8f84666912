/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each layer and each container holds of a driver's home, from its first step to its removal:
 * the laws of oracle.h for one step, put together for any number of containers on any number of
 * images, committed and removed in any order a layer store allows (children before parents).
 *
 * The structs are plain values of the caller's; nothing in them is owned. Every function says in
 * ret_added what its step adds to the home (negative: frees).
 */
#ifndef OL_BENCH_ORACLE_HELD_H
#define OL_BENCH_ORACLE_HELD_H

#include "bench/oracle/disk.h"
#include "bench/oracle/oracle.h"

/* How an engine uses its driver. */
struct ol_held_way {
    enum ol_law law;
    bool mounts;     /* layers are really mounted */
    bool naive_diff; /* a commit compares the container with its init layer, seen the same way */
};

/* An image layer. */
struct ol_held_layer {
    struct ol_held_way way;
    struct ol_inode_kinds own; /* what goes with it; no other layer shares it */
    bool is_parent;            /* a layer or container was made on it once */
};

/* A container, with its init layer where there is one. */
struct ol_held_container {
    struct ol_held_way way;
    struct ol_inode_kinds own;
    bool init_cached; /* the init layer's cached whiteout has no other name */
    bool cached;      /* the container's has none */
    bool gone;        /* the commit took it (snapshot) */
};

/**
 * "layer.apply": the layer just fed to the model is registered.
 * @param parent  the layer below, marked as one; NULL: a base layer
 */
int ol_held_layer_apply(const struct ol_held_way *way, const struct ol_model *model,
                        struct ol_held_layer *parent, struct ol_held_layer *ret,
                        struct ol_inode_kinds *ret_added);

/** The blocks of that: ol_law_layer_disk() of the way. @param base  it has no parent */
int ol_held_layer_disk(const struct ol_held_way *way, const struct ol_model *model, bool base,
                       enum ol_disk_fs fs, struct ol_disk_bytes *ret);

/** A layer on parent that was refused, and removed again: what is left is the parent's mark. */
void ol_held_layer_refused(struct ol_held_layer *parent, struct ol_inode_kinds *ret_added);

/** "container.create" on the model's image, whose top layer is image. */
int ol_held_container_create(const struct ol_held_way *way, const struct ol_model *model,
                             struct ol_held_layer *image, struct ol_held_container *ret,
                             struct ol_inode_kinds *ret_added);

/**
 * The container of a classic build's COPY or ADD: on the image itself, without an init layer, and
 * mounted once; it goes when the layer is made (ol_held_container_remove()). A RUN step's is an
 * ordinary one, and the layer of both an ordinary commit's. Under the snapshotter there is no other
 * kind.
 */
int ol_held_build_create(const struct ol_held_way *way, const struct ol_model *model,
                         struct ol_held_layer *image, struct ol_held_container *ret,
                         struct ol_inode_kinds *ret_added);

/** "container.mount", "container.unmount". */
void ol_held_mount(struct ol_held_container *container, struct ol_inode_kinds *ret_added);
void ol_held_unmount(struct ol_held_container *container, struct ol_inode_kinds *ret_added);

/**
 * "container.change", while it is mounted.
 * @param changed        what the changes add to the upper directory, the cached whiteout included
 * @param leaves_cached  that one has no other name when they are done
 */
void ol_held_change(struct ol_held_container *container, const struct ol_inode_kinds *changed,
                    bool leaves_cached);

/**
 * The difference between the container and its image is written as a tar, and nothing is committed.
 * A naive diff mounts the init layer, and the container unless it is mounted; without mounts their
 * work directories are made anew all the same.
 * @param mounted  the container is
 */
void ol_held_diff(struct ol_held_container *container, bool mounted,
                  struct ol_inode_kinds *ret_added);

/**
 * "commit": a new layer on image, which the container was created on; its tar was just fed to the
 * model, as the layer after the image's.
 * @param empty      the diff was empty: nothing is added, and ret_layer is not written. The
 *                   snapshotter makes a layer all the same.
 * @param ret_layer  the layer that was made
 */
int ol_held_commit(struct ol_held_container *container, const struct ol_model *model,
                   struct ol_held_layer *image, bool empty, struct ol_held_layer *ret_layer,
                   struct ol_inode_kinds *ret_added);

/** The blocks of that: of the new layer; what goes with a container's cached whiteout has none. */
int ol_held_commit_disk(const struct ol_held_way *way, const struct ol_model *model, bool empty,
                        enum ol_disk_fs fs, struct ol_disk_bytes *ret);

/** "container.remove": whatever is left of it. */
void ol_held_container_remove(const struct ol_held_container *container,
                              struct ol_inode_kinds *ret_added);
/** "image.remove", of one layer that has no children any more. */
void ol_held_layer_remove(const struct ol_held_layer *layer, struct ol_inode_kinds *ret_added);

/**
 * The same for N containers made one after the other on one image, the first of which may mark it.
 * @param ret_one  each of them; may be NULL
 */
int ol_held_containers_create(const struct ol_held_way *way, const struct ol_model *model,
                              struct ol_held_layer *image, uint64_t count,
                              struct ol_held_container *ret_one, struct ol_inode_kinds *ret_added);

#endif
