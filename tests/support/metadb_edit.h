/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a metadata file behind the store's back, as LMDB would: sound pages, wrong content. */
#ifndef OL_TESTS_METADB_EDIT_H
#define OL_TESTS_METADB_EDIT_H

#include <stddef.h>

/** Put a value, or with value NULL remove the key; the store is not open. */
void metadb_edit(const char *path, const char *bucket, void *key, size_t key_len, void *value,
                 size_t value_len);

#endif
