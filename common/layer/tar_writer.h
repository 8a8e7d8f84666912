/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar stream writer with Go archive/tar's header bytes (format PAX requested, as moby does), a
 * large buffer and a running SHA-256. Long streams are digested, or written where no digest is
 * wanted, by a thread of the writer's own. SIGPIPE is held back around each write, so a reader that
 * goes away ends in -EPIPE whatever the program does about signals.
 */
#ifndef OL_COMMON_LAYER_TAR_WRITER_H
#define OL_COMMON_LAYER_TAR_WRITER_H

#include "common/digest.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct ol_tar_xattr {
    const char *name;
    const void *value;
    size_t len;
};

/* Go's tar.Header as far as layers need it; strings are borrowed for the call. */
struct ol_tar_header {
    const char *name; /* as it goes into the archive: no leading slash, directories end in "/" */
    const char *link; /* "" or NULL when there is none */
    char type; /* '0' file, '1' hard link, '2' symlink, '3' char, '4' block, '5' directory, '6' fifo
                */
    unsigned mode; /* as written; moby adds the file-type bits, see ol_tar_mode() */
    uint64_t uid, gid;
    const char *uname, *gname; /* NULL: empty */
    uint64_t size;
    struct timespec mtime; /* nanoseconds other than 0 make a PAX record */
    uint32_t dev_major, dev_minor;
    const struct ol_tar_xattr *xattrs;
    size_t n_xattrs;
};

struct ol_tar_result {
    char diff_id[OL_DIGEST_SIZE];
    uint64_t bytes;   /* length of the stream */
    uint64_t entries; /* headers written */
};

struct ol_tar_writer;

/** @param out_fd borrowed; enlarged when it is a pipe. -1: only count and digest. */
int ol_tar_writer_new(int out_fd, struct ol_tar_writer **ret, struct ol_error *err);
void ol_tar_writer_free(struct ol_tar_writer *tar);

enum ol_tar_work {
    OL_TAR_DIGEST = 1, /* SHA-256 of the stream; without it the result's diff_id is "" */
    OL_TAR_THREAD = 2, /* a long stream may start a thread of the writer's own */
};

/** Choose what is done and by whom, before the first header. The default is both. */
void ol_tar_writer_set_work(struct ol_tar_writer *tar, unsigned work);

/** Write one header; the payload of the last entry must be complete. */
int ol_tar_put_header(struct ol_tar_writer *tar, const struct ol_tar_header *header,
                      struct ol_error *err);
/** Payload bytes of the current entry; more than its size is -EINVAL. */
int ol_tar_put_data(struct ol_tar_writer *tar, const void *data, size_t len, struct ol_error *err);
/** Payload from a descriptor: exactly the size given in the header; -ENODATA when fd ends early. */
int ol_tar_put_file(struct ol_tar_writer *tar, int fd, struct ol_error *err);
/** Two zero blocks, flush, digest. The writer can only be freed afterwards. */
int ol_tar_finish(struct ol_tar_writer *tar, struct ol_tar_result *ret, struct ol_error *err);

/** moby's mode field: 12 permission bits plus the file-type bits of st_mode. */
unsigned ol_tar_mode(unsigned st_mode);

#endif
