/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream again, from the lines and the layer's own files. Names are resolved beneath the
 * layer's directory as the applier resolved them: symlinks in the directory part are followed
 * inside it, the last component is not. moby follows them out of it (spec: re-creating a tar).
 */
#include "common/layer/tarsplit.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/path.h"
#include "common/layer/crc64.h"
#include "common/layer/tarsplit_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUILD_CHUNK = 256 << 10 };

struct build {
    int own_fd; /* borrowed */
    const struct ol_layer_limits *limits;
    ol_sink_fn *sink; /* NULL: nobody wants the stream */
    void *data;
    struct ol_tarsplit_lost *lost; /* gets what cannot be read back; NULL: that is an error */
    uint64_t at;                   /* offset in the stream */
    struct ol_buf path;
    char *chunk; /* owned */
};

void ol_tarsplit_lost_fini(struct ol_tarsplit_lost *lost)
{
    free(lost->at);
    *lost = (struct ol_tarsplit_lost)OL_TARSPLIT_LOST_INIT;
}

static int lost_add(struct ol_tarsplit_lost *lost, uint64_t at, struct ol_error *err)
{
    if (lost->count == lost->cap) {
        size_t cap = lost->cap > 0 ? 2 * lost->cap : 16;
        uint64_t *grown = reallocarray(lost->at, cap, sizeof *grown);
        if (grown == NULL)
            return ol_error_nomem(err);
        lost->at = grown;
        lost->cap = cap;
    }
    lost->at[lost->count++] = at;
    return 0;
}

static int clean_name(struct build *b, const char *name, struct ol_error *err)
{
    ol_buf_truncate(&b->path, 0);
    if (ol_buf_puts(&b->path, name) < 0)
        return ol_error_nomem(err);
    if (ol_path_clean(name, b->path.data))
        return ol_error_set(err, -EXDEV, "'%s' in the tar-split file points outside the layer",
                            name);
    b->path.len = strlen(b->path.data);
    return 0;
}

/* The regular file of this name and size; -ESTALE for anything else. Nothing else is opened. */
static int open_content(struct build *b, uint64_t size)
{
    char *path = b->path.data;
    size_t dir_len = ol_path_dir_len(path);
    const char *base = ol_path_base(path);
    ol_auto_fd int dir = -1;
    ol_auto_fd int fd = -1;
    struct stat st;

    if (dir_len > 0)
        path[dir_len] = '\0';
    dir = ol_path_open(b->own_fd, dir_len > 0 ? path : "", O_PATH | O_DIRECTORY, 0);
    if (dir < 0)
        return dir;
    if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
        return -ESTALE;
    fd = ol_fs_open_read(dir, base, O_NOATIME);
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? ol_fd_steal(&fd) : -ESTALE;
}

static int advance(struct build *b, uint64_t len, struct ol_error *err)
{
    if (len > b->limits->total_bytes || b->at > b->limits->total_bytes - len)
        return ol_error_set(err, -E2BIG, "the layer passes the limit of %llu bytes (total_bytes)",
                            (unsigned long long)b->limits->total_bytes);
    b->at += len;
    return 0;
}

static int emit(struct build *b, const void *bytes, size_t len, struct ol_error *err)
{
    int r = advance(b, len, err);

    return r == 0 && b->sink != NULL ? b->sink(b->data, bytes, len, err) : r;
}

/* 1 when size or CRC are not as they were. */
static int copy_content(struct build *b, int fd, const struct ol_tarsplit_line *line,
                        struct ol_error *err)
{
    uint64_t left = line->size;
    uint64_t crc = 0;

    while (left > 0) {
        size_t want = left < BUILD_CHUNK ? (size_t)left : BUILD_CHUNK;
        ssize_t n = ol_io_read(fd, b->chunk, want);
        int r;
        if (n < 0)
            return ol_error_sys(err, (int)-n, "cannot read '%s'", line->name);
        if ((size_t)n < want)
            return 1;
        crc = ol_crc64(crc, b->chunk, want);
        r = emit(b, b->chunk, want, err);
        if (r < 0)
            return r;
        left -= want;
    }
    return crc == line->crc ? 0 : 1;
}

/* It counts with its whole length, however far copy_content() came. */
static int content_lost(struct build *b, const struct ol_tarsplit_line *line, uint64_t start,
                        struct ol_error *err)
{
    int r = lost_add(b->lost, start, err);

    b->at = start;
    return r < 0 ? r : advance(b, line->size, err);
}

static int content_failed(int r, const struct ol_tarsplit_line *line, struct ol_error *err)
{
    if (r == -ESTALE)
        return ol_error_set(err, -EBADMSG, "'%s' has changed since the layer was made", line->name);
    return ol_error_sys(err, -r, "cannot read '%s' back from the layer", line->name);
}

static int build_content(struct build *b, const struct ol_tarsplit_line *line, struct ol_error *err)
{
    ol_auto_fd int fd = -1;
    uint64_t start = b->at;
    int r = clean_name(b, line->name, err);

    if (r < 0)
        return r;
    fd = open_content(b, line->size);
    if (fd >= 0) {
        r = copy_content(b, fd, line, err);
        if (r <= 0)
            return r;
    }
    if (b->lost != NULL)
        return content_lost(b, line, start, err);
    return content_failed(fd < 0 ? fd : -ESTALE, line, err);
}

static int build_lines(struct build *b, struct ol_tarsplit_reader *reader, struct ol_error *err)
{
    struct ol_tarsplit_line line;
    int r;

    while ((r = ol_tarsplit_read_line(reader, &line, err)) == 1) {
        if (line.type == OL_TARSPLIT_SEGMENT)
            r = emit(b, line.bytes, line.len, err);
        else
            r = line.size > 0 ? build_content(b, &line, err) : 0;
        if (r < 0)
            return r;
    }
    return r;
}

static int build(struct build *b, int file_fd, struct ol_error *err)
{
    struct ol_tarsplit_reader *reader = NULL;
    int r;

    b->chunk = malloc(BUILD_CHUNK);
    if (b->chunk == NULL)
        return ol_error_nomem(err);
    r = ol_tarsplit_reader_new(file_fd, b->limits, &reader, err);
    if (r == 0)
        r = build_lines(b, reader, err);
    ol_tarsplit_reader_free(reader);
    ol_buf_fini(&b->path);
    free(b->chunk);
    return r;
}

int ol_tarsplit_build(int file_fd, int own_fd, const struct ol_layer_limits *limits,
                      ol_sink_fn *sink, void *data, struct ol_error *err)
{
    const struct ol_layer_limits defaults = OL_LAYER_LIMITS_DEFAULT;

    return build(&(struct build){.own_fd = own_fd,
                                 .limits = limits != NULL ? limits : &defaults,
                                 .sink = sink,
                                 .data = data},
                 file_fd, err);
}

int ol_tarsplit_check(int file_fd, int own_fd, const struct ol_layer_limits *limits,
                      struct ol_tarsplit_lost *ret, struct ol_error *err)
{
    const struct ol_layer_limits defaults = OL_LAYER_LIMITS_DEFAULT;

    return build(&(struct build){.own_fd = own_fd,
                                 .limits = limits != NULL ? limits : &defaults,
                                 .lost = ret},
                 file_fd, err);
}
