/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planning one commit's changes: which files, by a seed, from the model's merged tree; what that
 * leaves in the container's upper under each law; and the layer a commit of it is.
 *
 * Only regular files with a single name are chosen: a change through one of several names reaches
 * the others in a plain copy but not through an overlay, and the drivers would not build the same
 * image. What the init layer overrides in every container is left alone.
 */
#include "bench/workloads/plan_internal.h"

#include "bench/oracle/model_internal.h"
#include "bench/workloads/leaf.h"
#include "bench/workloads/random.h"
#include "bench/workloads/replay.h"
#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/io.h"
#include "common/limits.h"

#include <errno.h>

void ol_plan_free(struct ol_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->ops[i].path);
        free(plan->ops[i].target);
    }
    free(plan->ops);
    ol_replay_free(plan->replay);
    free(plan);
}

size_t ol_plan_count(const struct ol_plan *plan)
{
    return plan->count;
}

const struct ol_op *ol_plan_op(const struct ol_plan *plan, size_t index)
{
    return &plan->ops[index];
}

/* ---- candidates ---- */

/* Paths of the merged tree that may be chosen, in sorted order; filled by two walks, so that only
 * the chosen ones are kept in memory. */
struct picks {
    uint64_t bytes;           /* size of what the plan writes */
    uint64_t n_files, n_dirs; /* how many there are */
    uint64_t *files, *dirs;   /* owned: ranks wanted, ascending */
    size_t want_files, want_dirs;
    struct pick {
        char *path; /* owned */
        uint64_t size;
        unsigned mode;
    } * file, *dir; /* owned: what has those ranks */
    size_t at_file, at_dir;
    uint64_t seen_files, seen_dirs;
    char *
        *replaced; /* owned, each owned until its operation takes it: nothing else happens there */
    size_t want_replaced;
};

static void picks_fini(struct picks *p)
{
    for (size_t i = 0; p->file != NULL && i < p->want_files; i++)
        free(p->file[i].path);
    for (size_t i = 0; p->dir != NULL && i < p->want_dirs; i++)
        free(p->dir[i].path);
    for (size_t i = 0; p->replaced != NULL && i < p->want_replaced; i++)
        free(p->replaced[i]);
    free(p->replaced);
    free(p->files);
    free(p->dirs);
    free(p->file);
    free(p->dir);
}

static bool is_replaced(const struct picks *p, const char *path)
{
    return ol_leaves_hold(p->replaced, p->want_replaced, path);
}

/*
 * A file that already has the size of a change may be an earlier commit's: overwritten within the
 * same second it would look unchanged to moby's comparison (size, and seconds of mtime), which moby
 * avoids by sleeping after each diff.
 */
static bool is_file(const struct picks *p, const struct ol_model_node *node)
{
    return node->type == OL_MODEL_FILE && node->links == 1 && node->size != p->bytes &&
           !ol_model_is_init_path(node->path) && !ol_model_is_init_parent(node->path) &&
           !is_replaced(p, node->path);
}

static bool is_dir(const struct picks *p, const struct ol_model_node *node)
{
    return node->type == OL_MODEL_DIRECTORY && !ol_model_is_init_path(node->path) &&
           !is_replaced(p, node->path);
}

static int count_candidates(const struct ol_model_node *node, void *data)
{
    struct picks *p = data;

    p->n_files += is_file(p, node) ? 1 : 0;
    p->n_dirs += is_dir(p, node) ? 1 : 0;
    return 0;
}

static int take(const struct ol_model_node *node, struct pick *ret)
{
    *ret = (struct pick){strdup(node->path), node->size, node->mode};
    return ret->path != NULL ? 0 : -ENOMEM;
}

static int keep_chosen(const struct ol_model_node *node, void *data)
{
    struct picks *p = data;
    int r = 0;

    if (is_file(p, node)) {
        if (p->at_file < p->want_files && p->files[p->at_file] == p->seen_files)
            r = take(node, &p->file[p->at_file++]);
        p->seen_files++;
    } else if (is_dir(p, node)) { /* a directory may be wanted more than once */
        while (r == 0 && p->at_dir < p->want_dirs && p->dirs[p->at_dir] == p->seen_dirs)
            r = take(node, &p->dir[p->at_dir++]);
        p->seen_dirs++;
    }
    return r;
}

