/* SPDX-License-Identifier: Apache-2.0 */
/* The checker of the metadata store: every bucket held against the others. */
#include "common/metadb/internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

struct check {
    struct ol_metatxn *txn;
    void (*problem)(const char *text, void *data);
    void *data;
    uint64_t last; /* highest id handed out */
    size_t n_snapshots, n_children;
    int findings;
};

__attribute__((format(printf, 2, 3))) static void found(struct check *c, const char *fmt, ...)
{
    ol_auto_free char *text = NULL;
    va_list ap;
    int len;

    c->findings++;
    if (c->problem == NULL)
        return;
    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0)
        text = NULL;
    c->problem(text != NULL ? text : "a finding there is no memory for", c->data);
}

static bool same_text(const MDB_val *value, const char *text)
{
    return value->mv_size == strlen(text) && memcmp(value->mv_data, text, value->mv_size) == 0;
}

/* An index entry must be there and hold this name. */
static int check_entry(struct check *c, enum ol_bucket bucket, struct ol_key *key, const char *name,
                       const char *what, struct ol_error *err)
{
    MDB_val value;
    int r = ol_metatxn_get(c->txn, bucket, ol_key_val(key), &value, err);

    if (r == -ENOENT)
        found(c, "snapshot '%s' is missing in the index of %s", name, what);
    else if (r == 0 && !same_text(&value, name))
        found(c, "snapshot '%s' has another name in the index of %s", name, what);
    return r == -ENOENT ? 0 : r;
}

static int check_parent(struct check *c, const struct ol_record *record, struct ol_error *err)
{
    struct ol_record above = {.parent = record->parent};
    struct ol_key key;
    uint64_t steps = 0;
    int r = ol_record_find(c->txn, record->parent, &above, NULL);

    if (r == -ENOENT) {
        found(c, "snapshot '%s' has a parent '%s' that does not exist", record->name,
              record->parent);
        return 0;
    }
    if (r < 0)
        return r == -EUCLEAN ? 0 : r; /* found when the walk comes to it */
    if (above.kind != OL_SNAPSHOT_COMMITTED)
        found(c, "snapshot '%s' has a parent '%s' that is not committed", record->name,
              record->parent);
    c->n_children++;
    ol_child_key(above.id, record->id, &key);
    r = check_entry(c, OL_BUCKET_CHILDREN, &key, record->name, "children", err);
    while (r == 0 && above.parent[0] != '\0') {
        if (++steps > c->last) {
            found(c, "snapshot '%s' is its own ancestor", record->name);
            break;
        }
        if (ol_record_find(c->txn, above.parent, &above, NULL) < 0)
            break; /* a finding of that one's child */
    }
    return r;
}

static int check_record(struct check *c, const MDB_val *key, const MDB_val *value,
                        struct ol_error *err)
{
    struct ol_record record;
    struct ol_key want;
    int r;

    c->n_snapshots++;
    if (ol_record_read(value, &record) < 0) {
        found(c, "the record of snapshot '%.*s' is damaged", (int)key->mv_size,
              (const char *)key->mv_data);
        return 0;
    }
    r = ol_name_key(record.name, &want, err);
    if (r < 0)
        return r;
    if (want.len != key->mv_size || memcmp(want.bytes, key->mv_data, want.len) != 0)
        found(c, "snapshot '%s' is filed under another name", record.name);
    if (record.id > c->last)
        found(c, "snapshot '%s' has id %" PRIu64 ", the last one given out is %" PRIu64,
              record.name, record.id, c->last);
    ol_id_key(record.id, &want);
    r = check_entry(c, OL_BUCKET_IDS, &want, record.name, "ids", err);
    if (r == 0 && record.parent[0] != '\0')
        r = check_parent(c, &record, err);
    return r;
}

static int check_records(struct check *c, struct ol_error *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    int r = 0;
    int rc = mdb_cursor_open(c->txn->mdb, ol_metadb_bucket(c->txn->db, OL_BUCKET_SNAPSHOTS),
                             &cursor);

    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (rc == 0 && r == 0) {
        r = check_record(c, &key, &value, err);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (cursor != NULL)
        mdb_cursor_close(cursor);
    if (r == 0 && rc != 0 && rc != MDB_NOTFOUND)
        r = ol_metadb_error(c->txn->db, rc, "read", err);
    return r;
}

/* With each wanted entry there, equal numbers mean that there are no others. */
static int check_count(struct check *c, enum ol_bucket bucket, size_t want, const char *what,
                       struct ol_error *err)
{
    MDB_stat stat;
    int rc = mdb_stat(c->txn->mdb, ol_metadb_bucket(c->txn->db, bucket), &stat);

    if (rc != 0)
        return ol_metadb_error(c->txn->db, rc, "read", err);
    if (stat.ms_entries != want)
        found(c, "the index of %s has %zu entries, %zu belong there", what, stat.ms_entries, want);
    return 0;
}

int ol_meta_check(struct ol_metatxn *txn, void (*problem)(const char *text, void *data), void *data,
                  struct ol_error *err)
{
    struct check c = {.txn = txn, .problem = problem, .data = data};
    int r = ol_meta_sequence(txn, &c.last, NULL);

    if (r == -EUCLEAN)
        found(&c, "the last id is damaged");
    else if (r < 0 && r != -ENOENT)
        return ol_meta_sequence(txn, &c.last, err);
    r = check_records(&c, err);
    if (r == 0)
        r = check_count(&c, OL_BUCKET_IDS, c.n_snapshots, "ids", err);
    if (r == 0)
        r = check_count(&c, OL_BUCKET_CHILDREN, c.n_children, "children", err);
    return r < 0 ? r : c.findings;
}

static int require_entry(struct ol_metatxn *txn, enum ol_bucket bucket, struct ol_key *key,
                         const char *name, const char *what, struct ol_error *err)
{
    MDB_val value;
    int r = ol_metatxn_get(txn, bucket, ol_key_val(key), &value, err);

    if (r == -ENOENT || (r == 0 && !same_text(&value, name)))
        return ol_error_set(err, -EUCLEAN, "snapshot '%s' is missing in the index of %s", name,
                            what);
    return r;
}

static int require_indexed(const struct ol_record *record, void *data, struct ol_error *err)
{
    struct ol_metatxn *txn = data;
    struct ol_record above;
    struct ol_key key;
    int r;

    ol_id_key(record->id, &key);
    r = require_entry(txn, OL_BUCKET_IDS, &key, record->name, "ids", err);
    if (r < 0 || record->parent[0] == '\0')
        return r;
    r = ol_record_find(txn, record->parent, &above, err);
    if (r < 0)
        return ol_error_wrap(err, -EUCLEAN, "the parent of '%s'", record->name);
    ol_child_key(above.id, record->id, &key);
    return require_entry(txn, OL_BUCKET_CHILDREN, &key, record->name, "children", err);
}

int ol_meta_check_indexes(struct ol_metatxn *txn, struct ol_error *err)
{
    bool *trusted = ol_metadb_trusted(txn->db);
    int r = *trusted ? 0 : ol_record_each(txn, require_indexed, txn, err);

    *trusted = r == 0;
    return r;
}
