/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inode oracle: a pure model of a layered tree, fed with tar headers or planned changes, that
 * says what each driver's storage will hold. No I/O, no global state. The laws are those of
 * moby 20.10's drivers, measured on live daemons: docs/inode-laws.md.
 */
#ifndef OL_BENCH_ORACLE_ORACLE_H
#define OL_BENCH_ORACLE_ORACLE_H

#include "common/error.h"
#include "common/layer/layer.h"

#include <stdbool.h>
#include <stdint.h>

/* Inodes by kind, as the usage walk of a driver's home counts them; signed: a step can free some.
 */
struct ol_inode_kinds {
    int64_t directory, regular, symlink, device, fifo, whiteout, bookkeeping;
};
int64_t ol_inode_kinds_total(const struct ol_inode_kinds *kinds);
/** Add sign times what. */
void ol_inode_kinds_add(struct ol_inode_kinds *to, const struct ol_inode_kinds *what, int64_t sign);

/* The merged tree of an image (or container) so far. */
struct ol_model;
int ol_model_new(struct ol_model **ret, struct ol_error *err);
void ol_model_free(struct ol_model *model);

/** Another model of the same image. */
int ol_model_copy(const struct ol_model *model, struct ol_model **ret, struct ol_error *err);

/** Follow OL_LAW_OVERLAY2_NAIVE as well, which costs a copy of the tree for each layer: before the
 * first layer. @return 0; -EINVAL later; -ENOMEM */
int ol_model_track_naive(struct ol_model *model, struct ol_error *err);

/** Begin the next layer; entries until the next begin belong to it. */
int ol_model_begin_layer(struct ol_model *model, struct ol_error *err);
/** Feed one header of the layer (whiteout names included). */
int ol_model_add(struct ol_model *model, const struct ol_entry *entry, struct ol_error *err);
/** The same for the whiteout that deletes a path. */
int ol_model_add_whiteout(struct ol_model *model, const char *path, struct ol_error *err);

/**
 * True when an entry's path led through a symlink of a lower layer. A full tree follows it; what is
 * unpacked into a bare upper directory (overlay2, snapshot) gets a directory of that name instead,
 * as under moby, and the image is another one from there on. The laws hold for its layers, and for
 * making containers on it; not for changing them under those drivers: plans are made for the merged
 * tree, which is the other's.
 */
bool ol_model_stacks_differ(const struct ol_model *model);

/* What a merged tree holds. */
struct ol_model_counts {
    uint64_t directories; /* D: root included */
    uint64_t specials;    /* S: names that are neither directory nor regular file */
    uint64_t
        special_inodes; /* distinct inodes of those, hard-linked within one layer counted once */
    uint64_t regular;   /* R: distinct regular inodes */
    uint64_t regular_names;
    uint64_t written; /* W: regular inodes written by the last layer's own tar and still present */
    uint64_t layer_directories, layer_regular, layer_specials, layer_whiteouts, layer_opaques;
    /* distinct objects of the last layer's own tar, implied directories included */
};
void ol_model_counts(const struct ol_model *model, struct ol_model_counts *ret);

enum ol_model_type { OL_MODEL_FILE, OL_MODEL_DIRECTORY, OL_MODEL_SYMLINK, OL_MODEL_OTHER };

/* One name of the merged tree, in sorted pre-order; for planning changes. */
struct ol_model_node {
    const char *path; /* relative, owned by the call */
    enum ol_model_type type;
    uint64_t size;
    unsigned mode;
    unsigned links; /* names of this inode in the merged tree */
};
typedef int ol_model_fn(const struct ol_model_node *node, void *data);
int ol_model_walk(const struct ol_model *model, ol_model_fn *fn, void *data);
/** The same for the names that are of one type under every driver: all of them, unless the images
 * differ (ol_model_stacks_differ()). @return -ENOMEM, too */
int ol_model_walk_common(const struct ol_model *model, ol_model_fn *fn, void *data);
bool ol_model_lookup(const struct ol_model *model, const char *path, struct ol_model_node *ret);

enum ol_law {
    OL_LAW_OVERLAY,
    OL_LAW_OVERLAY_CLONE_ALL,
    OL_LAW_OVERLAY2,
    OL_LAW_VFS,
    OL_LAW_SNAPSHOT, /* containerd's overlay snapshotter, and ours */
    OL_LAW_NULL,
    OL_LAW_OVERLAY2_NAIVE, /* layers go in and out through mounts; ol_model_track_naive() first */
    OL_LAWS
};

/** True for a law that stacks bare upper directories (see ol_model_stacks_differ()).
 * @param mounts  as in struct ol_held_way */
bool ol_law_stacks(enum ol_law law, bool mounts);

/* The laws return 0, or -ENOMEM where they need memory, or -ENOTSUP of a law the model does not
 * track. What several steps do to the same layers and containers, removing them included, is in
 * held.h.
 *
 * Kinds are told by position in the driver's layout, as bench/harness/home_usage.c tells them:
 * bookkeeping is the driver's own making (layer directory, link, lower, lower-id, committed, work,
 * work/work, merged, l/ and what is in it), the rest are inode types of root/, upper/, diff/, fs/
 * or dir/<id> (that directory included) and of what is cached in work/work. */

/** Inodes the image layer just fed adds to the driver's home ("layer.apply", and the apply of a
 * commit). */
int ol_law_image_layer(enum ol_law law, const struct ol_model *model, bool base,
                       struct ol_inode_kinds *ret);

/**
 * The same with what becoming a parent adds to the layer below: the step "layer.apply".
 * first_use: the layer below was no parent of a layer or container before (overlay2's `committed`).
 */
int ol_law_layer_apply(enum ol_law law, const struct ol_model *model, bool base, bool first_use,
                       struct ol_inode_kinds *ret);

/** "container.create" on the model's image: init layer and container layer, mounted once; of the
 * snapshotter an active snapshot, not mounted yet and without an init layer.
 * first_use: no container or layer was made on this image layer before (overlay2's `committed`
 * file). */
int ol_law_container_create(enum ol_law law, const struct ol_model *model, bool first_use,
                            struct ol_inode_kinds *ret);

/**
 * "container.mount" and "container.unmount".
 * @param mounts  layers are really mounted, on a directory of the driver's own where it has one
 */
void ol_law_container_mount(enum ol_law law, bool mounts, struct ol_inode_kinds *ret);
void ol_law_container_unmount(enum ol_law law, bool mounts, struct ol_inode_kinds *ret);

/**
 * "commit" of a container, after its changes were fed to the model as a layer: the image layer, and
 * what mounting the init layer for a naive diff frees. The snapshotter's adds none: the container's
 * own directory becomes the layer.
 * @param created       what ol_law_container_create() said about the container
 * @param init_mounted  the diff mounts the init layer: legacy overlay's naive diff, in a view that
 *                      mounts. Its cached whiteout goes with the new work/work (spec 5.1).
 */
int ol_law_commit(enum ol_law law, const struct ol_model *model,
                  const struct ol_inode_kinds *created, bool init_mounted,
                  struct ol_inode_kinds *ret);

#endif