static int by_rank(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/*
 * want different ranks below n, ascending (Floyd: exactly want draws, however close want is to n).
 */
static int draw_distinct(struct ol_random *random, uint64_t n, size_t want, uint64_t **ret)
{
    ol_auto_free uint64_t *ranks = calloc(want + 1, sizeof *ranks);
    ol_auto_free unsigned char *chosen = calloc(n / 8 + 1, 1);

    if (ranks == NULL || chosen == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < want; i++) {
        uint64_t top = n - want + i;
        uint64_t rank = ol_random_below(random, top + 1);
        if ((chosen[rank / 8] >> (rank % 8) & 1) != 0)
            rank = top;
        chosen[rank / 8] |= (unsigned char)(1u << (rank % 8));
        ranks[i] = rank;
    }
    qsort(ranks, want, sizeof *ranks, by_rank);
    *ret = ol_ptr_steal(ranks);
    return 0;
}

static int draw_any(struct ol_random *random, uint64_t n, size_t want, uint64_t **ret)
{
    uint64_t *ranks = calloc(want + 1, sizeof *ranks);

    if (ranks == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < want; i++)
        ranks[i] = ol_random_below(random, n);
    qsort(ranks, want, sizeof *ranks, by_rank);
    *ret = ranks;
    return 0;
}

/* Sorted ranks would give the first ones to one kind of operation: mix them up. */
static void shuffle(struct ol_random *random, struct pick *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)ol_random_below(random, i);
        struct pick swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}

/* Before everything else, which stays away from them. */
static int choose_replaced(const struct ol_model *model, struct ol_random *random, struct picks *p,
                           size_t want, struct ol_error *err)
{
    struct ol_leaves leaves = {.paths = NULL};
    ol_auto_free uint64_t *ranks = NULL;
    int r = 0;

    if (want == 0)
        return 0;
    p->replaced = calloc(want, sizeof *p->replaced);
    r = p->replaced == NULL ? -ENOMEM : ol_leaves_find(model, &leaves);
    if (r == 0 && leaves.count < want)
        r = ol_error_set(err, -ENOENT,
                         "the image has %zu directories that hold files but no directory to "
                         "replace, %zu are needed",
                         leaves.count, want);
    else if (r == 0)
        r = draw_distinct(random, leaves.count, want, &ranks);
    for (size_t i = 0; r == 0 && i < want; i++) {
        p->replaced[i] = ol_ptr_steal(leaves.paths[ranks[i]]);
        p->want_replaced++;
    }
    ol_leaves_fini(&leaves);
    return r == -ENOMEM ? ol_error_nomem(err) : r;
}

static int choose(const struct ol_model *model, struct ol_random *random, struct picks *p,
                  struct ol_error *err)
{
    int r = ol_model_walk_common(model, count_candidates, p); /* the root is always a directory */

    if (r == 0 && p->n_files < p->want_files)
        return ol_error_set(
            err, -ENOENT,
            "the image has %ju regular files with one name and of another size than "
            "the change to modify, delete, rename or chmod, %zu are needed",
            (uintmax_t)p->n_files, p->want_files);
    p->file = calloc(p->want_files + 1, sizeof *p->file);
    p->dir = calloc(p->want_dirs + 1, sizeof *p->dir);
    if (p->file == NULL || p->dir == NULL)
        r = -ENOMEM;
    if (r == 0)
        r = draw_distinct(random, p->n_files, p->want_files, &p->files);
    if (r == 0)
        r = draw_any(random, p->n_dirs, p->want_dirs, &p->dirs);
    if (r == 0)
        r = ol_model_walk_common(model, keep_chosen, p);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot choose files to change");
    shuffle(random, p->file, p->want_files);
    shuffle(random, p->dir, p->want_dirs);
    return 0;
}

