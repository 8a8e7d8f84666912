/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay in memory; see upper.h. */
#include "bench/oracle/upper.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

enum { TREES_MAX = 1 + OL_UPPER_LOWERS_MAX };

/* A merged directory: its node in each tree that contributes, topmost first. */
struct place {
    struct {
        unsigned tree; /* 0: the upper */
        uint32_t node;
    } at[TREES_MAX];
    unsigned n;
};

/* What a name is; at[0] of dir, or file_tree and file_node. */
struct found {
    bool there, whiteout; /* whiteout: the upper has one */
    bool is_dir, in_upper;
    unsigned tree;
    uint32_t node; /* topmost */
    struct place dir;
};

static const struct ol_mtree *tree_of(const struct ol_upper *upper, unsigned tree)
{
    return tree == 0 ? &upper->tree : upper->lowers[tree - 1];
}

static struct place root_place(const struct ol_upper *upper)
{
    struct place root = {.n = upper->n_lowers + 1};

    for (unsigned i = 0; i < root.n; i++) {
        root.at[i].tree = i;
        root.at[i].node = OL_M_ROOT;
    }
    return root;
}

static struct found look_up(const struct ol_upper *upper, const struct place *parent,
                            const char *name, size_t len)
{
    struct found found = {0};

    for (unsigned i = 0; i < parent->n; i++) {
        unsigned t = parent->at[i].tree;
        const struct ol_mtree *tree = tree_of(upper, t);
        uint32_t node = ol_mtree_find(tree, parent->at[i].node, name, len);
        enum ol_mtype type;
        if (node == OL_M_NONE)
            continue;
        type = ol_mtree_type(tree, node);
        if (type == OL_M_WHITEOUT) {
            found.whiteout = t == 0;
            break;
        }
        if (!found.there) {
            found.there = true;
            found.is_dir = type == OL_M_DIR;
            found.in_upper = t == 0;
            found.tree = t;
            found.node = node;
        }
        if (type != OL_M_DIR)
            break;
        found.dir.at[found.dir.n].tree = t;
        found.dir.at[found.dir.n++].node = node;
        if (ol_mtree_inode(tree, node)->opaque)
            break;
    }
    return found;
}

/* As ovl_lower_positive(). */
static bool lower_positive(const struct ol_upper *upper, const struct place *parent,
                           const char *name, size_t len, const struct found *found)
{
    if (!found->there)
        return found->whiteout;
    if (!found->in_upper)
        return true;
    for (unsigned i = 1; i < parent->n; i++) {
        const struct ol_mtree *tree = tree_of(upper, parent->at[i].tree);
        uint32_t node = ol_mtree_find(tree, parent->at[i].node, name, len);
        if (node != OL_M_NONE)
            return ol_mtree_type(tree, node) != OL_M_WHITEOUT;
    }
    return false;
}

/* A path split at its last component, resolved. */
struct spot {
    struct place parent;
    const char *name;
    size_t len;
    struct found found;
};

static bool in_upper(const struct place *dir)
{
    return dir->n > 0 && dir->at[0].tree == 0;
}

/* A directory only lowers have, in the upper too. */
static int copy_up_dir(struct ol_upper *upper, const struct place *parent, const char *name,
                       size_t len, struct place *dir)
{
    struct ol_minode init = *ol_mtree_inode(tree_of(upper, dir->at[0].tree), dir->at[0].node);
    uint32_t inode;
    uint32_t node;

    init.opaque = false;
    inode = ol_mtree_inode_new(&upper->tree, &init);
    node = inode == OL_M_NONE ? OL_M_NONE
                              : ol_mtree_link(&upper->tree, parent->at[0].node, name, len, inode);
    if (node == OL_M_NONE)
        return -ENOMEM;
    memmove(dir->at + 1, dir->at, dir->n * sizeof dir->at[0]);
    dir->at[0].tree = 0;
    dir->at[0].node = node;
    dir->n++;
    return 0;
}

/* Resolve; with writable, every directory on the way is copied up. */
static int find_spot(const struct ol_upper *upper, struct ol_upper *writable, const char *path,
                     struct spot *ret)
{
    struct spot spot = {.parent = root_place(upper)};

