/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding moved files: a whiteout of a regular file with one name, and a new name of the same size
 * and the same content. Contents are only read where a size meets its like: of the new names from
 * the layer itself, of the deleted ones from the nearest layer below that wrote them.
 */
#include "bench/workloads/replay_internal.h"

#include "bench/oracle/model_internal.h"
#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/whiteout.h"
#include "common/layer/entries.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A file that went, or that came. */
struct file {
    char *path; /* owned; canonical */
    uint64_t size;
    char digest[OL_DIGEST_SIZE]; /* "": not known */
    bool wanted;                 /* its size has a like: its content is to be read */
    bool done;                   /* looked at, or taken */
};
struct files {
    struct file *items; /* owned */
    size_t count, cap;
};

struct finder {
    const struct ol_model *model;
    struct files gone, come;
    struct files *reading;
};

static void files_fini(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->items[i].path);
    free(files->items);
}

void ol_replay_moves_fini(struct ol_replay_moves *moves)
{
    for (size_t i = 0; i < moves->count; i++) {
        free(moves->items[i].from);
        free(moves->items[i].to);
    }
    free(moves->items);
    *moves = (struct ol_replay_moves){NULL, 0};
}

static int add_file(struct files *files, char **path, uint64_t size)
{
    if (files->count == files->cap) {
        size_t cap = files->cap > 0 ? 2 * files->cap : 64;
        struct file *grown = reallocarray(files->items, cap, sizeof *grown);

        if (grown == NULL)
            return -ENOMEM;
        files->items = grown;
        files->cap = cap;
    }
    files->items[files->count++] = (struct file){.path = ol_ptr_steal(*path), .size = size};
    return 0;
}

/* The name a whiteout hides, in its directory. */
static int hidden_path(const char *path, const char *hidden, char **ret)
{
    size_t dir = ol_path_dir_len(path);

    return asprintf(ret, "%.*s%s%s", (int)dir, path, dir > 0 ? "/" : "", hidden) < 0 ? -ENOMEM : 0;
}

static int note_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct finder *f = data;
    ol_auto_free char *name = NULL;
    ol_auto_free char *path = NULL;
    const char *hidden = NULL;
    struct ol_model_node node;
    enum ol_wh_kind kind = ol_whiteout_parse(ol_path_base(entry->path), &hidden);
    bool there;
    int r = 0;

    if (kind != OL_WH_FILE && (kind != OL_WH_NONE || entry->type != OL_ENTRY_FILE))
        return 0;
    if (kind == OL_WH_FILE)
        r = hidden_path(entry->path, hidden, &name);
    if (r == 0)
        r = ol_model_canonical(f->model, name != NULL ? name : entry->path, &path);
    if (r < 0)
        return r == -ENOMEM ? ol_error_nomem(err) : 0; /* planning says what is wrong with it */
    there = ol_model_lookup(f->model, path, &node);
    if (kind == OL_WH_FILE && there && node.type == OL_MODEL_FILE && node.links == 1 &&
        node.size > 0)
        r = add_file(&f->gone, &path, node.size);
    else if (kind == OL_WH_NONE && !there && entry->size > 0)
        r = add_file(&f->come, &path, entry->size);
    return r < 0 ? ol_error_nomem(err) : 0;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = ((const struct file *)a)->size;
    uint64_t y = ((const struct file *)b)->size;

    return (x > y) - (x < y);
}

