/* SPDX-License-Identifier: Apache-2.0 */
/* A layer's entries one by one; see entries.h. */
#include "common/layer/entries.h"

#include "common/layer/sys.h"
#include "common/pool.h"

#include <string.h>

static int each(struct ol_reader *reader, ol_entries_fn *fn, void *data, struct ol_error *err)
{
    struct ol_reader_entry e;
    int r;

    while ((r = ol_reader_next(reader, &e, err)) == 1) {
        r = fn(&e, reader, data, err);
        if (r < 0)
            return r;
    }
    return r == 0 ? ol_reader_drain(reader, err) : r;
}

int ol_layer_entries(const struct ol_input *input, ol_entries_fn *fn, void *data,
                     struct ol_error *err)
{
    const struct ol_layer_limits limits = OL_LAYER_LIMITS_DEFAULT;
    struct ol_reader *reader = NULL;
    struct ol_stream *stream = NULL;
    int r = ol_stream_open(input, &limits, 0, ol_pool_threads(0), &stream, err);

    if (r == 0)
        r = ol_reader_open(&(struct ol_reader_config){.stream = stream, .limits = &limits}, &reader,
                           err);
    if (r == 0)
        r = each(reader, fn, data, err);
    ol_reader_close(reader);
    ol_stream_close(stream);
    return r;
}

static void hash_zeros(struct ol_hash *hash, uint64_t len)
{
    static const char zeros[4096];

    for (; len > 0; len -= len < sizeof zeros ? len : sizeof zeros)
        ol_hash_update(hash, zeros, len < sizeof zeros ? (size_t)len : sizeof zeros);
}

int ol_entry_digest(const struct ol_reader_entry *entry, struct ol_reader *reader,
                    char ret[static OL_DIGEST_SIZE], struct ol_error *err)
{
    struct ol_reader_piece piece;
    struct ol_hash *hash = NULL;
    uint64_t at = 0;
    bool in_order = true;
    int r = ol_hash_new(&hash, err);

    if (r < 0)
        return r;
    while ((r = ol_reader_data(reader, &piece, err)) == 1) {
        in_order = in_order && piece.offset >= at;
        if (!in_order)
            continue;
        hash_zeros(hash, piece.offset - at);
        ol_hash_update(hash, piece.data, piece.len);
        at = piece.offset + piece.len;
    }
    if (r == 0 && at < entry->header.size)
        hash_zeros(hash, entry->header.size - at);
    if (r == 0)
        ol_hash_final(hash, ret);
    if (r == 0 && !in_order)
        ret[0] = '\0';
    ol_hash_free(hash);
    return r;
}

int ol_entry_write(const struct ol_reader_entry *entry, struct ol_reader *reader, int fd,
                   struct ol_error *err)
{
    struct ol_reader_piece piece;
    int r;

    while ((r = ol_reader_data(reader, &piece, err)) == 1) {
        r = ol_sys_pwrite(fd, piece.data, piece.len, piece.offset);
        if (r < 0)
            return ol_error_sys(err, -r, "cannot write '%s'", entry->header.path);
    }
    if (r < 0)
        return r;
    r = ol_sys_truncate(fd, entry->header.size);
    return r < 0 ? ol_error_sys(err, -r, "cannot set the size of '%s'", entry->header.path) : 0;
}
