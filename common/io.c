/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes and enlarged pipes; see io.h. */
#include "common/io.h"

#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

ssize_t ol_io_read(int fd, void *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, (char *)data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t ol_io_pread(int fd, void *data, size_t len, int64_t offset)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, (char *)data + done, len - done, offset + (int64_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int ol_io_write(int fd, const void *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(fd, (const char *)data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

int ol_io_pipe(int ends[2], struct ol_error *err)
{
    if (pipe2(ends, O_CLOEXEC) < 0)
        return ol_error_sys(err, errno, "cannot make a pipe");
    ol_io_enlarge_pipe(ends[0]);
    return 0;
}

void ol_io_enlarge_pipe(int fd)
{
    /* Fails on what is no pipe and past the user's pipe quota; both only cost speed. */
    (void)fcntl(fd, F_SETPIPE_SZ, OL_PIPE_SIZE);
}
