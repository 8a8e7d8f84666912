/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configs docker writes: the container's, from its image's (docker create), and the new
 * image's, from both (docker commit). Follows moby 20.10 daemon/create.go, daemon/commit.go and
 * image/image.go NewChildImage(), keys and values alike, but for:
 *
 *   docker_version   says "overlab <version>"
 *   created          has whole seconds when the caller gives such a time (SOURCE_DATE_EPOCH)
 *
 * Keys docker does not know are dropped from the config and the top level, as dockerd drops them;
 * history entries of the parent stay as they are.
 */
#ifndef OL_STORE_COMMIT_CONFIG_H
#define OL_STORE_COMMIT_CONFIG_H

#include "common/buf.h"
#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <time.h>

/**
 * The config of a new container.
 * @param image  the whole config of its image; NULL for none
 * @param id     of the container: its first 12 characters become the host name
 * @param name   of the image as the user gave it
 * @param ret    new object
 */
int ol_container_config(const json_t *image, const char *id, const char *name, json_t **ret,
                        struct ol_error *err);

struct ol_commit_config {
    const json_t *image;     /* whole config of the container's image; NULL for none */
    const json_t *container; /* ol_container_config() */
    const char *container_id;
    const char *message, *author; /* NULL: none */
    const char *const *changes;   /* see change.h */
    size_t n_changes;
    const char *diff_id; /* of the new layer; NULL: an empty commit, which adds none */
    struct timespec created;
};

/**
 * Write the new image's config; its digest is the image's id.
 * @return 0; -EINVAL from the changes, or a message that is no UTF-8; -EBADMSG the image's config
 *         is not one; -E2BIG a limit was passed
 */
int ol_commit_config_make(const struct ol_commit_config *commit, struct ol_buf *ret,
                          struct ol_error *err);

#endif
