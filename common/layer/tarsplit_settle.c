/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that overwrite what is theirs: an entry that comes twice, a whiteout of an entry of the
 * same layer, a directory that becomes a file. moby's tar-split refuses the first and fails on the
 * others when the layer is to leave again; here such contents are kept.
 */
#include "common/layer/tarsplit.h"

#include "common/layer/reader.h"
#include "common/pool.h"

#include <errno.h>
#include <unistd.h>

static int read_all(struct ol_reader *reader, struct ol_error *err)
{
    struct ol_reader_entry e;
    int r;

    while ((r = ol_reader_next(reader, &e, err)) == 1)
        continue;
    return r == 0 ? ol_reader_drain(reader, err) : r;
}

/* Record the stream without applying it. */
static int record(const struct ol_input *input, const struct ol_layer_limits *limits,
                  unsigned threads, struct ol_tarsplit *ts, struct ol_error *err)
{
    struct ol_reader_config config = {.limits = limits, .record = ts};
    struct ol_reader *reader = NULL;
    int r = ol_stream_open(input, limits, 0, ol_pool_threads(threads), &config.stream, err);

    if (r < 0)
        return r;
    r = ol_reader_open(&config, &reader, err);
    if (r == 0)
        r = read_all(reader, err);
    if (r == 0)
        r = ol_tarsplit_finish(ts, err);
    ol_reader_close(reader);
    ol_tarsplit_stop(ts); /* it holds blocks of the stream */
    ol_stream_close(config.stream);
    return r;
}

static int record_again(const struct ol_input *input, const struct ol_layer_limits *limits,
                        unsigned threads, const struct ol_tarsplit_lost *lost, int file_fd,
                        struct ol_error *err)
{
    struct ol_tarsplit *ts = NULL;
    int r;

    if (input->offset < 0)
        return ol_error_set(err, -ESPIPE,
                            "the layer replaces or deletes %zu of its own files, and to keep what "
                            "was in them it must be read a second time: read it from a file",
                            lost->count);
    if (lseek(file_fd, 0, SEEK_SET) < 0 || ftruncate(file_fd, 0) < 0)
        return ol_error_sys(err, errno, "cannot write the tar-split file anew");
    r = ol_tarsplit_new(file_fd, threads, lost, &ts, err);
    if (r == 0)
        r = record(input, limits, threads, ts, err);
    ol_tarsplit_free(ts);
    return r;
}

int ol_tarsplit_settle(const struct ol_input *input, const struct ol_layer_limits *limits,
                       unsigned threads, int file_fd, int own_fd, struct ol_error *err)
{
    const struct ol_layer_limits defaults = OL_LAYER_LIMITS_DEFAULT;
    struct ol_tarsplit_lost lost = OL_TARSPLIT_LOST_INIT;
    int r;

    limits = limits != NULL ? limits : &defaults;
    r = ol_tarsplit_check(file_fd, own_fd, limits, &lost, err);
    if (r == 0 && lost.count > 0)
        r = record_again(input, limits, threads, &lost, file_fd, err);
    ol_tarsplit_lost_fini(&lost);
    return r;
}
