/* SPDX-License-Identifier: Apache-2.0 */
/* bzip2 through libbz2. */
#include "common/layer/codec.h"

#include <bzlib.h>
#include <errno.h>

struct bzip2 {
    bz_stream stream;
    bool in_member;
    bool padded;
};

/*
 * "BZh1" to "BZh9" could begin a file name, and with it a plain tar: the block or end-of-stream
 * magic (digits of pi, or of its square root) must follow.
 */
static bool bzip2_detect(const uint8_t *head, size_t len)
{
    if (len < 10 || memcmp(head, "BZh", 3) != 0 || head[3] < '1' || head[3] > '9')
        return false;
    return memcmp(head + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
           memcmp(head + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0;
}

static void bzip2_close(void *state)
{
    struct bzip2 *b = state;

    if (b == NULL)
        return;
    if (b->in_member)
        (void)BZ2_bzDecompressEnd(&b->stream); /* only frees */
    free(b);
}

static int bzip2_open(void **ret, struct ol_error *err)
{
    struct bzip2 *b = calloc(1, sizeof *b);

    if (b == NULL)
        return ol_error_nomem(err);
    *ret = b;
    return 0;
}

static int bzip2_begin(struct bzip2 *b, struct ol_error *err)
{
    memset(&b->stream, 0, sizeof b->stream);
    if (BZ2_bzDecompressInit(&b->stream, 0, 0) != BZ_OK)
        return ol_error_nomem(err);
    b->in_member = true;
    return 0;
}

/* 0 more to come, 1 the member is complete. */
static int bzip2_step(struct bzip2 *b, struct ol_codec_io *io, struct ol_error *err)
{
    int code;

    b->stream.next_in = (char *)io->in + io->in_pos;
    b->stream.avail_in = (unsigned)(io->in_len - io->in_pos);
    b->stream.next_out = (char *)io->out + io->out_pos;
    b->stream.avail_out = (unsigned)(io->out_len - io->out_pos);
    code = BZ2_bzDecompress(&b->stream);
    io->in_pos = io->in_len - b->stream.avail_in;
    io->out_pos = io->out_len - b->stream.avail_out;
    if (code == BZ_OK)
        return 0;
    if (code == BZ_MEM_ERROR)
        return ol_error_nomem(err);
    if (code != BZ_STREAM_END)
        return ol_error_set(err, -EBADMSG, "corrupt bzip2 data");
    (void)BZ2_bzDecompressEnd(&b->stream); /* only frees */
    b->in_member = false;
    return 1;
}

static int bzip2_run(void *state, struct ol_codec_io *io, bool *ret_mid, struct ol_error *err)
{
    struct bzip2 *b = state;

    while (io->out_pos < io->out_len) {
        size_t in_before = io->in_pos;
        size_t out_before = io->out_pos;
        int r;

        if (!b->in_member) {
            r = ol_codec_skip_padding(io, &b->padded, "bzip2", err);
            if (r <= 0) {
                *ret_mid = false;
                return r;
            }
            r = bzip2_begin(b, err);
            if (r < 0)
                return r;
        }
        r = bzip2_step(b, io, err);
        if (r < 0)
            return r;
        if (r == 0 && io->in_pos == in_before && io->out_pos == out_before)
            break; /* wants more input */
    }
    *ret_mid = b->in_member;
    return 0;
}

const struct ol_codec_ops ol_codec_bzip2 = {
    .name = "bzip2",
    .detect = bzip2_detect,
    .open = bzip2_open,
    .run = bzip2_run,
    .close = bzip2_close,
};
