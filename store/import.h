/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importing images: every layer that is not there yet is registered while its digests are verified,
 * then the images are put and named. Until then nothing is visible, and a failure takes the layers
 * back. Follows moby image/tarexport/load.go, and daemon/images/image_import.go for root file
 * systems.
 */
#ifndef OL_STORE_IMPORT_H
#define OL_STORE_IMPORT_H

#include "store/imagestore.h"

#include <time.h>

struct ol_import_options {
    const char *const *names;       /* for the image, besides those in the file; n_names of them */
    size_t n_names;                 /* needs a file with one image */
    const struct timespec *created; /* of an image made from a root file system; UTC */
    bool (*cancelled)(void);        /* asked between layers; NULL: never */
};

/* One image, as it was imported. */
struct ol_imported {
    struct ol_stored_image image;
    bool existed;              /* the image was there already */
    size_t new_layers;         /* layers that were not there yet */
    const char *source_format; /* ol_image_format_name() */
};

/**
 * Import the images of a file or directory. Call fn for each when all of them are in the store.
 * @param path  as for ol_image_open_all(): "PATH#NAME" picks one of several
 * @return 0; as ol_image_open_all(); -EBADMSG a digest is wrong; -ECANCELED; errors of the driver.
 *         Failure leaves the store as it was.
 */
int ol_images_import(struct ol_images *images, const char *path,
                     const struct ol_import_options *options,
                     int (*fn)(const struct ol_imported *imported, void *data), void *data,
                     struct ol_error *err);

#endif
