/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-1-3 (Aumasson, Bernstein, "SipHash: a fast short-input PRF") and open addressing. */
#include "common/layer/seen.h"

#include <errno.h>
#include <sys/random.h>

enum { SEEN_START = 1024 };

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v2 = rotate(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

uint64_t ol_seen_key(const struct ol_seen *seen, enum ol_seen_what what, dev_t dev, ino_t ino,
                     const char *name)
{
    struct sip s = {seen->key[0] ^ 0x736f6d6570736575, seen->key[1] ^ 0x646f72616e646f6d,
                    seen->key[0] ^ 0x6c7967656e657261, seen->key[1] ^ 0x7465646279746573};
    size_t len = strlen(name);
    uint64_t last = (uint64_t)len << 56;
    uint64_t word;

    sip_word(&s, (uint64_t)what);
    sip_word(&s, dev);
    sip_word(&s, ino);
    for (; len >= sizeof word; name += sizeof word, len -= sizeof word) {
        memcpy(&word, name, sizeof word);
        sip_word(&s, word);
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)(unsigned char)name[i] << (8 * i);
    sip_word(&s, last);
    s.v2 ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    word = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return word != 0 ? word : 1; /* 0 is a free slot */
}

int ol_seen_init(struct ol_seen *seen, struct ol_error *err)
{
    *seen = (struct ol_seen){.slots = NULL};
    if (getrandom(seen->key, sizeof seen->key, 0) != (ssize_t)sizeof seen->key)
        return ol_error_sys(err, errno, "cannot read random bytes from the kernel");
    return 0;
}

void ol_seen_fini(struct ol_seen *seen)
{
    free(seen->slots);
    seen->slots = NULL;
    seen->size = seen->used = 0;
}

/* The slot that holds key, or the free one where it belongs. */
static uint64_t *slot_of(const struct ol_seen *seen, uint64_t key)
{
    size_t i = key & (seen->size - 1);

    while (seen->slots[i] != 0 && seen->slots[i] != key)
        i = (i + 1) & (seen->size - 1);
    return &seen->slots[i];
}

static int grow(struct ol_seen *seen)
{
    struct ol_seen bigger = *seen;

    bigger.size = seen->size == 0 ? SEEN_START : seen->size * 2;
    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < seen->size; i++)
        if (seen->slots[i] != 0)
            *slot_of(&bigger, seen->slots[i]) = seen->slots[i];
    free(seen->slots);
    *seen = bigger;
    return 0;
}

int ol_seen_insert(struct ol_seen *seen, uint64_t key)
{
    uint64_t *slot;

    if (seen->used >= seen->size / 8 * 7 && grow(seen) < 0)
        return -ENOMEM;
    slot = slot_of(seen, key);
    if (*slot == key)
        return 1;
    *slot = key;
    seen->used++;
    return 0;
}

bool ol_seen_has(const struct ol_seen *seen, uint64_t key)
{
    return seen->size > 0 && *slot_of(seen, key) == key;
}
