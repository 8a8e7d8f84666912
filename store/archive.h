/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files an image consists of, by name, whether they are members of a tar or lie in a directory.
 * Names come from inside the image and are hostile: in a tar they are only ever looked up in the
 * index, in a directory they are resolved beneath it.
 */
#ifndef OL_STORE_ARCHIVE_H
#define OL_STORE_ARCHIVE_H

#include "common/buf.h"
#include "common/error.h"
#include "common/io.h"
#include "store/archive_index.h"

struct ol_archive;

/**
 * A plain tar. fd and index are taken over (index is emptied), also on failure.
 * @param size bytes of the file
 */
int ol_archive_new_tar(int fd, struct ol_archive_index *index, struct ol_archive **ret,
                       struct ol_error *err);
/** A directory. fd is taken over, also on failure. */
int ol_archive_new_dir(int fd, struct ol_archive **ret, struct ol_error *err);
/** One more owner; the images of one archive share it. Not from several threads. @return archive */
struct ol_archive *ol_archive_ref(struct ol_archive *archive);
/** Drop one owner; the last one closes it. Accepts NULL. */
void ol_archive_free(struct ol_archive *archive);

/**
 * The first member of a tar that only an archive of image layers has ("blobs/sha256/…",
 * "<64 hex>/layer.tar"), or NULL; NULL for a directory. Owned by the archive.
 */
const char *ol_archive_layer_name(const struct ol_archive *archive);

/**
 * Open a file of the image for reading. Links are followed inside the archive.
 * @param ret     valid until *ret_fd is closed and as long as the archive lives
 * @param ret_fd  a descriptor the caller closes, or -1 when the archive's own is used
 * @return 0; -ENOENT; -EXDEV the name climbs; -ELOOP; -EBADMSG ambiguous; -EINVAL no regular file;
 *         -ENOTSUP stored sparsely
 */
int ol_archive_open(const struct ol_archive *archive, const char *name, struct ol_input *ret,
                    int *ret_fd, struct ol_error *err);

/** Read a whole file of at most max bytes, appended to buf. -E2BIG past max. */
int ol_archive_read(const struct ol_archive *archive, const char *name, size_t max,
                    struct ol_buf *buf, struct ol_error *err);

#endif
