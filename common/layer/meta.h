/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owner, attributes, mode and times of what an entry made, in moby's order (chown clears file
 * capabilities and set-id bits, so it comes first) and only where the kernel did not already give
 * what was asked for. Everything goes through a descriptor of the new object, or through its name
 * without following it.
 */
#ifndef OL_COMMON_LAYER_META_H
#define OL_COMMON_LAYER_META_H

#include "common/layer/reader.h"

#include <sys/stat.h>

struct ol_meta_counts {
    uint64_t squashed_owners;
    uint64_t dropped_xattrs;
};

struct ol_meta {
    unsigned mode;
    uint32_t uid, gid;
    struct timespec mtime;
    const struct ol_entry_xattr *xattrs;
    size_t n_xattrs;
    bool keep_owner;
    bool set_times; /* false for directories: theirs come last */
};

struct ol_meta ol_meta_of(const struct ol_entry *entry, bool keep_owner);

/**
 * Give the object its metadata.
 * @param name  "": fd is the object itself (no O_PATH descriptor); else the object is fd/name
 * @param st    of the object as it is now
 * @return 0 or negative errno; no text
 */
int ol_meta_apply(int fd, const char *name, const struct stat *st, const struct ol_meta *meta,
                  struct ol_meta_counts *counts);

/** True when ol_meta_apply() would change nothing. */
bool ol_meta_same(int fd, const char *name, const struct stat *st, const struct ol_meta *meta);

#endif
