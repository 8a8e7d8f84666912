/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of 64-bit keyed hashes: what an archive has written so far. Eight to sixteen bytes per
 * entry instead of the names. The key is random for each set, so an archive cannot be made in which
 * one name passes for another. Objects are named by (device and inode of the directory, name):
 * two paths to one directory give one key.
 */
#ifndef OL_COMMON_LAYER_SEEN_H
#define OL_COMMON_LAYER_SEEN_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* What is remembered about an object; part of its key. */
enum ol_seen_what {
    OL_SEEN_WRITTEN = 'w',   /* an entry of this archive made this name */
    OL_SEEN_NEW_DIR = 'd',   /* this directory (its own inode, name "") was made by this archive */
    OL_SEEN_PRIVATE = 'p',   /* this name's shared inode was replaced by a copy */
    OL_SEEN_SHARED = 's',    /* another layer's inode (its own number, name "") got a name here */
    OL_SEEN_MODE_SET = 'm',  /* this directory (its own inode, name "") has its final mode */
    OL_SEEN_MODE_LATE = 'l', /* this directory (its own inode, name "") gets its mode at the end */
    OL_SEEN_LISTED = 't',    /* tar-split: an entry of this whole path (dev and ino 0) */
};

struct ol_seen {
    uint64_t key[2];
    uint64_t *slots; /* owned; 0 is free */
    size_t size;     /* a power of two, or 0 */
    size_t used;
};

int ol_seen_init(struct ol_seen *seen, struct ol_error *err);
void ol_seen_fini(struct ol_seen *seen);

uint64_t ol_seen_key(const struct ol_seen *seen, enum ol_seen_what what, dev_t dev, ino_t ino,
                     const char *name);
/** @return 1 it was there, 0 it was added, -ENOMEM */
int ol_seen_insert(struct ol_seen *seen, uint64_t key);
bool ol_seen_has(const struct ol_seen *seen, uint64_t key);

#endif
