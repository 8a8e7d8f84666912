/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Planning the replay of a layer, and its simulation; see replay.h. The items are in the order of
 * the archive, because the order means something: a whiteout after a name deletes it again.
 */
#include "bench/workloads/replay_internal.h"

#include "bench/oracle/model_internal.h"
#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/whiteout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct planner {
    struct ol_model *model;
    struct ol_replay *replay;
    struct ol_replay_moves moves;     /* owned */
    struct ol_replay_opaques opaques; /* owned */
};

static void planner_fini(struct planner *p)
{
    ol_replay_opaques_fini(&p->opaques);
    ol_replay_moves_fini(&p->moves);
}

void ol_replay_free(struct ol_replay *replay)
{
    if (replay == NULL)
        return;
    for (size_t i = 0; i < replay->count; i++) {
        free(replay->items[i].path);
        free(replay->items[i].target);
    }
    free(replay->items);
    free(replay);
}

size_t ol_replay_moves(const struct ol_replay *replay)
{
    size_t moves = 0;

    for (size_t i = 0; i < replay->count; i++)
        moves += replay->items[i].op == OL_REPLAY_MOVE;
    return moves;
}

/* Takes path and target over, also when it fails. */
static int add_item(struct ol_replay *replay, struct ol_replay_item item)
{
    if (replay->count == replay->cap) {
        size_t cap = replay->cap > 0 ? 2 * replay->cap : 256;
        struct ol_replay_item *grown = reallocarray(replay->items, cap, sizeof *grown);

        if (grown == NULL) {
            free(item.path);
            free(item.target);
            return -ENOMEM;
        }
        replay->items = grown;
        replay->cap = cap;
    }
    replay->items[replay->count++] = item;
    return 0;
}

int ol_replay_add_bare(struct ol_replay *replay, enum ol_replay_op op, const char *path)
{
    struct ol_replay_item item = {.op = (uint8_t)op, .type = OL_M_DIR, .path = strdup(path)};

    return item.path == NULL ? -ENOMEM : add_item(replay, item);
}

/* ---- one entry ---- */

/* Parents nobody has made yet, or that went with an opaque directory. */
static int imply_parents(struct planner *p, const char *path, bool below_opaque)
{
    int r = 0;

    for (const char *slash = strchr(path, '/'); slash != NULL && r == 0;
         slash = strchr(slash + 1, '/')) {
        ol_auto_free char *dir = strndup(path, (size_t)(slash - path));

        if (dir == NULL)
            return -ENOMEM;
        if (below_opaque || ol_model_find(p->model, dir) == OL_M_NONE)
            r = ol_replay_add_bare(p->replay, OL_REPLAY_IMPLY, dir);
    }
    return r;
}

static struct ol_replay_move *move_to(const struct planner *p, const char *path)
{
    size_t low = 0;
    size_t high = p->moves.count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(p->moves.items[mid].to, path);

