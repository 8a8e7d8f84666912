/* SPDX-License-Identifier: Apache-2.0 */
/* What containerd's snapshots/storage/bolt.go (v1.6.20, rebase v2.2) does in a transaction. */
#include "common/metadb/internal.h"

#include "common/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static MDB_val sequence_key(void)
{
    static char name[] = "sequence";

    return (MDB_val){.mv_size = sizeof name - 1, .mv_data = name};
}

static MDB_val text_val(const char *text)
{
    union {
        const char *in;
        void *out; /* LMDB does not write to it */
    } cast = {.in = text};

    return (MDB_val){.mv_size = strlen(text), .mv_data = cast.out};
}

int ol_meta_sequence(struct ol_metatxn *txn, uint64_t *ret, struct ol_error *err)
{
    uint64_t last;
    MDB_val value;
    int r = ol_metatxn_get(txn, OL_BUCKET_STATE, sequence_key(), &value, err);

    if (r == -ENOENT)
        return ol_error_set(err, r, "there are no snapshots: none was ever made here");
    if (r < 0)
        return r;
    if (value.mv_size != sizeof last)
        return ol_error_set(err, -EUCLEAN, "the last id is damaged");
    memcpy(&last, value.mv_data, sizeof last);
    *ret = le64toh(last);
    return 0;
}

/* -ENOENT while no snapshot was ever made. */
static int require_used(struct ol_metatxn *txn, struct ol_error *err)
{
    uint64_t last;

    return ol_meta_sequence(txn, &last, err);
}

static int next_id(struct ol_metatxn *txn, uint64_t *ret, struct ol_error *err)
{
    uint64_t id = 0;
    uint64_t stored;
    int r = ol_meta_sequence(txn, &id, NULL);

    if (r < 0 && r != -ENOENT)
        return ol_meta_sequence(txn, &id, err);
    if (id == UINT64_MAX)
        return ol_error_set(err, -EUCLEAN, "the last id is damaged: there is none after it");
    *ret = ++id;
    stored = htole64(id);
    return ol_metatxn_put(txn, OL_BUCKET_STATE, sequence_key(),
                          (MDB_val){.mv_size = sizeof stored, .mv_data = &stored}, false, err);
}

/* ---- parents ---- */

void ol_meta_snapshot_fini(struct ol_meta_snapshot *snapshot)
{
    free(snapshot->parents);
    *snapshot = (struct ol_meta_snapshot){0};
}

/* The ids from parent (a name, or "") down to the base. */
static int collect_parents(struct ol_metatxn *txn, const char *parent, struct ol_meta_snapshot *ret,
                           struct ol_error *err)
{
    size_t cap = 0;
    uint64_t last = 0;
    int r = parent[0] != '\0' ? ol_meta_sequence(txn, &last, err) : 0;

    while (r == 0 && parent[0] != '\0') {
        struct ol_record record;

        if (ret->n_parents > last)
            return ol_error_set(err, -EUCLEAN, "snapshot '%s' is its own ancestor", parent);
        if (ret->n_parents == cap) {
            uint64_t *grown = reallocarray(ret->parents, cap = 2 * cap + 8, sizeof *grown);

            if (grown == NULL)
                return ol_error_nomem(err);
            ret->parents = grown;
        }
        r = ol_record_find(txn, parent, &record, err);
        if (r < 0)
            return r;
        ret->parents[ret->n_parents++] = record.id;
        parent = record.parent;
    }
    return r;
}

static int add_child(struct ol_metatxn *txn, uint64_t parent, uint64_t child, const char *name,
                     struct ol_error *err)
{
    struct ol_key key;

    ol_child_key(parent, child, &key);
    return ol_metatxn_put(txn, OL_BUCKET_CHILDREN, ol_key_val(&key), text_val(name), false, err);
}

/* @return 1, 0 or negative errno */
static int has_children(struct ol_metatxn *txn, uint64_t id, struct ol_error *err)
{
    struct ol_key key;
    MDB_cursor *cursor = NULL;
    MDB_val at;
    MDB_val value;
    uint64_t parent = 0;
    uint64_t child;
    int rc = mdb_cursor_open(txn->mdb, ol_metadb_bucket(txn->db, OL_BUCKET_CHILDREN), &cursor);

    if (rc != 0)
        return ol_metadb_error(txn->db, rc, "read", err);
    ol_child_key(id, 0, &key);
    at = ol_key_val(&key);
    rc = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
    if (rc == 0 && !ol_child_parse(&at, &parent, &child))
        rc = MDB_CORRUPTED;
    mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return ol_metadb_error(txn->db, rc, "read", err);
    return rc == 0 && parent == id;
}

