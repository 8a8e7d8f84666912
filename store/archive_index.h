/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the members of an image archive (the outer tar) lie: name to offset and length, found by
 * reading the headers and seeking over the rest. Layers are then read in place, without unpacking
 * the archive. Understands V7, ustar, GNU long names, PAX and base-256 numbers.
 */
#ifndef OL_STORE_ARCHIVE_INDEX_H
#define OL_STORE_ARCHIVE_INDEX_H

#include "common/buf.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a member's name says about the archive it is in. */
enum ol_archive_guess {
    OL_GUESS_UNKNOWN,
    OL_GUESS_IMAGE,  /* "manifest.json", "blobs/…", "<64 hex>/…": a container of layers */
    OL_GUESS_ROOTFS, /* "etc/…", "usr/…": a root file system */
};
/** @param path clean, see ol_path_clean() */
enum ol_archive_guess ol_archive_guess_name(const char *path);

struct ol_index_entry {
    size_t name;     /* offset in names; clean path */
    size_t link;     /* offset in names of the target as written; for type '1' and '2' */
    uint64_t offset; /* of the payload, bytes from the start of the file */
    uint64_t length; /* of the payload */
    char type;       /* '0' file, '1' hard link, '2' symlink; others are not kept */
    bool sparse;     /* stored as pieces: cannot be read in place */
};

struct ol_archive_index {
    struct ol_index_entry *entries; /* owned; sorted by name, later ones of equal names last */
    size_t count, cap;
    struct ol_buf names;
    bool rootfs; /* a name said "root file system" before any said "image": the scan stopped there
                    and the index is not complete */
};

#define OL_ARCHIVE_INDEX_INIT                                                                      \
    {                                                                                              \
        NULL, 0, 0, OL_BUF_INIT, false                                                             \
    }

/**
 * Index the plain tar in fd (read with pread; its position is untouched).
 * @param size  bytes of the file
 * @return 0; -EBADMSG no tar, or a truncated or corrupt one; -E2BIG too many members or names
 */
int ol_archive_index_build(int fd, uint64_t size, struct ol_archive_index *ret,
                           struct ol_error *err);
void ol_archive_index_fini(struct ol_archive_index *index);

/**
 * Find a clean name. @return 0, -ENOENT, or -EBADMSG when two members have this name: what a reader
 * sees would depend on the reader (spec: verify the bytes that are used).
 */
int ol_archive_index_find(const struct ol_archive_index *index, const char *name,
                          const struct ol_index_entry **ret, struct ol_error *err);

#endif
