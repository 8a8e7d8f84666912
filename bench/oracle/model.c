/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model: every header is applied twice, to the merged tree as the legacy driver applies it to a
 * full tree, and to the layer's own tree as overlay2 applies it to a bare diff directory. Follows
 * spec graphdriver.md 10.3 (UnpackLayer) and 10.4 (Unpack).
 */
#include "bench/oracle/model_internal.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/whiteout.h"

#include <errno.h>

enum { LINKS_MAX = 40 }; /* symlinks followed in one path, as the kernel's MAXSYMLINKS */

int ol_model_new(struct ol_model **ret, struct ol_error *err)
{
    struct ol_model *model = calloc(1, sizeof *model);

    if (model == NULL)
        return ol_error_nomem(err);
    if (ol_mtree_init(&model->merged) < 0 || ol_mtree_init(&model->own) < 0) {
        ol_model_free(model);
        return ol_error_nomem(err);
    }
    *ret = model;
    return 0;
}

void ol_model_free(struct ol_model *model)
{
    if (model == NULL)
        return;
    ol_mtree_fini(&model->merged);
    ol_mtree_fini(&model->own);
    ol_mtree_fini(&model->below);
    ol_mnaive_free(model->naive);
    free(model);
}

int ol_model_track_naive(struct ol_model *model, struct ol_error *err)
{
    if (model->layer > 0)
        return ol_error_set(err, -EINVAL, "the model has layers already");
    model->naive = ol_mnaive_new();
    return model->naive == NULL ? ol_error_nomem(err) : 0;
}

int ol_model_copy(const struct ol_model *model, struct ol_model **ret, struct ol_error *err)
{
    struct ol_model *copy = calloc(1, sizeof *copy);

    if (copy == NULL)
        return ol_error_nomem(err);
    copy->own_is_merged = model->own_is_merged;
    copy->layer = model->layer;
    copy->stacks_differ = model->stacks_differ;
    memcpy(copy->running, model->running, sizeof copy->running);
    if (ol_mtree_copy(&model->merged, false, &copy->merged) < 0 ||
        ol_mtree_copy(&model->own, false, &copy->own) < 0 ||
        (model->stacks_differ && ol_mtree_copy(&model->below, false, &copy->below) < 0) ||
        (model->naive != NULL && ol_mnaive_copy(model->naive, &copy->naive) < 0)) {
        ol_model_free(copy);
        return ol_error_nomem(err);
    }
    copy->merged.live_peak = model->merged.live_peak;
    copy->own.live_peak = model->own.live_peak;
    copy->merged.watch = model->merged.watch;
    copy->merged.watch_data = copy;
    *ret = copy;
    return 0;
}

/*
 * A layer starts as a clone of its parent, and a clone gives every symlink, fifo and device name an
 * inode of its own.
 */
static int split_specials(struct ol_mtree *tree)
{
    for (uint32_t node = OL_M_ROOT; node != OL_M_NONE; node = ol_mtree_next(tree, node)) {
        const struct ol_minode *inode = ol_mtree_inode(tree, node);
        struct ol_minode copy = *inode;
        uint32_t made;
        if (inode->links < 2 || inode->type == OL_M_FILE)
            continue;
        made = ol_mtree_inode_new(tree, &copy);
        if (made == OL_M_NONE)
            return -ENOMEM;
        ol_mtree_relink(tree, node, made);
    }
    return 0;
}

static void run(struct ol_running *running, int sign)
{
    running->now += sign;
    if (running->now > running->peak)
        running->peak = running->now;
}

static bool group_is_alive(const struct ol_mtree *tree, uint32_t group)
{
    for (uint32_t i = 0; i < tree->n_inodes; i++) {
        if (tree->inodes[i].links > 0 && tree->inodes[i].group == group)
            return true;
    }
    return false;
}

/* An inode of the merged tree comes or goes. What is there since before the layer and not its own
 * is another layer's as well: nothing is freed. */
static void watch_merged(void *data, const struct ol_minode *inode, int sign)
{
    struct ol_model *model = data;
    const bool own = sign > 0 || inode->layer == model->layer;

    if (own || inode->type != OL_M_FILE)
        run(&model->running[OL_RUNNING_CLONE], sign);
    if (own || inode->type == OL_M_DIR)
        run(&model->running[OL_RUNNING_CLONE_ALL], sign);
    if (!inode->split || (sign < 0 && !group_is_alive(&model->merged, inode->group)))
        run(&model->running[OL_RUNNING_COPY], sign);
}

