/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of ol_images_check(): check.c looks at images and layers, check_containers.c at the rest.
 */
#ifndef OL_STORE_CHECK_INTERNAL_H
#define OL_STORE_CHECK_INTERNAL_H

#include "store/check.h"
#include "store/containers_internal.h"
#include "store/imagestore_internal.h"

struct ol_check {
    struct ol_images *images;
    struct ol_store *layers;
    struct ol_containers *containers; /* NULL: not looked at */
    const struct ol_check_options *options;
    ol_problem_fn *problem;
    void *data;
    struct ol_error *err;
};

/** Tell one problem, a line. @return 0; -ENOMEM */
int ol_check_tell(const struct ol_check *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Records of containers beside layers, images, and what is mounted. */
int ol_check_containers(struct ol_check *c);

#endif
