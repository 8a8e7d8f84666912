/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, pipes of a useful size, and the input of the layer functions. */
#ifndef OL_COMMON_IO_H
#define OL_COMMON_IO_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ol_tarsplit;

/**
 * Where a tar stream comes from. With offset < 0 the descriptor is read from where it stands (pipe,
 * socket, file); with offset >= 0 it is a seekable file that is read with pread, its position
 * untouched, so that several inputs can share one descriptor (layers inside an archive).
 */
struct ol_input {
    int fd;                     /* borrowed */
    int64_t offset;             /* bytes; -1: the current position, moved by reading */
    uint64_t length;            /* bytes at most; UINT64_MAX: to the end of the file */
    struct ol_tarsplit *record; /* borrowed; told of every byte that is applied
                                   (common/layer/tarsplit.h); NULL: nobody is */
};

#define OL_INPUT_FD(descriptor)                                                                    \
    ((struct ol_input){.fd = (descriptor), .offset = -1, .length = UINT64_MAX})

/* Who takes a stream of bytes. @return 0, or negative errno, which ends the stream */
typedef int ol_sink_fn(void *data, const void *bytes, size_t len, struct ol_error *err);

/** Read until len bytes or the end. @return bytes read, or negative errno. Restarts on EINTR. */
ssize_t ol_io_read(int fd, void *data, size_t len);

/** pread until len bytes or the end. @return bytes read, or negative errno. */
ssize_t ol_io_pread(int fd, void *data, size_t len, int64_t offset);

/** Write all of it. @return 0 or negative errno (-EPIPE when the reader went away). */
int ol_io_write(int fd, const void *data, size_t len);

/** A close-on-exec pipe enlarged to OL_PIPE_SIZE where the kernel allows it. ends[0] reads. */
int ol_io_pipe(int ends[2], struct ol_error *err);

/** Enlarge fd to OL_PIPE_SIZE if it is a pipe; anything else is left alone. */
void ol_io_enlarge_pipe(int fd);

#endif