/* The tree a layer begins with: the base's root, or a clone of the parent's. */
static int begin_running(struct ol_model *model)
{
    struct ol_inode_kinds clone = {.directory = 1};
    struct ol_inode_kinds copy = {.directory = 1};
    int r = 0;

    if (model->layer > 1) {
        ol_mtree_kinds(&model->merged, &clone);
        r = ol_model_copy_kinds(model, &copy);
    }
    clone.regular = 0;
    model->running[OL_RUNNING_CLONE].now = ol_inode_kinds_total(&clone);
    model->running[OL_RUNNING_CLONE_ALL].now = clone.directory;
    model->running[OL_RUNNING_COPY].now = ol_inode_kinds_total(&copy);
    for (size_t i = 0; i < OL_RUNNING_LAWS; i++)
        model->running[i].peak = model->running[i].start = model->running[i].now;
    model->merged.live_peak = model->merged.live;
    model->merged.watch = watch_merged;
    model->merged.watch_data = model;
    return r;
}

/* What a mount shows is below the next layer. */
static int begin_stacked(struct ol_model *model)
{
    struct ol_mtree below;

    if (!model->stacks_differ)
        return 0;
    if (ol_model_stacked(model, &below) < 0)
        return -ENOMEM;
    ol_mtree_fini(&model->below);
    model->below = below;
    return 0;
}

int ol_model_begin_layer(struct ol_model *model, struct ol_error *err)
{
    struct ol_mtree own;

    if (begin_stacked(model) < 0)
        return ol_error_nomem(err);
    for (uint32_t i = 0; i < model->merged.n_inodes; i++)
        model->merged.inodes[i].lost = 0; /* a clone's directories are made for what is there */
    model->merged.watch = NULL; /* what is done for the clone is the clone's, not the layer's */
    if (model->naive != NULL && model->layer > 0 &&
        ol_mnaive_begin(model->naive, &model->merged) < 0)
        return ol_error_nomem(err);
    if (split_specials(&model->merged) < 0 || ol_mtree_init(&own) < 0)
        return ol_error_nomem(err);
    ol_mtree_fini(&model->own);
    model->own = own;
    model->layer++;
    model->own_is_merged = model->layer == 1;
    return begin_running(model) < 0 ? ol_error_nomem(err) : 0;
}

/* A directory keeps the blocks its names once needed. */
static void lose_name(struct ol_mtree *tree, uint32_t dir, const char *name)
{
    struct ol_minode *inode = ol_mtree_inode(tree, dir);
    const uint32_t lost = inode->lost + ol_mname_units(strlen(name));

    inode->lost = lost < UINT16_MAX ? (uint16_t)lost : UINT16_MAX;
}

static uint32_t mix(uint32_t h, uint64_t value)
{
    h = (h ^ (uint32_t)value) * 0x9e3779b1u;
    h = (h ^ (h >> 15) ^ (uint32_t)(value >> 32)) * 0x85ebca77u;
    return h ^ (h >> 13);
}

/* Equal for equal metadata; symlinks have no mode, and no diff looks at a directory's time. */
static uint32_t meta_of(const struct ol_entry *entry, enum ol_mtype type)
{
    uint32_t h = mix(1, type == OL_M_SYMLINK ? 0 : entry->mode);

    h = mix(h, ((uint64_t)entry->uid << 32) | entry->gid);
    if (type == OL_M_DIR)
        return h;
    h = mix(h, (uint64_t)entry->mtime.tv_sec);
    return mix(h, (uint64_t)entry->mtime.tv_nsec);
}

static struct ol_minode inode_of(const struct ol_model *model, const struct ol_entry *entry)
{
    static const uint8_t types[] = {
        [OL_ENTRY_FILE] = OL_M_FILE,       [OL_ENTRY_DIRECTORY] = OL_M_DIR,
        [OL_ENTRY_SYMLINK] = OL_M_SYMLINK, [OL_ENTRY_HARDLINK] = OL_M_FILE,
        [OL_ENTRY_CHAR] = OL_M_DEVICE,     [OL_ENTRY_BLOCK] = OL_M_DEVICE,
        [OL_ENTRY_FIFO] = OL_M_FIFO,
    };
    return (struct ol_minode){
        .size = entry->size,
        .meta = meta_of(entry, (enum ol_mtype)types[entry->type]),
        .layer = model->layer,
        .made = model->layer,
        .mode = (uint16_t)entry->mode,
        .type = types[entry->type],
    };
}

