/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inode laws, each as measured on moby 20.10 (spec graphdriver.md 5): what a step adds to a
 * driver's home, from the model alone.
 */
#include "bench/oracle/model_internal.h"

#include "common/cleanup.h"
#include "common/fs/path.h"

#include <errno.h>

int64_t ol_inode_kinds_total(const struct ol_inode_kinds *kinds)
{
    return kinds->directory + kinds->regular + kinds->symlink + kinds->device + kinds->fifo +
           kinds->whiteout + kinds->bookkeeping;
}

void ol_inode_kinds_add(struct ol_inode_kinds *to, const struct ol_inode_kinds *what, int64_t sign)
{
    to->directory += sign * what->directory;
    to->regular += sign * what->regular;
    to->symlink += sign * what->symlink;
    to->device += sign * what->device;
    to->fifo += sign * what->fifo;
    to->whiteout += sign * what->whiteout;
    to->bookkeeping += sign * what->bookkeeping;
}

/* What the driver itself makes for a layer, beside its content's top directory. */
enum {
    OVERLAY_ROOT_OWN = 1,     /* layer directory */
    OVERLAY_UPPER_OWN = 4,    /* layer directory, work, work/work, lower-id */
    OVERLAY2_BASE_OWN = 3,    /* layer directory, link, l/<name> */
    OVERLAY2_LAYER_OWN = 5,   /* and work, lower */
    OVERLAY2_MOUNTED_OWN = 6, /* and work/work */
    OVERLAY2_COMMITTED = OL_OVERLAY2_COMMITTED,
    SNAPSHOT_OWN = 2, /* snapshot directory, work */
};

/*
 * Legacy overlay, not base: a clone shares regular files and re-makes everything else, so the whole
 * tree's directories and specials, and the regular files this layer's tar wrote. clone=all shares
 * specials too.
 */
static void overlay_layer(const struct ol_model *model, bool clone_all, struct ol_inode_kinds *ret)
{
    const struct ol_mtree *tree = &model->merged;

    *ret = (struct ol_inode_kinds){.bookkeeping = OVERLAY_ROOT_OWN};
    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        const struct ol_minode *inode = &tree->inodes[i];
        bool shared = inode->type == OL_M_FILE || (clone_all && inode->type != OL_M_DIR);
        if (inode->links == 0 || (shared && inode->layer != model->layer))
            continue;
        ol_mtype_count(ret, (enum ol_mtype)inode->type, 1);
    }
}

int ol_model_copy_kinds(const struct ol_model *model, struct ol_inode_kinds *ret)
{
    const struct ol_mtree *tree = &model->merged;
    ol_auto_free unsigned char *groups = calloc(tree->n_groups, 1);

    if (groups == NULL)
        return -ENOMEM;
    *ret = (struct ol_inode_kinds){0};
    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        const struct ol_minode *inode = &tree->inodes[i];
        if (inode->links == 0)
            continue;
        if (inode->type != OL_M_FILE) { /* an inode for each name */
            ol_mtype_count(ret, (enum ol_mtype)inode->type, inode->links);
        } else if (groups[inode->group] == 0) {
            groups[inode->group] = 1;
            ret->regular++;
        }
    }
    return 0;
}

/* vfs: a copy of the parent, then the layer's own specials with their links among each other. */
static int vfs_layer(const struct ol_model *model, struct ol_inode_kinds *ret)
{
    struct ol_inode_kinds merged;
    int r = ol_model_copy_kinds(model, ret);

    if (r < 0)
        return r;
    ol_mtree_kinds(&model->merged, &merged); /* links of earlier layers' specials are split there */
    ret->symlink = merged.symlink;
    ret->device = merged.device;
    ret->fifo = merged.fifo;
    return 0;
}

static void overlay2_layer(const struct ol_model *model, bool base, struct ol_inode_kinds *ret)
{
    ol_mtree_kinds(ol_model_own(model), ret); /* its root is the diff directory */
    ret->bookkeeping = base ? OVERLAY2_BASE_OWN : OVERLAY2_LAYER_OWN;
}

/* A base is unpacked as a full tree (through a bind mount, in containerd), where whiteouts delete;
 * the others as an overlay's upper directory. */
