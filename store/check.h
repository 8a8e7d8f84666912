/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding the image store, the layer store, the driver and the containers against each other. What
 * the files of one store say by themselves is checked when it is opened (struct ol_store_options,
 * problem).
 */
#ifndef OL_STORE_CHECK_H
#define OL_STORE_CHECK_H

#include "store/containers.h"

struct ol_check_options {
    bool content; /* read every layer and hold it against its DiffID, where its tar is kept */
    bool (*cancelled)(void); /* asked between layers; NULL: never */
};

/**
 * Tell every problem: a name or a parent that leads nowhere, an image that is its own ancestor,
 * metadata without an image, a layer or container that the driver has not, a layer that nobody
 * uses, a driver layer named as the stores name theirs that nobody owns, files a killed process
 * left; records of containers that are none, or without layers or image, layers without a record, a
 * name twice, mounts of no container. Nothing is changed.
 * @param containers  opened to be checked; NULL: only the rest
 * @return 0 also when there are problems; -ECANCELED; negative errno when the check could not be
 *         done
 */
int ol_images_check(struct ol_images *images, struct ol_containers *containers,
                    const struct ol_check_options *options, ol_problem_fn *problem, void *data,
                    struct ol_error *err);

#endif