/* One tree, while one entry is applied to it. */
struct target {
    struct ol_model *model;
    struct ol_mtree *tree;
    const struct ol_entry *entry;
    unsigned links; /* symlinks followed so far */
};

/* What happens to the merged tree happens in a mount, too, where the naive way applies. */
static struct ol_mnaive *mirror_of(const struct target *t)
{
    return t->tree == &t->model->merged && t->model->layer > 1 ? t->model->naive : NULL;
}

static int add_node(struct target *t, uint32_t parent, const char *name, size_t len,
                    const struct ol_minode *init, uint32_t *ret)
{
    uint32_t inode = ol_mtree_inode_new(t->tree, init);
    uint32_t node = inode == OL_M_NONE ? OL_M_NONE
                                       : ol_mtree_link(t->tree, parent, name, len, inode);

    if (node == OL_M_NONE)
        return -ENOMEM;
    *ret = node;
    return mirror_of(t) != NULL ? ol_mnaive_made(mirror_of(t), t->tree, node) : 0;
}

static int remove_node(struct target *t, uint32_t node)
{
    int r = mirror_of(t) != NULL ? ol_mnaive_removed(mirror_of(t), t->tree, node) : 0;

    if (r == 0)
        ol_mtree_remove(t->tree, node);
    return r;
}

static int walk_dirs(struct target *t, uint32_t from, const char *path, size_t len, bool make,
                     uint32_t *ret);

/* The directory a symlink on the way leads to. */
static int follow(struct target *t, uint32_t link, uint32_t *ret)
{
    ol_auto_free char *text = strdup(t->tree->text + ol_mtree_inode(t->tree, link)->text);
    uint32_t from;

    if (text == NULL)
        return -ENOMEM;
    if (++t->links > LINKS_MAX)
        return -ELOOP;
    from = *text == '/' ? OL_M_ROOT : t->tree->nodes[link].parent;
    return walk_dirs(t, from, text, strlen(text), false, ret); /* what it lacks is not made */
}

static const struct ol_entry implied = {.type = OL_ENTRY_DIRECTORY, .mode = 0755};

uint32_t ol_meta_of_implied(void)
{
    return meta_of(&implied, OL_M_DIR);
}

static int add_implied(struct target *t, const char *name, size_t len, uint32_t *at)
{
    const struct ol_minode init = inode_of(t->model, &implied);

    return add_node(t, *at, name, len, &init, at);
}

/* One component of a directory path: into a directory, through a symlink, or made where missing. */
static int walk_one(struct target *t, uint32_t *at, const char *name, size_t len, bool make)
{
    uint32_t node;

    if (len == 0 || (len == 1 && name[0] == '.'))
        return 0;
    if (len == 2 && name[0] == '.' && name[1] == '.') {
        *at = *at == OL_M_ROOT ? OL_M_ROOT : t->tree->nodes[*at].parent;
        return 0;
    }
    node = ol_mtree_find(t->tree, *at, name, len);
    if (node == OL_M_NONE)
        return make ? add_implied(t, name, len, at) : -ENOENT;
    switch (ol_mtree_type(t->tree, node)) {
    case OL_M_DIR:
        *at = node;
        return 0;
    case OL_M_SYMLINK:
        return follow(t, node, at);
    default:
        return -ENOTDIR;
    }
}

static int walk_dirs(struct target *t, uint32_t from, const char *path, size_t len, bool make,
                     uint32_t *ret)
{
    uint32_t at = from;
    int r = 0;

    for (size_t start = 0; r == 0 && start <= len;) {
        size_t end = start;
        while (end < len && path[end] != '/')
            end++;
        r = walk_one(t, &at, path + start, end - start, make);
        start = end + 1;
    }
    if (r == 0)
        *ret = at;
    return r;
}

/*
 * Everything in a directory that this tar did not write (10.3 step 5). A directory this tar made
 * has nothing older in it; an older one stays while something written is in it.
 */