/* ---- writing records ---- */

static int store(struct ol_metatxn *txn, uint64_t id, const struct ol_snapshot_info *info,
                 const struct ol_snapshot_usage *usage, bool fresh, struct ol_error *err)
{
    ol_auto_buf struct ol_buf bytes = OL_BUF_INIT;
    struct ol_key key;
    int r = ol_name_key(info->name, &key, err);

    if (r == 0)
        r = ol_record_write(id, info, usage, &bytes, err);
    if (r < 0)
        return r;
    r = ol_metatxn_put(txn, OL_BUCKET_SNAPSHOTS, ol_key_val(&key),
                       (MDB_val){.mv_size = bytes.len, .mv_data = bytes.data}, fresh, err);
    if (r == -EEXIST)
        return ol_error_set(err, r, "snapshot '%s' exists already", info->name);
    return r;
}

/* @param fresh  the id was never used: where it is, the last id is damaged */
static int store_id(struct ol_metatxn *txn, uint64_t id, const char *name, bool fresh,
                    struct ol_error *err)
{
    struct ol_key key;
    int r;

    ol_id_key(id, &key);
    r = ol_metatxn_put(txn, OL_BUCKET_IDS, ol_key_val(&key), text_val(name), fresh, err);
    return r == -EEXIST
               ? ol_error_set(err, -EUCLEAN, "the last id is damaged: the next one is used")
               : r;
}

/* ---- all records ---- */

