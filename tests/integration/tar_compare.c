/* SPDX-License-Identifier: Apache-2.0 */
#include "tar_compare.h"

#include "support/support.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

enum { BLOCK = 512, DIFF_AGE_S = 600 };

struct stream {
    unsigned char *data; /* owned: a private mapping */
    size_t len;
};

static struct stream map_stream(int fd)
{
    struct stream s = {NULL, 0};
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    s.len = (size_t)st.st_size;
    assert_true(s.len >= (size_t)2 * BLOCK && s.len % BLOCK == 0);
    s.data = mmap(NULL, s.len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_true(s.data != MAP_FAILED);
    return s;
}

static uint64_t octal(const unsigned char *field, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len && field[i] >= '0' && field[i] <= '7'; i++)
        value = value * 8 + (field[i] - '0');
    return value;
}

/* Blocks of content after a header; links, devices and the like have none whatever they say. */
static size_t payload(const unsigned char *header)
{
    uint64_t size = strchr("0x", header[156]) != NULL ? octal(header + 124, 12) : 0;

    return (size_t)((size + BLOCK - 1) / BLOCK) * BLOCK;
}

/* Offset of the header that the byte at `where` belongs to. */
static size_t header_of(const struct stream *s, size_t where)
{
    size_t at = 0, next = BLOCK + payload(s->data);

    while (next <= where && next < s->len) {
        at = next;
        next = at + BLOCK + payload(s->data + at);
    }
    return at;
}

/*
 * The time of whiteouts, which has to be that of the diff, and the sum it enters. A naive diff's
 * whiteout is told by its mode, which is zero: no object has a mode without type bits.
 */
static void mask_whiteout_times(struct stream *s)
{
    const uint64_t now = (uint64_t)time(NULL);

    for (size_t at = 0; at < s->len; at += BLOCK + payload(s->data + at)) {
        unsigned char *header = s->data + at;
        uint64_t when = octal(header + 136, 12);

        if (header[156] != '0' || memcmp(header + 100, "0000000", 8) != 0)
            continue;
        assert_true(when <= now + 1 && when + DIFF_AGE_S >= now); /* rounded, perhaps up */
        memset(header + 136, 'M', 12);
        memset(header + 148, 'M', 8);
    }
}

static void assert_same(const struct stream *ours, const struct stream *theirs, const char *what)
{
    size_t len = ours->len < theirs->len ? ours->len : theirs->len;
    size_t at = 0;
    const unsigned char *o, *t;

    while (at < len && ours->data[at] == theirs->data[at])
        at++;
    if (at == len && ours->len == theirs->len)
        return;
    o = ours->data + header_of(ours, at < len ? at : ours->len - 1);
    t = theirs->data + header_of(theirs, at < len ? at : theirs->len - 1);
    fail_msg("%s: %zu bytes, moby %zu, different from byte %zu on: '%.100s' type '%c' link "
             "'%.100s', moby '%.100s' type '%c' link '%.100s' (byte %zu of the header)",
             what, ours->len, theirs->len, at, (const char *)o, o[156], (const char *)o + 157,
             (const char *)t, t[156], (const char *)t + 157, at - (size_t)(t - theirs->data));
}

void tar_assert_same(int ours_fd, int theirs_fd, bool mask_times, const char *what)
{
    struct stream ours = map_stream(ours_fd), theirs = map_stream(theirs_fd);

    if (mask_times) {
        mask_whiteout_times(&ours);
        mask_whiteout_times(&theirs);
    }
    assert_same(&ours, &theirs, what);
    assert_int_equal(munmap(ours.data, ours.len), 0);
    assert_int_equal(munmap(theirs.data, theirs.len), 0);
}

bool tar_has_names(int fd)
{
    struct stream s = map_stream(fd);
    bool found = false;

    for (size_t at = 0; at < s.len && !found; at += BLOCK + payload(s.data + at))
        found = s.data[at + 265] != '\0';
    assert_int_equal(munmap(s.data, s.len), 0);
    return found;
}
