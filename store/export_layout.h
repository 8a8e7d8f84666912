/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of an archive of images: OCI's manifests and index, Docker's manifest.json and
 * repositories; and the archive around them and the blobs.
 */
#ifndef OL_STORE_EXPORT_LAYOUT_H
#define OL_STORE_EXPORT_LAYOUT_H

#include "common/layer/compress.h"
#include "store/export_spool.h"
#include "store/image_export.h"
#include "store/reference.h"

#include <stdbool.h>

/* A layer as it leaves. */
struct ol_export_layer {
    char chain_id[OL_DIGEST_SIZE]; /* in the store */
    char diff_id[OL_DIGEST_SIZE];  /* as it leaves */
    struct ol_blob blob;
};

/* An image as it leaves. */
struct ol_export_image {
    const char *name; /* borrowed; as the user named it first */
    struct ol_stored_image stored;
    struct ol_reference *tags; /* owned; the names that go with it */
    size_t n_tags;
    struct ol_export_layer *layers; /* owned */
    size_t n_layers;
    struct ol_blob config, manifest;
};

struct ol_export {
    struct ol_images *images; /* borrowed */
    const struct ol_export_options *options;
    struct ol_spool spool;
    struct ol_export_image *list; /* owned */
    size_t count;
};

/** Spool the image's OCI manifest; layers and config are there. */
int ol_export_manifest(struct ol_export *e, struct ol_export_image *image, struct ol_error *err);

/** The archive: everything is spooled. */
int ol_export_write(struct ol_export *e, int out_fd, struct ol_export_result *ret,
                    struct ol_error *err);

#endif
