/* SPDX-License-Identifier: Apache-2.0 */
#include "random_headers.h"

#include <stdbool.h>
#include <string.h>

/* splitmix64: the sequence must be the same everywhere, since digests of it are written down. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t *state, uint64_t n)
{
    return next(state) % n;
}

static bool one_in(uint64_t *state, uint64_t n)
{
    return below(state, n) == 0;
}

/* A clean relative path of about len bytes, one in wide_one_in with bytes beyond ASCII. (Arguments
 * draw one number at most: C leaves the order between them open.) */
static void draw_path(uint64_t *s, char *out, size_t len, unsigned wide_one_in)
{
    const bool ascii = below(s, wide_one_in) > 0;
    static const char *const wide[] = {"\xc3\xa9", "\xe2\x82\xac", "\xff", "\xc3"};
    size_t n = 0, since_slash = 0;

    while (n < len) {
        if (since_slash > 0 && n + 1 < len && one_in(s, 12)) {
            out[n++] = '/';
            since_slash = 0;
            continue;
        }
        if (!ascii && one_in(s, 20)) {
            const char *w = wide[below(s, 4)];
            memcpy(out + n, w, strlen(w));
            n += strlen(w);
        } else {
            out[n++] = (char)('a' + below(s, 26));
        }
        since_slash++;
    }
    out[n] = '\0';
}

static size_t draw_length(uint64_t *s)
{
    switch (below(s, 6)) {
    case 0:
        return 95 + below(s, 12);
    case 1:
        return 150 + below(s, 12);
    case 2:
        return 245 + below(s, 20);
    case 3:
        return 100 + below(s, 300);
    default:
        return 1 + below(s, 60);
    }
}

static uint64_t draw_number(uint64_t *s, uint64_t edge)
{
    uint64_t bits; /* drawn first: C leaves the order within an expression open */

    switch (below(s, 8)) {
    case 0:
        return edge - 2 + below(s, 4);
    case 1:
        bits = next(s);
        return bits >> (1 + below(s, 40));
    default:
        return below(s, 70000);
    }
}

static struct timespec draw_time(uint64_t *s)
{
    struct timespec t = {(time_t)below(s, 2000000000), 0};

    switch (below(s, 10)) {
    case 0:
        t.tv_sec = -(time_t)below(s, 4000000000);
        break;
    case 1:
        t.tv_sec = (time_t)draw_number(s, 1ull << 33);
        break;
    case 2:
        t.tv_sec = -(time_t)below(s, 3);
        t.tv_nsec = (long)below(s, 1000000000);
        break;
    case 3:
        t.tv_nsec = (long)below(s, 1000) * 1000000;
        break;
    case 4:
        t.tv_sec = one_in(s, 4) ? -62135596800LL : 0;
        break;
    default:
        break;
    }
    return t;
}

static void draw_xattrs(uint64_t *s, struct random_header *ret)
{
    static const char *const names[] = {"security.capability", "user.z", "user.a"};
    size_t n = one_in(s, 6) ? 1 + below(s, 3) : 0;

    for (size_t i = 0; i < n; i++) {
        size_t len = below(s, sizeof ret->values[i]);
        for (size_t k = 0; k < len; k++)
            ret->values[i][k] = (char)below(s, 256);
        ret->xattrs[i] = (struct ol_tar_xattr){names[i], ret->values[i], len};
    }
    ret->header.xattrs = ret->xattrs;
    ret->header.n_xattrs = n;
}

void random_header_draw(struct random_header *ret, uint64_t n)
{
    uint64_t state = n * 0x51ed270b0f1a2c3du + 7, *s = &state;
    struct ol_tar_header *h = &ret->header;

    memset(ret, 0, sizeof *ret);
    h->type = (char)('0' + below(s, 7));
    draw_path(s, ret->name, draw_length(s), 4);
    if (h->type == '5')
        strncat(ret->name, "/", sizeof ret->name - strlen(ret->name) - 1);
    if (h->type == '1' || h->type == '2' || one_in(s, 30))
        draw_path(s, ret->link, draw_length(s), 4);
    if (one_in(s, 8)) {
        draw_path(s, ret->uname, 1 + below(s, 40), 3);
        draw_path(s, ret->gname, 1 + below(s, 40), 3);
    }
    h->name = ret->name;
    h->link = ret->link;
    h->uname = ret->uname;
    h->gname = ret->gname;
    h->mode = (unsigned)below(s, 0200000);
    h->uid = draw_number(s, 1u << 21);
    h->gid = draw_number(s, 1u << 21);
    h->size = h->type == '0' ? draw_number(s, 1ull << 33) : 0;
    h->mtime = draw_time(s);
    if (h->type == '3' || h->type == '4') {
        h->dev_major = (uint32_t)below(s, 4096);
        h->dev_minor = (uint32_t)below(s, 1 << 20);
    }
    draw_xattrs(s, ret);
}