/* ---- operations ---- */

struct planner {
    struct ol_model *model;
    struct ol_plan *plan;
    struct picks picks;
    struct ol_random random;
    uint64_t bytes;
    uint64_t seed;
    size_t next_file, next_dir, next_replaced;
};

/* A name that is free: the seed tells commits apart, the counter the operations of one. */
static int new_path_in(struct planner *p, const char *dir, const char *what, char **ret)
{
    for (unsigned tries = 0;; tries++) {
        struct ol_model_node node;
        ol_auto_free char *path = NULL;
        if (asprintf(&path, "%s%s%s-%08x-%zu%s%.0u", dir, *dir != '\0' ? "/" : "", what,
                     (unsigned)(p->seed ^ (p->seed >> 32)), p->plan->count, tries > 0 ? "-" : "",
                     tries) < 0)
            return -ENOMEM;
        if (!ol_model_lookup(p->model, path, &node)) {
            *ret = ol_ptr_steal(path);
            return 0;
        }
    }
}

static int new_path(struct planner *p, const char *what, char **ret)
{
    return new_path_in(p, p->picks.dir[p->next_dir++].path, what, ret);
}

/* What makes new names only. */
static int plan_new(struct planner *p, struct ol_op *op)
{
    char **dir;
    int r;

    switch (op->kind) {
    case OL_OP_SYMLINK: /* to a name that is not there: nothing follows it */
        r = new_path(p, "symlink", &op->path);
        op->target = strdup("nowhere/in/particular");
        return op->target == NULL ? -ENOMEM : r;
    case OL_OP_LINK:
        r = new_path(p, "linked", &op->path);
        if (r == 0 && asprintf(&op->target, "%s-too", op->path) < 0) {
            op->target = NULL;
            r = -ENOMEM;
        }
        return r;
    case OL_OP_REPLACE:
        dir = &p->picks.replaced[p->next_replaced++];
        op->path = ol_ptr_steal(*dir);
        return new_path_in(p, op->path, "replaced", &op->target);
    default:
        return new_path(p, op->kind == OL_OP_MKDIR ? "made" : "added", &op->path);
    }
}

static bool writes_content(enum ol_op_kind kind)
{
    return kind == OL_OP_ADD || kind == OL_OP_MODIFY || kind == OL_OP_LINK || kind == OL_OP_REPLACE;
}

/* An existing file is chosen for it. */
static bool takes_file(enum ol_op_kind kind)
{
    return kind == OL_OP_MODIFY || kind == OL_OP_DELETE || kind == OL_OP_RENAME ||
           kind == OL_OP_CHMOD;
}

static int plan_one(struct planner *p, enum ol_op_kind kind)
{
    struct ol_op *op = &p->plan->ops[p->plan->count];
    struct pick *file = NULL;
    int r = 0;

    *op = (struct ol_op){.kind = kind};
    if (takes_file(kind)) {
        file = &p->picks.file[p->next_file++];
        op->path = ol_ptr_steal(file->path);
        op->size = file->size;
        op->mode = file->mode;
    }
    if (!takes_file(kind)) {
        r = plan_new(p, op);
        op->mode = kind == OL_OP_MKDIR ? 0755 : 0644;
    } else if (kind == OL_OP_RENAME) {
        r = new_path(p, "renamed", &op->target);
    }
    if (kind == OL_OP_CHMOD)
        op->mode = file->mode ^ 0020; /* group-write: harmless, and surely another mode */
    if (writes_content(kind)) {
        op->size = p->bytes;
        op->content_seed = ol_random_next(&p->random);
    }
    p->plan->count++; /* from here on the plan frees what op holds */
    return r;
}

static int plan_kind(struct planner *p, enum ol_op_kind kind, unsigned count)
{
    int r = 0;

    for (unsigned i = 0; r == 0 && i < count; i++)
        r = plan_one(p, kind);
    return r;
}

