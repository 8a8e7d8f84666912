/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of one image, opened one after the other for those who look at all of them: a
 * comparison, which reads each again in every round, and a prediction, which may do without.
 */
#ifndef OL_BENCH_HARNESS_IMAGE_LAYERS_H
#define OL_BENCH_HARNESS_IMAGE_LAYERS_H

#include "bench/report/report.h"
#include "store/image.h"

struct ol_image_layers {
    struct ol_image *image;          /* owned */
    struct ol_image_stream *streams; /* owned; count of them */
    int *spools;                     /* owned; descriptors of layers copied aside, or -1 */
    struct ol_input *inputs;         /* owned; of the layers opened so far */
    size_t count;
};

/** Take the image over, also on failure. -EINVAL when it has no layers. */
int ol_image_layers_init(struct ol_image_layers *layers, struct ol_image *image,
                         struct ol_error *err);
void ol_image_layers_fini(struct ol_image_layers *layers); /* accepts a zeroed one */

/* How a layer is to be opened. */
struct ol_image_layers_want {
    const char *spool_dir; /* absolute; where a stream is copied to, unnamed, so that it can be read
                              again; NULL: a stream stays one, and is read once */
    bool plain;            /* copy it there uncompressed, whatever it is */
};

/**
 * Open layer index. One that is copied is held against the DiffID the image promises.
 * @param ret_diff_id  of one that was copied; "" otherwise
 * @return 0; -EBADMSG another DiffID; errors of ol_image_layer_open() and ol_layer_decompress()
 */
int ol_image_layers_open(struct ol_image_layers *layers, size_t index,
                         const struct ol_image_layers_want *want,
                         char ret_diff_id[static OL_DIGEST_SIZE], struct ol_error *err);

/** Done with layer index. @return 0, or why what made its stream failed */
int ol_image_layers_close(struct ol_image_layers *layers, size_t index, struct ol_error *err);

/**
 * Settle how many commits there are to be, now that the layers are counted: of a replay all but the
 * first. @return 0; -EINVAL nothing to replay; -E2BIG more layers than an image may have
 */
int ol_image_layers_settle(const struct ol_image_layers *layers, struct ol_report_workload *work,
                           struct ol_error *err);

#endif
