/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of small images, for tests to put together right or wrong. */
#ifndef OL_TESTS_IMAGE_BUILDER_H
#define OL_TESTS_IMAGE_BUILDER_H

#include "support/tarball.h"

#include "common/digest.h"

/* v1 ids: directory names in old docker-archives. */
#define V1_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define V1_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct blob {
    char digest[OL_DIGEST_SIZE];
    char path[OL_DIGEST_SIZE + 16]; /* "blobs/sha256/<hex>" */
    size_t len;
};

/* The two-layer image every test starts from, as `docker save` before 25 writes it. */
struct parts {
    struct tarball layer[2];
    struct blob blob[2];
    char *config;   /* owned */
    char *manifest; /* owned */
    struct blob config_blob;
};

/* What goes into an OCI layout, and into the new docker-archive. */
struct layout {
    char *manifest, *index, *docker; /* owned */
    struct blob manifest_blob;
};

void make_layer(struct tarball *tar, const char *name);
struct blob blob_of(const void *data, size_t len);
char *text_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *config_of(const char *diff_ids);
void parts_make(struct parts *p);
void parts_fini(struct parts *p);
void add_layer_file(struct tarball *tar, const char *id, const struct tarball *layer);
/** The whole docker-archive, with another manifest or config (NULL: the right one). */
void docker_make(struct tarball *tar, const char *manifest, const char *config);
void layout_make(struct layout *l, const struct parts *p, const char *layer_type);
void layout_fini(struct layout *l);
void add_layout(struct tarball *tar, const struct parts *p, const struct layout *l);

#endif
