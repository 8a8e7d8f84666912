/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in image's insides: each layer is first a sorted list of entries, made from the seed
 * alone, and then written as a tar. Numbers are integers throughout: no floating point, no locale
 * and no clock may change a byte.
 */
#ifndef OL_BENCH_WORKLOADS_BUILTIN_H
#define OL_BENCH_WORKLOADS_BUILTIN_H

#include "bench/workloads/random.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OL_BUILTIN_LAYERS = 3 };

struct ol_builtin_item {
    char *path;   /* owned; relative, no trailing slash */
    char *link;   /* owned; symlink text or hard link target, else NULL */
    char type;    /* as in tar: '0', '1', '2', '5' */
    bool implied; /* a parent directory; an item of its own for the same path wins */
    unsigned mode;
    uint64_t size;
    uint64_t seed;  /* of the content */
    uint64_t order; /* of making, to tell equal paths apart */
    int64_t mtime;
};

struct ol_builtin_list {
    struct ol_builtin_item *items;
    size_t count, cap;
    struct ol_random random;
    int r; /* first failure (-ENOMEM); later additions do nothing */
};

/** The sorted entries of one layer (from 0). @return 0 or -ENOMEM */
int ol_builtin_layer(uint64_t seed, size_t index, struct ol_builtin_list *ret);
void ol_builtin_list_fini(struct ol_builtin_list *list);

/* builtin_list.c: building blocks. */
void ol_builtin_start(struct ol_builtin_list *list, uint64_t seed, size_t index);
/** Directory, with its parents. */
void ol_builtin_dir(struct ol_builtin_list *list, unsigned mode, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Regular file of a size around size_class (64, 256, 1024 …; half to four times of it), with its
 * parents. */
void ol_builtin_file(struct ol_builtin_list *list, unsigned mode, uint64_t size_class,
                     const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/** Symlink ('2') or hard link ('1') with its parents. */
void ol_builtin_link(struct ol_builtin_list *list, char type, const char *target, const char *fmt,
                     ...) __attribute__((format(printf, 4, 5)));
/** Deletion of a path, with its parents. */
void ol_builtin_whiteout(struct ol_builtin_list *list, const char *path);
/** True with a probability of percent in a hundred. */
bool ol_builtin_chance(struct ol_builtin_list *list, unsigned percent);
unsigned ol_builtin_pick(struct ol_builtin_list *list, unsigned n);
/** A made-up word of two to four syllables, first letter as upper case when wanted. */
const char *ol_builtin_word(struct ol_builtin_list *list, bool upper, char buf[static 16]);
/** Sort, let items win over implied ones. */
void ol_builtin_finish(struct ol_builtin_list *list);

/* builtin_tree.c: the layers. */
void ol_builtin_base(struct ol_builtin_list *list);
void ol_builtin_packages(struct ol_builtin_list *list, const struct ol_builtin_list *base);
void ol_builtin_application(struct ol_builtin_list *list, const struct ol_builtin_list *base);

#endif
