/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading layer tars: one shared applier for every driver, and a scan for those who only want the
 * headers. libarchive reads the tar (this directory is the only code that sees it); names are raw
 * bytes whatever the locale. Plain, gzip, zstd, xz and bzip2 input is told by content.
 */
#ifndef OL_COMMON_LAYER_LAYER_H
#define OL_COMMON_LAYER_LAYER_H

#include "common/digest.h"
#include "common/error.h"
#include "common/fs/whiteout.h"
#include "common/io.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum ol_layer_target {
    OL_LAYER_TREE,  /* a complete tree: whiteouts delete (moby UnpackLayer) */
    OL_LAYER_UPPER, /* an overlay upper: whiteouts become char 0/0 and opaque attributes (moby
                       Unpack) */
    OL_LAYER_ASIS,  /* whiteout names are files like any other */
};

/* What an upper directory will lie over, nearest first. */
struct ol_layer_lowers {
    size_t count;
    /** @return a descriptor of the lower directory, which the caller closes, or negative errno */
    int (*open)(void *data, size_t index);
    void *data;
};

struct ol_layer_options {
    enum ol_layer_target target;
    enum ol_overlay_ns ns; /* OL_LAYER_UPPER: which opaque attribute */
    bool keep_owner;       /* false: the view cannot chown; owners are squashed and counted */
    bool shared_inodes; /* files that were there before share inodes with another layer: never write
                           to them, break the link first (legacy overlay; spec/cves W1) */
    const struct ol_layer_limits *limits; /* NULL: OL_LAYER_LIMITS_DEFAULT */
    unsigned threads;                     /* 0: choose; 1: none but the caller's */
    const struct ol_layer_lowers
        *lowers;      /* OL_LAYER_UPPER: directories that entries only imply get
                         owner, mode and attributes of the one below, where the
                         first lower that has the name has a directory
                         (containerd); NULL: mode 0755 and nothing else (moby) */
    bool ignore_root; /* "./" does not change the root itself (containerd; moby in an upper) */
    bool no_digest;   /* do not compute the DiffID, for a caller who knows it: it costs as much as
                         creating the files. ret->diff_id is "" then */
};

struct ol_layer_result {
    char diff_id[OL_DIGEST_SIZE]; /* SHA-256 of the whole uncompressed stream, padding included */
    uint64_t stream_bytes;        /* its length */
    uint64_t header_size_sum; /* sum of the size fields of all entries: moby's UnpackLayer size */
    uint64_t entries;
    uint64_t regular;     /* type '0' entries that are no whiteouts */
    uint64_t directories; /* directory entries, implied parents not counted */
    uint64_t hardlinks;
    uint64_t specials; /* symlinks, devices, fifos */
    uint64_t whiteouts;
    uint64_t opaques;
    uint64_t squashed_owners; /* entries whose owner could not be given to them */
    uint64_t skipped_devices; /* device entries that could not be made without privileges */
    uint64_t dropped_xattrs; /* attributes outside the allow list, or not supported by the target */
    uint64_t broken_links;   /* shared inodes copied before a hard-link entry wrote to them */
};

/**
 * Apply one layer to the directory root_fd. Nothing outside root_fd is created, followed, linked or
 * changed, whatever the archive says (spec/cves.md). The input is read to its end.
 *
 * @param options  NULL: OL_LAYER_TREE with everything off but keep_owner
 * @param ret      may be NULL
 * @return 0; -EBADMSG no well-formed (or a truncated, or corrupt) archive; -E2BIG a limit was
 * passed; -EXDEV or -ELOOP an entry points outside; -EINVAL a forbidden name; else the errno of the
 * failing call. The text names the entry. On failure the tree holds part of the layer: the caller
 *         removes it and never uses it as a parent.
 */
int ol_layer_apply(int root_fd, const struct ol_input *input,
                   const struct ol_layer_options *options, struct ol_layer_result *ret,
                   struct ol_error *err);

enum ol_entry_type {
    OL_ENTRY_FILE,
    OL_ENTRY_DIRECTORY,
    OL_ENTRY_SYMLINK,
    OL_ENTRY_HARDLINK,
    OL_ENTRY_CHAR,
    OL_ENTRY_BLOCK,
    OL_ENTRY_FIFO,
};

/* One header, checked against the limits. Pointers are valid during the call only. */
struct ol_entry {
    const char *path; /* clean: relative, no "..", "" for the root */
    const char *link; /* symlink: verbatim text; hard link: clean path of the target; else NULL */
    enum ol_entry_type type;
    unsigned mode; /* 12 permission bits */
    uint32_t uid, gid;
    uint64_t size; /* logical bytes of a file */
    struct timespec mtime;
    uint32_t dev_major, dev_minor;
};

typedef int ol_entry_fn(const struct ol_entry *entry, void *data, struct ol_error *err);

/**
 * Call fn for each header, in archive order; contents are skipped. Whiteouts are files here.
 *
 * In an uncompressed regular file contents are skipped by seeking: then ret->diff_id is "", as the
 * bytes were not read. Any other input is read and digested to its end.
 *
 * @param fn   NULL: only count; a negative result ends the scan and is returned
 * @param ret  may be NULL
 * @return 0; errors of the archive as for ol_layer_apply()
 */
int ol_layer_scan(const struct ol_input *input, const struct ol_layer_limits *limits,
                  ol_entry_fn *fn, void *data, struct ol_layer_result *ret, struct ol_error *err);

enum ol_scan_digest {
    OL_SCAN_DIGEST_IF_READ, /* ol_layer_scan() */
    OL_SCAN_NO_DIGEST,      /* ret->diff_id is "": what cannot be skipped is read, not digested */
    OL_SCAN_DIGEST,         /* nothing is skipped: ret->diff_id is that of any input */
};
/** ol_layer_scan() for who wants the DiffID in any case, or never. */
int ol_layer_scan_digest(const struct ol_input *input, enum ol_scan_digest digest,
                         const struct ol_layer_limits *limits, ol_entry_fn *fn, void *data,
                         struct ol_layer_result *ret, struct ol_error *err);

/**
 * Decompress input (by content) to out_fd, as it is: for archives inside compressed archives and
 * for spooling. Nothing is taken for a tar.
 *
 * @param out_fd       -1: only digest, and check that the input is whole
 * @param ret_diff_id  OL_DIGEST_SIZE bytes, or NULL
 * @return 0; -EBADMSG corrupt or truncated; -E2BIG past limits->total_bytes; the errno of a failing
 *         read or write, with what was written left there
 */
int ol_layer_decompress(const struct ol_input *input, int out_fd,
                        const struct ol_layer_limits *limits, char *ret_diff_id,
                        struct ol_error *err);

#endif
