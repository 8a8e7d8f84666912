/* SPDX-License-Identifier: Apache-2.0 */
/* Words and short names; see explain_internal.h. */
#include "bench/teach/explain_internal.h"

#include "common/cleanup.h"

#include <string.h>

enum { ID_LEN = 64, ID_SHOWN = 8, LINK_LEN = 26, LINK_SHOWN = 6 };

/* Length of a random name at text, and how much of it is shown. */
static size_t random_name(const char *text, size_t *ret_shown)
{
    size_t hex = strspn(text, "0123456789abcdef");
    size_t link = strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    *ret_shown = hex == ID_LEN ? ID_SHOWN : LINK_SHOWN;
    if (hex == ID_LEN)
        return hex;
    return link == LINK_LEN ? link : 0;
}

int ol_explain_shorten(const struct ol_explanation *ex, const char *text, struct ol_buf *ret)
{
    const size_t place = strlen(ex->options.dir);
    int r = 0;

    while (*text != '\0' && r == 0) {
        size_t shown;
        size_t len = random_name(text, &shown);

        if (len > 0) {
            r = ol_buf_printf(ret, "%.*s~", (int)shown, text);
        } else if (strncmp(text, ex->options.dir, place) == 0) {
            r = ol_buf_puts(ret, "$S");
            len = place;
        } else {
            r = ol_buf_putc(ret, *text);
            len = 1;
        }
        text += len;
    }
    return r;
}

size_t ol_explain_init_suffix(const char *nickname)
{
    static const char suffix[] = "-init";
    const size_t len = strlen(nickname);

    return len >= sizeof suffix && strcmp(nickname + len - (sizeof suffix - 1), suffix) == 0
               ? sizeof suffix - 1
               : 0;
}

/* ---- calls ---- */

/* "%i" is the id, "%p" the parent. */
static const struct {
    const char *op, *words, *without_parent;
    const char *direct; /* in the direct view, where it is another thing */
} calls[] = {
    {"create", "Create %i on %p: an empty layer", "Create %i: an empty layer", NULL},
    {"remove", "Remove %i, with everything in it", NULL, NULL},
    {"get", "Get %i: mount it, or count one more user", NULL, NULL},
    {"rootfs", "Get %i: mount it, to write in it", NULL,
     "open %i: its directories, to write in overlay's own format"},
    {"put", "Put %i: one user less; the last one unmounts", NULL, "close %i: nothing was mounted"},
    {"diff", "Diff %i against %p: write what is different as a tar",
     "Diff %i: write all of it as a tar", NULL},
    {"apply_diff", "ApplyDiff %i on %p: unpack the tar", "ApplyDiff %i: unpack the tar", NULL},
    {"prepare", "Prepare %i on %p: an active snapshot", "Prepare %i: an active snapshot", NULL},
    {"apply", "unpack the tar into the fs of %i", NULL, NULL},
    {"commit", "Commit %p: from now on it is %i, and read-only", NULL, NULL},
    {"mounts", "Mounts %i: say what is to be mounted", NULL, NULL},
    {"mount", "the caller mounts that", NULL, NULL},
    {"unmount", "the caller unmounts it", NULL, NULL},
};

static const char *template_of(const struct ol_scene_call *call, enum ol_view view)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(calls); i++) {
        if (strcmp(calls[i].op, call->op) != 0)
            continue;
        if (view == OL_VIEW_DIRECT && calls[i].direct != NULL)
            return calls[i].direct;
        return call->parent == NULL && calls[i].without_parent != NULL ? calls[i].without_parent
                                                                       : calls[i].words;
    }
    return NULL;
}

/* An id without a nickname is short already, or a random one. */
static int put_id(const struct ol_scene *scene, const char *id, struct ol_buf *ret)
{
    const char *nickname = id != NULL ? ol_scene_nickname(scene, id) : NULL;
    size_t shown;
    size_t len = id != NULL ? random_name(id, &shown) : 0;

    if (nickname != NULL)
        return ol_buf_puts(ret, nickname);
    if (len > 0)
        return ol_buf_printf(ret, "%.*s~%s", (int)shown, id, id + len);
    return ol_buf_puts(ret, id != NULL ? id : "nothing");
}