    for (;;) {
        size_t len = strcspn(path, "/");
        spot.name = path;
        spot.len = len;
        spot.found = look_up(upper, &spot.parent, path, len);
        if (path[len] == '\0')
            break;
        if (!spot.found.there || !spot.found.is_dir)
            return spot.found.there ? -ENOTDIR : -ENOENT;
        if (writable != NULL && !in_upper(&spot.found.dir)) {
            int r = copy_up_dir(writable, &spot.parent, path, len, &spot.found.dir);
            if (r < 0)
                return r;
        }
        spot.parent = spot.found.dir;
        path += len + 1;
    }
    *ret = spot;
    return 0;
}

int ol_upper_init(struct ol_upper *upper, const struct ol_mtree *nearest,
                  const struct ol_mtree *below)
{
    *upper = (struct ol_upper){.lowers = {nearest, below}, .cached = OL_M_NONE};
    upper->n_lowers = below != NULL ? 2 : 1;
    return ol_mtree_init(&upper->tree);
}

int ol_upper_init_copy(struct ol_upper *upper, const struct ol_upper *from,
                       const struct ol_mtree *lower)
{
    struct ol_upper_gone *gone = NULL;
    int r;

    if (from->n_gone > 0) {
        gone = reallocarray(NULL, from->n_gone, sizeof *gone);
        if (gone == NULL)
            return -ENOMEM;
        memcpy(gone, from->gone, from->n_gone * sizeof *gone);
    }
    *upper = (struct ol_upper){.lowers = {lower, NULL},
                               .n_lowers = 1,
                               .cached = OL_M_NONE,
                               .gone = gone,
                               .n_gone = from->n_gone};
    r = ol_mtree_copy(&from->tree, true, &upper->tree);
    if (r < 0)
        ol_upper_fini(upper);
    return r;
}

void ol_upper_fini(struct ol_upper *upper)
{
    ol_mtree_fini(&upper->tree);
    free(upper->gone);
    upper->gone = NULL;
    upper->n_gone = 0;
}

int ol_upper_type(const struct ol_upper *upper, const char *path, enum ol_mtype *ret)
{
    struct spot spot;
    int r = find_spot(upper, NULL, path, &spot);

    if (r < 0)
        return r;
    if (!spot.found.there)
        return -ENOENT;
    *ret = ol_mtree_type(tree_of(upper, spot.found.tree), spot.found.node);
    return 0;
}

static int add_name(struct ol_upper *upper, const struct spot *spot, const struct ol_minode *init)
{
    uint32_t inode = ol_mtree_inode_new(&upper->tree, init);

    if (inode == OL_M_NONE || ol_mtree_link(&upper->tree, spot->parent.at[0].node, spot->name,
                                            spot->len, inode) == OL_M_NONE)
        return -ENOMEM;
    return 0;
}

static void drop_upper_name(struct ol_upper *upper, const struct spot *spot)
{
    uint32_t node = ol_mtree_find(&upper->tree, spot->parent.at[0].node, spot->name, spot->len);

    if (node != OL_M_NONE)
        ol_mtree_remove(&upper->tree, node);
}

int ol_upper_make(struct ol_upper *upper, const char *path, enum ol_mtype type)
{
    return ol_upper_make_inode(upper, path, &(struct ol_minode){.type = (uint8_t)type});
}

int ol_upper_make_inode(struct ol_upper *upper, const char *path, const struct ol_minode *inode)
{
    const enum ol_mtype type = (enum ol_mtype)inode->type;
    struct ol_minode init = *inode;
    struct spot spot;
    int r = find_spot(upper, upper, path, &spot);

    if (r < 0)
        return r;
    if (spot.found.there)
        return -EEXIST;
    init.opaque = type == OL_M_DIR && spot.found.whiteout;
    if (spot.found.whiteout)
        drop_upper_name(upper, &spot);
    r = add_name(upper, &spot, &init);
    if (r == 0)
        ol_mtype_count(&upper->plain, type, 1);
    return r;
}

/* Names of the inode in a plain copy, where the inodes of one group are one. */
static uint32_t names_of_group(const struct ol_mtree *tree, uint32_t group)
{
    uint32_t names = 0;

    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        if (tree->inodes[i].group == group)
            names += tree->inodes[i].links; /* a free inode has none */
    }
    return names;
}

