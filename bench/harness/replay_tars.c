/* SPDX-License-Identifier: Apache-2.0 */
/* Two layer tars, entry by entry; see replay_check.h. */
#include "bench/harness/replay_check.h"

#include "common/cleanup.h"
#include "common/fs/path.h"
#include "common/fs/whiteout.h"
#include "common/layer/entries.h"
#include "common/layer/layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One entry, with everything a tree can show of it. */
struct record {
    char *path, *link, *spelling; /* owned */
    enum ol_entry_type type;
    unsigned mode;
    uint32_t uid, gid, dev_major, dev_minor;
    struct timespec mtime;
    uint64_t seq;                 /* place in the archive */
    char content[OL_DIGEST_SIZE]; /* of a file */
    char xattrs[OL_DIGEST_SIZE];  /* of all of them, sorted by name */
};

struct records {
    struct record *items; /* owned */
    size_t count, cap;
};

static void records_fini(struct records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        free(records->items[i].path);
        free(records->items[i].link);
        free(records->items[i].spelling);
    }
    free(records->items);
}

static int by_xattr_name(const void *a, const void *b)
{
    return strcmp(((const struct ol_entry_xattr *)a)->name,
                  ((const struct ol_entry_xattr *)b)->name);
}

static int digest_xattrs(const struct ol_reader_entry *entry, char ret[static OL_DIGEST_SIZE],
                         struct ol_error *err)
{
    ol_auto_free struct ol_entry_xattr *sorted = calloc(entry->n_xattrs + 1, sizeof *sorted);
    struct ol_hash *hash = NULL;
    int r = sorted == NULL ? ol_error_nomem(err) : ol_hash_new(&hash, err);

    if (r < 0)
        return r;
    if (entry->n_xattrs > 0)
        memcpy(sorted, entry->xattrs, entry->n_xattrs * sizeof *sorted);
    qsort(sorted, entry->n_xattrs, sizeof *sorted, by_xattr_name);
    for (size_t i = 0; i < entry->n_xattrs; i++) {
        ol_hash_update(hash, sorted[i].name, strlen(sorted[i].name) + 1);
        ol_hash_update(hash, &sorted[i].len, sizeof sorted[i].len);
        ol_hash_update(hash, sorted[i].value, sorted[i].len);
    }
    ol_hash_final(hash, ret);
    ol_hash_free(hash);
    return 0;
}

static int add_record(const struct ol_reader_entry *entry, struct ol_reader *reader, void *data,
                      struct ol_error *err)
{
    struct records *records = data;
    const struct ol_entry *e = &entry->header;
    struct record *grown = records->items;
    struct record *record;
    int r;

    if (records->count == records->cap) {
        size_t cap = records->cap > 0 ? 2 * records->cap : 256;

        grown = reallocarray(records->items, cap, sizeof *grown);
        if (grown == NULL)
            return ol_error_nomem(err);
        records->items = grown;
        records->cap = cap;
    }
    record = &grown[records->count];
    *record = (struct record){.path = strdup(e->path),
                              .link = strdup(e->link != NULL ? e->link : ""),
                              .spelling = strdup(entry->name),
                              .type = e->type,
                              .mode = e->mode,
                              .uid = e->uid,
                              .gid = e->gid,
                              .dev_major = e->dev_major,
                              .dev_minor = e->dev_minor,
                              .mtime = e->mtime,
                              .seq = records->count};
    records->count++;
    if (record->path == NULL || record->link == NULL || record->spelling == NULL)
        return ol_error_nomem(err);
    r = digest_xattrs(entry, record->xattrs, err);
    if (r == 0 && e->type == OL_ENTRY_FILE)
        r = ol_entry_digest(entry, reader, record->content, err);
    return r;
}

static int by_path(const void *a, const void *b)
{
    const struct record *x = a;
    const struct record *y = b;
    int order = strcmp(x->path, y->path);

    return order != 0 ? order : (x->seq > y->seq) - (x->seq < y->seq);
}

static int read_records(const struct ol_input *input, struct records *ret, struct ol_error *err)
{
    int r = ol_layer_entries(input, add_record, ret, err);

    if (r == 0 && ret->count > 1)
        qsort(ret->items, ret->count, sizeof *ret->items, by_path);
    return r;
}

/* ---- comparing ---- */

struct pair { /* places of an entry both have */
    uint64_t original, committed;
    const char *path; /* borrowed */
};

struct comparison {
    struct ol_replay_verdict *verdict;
    struct records original, committed;
    struct pair *pairs; /* owned */
    size_t n_pairs;
};