int ol_record_each(struct ol_metatxn *txn,
                   int (*fn)(const struct ol_record *record, void *data, struct ol_error *err),
                   void *data, struct ol_error *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    int r = 0;
    int rc = mdb_cursor_open(txn->mdb, ol_metadb_bucket(txn->db, OL_BUCKET_SNAPSHOTS), &cursor);

    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (rc == 0 && r >= 0) {
        struct ol_record record;

        r = ol_record_read(&value, &record);
        if (r < 0)
            r = ol_error_set(err, r, "the record of snapshot '%.*s' is damaged", (int)key.mv_size,
                             (const char *)key.mv_data);
        if (r == 0)
            r = fn(&record, data, err);
        if (r >= 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return ol_metadb_error(txn->db, rc, "read", err);
    return r < 0 ? r : 0;
}

static int check_parent(struct ol_metatxn *txn, const char *parent, int not_committed,
                        struct ol_record *ret, struct ol_error *err)
{
    int r = ol_record_find(txn, parent, ret, err);

    if (r < 0)
        return ol_error_wrap(err, r, "parent");
    if (ret->kind != OL_SNAPSHOT_COMMITTED)
        return ol_error_set(err, not_committed, "parent '%s' is not committed, but %s", parent,
                            ol_snapshot_kind_name(ret->kind));
    return 0;
}

int ol_meta_create(struct ol_metatxn *txn, enum ol_snapshot_kind kind, const char *key,
                   const char *parent, const struct ol_labels *labels, struct ol_meta_snapshot *ret,
                   struct ol_error *err)
{
    static const struct ol_snapshot_usage none;
    ol_auto_snapshot_info struct ol_snapshot_info info = {.kind = kind};
    ol_auto_meta_snapshot struct ol_meta_snapshot made = {.kind = kind};
    struct ol_record above = {0};
    int r = 0;

    if (kind != OL_SNAPSHOT_ACTIVE && kind != OL_SNAPSHOT_VIEW)
        return ol_error_set(err, -EINVAL, "a snapshot is made active or as a view");
    if (parent == NULL)
        parent = "";
    if (parent[0] != '\0')
        r = check_parent(txn, parent, -EINVAL, &above, err);
    if (r < 0)
        return r;
    above.parent = above.name = NULL; /* gone with the next write */
    info.name = strdup(key);
    info.parent = strdup(parent);
    ol_metadb_now(txn->db, &info.created);
    info.updated = info.created;
    if (info.name == NULL || info.parent == NULL || ol_labels_merge(&info.labels, labels) < 0)
        return ol_error_nomem(err);
    r = next_id(txn, &made.id, err);
    if (r == 0)
        r = store(txn, made.id, &info, &none, true, err);
    if (r == 0)
        r = store_id(txn, made.id, key, true, err);
    if (r == 0 && above.id != 0)
        r = add_child(txn, above.id, made.id, key, err);
    if (r == 0)
        r = collect_parents(txn, parent, &made, err);
    if (r < 0)
        return r;
    *ret = made;
    made.parents = NULL;
    return 0;
}

/* The parent a snapshot gets at its commit. */
static int settle_parent(struct ol_metatxn *txn, const char *key, const char *parent,
                         struct ol_snapshot_info *info, uint64_t *ret_id, struct ol_error *err)
{
    struct ol_record above;
    bool rebase = parent != NULL && parent[0] != '\0';
    int r;

    *ret_id = 0;
    if (rebase && info->parent[0] != '\0' && strcmp(info->parent, parent) != 0)
        return ol_error_set(err, -EINVAL, "snapshot '%s' has parent '%s', it cannot get '%s'", key,
                            info->parent, parent);
    if (rebase && info->parent[0] == '\0') {
        char *copy = strdup(parent);

        if (copy == NULL)
            return ol_error_nomem(err);
        free(info->parent);
        info->parent = copy;
    }
    if (info->parent[0] == '\0')
        return 0;
    r = check_parent(txn, info->parent, -EBUSY, &above, err);
    if (r == 0)
        *ret_id = above.id;
    return r;
}

int ol_meta_commit(struct ol_metatxn *txn, const char *key, const char *name,
                   const struct ol_snapshot_usage *usage, const struct ol_labels *labels,
                   const char *parent, struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    struct ol_record record;
    struct ol_key old_key;
    struct ol_key new_key;
    MDB_val value;
    uint64_t id;
    uint64_t parent_id = 0;
    int r = require_used(txn, err);

    if (r == 0)
        r = ol_name_key(name, &new_key, err);
    if (r < 0)
        return r;
    r = ol_metatxn_get(txn, OL_BUCKET_SNAPSHOTS, ol_key_val(&new_key), &value, err);
    if (r == 0)
        return ol_error_set(err, -EEXIST, "snapshot '%s' exists already", name);
    r = r == -ENOENT ? ol_record_find(txn, key, &record, err) : r;
    if (r < 0)
        return r;
    if (record.kind != OL_SNAPSHOT_ACTIVE)
        return ol_error_set(err, -EBUSY, "snapshot '%s' is not active, but %s", key,
                            ol_snapshot_kind_name(record.kind));
    id = record.id;
    info.kind = OL_SNAPSHOT_COMMITTED;
    info.name = strdup(name);
    info.parent = strdup(record.parent);
    ol_metadb_now(txn->db, &info.created);
    info.updated = info.created;
    if (info.name == NULL || info.parent == NULL || ol_labels_merge(&info.labels, labels) < 0)
        return ol_error_nomem(err);
    r = settle_parent(txn, key, parent, &info, &parent_id, err);
    if (r == 0)
        r = ol_name_key(key, &old_key, err);
    if (r == 0)
        r = ol_metatxn_delete(txn, OL_BUCKET_SNAPSHOTS, ol_key_val(&old_key), err);
    if (r == 0)
        r = store(txn, id, &info, usage, true, err);
    if (r == 0)
        r = store_id(txn, id, name, false, err);
    if (r == 0 && parent_id != 0)
        r = add_child(txn, parent_id, id, name, err);
    return r;
}

static int remove_child(struct ol_metatxn *txn, const char *parent, uint64_t id,
                        struct ol_error *err)
{
    struct ol_record above;
    struct ol_key key;
    int r = ol_record_find(txn, parent, &above, err);

    if (r < 0)
        return ol_error_wrap(err, r, "parent");
    ol_child_key(above.id, id, &key);
    return ol_metatxn_delete(txn, OL_BUCKET_CHILDREN, ol_key_val(&key), err);
}

int ol_meta_remove(struct ol_metatxn *txn, const char *key, uint64_t *ret_id, struct ol_error *err)
{
    struct ol_record record;
    struct ol_key name_key;
    struct ol_key id_key;
    uint64_t id;
    int r = require_used(txn, err);

    if (r == 0)
        r = ol_record_find(txn, key, &record, err);
    if (r < 0)
        return r;
    id = record.id;
    r = has_children(txn, id, err);
    if (r > 0)
        return ol_error_set(err, -EBUSY, "cannot remove snapshot '%s': it has children", key);
    if (r == 0) /* before the index is believed */
        r = ol_meta_check_indexes(txn, err);
    if (r == 0 && record.parent[0] != '\0')
        r = remove_child(txn, record.parent, id, err);
    if (r == 0)
        r = ol_name_key(key, &name_key, err);
    ol_id_key(id, &id_key);
    if (r == 0)
        r = ol_metatxn_delete(txn, OL_BUCKET_SNAPSHOTS, ol_key_val(&name_key), err);
    if (r == 0)
        r = ol_metatxn_delete(txn, OL_BUCKET_IDS, ol_key_val(&id_key), err);
    if (r == 0 && ret_id != NULL)
        *ret_id = id;
    return r;
}

/* ---- reading ---- */

int ol_meta_info(struct ol_metatxn *txn, const char *key, uint64_t *ret_id,
                 struct ol_snapshot_info *ret, struct ol_snapshot_usage *ret_usage,
                 struct ol_error *err)
{
    struct ol_record record;
    int r = require_used(txn, err);

    if (r == 0)
        r = ol_record_find(txn, key, &record, err);
    if (r == 0)
        r = ol_record_info(&record, ret, err);
    if (r < 0)
        return r;
    if (ret_id != NULL)
        *ret_id = record.id;
    if (ret_usage != NULL)
        *ret_usage = record.usage;
    return 0;
}

int ol_meta_get(struct ol_metatxn *txn, const char *key, struct ol_meta_snapshot *ret,
                struct ol_error *err)
{
    ol_auto_meta_snapshot struct ol_meta_snapshot found = {0};
    struct ol_record record;
    int r = require_used(txn, err);

    if (r == 0)
        r = ol_record_find(txn, key, &record, err);
    if (r < 0)
        return r;
    if (record.kind == OL_SNAPSHOT_COMMITTED)
        return ol_error_set(err, -EBUSY, "snapshot '%s' is committed, neither active nor a view",
                            key);
    found.id = record.id;
    found.kind = record.kind;
    r = collect_parents(txn, record.parent, &found, err);
    if (r < 0)
        return r;
    *ret = found;
    found.parents = NULL;
    return 0;
}

struct walk {
    ol_meta_walk_fn *fn;
    void *data;
};

static int walk_one(const struct ol_record *record, void *data, struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    const struct walk *walk = data;
    int r = ol_record_info(record, &info, err);

    return r < 0 ? r : walk->fn(record->id, &info, &record->usage, walk->data, err);
}

int ol_meta_walk(struct ol_metatxn *txn, ol_meta_walk_fn *fn, void *data, struct ol_error *err)
{
    struct walk walk = {fn, data};
    int r = require_used(txn, err);

    return r < 0 ? r : ol_record_each(txn, walk_one, &walk, err);
}

int ol_meta_id_used(struct ol_metatxn *txn, uint64_t id, struct ol_error *err)
{
    struct ol_key key;
    MDB_val value;
    int r;

    ol_id_key(id, &key);
    r = ol_metatxn_get(txn, OL_BUCKET_IDS, ol_key_val(&key), &value, err);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : 1;
}

/* ---- labels ---- */

static int check_paths(const char *const *paths, size_t n_paths, struct ol_error *err)
{
    for (size_t i = 0; i < n_paths; i++) {
        if (strcmp(paths[i], "labels") != 0 &&
            (strncmp(paths[i], "labels.", 7) != 0 || paths[i][7] == '\0'))
            return ol_error_set(err, -EINVAL,
                                "field '%s' of a snapshot cannot be changed, only 'labels' and "
                                "'labels.KEY'",
                                paths[i]);
    }
    return 0;
}

static int replace_labels(struct ol_labels *to, const struct ol_labels *from)
{
    ol_labels_fini(to);
    return ol_labels_merge(to, from);
}

int ol_meta_update(struct ol_metatxn *txn, const struct ol_snapshot_info *info,
                   const char *const *paths, size_t n_paths, struct ol_snapshot_info *ret,
                   struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info updated = {0};
    struct ol_snapshot_usage usage;
    uint64_t id;
    int r = ol_meta_info(txn, info->name, &id, &updated, &usage, err);

    if (r == 0)
        r = check_paths(paths, n_paths, err);
    if (r < 0)
        return r;
    if (n_paths == 0)
        r = replace_labels(&updated.labels, &info->labels);
    for (size_t i = 0; i < n_paths && r == 0; i++) {
        const char *key = paths[i][6] == '.' ? paths[i] + 7 : NULL;

        r = key == NULL ? replace_labels(&updated.labels, &info->labels)
                        : ol_labels_set(&updated.labels, key, ol_labels_get(&info->labels, key));
    }
    if (r < 0)
        return ol_error_nomem(err);
    ol_metadb_now(txn->db, &updated.updated);
    r = store(txn, id, &updated, &usage, false, err);
    if (r < 0)
        return r;
    if (ret != NULL) {
        *ret = updated;
        updated = (struct ol_snapshot_info){0};
    }
    return 0;
}
