/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 digests in the "sha256:<64 lower-case hex>" form of the OCI image spec (descriptor.md,
 * "Digests"), ChainIDs (config.md, "Layer ChainID"), and random layer ids.
 */
#ifndef OL_COMMON_DIGEST_H
#define OL_COMMON_DIGEST_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    OL_SHA256_BYTES = 32,
    OL_HEX_SIZE = 64 + 1,        /* hex digits and the NUL */
    OL_DIGEST_SIZE = 7 + 64 + 1, /* "sha256:", hex digits, NUL */
};

/* DiffID of docker's empty layer: 1,024 zero bytes (moby layer/empty.go). */
#define OL_EMPTY_DIFF_ID "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

struct ol_hash; /* a running SHA-256 */

int ol_hash_new(struct ol_hash **ret, struct ol_error *err);
void ol_hash_free(struct ol_hash *hash);
void ol_hash_update(struct ol_hash *hash, const void *data, size_t len);
/** Finish and write the digest string; the object can only be freed afterwards. */
void ol_hash_final(struct ol_hash *hash, char ret[static OL_DIGEST_SIZE]);

/** Digest of one buffer. */
int ol_digest_of(const void *data, size_t len, char ret[static OL_DIGEST_SIZE],
                 struct ol_error *err);

/** True for "sha256:" and exactly 64 digits of [0-9a-f]; everything that becomes a path is asked.
 */
bool ol_digest_valid(const char *text);

/** The hex part of a valid digest (points into it). */
const char *ol_digest_hex(const char *digest);

/**
 * ChainID of a layer on top of parent: sha256("<parent ChainID> <DiffID>"), or the DiffID itself
 * for a base layer (parent NULL).
 */
int ol_chain_id(const char *parent_chain, const char *diff_id, char ret[static OL_DIGEST_SIZE],
                struct ol_error *err);

/** 64 random hex digits from the kernel; re-drawn while the first 12 are all decimal, as moby does.
 */
int ol_random_id(char ret[static OL_HEX_SIZE], struct ol_error *err);

#endif