static int tell(struct comparison *c, enum ol_replay_reason_kind kind, const char *path)
{
    return ol_replay_reason_add(c->verdict, kind, 1, *path != '\0' ? path : "/");
}

static enum ol_wh_kind whiteout_kind(const struct record *record)
{
    return ol_whiteout_parse(ol_path_base(record->path), NULL);
}

static int compare_times(struct comparison *c, const struct record *o, const struct record *n)
{
    enum ol_replay_reason_kind kind = OL_REASON_TIME;

    if (o->mtime.tv_sec == n->mtime.tv_sec && o->mtime.tv_nsec == n->mtime.tv_nsec)
        return 0;
    if (whiteout_kind(o) != OL_WH_NONE)
        kind = OL_REASON_WHITEOUT_TIME;
    else if (o->mtime.tv_sec == n->mtime.tv_sec)
        kind = OL_REASON_TIME_FRACTION;
    else if (o->type == OL_ENTRY_DIRECTORY)
        kind = OL_REASON_DIRECTORY_TIME;
    return tell(c, kind, o->path);
}

static int compare_records(struct comparison *c, const struct record *o, const struct record *n)
{
    const struct {
        bool differs;
        enum ol_replay_reason_kind kind;
    } fields[] = {
        {o->type != n->type, OL_REASON_TYPE},
        {o->mode != n->mode && o->type != OL_ENTRY_SYMLINK,
         whiteout_kind(o) == OL_WH_FILE ? OL_REASON_WHITEOUT_MODE : OL_REASON_MODE},
        {o->uid != n->uid || o->gid != n->gid, OL_REASON_OWNER},
        {strcmp(o->link, n->link) != 0, OL_REASON_LINK},
        {o->dev_major != n->dev_major || o->dev_minor != n->dev_minor, OL_REASON_DEVICE},
        {strcmp(o->content, n->content) != 0, OL_REASON_CONTENT},
        {strcmp(o->xattrs, n->xattrs) != 0, OL_REASON_XATTRS},
        {strcmp(o->spelling, n->spelling) != 0, OL_REASON_SPELLING},
    };
    int r = compare_times(c, o, n);

    c->pairs[c->n_pairs++] = (struct pair){o->seq, n->seq, o->path};
    for (size_t i = 0; i < OL_ARRAY_LEN(fields) && r == 0; i++)
        r = fields[i].differs ? tell(c, fields[i].kind, o->path) : 0;
    return r;
}

static int tell_missing(struct comparison *c, const struct record *o)
{
    enum ol_wh_kind kind = whiteout_kind(o);

    if (*o->path == '\0')
        return tell(c, OL_REASON_MISSING_ROOT, o->path);
    if (kind == OL_WH_OPQ)
        return tell(c, OL_REASON_MISSING_OPAQUE, o->path);
    if (kind != OL_WH_NONE)
        return tell(c, OL_REASON_MISSING_WHITEOUT, o->path);
    return tell(c, o->type == OL_ENTRY_DIRECTORY ? OL_REASON_MISSING_DIRECTORY : OL_REASON_MISSING,
                o->path);
}

static int tell_extra(struct comparison *c, const struct record *n)
{
    enum ol_wh_kind kind = whiteout_kind(n);

    if (kind == OL_WH_OPQ)
        return tell(c, OL_REASON_EXTRA_OPAQUE, n->path);
    if (kind != OL_WH_NONE)
        return tell(c, OL_REASON_EXTRA_WHITEOUT, n->path);
    return tell(c, n->type == OL_ENTRY_DIRECTORY ? OL_REASON_EXTRA_DIRECTORY : OL_REASON_EXTRA,
                n->path);
}

/* Of several entries of one name the last one stands. */
static int skip_duplicates(struct comparison *c, const struct records *records, size_t *at)
{
    int r = 0;

    while (r == 0 && *at + 1 < records->count &&
           strcmp(records->items[*at].path, records->items[*at + 1].path) == 0) {
        r = tell(c, OL_REASON_DUPLICATE, records->items[*at].path);
        (*at)++;
    }
    return r;
}

static int merge(struct comparison *c)
{
    size_t o = 0;
    size_t n = 0;
    int r = 0;

    while (r == 0 && (o < c->original.count || n < c->committed.count)) {
        const struct record *a;
        const struct record *b;
        int order;

        r = skip_duplicates(c, &c->original, &o);
        if (r == 0)
            r = skip_duplicates(c, &c->committed, &n);
        if (r < 0)
            return r;
        a = o < c->original.count ? &c->original.items[o] : NULL;
        b = n < c->committed.count ? &c->committed.items[n] : NULL;
        order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a->path, b->path);
        if (order == 0)
            r = compare_records(c, a, b);
        else
            r = order < 0 ? tell_missing(c, a) : tell_extra(c, b);
        o += order <= 0;
        n += order >= 0;
    }
    return r;
}

