/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image store of one driver: configs by id, names, and the layer store below them, in moby's
 * layout (docs/formats/imagedb.md). Follows moby 20.10 image/store.go, reference/store.go and
 * daemon/images/image_delete.go.
 *
 * One process at a time has a store open; within it, one thread at a time may call these functions.
 */
#ifndef OL_STORE_IMAGESTORE_H
#define OL_STORE_IMAGESTORE_H

#include "store/image_config.h"
#include "store/store.h"

struct ol_images;

/**
 * Open (or make) the store in dir (absolute; 0700) over drv, which is borrowed and must outlive it;
 * the layer store is dir/layerdb. Locks the directory against a second process (-EBUSY). What a
 * killed process left is finished: files written aside, metadata without its image, layers that no
 * image and no container stands on.
 * @param options  of the layer store, NULL: all off; configs and names are always fsynced
 * @return 0; -EBUSY; -EBADMSG a file of the store is damaged, which is named: nothing is changed
 */
int ol_images_open(const char *dir, struct ol_driver *drv, const struct ol_store_options *options,
                   struct ol_images **ret, struct ol_error *err);
void ol_images_close(struct ol_images *images); /* accepts NULL */

/** The layer store below; owned by images. */
struct ol_store *ol_images_layers(struct ol_images *images);
/** The directory as given to ol_images_open(); owned by images. */
const char *ol_images_dir(const struct ol_images *images);

/* An image of the store. */
struct ol_stored_image {
    char id[OL_DIGEST_SIZE];       /* digest of its config */
    char parent[OL_DIGEST_SIZE];   /* id of the image it was committed from; "" when unknown */
    char chain_id[OL_DIGEST_SIZE]; /* of its top layer */
    size_t layers;
};

/**
 * Put an image whose layers are all in the layer store. An image of this id that is there already
 * stays as it is (*ret_existed).
 * @param config       its bytes are what is stored
 * @param parent       id of the image it was made from, or NULL
 * @param ret_existed  may be NULL
 * @return 0; -ENOENT a layer or the parent is missing; failure leaves nothing
 */
int ol_images_put(struct ol_images *images, const struct ol_image_config *config,
                  const char *parent, bool *ret_existed, struct ol_error *err);

/**
 * Find by "name[:tag]", by id ("sha256:<hex>" or "<hex>"), or by a prefix of the id that only one
 * image has; in this order.
 * @return 0; -ENOENT no such image; -EINVAL no valid name, or several images have this prefix
 */
int ol_images_find(struct ol_images *images, const char *name, struct ol_stored_image *ret,
                   struct ol_error *err);

/** Call fn for every image, sorted by id, until it fails; it may change the store. */
int ol_images_list(struct ol_images *images,
                   int (*fn)(const struct ol_stored_image *image, void *data), void *data,
                   struct ol_error *err);

/** Read an image's config; the caller releases it. @param id  as in struct ol_stored_image */
int ol_images_config(struct ol_images *images, const char *id, struct ol_image_config *ret,
                     struct ol_error *err);

/** Sum of the sizes of an image's layers, bytes, as their drivers gave them. */
int ol_images_size(struct ol_images *images, const struct ol_stored_image *image,
                   uint64_t *ret_bytes, struct ol_error *err);

/* A name for an image. */
struct ol_image_tag {
    const char *name; /* borrowed; "name[:tag]" in any form */
    const char *id;   /* borrowed */
};
/**
 * Give names to images, all in one step; a name that another image has moves.
 * @return 0; -EINVAL no valid name; -ENOENT no such image; failure changes nothing
 */
int ol_images_tag(struct ol_images *images, const struct ol_image_tag *tags, size_t count,
                  struct ol_error *err);
/** Take a name away; the image stays. -ENOENT no such name. */
int ol_images_untag(struct ol_images *images, const char *name, struct ol_error *err);
/** Call fn for every name of the image (id NULL: of all images), sorted, until it fails. */
int ol_images_tags(struct ol_images *images, const char *id,
                   int (*fn)(const char *name, const char *id, void *data), void *data,
                   struct ol_error *err);

/* What removing did, as it happens: "untagged" a name, "deleted" an image or a layer. */
typedef void ol_images_removed_fn(const char *what, const char *subject, void *data);

/**
 * Remove as `docker rmi` does. By name: the name goes, and the image with it when that was its last
 * one. By id: its names go too, unless several repositories have it (-EBUSY without force). An
 * image that has children keeps its config, and a container stands in the way (-EBUSY; force
 * leaves it its layers). Then go parents without a name, child or container, and the layers that
 * nobody uses.
 * A container counts as using every image whose top layer it stands on.
 * @param fn  NULL: nobody wants to know
 * @return 0; -ENOENT; -EBUSY with the reason; -EINVAL as ol_images_find()
 */
int ol_images_remove(struct ol_images *images, const char *name, bool force,
                     ol_images_removed_fn *fn, void *data, struct ol_error *err);

/**
 * Remove this layer and those below it as far as nobody uses them; a layer in use, or a missing
 * one, ends it without an error. For who registered layers and could not put the image.
 */
int ol_images_drop_layers(struct ol_images *images, const char *chain_id, ol_images_removed_fn *fn,
                          void *data, struct ol_error *err);

#endif
