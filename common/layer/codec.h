/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompressors behind one small interface. Each handles everything its command-line tool accepts
 * as one stream: several gzip or bzip2 members, several zstd frames, several xz streams. Zero
 * padding after the last member is ignored (tapes and block devices add it), any other trailing
 * bytes are an error, and so is an end in the middle. Used by source.c only.
 */
#ifndef OL_COMMON_LAYER_CODEC_H
#define OL_COMMON_LAYER_CODEC_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OL_CODEC_MAGIC = 10,            /* bytes detect() wants to see; fewer at the end of the input */
    OL_CODEC_ZSTD_WINDOW_LOG = 27,  /* largest zstd window, 128 MiB: what zstd itself accepts */
    OL_CODEC_XZ_MEMORY = 128 << 20, /* bytes a liblzma decoder may use; xz -9 takes 65 MiB */
};

/* One step's input and output. The codec moves in_pos and out_pos. */
struct ol_codec_io {
    uint8_t *in; /* a codec may step back over bytes it took from this buffer */
    size_t in_pos, in_len;
    bool in_end; /* nothing follows in[in_len] */
    uint8_t *out;
    size_t out_pos, out_len;
};

struct ol_codec_ops {
    const char *name; /* as in "corrupt gzip data" */
    bool (*detect)(const uint8_t *head, size_t len);
    int (*open)(void **ret, struct ol_error *err);
    /**
     * Decode until the input is used up or the output is full.
     * @return 0, or -EBADMSG with a text. Between members it leaves *ret_mid false: an input that
     *         ends there is complete.
     */
    int (*run)(void *state, struct ol_codec_io *io, bool *ret_mid, struct ol_error *err);
    void (*close)(void *state); /* accepts NULL */
};

extern const struct ol_codec_ops ol_codec_gzip;
extern const struct ol_codec_ops ol_codec_zstd;
extern const struct ol_codec_ops ol_codec_xz;
extern const struct ol_codec_ops ol_codec_bzip2;

/**
 * What stands between members: zero padding is skipped.
 * @param padded  kept by the caller; true once zeros were seen, after which only zeros may follow
 * @return 0 the input is used up, 1 a byte of the next member is at in_pos, or -EBADMSG
 */
int ol_codec_skip_padding(struct ol_codec_io *io, bool *padded, const char *name,
                          struct ol_error *err);

#endif
