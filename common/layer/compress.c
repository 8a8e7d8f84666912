/* SPDX-License-Identifier: Apache-2.0 */
/* gzip through zlib and not ISA-L, whose bytes differ from one processor to the next; zstd. */
#define ZLIB_CONST /* next_in points to const */
#include "common/layer/compress.h"

#include "common/limits.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    GZIP_WINDOW = 15 + 16, /* the largest window, and a gzip header around it (zlib.h) */
    GZIP_MEMORY = 8,       /* zlib's default */
    GZIP_LEVEL = 6,
    ZSTD_LEVEL = 3,
    COMPRESS_OUT = 64 << 10, /* bytes handed on at a time */
};

struct ol_compress {
    enum ol_compression kind;
    ol_sink_fn *sink;
    void *data; /* the sink's */
    z_stream gzip;
    ZSTD_CStream *zstd; /* owned */
    uint8_t *out;       /* owned */
};

static int open_gzip(struct ol_compress *c, int level, struct ol_error *err)
{
    int code = deflateInit2(&c->gzip, level != 0 ? level : GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW,
                            GZIP_MEMORY, Z_DEFAULT_STRATEGY);

    if (code == Z_OK)
        return 0;
    c->kind = OL_COMPRESS_NONE; /* nothing to release */
    return code == Z_MEM_ERROR ? ol_error_nomem(err)
                               : ol_error_set(err, -EINVAL, "no gzip level %d", level);
}

static int open_zstd(struct ol_compress *c, int level, struct ol_error *err)
{
    c->zstd = ZSTD_createCStream();
    if (c->zstd == NULL || ZSTD_isError(ZSTD_initCStream(c->zstd, level != 0 ? level : ZSTD_LEVEL)))
        return ol_error_nomem(err);
    return 0;
}

void ol_compress_free(struct ol_compress *c)
{
    if (c == NULL)
        return;
    if (c->kind == OL_COMPRESS_GZIP)
        (void)deflateEnd(&c->gzip);  /* says whether data was dropped: an error was told before */
    (void)ZSTD_freeCStream(c->zstd); /* cannot fail; accepts NULL */
    free(c->out);
    free(c);
}

int ol_compress_new(enum ol_compression kind, int level, ol_sink_fn *sink, void *data,
                    struct ol_compress **ret, struct ol_error *err)
{
    struct ol_compress *c = calloc(1, sizeof *c);
    int r = 0;

    if (c == NULL)
        return ol_error_nomem(err);
    c->kind = kind;
    c->sink = sink;
    c->data = data;
    if (kind == OL_COMPRESS_GZIP)
        r = open_gzip(c, level, err);
    else if (kind == OL_COMPRESS_ZSTD)
        r = open_zstd(c, level, err);
    if (r == 0 && kind != OL_COMPRESS_NONE) {
        c->out = malloc(COMPRESS_OUT);
        r = c->out == NULL ? ol_error_nomem(err) : 0;
    }
    if (r < 0) {
        ol_compress_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

/* Deflate until the input is used up, or with Z_FINISH to the end. */
static int run_gzip(struct ol_compress *c, const void *bytes, uInt len, int flush,
                    struct ol_error *err)
{
    int r = 0;

    c->gzip.next_in = bytes;
    c->gzip.avail_in = len;
    do {
        c->gzip.next_out = c->out;
        c->gzip.avail_out = COMPRESS_OUT;
        (void)deflate(&c->gzip, flush); /* with room in out and a whole state it cannot fail */
        if (c->gzip.avail_out < COMPRESS_OUT)
            r = c->sink(c->data, c->out, COMPRESS_OUT - c->gzip.avail_out, err);
    } while (r == 0 && c->gzip.avail_out == 0);
    return r;
}

static int run_zstd(struct ol_compress *c, const void *bytes, size_t len, ZSTD_EndDirective end,
                    struct ol_error *err)
{
    ZSTD_inBuffer in = {bytes, len, 0};
    size_t left;
    int r = 0;

    do {
        ZSTD_outBuffer out = {c->out, COMPRESS_OUT, 0};
        left = ZSTD_compressStream2(c->zstd, &out, &in, end);
        if (ZSTD_isError(left))
            return ol_error_set(err, -EIO, "cannot compress: %s", ZSTD_getErrorName(left));
        if (out.pos > 0)
            r = c->sink(c->data, c->out, out.pos, err);
    } while (r == 0 && (end == ZSTD_e_end ? left > 0 : in.pos < in.size));
    return r;
}

int ol_compress_write(void *compress, const void *bytes, size_t len, struct ol_error *err)
{
    struct ol_compress *c = compress;
    const uint8_t *at = bytes;

    if (c->kind == OL_COMPRESS_NONE)
        return c->sink(c->data, bytes, len, err);
    while (len > 0) {
        size_t n = len < OL_IO_BLOCK ? len : OL_IO_BLOCK; /* zlib counts in an unsigned int */
        int r = c->kind == OL_COMPRESS_GZIP ? run_gzip(c, at, (uInt)n, Z_NO_FLUSH, err)
                                            : run_zstd(c, at, n, ZSTD_e_continue, err);
        if (r < 0)
            return r;
        at += n;
        len -= n;
    }
    return 0;
}

int ol_compress_finish(struct ol_compress *c, struct ol_error *err)
{
    if (c->kind == OL_COMPRESS_GZIP)
        return run_gzip(c, NULL, 0, Z_FINISH, err);
    return c->kind == OL_COMPRESS_ZSTD ? run_zstd(c, NULL, 0, ZSTD_e_end, err) : 0;
}