static int plan_all(struct planner *p, const struct ol_change_mix *mix, struct ol_error *err)
{
    int r = plan_kind(p, OL_OP_ADD, mix->add);

    if (r == 0)
        r = plan_kind(p, OL_OP_MODIFY, mix->modify);
    if (r == 0)
        r = plan_kind(p, OL_OP_DELETE, mix->remove);
    if (r == 0)
        r = plan_kind(p, OL_OP_RENAME, mix->rename);
    if (r == 0)
        r = plan_kind(p, OL_OP_CHMOD, mix->chmod);
    if (r == 0)
        r = plan_kind(p, OL_OP_MKDIR, mix->mkdir);
    if (r == 0)
        r = plan_kind(p, OL_OP_SYMLINK, mix->symlink);
    if (r == 0)
        r = plan_kind(p, OL_OP_LINK, mix->link);
    if (r == 0)
        r = plan_kind(p, OL_OP_REPLACE, mix->replace);
    return r < 0 ? ol_error_sys(err, -r, "cannot plan the changes") : 0;
}

/* ---- what it leaves behind ---- */

static int apply_to_upper(const struct ol_plan *plan, struct ol_upper *upper)
{
    int r = plan->replay != NULL ? ol_replay_simulate(plan->replay, upper) : 0;

    for (size_t i = 0; r == 0 && i < plan->count; i++) {
        const struct ol_op *op = &plan->ops[i];
        switch (op->kind) {
        case OL_OP_ADD:
            r = ol_upper_make(upper, op->path, OL_M_FILE);
            break;
        case OL_OP_MKDIR:
            r = ol_upper_make(upper, op->path, OL_M_DIR);
            break;
        case OL_OP_DELETE:
            r = ol_upper_unlink(upper, op->path);
            break;
        case OL_OP_RENAME:
            r = ol_upper_rename(upper, op->path, op->target);
            break;
        case OL_OP_MODIFY:
        case OL_OP_CHMOD:
            r = ol_upper_touch(upper, op->path);
            break;
        case OL_OP_SYMLINK:
            r = ol_upper_make(upper, op->path, OL_M_SYMLINK);
            break;
        case OL_OP_LINK:
            r = ol_upper_make(upper, op->path, OL_M_FILE);
            if (r == 0)
                r = ol_upper_link(upper, op->path, op->target);
            break;
        case OL_OP_REPLACE:
            r = ol_upper_remove_dir(upper, op->path);
            if (r == 0)
                r = ol_upper_make(upper, op->path, OL_M_DIR);
            if (r == 0)
                r = ol_upper_make(upper, op->target, OL_M_FILE);
            break;
        }
    }
    return r;
}

/* Carry the plan out in an upper that is given away. @param ret_cached, ret_plain  may be NULL
 * @param ret_tree  what the upper is then; may be NULL */
static int predict_in(const struct ol_plan *plan, struct ol_upper *upper,
                      struct ol_inode_kinds *ret, bool *ret_cached,
                      struct ol_inode_kinds *ret_plain, struct ol_mtree *ret_tree)
{
    struct ol_inode_kinds before;
    int r;

    ol_upper_kinds(upper, &before);
    r = apply_to_upper(plan, upper);
    ol_upper_kinds(upper, ret);
    ol_inode_kinds_add(ret, &before, -1);
    if (ret_cached != NULL)
        *ret_cached = ol_upper_cached_alone(upper);
    if (ret_plain != NULL)
        *ret_plain = upper->plain;
    if (r == 0 && ret_tree != NULL) {
        *ret_tree = upper->tree;
        upper->tree = (struct ol_mtree){.nodes = NULL};
    }
    ol_upper_fini(upper);
    return r;
}

