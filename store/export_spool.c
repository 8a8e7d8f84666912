/* SPDX-License-Identifier: Apache-2.0 */
/* See export_spool.h. */
#include "store/export_spool.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ol_spool_open(struct ol_spool *spool, const char *dir, struct ol_error *err)
{
    spool->fd = ol_fs_open_unlinked(dir, err);
    return spool->fd < 0 ? spool->fd : 0;
}

void ol_spool_fini(struct ol_spool *spool)
{
    ol_fd_close(&spool->fd);
    ol_hash_free(spool->hash);
    free(spool->list);
    *spool = (struct ol_spool)OL_SPOOL_INIT;
}

int ol_spool_begin(struct ol_spool *spool, struct ol_error *err)
{
    ol_hash_free(spool->hash);
    spool->hash = NULL;
    spool->written = 0;
    if (lseek(spool->fd, (off_t)spool->end, SEEK_SET) < 0)
        return ol_error_sys(err, errno, "cannot write the spooled blobs");
    return ol_hash_new(&spool->hash, err);
}

int ol_spool_write(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    struct ol_spool *spool = data;
    int r = ol_io_write(spool->fd, bytes, len);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot write the spooled blobs");
    ol_hash_update(spool->hash, bytes, len);
    spool->written += len;
    return 0;
}

static int reserve(struct ol_spool *spool, struct ol_error *err)
{
    size_t cap = spool->cap > 0 ? 2 * spool->cap : 32;
    struct ol_blob *grown;

    if (spool->count < spool->cap)
        return 0;
    grown = reallocarray(spool->list, cap, sizeof *grown);
    if (grown == NULL)
        return ol_error_nomem(err);
    spool->list = grown;
    spool->cap = cap;
    return 0;
}

int ol_spool_end(struct ol_spool *spool, struct ol_blob *ret, struct ol_error *err)
{
    struct ol_blob blob = {.start = spool->end, .size = spool->written};
    int r = reserve(spool, err);

    if (r < 0)
        return r;
    ol_hash_final(spool->hash, blob.digest);
    for (size_t i = 0; i < spool->count; i++)
        if (strcmp(spool->list[i].digest, blob.digest) == 0) {
            *ret = spool->list[i]; /* the next blob is written over this copy */
            return 0;
        }
    spool->end += spool->written;
    spool->list[spool->count++] = blob;
    *ret = blob;
    return 0;
}

int ol_spool_add(struct ol_spool *spool, const void *bytes, size_t len, struct ol_blob *ret,
                 struct ol_error *err)
{
    int r = ol_spool_begin(spool, err);

    if (r == 0)
        r = ol_spool_write(spool, bytes, len, err);
    return r < 0 ? r : ol_spool_end(spool, ret, err);
}

static int by_digest(const void *a, const void *b)
{
    const struct ol_blob *one = a;
    const struct ol_blob *other = b;

    return strcmp(one->digest, other->digest);
}

void ol_spool_sort(struct ol_spool *spool)
{
    if (spool->count > 0)
        qsort(spool->list, spool->count, sizeof *spool->list, by_digest);
}
