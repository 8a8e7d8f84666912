/* SPDX-License-Identifier: Apache-2.0 */
/* The model's insides, for the laws and for planning. */
#ifndef OL_BENCH_ORACLE_MODEL_INTERNAL_H
#define OL_BENCH_ORACLE_MODEL_INTERNAL_H

#include "bench/oracle/naive.h"
#include "bench/oracle/tree.h"
#include "bench/oracle/upper.h"

/* Inodes a layer's tree needs that no other layer shares, while its entries are applied. */
struct ol_running {
    int64_t start, now, peak;
};
enum ol_running_law { OL_RUNNING_CLONE, OL_RUNNING_CLONE_ALL, OL_RUNNING_COPY, OL_RUNNING_LAWS };

struct ol_model {
    struct ol_mtree merged; /* the image so far, as a full tree */
    struct ol_mtree own;    /* the last layer's own tar, as an overlay2 diff directory */
    bool own_is_merged;     /* a base layer without whiteouts so far: merged is both, own empty */
    struct ol_running running[OL_RUNNING_LAWS]; /* of the merged tree */
    struct ol_mnaive *naive;                    /* owned; NULL: not tracked */
    bool stacks_differ;                         /* ol_model_stacks_differ() */
    struct ol_mtree below; /* then: what a mount shows without the last layer, or with what it had
                              when they began to differ */
    uint32_t layer;        /* number of the layer being fed, from 1; 0 before */
};

/**
 * The layer just fed is what a container changed, so its tar will be the one a diff writes, whose
 * order is another than that of the changes: correct the peaks.
 * @param below  another model of the image below, which is fed with that tar, and only good to be
 *               freed afterwards; NULL where no change frees anything: then every order is the same
 * @return 0 or -ENOMEM
 */
int ol_model_diffed(struct ol_model *model, struct ol_model *below, struct ol_error *err);

/** The metadata of a directory nobody gave any: root's, mode 0755. */
uint32_t ol_meta_of_implied(void);

/* What is seen in a container, its init layer included. */
struct ol_model_seen {
    struct ol_mtree before; /* when it was made */
    struct ol_mtree after; /* with its changes; known are names, types, links, and what was there */
};

/**
 * The same where the layer just fed was another engine's, and a container repeated it. What it
 * wrote anew with the size and the metadata it had is in no naive diff, and a name it linked to an
 * older layer's file is a file of its own there: full trees take the naive diff's layer over.
 * @param seen     after gets the metadata of the layer's entries; NULL: nobody could follow the
 *                 changes, and the layer's entries have to do
 * @param ret_any  false: the naive diff is empty, and its commit makes no layer
 */
int ol_model_replayed(struct ol_model *model, struct ol_model *below, struct ol_model_seen *seen,
                      bool *ret_any, struct ol_error *err);

/** The layer's own tree is what a container's upper directory is unpacked to. It may have names
 * that no naive diff has, of directories the init layer made: then the images are not the same
 * (ol_model_stacks_differ()).
 * @return 0; -ENOMEM: nothing has changed */
int ol_model_unpack(struct ol_model *model, const struct ol_mtree *upper);

/** Have a layer's own tree what is seen under a canonical path, as an upper directory that it was
 * copied up to; where it has the name nothing is done. @return 0 or negative errno */
int ol_model_copy_up(struct ol_model *model, const char *path, struct ol_error *err);

/** The last layer's own tree. */
static inline const struct ol_mtree *ol_model_own(const struct ol_model *model)
{
    return model->own_is_merged ? &model->merged : &model->own;
}

/** What a mount shows of the image where its layers are bare directories. @return 0 or -ENOMEM */
int ol_model_stacked(const struct ol_model *model, struct ol_mtree *ret);
/** Fill an init layer's upper over a tree, which has to outlive it. @return 0 or -ENOMEM */
int ol_init_layer(const struct ol_mtree *image, struct ol_upper *ret);
/** Fill an init layer's upper over the image (spec: graphdriver.md 11.4). @return 0 or -ENOMEM */
int ol_model_init_layer(const struct ol_model *model, struct ol_upper *ret);

/** True for what the init layer puts into every container, or has below /dev, /proc and /sys. */
bool ol_model_is_init_path(const char *path);
/** True for a directory the init layer makes these in ("etc"): anything else of that name is gone.
 */
bool ol_model_is_init_parent(const char *path);

/** The inodes of a content copy of the merged tree, its root included (vfs). */
int ol_model_copy_kinds(const struct ol_model *model, struct ol_inode_kinds *ret);

/**
 * The path with the symlinks of its directory part resolved in the merged tree, as applying an
 * entry of that name would; what is missing stays as it is. @return 0, -ENOMEM, or why it leads
 * nowhere
 */
int ol_model_canonical(const struct ol_model *model, const char *path, char **ret);
/** The node of a canonical path, or OL_M_NONE. */
uint32_t ol_model_find(const struct ol_model *model, const char *path);

enum { OL_OVERLAY2_COMMITTED = 1 }; /* what becoming a parent adds to a layer of overlay2 */
bool ol_law_marks_parents(enum ol_law law);
/** A container layer directly on an image, mounted once. @return 0 or -ENOMEM */
int ol_law_bare_container(enum ol_law law, const struct ol_model *model,
                          struct ol_inode_kinds *ret);
/** A committed image layer of overlay2 whose tar the naive diff wrote, unpacked without a mount.
 * @return 0; -ENOMEM; -ENOTSUP the model does not track it */
int ol_law_listed_layer(const struct ol_model *model, struct ol_inode_kinds *ret);

#endif