/* How many names of the group are gone, this one included; 0: no memory. */
static uint32_t one_more_gone(struct ol_upper *upper, const struct ol_mtree *tree, uint32_t group)
{
    struct ol_upper_gone *gone;

    for (size_t i = 0; i < upper->n_gone; i++) {
        if (upper->gone[i].tree == tree && upper->gone[i].group == group)
            return ++upper->gone[i].names;
    }
    gone = reallocarray(upper->gone, upper->n_gone + 1, sizeof *gone);
    if (gone == NULL)
        return 0;
    upper->gone = gone;
    gone[upper->n_gone++] = (struct ol_upper_gone){tree, group, 1};
    return 1;
}

/* The plain copy loses a name of a lower's object: the inode goes with the last one. */
static int plain_unlink_lower(struct ol_upper *upper, const struct found *found)
{
    const struct ol_mtree *tree = tree_of(upper, found->tree);
    const struct ol_minode *inode = ol_mtree_inode(tree, found->node);
    uint32_t gone;

    if (inode->type != OL_M_FILE) { /* a content copy gives each name an inode */
        ol_mtype_count(&upper->plain, (enum ol_mtype)inode->type, -1);
        return 0;
    }
    gone = one_more_gone(upper, tree, inode->group);
    if (gone == 0)
        return -ENOMEM;
    if (gone == names_of_group(tree, inode->group))
        upper->plain.regular--;
    return 0;
}

static int plain_unlink(struct ol_upper *upper, const struct found *found)
{
    if (!found->in_upper)
        return plain_unlink_lower(upper, found);
    if (ol_mtree_inode(&upper->tree, found->node)->links == 1)
        ol_mtype_count(&upper->plain, ol_mtree_type(&upper->tree, found->node), -1);
    return 0;
}

/* The session's cached whiteout under one more name. */
static int put_whiteout(struct ol_upper *upper, const struct spot *spot)
{
    const struct ol_minode init = {.type = OL_M_WHITEOUT};

    if (upper->cached == OL_M_NONE) {
        upper->cached = ol_mtree_inode_new(&upper->tree, &init);
        if (upper->cached == OL_M_NONE)
            return -ENOMEM;
        ol_mtree_hold(&upper->tree, upper->cached); /* its name in work/work */
    }
    if (ol_mtree_link(&upper->tree, spot->parent.at[0].node, spot->name, spot->len,
                      upper->cached) == OL_M_NONE)
        return -ENOMEM;
    return 0;
}

int ol_upper_unlink(struct ol_upper *upper, const char *path)
{
    struct spot spot;
    bool positive;
    int r = find_spot(upper, NULL, path, &spot);

    if (r < 0)
        return r;
    if (!spot.found.there || spot.found.is_dir)
        return spot.found.there ? -EISDIR : -ENOENT;
    r = plain_unlink(upper, &spot.found);
    if (r == 0)
        r = find_spot(upper, upper, path, &spot);
    if (r < 0)
        return r;
    positive = lower_positive(upper, &spot.parent, spot.name, spot.len, &spot.found);
    drop_upper_name(upper, &spot);
    return positive ? put_whiteout(upper, &spot) : 0;
}

/* Copy the object at the spot up; its parents are. */
static int copy_up_spot(struct ol_upper *upper, struct spot *spot)
{
    struct ol_minode init;

    if (spot->found.in_upper)
        return 0;
    if (spot->found.is_dir)
        return copy_up_dir(upper, &spot->parent, spot->name, spot->len, &spot->found.dir);
    init = *ol_mtree_inode(tree_of(upper, spot->found.tree), spot->found.node);
    return add_name(upper, spot, &init);
}

int ol_upper_touch(struct ol_upper *upper, const char *path)
{
    struct spot spot;
    int r = find_spot(upper, NULL, path, &spot);

    if (r < 0)
        return r;
    if (!spot.found.there)
        return -ENOENT;
    r = find_spot(upper, upper, path, &spot);
    return r < 0 ? r : copy_up_spot(upper, &spot);
}

