/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC-64 through ISA-L, which multiplies without carries and so costs next to nothing; or nibble by
 * nibble where ISA-L is not there.
 */
#include "common/layer/crc64.h"

#include "config.h"

#if OL_HAVE_ISAL
#include <isa-l/crc64.h>
#endif

/* The remainders of the 16 nibbles under the reflected polynomial x^64 + x^4 + x^3 + x + 1. */
static const uint64_t nibbles[16] = {
    0x0000000000000000, 0x1b00000000000000, 0x3600000000000000, 0x2d00000000000000,
    0x6c00000000000000, 0x7700000000000000, 0x5a00000000000000, 0x4100000000000000,
    0xd800000000000000, 0xc300000000000000, 0xee00000000000000, 0xf500000000000000,
    0xb400000000000000, 0xaf00000000000000, 0x8200000000000000, 0x9900000000000000,
};

uint64_t ol_crc64_plain(uint64_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;

    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        crc = (crc >> 4) ^ nibbles[crc & 15];
        crc = (crc >> 4) ^ nibbles[crc & 15];
    }
    return ~crc;
}

uint64_t ol_crc64(uint64_t crc, const void *data, size_t len)
{
#if OL_HAVE_ISAL
    return crc64_iso_refl(crc, data, len);
#else
    return ol_crc64_plain(crc, data, len);
#endif
}