static void snapshot_layer(const struct ol_model *model, bool base, struct ol_inode_kinds *ret)
{
    ol_mtree_kinds(base ? &model->merged : ol_model_own(model), ret); /* its root is fs */
    ret->bookkeeping = SNAPSHOT_OWN;
}

/* Unpacked through a mount, which leaves work/work and what is cached in it. */
static int naive_layer(const struct ol_model *model, bool base, struct ol_inode_kinds *ret)
{
    if (model->naive == NULL)
        return -ENOTSUP;
    if (base)
        ol_mtree_kinds(&model->merged, ret);
    else
        ol_upper_kinds(&model->naive->upper, ret);
    ret->bookkeeping = base ? OVERLAY2_BASE_OWN : OVERLAY2_MOUNTED_OWN;
    return 0;
}

int ol_law_listed_layer(const struct ol_model *model, struct ol_inode_kinds *ret)
{
    int r;

    if (model->naive == NULL)
        return -ENOTSUP;
    r = ol_mnaive_listed(model->naive, &model->merged, model->layer, ret);
    ret->bookkeeping = OVERLAY2_LAYER_OWN;
    return r;
}

bool ol_law_stacks(enum ol_law law, bool mounts)
{
    return law == OL_LAW_OVERLAY2 || law == OL_LAW_SNAPSHOT ||
           (law == OL_LAW_OVERLAY2_NAIVE && !mounts);
}

bool ol_law_marks_parents(enum ol_law law)
{
    return law == OL_LAW_OVERLAY2 || law == OL_LAW_OVERLAY2_NAIVE;
}

int ol_law_image_layer(enum ol_law law, const struct ol_model *model, bool base,
                       struct ol_inode_kinds *ret)
{
    switch (law) {
    case OL_LAW_OVERLAY:
    case OL_LAW_OVERLAY_CLONE_ALL:
        if (base) {
            ol_mtree_kinds(&model->merged, ret);
            ret->bookkeeping = OVERLAY_ROOT_OWN;
        } else {
            overlay_layer(model, law == OL_LAW_OVERLAY_CLONE_ALL, ret);
        }
        return 0;
    case OL_LAW_OVERLAY2:
        overlay2_layer(model, base, ret);
        return 0;
    case OL_LAW_VFS:
        return vfs_layer(model, ret);
    case OL_LAW_SNAPSHOT:
        snapshot_layer(model, base, ret);
        return 0;
    case OL_LAW_OVERLAY2_NAIVE:
        return naive_layer(model, base, ret);
    case OL_LAW_NULL:
    case OL_LAWS:
        break;
    }
    *ret = (struct ol_inode_kinds){0};
    return 0;
}

int ol_law_layer_apply(enum ol_law law, const struct ol_model *model, bool base, bool first_use,
                       struct ol_inode_kinds *ret)
{
    int r = ol_law_image_layer(law, model, base, ret);

    if (ol_law_marks_parents(law) && !base && first_use)
        ret->bookkeeping += OVERLAY2_COMMITTED;
    return r;
}

/* What moby daemon/initlayer/setup_unix.go makes, in store/initlayer.c's order. */
static const struct {
    const char *path;
    enum ol_mtype type;
} init_entries[] = {
    {"dev/pts", OL_M_DIR},      {"dev/shm", OL_M_DIR},       {"proc", OL_M_DIR},
    {"sys", OL_M_DIR},          {".dockerenv", OL_M_FILE},   {"etc/resolv.conf", OL_M_FILE},
    {"etc/hosts", OL_M_FILE},   {"etc/hostname", OL_M_FILE}, {"dev/console", OL_M_FILE},
    {"etc/mtab", OL_M_SYMLINK},
};

bool ol_model_is_init_path(const char *path)
{
    static const char *const trees[] = {"dev", "proc", "sys"};

    for (size_t i = 0; i < OL_ARRAY_LEN(trees); i++) {
        size_t len = strlen(trees[i]);
        if (strncmp(path, trees[i], len) == 0 && (path[len] == '/' || path[len] == '\0'))
            return true;
    }
    for (size_t i = 0; i < OL_ARRAY_LEN(init_entries); i++) {
        size_t len = strlen(init_entries[i].path);
        if (strncmp(path, init_entries[i].path, len) == 0 &&
            (path[len] == '/' || path[len] == '\0'))
            return true;
    }
    return false;
}

