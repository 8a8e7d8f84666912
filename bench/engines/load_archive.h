/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The archives that give a real engine one more layer: the image made of all layers so far, with
 * the last layer's tar in it. The others are there already and are found by their ChainIDs.
 */
#ifndef OL_BENCH_ENGINES_LOAD_ARCHIVE_H
#define OL_BENCH_ENGINES_LOAD_ARCHIVE_H

#include "common/digest.h"
#include "common/io.h"

struct ol_load_archive {
    int fd; /* owned; an unlinked file */
    uint64_t size;
    char image_id[OL_DIGEST_SIZE];
};

#define OL_LOAD_ARCHIVE_INIT ((struct ol_load_archive){.fd = -1})
void ol_load_archive_fini(struct ol_load_archive *archive);

/**
 * A docker-archive, for dockerd.
 *
 * @param dir       where the unlinked files are made
 * @param layer     the topmost layer's tar; any compression
 * @param diff_ids  of all layers; [n - 1], the topmost one's, is filled in
 * @param want      what that has to be, or NULL; -EBADMSG otherwise
 */
int ol_load_archive_make(const char *dir, const struct ol_input *layer,
                         char (*diff_ids)[OL_DIGEST_SIZE], size_t n, const char *want,
                         struct ol_load_archive *ret, struct ol_error *err);

/**
 * The same as an OCI layout with the image under this name, for containerd. The blobs of the layers
 * below are in its content store.
 *
 * @param sizes  of all layers' tars; [n - 1] is filled in
 */
int ol_oci_archive_make(const char *dir, const char *name, const struct ol_input *layer,
                        char (*diff_ids)[OL_DIGEST_SIZE], uint64_t *sizes, size_t n,
                        const char *want, struct ol_load_archive *ret, struct ol_error *err);

/** Give an unnamed file a name, replacing nothing. */
int ol_fd_link(int fd, const char *path, struct ol_error *err);

/** Decompress a layer into an unlinked file in dir. @param want as above. @return descriptor the
 * caller owns, or negative errno */
int ol_layer_spool(const char *dir, const struct ol_input *layer, const char *want,
                   char ret_diff_id[static OL_DIGEST_SIZE], struct ol_error *err);

#endif
