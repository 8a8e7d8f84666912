/* SPDX-License-Identifier: Apache-2.0 */
/* Which image was made from which, as Parent of a manifest.json tells it. */
#ifndef OL_STORE_IMPORT_PARENTS_H
#define OL_STORE_IMPORT_PARENTS_H

#include "store/image_config.h"
#include "store/imagestore.h"

/* One image of an archive. */
struct ol_parent_link {
    const struct ol_image_config *config; /* NULL: it has none yet, and no parent */
    const char *told;                     /* what the archive says; "" for nothing */
    const char *parent;                   /* the answer: an id of the archive, or NULL */
    char before[OL_DIGEST_SIZE];          /* in the store, for taking it back */
};

/**
 * Follow docker load (moby image/tarexport/load.go): only a parent in the same archive counts, any
 * other text means nothing; and its history has to be the child's but for the last step. Further
 * than that, none may be its own ancestor, images of the store included.
 * @return 0; -EBADMSG no valid parent; -ENOMEM
 */
int ol_parents_check(const struct ol_images *images, struct ol_parent_link *links, size_t count,
                     struct ol_error *err);

/** Write them down; the images are in the store. A failure leaves all parents as they were. */
int ol_parents_set(struct ol_images *images, struct ol_parent_link *links, size_t count,
                   struct ol_error *err);
/** Take back what ol_parents_set() did. What cannot be is left: the first error counts. */
void ol_parents_unset(struct ol_images *images, const struct ol_parent_link *links, size_t count);

#endif
