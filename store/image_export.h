/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images out: one archive that docker load (20.10 and later), ctr images import and, unpacked,
 * umoci and skopeo read: an OCI layout with Docker's manifest.json beside it. The same images give
 * the same bytes. Format: docs/formats/image-archive.md.
 */
#ifndef OL_STORE_IMAGE_EXPORT_H
#define OL_STORE_IMAGE_EXPORT_H

#include "common/layer/compress.h"
#include "store/imagestore.h"

/* A layer whose tar was not kept: it was written anew, and has another DiffID than it had. */
struct ol_export_rewritten {
    const char *image;  /* as it was named */
    size_t index;       /* of the layer, from 0 */
    const char *before; /* DiffID in the store */
    const char *after;  /* DiffID in the archive */
};

struct ol_export_options {
    enum ol_compression compression; /* of the layers; docker 20.10 and umoci 0.4 read no zstd */
    bool (*cancelled)(void);         /* asked between layers; NULL: never */
    void (*rewritten)(const struct ol_export_rewritten *layer, void *data); /* may be NULL */
    void *data;
};

struct ol_export_result {
    size_t images; /* in the archive, each once */
    size_t blobs;
    uint64_t bytes; /* of the archive */
};

/**
 * Write images to out_fd. Layers are spooled to an unlinked file in the store's directory first:
 * names in an archive are digests, and a tar wants sizes before contents.
 *
 * @param names  as for ol_images_find(); a name "name[:tag]" goes with the image, an id brings
 * none; an image named twice is written once, with both names
 * @param ret    may be NULL
 * @return 0; -ENOENT no such image; -EBADMSG a layer is damaged; -ECANCELED; else the errno of the
 *         failing call, with part of the archive written
 */
int ol_images_export(struct ol_images *images, const char *const *names, size_t n_names, int out_fd,
                     const struct ol_export_options *options, struct ol_export_result *ret,
                     struct ol_error *err);

#endif
