/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 through libcrypto (which uses the CPU's SHA extensions), ChainIDs, random ids. */
#include "common/digest.h"

#include "common/cleanup.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <sys/random.h>

struct ol_hash {
    EVP_MD_CTX *ctx;
};

static void to_hex(const unsigned char *bytes, size_t n, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
}

int ol_hash_new(struct ol_hash **ret, struct ol_error *err)
{
    struct ol_hash *hash = calloc(1, sizeof *hash);

    if (hash == NULL)
        return ol_error_nomem(err);
    hash->ctx = EVP_MD_CTX_new();
    if (hash->ctx == NULL || EVP_DigestInit_ex(hash->ctx, EVP_sha256(), NULL) != 1) {
        ol_hash_free(hash);
        return ol_error_set(err, -ENOMEM, "cannot start a SHA-256 digest");
    }
    *ret = hash;
    return 0;
}

void ol_hash_free(struct ol_hash *hash)
{
    if (hash == NULL)
        return;
    EVP_MD_CTX_free(hash->ctx);
    free(hash);
}

void ol_hash_update(struct ol_hash *hash, const void *data, size_t len)
{
    (void)EVP_DigestUpdate(hash->ctx, data, len); /* cannot fail once initialised */
}

void ol_hash_final(struct ol_hash *hash, char ret[static OL_DIGEST_SIZE])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    (void)EVP_DigestFinal_ex(hash->ctx, bytes, &len); /* cannot fail once initialised */
    memcpy(ret, "sha256:", 7);
    to_hex(bytes, OL_SHA256_BYTES, ret + 7);
}

int ol_digest_of(const void *data, size_t len, char ret[static OL_DIGEST_SIZE],
                 struct ol_error *err)
{
    struct ol_hash *hash = NULL;
    int r = ol_hash_new(&hash, err);

    if (r < 0)
        return r;
    ol_hash_update(hash, data, len);
    ol_hash_final(hash, ret);
    ol_hash_free(hash);
    return 0;
}

bool ol_digest_valid(const char *text)
{
    if (strncmp(text, "sha256:", 7) != 0)
        return false;
    text += 7;
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

const char *ol_digest_hex(const char *digest)
{
    return digest + 7;
}

int ol_chain_id(const char *parent_chain, const char *diff_id, char ret[static OL_DIGEST_SIZE],
                struct ol_error *err)
{
    char text[2 * OL_DIGEST_SIZE + 1];
    int len;

    if (!ol_digest_valid(diff_id) || (parent_chain != NULL && !ol_digest_valid(parent_chain)))
        return ol_error_set(err, -EINVAL, "not a sha256 digest: '%s'",
                            ol_digest_valid(diff_id) ? parent_chain : diff_id);
    if (parent_chain == NULL) {
        memcpy(ret, diff_id, OL_DIGEST_SIZE);
        return 0;
    }
    len = snprintf(text, sizeof text, "%s %s", parent_chain, diff_id);
    return ol_digest_of(text, (size_t)len, ret, err);
}

int ol_random_id(char ret[static OL_HEX_SIZE], struct ol_error *err)
{
    unsigned char bytes[OL_SHA256_BYTES];

    do {
        if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
            return ol_error_sys(err, errno, "cannot read random bytes from the kernel");
        to_hex(bytes, sizeof bytes, ret);
    } while (strspn(ret, "0123456789") >= 12);
    return 0;
}
