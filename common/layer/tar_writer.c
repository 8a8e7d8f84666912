/* SPDX-License-Identifier: Apache-2.0 */
/* The tar stream: headers by tar_header.c, payload and padding, everything through tar_sink.c. */
#include "common/layer/tar_writer.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/layer/tar_header.h"
#include "common/layer/tar_sink.h"

#include <inttypes.h>
#include <string.h>

struct ol_tar_writer {
    struct ol_tar_sink *sink; /* owned */
    struct ol_buf header;     /* the blocks of one header; reused */
    struct ol_buf name;       /* of the current entry, for errors */
    uint64_t left;            /* payload bytes the current entry still needs */
    uint64_t entries;
    unsigned pad; /* zero bytes after that payload */
    bool finished;
};

static const char zeros[2 * OL_TAR_BLOCK];

int ol_tar_writer_new(int out_fd, struct ol_tar_writer **ret, struct ol_error *err)
{
    struct ol_tar_writer *tar = calloc(1, sizeof *tar);
    int r;

    if (tar == NULL)
        return ol_error_nomem(err);
    r = ol_tar_sink_new(out_fd, &tar->sink, err);
    if (r < 0) {
        free(tar);
        return r;
    }
    *ret = tar;
    return 0;
}

void ol_tar_writer_free(struct ol_tar_writer *tar)
{
    if (tar == NULL)
        return;
    ol_tar_sink_free(tar->sink);
    ol_buf_fini(&tar->header);
    ol_buf_fini(&tar->name);
    free(tar);
}

void ol_tar_writer_set_work(struct ol_tar_writer *tar, unsigned work)
{
    ol_tar_sink_set_work(tar->sink, work);
}

/* End the current entry: its padding, once its payload is complete. */
static int close_entry(struct ol_tar_writer *tar, struct ol_error *err)
{
    int r;

    if (tar->finished)
        return ol_error_set(err, -EINVAL, "the tar stream is already finished");
    if (tar->left > 0)
        return ol_error_set(err, -EINVAL, "%" PRIu64 " bytes of '%s' are missing", tar->left,
                            ol_buf_str(&tar->name));
    r = ol_tar_sink_put(tar->sink, zeros, tar->pad, err);
    if (r == 0)
        tar->pad = 0;
    return r;
}

int ol_tar_put_header(struct ol_tar_writer *tar, const struct ol_tar_header *header,
                      struct ol_error *err)
{
    int r = close_entry(tar, err);

    if (r < 0)
        return r;
    ol_buf_truncate(&tar->header, 0);
    r = ol_tar_header_format(header, &tar->header, err);
    if (r < 0)
        return r;
    ol_buf_truncate(&tar->name, 0);
    if (ol_buf_puts(&tar->name, header->name) < 0)
        return ol_error_nomem(err);
    r = ol_tar_sink_put(tar->sink, tar->header.data, tar->header.len, err);
    if (r < 0)
        return r;
    tar->entries++;
    if (ol_tar_has_payload(header->type)) {
        tar->left = header->size;
        tar->pad = (unsigned)(-header->size & (OL_TAR_BLOCK - 1));
    }
    return 0;
}

int ol_tar_put_data(struct ol_tar_writer *tar, const void *data, size_t len, struct ol_error *err)
{
    int r;

    if (len > tar->left)
        return ol_error_set(err, -EINVAL, "%" PRIu64 " bytes too many for '%s'",
                            (uint64_t)len - tar->left, ol_buf_str(&tar->name));
    r = ol_tar_sink_put(tar->sink, data, len, err);
    if (r == 0)
        tar->left -= len;
    return r;
}

int ol_tar_put_file(struct ol_tar_writer *tar, int fd, struct ol_error *err)
{
    while (tar->left > 0) {
        size_t room;
        unsigned char *to = ol_tar_sink_room(tar->sink, &room);
        ssize_t n = read(fd, to, room < tar->left ? room : (size_t)tar->left);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ol_error_sys(err, errno, "cannot read '%s'", ol_buf_str(&tar->name));
        if (n == 0)
            return ol_error_set(err, -ENODATA,
                                "'%s' shrank while it was read: %" PRIu64 " bytes are missing",
                                ol_buf_str(&tar->name), tar->left);
        r = ol_tar_sink_commit(tar->sink, (size_t)n, err);
        if (r < 0)
            return r;
        tar->left -= (uint64_t)n;
    }
    return 0;
}

int ol_tar_finish(struct ol_tar_writer *tar, struct ol_tar_result *ret, struct ol_error *err)
{
    struct ol_tar_result result = {.entries = tar->entries};
    int r = close_entry(tar, err);

    if (r == 0)
        r = ol_tar_sink_put(tar->sink, zeros, sizeof zeros, err);
    if (r == 0)
        r = ol_tar_sink_finish(tar->sink, result.diff_id, err);
    if (r < 0)
        return r;
    tar->finished = true;
    result.bytes = ol_tar_sink_total(tar->sink);
    if (ret != NULL)
        *ret = result;
    return 0;
}
