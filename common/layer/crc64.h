/* SPDX-License-Identifier: Apache-2.0 */
/* The CRC-64 of ISO 3309 (Go's hash/crc64, table ISO), which tar-split files hold of contents. */
#ifndef OL_COMMON_LAYER_CRC64_H
#define OL_COMMON_LAYER_CRC64_H

#include <stddef.h>
#include <stdint.h>

/** Go on with crc (0 at the beginning) over len more bytes. */
uint64_t ol_crc64(uint64_t crc, const void *data, size_t len);

/** The same without ISA-L, callable on its own so that tests prove both the same. */
uint64_t ol_crc64_plain(uint64_t crc, const void *data, size_t len);

#endif
