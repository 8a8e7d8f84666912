/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opaque directories of a layer that is replayed.
 *
 * A marker hides what layers below have in its directory and nothing else: entries of the layer's
 * own stay, whether they come before it or after it. So the directory is removed and made again
 * just before the first entry that touches it, which makes it opaque in an overlay, too.
 *
 * That is not possible for the root, nor where the layer still needs something old of it (the
 * target of a hard link), nor where a symlink led into it before. Then what
 * is old goes name by name, and the model hears of whiteouts instead of the marker.
 */
#include "bench/workloads/replay_internal.h"

#include "bench/oracle/model_internal.h"
#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/whiteout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ol_replay_opaques_fini(struct ol_replay_opaques *opaques)
{
    for (size_t i = 0; i < opaques->count; i++)
        free(opaques->items[i].path);
    free(opaques->items);
    *opaques = (struct ol_replay_opaques){NULL, 0};
}

static bool is_at_or_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 && (len == 0 || path[len] == '/' || path[len] == '\0');
}

/* ---- which there are ---- */

struct finder {
    const struct ol_model *model;
    struct ol_replay_opaques *opaques;
};

static int note_opaque(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct ol_replay_opaques *opaques = ((struct finder *)data)->opaques;
    struct ol_replay_opaque *grown;

    if (ol_whiteout_parse(ol_path_base(entry->path), NULL) != OL_WH_OPQ)
        return 0;
    grown = reallocarray(opaques->items, opaques->count + 1, sizeof *grown);
    if (grown == NULL)
        return ol_error_nomem(err);
    opaques->items = grown;
    grown[opaques->count] = (struct ol_replay_opaque){
        .path = strndup(entry->path, ol_path_dir_len(entry->path))};
    return grown[opaques->count++].path == NULL ? ol_error_nomem(err) : 0;
}

static void note_need(struct ol_replay_opaques *opaques, const char *path)
{
    for (size_t i = 0; i < opaques->count; i++)
        opaques->items[i].needed |= is_at_or_below(path, opaques->items[i].path);
}

/* A link to a file of the layer's own needs nothing old. */
static int note_link(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct finder *f = data;
    ol_auto_free char *target = NULL;
    int r;

    if (entry->type != OL_ENTRY_HARDLINK)
        return 0;
    r = ol_model_canonical(f->model, entry->link, &target);
    if (r == 0 && ol_model_find(f->model, target) != OL_M_NONE)
        note_need(f->opaques, target);
    return r == -ENOMEM ? ol_error_nomem(err) : 0; /* planning says what is wrong with it */
}

int ol_replay_opaques_find(const struct ol_model *model, const struct ol_input *layer,
                           struct ol_replay_opaques *ret, struct ol_error *err)
{
    struct finder f = {.model = model, .opaques = ret};
    int r = ol_layer_scan_digest(layer, OL_SCAN_NO_DIGEST, NULL, note_opaque, &f, NULL, err);

    if (r < 0 || ret->count == 0)
        return r;
    return ol_layer_scan_digest(layer, OL_SCAN_NO_DIGEST, NULL, note_link, &f, NULL, err);
}

/* ---- emptied before the first entry ---- */

bool ol_replay_is_touched(const struct ol_model *model, uint32_t node)
{
    const struct ol_mtree *tree = &model->merged;

    if (tree->nodes[node].layer == model->layer ||
        (ol_mtree_type(tree, node) == OL_M_DIR && ol_mtree_inode(tree, node)->made == model->layer))
        return true;
    for (uint32_t child = tree->nodes[node].first_child; child != OL_M_NONE;
         child = tree->nodes[child].next) {
        if (ol_replay_is_touched(model, child))
            return true;
    }
    return false;
}

static int empty_root(struct ol_replay *replay, const struct ol_model *model)
{
    const struct ol_mtree *tree = &model->merged;
    int r = 0;

    for (uint32_t node = tree->nodes[OL_M_ROOT].first_child; node != OL_M_NONE && r == 0;
         node = tree->nodes[node].next)
        r = ol_replay_add_bare(replay, OL_REPLAY_REMOVE, ol_mtree_name(tree, node));
    return r;
}

