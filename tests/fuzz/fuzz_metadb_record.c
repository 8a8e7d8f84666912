/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the records of the snapshotter's metadata. The checksum is made right first, or no
 * mutation would pass it. What can be read must survive being written and read again.
 */
#include "place.h"

#include "common/cleanup.h"
#include "common/metadb/internal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { AT_CHECKSUM = 4, AT_CHECKED = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_labels(const struct ol_labels *a, const struct ol_labels *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const char *value = ol_labels_get(b, a->items[i].key);

        if (value == NULL || strcmp(value, a->items[i].value) != 0)
            return false;
    }
    return a->count == b->count;
}

static void check_again(const struct ol_record *record)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    ol_auto_snapshot_info struct ol_snapshot_info again = {0};
    ol_auto_buf struct ol_buf bytes = OL_BUF_INIT;
    struct ol_record second;
    MDB_val value;

    die_unless(ol_record_info(record, &info, NULL) == 0);
    if (ol_record_write(record->id, &info, &record->usage, &bytes, NULL) < 0)
        return; /* past the limit */
    value = (MDB_val){.mv_size = bytes.len, .mv_data = bytes.data};
    die_unless(ol_record_read(&value, &second) == 0);
    die_unless(ol_record_info(&second, &again, NULL) == 0);
    die_unless(second.id == record->id && second.kind == record->kind);
    die_unless(strcmp(info.name, again.name) == 0 && strcmp(info.parent, again.parent) == 0);
    die_unless(same_labels(&info.labels, &again.labels));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ol_auto_free uint8_t *copy = malloc(size + 1);
    MDB_val value = {.mv_size = size, .mv_data = copy};
    struct ol_record record;

    die_unless(copy != NULL);
    memcpy(copy, data, size);
    (void)ol_record_read(&value, &record); /* as it is */
    if (size > AT_CHECKED) {
        uint32_t sum = htole32((uint32_t)crc32(0, copy + AT_CHECKED, (uInt)(size - AT_CHECKED)));

        memcpy(copy + AT_CHECKSUM, &sum, sizeof sum);
    }
    if (ol_record_read(&value, &record) == 0)
        check_again(&record);
    return 0;
}