static int empty_opaque(struct target *t, uint32_t dir)
{
    uint32_t node = t->tree->nodes[dir].first_child;
    int r = 0;

    if (ol_mtree_inode(t->tree, dir)->made == t->model->layer)
        return 0;
    while (r == 0 && node != OL_M_NONE) {
        const uint32_t next = t->tree->nodes[node].next;
        const bool written = t->tree->nodes[node].layer == t->model->layer;
        bool keep = written;
        if (ol_mtree_type(t->tree, node) == OL_M_DIR) {
            r = empty_opaque(t, node);
            keep = written || t->tree->nodes[node].first_child != OL_M_NONE ||
                   ol_mtree_inode(t->tree, node)->made == t->model->layer;
        }
        if (r == 0 && !keep) {
            lose_name(t->tree, dir, ol_mtree_name(t->tree, node));
            r = remove_node(t, node);
        }
        node = next;
    }
    return r;
}

static int add_opaque(struct target *t, size_t dir_len)
{
    uint32_t dir;
    int r = walk_dirs(t, OL_M_ROOT, t->entry->path, dir_len, true, &dir);

    if (r < 0)
        return r;
    if (t->tree == &t->model->merged)
        return empty_opaque(t, dir);
    ol_mtree_inode(t->tree, dir)->opaque = true;
    return 0;
}

static int add_whiteout(struct target *t, uint32_t parent, const char *name)
{
    const struct ol_minode init = {.type = OL_M_WHITEOUT, .layer = t->model->layer};
    uint32_t node = ol_mtree_find(t->tree, parent, name, strlen(name));
    int r = 0;

    if (node != OL_M_NONE) {
        lose_name(t->tree, parent, name);
        r = remove_node(t, node);
    }
    if (r < 0 || t->tree == &t->model->merged)
        return r;
    return add_node(t, parent, name, strlen(name), &init, &node);
}

static void set_metadata(struct ol_minode *inode, const struct ol_entry *entry, uint32_t layer)
{
    inode->meta = meta_of(entry, (enum ol_mtype)inode->type);
    inode->mode = (uint16_t)entry->mode;
    inode->layer = layer;
}

/*
 * A hard link writes its metadata to the target's inode. One that another layer shares is copied
 * first, so that the other layer stays as it was (docs/divergences.md); where nothing would change,
 * nothing is copied. The copy stays one inode with the old one where layers share nothing.
 */
static int own_target(struct target *t, uint32_t node)
{
    struct ol_minode copy = *ol_mtree_inode(t->tree, node);
    uint32_t made;

    if (copy.meta == meta_of(t->entry, (enum ol_mtype)copy.type))
        return 0;
    if (copy.type == OL_M_FILE && copy.layer != t->model->layer) {
        made = ol_mtree_inode_new(t->tree, &copy);
        if (made == OL_M_NONE)
            return -ENOMEM;
        t->tree->inodes[made].group = copy.group;
        t->tree->inodes[made].split = true;
        ol_mtree_inode(t->tree, node)->split = true;
        ol_mtree_relink(t->tree, node, made);
    } else if (t->tree == &t->model->merged && copy.type != OL_M_FILE &&
               copy.layer != t->model->layer) {
        run(&t->model->running[OL_RUNNING_CLONE_ALL], 1);
        run(&t->model->running[OL_RUNNING_CLONE], 1); /* re-made aside, though nobody shares it */
        run(&t->model->running[OL_RUNNING_CLONE], -1);
    }
    set_metadata(ol_mtree_inode(t->tree, node), t->entry, t->model->layer);
    return 0;
}

static int find_link_target(struct target *t, uint32_t *ret)
{
    const char *link = t->entry->link;
    const char *base = ol_path_base(link);
    uint32_t dir;
    int r = walk_dirs(t, OL_M_ROOT, link, ol_path_dir_len(link), false, &dir);

    if (r < 0)
        return r;
    *ret = ol_mtree_find(t->tree, dir, base, strlen(base));
    if (*ret == OL_M_NONE)
        return -ENOENT;
    return ol_mtree_type(t->tree, *ret) == OL_M_DIR ? -EPERM : 0;
}