/* @param ret_native  the upper directory that overlay2's diff is made of; may be NULL */
static int predict(struct ol_plan *plan, const struct ol_model *model, struct ol_mtree *ret_native)
{
    struct ol_upper init;
    struct ol_upper upper;
    int r = ol_model_init_layer(model, &init);

    if (r < 0)
        return r;
    r = ol_upper_init_copy(&upper, &init, &model->merged);
    if (r == 0)
        r = predict_in(plan, &upper, &plan->overlay, &plan->overlay_cached, &plan->plain, NULL);
    if (r == 0)
        r = ol_upper_init(&upper, &init.tree, &model->merged);
    if (r == 0)
        r = predict_in(plan, &upper, &plan->overlay2, &plan->overlay2_cached, NULL, ret_native);
    if (r == 0) /* no init layer between */
        r = ol_upper_init(&upper, &model->merged, NULL);
    if (r == 0)
        r = predict_in(plan, &upper, &plan->snapshot, NULL, NULL, NULL);
    ol_upper_fini(&init);
    return r;
}

void ol_plan_predict(const struct ol_plan *plan, enum ol_law law, struct ol_inode_kinds *ret)
{
    switch (law) {
    case OL_LAW_OVERLAY:
    case OL_LAW_OVERLAY_CLONE_ALL:
        *ret = plan->overlay;
        return;
    case OL_LAW_OVERLAY2:
    case OL_LAW_OVERLAY2_NAIVE:
        *ret = plan->overlay2;
        return;
    case OL_LAW_VFS:
        *ret = plan->plain;
        return;
    case OL_LAW_SNAPSHOT:
        *ret = plan->snapshot;
        return;
    case OL_LAW_NULL:
    case OL_LAWS:
        break;
    }
    *ret = (struct ol_inode_kinds){0};
}

bool ol_plan_leaves_cached(const struct ol_plan *plan, enum ol_law law)
{
    bool overlay = law == OL_LAW_OVERLAY || law == OL_LAW_OVERLAY_CLONE_ALL;
    bool overlay2 = law == OL_LAW_OVERLAY2 || law == OL_LAW_OVERLAY2_NAIVE;

    return overlay ? plan->overlay_cached : overlay2 && plan->overlay2_cached;
}

/* ---- the layer a commit of it is ---- */

static int feed_link(struct ol_model *model, const struct ol_op *op, struct ol_error *err)
{
    struct ol_entry entry = {
        .path = op->path, .type = OL_ENTRY_FILE, .mode = op->mode, .size = op->size};
    int r = ol_model_add(model, &entry, err);

    if (r < 0)
        return r;
    entry.path = op->target;
    entry.link = op->path;
    entry.type = OL_ENTRY_HARDLINK;
    return ol_model_add(model, &entry, err);
}

/* As the native diff has it: the directory, opaque, with its file. A naive diff lists what went;
 * the tree is the same afterwards. */
static int feed_replacement(struct ol_model *model, const struct ol_op *op, struct ol_error *err)
{
    ol_auto_free char *opaque = NULL;
    struct ol_entry entry = {.path = op->path, .type = OL_ENTRY_DIRECTORY, .mode = 0755};
    int r = ol_model_add(model, &entry, err);

    if (r < 0)
        return r;
    if (asprintf(&opaque, "%s/.wh..wh..opq", op->path) < 0) {
        opaque = NULL;
        return ol_error_nomem(err);
    }
    entry = (struct ol_entry){.path = opaque, .type = OL_ENTRY_FILE};
    r = ol_model_add(model, &entry, err);
    entry = (struct ol_entry){
        .path = op->target, .type = OL_ENTRY_FILE, .mode = op->mode, .size = op->size};
    return r < 0 ? r : ol_model_add(model, &entry, err);
}

static int feed_symlink(struct ol_model *model, const struct ol_op *op, struct ol_error *err)
{
    const struct ol_entry entry = {
        .path = op->path, .link = op->target, .type = OL_ENTRY_SYMLINK, .mode = 0777};

    return ol_model_add(model, &entry, err);
}