bool ol_model_is_init_parent(const char *path)
{
    const size_t len = strlen(path);

    for (size_t i = 0; i < OL_ARRAY_LEN(init_entries); i++) {
        if (strncmp(init_entries[i].path, path, len) == 0 && init_entries[i].path[len] == '/')
            return true;
    }
    return false;
}

/* Call fn for "a", "a/b", … of path, the last component included only when whole. */
static int each_prefix(struct ol_upper *upper, const char *path, bool whole,
                       int (*fn)(struct ol_upper *upper, const char *path))
{
    char prefix[32];
    size_t len = strlen(path);
    int r = 0;

    for (size_t i = 1; r == 0 && i <= len; i++) {
        if (path[i] != '/' && (path[i] != '\0' || !whole))
            continue;
        memcpy(prefix, path, i);
        prefix[i] = '\0';
        r = fn(upper, prefix);
    }
    return r;
}

static int unlink_quietly(struct ol_upper *upper, const char *path)
{
    int r = ol_upper_unlink(upper, path);

    return r == -ENOMEM ? r : 0; /* directories survive, what is missing is missing */
}

static int make(struct ol_upper *upper, const char *path, enum ol_mtype type)
{
    const struct ol_minode init = {.type = (uint8_t)type,
                                   .meta = type == OL_M_DIR ? ol_meta_of_implied() : 0};

    return ol_upper_make_inode(upper, path, &init);
}

static int make_dir(struct ol_upper *upper, const char *path)
{
    int r = make(upper, path, OL_M_DIR);

    return r == -EEXIST ? 0 : r;
}

int ol_model_init_layer(const struct ol_model *model, struct ol_upper *ret)
{
    return ol_init_layer(&model->merged, ret);
}

int ol_init_layer(const struct ol_mtree *image, struct ol_upper *ret)
{
    int r = ol_upper_init(ret, image, NULL);

    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < OL_ARRAY_LEN(init_entries); i++) {
        enum ol_mtype there;
        r = each_prefix(ret, init_entries[i].path, true, unlink_quietly);
        if (r < 0 || ol_upper_type(ret, init_entries[i].path, &there) == 0)
            continue;
        r = each_prefix(ret, init_entries[i].path, false, make_dir);
        if (r == 0)
            r = make(ret, init_entries[i].path, init_entries[i].type);
    }
    if (r < 0)
        ol_upper_fini(ret);
    return r;
}

/* The init layer's upper with its cached whiteout, and the container's, a content copy of it. */
static int overlay_container(const struct ol_model *model, const struct ol_upper *init,
                             struct ol_inode_kinds *ret)
{
    struct ol_inode_kinds copy;
    struct ol_upper container;
    int r = ol_upper_init_copy(&container, init, &model->merged);

    if (r < 0)
        return r;
    ol_upper_kinds(init, ret);
    ol_upper_kinds(&container, &copy);
    ol_upper_fini(&container);
    ol_inode_kinds_add(ret, &copy, 1);
    ret->bookkeeping += INT64_C(2) * OVERLAY_UPPER_OWN;
    return 0;
}

static void overlay2_container(const struct ol_upper *init, bool first_use,
                               struct ol_inode_kinds *ret)
{
    ol_upper_kinds(init, ret);
    ret->directory++; /* the container's diff */
    ret->bookkeeping += INT64_C(2) * OVERLAY2_MOUNTED_OWN + OVERLAY2_COMMITTED;
    if (first_use)
        ret->bookkeeping += OVERLAY2_COMMITTED;
}

/* Two full copies, the init step's changes in both. */
static int vfs_container(const struct ol_model *model, const struct ol_upper *init,
                         struct ol_inode_kinds *ret)
{
    struct ol_inode_kinds copy;
    int r = ol_model_copy_kinds(model, &copy);

    if (r < 0)
        return r;
    ol_inode_kinds_add(&copy, &init->plain, 1);
    *ret = (struct ol_inode_kinds){0};
    ol_inode_kinds_add(ret, &copy, 2);
    return 0;
}