static int empty_now(struct ol_replay_opaque *o, struct ol_replay *replay,
                     const struct ol_model *model)
{
    ol_auto_free char *path = NULL;
    uint32_t node;
    int r;

    if (o->needed)
        return 0;
    r = ol_model_canonical(model, o->path, &path);
    if (r < 0)
        return r == -ENOMEM ? r : 0; /* the marker's own entry says what is wrong with it */
    node = ol_model_find(model, path);
    if (strcmp(path, o->path) != 0 || node == OL_M_NONE ||
        ol_mtree_type(&model->merged, node) != OL_M_DIR || ol_replay_is_touched(model, node))
        return 0;
    o->emptied = true;
    return node == OL_M_ROOT ? empty_root(replay, model)
                             : ol_replay_add_bare(replay, OL_REPLAY_EMPTY, path);
}

int ol_replay_opaques_touch(struct ol_replay_opaques *opaques, struct ol_replay *replay,
                            const struct ol_model *model, const char *path, bool *ret_below)
{
    int r = 0;

    *ret_below = false;
    for (size_t i = 0; i < opaques->count && r == 0; i++) {
        struct ol_replay_opaque *o = &opaques->items[i];

        if (!is_at_or_below(path, o->path))
            continue;
        if (!o->touched)
            r = empty_now(o, replay, model);
        o->touched = true;
        *ret_below = *ret_below || (o->emptied && strcmp(path, o->path) != 0);
    }
    return r;
}

/* ---- emptied at the marker ---- */

static int feed_whiteout(struct ol_model *model, const char *path)
{
    ol_auto_free char *name = NULL;
    struct ol_entry gone = {.type = OL_ENTRY_FILE};
    int dir = (int)ol_path_dir_len(path);

    if (asprintf(&name, "%.*s%s%s%s", dir, path, dir > 0 ? "/" : "", OL_WH_PREFIX,
                 ol_path_base(path)) < 0) {
        name = NULL;
        return -ENOMEM;
    }
    gone.path = name;
    return ol_model_add(model, &gone, NULL);
}

/* What the layer did not put into the directory goes; a directory stays for what is in it. */
static int remove_old(struct ol_replay *replay, const struct ol_model *model, uint32_t dir,
                      const char *path)
{
    const struct ol_mtree *tree = &model->merged;
    int r = 0;

    if (ol_mtree_inode(tree, dir)->made == model->layer)
        return 0; /* nothing older in it */
    for (uint32_t node = tree->nodes[dir].first_child; node != OL_M_NONE && r == 0;
         node = tree->nodes[node].next) {
        ol_auto_free char *name = NULL;

        if (asprintf(&name, "%s%s%s", path, *path != '\0' ? "/" : "", ol_mtree_name(tree, node)) <
            0) {
            name = NULL;
            return -ENOMEM;
        }
        if (!ol_replay_is_touched(model, node))
            r = ol_replay_add_bare(replay, OL_REPLAY_REMOVE, name);
        else if (ol_mtree_type(tree, node) == OL_M_DIR)
            r = remove_old(replay, model, node, name);
    }
    return r;
}

static bool was_emptied(const struct ol_replay_opaques *opaques, const char *path)
{
    for (size_t i = 0; i < opaques->count; i++) {
        if (opaques->items[i].emptied && strcmp(opaques->items[i].path, path) == 0)
            return true;
    }
    return false;
}

int ol_replay_opaques_mark(const struct ol_replay_opaques *opaques, struct ol_replay *replay,
                           struct ol_model *model, const char *path, bool *ret_feed)
{
    uint32_t node = ol_model_find(model, path);
    size_t from = replay->count;
    int r;

    if (node == OL_M_NONE) /* the marker makes it */
        return ol_replay_add_bare(replay, OL_REPLAY_IMPLY, path);
    if (ol_mtree_type(&model->merged, node) != OL_M_DIR || was_emptied(opaques, path))
        return 0;
    *ret_feed = false;
    r = remove_old(replay, model, node, path);
    for (; from < replay->count && r == 0; from++)
        r = feed_whiteout(model, replay->items[from].path);
    return r;
}

int ol_replay_opaques_finish(const struct ol_replay_opaques *opaques,
                             const struct ol_replay *replay, struct ol_model *model)
{
    int r = 0;

    for (size_t i = 0; i < replay->count && r == 0 && was_emptied(opaques, ""); i++) {
        const struct ol_replay_item *item = &replay->items[i];

        if (!item->entry && item->op == OL_REPLAY_REMOVE && strchr(item->path, '/') == NULL &&
            ol_model_find(model, item->path) == OL_M_NONE)
            r = feed_whiteout(model, item->path);
    }
    return r;
}