static int put_failure(const struct ol_scene_call *call, struct ol_buf *ret)
{
    return call->result < 0 ? ol_buf_printf(ret, " - failed: %s", strerrordesc_np(-call->result))
                            : 0;
}

int ol_explain_call_words(const struct ol_scene *scene, const struct ol_scene_call *call,
                          enum ol_view view, struct ol_buf *ret)
{
    const char *words = template_of(call, view);
    int r = 0;

    if (words == NULL) {
        r = ol_buf_printf(ret, "%s ", call->op);
        words = "%i";
    }
    for (; *words != '\0' && r == 0; words++) {
        if (*words != '%')
            r = ol_buf_putc(ret, *words);
        else
            r = put_id(scene, *++words == 'i' ? call->id : call->parent, ret);
    }
    return r < 0 ? r : put_failure(call, ret);
}

/* ---- views ---- */

const char *ol_explain_view_words(enum ol_view view)
{
    switch (view) {
    case OL_VIEW_KERNEL:
        return "kernel: real overlay mounts, as root";
    case OL_VIEW_USERNS:
        return "userns: real overlay mounts in a user namespace; what differs from root's: opaque "
               "directories are marked user.overlay.opaque, not trusted.overlay.opaque";
    case OL_VIEW_DIRECT:
        return "direct: nothing is mounted, overlay's own format is written by hand; what differs: "
               "no merged directory, and the mark is user.overlay.opaque";
    case OL_VIEW_AUTO:
        break;
    }
    return "not chosen";
}

/* ---- dialects ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

enum ol_wh_kind ol_explain_tar_kind(const struct ol_scene_tar *entry)
{
    return ol_whiteout_parse(base_name(entry->path), NULL);
}

/* The path in the image of what lies in a container's own "<id>/<upper, diff or fs>/"; else NULL */
static const char *container_path(const struct ol_scene *scene, const char *path)
{
    const char *slash = strchr(path, '/');
    ol_auto_free char *id = slash != NULL ? strndup(path, (size_t)(slash - path)) : NULL;
    const char *nickname = id != NULL ? ol_scene_nickname(scene, id) : NULL;
    const char *rest = slash != NULL ? strchr(slash + 1, '/') : NULL;

    if (nickname == NULL || rest == NULL || strncmp(nickname, "box", 3) != 0 ||
        strstr(nickname, "-init") != NULL || strncmp(slash + 1, "work/", 5) == 0)
        return NULL;
    return rest + 1;
}

static void each_entry(const struct ol_scene *scene, const struct ol_moment *moment, int kind,
                       ol_dialect_fn *fn, void *data)
{
    for (size_t i = 0; i < moment->tree.count; i++) {
        const struct ol_capture_entry *entry = &moment->tree.entries[i];
        bool is_it = kind == OL_DIALECT_DEVICE ? entry->whiteout : entry->opaque != NULL;
        struct ol_dialect dialect = {.kind = kind, .entry = entry};

        dialect.path = is_it ? container_path(scene, entry->path) : NULL;
        if (dialect.path != NULL)
            fn(&dialect, data);
    }
}

void ol_explain_dialects(const struct ol_scene *scene, const struct ol_moment *moment,
                         ol_dialect_fn *fn, void *data)
{
    for (size_t i = 0; i < moment->n_tar; i++) {
        const struct ol_dialect dialect = {.kind = OL_DIALECT_TAR, .path = moment->tar[i].path};

        if (ol_explain_tar_kind(&moment->tar[i]) != OL_WH_NONE)
            fn(&dialect, data);
    }
    each_entry(scene, moment, OL_DIALECT_DEVICE, fn, data);
    each_entry(scene, moment, OL_DIALECT_ATTRIBUTE, fn, data);
}
