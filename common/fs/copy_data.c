/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File data by the cheapest call that works: FICLONE shares blocks, copy_file_range copies inside
 * the kernel, read and write work everywhere. Offsets are explicit, so a method that gives up in
 * the middle is continued by the next one.
 */
#include "common/fs/copy_data.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/tree.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct copy {
    int src;
    int dst;
    struct ol_copy_memory *memory;
    char **block;
};

/* Errors that say "not between these two", as opposed to "not this file" or "broken". */
static bool means_never(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == ENOTTY || errnum == EXDEV || errnum == ENOSYS;
}

static bool try_clone(struct copy *c)
{
    if (atomic_load_explicit(&c->memory->no_clone, memory_order_relaxed))
        return false;
    if (ioctl(c->dst, FICLONE, c->src) == 0)
        return true;
    if (means_never(errno))
        atomic_store(&c->memory->no_clone, true);
    /* Whatever else is wrong (a full disk, a bad block) comes up again, with its reason, in the
     * plain copy. */
    return false;
}

static int write_at(int fd, const char *data, size_t len, off_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* [at, end) with read and write; stops early where the source ends. */
static int copy_blocks(struct copy *c, off_t at, off_t end)
{
    if (*c->block == NULL && (*c->block = malloc(OL_COPY_BLOCK)) == NULL)
        return -ENOMEM;
    while (at < end) {
        size_t want = end - at < OL_COPY_BLOCK ? (size_t)(end - at) : OL_COPY_BLOCK;
        ssize_t n = pread(c->src, *c->block, want, at);
        int r;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        r = write_at(c->dst, *c->block, (size_t)n, at);
        if (r < 0)
            return r;
        at += n;
    }
    return 0;
}

/* True for what copy_file_range(2) says where read and write may still do: across file systems
 * before Linux 5.19, special files, a filter that knows no such call. */
static bool range_unsuitable(int errnum)
{
    return means_never(errnum) || errnum == EINVAL || errnum == EPERM || errnum == EBADF ||
           errnum == ETXTBSY;
}

static int copy_range(struct copy *c, off_t at, off_t end)
{
    while (at < end && !atomic_load_explicit(&c->memory->no_range, memory_order_relaxed)) {
        off_t in = at;
        off_t out = at;
        ssize_t n = copy_file_range(c->src, &in, c->dst, &out, (size_t)(end - at), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && !range_unsuitable(errno))
            return -errno;
        if (n < 0 && means_never(errno))
            atomic_store(&c->memory->no_range, true);
        if (n <= 0)
            break; /* 0: the end, or a file system that cannot; read(2) tells which */
        at += n;
    }
    return at < end ? copy_blocks(c, at, end) : 0;
}

/* Give the copy its size, unless the source has shrunk meanwhile. */
static int end_with_hole(struct copy *c, off_t size)
{
    struct stat st;

    if (fstat(c->src, &st) < 0)
        return -errno;
    if (st.st_size < size)
        size = st.st_size;
    return ftruncate(c->dst, size) < 0 ? -errno : 0;
}

/* Only the parts that hold data; the file's size makes the last hole. */
static int copy_sparse(struct copy *c, off_t size)
{
    off_t at = 0;

    while (at < size) {
        off_t data = lseek(c->src, at, SEEK_DATA);
        off_t hole;
        int r;
        if (data < 0 && errno == ENXIO)
            break; /* nothing but a hole is left */
        if (data < 0)
            return copy_range(c, at, size); /* no such lseek here: all of it is data */
        hole = lseek(c->src, data, SEEK_HOLE);
        if (hole < 0 || hole > size)
            hole = size;
        if (data >= hole)
            break;
        r = copy_range(c, data, hole);
        if (r < 0)
            return r;
        at = hole;
    }
    return end_with_hole(c, size);
}

int ol_copy_data(int src_fd, int dst_fd, const struct stat *st, struct ol_copy_memory *memory,
                 char **block)
{
    struct copy c = {.src = src_fd, .dst = dst_fd, .memory = memory, .block = block};

    if (st->st_size == 0)
        return 0;
    if (ol_fault_hit("copy data"))
        return -EIO;
    if (try_clone(&c))
        return 0;
    if (st->st_blocks < st->st_size / 512)
        return copy_sparse(&c, st->st_size);
    return copy_range(&c, 0, st->st_size);
}

int ol_file_copy_data(int src_fd, int dst_fd, uint64_t size, struct ol_error *err)
{
    struct ol_copy_memory memory = {.no_clone = false};
    ol_auto_free char *block = NULL;
    struct stat st;
    int r;

    if (fstat(src_fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot examine the file to copy");
    if (size > INT64_MAX)
        return ol_error_set(err, -EFBIG, "cannot copy a file of more than %lld bytes",
                            (long long)INT64_MAX);
    /* FICLONE takes the whole file, whatever it has grown to */
    if ((uint64_t)st.st_size > size)
        memory.no_clone = true;
    st.st_size = (off_t)size;
    r = ol_copy_data(src_fd, dst_fd, &st, &memory, &block);
    return r < 0 ? ol_error_sys(err, -r, "cannot copy file data") : 0;
}