int ol_upper_rename(struct ol_upper *upper, const char *path, const char *target)
{
    const struct ol_minode whiteout = {.type = OL_M_WHITEOUT};
    struct spot from;
    struct spot to;
    bool positive;
    uint32_t node;
    uint32_t inode;
    int r = ol_upper_touch(upper, path);

    if (r == 0)
        r = find_spot(upper, upper, target, &to);
    if (r == 0)
        r = find_spot(upper, upper, path, &from);
    if (r < 0)
        return r;
    if (to.found.there || from.found.is_dir)
        return to.found.there ? -EEXIST : -EISDIR;
    positive = lower_positive(upper, &from.parent, from.name, from.len, &from.found);
    node = from.found.node;
    inode = upper->tree.nodes[node].inode;
    drop_upper_name(upper, &to); /* a whiteout; where both meet, RENAME_EXCHANGE keeps its inode */
    if (ol_mtree_link(&upper->tree, to.parent.at[0].node, to.name, to.len, inode) == OL_M_NONE)
        return -ENOMEM;
    ol_mtree_remove(&upper->tree, node);
    /* RENAME_WHITEOUT makes an inode of its own */
    return positive ? add_name(upper, &from, &whiteout) : 0;
}

int ol_upper_link(struct ol_upper *upper, const char *path, const char *target)
{
    struct spot from;
    struct spot to;
    int r = find_spot(upper, upper, target, &to);

    if (r == 0)
        r = find_spot(upper, NULL, path, &from);
    if (r < 0)
        return r;
    if (to.found.there || !from.found.in_upper || from.found.is_dir)
        return to.found.there ? -EEXIST : -EINVAL;
    drop_upper_name(upper, &to); /* a whiteout */
    return ol_mtree_link(&upper->tree, to.parent.at[0].node, to.name, to.len,
                         upper->tree.nodes[from.found.node].inode) == OL_M_NONE
               ? -ENOMEM
               : 0;
}

/* Some name that is seen in a merged directory, as a path to be freed; NULL with 0: it is empty. */
static int any_child(const struct ol_upper *upper, const struct place *dir, const char *path,
                     char **ret)
{
    *ret = NULL;
    for (unsigned i = 0; i < dir->n; i++) {
        const struct ol_mtree *tree = tree_of(upper, dir->at[i].tree);
        uint32_t node = tree->nodes[dir->at[i].node].first_child;

        for (; node != OL_M_NONE; node = tree->nodes[node].next) {
            const char *name = ol_mtree_name(tree, node);

            if (look_up(upper, dir, name, strlen(name)).there)
                return asprintf(ret, "%s/%s", path, name) < 0 ? -ENOMEM : 0;
        }
    }
    return 0;
}

int ol_upper_remove_dir(struct ol_upper *upper, const char *path)
{
    struct spot spot;
    bool positive;
    int r;

    for (;;) {
        ol_auto_free char *child = NULL;

        r = find_spot(upper, NULL, path, &spot);
        if (r < 0)
            return r;
        if (!spot.found.there || !spot.found.is_dir)
            return spot.found.there ? -ENOTDIR : -ENOENT;
        r = any_child(upper, &spot.found.dir, path, &child);
        if (r < 0)
            return r;
        if (child == NULL)
            break;
        r = ol_upper_unlink(upper, child);
        if (r == -EISDIR) /* as deep as the tree is, which its model's limits bound */
            r = ol_upper_remove_dir(upper, child);
        if (r < 0)
            return r;
    }
    r = find_spot(upper, upper, path, &spot);
    if (r < 0)
        return r;
    positive = lower_positive(upper, &spot.parent, spot.name, spot.len, &spot.found);
    drop_upper_name(upper, &spot);
    upper->plain.directory--;
    return positive ? put_whiteout(upper, &spot) : 0;
}

/* Directories below (and this one) that only lowers have. */
static uint32_t lower_dirs(const struct ol_upper *upper, const struct place *dir)
{
    uint32_t count = in_upper(dir) ? 0 : 1;

    for (unsigned i = 0; i < dir->n; i++) {
        const struct ol_mtree *tree = tree_of(upper, dir->at[i].tree);
        uint32_t node = tree->nodes[dir->at[i].node].first_child;

        for (; node != OL_M_NONE; node = tree->nodes[node].next) {
            const char *name = ol_mtree_name(tree, node);
            struct found found = look_up(upper, dir, name, strlen(name));

            if (found.is_dir && found.dir.at[0].tree == dir->at[i].tree) /* once for each name */
                count += lower_dirs(upper, &found.dir);
        }
    }
    return count;
}

