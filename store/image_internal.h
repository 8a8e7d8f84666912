/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of the image formats hand to image.c, and the JSON helpers they share. */
#ifndef OL_STORE_IMAGE_INTERNAL_H
#define OL_STORE_IMAGE_INTERNAL_H

#include "store/archive.h"
#include "store/image.h"
#include "store/image_config.h"

#include <jansson.h>

/* An image found inside an archive: its layers by member name, base first. */
struct ol_image_parts {
    struct ol_image_config config;
    char **members; /* owned; one a layer, every one opened once already */
    char **names;   /* owned; n_names of them: what the archive calls the image */
    size_t n_names;
    char *parent; /* owned; what the archive calls the image it was made from; NULL: nothing */
};
#define OL_IMAGE_PARTS_INIT                                                                        \
    {                                                                                              \
        OL_IMAGE_CONFIG_INIT, NULL, NULL, 0, NULL                                                  \
    }
void ol_image_parts_fini(struct ol_image_parts *parts);

/** Add a name. */
int ol_image_parts_name(struct ol_image_parts *parts, const char *name, struct ol_error *err);

/* The images of an archive, in its order. */
struct ol_image_list {
    struct ol_image_parts *items; /* owned */
    size_t count;
};
void ol_image_list_fini(struct ol_image_list *list);
/** One more, empty; valid until the next is added. NULL without memory. */
struct ol_image_parts *ol_image_list_add(struct ol_image_list *list);

/* Which images of an archive are wanted. */
struct ol_image_want {
    const char *ref;  /* the one of this name; NULL: whatever it is called */
    bool all;         /* without ref: every image, else there must be only one */
    const char *base; /* repository of names that are only a tag; "" for none */
};
int ol_image_read_docker(const struct ol_archive *archive, const struct ol_image_want *want,
                         struct ol_image_list *ret, struct ol_error *err);
int ol_image_read_oci(const struct ol_archive *archive, const struct ol_image_want *want,
                      struct ol_image_list *ret, struct ol_error *err);

/** What Go and images call a machine of utsname ("x86_64"): "amd64". */
const char *ol_go_arch(const char *machine);

/** A root file system: a tar read as it lies in fd (taken over), or a directory (taken over). */
int ol_image_new_rootfs_tar(const char *source, int fd, struct ol_image **ret,
                            struct ol_error *err);
int ol_image_new_rootfs_dir(const char *source, int fd, struct ol_image **ret,
                            struct ol_error *err);

/** Parse the config (bytes is taken over on success) and allocate members. */
int ol_image_parts_config(struct ol_image_parts *parts, struct ol_buf *bytes, struct ol_error *err);
/** Set the member of layer index, checking that it is there. */
int ol_image_parts_member(struct ol_image_parts *parts, const struct ol_archive *archive,
                          size_t index, const char *name, struct ol_error *err);

/** The image is the one of this config, which is moved into it. */
void ol_image_take_config(struct ol_image *image, struct ol_image_config *config);

/* image_files.c: layers that are files of an archive. */
struct ol_image_files;
extern const struct ol_image_source_ops ol_image_files_ops;
/** The data of ol_image_files_ops; takes the members out of parts and a share in archive. */
int ol_image_files_new(struct ol_archive *archive, struct ol_image_parts *parts,
                       struct ol_image_files **ret, struct ol_error *err);
/** The hex digits of a member "blobs/sha256/<hex>", or NULL. */
const char *ol_image_blob_hex(const char *member);

enum { OL_IMAGE_MAGIC_SIZE = 8 };
/** Whether the first bytes of a file are those of gzip, bzip2, xz or zstd. */
bool ol_image_is_compressed(const unsigned char *head, size_t len);

/** Parse one whole JSON text; duplicate keys and trailing bytes are refused. */
int ol_json_parse(const struct ol_buf *text, const char *what, json_t **ret, struct ol_error *err);
/** Read and parse a file of the archive of at most OL_IMAGE_JSON_MAX bytes. */
int ol_json_read(const struct ol_archive *archive, const char *name, json_t **ret,
                 struct ol_error *err);
/** The string at key, or NULL when it is absent, null or something else. */
const char *ol_json_string(const json_t *object, const char *key);
/** The array at key; NULL when absent or null counts as -EBADMSG with a text naming what and key.
 */
int ol_json_array(const json_t *object, const char *key, const char *what, json_t **ret,
                  struct ol_error *err);

static inline void ol_json_release(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}
#define ol_auto_json __attribute__((cleanup(ol_json_release)))

#endif
