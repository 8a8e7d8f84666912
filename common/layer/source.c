/* SPDX-License-Identifier: Apache-2.0 */
/* Input, detection and decoding; see source.h. */
#include "common/layer/source.h"

#include "common/layer/codec.h"
#include "common/limits.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SOURCE_BUFFER = 256 << 10, /* compressed bytes read at a time */
    SOURCE_HEADROOM = 16,      /* kept free before them, so that a decoder can give bytes back */
};

struct ol_source {
    int fd;         /* borrowed */
    int64_t offset; /* next pread; -1: read */
    uint64_t left;  /* bytes the caller allows */
    bool blocks;    /* reading may wait for another process */
    bool regular;   /* a regular file: its size is known */
    int wake_fd;    /* borrowed; -1: none */
    bool ended;     /* the descriptor is at its end, or the allowance is used up */

    const struct ol_codec_ops *codec; /* NULL: plain */
    void *state;                      /* the codec's; owned */
    bool mid;                         /* inside a member: the input may not end here */
    uint8_t *buffer;                  /* owned */
    size_t pos, len;                  /* what the codec (or a plain reader) has not taken yet */
};

static const struct ol_codec_ops *const codecs[] = {
    &ol_codec_gzip,
    &ol_codec_zstd,
    &ol_codec_xz,
    &ol_codec_bzip2,
};

int ol_codec_skip_padding(struct ol_codec_io *io, bool *padded, const char *name,
                          struct ol_error *err)
{
    while (io->in_pos < io->in_len && io->in[io->in_pos] == 0) {
        *padded = true;
        io->in_pos++;
    }
    if (io->in_pos == io->in_len)
        return 0;
    if (*padded)
        return ol_error_set(err, -EBADMSG, "garbage after the %s data", name);
    return 1;
}

/* Wait until the descriptor has something to say, unless we are told to stop first. */
static int wait_readable(struct ol_source *s)
{
    struct pollfd fds[2] = {{s->fd, POLLIN, 0}, {s->wake_fd, POLLIN, 0}};

    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return -errno;
    return fds[1].revents != 0 ? -ECANCELED : 0;
}

