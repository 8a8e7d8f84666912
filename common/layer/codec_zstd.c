/* SPDX-License-Identifier: Apache-2.0 */
/* Zstandard (RFC 8878) through libzstd: any number of frames, skippable ones included. */
#include "common/layer/codec.h"

#include <errno.h>
#include <zstd.h>

struct zstd {
    ZSTD_DStream *stream;
    bool in_frame; /* libzstd wants more of the frame that has begun */
    bool padded;
};

/* A frame, or a skippable frame as zstd:chunked and pzstd write it first (magic 0x184D2A5?). */
static bool zstd_detect(const uint8_t *head, size_t len)
{
    if (len < 4)
        return false;
    if (head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd)
        return true;
    return (head[0] & 0xf0) == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18;
}

static void zstd_close(void *state)
{
    struct zstd *z = state;

    if (z == NULL)
        return;
    (void)ZSTD_freeDStream(z->stream); /* accepts NULL, always succeeds */
    free(z);
}

static int zstd_open(void **ret, struct ol_error *err)
{
    struct zstd *z = calloc(1, sizeof *z);

    if (z != NULL)
        z->stream = ZSTD_createDStream();
    if (z == NULL || z->stream == NULL ||
        ZSTD_isError(
            ZSTD_DCtx_setParameter(z->stream, ZSTD_d_windowLogMax, OL_CODEC_ZSTD_WINDOW_LOG))) {
        zstd_close(z);
        return ol_error_nomem(err);
    }
    *ret = z;
    return 0;
}

static int zstd_step(struct zstd *z, struct ol_codec_io *io, struct ol_error *err)
{
    ZSTD_inBuffer in = {io->in, io->in_len, io->in_pos};
    ZSTD_outBuffer out = {io->out, io->out_len, io->out_pos};
    size_t r = ZSTD_decompressStream(z->stream, &out, &in);

    if (ZSTD_isError(r))
        return ol_error_set(err, -EBADMSG, "corrupt zstd data: %s", ZSTD_getErrorName(r));
    io->in_pos = in.pos;
    io->out_pos = out.pos;
    z->in_frame = r != 0;
    return 0;
}

static int zstd_run(void *state, struct ol_codec_io *io, bool *ret_mid, struct ol_error *err)
{
    struct zstd *z = state;

    while (io->out_pos < io->out_len) {
        size_t in_before = io->in_pos;
        size_t out_before = io->out_pos;
        int r;

        if (!z->in_frame) {
            r = ol_codec_skip_padding(io, &z->padded, "zstd", err);
            if (r <= 0) {
                *ret_mid = false;
                return r;
            }
        }
        r = zstd_step(z, io, err);
        if (r < 0)
            return r;
        if (io->in_pos == in_before && io->out_pos == out_before)
            break; /* wants more input */
    }
    *ret_mid = z->in_frame;
    return 0;
}

const struct ol_codec_ops ol_codec_zstd = {
    .name = "zstd",
    .detect = zstd_detect,
    .open = zstd_open,
    .run = zstd_run,
    .close = zstd_close,
};
