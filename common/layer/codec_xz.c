/* SPDX-License-Identifier: Apache-2.0 */
/* xz through liblzma, which itself handles several streams and the padding between them. */
#include "common/layer/codec.h"

#include <errno.h>
#include <lzma.h>

struct xz {
    lzma_stream stream;
    bool ended; /* LZMA_STREAM_END: everything was used, the input's end included */
};

static bool xz_detect(const uint8_t *head, size_t len)
{
    return len >= 6 && memcmp(head,
                              "\xfd"
                              "7zXZ",
                              6) == 0;
}

static void xz_close(void *state)
{
    struct xz *x = state;

    if (x == NULL)
        return;
    lzma_end(&x->stream);
    free(x);
}

static int xz_open(void **ret, struct ol_error *err)
{
    struct xz *x = calloc(1, sizeof *x);

    if (x == NULL)
        return ol_error_nomem(err);
    x->stream = (lzma_stream)LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&x->stream, OL_CODEC_XZ_MEMORY, LZMA_CONCATENATED) != LZMA_OK) {
        xz_close(x);
        return ol_error_nomem(err);
    }
    *ret = x;
    return 0;
}

static int xz_error(lzma_ret code, struct ol_error *err)
{
    switch (code) {
    case LZMA_MEM_ERROR:
        return ol_error_nomem(err);
    case LZMA_MEMLIMIT_ERROR:
        return ol_error_set(err, -E2BIG, "xz data needs more than %d MiB to decode",
                            OL_CODEC_XZ_MEMORY >> 20);
    case LZMA_FORMAT_ERROR: /* the first header is good, so it is what follows a stream */
        return ol_error_set(err, -EBADMSG, "garbage after the xz data");
    default:
        return ol_error_set(err, -EBADMSG, "corrupt xz data");
    }
}

static int xz_run(void *state, struct ol_codec_io *io, bool *ret_mid, struct ol_error *err)
{
    struct xz *x = state;
    lzma_ret code = LZMA_OK;

    x->stream.next_in = io->in + io->in_pos;
    x->stream.avail_in = io->in_len - io->in_pos;
    x->stream.next_out = io->out + io->out_pos;
    x->stream.avail_out = io->out_len - io->out_pos;
    if (!x->ended)
        code = lzma_code(&x->stream, io->in_end ? LZMA_FINISH : LZMA_RUN);
    io->in_pos = io->in_len - x->stream.avail_in;
    io->out_pos = io->out_len - x->stream.avail_out;
    if (code == LZMA_STREAM_END)
        x->ended = true;
    else if (code != LZMA_OK && code != LZMA_BUF_ERROR)
        return xz_error(code, err);
    *ret_mid = !x->ended;
    return 0;
}

const struct ol_codec_ops ol_codec_xz = {
    .name = "xz",
    .detect = xz_detect,
    .open = xz_open,
    .run = xz_run,
    .close = xz_close,
};
