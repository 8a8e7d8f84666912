/* SPDX-License-Identifier: Apache-2.0 */
/* The image store and its parts: tables in memory (imagestore.c) over files (imagedb.c). */
#ifndef OL_STORE_IMAGESTORE_INTERNAL_H
#define OL_STORE_IMAGESTORE_INTERNAL_H

#include "store/imagestore.h"
#include "store/reference.h"
#include "store/store_internal.h"

struct ol_image_entry {
    struct ol_stored_image image;
    struct ol_layer_entry *top; /* held as long as the image is in the table */
};

struct ol_tag {
    struct ol_reference ref;
    char id[OL_DIGEST_SIZE];
};

struct ol_tags {
    struct ol_tag *items; /* owned; sorted by ref.text */
    size_t count;
};

struct ol_images {
    char *dir;                     /* owned; for messages */
    int dir_fd;                    /* owned; holds the flock */
    int content_fd, metadata_fd;   /* owned: imagedb/content/sha256/, imagedb/metadata/sha256/ */
    struct ol_store *layers;       /* owned */
    struct ol_image_entry **items; /* owned; sorted by id */
    size_t count, cap;
    struct ol_tags tags;
};

/* --- imagedb.c: the files. See docs/formats/imagedb.md --- */
int ol_imagedb_open(struct ol_images *images, struct ol_error *err);
/** Read and check the config of image hex. */
int ol_imagedb_read(const struct ol_images *images, const char *hex, struct ol_image_config *ret,
                    struct ol_error *err);
/** ret is "" when the image has none. */
int ol_imagedb_read_parent(const struct ol_images *images, const char *hex,
                           char ret[static OL_DIGEST_SIZE], struct ol_error *err);
/** Write the metadata, then the config: the one step that makes the image exist. */
int ol_imagedb_write(const struct ol_images *images, const struct ol_image_config *config,
                     const char *parent, struct ol_error *err);
/** Set the parent; "" takes it away. */
int ol_imagedb_write_parent(const struct ol_images *images, const char *id, const char *parent,
                            struct ol_error *err);
/** Remember when the image got a name. */
int ol_imagedb_touch(const struct ol_images *images, const char *id, struct ol_error *err);
/** Remove the config (from then on the image does not exist), then the metadata. */
int ol_imagedb_remove(const struct ol_images *images, const char *id, struct ol_error *err);
/** Remove what a killed process left: files written aside, metadata of no image. */
int ol_imagedb_heal(struct ol_images *images, struct ol_error *err);
/** True for the names of files written aside (common/fs/file.h). */
bool ol_imagedb_is_aside(const char *name);

/* --- imagetags.c: repositories.json --- */
void ol_tags_fini(struct ol_tags *tags);
int ol_tags_read(int dir_fd, struct ol_tags *ret, struct ol_error *err);
int ol_tags_write(int dir_fd, const struct ol_tags *tags, struct ol_error *err);
int ol_tags_copy(const struct ol_tags *tags, struct ol_tags *ret, struct ol_error *err);
int ol_tags_set(struct ol_tags *tags, const struct ol_reference *ref, const char *id,
                struct ol_error *err);
const struct ol_tag *ol_tags_find(const struct ol_tags *tags, const char *text);
/** Take one name (ref), or all names of an image (id), out. The other is NULL. */
void ol_tags_drop(struct ol_tags *tags, const char *ref, const char *id);

/* --- imagestore.c --- */
struct ol_image_entry *ol_images_entry(const struct ol_images *images, const char *id);
/** Take one name (ref), or all names of an image (id), away on disk and in memory. */
int ol_images_drop_names(struct ol_images *images, const char *ref, const char *id,
                         struct ol_error *err);
/** Take the image out of the table and let go of its top layer. */
void ol_images_forget(struct ol_images *images, struct ol_image_entry *entry);

#endif
