/* SPDX-License-Identifier: Apache-2.0 */
/* Tar headers drawn from a seed, with the awkward ones drawn often: names around 100 and 156 bytes,
 * bytes beyond ASCII, numbers past their octal fields, times before 1970. */
#ifndef OL_TESTS_LAYER_RANDOM_HEADERS_H
#define OL_TESTS_LAYER_RANDOM_HEADERS_H

#include "common/layer/tar_writer.h"

struct random_header {
    struct ol_tar_header header; /* points into the rest */
    char name[512], link[512], uname[64], gname[64];
    struct ol_tar_xattr xattrs[3];
    char values[3][40];
};

/** Draw the nth header of the endless sequence. */
void random_header_draw(struct random_header *ret, uint64_t n);

#endif
