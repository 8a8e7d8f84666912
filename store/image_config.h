/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config of an image (docker's or OCI's: the same fields), checked. Its bytes are kept as they
 * came: the image's id is their digest.
 */
#ifndef OL_STORE_IMAGE_CONFIG_H
#define OL_STORE_IMAGE_CONFIG_H

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"

#include <jansson.h>

struct ol_image_config {
    struct ol_buf bytes;           /* as stored */
    json_t *json;                  /* owned; an object */
    size_t layers;                 /* number of diff_ids; 1 to OL_MAX_IMAGE_LAYERS */
    char id[OL_DIGEST_SIZE];       /* digest of bytes */
    char chain_id[OL_DIGEST_SIZE]; /* of all layers */
};
#define OL_IMAGE_CONFIG_INIT                                                                       \
    {                                                                                              \
        OL_BUF_INIT, NULL, 0, "", ""                                                               \
    }
void ol_image_config_fini(struct ol_image_config *config);
#define ol_auto_image_config __attribute__((cleanup(ol_image_config_fini)))

/**
 * Parse and check a config. Refuses what is no JSON object or has a key twice, other systems than
 * linux, no or too many layers, DiffIDs that are no sha256 digests, and more history than layers.
 * @param bytes  taken over on success, untouched on failure; at most OL_IMAGE_JSON_MAX
 * @return 0; -EBADMSG malformed; -ENOTSUP another system; -E2BIG too many layers
 */
int ol_image_config_parse(struct ol_buf *bytes, struct ol_image_config *ret, struct ol_error *err);

/** DiffID of layer index < config->layers; valid as long as the config. */
const char *ol_image_config_diff_id(const struct ol_image_config *config, size_t index);
/** ChainID of the layers up to and with index < config->layers. */
int ol_image_config_chain_id(const struct ol_image_config *config, size_t index,
                             char ret[static OL_DIGEST_SIZE], struct ol_error *err);
/** The array "history", or NULL when there is none. Borrowed. */
const json_t *ol_image_config_history(const struct ol_image_config *config);
/** The object "config" (Env, Cmd, …), or NULL. Borrowed. */
const json_t *ol_image_config_run(const struct ol_image_config *config);
/** A top-level string ("created", "architecture", "author", …), or NULL. Borrowed. */
const char *ol_image_config_text(const struct ol_image_config *config, const char *key);

#endif
