/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images: "name[:tag]", in the familiar form Docker shows and stores ("debian:12" for
 * "docker.io/library/debian:12"). Follows distribution/reference (grammar and normalisation).
 */
#ifndef OL_STORE_REFERENCE_H
#define OL_STORE_REFERENCE_H

#include "common/error.h"

enum {
    OL_REPOSITORY_MAX = 255, /* characters of a repository with its registry */
    OL_TAG_MAX = 128,        /* characters of a tag */
    OL_REFERENCE_SIZE = OL_REPOSITORY_MAX + 1 + OL_TAG_MAX + 1, /* "repository:tag" and the NUL */
};

struct ol_reference {
    char text[OL_REFERENCE_SIZE]; /* "repository:tag" */
    char repository[OL_REPOSITORY_MAX + 1];
};

/**
 * Parse a name a user or an archive gave; without a tag it is "latest".
 * @return 0; -EINVAL no valid name, with the reason
 */
int ol_reference_parse(const char *text, struct ol_reference *ret, struct ol_error *err);

#endif