static int feed_op(struct ol_model *model, const struct ol_op *op, struct ol_error *err)
{
    struct ol_entry entry = {
        .path = op->kind == OL_OP_RENAME ? op->target : op->path,
        .type = op->kind == OL_OP_MKDIR ? OL_ENTRY_DIRECTORY : OL_ENTRY_FILE,
        .mode = op->mode,
        .size = op->kind == OL_OP_MKDIR ? 0 : op->size,
    };
    int r = 0;

    if (op->kind == OL_OP_SYMLINK)
        return feed_symlink(model, op, err);
    if (op->kind == OL_OP_LINK)
        return feed_link(model, op, err);
    if (op->kind == OL_OP_REPLACE)
        return feed_replacement(model, op, err);
    if (op->kind == OL_OP_DELETE || op->kind == OL_OP_RENAME)
        r = ol_model_add_whiteout(model, op->path, err);
    if (r == 0 && op->kind != OL_OP_DELETE)
        r = ol_model_add(model, &entry, err);
    return r;
}

static int feed(struct ol_model *model, const struct ol_plan *plan, struct ol_error *err)
{
    int r = ol_model_begin_layer(model, err);

    for (size_t i = 0; r == 0 && i < plan->count; i++)
        r = feed_op(model, &plan->ops[i], err);
    return r;
}

/* What leaves fewer inodes than there were, in some law. */
static bool frees(const struct ol_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        const enum ol_op_kind kind = plan->ops[i].kind;
        if (kind == OL_OP_DELETE || kind == OL_OP_RENAME || kind == OL_OP_REPLACE)
            return true;
    }
    return false;
}

/* The model gets the layer in the order of the changes, and its peaks from that of the diff. */
static int feed_plan(struct ol_model *model, const struct ol_plan *plan, struct ol_error *err)
{
    struct ol_model *below = NULL;
    int r = frees(plan) ? ol_model_copy(model, &below, err) : 0;

    if (r == 0)
        r = feed(model, plan, err);
    if (r == 0)
        r = ol_model_diffed(model, below, err);
    ol_model_free(below);
    return r;
}

static int make_plan(struct planner *p, const struct ol_change_mix *mix, struct ol_error *err)
{
    int r = choose_replaced(p->model, &p->random, &p->picks, mix->replace, err);

    if (r == 0)
        r = choose(p->model, &p->random, &p->picks, err);

    if (r == 0)
        r = plan_all(p, mix, err);
    if (r < 0)
        return r;
    r = predict(p->plan, p->model, NULL);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot predict what the changes leave behind");
    return feed_plan(p->model, p->plan, err);
}

int ol_plan_make(struct ol_model *model, const struct ol_change_mix *mix, uint64_t change_bytes,
                 uint64_t seed, struct ol_plan **ret, struct ol_error *err)
{
    const size_t total = (size_t)mix->add + mix->modify + mix->remove + mix->rename + mix->chmod +
                         mix->mkdir + mix->symlink + mix->link + mix->replace;
    struct planner p = {.model = model, .bytes = change_bytes, .seed = seed};
    int r;

    p.picks.bytes = change_bytes;
    p.picks.want_files = (size_t)mix->modify + mix->remove + mix->rename + mix->chmod;
    p.picks.want_dirs = (size_t)mix->add + mix->rename + mix->mkdir + mix->symlink + mix->link;
    ol_random_seed(&p.random, seed);
    p.plan = calloc(1, sizeof *p.plan);
    if (p.plan != NULL)
        p.plan->ops = calloc(total + 1, sizeof *p.plan->ops);
    r = p.plan == NULL || p.plan->ops == NULL ? ol_error_nomem(err) : make_plan(&p, mix, err);
    picks_fini(&p.picks);
    if (r < 0) {
        ol_plan_free(p.plan);
        return r;
    }
    *ret = p.plan;
    return 0;
}

/* ---- operations that somebody else chose ---- */

static int copy_op(const struct ol_op *op, struct ol_op *ret)
{
    *ret = *op;
    ret->path = strdup(op->path);
    ret->target = op->target != NULL ? strdup(op->target) : NULL;
    return ret->path == NULL || (op->target != NULL && ret->target == NULL) ? -ENOMEM : 0;
}

