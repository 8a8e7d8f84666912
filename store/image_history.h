/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The build steps of an image, as its config's history tells them, each with the layer it made.
 * Steps that made none (ENV, CMD, …) are steps all the same; layers that no step claims, and those
 * of an image without a history, are steps nobody described.
 */
#ifndef OL_STORE_IMAGE_HISTORY_H
#define OL_STORE_IMAGE_HISTORY_H

#include "common/error.h"

#include <stddef.h>

struct ol_image_config;

enum { OL_STEP_NO_LAYER = -1 };

struct ol_image_step {
    char *created;    /* owned; RFC 3339 as written, or "" */
    char *created_by; /* owned; or "" */
    char *comment;    /* owned; or "" */
    int layer;        /* the layer it made, from 0; OL_STEP_NO_LAYER for none */
};

struct ol_image_history {
    struct ol_image_step *steps; /* owned; oldest first */
    size_t count;
};
void ol_image_history_fini(struct ol_image_history *history);

/**
 * @param config  NULL: nobody described anything
 * @param layers  of the image; every one of them gets a step
 * @return 0 or -ENOMEM
 */
int ol_image_history_get(const struct ol_image_config *config, size_t layers,
                         struct ol_image_history *ret, struct ol_error *err);

/** The step that made a layer; NULL for a number past the layers. */
const struct ol_image_step *ol_image_history_of_layer(const struct ol_image_history *history,
                                                      size_t layer);

#endif
