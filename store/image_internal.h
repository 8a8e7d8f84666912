/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of the image formats hand to image.c, and the JSON helpers they share. */
#ifndef OL_STORE_IMAGE_INTERNAL_H
#define OL_STORE_IMAGE_INTERNAL_H

#include "store/archive.h"
#include "store/image.h"

#include <jansson.h>

/* An image found inside an archive: its layers by member name, base first. */
struct ol_image_parts {
    char id[OL_DIGEST_SIZE]; /* of the config's bytes */
    size_t count;
    char (*diff_ids)[OL_DIGEST_SIZE]; /* owned; count of them */
    char **members;                   /* owned; count of them, every one opened once already */
};
#define OL_IMAGE_PARTS_INIT                                                                        \
    {                                                                                              \
        "", 0, NULL, NULL                                                                          \
    }
void ol_image_parts_fini(struct ol_image_parts *parts);

/** @param ref  name of the image wanted, or NULL */
int ol_image_read_docker(const struct ol_archive *archive, const char *ref,
                         struct ol_image_parts *ret, struct ol_error *err);
int ol_image_read_oci(const struct ol_archive *archive, const char *ref, struct ol_image_parts *ret,
                      struct ol_error *err);

/** A root file system: a tar read as it lies in fd (taken over), or a directory (taken over). */
int ol_image_new_rootfs_tar(const char *source, int fd, struct ol_image **ret,
                            struct ol_error *err);
int ol_image_new_rootfs_dir(const char *source, int fd, struct ol_image **ret,
                            struct ol_error *err);

/**
 * Fill id and diff_ids from an image config (docker's or OCI's: the same fields), and allocate
 * members. Refuses other systems than linux, more history than layers, no layers, too many.
 */
int ol_image_parts_config(struct ol_image_parts *parts, const struct ol_buf *config,
                          struct ol_error *err);
/** Set the member of layer index, checking that it is there. */
int ol_image_parts_member(struct ol_image_parts *parts, const struct ol_archive *archive,
                          size_t index, const char *name, struct ol_error *err);

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
