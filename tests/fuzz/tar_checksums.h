/* SPDX-License-Identifier: Apache-2.0 */
/* Right checksums for mutated tar headers, or hardly any mutation would pass the first check. */
#ifndef OL_TESTS_TAR_CHECKSUMS_H
#define OL_TESTS_TAR_CHECKSUMS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TAR_BLOCK = 512 };

/** Every block with a ustar magic gets the checksum of its bytes. */
static inline void tar_fix_checksums(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
        uint8_t *block = data + at;
        unsigned sum = 0;
        char text[8];
        if (memcmp(block + 257, "ustar", 5) != 0)
            continue;
        memset(block + 148, ' ', 8);
        for (size_t i = 0; i < TAR_BLOCK; i++)
            sum += block[i];
        (void)snprintf(text, sizeof text, "%06o", sum & 0777777);
        memcpy(block + 148, text, 7);
    }
}

#endif
