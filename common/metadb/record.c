/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of records and keys (docs/formats/snapshot.md). All numbers are little-endian but those
 * in keys, whose byte order is their order. A record carries a checksum: LMDB has none.
 */
#include "common/metadb/internal.h"

#include "common/cleanup.h"
#include "common/digest.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <zlib.h>

enum {
    RECORD_VERSION = 1,
    AT_VERSION = 0,
    AT_KIND = 1,
    AT_CHECKSUM = 4, /* CRC-32 of everything behind it */
    AT_ID = 8,
    AT_CREATED = 16, /* seconds since 1970, then nanoseconds */
    AT_CREATED_NS = 24,
    AT_LABELS = 28, /* how many */
    AT_UPDATED = 32,
    AT_UPDATED_NS = 40,
    AT_INODES = 48,
    AT_SIZE = 56,
    HEADER_SIZE = 64, /* name, NUL, parent, NUL, then key, NUL, value, NUL of each label */

    /* A name longer than PLAIN_MAX: its first LONG_PREFIX bytes and 64 hex digits of its digest. */
    LONG_PREFIX = OL_META_KEY_MAX - 64,
    PLAIN_MAX = LONG_PREFIX - 1,
};

static void put32(unsigned char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static void put64(unsigned char *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint32_t get32(const unsigned char *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const unsigned char *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

/* ---- keys ---- */

int ol_name_key(const char *name, struct ol_key *ret, struct ol_error *err)
{
    char digest[OL_DIGEST_SIZE];
    size_t len = strlen(name);
    int r;

    if (len == 0)
        return ol_error_set(err, -ENOKEY, "a snapshot's name cannot be empty");
    if (len > OL_META_NAME_MAX)
        return ol_error_set(err, -ENAMETOOLONG,
                            "a snapshot's name of %zu bytes is longer than %d: '%.40s…'", len,
                            (int)OL_META_NAME_MAX, name);
    ret->len = len;
    memcpy(ret->bytes, name, len < OL_META_KEY_MAX ? len : OL_META_KEY_MAX);
    if (len <= PLAIN_MAX)
        return 0;
    r = ol_digest_of(name, len, digest, err);
    if (r < 0)
        return r;
    memcpy(ret->bytes + LONG_PREFIX, ol_digest_hex(digest), 64);
    ret->len = OL_META_KEY_MAX;
    return 0;
}

static void put_big(unsigned char *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
}

static uint64_t get_big(const void *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

void ol_id_key(uint64_t id, struct ol_key *ret)
{
    put_big(ret->bytes, id);
    ret->len = 8;
}

void ol_child_key(uint64_t parent, uint64_t child, struct ol_key *ret)
{
    put_big(ret->bytes, parent);
    put_big(ret->bytes + 8, child);
    ret->len = 16;
}

bool ol_id_parse(const MDB_val *key, uint64_t *ret)
{
    if (key->mv_size != 8)
        return false;
    *ret = get_big(key->mv_data);
    return true;
}

bool ol_child_parse(const MDB_val *key, uint64_t *ret_parent, uint64_t *ret_child)
{
    if (key->mv_size != 16)
        return false;
    *ret_parent = get_big(key->mv_data);
    *ret_child = get_big((const unsigned char *)key->mv_data + 8);
    return true;
}

/* ---- records ---- */

static uint32_t checksum(const unsigned char *record, size_t size)
{
    return (uint32_t)crc32(0, record + AT_ID, (uInt)(size - AT_ID));
}

/* The next text of a record; NULL when it does not end in it. */
static const char *next_text(const char **at, const char *end)
{
    const char *text = *at;
    const char *nul = memchr(text, '\0', (size_t)(end - text));

    if (nul == NULL)
        return NULL;
    *at = nul + 1;
    return text;
}

static int read_texts(const MDB_val *value, struct ol_record *ret)
{
    const char *at = (const char *)value->mv_data + HEADER_SIZE;
    const char *end = (const char *)value->mv_data + value->mv_size;

    ret->name = next_text(&at, end);
    ret->parent = ret->name != NULL ? next_text(&at, end) : NULL;
    if (ret->parent == NULL || ret->name[0] == '\0')
        return -EUCLEAN;
    ret->labels = at;
    for (size_t i = 0; i < 2 * ret->n_labels; i++) {
        const char *text = next_text(&at, end);

        if (text == NULL || text[0] == '\0')
            return -EUCLEAN;
    }
    return at == end ? 0 : -EUCLEAN;
}

int ol_record_read(const MDB_val *value, struct ol_record *ret)
{
    const unsigned char *bytes = value->mv_data;

    if (value->mv_size < HEADER_SIZE || value->mv_size > OL_META_RECORD_MAX ||
        bytes[AT_VERSION] != RECORD_VERSION ||
        get32(bytes + AT_CHECKSUM) != checksum(bytes, value->mv_size))
        return -EUCLEAN;
    *ret = (struct ol_record){
        .id = get64(bytes + AT_ID),
        .kind = bytes[AT_KIND],
        .created = {(time_t)get64(bytes + AT_CREATED), get32(bytes + AT_CREATED_NS)},
        .updated = {(time_t)get64(bytes + AT_UPDATED), get32(bytes + AT_UPDATED_NS)},
        .usage = {(int64_t)get64(bytes + AT_INODES), (int64_t)get64(bytes + AT_SIZE)},
        .n_labels = get32(bytes + AT_LABELS),
    };
    if (ret->id == 0 || ret->kind < OL_SNAPSHOT_VIEW || ret->kind > OL_SNAPSHOT_COMMITTED)
        return -EUCLEAN;
    return read_texts(value, ret);
}

static int put_text(struct ol_buf *buf, const char *text)
{
    return ol_buf_append(buf, text, strlen(text) + 1);
}

int ol_record_write(uint64_t id, const struct ol_snapshot_info *info,
                    const struct ol_snapshot_usage *usage, struct ol_buf *ret, struct ol_error *err)
{
    unsigned char header[HEADER_SIZE] = {[AT_VERSION] = RECORD_VERSION};
    int r;

    header[AT_KIND] = (unsigned char)info->kind;
    put64(header + AT_ID, id);
    put64(header + AT_CREATED, (uint64_t)info->created.tv_sec);
    put32(header + AT_CREATED_NS, (uint32_t)info->created.tv_nsec);
    put32(header + AT_LABELS, (uint32_t)info->labels.count);
    put64(header + AT_UPDATED, (uint64_t)info->updated.tv_sec);
    put32(header + AT_UPDATED_NS, (uint32_t)info->updated.tv_nsec);
    put64(header + AT_INODES, (uint64_t)usage->inodes);
    put64(header + AT_SIZE, (uint64_t)usage->size_bytes);
    r = ol_buf_append(ret, header, sizeof header);
    if (r == 0)
        r = put_text(ret, info->name);
    if (r == 0)
        r = put_text(ret, info->parent != NULL ? info->parent : "");
    for (size_t i = 0; i < info->labels.count && r == 0; i++) {
        r = put_text(ret, info->labels.items[i].key);
        if (r == 0)
            r = put_text(ret, info->labels.items[i].value);
        if (r == 0 && ret->len > OL_META_RECORD_MAX)
            return ol_error_set(err, -E2BIG, "the labels of snapshot '%s' take more than %d bytes",
                                info->name, (int)OL_META_RECORD_MAX);
    }
    if (r < 0)
        return ol_error_nomem(err);
    put32((unsigned char *)ret->data + AT_CHECKSUM,
          checksum((const unsigned char *)ret->data, ret->len));
    return 0;
}

int ol_record_info(const struct ol_record *record, struct ol_snapshot_info *ret,
                   struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = {
        .kind = record->kind,
        .created = record->created,
        .updated = record->updated,
    };
    const char *at = record->labels;

    info.name = strdup(record->name);
    info.parent = strdup(record->parent);
    if (info.name == NULL || info.parent == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < record->n_labels; i++) {
        const char *key = at;
        const char *value = key + strlen(key) + 1;

        at = value + strlen(value) + 1;
        if (ol_labels_set(&info.labels, key, value) < 0)
            return ol_error_nomem(err);
    }
    *ret = info;
    info = (struct ol_snapshot_info){0};
    return 0;
}

int ol_record_find(struct ol_metatxn *txn, const char *name, struct ol_record *ret,
                   struct ol_error *err)
{
    struct ol_key key;
    MDB_val value;
    int r = name[0] != '\0' ? ol_name_key(name, &key, err) : -ENOENT;

    if (r == -ENAMETOOLONG) /* there cannot be one */
        return ol_error_set(err, -ENOENT, "snapshot '%.40s…' does not exist", name);
    if (r == 0)
        r = ol_metatxn_get(txn, OL_BUCKET_SNAPSHOTS, ol_key_val(&key), &value, err);
    if (r == -ENOENT)
        return ol_error_set(err, -ENOENT, "snapshot '%s' does not exist", name);
    if (r < 0)
        return r;
    if (ol_record_read(&value, ret) < 0 || strcmp(ret->name, name) != 0)
        return ol_error_set(err, -EUCLEAN, "the record of snapshot '%s' is damaged", name);
    return 0;
}