/* On an image of bare directories that a full tree is not the same as. */
static int stacked_container(const struct ol_model *model, bool first_use,
                             struct ol_inode_kinds *ret)
{
    struct ol_mtree stacked;
    struct ol_upper init;
    int r = ol_model_stacked(model, &stacked);

    if (r < 0)
        return r;
    r = ol_init_layer(&stacked, &init);
    if (r == 0) {
        overlay2_container(&init, first_use, ret);
        ol_upper_fini(&init);
    }
    ol_mtree_fini(&stacked);
    return r;
}

int ol_law_container_create(enum ol_law law, const struct ol_model *model, bool first_use,
                            struct ol_inode_kinds *ret)
{
    struct ol_upper init;
    int r;

    *ret = (struct ol_inode_kinds){0};
    if (law == OL_LAW_SNAPSHOT)
        *ret = (struct ol_inode_kinds){.directory = 1, .bookkeeping = SNAPSHOT_OWN};
    if (law == OL_LAW_SNAPSHOT || law == OL_LAW_NULL)
        return 0;
    if (law == OL_LAW_OVERLAY2 && model->stacks_differ)
        return stacked_container(model, first_use, ret);
    r = ol_model_init_layer(model, &init);
    if (r < 0)
        return r;
    if (law == OL_LAW_VFS)
        r = vfs_container(model, &init, ret);
    else if (ol_law_marks_parents(law))
        overlay2_container(&init, first_use, ret);
    else
        r = overlay_container(model, &init, ret);
    ol_upper_fini(&init);
    return r;
}

int ol_law_bare_container(enum ol_law law, const struct ol_model *model, struct ol_inode_kinds *ret)
{
    *ret = (struct ol_inode_kinds){.directory = 1}; /* upper, diff or fs */
    switch (law) {
    case OL_LAW_OVERLAY:
    case OL_LAW_OVERLAY_CLONE_ALL:
        ret->bookkeeping = OVERLAY_UPPER_OWN;
        break;
    case OL_LAW_OVERLAY2:
    case OL_LAW_OVERLAY2_NAIVE:
        ret->bookkeeping = OVERLAY2_MOUNTED_OWN;
        break;
    case OL_LAW_VFS:
        return ol_model_copy_kinds(model, ret);
    case OL_LAW_SNAPSHOT:
        ret->bookkeeping = SNAPSHOT_OWN + 1; /* work/work */
        break;
    case OL_LAW_NULL:
    case OL_LAWS:
        *ret = (struct ol_inode_kinds){0};
        break;
    }
    return 0;
}

/* The drivers' own mount point, merged; their work/work is there since docker create. */
static bool has_mount_point(enum ol_law law)
{
    return law == OL_LAW_OVERLAY || law == OL_LAW_OVERLAY_CLONE_ALL || ol_law_marks_parents(law);
}

void ol_law_container_mount(enum ol_law law, bool mounts, struct ol_inode_kinds *ret)
{
    *ret = (struct ol_inode_kinds){0};
    if (law == OL_LAW_SNAPSHOT) /* work/work, which the direct view makes as the kernel does */
        ret->bookkeeping = 1;
    else if (mounts && has_mount_point(law))
        ret->bookkeeping = 1;
}

void ol_law_container_unmount(enum ol_law law, bool mounts, struct ol_inode_kinds *ret)
{
    *ret = (struct ol_inode_kinds){0};
    if (mounts && has_mount_point(law)) /* a snapshot's work/work stays, also in the image */
        ret->bookkeeping = -1;
}

int ol_law_commit(enum ol_law law, const struct ol_model *model,
                  const struct ol_inode_kinds *created, bool init_mounted,
                  struct ol_inode_kinds *ret)
{
    int r;

    *ret = (struct ol_inode_kinds){0};
    if (law == OL_LAW_SNAPSHOT)
        return 0;
    r = ol_law_image_layer(law, model, false, ret);
    /* One whiteout is the cached one alone; with more, other names keep its inode. */
    if (init_mounted && (law == OL_LAW_OVERLAY || law == OL_LAW_OVERLAY_CLONE_ALL) &&
        created->whiteout == 1)
        ret->whiteout--;
    return r;
}
