/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named limits. A size that comes from outside meets one of these before it meets an allocator, and
 * passing one is an error (-E2BIG) that names the limit and the culprit.
 */
#ifndef OL_COMMON_LIMITS_H
#define OL_COMMON_LIMITS_H

#include <stdint.h>

enum {
    OL_MAX_LOWER_DIRS = 128,     /* overlay2: lower directories of one mount (moby) */
    OL_MAX_IMAGE_LAYERS = 125,   /* moby's layer store: layers of one image */
    OL_MOUNT_OPTIONS_MAX = 4095, /* bytes of options mount(2) passes on; the rest is cut silently */
    OL_ID_MAX = 128,             /* characters of a layer id */
    OL_NAME_MAX = 255,           /* bytes of one path component */
    OL_SMALL_FILE_MAX = 1 << 20, /* bookkeeping files (lower, link, lower-id, JSON of the store) */
    OL_XATTR_VALUE_MAX = 64 << 10,    /* bytes of one xattr value (the kernel's own limit) */
    OL_PIPE_SIZE = 1 << 20,           /* what pipes are enlarged to; 64 KiB halves the speed */
    OL_IO_BLOCK = 1 << 20,            /* bytes per block of streamed data */
    OL_THREADS_MAX = 16,              /* worker threads of one operation */
    OL_IMAGE_JSON_MAX = 4 << 20,      /* bytes of one manifest, index or config of an image */
    OL_ARCHIVE_MEMBERS_MAX = 1 << 16, /* members of an image archive (not of the layers in it) */
    OL_ARCHIVE_NAMES_MAX = 16 << 20,  /* bytes of all their names and link targets */
    OL_ARCHIVE_LINKS_MAX = 16,        /* links followed from one member name to its bytes */
    OL_INDEX_DEPTH_MAX = 4,           /* OCI indexes inside each other */
    OL_INDEX_ENTRIES_MAX = 4096,      /* descriptors looked at to choose one image */
    OL_TARSPLIT_LINE_MAX = 16 << 20,  /* bytes of one line of a tar-split file */
    OL_STORE_LAYERS_MAX = 1 << 20,    /* layers, and containers, of one store */
    OL_STORE_IMAGES_MAX = 1 << 20,    /* images of one store */
    OL_REPOSITORIES_MAX = 64 << 20,   /* bytes of the file with the names of images */
};

/* Limits of one layer archive; all inclusive. */
struct ol_layer_limits {
    uint64_t entries;       /* entries in the archive */
    uint64_t path_bytes;    /* bytes of one entry's name or link target */
    uint64_t depth;         /* components of one name */
    uint64_t file_bytes;    /* logical size of one file */
    uint64_t total_bytes;   /* uncompressed bytes of the stream */
    uint64_t header_bytes;  /* bytes of one entry's extended headers */
    uint64_t xattrs;        /* xattrs of one entry */
    uint64_t sparse_ranges; /* data ranges of one sparse file */
};

#define OL_LAYER_LIMITS_DEFAULT                                                                    \
    ((struct ol_layer_limits){                                                                     \
        .entries = 16u << 20,                                                                      \
        .path_bytes = 4095,                                                                        \
        .depth = 2048,                                                                             \
        .file_bytes = 1ull << 40,                                                                  \
        .total_bytes = 1ull << 42,                                                                 \
        .header_bytes = 1u << 20,                                                                  \
        .xattrs = 256,                                                                             \
        .sparse_ranges = 1u << 16,                                                                 \
    })

#endif
