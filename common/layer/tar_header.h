/* SPDX-License-Identifier: Apache-2.0 */
/* The header blocks of one tar entry, as Go's archive/tar lays them out. Used by tar_writer.c. */
#ifndef OL_COMMON_LAYER_TAR_HEADER_H
#define OL_COMMON_LAYER_TAR_HEADER_H

#include "common/buf.h"
#include "common/layer/tar_writer.h"

enum {
    OL_TAR_BLOCK = 512,
    OL_TAR_PAX_MAX = 1 << 20, /* bytes of one entry's records; Go 1.19 refuses more as well */
};

/**
 * Append the blocks of one header to out: one ustar block, or a PAX 'x' header with its records
 * before it when a field does not fit. Go archive/tar, Writer.WriteHeader with Format = PAX.
 * @return 0; -EINVAL a field no PAX archive can hold; -E2BIG the records pass OL_TAR_PAX_MAX;
 * -ENOMEM. out may hold a part of the blocks then.
 */
int ol_tar_header_format(const struct ol_tar_header *header, struct ol_buf *out,
                         struct ol_error *err);

/** True for types that are followed by payload ('0'); all others have none whatever their size. */
bool ol_tar_has_payload(char type);

#endif
