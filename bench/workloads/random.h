/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reproducible random numbers, the same on every machine: xoshiro256** 1.0 (Blackman and Vigna
 * 2018), seeded through splitmix64 (Steele, Lea and Flood 2014) as its authors advise.
 */
#ifndef OL_BENCH_WORKLOADS_RANDOM_H
#define OL_BENCH_WORKLOADS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct ol_random {
    uint64_t s[4];
};

static inline uint64_t ol_splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void ol_random_seed(struct ol_random *random, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        random->s[i] = ol_splitmix64(&seed);
}

static inline uint64_t ol_random_rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline uint64_t ol_random_next(struct ol_random *random)
{
    uint64_t *s = random->s;
    uint64_t result = ol_random_rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = ol_random_rotate(s[3], 45);
    return result;
}

/** Uniform in 0 … n-1, without bias; n > 0. */
static inline uint64_t ol_random_below(struct ol_random *random, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t x;

    do
        x = ol_random_next(random);
    while (x >= limit);
    return x % n;
}

/** Fill with pseudo-random bytes, little-endian words: the same bytes on every machine. */
static inline void ol_random_fill(struct ol_random *random, void *data, size_t len)
{
    unsigned char *p = data;

    while (len > 0) {
        uint64_t x = ol_random_next(random);
        for (int i = 0; i < 8 && len > 0; i++, len--) {
            *p++ = (unsigned char)x;
            x >>= 8;
        }
    }
}

#endif
