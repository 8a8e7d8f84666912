/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip (RFC 1952) through ISA-L, which inflates twice as fast as zlib, or through zlib where ISA-L
 * is not there. Both check the CRC and the length of every member.
 */
#include "common/layer/codec.h"

#include "config.h"

#include <errno.h>

#if OL_HAVE_ISAL
#include <isa-l/igzip_lib.h>
#else
#include <zlib.h>
#endif

struct gzip {
#if OL_HAVE_ISAL
    struct inflate_state z;
#else
    z_stream z;
#endif
    bool in_member; /* a member has begun and not ended */
    bool padded;
};

static bool gzip_detect(const uint8_t *head, size_t len)
{
    return len >= 3 && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8;
}

#if OL_HAVE_ISAL
static int inflate_init(struct gzip *g)
{
    (void)g; /* every member starts with inflate_begin() */
    return 0;
}

static void inflate_fini(struct gzip *g)
{
    (void)g; /* the state owns no memory */
}

static void inflate_begin(struct gzip *g)
{
    isal_inflate_init(&g->z);
    g->z.crc_flag = ISAL_GZIP;
}

/* ISA-L reads up to eight bytes ahead into a bit buffer: give back what the member did not use. */
static void inflate_give_back(struct gzip *g, struct ol_codec_io *io)
{
    size_t bytes = (size_t)(g->z.read_in_length > 0 ? g->z.read_in_length : 0) / 8;
    uint64_t bits = g->z.read_in >> (g->z.read_in_length % 8);

    if (bytes > io->in_pos) /* cannot be: source.c keeps room for them before every buffer */
        bytes = io->in_pos;
    io->in_pos -= bytes;
    for (size_t i = 0; i < bytes; i++, bits >>= 8)
        io->in[io->in_pos + i] = (uint8_t)bits;
}

/* 0 more to come, 1 the member is complete, negative: corrupt. */
static int inflate_step(struct gzip *g, struct ol_codec_io *io)
{
    int r;

    g->z.next_in = io->in + io->in_pos;
    g->z.avail_in = (uint32_t)(io->in_len - io->in_pos);
    g->z.next_out = io->out + io->out_pos;
    g->z.avail_out = (uint32_t)(io->out_len - io->out_pos);
    r = isal_inflate(&g->z);
    io->in_pos = io->in_len - g->z.avail_in;
    io->out_pos = io->out_len - g->z.avail_out;
    if (r < 0)
        return -EBADMSG;
    if (g->z.block_state != ISAL_BLOCK_FINISH)
        return 0;
    inflate_give_back(g, io);
    return 1;
}
#else
static int inflate_init(struct gzip *g)
{
    return inflateInit2(&g->z, 15 + 16) == Z_OK ? 0 : -ENOMEM; /* 16: a gzip wrapper */
}

static void inflate_fini(struct gzip *g)
{
    (void)inflateEnd(&g->z); /* only frees */
}

static void inflate_begin(struct gzip *g)
{
    (void)inflateReset(&g->z); /* fails only on a state that was never initialised */
}

static int inflate_step(struct gzip *g, struct ol_codec_io *io)
{
    int r;

    g->z.next_in = io->in + io->in_pos;
    g->z.avail_in = (unsigned)(io->in_len - io->in_pos);
    g->z.next_out = io->out + io->out_pos;
    g->z.avail_out = (unsigned)(io->out_len - io->out_pos);
    r = inflate(&g->z, Z_NO_FLUSH);
    io->in_pos = io->in_len - g->z.avail_in;
    io->out_pos = io->out_len - g->z.avail_out;
    if (r == Z_STREAM_END)
        return 1;
    return r == Z_OK || r == Z_BUF_ERROR ? 0 : -EBADMSG;
}
#endif

static void gzip_close(void *state)
{
    if (state != NULL)
        inflate_fini(state);
    free(state);
}

static int gzip_open(void **ret, struct ol_error *err)
{
    struct gzip *g = calloc(1, sizeof *g);

    if (g == NULL || inflate_init(g) < 0) {
        free(g);
        return ol_error_nomem(err);
    }
    *ret = g;
    return 0;
}

static int gzip_run(void *state, struct ol_codec_io *io, bool *ret_mid, struct ol_error *err)
{
    struct gzip *g = state;

    while (io->out_pos < io->out_len) {
        size_t in_before = io->in_pos;
        size_t out_before = io->out_pos;
        int r;

        if (!g->in_member) {
            r = ol_codec_skip_padding(io, &g->padded, "gzip", err);
            if (r <= 0) {
                *ret_mid = false;
                return r;
            }
            if (io->in[io->in_pos] != 0x1f)
                return ol_error_set(err, -EBADMSG, "garbage after the gzip data");
            inflate_begin(g);
            g->in_member = true;
        }
        r = inflate_step(g, io);
        if (r < 0)
            return ol_error_set(err, r, "corrupt gzip data");
        if (r == 1)
            g->in_member = false;
        else if (io->in_pos == in_before && io->out_pos == out_before)
            break; /* wants more input */
    }
    *ret_mid = g->in_member;
    return 0;
}

const struct ol_codec_ops ol_codec_gzip = {
    .name = "gzip",
    .detect = gzip_detect,
    .open = gzip_open,
    .run = gzip_run,
    .close = gzip_close,
};