/* One read; 0 at the end. */
static ssize_t read_some(struct ol_source *s, void *data, size_t len, struct ol_error *err)
{
    ssize_t n;

    if (len > s->left)
        len = (size_t)s->left;
    if (len == 0 || s->ended) {
        s->ended = true;
        return 0;
    }
    do {
        int r = s->blocks && s->wake_fd >= 0 ? wait_readable(s) : 0;
        if (r < 0)
            return ol_error_set(err, r, "reading the layer was stopped");
        n = s->offset >= 0 ? pread(s->fd, data, len, s->offset) : read(s->fd, data, len);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return ol_error_sys(err, errno, "cannot read the layer");
    if (n == 0)
        s->ended = true;
    s->left -= (uint64_t)n;
    if (s->offset >= 0)
        s->offset += n;
    return n;
}

/* Read until len bytes or the end. */
static ssize_t read_full(struct ol_source *s, void *data, size_t len, struct ol_error *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read_some(s, (char *)data + done, len - done, err);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static ssize_t read_plain(struct ol_source *s, char *data, size_t len, struct ol_error *err)
{
    size_t head = s->len - s->pos < len ? s->len - s->pos : len;
    ssize_t n;

    memcpy(data, s->buffer + s->pos, head);
    s->pos += head;
    n = read_full(s, data + head, len - head, err);
    return n < 0 ? n : n + (ssize_t)head;
}

/* Get the next compressed bytes; what the codec has not taken has been taken by now. */
static int refill(struct ol_source *s, struct ol_error *err)
{
    ssize_t n = read_some(s, s->buffer + SOURCE_HEADROOM, SOURCE_BUFFER, err);

    if (n < 0)
        return (int)n;
    s->pos = SOURCE_HEADROOM;
    s->len = SOURCE_HEADROOM + (size_t)n;
    return 0;
}

static ssize_t read_decoded(struct ol_source *s, uint8_t *data, size_t len, struct ol_error *err)
{
    struct ol_codec_io io = {.in = s->buffer, .out = data, .out_len = len};

    while (io.out_pos < len) {
        size_t out_before = io.out_pos;
        size_t in_before;
        int r;

        if (s->pos == s->len && !s->ended) {
            r = refill(s, err);
            if (r < 0)
                return r;
        }
        in_before = io.in_pos = s->pos;
        io.in_len = s->len;
        io.in_end = s->ended;
        r = s->codec->run(s->state, &io, &s->mid, err);
        s->pos = io.in_pos;
        if (r < 0)
            return r;
        if (s->ended && io.in_pos == in_before && io.out_pos == out_before)
            break; /* nothing to take and nothing to give: over */
    }
    if (io.out_pos < len && s->mid)
        return ol_error_set(err, -EBADMSG, "truncated %s data", s->codec->name);
    return (ssize_t)io.out_pos;
}

ssize_t ol_source_read(struct ol_source *source, void *data, size_t len, struct ol_error *err)
{
    return source->codec == NULL ? read_plain(source, data, len, err)
                                 : read_decoded(source, data, len, err);
}

bool ol_source_is_plain(const struct ol_source *source)
{
    return source->codec == NULL;
}

void ol_source_close(struct ol_source *source)
{
    if (source == NULL)
        return;
    if (source->codec != NULL)
        source->codec->close(source->state);
    free(source->buffer);
    free(source);
}

bool ol_source_can_skip(const struct ol_source *source)
{
    return source->regular && source->codec == NULL;
}

int64_t ol_source_skip(struct ol_source *source, int64_t len, struct ol_error *err)
{
    struct ol_source *s = source;
    int64_t buffered = (int64_t)(s->len - s->pos);
    int64_t head = len < buffered ? len : buffered;
    int64_t here, rest;
    struct stat st;

    if (!ol_source_can_skip(s))
        return 0;
    s->pos += (size_t)head;
    here = s->offset >= 0 ? s->offset : lseek(s->fd, 0, SEEK_CUR);
    if (here < 0 || fstat(s->fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot seek in the layer");
    rest = st.st_size > here ? st.st_size - here : 0;
    if ((uint64_t)rest > s->left)
        rest = (int64_t)s->left;
    if (rest > len - head)
        rest = len - head;
    if (s->offset >= 0)
        s->offset += rest;
    else if (lseek(s->fd, rest, SEEK_CUR) < 0)
        return ol_error_sys(err, errno, "cannot seek in the layer");
    s->left -= (uint64_t)rest;
    return head + rest;
}

/* Regular files and block devices never make a reader wait for somebody else. */
static void look_at_fd(struct ol_source *s)
{
    struct stat st;

    s->blocks = true;
    if (fstat(s->fd, &st) < 0)
        return;
    s->regular = S_ISREG(st.st_mode);
    s->blocks = !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
}

static int detect(struct ol_source *s, struct ol_error *err)
{
    uint8_t *head = s->buffer + SOURCE_HEADROOM;
    ssize_t n = read_full(s, head, OL_CODEC_MAGIC, err);

    if (n < 0)
        return (int)n;
    s->pos = SOURCE_HEADROOM;
    s->len = SOURCE_HEADROOM + (size_t)n;
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (!codecs[i]->detect(head, (size_t)n))
            continue;
        s->codec = codecs[i];
        s->mid = true;
        return s->codec->open(&s->state, err);
    }
    return 0;
}

int ol_source_open(const struct ol_input *input, int wake_fd, struct ol_source **ret,
                   struct ol_error *err)
{
    struct ol_source *s = calloc(1, sizeof *s);
    int r;

    if (s == NULL)
        return ol_error_nomem(err);
    s->fd = input->fd;
    s->offset = input->offset >= 0 ? input->offset : -1;
    s->left = input->length;
    s->wake_fd = wake_fd;
    look_at_fd(s);
    if (s->blocks)
        ol_io_enlarge_pipe(input->fd);
    s->buffer = malloc(SOURCE_HEADROOM + SOURCE_BUFFER);
    r = s->buffer == NULL ? ol_error_nomem(err) : detect(s, err);
    if (r < 0) {
        ol_source_close(s);
        return r;
    }
    *ret = s;
    return 0;
}
