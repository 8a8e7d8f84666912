/* SPDX-License-Identifier: Apache-2.0 */
/* Images that an import has to refuse: the culprit named, and nothing stored. */
#ifndef OL_TESTS_HOSTILE_H
#define OL_TESTS_HOSTILE_H

#include "images_fixture.h"

struct hostile {
    const char *name;
    char *(*make)(struct images_fixture *f); /* the path, which the caller frees */
    int want;
    const char *told; /* part of the message: the culprit */
};
#define HOSTILE(make, want, told)                                                                  \
    {                                                                                              \
#make, make, want, told                                                                    \
    }

/** Each is imported into a data root of its own, whose inodes stay the same. */
void hostile_refused(const struct hostile *cases, size_t count);

#endif
