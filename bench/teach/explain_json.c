/* SPDX-License-Identifier: Apache-2.0 */
/* An explanation as JSON, overlab.explain/1: every path, number and option as it is. */
#include "bench/teach/explain_internal.h"

#include "bench/report/json_parts.h"
#include "common/cleanup.h"

#include <errno.h>
#include <jansson.h>

/* Append and hand over; false when there was no memory for either. */
static bool push(json_t *list, json_t *item)
{
    return json_array_append_new(list, item) == 0;
}

static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static const char *change_name(enum ol_tree_change change)
{
    static const char *const names[] = {
        [OL_TREE_SAME] = "same",   [OL_TREE_NEW] = "new",         [OL_TREE_LINKED] = "linked",
        [OL_TREE_MOVED] = "moved", [OL_TREE_CHANGED] = "changed", [OL_TREE_GONE] = "gone",
    };

    return names[change];
}

static json_t *entry_json(const struct ol_capture_entry *entry)
{
    return json_pack("{ss, ss, sI, sI, si, sI, sI, ss*, ss*, sb}", "path", entry->path, "kind",
                     ol_capture_kind(entry), "inode", (json_int_t)entry->ino, "links",
                     (json_int_t)entry->links, "mode", (int)(entry->mode & 07777), "size",
                     (json_int_t)entry->size_bytes, "bytes", (json_int_t)entry->disk_bytes,
                     "target", entry->target, "opaque", entry->opaque, "mounted", entry->mounted);
}

static json_t *row_json(const struct ol_tree_row *row)
{
    json_t *json = entry_json(ol_tree_row_entry(row));
    bool ok = set(json, "change", json_string(change_name(row->change))) &&
              set(json, "shared", json_boolean(row->shared));

    if (ok && row->copy_of != NULL)
        ok = set(json, "copy_of", json_integer((json_int_t)row->copy_of->ino));
    if (ok && row->was != NULL && row->now != NULL)
        ok = set(json, "links_before", json_integer((json_int_t)row->was->links));
    if (ok)
        return json;
    json_decref(json);
    return NULL;
}