static int fill_list(struct ol_plan *plan, struct ol_model *model, const struct ol_op *ops,
                     size_t count, struct ol_error *err)
{
    int r = 0;

    plan->ops = calloc(count + 1, sizeof *plan->ops);
    if (plan->ops == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < count && r == 0; i++)
        r = copy_op(&ops[i], &plan->ops[plan->count++]);
    if (r < 0)
        return ol_error_nomem(err);
    r = predict(plan, model, NULL);
    return r < 0 ? ol_error_sys(err, -r, "cannot predict what the changes leave behind")
                 : feed_plan(model, plan, err);
}

int ol_plan_list(struct ol_model *model, const struct ol_op *ops, size_t count,
                 struct ol_plan **ret, struct ol_error *err)
{
    struct ol_plan *plan = calloc(1, sizeof *plan);
    int r = plan == NULL ? ol_error_nomem(err) : fill_list(plan, model, ops, count, err);

    if (r < 0) {
        ol_plan_free(plan);
        return r;
    }
    *ret = plan;
    return 0;
}

/* ---- a layer of an image ---- */

/* What is seen in the container before and after. */
static int look_inside(const struct ol_plan *plan, const struct ol_model *model,
                       struct ol_model_seen *ret)
{
    struct ol_upper init;
    struct ol_upper upper;
    int r = ol_model_init_layer(model, &init);

    if (r < 0)
        return r;
    r = ol_upper_flatten(&init, &ret->before);
    ol_upper_fini(&init);
    if (r == 0)
        r = ol_upper_init(&upper, &ret->before, NULL);
    if (r < 0)
        return r;
    r = apply_to_upper(plan, &upper);
    if (r == 0)
        r = ol_upper_flatten(&upper, &ret->after);
    ol_upper_fini(&upper);
    return r;
}

/* The model is fed while the replay is planned, so the containers are set up before. */
static int make_replay(struct ol_plan *plan, struct ol_model *model, const struct ol_input *layers,
                       size_t index, bool keep_owner, struct ol_error *err)
{
    struct ol_model *below = NULL;
    struct ol_mtree native = {.nodes = NULL};
    struct ol_model_seen seen = {.before = {.nodes = NULL}};
    bool any = false;
    int r = ol_model_copy(model, &below, err);

    if (r < 0)
        return r;
    r = ol_replay_plan(model, layers, index, keep_owner, &plan->replay, err);
    if (r == 0) {
        r = predict(plan, below, &native);
        if (r == 0)
            r = look_inside(plan, below, &seen);
        plan->unpredicted = r < 0 && r != -ENOMEM;
        r = r == -ENOMEM ? ol_error_nomem(err) : 0;
    }
    if (r == 0)
        r = ol_model_replayed(model, below, plan->unpredicted ? NULL : &seen, &any, err);
    if (r == 0 && native.nodes != NULL && ol_model_unpack(model, &native) < 0)
        r = ol_error_nomem(err);
    plan->naive_empty = !any;
    plan->native_empty = model->own.nodes[OL_M_ROOT].first_child == OL_M_NONE;
    ol_mtree_fini(&seen.before);
    ol_mtree_fini(&seen.after);
    ol_mtree_fini(&native);
    ol_model_free(below);
    return r;
}

int ol_plan_replay(struct ol_model *model, const struct ol_input *layers, size_t index,
                   bool keep_owner, struct ol_plan **ret, struct ol_error *err)
{
    struct ol_plan *plan = calloc(1, sizeof *plan);
    int r = plan == NULL ? ol_error_nomem(err)
                         : make_replay(plan, model, layers, index, keep_owner, err);

    if (r < 0) {
        ol_plan_free(plan);
        return r;
    }
    *ret = plan;
    return 0;
}

bool ol_plan_is_empty(const struct ol_plan *plan, enum ol_law law)
{
    const bool native = law == OL_LAW_OVERLAY2 || law == OL_LAW_SNAPSHOT;

    if (plan->replay == NULL)
        return plan->count == 0;
    return native ? plan->native_empty : plan->naive_empty;
}

bool ol_plan_is_predicted(const struct ol_plan *plan)
{
    return !plan->unpredicted;
}