int ol_upper_bound_removal(struct ol_upper *upper, const char *path)
{
    struct spot spot;
    uint32_t bound;
    int r = find_spot(upper, upper, path, &spot);

    if (r < 0)
        return r;
    if (!spot.found.there || !spot.found.is_dir)
        return spot.found.there ? -ENOTDIR : -ENOENT;
    bound = upper->tree.live + lower_dirs(upper, &spot.found.dir);
    if (upper->cached == OL_M_NONE)
        bound++;
    if (upper->tree.live_peak < bound)
        upper->tree.live_peak = bound;
    return 0;
}

const struct ol_minode *ol_upper_inode(const struct ol_upper *upper, const char *path)
{
    struct spot spot;

    if (find_spot(upper, NULL, path, &spot) < 0 || !spot.found.there)
        return NULL;
    return ol_mtree_inode(tree_of(upper, spot.found.tree), spot.found.node);
}

int ol_upper_set_meta(struct ol_upper *upper, const char *path, uint32_t meta)
{
    struct spot spot;

    if (find_spot(upper, NULL, path, &spot) < 0 || !spot.found.there || !spot.found.in_upper)
        return -ENOENT;
    ol_mtree_inode(&upper->tree, spot.found.node)->meta = meta;
    return 0;
}

/* Where the upper's directories and inodes went in the flat tree. */
struct flat {
    const struct ol_mtree *from;
    struct ol_mtree *to;
    uint32_t *nodes, *inodes;
};

static int flatten_node(struct flat *f, uint32_t node)
{
    const struct ol_mnode *from = &f->from->nodes[node];
    const struct ol_minode *inode = &f->from->inodes[from->inode];
    const char *name = ol_mtree_name(f->from, node);
    const uint32_t parent = f->nodes[from->parent];
    uint32_t there = ol_mtree_find(f->to, parent, name, strlen(name));
    uint32_t *made = &f->inodes[from->inode];

    if (there != OL_M_NONE && inode->type == OL_M_DIR && !inode->opaque &&
        ol_mtree_type(f->to, there) == OL_M_DIR) {
        f->nodes[node] = there;
        return 0;
    }
    if (there != OL_M_NONE)
        ol_mtree_remove(f->to, there);
    if (inode->type == OL_M_WHITEOUT)
        return 0;
    if (*made == OL_M_NONE) {
        struct ol_minode init = *inode;
        init.opaque = false;
        if (init.type == OL_M_SYMLINK)
            init.text = 0; /* "": the target is in a text of another tree, and nobody follows it */
        *made = ol_mtree_inode_new(f->to, &init);
    }
    if (*made == OL_M_NONE)
        return -ENOMEM;
    f->nodes[node] = ol_mtree_link(f->to, parent, name, strlen(name), *made);
    return f->nodes[node] == OL_M_NONE ? -ENOMEM : 0;
}

int ol_upper_flatten(const struct ol_upper *upper, struct ol_mtree *ret)
{
    const struct ol_mtree *tree = &upper->tree;
    ol_auto_free uint32_t *nodes = reallocarray(NULL, tree->n_nodes, sizeof *nodes);
    ol_auto_free uint32_t *inodes = reallocarray(NULL, tree->n_inodes, sizeof *inodes);
    struct flat f = {tree, ret, nodes, inodes};
    int r = ol_mtree_copy(upper->lowers[0], false, ret);

    if (r < 0)
        return r;
    if (nodes == NULL || inodes == NULL)
        r = -ENOMEM;
    if (r == 0) {
        memset(inodes, 0xff, tree->n_inodes * sizeof *inodes); /* OL_M_NONE */
        nodes[OL_M_ROOT] = OL_M_ROOT;
    }
    for (uint32_t i = r == 0 ? ol_mtree_next(tree, OL_M_ROOT) : OL_M_NONE; r == 0 && i != OL_M_NONE;
         i = ol_mtree_next(tree, i))
        r = flatten_node(&f, i);
    if (r < 0)
        ol_mtree_fini(ret);
    return r;
}

bool ol_upper_cached_alone(const struct ol_upper *upper)
{
    return upper->cached != OL_M_NONE && upper->tree.inodes[upper->cached].links == 1;
}

void ol_upper_kinds(const struct ol_upper *upper, struct ol_inode_kinds *ret)
{
    ol_mtree_kinds(&upper->tree, ret);
}