        if (order == 0)
            return &p->moves.items[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static bool is_moved_away(const struct planner *p, const char *path)
{
    for (size_t i = 0; i < p->moves.count; i++) {
        if (strcmp(p->moves.items[i].from, path) == 0)
            return true;
    }
    return false;
}

enum ol_mtype ol_replay_type(enum ol_entry_type type)
{
    switch (type) {
    case OL_ENTRY_DIRECTORY:
        return OL_M_DIR;
    case OL_ENTRY_SYMLINK:
        return OL_M_SYMLINK;
    case OL_ENTRY_CHAR:
    case OL_ENTRY_BLOCK:
        return OL_M_DEVICE;
    case OL_ENTRY_FIFO:
        return OL_M_FIFO;
    case OL_ENTRY_FILE:
    case OL_ENTRY_HARDLINK:
        break;
    }
    return OL_M_FILE;
}

/* What the model knows about the object that is there. */
static void look_at(const struct planner *p, const struct ol_entry *entry,
                    struct ol_replay_item *item)
{
    const struct ol_mtree *tree = &p->model->merged;
    uint32_t node = ol_model_find(p->model, item->path);
    const struct ol_minode *inode;

    if (node == OL_M_NONE)
        return;
    inode = ol_mtree_inode(tree, node);
    item->fresh = inode->type == OL_M_FILE && inode->links > 1;
    item->same = item->type == OL_M_SYMLINK && inode->type == OL_M_SYMLINK &&
                 strcmp(tree->text + inode->text, entry->link) == 0;
}

static int plan_object(struct planner *p, const struct ol_entry *entry, struct ol_replay_item *item)
{
    struct ol_replay_move *move = NULL;

    item->op = OL_REPLAY_PUT;
    item->type = (uint8_t)ol_replay_type(entry->type);
    if (entry->type == OL_ENTRY_HARDLINK) {
        item->op = OL_REPLAY_LINK;
        return ol_model_canonical(p->model, entry->link, &item->target);
    }
    if (entry->type == OL_ENTRY_FILE)
        move = move_to(p, item->path);
    if (move != NULL && !move->done) {
        move->done = true;
        item->op = OL_REPLAY_MOVE;
        item->target = strdup(move->from);
        return item->target == NULL ? -ENOMEM : 0;
    }
    look_at(p, entry, item);
    return 0;
}

/*
 * @param ret_feed  false for a whiteout of nothing, also where it went with an opaque directory: a
 *                  container cannot delete what is not there
 */
static int plan_whiteout(struct planner *p, struct ol_replay_item *item, bool below_opaque,
                         bool *ret_feed)
{
    ol_auto_free char *parent = strndup(item->path, ol_path_dir_len(item->path));
    uint32_t node = ol_model_find(p->model, item->path);

    if (parent == NULL)
        return -ENOMEM;
    item->op = is_moved_away(p, item->path) ? OL_REPLAY_NOTHING : OL_REPLAY_REMOVE;
    if (node == OL_M_NONE)
        *ret_feed = ol_model_find(p->model, parent) == OL_M_NONE; /* its parents are made */
    if (node != OL_M_NONE && below_opaque && !ol_replay_is_touched(p->model, node)) {
        ol_mtree_remove(&p->model->merged, node); /* it went before, without a whiteout */
        *ret_feed = false;
    }
    return 0;
}

/* An entry below what was emptied needs its parents made again; a whiteout or a marker only where
 * it makes any at all. */
static int makes_something(const struct planner *p, const struct ol_replay_item *item,
                           enum ol_wh_kind kind, bool *ret)
{
    ol_auto_free char *parent = strndup(item->path, ol_path_dir_len(item->path));

    if (parent == NULL)
        return -ENOMEM;
    *ret = kind == OL_WH_NONE || ol_model_find(p->model, parent) == OL_M_NONE ||
           (kind == OL_WH_OPQ && ol_model_find(p->model, item->path) == OL_M_NONE);
    return 0;
}

/* The real name an entry is about: of a whiteout the one it hides, of an opaque marker its
 * directory. */
static int name_of(const struct planner *p, const struct ol_entry *entry, enum ol_wh_kind kind,
                   const char *hidden, char **ret)
{
    ol_auto_free char *name = NULL;
    size_t dir = ol_path_dir_len(entry->path);
    int r;

    if (kind != OL_WH_FILE)
        name = strdup(entry->path);
    else if (asprintf(&name, "%.*s%s%s", (int)dir, entry->path, dir > 0 ? "/" : "", hidden) < 0)
        name = NULL;
    if (name == NULL)
        return -ENOMEM;
    r = ol_model_canonical(p->model, name, ret);
    if (r == 0 && kind == OL_WH_OPQ)
        (*ret)[ol_path_dir_len(*ret)] = '\0';
    return r;
}

static int plan_entry(struct planner *p, const struct ol_entry *entry, bool *ret_feed)
{
    struct ol_replay_item item = {.entry = true};
    const char *hidden = NULL;
    enum ol_wh_kind kind = ol_whiteout_parse(ol_path_base(entry->path), &hidden);
    bool below_opaque = false;
    bool makes = false;
    int r = name_of(p, entry, kind, hidden, &item.path);

    if (r == 0)
        r = ol_replay_opaques_touch(&p->opaques, p->replay, p->model, item.path, &below_opaque);
    if (r == 0)
        r = makes_something(p, &item, kind, &makes);
    if (r == 0)
        r = imply_parents(p, item.path, below_opaque && makes);
    if (r == 0 && kind == OL_WH_FILE)
        r = plan_whiteout(p, &item, below_opaque, ret_feed);
    else if (r == 0 && kind == OL_WH_OPQ)
        r = ol_replay_opaques_mark(&p->opaques, p->replay, p->model, item.path, ret_feed);
    else if (r == 0 && kind == OL_WH_NONE)
        r = plan_object(p, entry, &item);
    if (r == 0)
        return add_item(p->replay, item);
    free(item.path);
    free(item.target);
    return r;
}

/* A whiteout of nothing leaves the directories it implies. */
static int feed_implied(struct planner *p, const char *path, struct ol_error *err)
{
    ol_auto_free char *parent = strndup(path, ol_path_dir_len(path));
    const struct ol_entry entry = {.path = parent, .type = OL_ENTRY_DIRECTORY, .mode = 0755};

    return parent == NULL ? ol_error_nomem(err) : ol_model_add(p->model, &entry, err);
}

/* The commit's diff finds everything by its real path: the model gets it under that, too. */
static int feed(struct planner *p, const struct ol_entry *entry, struct ol_error *err)
{
    const struct ol_replay_item *item = &p->replay->items[p->replay->count - 1];
    const char *base = ol_path_base(entry->path);
    enum ol_wh_kind kind = ol_whiteout_parse(base, NULL);
    size_t dir = kind == OL_WH_OPQ ? strlen(item->path) : ol_path_dir_len(item->path);
    ol_auto_free char *path = NULL;
    struct ol_entry real = *entry;

    if (kind == OL_WH_FILE && ol_model_find(p->model, item->path) == OL_M_NONE)
        return feed_implied(p, item->path, err);
    if (kind != OL_WH_NONE &&
        asprintf(&path, "%.*s%s%s", (int)dir, item->path, dir > 0 ? "/" : "", base) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    real.path = path != NULL ? path : item->path;
    if (entry->type == OL_ENTRY_HARDLINK && item->target != NULL) {
        int r = ol_model_copy_up(p->model, item->target, err);
        if (r < 0)
            return r;
        real.link = item->target;
    }
    return ol_model_add(p->model, &real, err);
}

static int take_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct planner *p = data;
    bool is_effective = true;
    int r = plan_entry(p, entry, &is_effective);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot plan the replay of entry '%s'", entry->path);
    return is_effective ? feed(p, entry, err) : 0;
}

static void note_directories(struct planner *p)
{
    const struct ol_mtree *tree = &p->model->merged;

    for (size_t i = 0; i < p->replay->count; i++) {
        struct ol_replay_item *item = &p->replay->items[i];
        uint32_t node = item->entry && item->op == OL_REPLAY_PUT && item->type == OL_M_DIR
                            ? ol_model_find(p->model, item->path)
                            : OL_M_NONE;

        item->stays = node != OL_M_NONE && ol_mtree_type(tree, node) == OL_M_DIR;
    }
}

static int plan(struct planner *p, const struct ol_input *layers, size_t index,
                struct ol_error *err)
{
    int r = ol_replay_moves_find(p->model, layers, index, &p->moves, err);

    if (r == 0)
        r = ol_replay_opaques_find(p->model, &layers[index], &p->opaques, err);
    if (r == 0)
        r = ol_model_begin_layer(p->model, err);
    if (r == 0)
        r = ol_layer_scan_digest(&layers[index], OL_SCAN_NO_DIGEST, NULL, take_entry, p, NULL, err);
    if (r < 0)
        return r;
    note_directories(p);
    r = ol_replay_opaques_finish(&p->opaques, p->replay, p->model);
    return r < 0 ? ol_error_sys(err, -r, "cannot plan an opaque root directory") : 0;
}

int ol_replay_plan(struct ol_model *model, const struct ol_input *layers, size_t index,
                   bool keep_owner, struct ol_replay **ret, struct ol_error *err)
{
    struct planner p = {.model = model, .replay = calloc(1, sizeof *p.replay)};
    int r = p.replay == NULL ? ol_error_nomem(err) : plan(&p, layers, index, err);

    planner_fini(&p);
    if (r < 0) {
        ol_replay_free(p.replay);
        return ol_error_wrap(err, r, "layer %zu", index);
    }
    p.replay->input = layers[index];
    p.replay->layer = index;
    p.replay->keep_owner = keep_owner;
    *ret = p.replay;
    return 0;
}

/* ---- in an upper in memory ---- */

static int remove_any(struct ol_upper *upper, const char *path)
{
    enum ol_mtype type;
    int r = ol_upper_type(upper, path, &type);

    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? 0 : r;
    return type == OL_M_DIR ? ol_upper_remove_dir(upper, path) : ol_upper_unlink(upper, path);
}

static int put(struct ol_upper *upper, const struct ol_replay_item *item)
{
    enum ol_mtype there;
    int r = ol_upper_type(upper, item->path, &there);

    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && there == item->type &&
        (item->type == OL_M_DIR || item->same || (item->type == OL_M_FILE && !item->fresh)))
        return ol_upper_touch(upper, item->path);
    r = remove_any(upper, item->path);
    return r < 0 ? r : ol_upper_make(upper, item->path, (enum ol_mtype)item->type);
}

/* Not there: it went with a directory above that was emptied, too. */
static int empty(struct ol_upper *upper, const char *path)
{
    enum ol_mtype type;
    struct ol_minode init = {.type = OL_M_DIR};
    int r = ol_upper_type(upper, path, &type);

    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? 0 : r;
    init.meta = ol_upper_inode(upper, path)->meta;
    r = remove_any(upper, path);
    return r < 0 ? r : ol_upper_make_inode(upper, path, &init);
}

/* Nothing is copied up for a directory that is there, of the init layer for one. */
static int imply(struct ol_upper *upper, const char *path)
{
    enum ol_mtype type;
    int r = ol_upper_type(upper, path, &type);

    if (r == 0)
        return 0;
    return r == -ENOENT || r == -ENOTDIR ? ol_upper_make(upper, path, OL_M_DIR) : r;
}

static int one(const struct ol_replay_item *item, struct ol_upper *upper)
{
    int r = 0;

    if (*item->path == '\0') /* the root is always in the upper */
        return 0;
    switch ((enum ol_replay_op)item->op) {
    case OL_REPLAY_NOTHING:
        return 0;
    case OL_REPLAY_IMPLY:
        return imply(upper, item->path);
    case OL_REPLAY_PUT:
        return put(upper, item);
    case OL_REPLAY_REMOVE:
        return remove_any(upper, item->path);
    case OL_REPLAY_MOVE:
        r = remove_any(upper, item->path);
        return r < 0 ? r : ol_upper_rename(upper, item->target, item->path);
    case OL_REPLAY_LINK:
        r = remove_any(upper, item->path);
        if (r == 0)
            r = ol_upper_touch(upper, item->target);
        return r < 0 ? r : ol_upper_link(upper, item->target, item->path);
    case OL_REPLAY_EMPTY:
        return empty(upper, item->path);
    }
    return -EINVAL;
}

int ol_replay_simulate(const struct ol_replay *replay, struct ol_upper *upper)
{
    int r = 0;

    for (size_t i = 0; i < replay->count && r == 0; i++)
        r = one(&replay->items[i], upper);
    return r;
}