static int by_original(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;

    return (x->original > y->original) - (x->original < y->original);
}

static int by_committed(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;

    return (x->committed > y->committed) - (x->committed < y->committed);
}

/* The next byte of the name an entry is about: a whiteout stands where what it hides would, an
 * opaque marker with its directory. */
static const char *skip_prefix(const char *path, const char *at)
{
    const char *base = ol_path_base(path);
    const char *hidden = NULL;

    if (at != base)
        return at;
    switch (ol_whiteout_parse(base, &hidden)) {
    case OL_WH_FILE:
        return hidden;
    case OL_WH_OPQ:
        return base + strlen(base);
    default:
        return at;
    }
}

/* @param slash  what a '/' counts as: itself where whole paths are sorted, less than any other byte
 *               where each directory's entries are */
static int compare_paths(const char *a, const char *b, int slash)
{
    const char *x = skip_prefix(a, a);
    const char *y = skip_prefix(b, b);

    while (*x != '\0' && *x == *y) {
        x = skip_prefix(a, x + 1);
        y = skip_prefix(b, y + 1);
    }
    return (*x == '/' ? slash : (unsigned char)*x) - (*y == '/' ? slash : (unsigned char)*y);
}

static bool is_sorted(const struct comparison *c, int slash)
{
    for (size_t i = 1; i < c->n_pairs; i++) {
        if (compare_paths(c->pairs[i - 1].path, c->pairs[i].path, slash) > 0)
            return false;
    }
    return true;
}

/* Of the pairs as they are sorted now. */
static const char *order_name(const struct comparison *c)
{
    if (is_sorted(c, '/'))
        return "by whole paths";
    return is_sorted(c, 1) ? "directory by directory" : "in an order of its own";
}

static int compare_order(struct comparison *c)
{
    ol_auto_free char *example = NULL;
    const char *original;
    const char *first = NULL;
    uint64_t count = 0;

    if (c->n_pairs > 1)
        qsort(c->pairs, c->n_pairs, sizeof *c->pairs, by_original);
    for (size_t i = 1; i < c->n_pairs; i++) {
        if (c->pairs[i].committed > c->pairs[i - 1].committed)
            continue;
        first = first != NULL ? first : c->pairs[i].path;
        count++;
    }
    if (count == 0)
        return 0;
    original = order_name(c);
    qsort(c->pairs, c->n_pairs, sizeof *c->pairs, by_committed);
    if (asprintf(&example, "%s; the original is sorted %s, the commit %s", first, original,
                 order_name(c)) < 0) {
        example = NULL;
        return -ENOMEM;
    }
    return ol_replay_reason_add(c->verdict, OL_REASON_ORDER, count, example);
}

static int compare_entries(struct comparison *c, const struct ol_input *original,
                           const struct ol_input *committed, struct ol_error *err)
{
    int r = read_records(original, &c->original, err);

    if (r == 0)
        r = read_records(committed, &c->committed, err);
    if (r < 0)
        return r;
    c->pairs = calloc(c->original.count + 1, sizeof *c->pairs);
    r = c->pairs == NULL ? -ENOMEM : merge(c);
    if (r == 0)
        r = compare_order(c);
    return r < 0 ? ol_error_nomem(err) : 0;
}

static bool has_reason(const struct ol_replay_verdict *verdict)
{
    for (size_t i = 0; i < OL_REASONS; i++) {
        if (verdict->reasons[i].count > 0)
            return true;
    }
    return false;
}

int ol_replay_compare_tars(const struct ol_input *original, const char *original_diff_id,
                           const struct ol_input *committed, struct ol_replay_verdict *ret,
                           struct ol_error *err)
{
    struct comparison c = {.verdict = ret};
    int r = ol_layer_decompress(committed, -1, NULL, ret->diff_id, err);

    if (r < 0)
        return r;
    ret->checked = true;
    ret->same_diff = strcmp(ret->diff_id, original_diff_id) == 0;
    ret->tree_known = true;
    ret->same_tree = ret->same_diff;
    if (ret->same_diff)
        return 0;
    r = compare_entries(&c, original, committed, err);
    records_fini(&c.original);
    records_fini(&c.committed);
    free(c.pairs);
    if (r == 0)
        r = ol_replay_compare_headers(original, committed, ret, err);
    if (r == 0 && !has_reason(ret))
        r = ol_replay_reason_add(ret, OL_REASON_BYTES, 1, NULL) < 0 ? ol_error_nomem(err) : 0;
    return r;
}
