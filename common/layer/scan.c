/* SPDX-License-Identifier: Apache-2.0 */
/* ol_layer_scan() and ol_layer_decompress(): reading without applying. */
#include "common/layer/layer.h"
#include "common/layer/reader.h"
#include "common/layer/stream.h"
#include "common/pool.h"

#include <errno.h>

static void count(struct ol_layer_result *res, const struct ol_entry *e)
{
    const char *base = strrchr(e->path, '/');
    enum ol_wh_kind kind = ol_whiteout_parse(base != NULL ? base + 1 : e->path, NULL);

    res->entries++;
    res->header_size_sum += e->size;
    if (kind != OL_WH_NONE) {
        res->whiteouts += kind == OL_WH_FILE;
        res->opaques += kind == OL_WH_OPQ;
        return;
    }
    res->regular += e->type == OL_ENTRY_FILE;
    res->directories += e->type == OL_ENTRY_DIRECTORY;
    res->hardlinks += e->type == OL_ENTRY_HARDLINK;
    res->specials += e->type != OL_ENTRY_FILE && e->type != OL_ENTRY_DIRECTORY &&
                     e->type != OL_ENTRY_HARDLINK;
}

static int scan_entries(struct ol_reader *reader, ol_entry_fn *fn, void *data,
                        struct ol_layer_result *res, struct ol_error *err)
{
    struct ol_reader_entry e;
    int r;

    while ((r = ol_reader_next(reader, &e, err)) == 1) {
        count(res, &e.header);
        r = fn != NULL ? fn(&e.header, data, err) : 0;
        if (r < 0)
            return r;
    }
    return r == 0 ? ol_reader_drain(reader, err) : r;
}

static unsigned scan_flags(enum ol_scan_digest digest)
{
    switch (digest) {
    case OL_SCAN_NO_DIGEST:
        return OL_STREAM_SEEK;
    case OL_SCAN_DIGEST:
        return OL_STREAM_DIGEST;
    case OL_SCAN_DIGEST_IF_READ:
        break;
    }
    return OL_STREAM_DIGEST | OL_STREAM_SEEK;
}

int ol_layer_scan_digest(const struct ol_input *input, enum ol_scan_digest digest,
                         const struct ol_layer_limits *limits, ol_entry_fn *fn, void *data,
                         struct ol_layer_result *ret, struct ol_error *err)
{
    const struct ol_layer_limits defaults = OL_LAYER_LIMITS_DEFAULT;
    struct ol_layer_result res = {.diff_id = ""};
    struct ol_reader *reader = NULL;
    struct ol_stream *stream = NULL;
    int r;

    limits = limits != NULL ? limits : &defaults;
    r = ol_stream_open(input, limits, scan_flags(digest), ol_pool_threads(0), &stream, err);
    if (r == 0)
        r = ol_reader_open(&(struct ol_reader_config){.stream = stream, .limits = limits}, &reader,
                           err);
    if (r == 0)
        r = scan_entries(reader, fn, data, &res, err);
    if (r == 0) {
        ol_stream_result(stream, res.diff_id, &res.stream_bytes);
        if (ret != NULL)
            *ret = res;
    }
    ol_reader_close(reader);
    ol_stream_close(stream);
    return r;
}

int ol_layer_scan(const struct ol_input *input, const struct ol_layer_limits *limits,
                  ol_entry_fn *fn, void *data, struct ol_layer_result *ret, struct ol_error *err)
{
    return ol_layer_scan_digest(input, OL_SCAN_DIGEST_IF_READ, limits, fn, data, ret, err);
}

static int copy_blocks(struct ol_stream *stream, int out_fd, struct ol_error *err)
{
    struct ol_block *block;
    int r;

    while ((r = ol_stream_next(stream, &block, err)) == 0 && block != NULL) {
        if (out_fd >= 0)
            r = ol_io_write(out_fd, block->data, block->len);
        ol_block_unref(block);
        if (r < 0)
            return ol_error_sys(err, -r, "cannot write the uncompressed layer");
    }
    return r;
}

int ol_layer_decompress(const struct ol_input *input, int out_fd,
                        const struct ol_layer_limits *limits, char *ret_diff_id,
                        struct ol_error *err)
{
    const struct ol_layer_limits defaults = OL_LAYER_LIMITS_DEFAULT;
    struct ol_stream *stream = NULL;
    char diff_id[OL_DIGEST_SIZE];
    uint64_t bytes;
    int r;

    r = ol_stream_open(input, limits != NULL ? limits : &defaults,
                       ret_diff_id != NULL ? OL_STREAM_DIGEST : 0, ol_pool_threads(0), &stream,
                       err);
    if (r == 0 && out_fd >= 0)
        ol_io_enlarge_pipe(out_fd);
    if (r == 0)
        r = copy_blocks(stream, out_fd, err);
    if (r == 0 && ret_diff_id != NULL) {
        ol_stream_result(stream, diff_id, &bytes);
        memcpy(ret_diff_id, diff_id, sizeof diff_id);
    }
    ol_stream_close(stream);
    return r;
}