/* Mark what has a size that the other side has, too. */
static bool mark_sizes(struct files *files, const struct files *others)
{
    bool any = false;

    for (size_t i = 0; i < files->count; i++) {
        files->items[i].wanted = bsearch(&files->items[i], others->items, others->count,
                                         sizeof *others->items, by_size) != NULL;
        any = any || files->items[i].wanted;
    }
    return any;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

/* The first gone file whose path is not before this one. */
static size_t lower_bound(const struct files *gone, const char *path)
{
    size_t low = 0;
    size_t high = gone->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(gone->items[mid].path, path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void drop_at(struct files *gone, const char *path)
{
    for (size_t at = lower_bound(gone, path);
         at < gone->count && strcmp(gone->items[at].path, path) == 0; at++)
        gone->items[at].wanted = false; /* each of its whiteouts */
}

/* @param path  is changed meanwhile */
static void drop_above(struct files *gone, char *path)
{
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        drop_at(gone, path);
        *slash = '/';
    }
}

static int drop_below(struct files *gone, const char *path)
{
    ol_auto_free char *below = NULL;

    if (asprintf(&below, "%s%s", path, *path != '\0' ? "/" : "") < 0) {
        below = NULL;
        return -ENOMEM;
    }
    for (size_t at = lower_bound(gone, below);
         at < gone->count && strncmp(gone->items[at].path, below, strlen(below)) == 0; at++)
        gone->items[at].wanted = false;
    return 0;
}

static int real_name(const struct finder *f, const char *path, char **ret)
{
    int r = ol_model_canonical(f->model, path, ret);

    if (r != -ENOTDIR)
        return r;
    *ret = strdup(path); /* below a file: its directory is the layer's own */
    return *ret == NULL ? -ENOMEM : 0;
}

static int drop_replaced(struct finder *f, const struct ol_entry *entry, char *path)
{
    const char *hidden = NULL;
    ol_auto_free char *name = NULL;
    int r;

    drop_above(&f->gone, path);
    switch (ol_whiteout_parse(ol_path_base(path), &hidden)) {
    case OL_WH_FILE:
        r = hidden_path(path, hidden, &name);
        return r < 0 ? r : drop_below(&f->gone, name);
    case OL_WH_OPQ:
        path[ol_path_dir_len(path)] = '\0';
        return drop_below(&f->gone, path);
    default:
        drop_at(&f->gone, path);
        return entry->type == OL_ENTRY_DIRECTORY ? 0 : drop_below(&f->gone, path);
    }
}

/*
 * A deleted file is still there until it is moved. So it is not, where the layer needs its name
 * before: for an entry at it or below it, or where its directory is deleted, replaced or opaque.
 * Neither is the target of a hard link.
 */
static int drop_used(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct finder *f = data;
    ol_auto_free char *path = NULL;
    ol_auto_free char *target = NULL;
    int r = real_name(f, entry->path, &path);

    if (r == 0)
        r = drop_replaced(f, entry, path);
    if (r == 0 && entry->type == OL_ENTRY_HARDLINK)
        r = real_name(f, entry->link, &target);
    if (r == 0 && target != NULL)
        drop_at(&f->gone, target);
    return r == -ENOMEM ? ol_error_nomem(err) : 0; /* planning says what is wrong with it */
}

/* Only the name a layer wrote a file under is looked for; another way to it proves nothing. */
static int read_entry(const struct ol_reader_entry *entry, struct ol_reader *reader, void *data,
                      struct ol_error *err)
{
    struct finder *f = data;
    const struct file key = {.path = (char *)(uintptr_t)entry->header.path};
    struct file *file = bsearch(&key, f->reading->items, f->reading->count, sizeof key, by_path);

    if (file == NULL || !file->wanted)
        return 0;
    file->done = true;
    file->digest[0] = '\0'; /* of several entries the last one counts */
    if (entry->header.type != OL_ENTRY_FILE || entry->header.size != file->size)
        return 0;
    return ol_entry_digest(entry, reader, file->digest, err);
}

static int read_contents(struct finder *f, struct files *files, const struct ol_input *layer,
                         struct ol_error *err)
{
    f->reading = files;
    return ol_layer_entries(layer, read_entry, f, err);
}

static bool wants_more(const struct files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].wanted)
            return true;
    }
    return false;
}

/* From the nearest layer down: what one layer told is not asked of the next. */
static int read_gone(struct finder *f, const struct ol_input *layers, size_t index,
                     struct ol_error *err)
{
    int r = 0;

    while (index-- > 0 && r == 0 && wants_more(&f->gone)) {
        r = read_contents(f, &f->gone, &layers[index], err);
        for (size_t i = 0; i < f->gone.count; i++)
            f->gone.items[i].wanted = f->gone.items[i].wanted && !f->gone.items[i].done;
    }
    return r;
}

/* The file that went with the content of the one that came; of several, one of the same name. */
static struct file *find_source(struct finder *f, const struct file *come)
{
    struct file *found = NULL;

    for (size_t i = 0; come->digest[0] != '\0' && i < f->gone.count; i++) {
        struct file *gone = &f->gone.items[i];

        if (gone->path == NULL || gone->size != come->size ||
            strcmp(gone->digest, come->digest) != 0)
            continue;
        if (strcmp(ol_path_base(gone->path), ol_path_base(come->path)) == 0)
            return gone;
        if (found == NULL)
            found = gone;
    }
    return found;
}

static int join(struct finder *f, struct ol_replay_moves *ret, struct ol_error *err)
{
    ret->items = calloc(f->come.count + 1, sizeof *ret->items);
    if (ret->items == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < f->come.count; i++) {
        struct file *come = &f->come.items[i];
        struct file *gone = find_source(f, come);

        if (gone != NULL)
            ret->items[ret->count++] = (struct ol_replay_move){.from = ol_ptr_steal(gone->path),
                                                               .to = ol_ptr_steal(come->path)};
    }
    return 0;
}

static int find(struct finder *f, const struct ol_input *layers, size_t index,
                struct ol_replay_moves *ret, struct ol_error *err)
{
    int r = ol_layer_scan_digest(&layers[index], OL_SCAN_NO_DIGEST, NULL, note_entry, f, NULL, err);

    if (r < 0 || f->gone.count == 0 || f->come.count == 0)
        return r;
    qsort(f->gone.items, f->gone.count, sizeof *f->gone.items, by_size);
    qsort(f->come.items, f->come.count, sizeof *f->come.items, by_size);
    if (!mark_sizes(&f->come, &f->gone) || !mark_sizes(&f->gone, &f->come))
        return 0;
    qsort(f->gone.items, f->gone.count, sizeof *f->gone.items, by_path);
    qsort(f->come.items, f->come.count, sizeof *f->come.items, by_path);
    r = ol_layer_scan_digest(&layers[index], OL_SCAN_NO_DIGEST, NULL, drop_used, f, NULL, err);
    if (r == 0)
        r = read_contents(f, &f->come, &layers[index], err);
    if (r == 0)
        r = read_gone(f, layers, index, err);
    return r < 0 ? r : join(f, ret, err); /* by the new names, as these are sorted */
}

int ol_replay_moves_find(const struct ol_model *model, const struct ol_input *layers, size_t index,
                         struct ol_replay_moves *ret, struct ol_error *err)
{
    struct finder f = {.model = model};
    int r;

    *ret = (struct ol_replay_moves){NULL, 0};
    r = find(&f, layers, index, ret, err);
    files_fini(&f.gone);
    files_fini(&f.come);
    return r;
}