/* The target first: what is in the way may be another name of it. */
static int add_hard_link(struct target *t, uint32_t parent, const char *name, uint32_t *ret)
{
    uint32_t target = OL_M_NONE;
    uint32_t node;
    int r = find_link_target(t, &target);

    if (r == 0)
        r = own_target(t, target);
    if (r < 0)
        return r;
    node = ol_mtree_find(t->tree, parent, name, strlen(name));
    if (node == target)
        return -EINVAL; /* a hard link to itself */
    r = mirror_of(t) != NULL ? ol_mnaive_linked(mirror_of(t), t->tree, target, parent, name) : 0;
    if (r < 0)
        return r;
    if (node != OL_M_NONE && t->tree->nodes[node].inode == t->tree->nodes[target].inode) {
        *ret = node;
        return 0;
    }
    for (uint32_t up = target; node != OL_M_NONE && up != OL_M_NONE; up = t->tree->nodes[up].parent)
        if (up == node)
            return -ENOENT; /* the target goes with what is in the way */
    if (node != OL_M_NONE) {
        ol_mtree_remove(t->tree, node);
        lose_name(t->tree, parent, name); /* the new one is made beside it first */
    }
    *ret = ol_mtree_link(t->tree, parent, name, strlen(name), t->tree->nodes[target].inode);
    return *ret == OL_M_NONE ? -ENOMEM : 0;
}

static int add_new(struct target *t, uint32_t parent, const char *name, uint32_t *ret)
{
    struct ol_minode init = inode_of(t->model, t->entry);
    uint32_t node = ol_mtree_find(t->tree, parent, name, strlen(name));
    int r = 0;

    if (node != OL_M_NONE && init.type == OL_M_DIR && ol_mtree_type(t->tree, node) == OL_M_DIR) {
        set_metadata(ol_mtree_inode(t->tree, node), t->entry, t->model->layer);
        *ret = node;
        return mirror_of(t) != NULL ? ol_mnaive_touched(mirror_of(t), t->tree, node) : 0;
    }
    if (node != OL_M_NONE)
        r = remove_node(t, node);
    if (r == 0 && init.type == OL_M_SYMLINK) {
        init.size = strlen(t->entry->link);
        r = ol_mtree_keep_text(t->tree, t->entry->link, strlen(t->entry->link), &init.text);
    }
    return r < 0 ? r : add_node(t, parent, name, strlen(name), &init, ret);
}

static int add_object(struct target *t, uint32_t parent, const char *name)
{
    uint32_t node = OL_M_NONE;
    int r = t->entry->type == OL_ENTRY_HARDLINK ? add_hard_link(t, parent, name, &node)
                                                : add_new(t, parent, name, &node);

    if (r == 0)
        t->tree->nodes[node].layer = t->model->layer;
    return r;
}

static int add_to(struct target *t)
{
    const char *path = t->entry->path;
    const char *base = ol_path_base(path);
    const char *hidden = NULL;
    uint32_t parent;
    enum ol_wh_kind kind;
    int r;

    if (*path == '\0') { /* the root's own metadata */
        if (t->entry->type == OL_ENTRY_DIRECTORY && t->tree == &t->model->merged)
            set_metadata(ol_mtree_inode(t->tree, OL_M_ROOT), t->entry, t->model->layer);
        return 0;
    }
    kind = ol_whiteout_parse(base, &hidden);
    if (kind == OL_WH_BAD)
        return -EINVAL;
    if (kind == OL_WH_OPQ)
        return add_opaque(t, ol_path_dir_len(path));
    r = walk_dirs(t, OL_M_ROOT, path, ol_path_dir_len(path), true, &parent);
    if (r < 0)
        return r;
    return kind == OL_WH_FILE ? add_whiteout(t, parent, hidden) : add_object(t, parent, base);
}

/* From here on the base layer's two trees differ. */
static int part_own(struct ol_model *model)
{
    struct ol_mtree own;

    if (ol_mtree_copy(&model->merged, false, &own) < 0)
        return -ENOMEM;
    ol_mtree_fini(&model->own);
    own.live_peak = model->merged.live_peak;
    model->own = own;
    model->own_is_merged = false;
    return 0;
}

/* Symlinks that the entry's path, and its link's, leads through. Nothing is made. */
static unsigned links_on_way(struct ol_model *model, struct ol_mtree *tree,
                             const struct ol_entry *entry)
{
    struct target t = {.model = model, .tree = tree, .entry = entry};
    uint32_t dir;

    (void)walk_dirs(&t, OL_M_ROOT, entry->path, ol_path_dir_len(entry->path), false, &dir);
    if (entry->type == OL_ENTRY_HARDLINK)
        (void)walk_dirs(&t, OL_M_ROOT, entry->link, ol_path_dir_len(entry->link), false, &dir);
    return t.links;
}