static json_t *rows_json(const struct ol_moment *moment)
{
    json_t *list = json_array();

    for (size_t i = 0; i < moment->rows.count; i++) {
        if (!push(list, row_json(&moment->rows.rows[i]))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *calls_json(const struct ol_moment *moment)
{
    json_t *list = json_array();

    for (size_t i = 0; i < moment->n_calls; i++) {
        const struct ol_scene_call *call = &moment->calls[i];

        if (!push(list, json_pack("{ss, ss?, ss?, si}", "op", call->op, "id", call->id, "parent",
                                  call->parent, "result", call->result))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *mounts_json(const struct ol_moment *moment)
{
    json_t *list = json_array();

    for (size_t i = 0; i < moment->n_mounts; i++) {
        const struct ol_scene_mount *mount = &moment->mounts[i];

        if (!push(list, json_pack("{ss, ss, ss, ss}", "target", mount->target, "type", mount->type,
                                  "source", mount->source, "options", mount->options))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *tar_json(const struct ol_moment *moment)
{
    json_t *list = json_array();

    for (size_t i = 0; i < moment->n_tar; i++) {
        const struct ol_scene_tar *entry = &moment->tar[i];
        const char type[] = {entry->type, '\0'};

        if (!push(list, json_pack("{ss, ss, sI}", "path", entry->path, "type", type, "size",
                                  (json_int_t)entry->size_bytes))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static void add_dialect(const struct ol_dialect *dialect, void *data)
{
    static const char *const names[] = {
        [OL_DIALECT_TAR] = "tar",
        [OL_DIALECT_DEVICE] = "device",
        [OL_DIALECT_ATTRIBUTE] = "attribute",
    };
    json_t **list = data;
    json_t *json = json_pack("{ss, ss}", "dialect", names[dialect->kind], "path", dialect->path);

    if (json != NULL && dialect->entry != NULL) {
        (void)set(json, "inode", json_integer((json_int_t)dialect->entry->ino));
        (void)set(json, "links", json_integer((json_int_t)dialect->entry->links));
        if (dialect->entry->opaque != NULL)
            (void)set(json, "attribute", json_string(dialect->entry->opaque));
    }
    if (*list != NULL && !push(*list, json)) {
        json_decref(*list);
        *list = NULL; /* the caller sees it missing */
    }
}

static json_t *kinds_json(const struct ol_inode_kinds *kinds)
{
    int r = 0;
    json_t *json = ol_report_kinds_json(kinds, &r);

    if (r == 0)
        return json;
    json_decref(json);
    return NULL;
}

static json_t *totals_json(const struct ol_moment *moment)
{
    json_t *json = json_pack(
        "{sI, sI, sI, sI, so}", "inodes", (json_int_t)moment->usage.inodes, "bytes",
        (json_int_t)moment->usage.bytes, "added_inodes", (json_int_t)moment->added_inodes,
        "added_bytes", (json_int_t)moment->added_bytes, "kinds", kinds_json(&moment->usage.kinds));

    if (json != NULL && moment->has_law &&
        !(set(json, "predicted_inodes",
              json_integer((json_int_t)ol_inode_kinds_total(&moment->law))) &&
          set(json, "predicted_kinds", kinds_json(&moment->law)))) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static json_t *dialects_json(const struct ol_scene *scene, const struct ol_moment *moment)
{
    json_t *list = json_array();

    ol_explain_dialects(scene, moment, add_dialect, &list);
    return list;
}

static json_t *layers_json(const struct ol_scene *scene, const struct ol_moment *moment)
{
    json_t *json = json_object();

    for (size_t i = 0; i < moment->tree.count && json != NULL; i++) {
        const struct ol_capture_entry *entry = &moment->tree.entries[i];
        const char *nickname = entry->depth == 1 ? ol_scene_nickname(scene, entry->name) : NULL;

        if (nickname != NULL && !set(json, entry->name, json_string(nickname))) {
            json_decref(json);
            json = NULL;
        }
    }
    return json;
}

static json_t *note_json(const struct ol_explanation *ex, const struct ol_scene *scene,
                         unsigned index)
{
    enum ol_law law = OL_LAW_NULL;
    bool has_law = ol_scene_law(scene, &law);
    const struct ol_step_note *note =
        index > 0 ? ol_step_note(&ex->options.step->phases[index - 1], has_law, law) : NULL;

    return note == NULL ? json_null()
                        : json_pack("{ss, ss, ss}", "why", note->why, "file", note->file,
                                    "function", note->function);
}

static json_t *engine_json(const struct ol_explanation *ex, size_t column, unsigned index)
{
    const struct ol_scene *scene = ex->columns[column].scene;
    const struct ol_moment *moment = &ex->columns[column].moments[index];
    json_t *json = json_pack("{ss}", "name", ol_scene_name(scene));

    if (set(json, "layers", layers_json(scene, moment)) &&
        set(json, "entries", rows_json(moment)) && set(json, "calls", calls_json(moment)) &&
        set(json, "mounts", mounts_json(moment)) && set(json, "tar", tar_json(moment)) &&
        set(json, "dialects", dialects_json(scene, moment)) &&
        set(json, "totals", totals_json(moment)) && set(json, "note", note_json(ex, scene, index)))
        return json;
    json_decref(json);
    return NULL;
}

static json_t *acts_json(const struct ol_act *acts)
{
    json_t *list = json_array();

    for (; acts->kind != OL_ACT_END; acts++) {
        ol_auto_buf struct ol_buf words = OL_BUF_INIT;

        if (ol_act_words(acts, &words) < 0 || !push(list, json_string(ol_buf_str(&words)))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *moment_json(const struct ol_explanation *ex, unsigned index)
{
    const struct ol_step *step = ex->options.step;
    const struct ol_step_phase *phase = index > 0 ? &step->phases[index - 1] : NULL;
    json_t *engines = json_array();
    json_t *json = json_pack("{ss, so, sO}", "caption", phase != NULL ? phase->caption : "Before",
                             "acts", acts_json(phase != NULL ? phase->acts : step->before),
                             "engines", engines);
    bool ok = json != NULL;

    for (size_t i = 0; i < ex->options.n_engines && ok; i++)
        ok = push(engines, engine_json(ex, i, index));
    json_decref(engines);
    if (ok)
        return json;
    json_decref(json);
    return NULL;
}

int ol_explain_print_json(const struct ol_explanation *ex, FILE *out, struct ol_error *err)
{
    json_t *phases = json_array();
    json_t *json = json_pack("{ss, ss, ss, ss, sO}", "schema", "overlab.explain/1", "step",
                             ex->options.step->name, "summary", ex->options.step->summary, "view",
                             ol_view_name(ex->options.view), "phases", phases);
    bool ok = json != NULL;

    for (unsigned i = 0; i < ex->n_done && ok; i++)
        ok = push(phases, moment_json(ex, i));
    json_decref(phases);
    if (ok) {
        (void)json_dumpf(json, out, JSON_INDENT(1)); /* the caller sees a failed write */
        fputc('\n', out);
    }
    json_decref(json);
    return ok ? 0 : ol_error_nomem(err);
}
