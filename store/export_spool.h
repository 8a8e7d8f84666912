/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs on their way into an archive, in one unlinked file, each content once. */
#ifndef OL_STORE_EXPORT_SPOOL_H
#define OL_STORE_EXPORT_SPOOL_H

#include "common/digest.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

struct ol_blob {
    char digest[OL_DIGEST_SIZE];
    uint64_t start, size; /* in the file */
};

struct ol_spool {
    int fd;               /* owned */
    uint64_t end;         /* bytes of the finished blobs */
    struct ol_blob *list; /* owned */
    size_t count, cap;
    struct ol_hash *hash; /* owned; of the blob being written */
    uint64_t written;     /* bytes of it */
};
#define OL_SPOOL_INIT                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/** @param dir  where the file lies, which has no name there */
int ol_spool_open(struct ol_spool *spool, const char *dir, struct ol_error *err);
void ol_spool_fini(struct ol_spool *spool);

int ol_spool_begin(struct ol_spool *spool, struct ol_error *err);
/** More of the blob; an ol_sink_fn whose data is the spool. */
int ol_spool_write(void *spool, const void *bytes, size_t len, struct ol_error *err);
/** The blob is whole; content that is there already is kept once. @param ret  a copy */
int ol_spool_end(struct ol_spool *spool, struct ol_blob *ret, struct ol_error *err);

/** A whole blob at once. */
int ol_spool_add(struct ol_spool *spool, const void *bytes, size_t len, struct ol_blob *ret,
                 struct ol_error *err);

/** Sort by digest. */
void ol_spool_sort(struct ol_spool *spool);

#endif
