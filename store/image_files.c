/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images whose layers are files of an archive. A file that is named after its digest is held
 * against it: a thread hashes the stored bytes while the layer is being applied from them. What is
 * stored uncompressed under its DiffID needs none, as the applier computes that very digest.
 */
#include "store/image_internal.h"

#include "common/cleanup.h"
#include "common/limits.h"
#include "store/thread.h"

#include <errno.h>

struct ol_image_files {
    struct ol_archive *archive;       /* owned */
    char **members;                   /* owned */
    char (*diff_ids)[OL_DIGEST_SIZE]; /* owned */
    size_t count;
};

/* One file being hashed. */
struct check {
    pthread_t thread;
    struct ol_input input; /* borrowed descriptor, read with pread */
    const char *want;      /* hex */
    int result;
    struct ol_error err;
};

static int hash_input(const struct check *check, struct ol_hash *hash, void *block,
                      struct ol_error *err)
{
    uint64_t done = 0;

    while (done < check->input.length) {
        uint64_t left = check->input.length - done;
        ssize_t n = ol_io_pread(check->input.fd, block,
                                left < OL_IO_BLOCK ? (size_t)left : OL_IO_BLOCK,
                                check->input.offset + (int64_t)done);
        if (n < 0)
            return ol_error_sys(err, (int)-n, "cannot read it");
        if (n == 0)
            return ol_error_set(err, -EBADMSG, "it ended early");
        ol_hash_update(hash, block, (size_t)n);
        done += (uint64_t)n;
    }
    return 0;
}

static int hash_and_compare(const struct check *check, struct ol_error *err)
{
    ol_auto_free void *block = malloc(OL_IO_BLOCK);
    char digest[OL_DIGEST_SIZE] = "";
    struct ol_hash *hash = NULL;
    int r = block == NULL ? ol_error_nomem(err) : ol_hash_new(&hash, err);

    if (r == 0)
        r = hash_input(check, hash, block, err);
    if (r == 0)
        ol_hash_final(hash, digest);
    ol_hash_free(hash);
    if (r == 0 && strcmp(ol_digest_hex(digest), check->want) != 0)
        r = ol_error_set(err, -EBADMSG, "its bytes have the digest '%s'", digest);
    return r < 0 ? ol_error_wrap(err, r, "blob 'sha256:%s'", check->want) : 0;
}

static void *check_run(void *arg)
{
    struct check *check = arg;

    check->result = hash_and_compare(check, &check->err);
    return NULL;
}

const char *ol_image_blob_hex(const char *member)
{
    static const char prefix[] = "blobs/sha256/";
    const char *hex;

    if (strncmp(member, "./", 2) == 0)
        member += 2;
    if (strncmp(member, prefix, sizeof prefix - 1) != 0)
        return NULL;
    hex = member + sizeof prefix - 1;
    return strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64 ? hex : NULL;
}

/* Whether the digest of the stored bytes is none the applier computes anyway. */
static bool needs_check(const struct ol_image_files *files, size_t index,
                        const struct ol_input *input)
{
    const char *hex = ol_image_blob_hex(files->members[index]);
    unsigned char head[OL_IMAGE_MAGIC_SIZE];
    ssize_t n;

    if (hex == NULL)
        return false;
    if (strcmp(hex, ol_digest_hex(files->diff_ids[index])) != 0)
        return true;
    n = ol_io_pread(input->fd, head,
                    input->length < sizeof head ? (size_t)input->length : sizeof head,
                    input->offset);
    return n < 0 || ol_image_is_compressed(head, (size_t)n);
}

static int start_check(const struct ol_image_files *files, size_t index,
                       struct ol_image_stream *stream, struct ol_error *err)
{
    struct check *check = calloc(1, sizeof *check);
    int r;

    if (check == NULL)
        return ol_error_nomem(err);
    check->input = stream->input;
    check->want = ol_image_blob_hex(files->members[index]);
    r = ol_thread_start(&check->thread, check_run, check, err);
    if (r < 0)
        free(check);
    else
        stream->priv = check;
    return r;
}

static int files_open(void *data, size_t index, struct ol_image_stream *ret, struct ol_error *err)
{
    const struct ol_image_files *files = data;
    int r = ol_archive_open(files->archive, files->members[index], &ret->input, &ret->own_fd, err);

    if (r == 0 && ret->verify && needs_check(files, index, &ret->input))
        r = start_check(files, index, ret, err);
    if (r < 0)
        ol_fd_close(&ret->own_fd);
    return r;
}

static int files_close(void *data, struct ol_image_stream *stream, struct ol_error *err)
{
    struct check *check = stream->priv;
    int r = 0;

    (void)data;
    if (check != NULL) {
        (void)pthread_join(check->thread, NULL);
        r = check->result;
        if (r < 0)
            ol_error_move(err, &check->err);
        ol_error_fini(&check->err);
        free(check);
    }
    ol_fd_close(&stream->own_fd);
    return r;
}

static void files_free(void *data)
{
    struct ol_image_files *files = data;

    for (size_t i = 0; i < files->count; i++)
        free(files->members[i]);
    free(files->members);
    free(files->diff_ids);
    ol_archive_free(files->archive);
    free(files);
}

const struct ol_image_source_ops ol_image_files_ops = {files_open, files_close, files_free};

int ol_image_files_new(struct ol_archive *archive, struct ol_image_parts *parts,
                       struct ol_image_files **ret, struct ol_error *err)
{
    struct ol_image_files *files = calloc(1, sizeof *files);

    if (files != NULL)
        files->diff_ids = calloc(parts->config.layers, sizeof *files->diff_ids);
    if (files == NULL || files->diff_ids == NULL) {
        free(files);
        return ol_error_nomem(err);
    }
    files->count = parts->config.layers;
    for (size_t i = 0; i < files->count; i++)
        memcpy(files->diff_ids[i], ol_image_config_diff_id(&parts->config, i), OL_DIGEST_SIZE);
    files->archive = ol_archive_ref(archive);
    files->members = ol_ptr_steal(parts->members);
    *ret = files;
    return 0;
}