/* Before the first entry that parts what a mount shows from the merged tree: that is still it. */
static int keep_below(struct ol_model *model, const struct ol_entry *entry)
{
    const unsigned links = model->own_is_merged || model->stacks_differ
                               ? 0
                               : links_on_way(model, &model->merged, entry);

    if (links == 0 || links == links_on_way(model, &model->own, entry))
        return 0;
    ol_mtree_fini(&model->below);
    return ol_mtree_copy(&model->merged, false, &model->below);
}

int ol_model_add(struct ol_model *model, const struct ol_entry *entry, struct ol_error *err)
{
    struct target merged = {.model = model, .tree = &model->merged, .entry = entry};
    struct target own = {.model = model, .tree = &model->own, .entry = entry};
    int r = 0;

    if (model->own_is_merged && ol_whiteout_parse(ol_path_base(entry->path), NULL) != OL_WH_NONE)
        r = part_own(model);
    if (r == 0)
        r = keep_below(model, entry);
    if (r == 0)
        r = add_to(&merged);
    if (r == 0 && !model->own_is_merged) {
        /* overlay2 refuses more than a full tree does: a link to a file of a lower layer, an entry
         * below its own whiteout. Its apply says so; what the others will hold is still right. */
        r = add_to(&own);
        model->stacks_differ = model->stacks_differ || (r == 0 && own.links != merged.links);
        if (r != -ENOMEM)
            r = 0;
    }
    return r < 0 ? ol_error_sys(err, -r, "cannot model entry '%s'", entry->path) : 0;
}

int ol_model_add_whiteout(struct ol_model *model, const char *path, struct ol_error *err)
{
    const char *base = ol_path_base(path);
    struct ol_entry entry = {.type = OL_ENTRY_FILE};
    ol_auto_free char *name = NULL;

    if (asprintf(&name, "%.*s%s%s", (int)(base - path), path, OL_WH_PREFIX, base) < 0) {
        name = NULL;
        return ol_error_nomem(err);
    }
    entry.path = name;
    return ol_model_add(model, &entry, err);
}

int ol_model_copy_up(struct ol_model *model, const char *path, struct ol_error *err)
{
    const struct ol_entry entry = {.path = path};
    struct target own = {.model = model, .tree = &model->own, .entry = &entry};
    const char *base = ol_path_base(path);
    const uint32_t seen = ol_model_find(model, path);
    struct ol_minode init;
    uint32_t parent;
    uint32_t node;
    int r;

    if (seen == OL_M_NONE)
        return 0;
    init = *ol_mtree_inode(&model->merged, seen);
    if (init.type == OL_M_SYMLINK)
        init.text = 0; /* "": nobody follows it there */
    r = walk_dirs(&own, OL_M_ROOT, path, ol_path_dir_len(path), true, &parent);
    if (r == 0 && ol_mtree_find(own.tree, parent, base, strlen(base)) == OL_M_NONE)
        r = add_node(&own, parent, base, strlen(base), &init, &node);
    return r < 0 ? ol_error_sys(err, -r, "cannot model a copy of '%s'", path) : 0;
}

bool ol_model_stacks_differ(const struct ol_model *model)
{
    return model->stacks_differ;
}

int ol_model_canonical(const struct ol_model *model, const char *path, char **ret)
{
    const struct ol_entry entry = {.path = path};
    /* nothing is made: the model stays as it is */
    struct target t = {.model = (struct ol_model *)(uintptr_t)model,
                       .tree = (struct ol_mtree *)(uintptr_t)&model->merged,
                       .entry = &entry};
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    size_t len = ol_path_dir_len(path);
    uint32_t dir = OL_M_ROOT;
    int r;

    while ((r = walk_dirs(&t, OL_M_ROOT, path, len, false, &dir)) == -ENOENT && len > 0) {
        while (len > 0 && path[len - 1] != '/')
            len--;
        len -= len > 0 ? 1 : 0;
        t.links = 0;
    }
    if (r == 0)
        r = ol_mtree_put_path(t.tree, dir, &buf);
    if (r == 0)
        r = ol_buf_puts(&buf, path + len + (len > 0 ? 1 : 0));
    if (r < 0)
        return r;
    *ret = ol_buf_steal(&buf);
    return *ret != NULL ? 0 : -ENOMEM;
}
