/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the unmounted overlay: a merged directory is one descriptor per layer that contributes to
 * it, a lookup goes through them as fs/overlayfs/namei.c does, and copy-up fills the upper.
 */
#ifndef OL_DRIVERS_ROOTFS_OVERLAY_H
#define OL_DRIVERS_ROOTFS_OVERLAY_H

#include "drivers/rootfs_impl.h"

struct ol_ovl {
    struct ol_rootfs base;
    int *layers; /* owned, with the descriptors: [0] is the upper, then the lowers, nearest first */
    size_t n_layers;
    enum ol_overlay_ns ns;
    int work_fd; /* owned: work/work, where everything is made before it is moved; -1: read-only */
    unsigned next_temp;      /* number of the next "#<hex>" in it */
    char whiteout[16];       /* the cached whiteout's name in work_fd; "" while there is none */
    bool leftovers;          /* something in work_fd could not be removed: closing tries again */
    bool no_shared_whiteout; /* a link to it failed once for another reason than too many links */
};

/* A directory of the merged view. Layers above an opaque one and below a file are not in it. */
struct ol_ovl_dir {
    int *fds;         /* owned, with the descriptors (O_PATH), topmost first */
    unsigned *layers; /* owned: which layer each belongs to */
    size_t n;
};
#define OL_OVL_DIR_INIT                                                                            \
    {                                                                                              \
        NULL, NULL, 0                                                                              \
    }
void ol_ovl_dir_fini(struct ol_ovl_dir *dir);
#define ol_auto_ovl_dir __attribute__((cleanup(ol_ovl_dir_fini)))

/** Part of the upper layer; then fds[0] is the upper's directory. */
static inline bool ol_ovl_dir_in_upper(const struct ol_ovl_dir *dir)
{
    return dir->n > 0 && dir->layers[0] == 0;
}

/** Part of some lower layer too, or only. */
static inline bool ol_ovl_dir_in_lower(const struct ol_ovl_dir *dir)
{
    return dir->n > (ol_ovl_dir_in_upper(dir) ? 1u : 0u);
}

enum ol_ovl_kind { OL_OVL_MISSING, OL_OVL_FILE, OL_OVL_DIRECTORY }; /* file: whatever is no dir */

/* What a name is in the merged view. */
struct ol_ovl_found {
    enum ol_ovl_kind kind;
    size_t at;             /* index into the parent's fds of the topmost one that has it */
    bool in_upper;         /* that is the upper layer */
    bool upper_whiteout;   /* missing, because the upper layer has a whiteout there */
    bool opaque;           /* directory: the topmost one is marked opaque */
    struct stat st;        /* of the topmost one */
    struct ol_ovl_dir dir; /* OL_OVL_DIRECTORY */
};
#define OL_OVL_FOUND_INIT                                                                          \
    {                                                                                              \
        .dir = OL_OVL_DIR_INIT                                                                     \
    }
void ol_ovl_found_fini(struct ol_ovl_found *found);
#define ol_auto_ovl_found __attribute__((cleanup(ol_ovl_found_fini)))

/* A resolved path: no symlink is left in dir_path, and name is neither "." nor "..". */
struct ol_ovl_pos {
    char *dir_path; /* owned; "" for the root */
    char *name;     /* owned; "" when the position is the root itself */
    struct ol_ovl_dir parent;
    struct ol_ovl_found found;
};
#define OL_OVL_POS_INIT                                                                            \
    {                                                                                              \
        NULL, NULL, OL_OVL_DIR_INIT, OL_OVL_FOUND_INIT                                             \
    }
void ol_ovl_pos_fini(struct ol_ovl_pos *pos);
#define ol_auto_ovl_pos __attribute__((cleanup(ol_ovl_pos_fini)))

/* rootfs_overlay_lookup.c */
int ol_ovl_open_root(struct ol_ovl *o, struct ol_ovl_dir *ret);
int ol_ovl_lookup(struct ol_ovl *o, const struct ol_ovl_dir *parent, const char *name,
                  struct ol_ovl_found *ret);
/**
 * Resolve a caller's path. A missing last component is found (OL_OVL_MISSING); a missing directory
 * is -ENOENT. follow: a symlink in the last component too.
 */
int ol_ovl_resolve(struct ol_ovl *o, const char *path, bool follow, struct ol_ovl_pos *ret);
/** True when a lower layer shows an object of this name: removing it takes a whiteout. */
bool ol_ovl_lower_positive(const struct ol_ovl_dir *parent, const char *name,
                           const struct ol_ovl_found *found);
/** Sorted names of a merged directory, whiteouts applied. */
int ol_ovl_names(const struct ol_ovl_dir *dir, char ***ret);
/** 0 when nothing is left in the merged directory, -ENOTEMPTY, or negative errno. */
int ol_ovl_is_empty(const struct ol_ovl_dir *dir);

/* rootfs_overlay_copyup.c */
/** "#<hex>", the next free name in work_fd. */
void ol_ovl_temp_name(struct ol_ovl *o, char ret[static 16]);
/** Copy the object up; the parent must be in the upper. A directory is copied without its content.
 */
int ol_ovl_copy_up(struct ol_ovl *o, const struct ol_ovl_dir *parent, const char *name,
                   const struct ol_ovl_found *found);
/** Copy up every directory on the way to pos, then look its name up again. */
int ol_ovl_copy_up_parent(struct ol_ovl *o, struct ol_ovl_pos *pos);
/** ol_ovl_copy_up_parent() and the object itself. */
int ol_ovl_copy_up_pos(struct ol_ovl *o, struct ol_ovl_pos *pos);
/** A name in work_fd that is a whiteout nobody else uses, to be renamed into place. */
int ol_ovl_take_whiteout(struct ol_ovl *o, char ret[static 16]);

#endif
