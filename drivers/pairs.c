/* SPDX-License-Identifier: Apache-2.0 */
/* Ordered key and value pairs: what Status and GetMetadata answer. */
#include "common/cleanup.h"
#include "drivers/driver.h"

void ol_pairs_fini(struct ol_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->items[i].key);
        free(pairs->items[i].value);
    }
    free(pairs->items);
    pairs->items = NULL;
    pairs->count = 0;
}

int ol_pairs_add(struct ol_pairs *pairs, const char *key, const char *value)
{
    struct ol_pair *items = reallocarray(pairs->items, pairs->count + 1, sizeof(*items));
    ol_auto_free char *own_key = strdup(key);
    ol_auto_free char *own_value = strdup(value);

    if (items != NULL)
        pairs->items = items;
    if (items == NULL || own_key == NULL || own_value == NULL)
        return -ENOMEM;
    items[pairs->count].key = ol_ptr_steal(own_key);
    items[pairs->count].value = ol_ptr_steal(own_value);
    pairs->count++;
    return 0;
}
