/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the archive follows what docker 20.10, containerd 1.6 and umoci 0.4 read (spec of the
 * OCI image layout 1.0; moby image/tarexport; containerd images/archive). Members are sorted, owned
 * by 0:0 and of 1970.
 */
#include "store/export_layout.h"

#include "common/buf.h"
#include "common/layer/tar_writer.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEDIA_INDEX    "application/vnd.oci.image.index.v1+json"
#define MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_CONFIG   "application/vnd.oci.image.config.v1+json"
#define MEDIA_LAYER    "application/vnd.oci.image.layer.v1.tar"
#define OCI_LAYOUT     "{\"imageLayoutVersion\":\"1.0.0\"}"
#define BLOBS          "blobs/sha256/"

enum { MODE_DIR = 0755, MODE_FILE = 0644 };

static const char *layer_media(enum ol_compression compression)
{
    switch (compression) {
    case OL_COMPRESS_GZIP:
        return MEDIA_LAYER "+gzip";
    case OL_COMPRESS_ZSTD:
        return MEDIA_LAYER "+zstd";
    case OL_COMPRESS_NONE:
        break;
    }
    return MEDIA_LAYER;
}

static json_t *descriptor(const char *media, const struct ol_blob *blob)
{
    return json_pack("{ss, ss, sI}", "mediaType", media, "digest", blob->digest, "size",
                     (json_int_t)blob->size);
}

/* The text of a JSON value that is given up here; NULL value: something had no memory. */
static int take_text(json_t *json, char **ret, struct ol_error *err)
{
    *ret = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return *ret == NULL ? ol_error_nomem(err) : 0;
}

int ol_export_manifest(struct ol_export *e, struct ol_export_image *image, struct ol_error *err)
{
    const char *media = layer_media(e->options->compression);
    json_t *layers = json_array();
    char *text = NULL;
    int r = 0;

    for (size_t i = 0; i < image->n_layers && r == 0; i++)
        r = json_array_append_new(layers, descriptor(media, &image->layers[i].blob));
    if (r < 0) {
        json_decref(layers);
        return ol_error_nomem(err);
    }
    r = take_text(json_pack("{si, ss, so, so}", "schemaVersion", 2, "mediaType", MEDIA_MANIFEST,
                            "config", descriptor(MEDIA_CONFIG, &image->config), "layers", layers),
                  &text, err);
    if (r == 0)
        r = ol_spool_add(&e->spool, text, strlen(text), &image->manifest, err);
    free(text);
    return r;
}

/* ---- index.json ---- */

static const char *tag_of(const struct ol_reference *name)
{
    return name->text + strlen(name->repository) + 1;
}

/* Tools that know only this annotation find an image by its tag, so it has to be the only one. */
static bool tag_is_unique(const struct ol_export *e, const struct ol_reference *name)
{
    size_t found = 0;

    for (size_t i = 0; i < e->count; i++)
        for (size_t j = 0; j < e->list[i].n_tags; j++)
            found += strcmp(tag_of(&e->list[i].tags[j]), tag_of(name)) == 0;
    return found == 1;
}

/* With registry and all, as containerd names images (distribution/reference, splitDockerDomain). */
static int full_name(const struct ol_reference *name, struct ol_buf *ret)
{
    const char *slash = strchr(name->repository, '/');
    size_t first = slash != NULL ? (size_t)(slash - name->repository) : 0;
    bool registry = slash != NULL && (memchr(name->repository, '.', first) != NULL ||
                                      memchr(name->repository, ':', first) != NULL ||
                                      strncmp(name->repository, "localhost/", 10) == 0);

    ol_buf_truncate(ret, 0);
    return ol_buf_printf(ret, "%s%s%s", registry ? "" : "docker.io/",
                         slash == NULL ? "library/" : "", name->text);
}

static int add_named(const struct ol_export *e, const struct ol_export_image *image,
                     const struct ol_reference *name, json_t *manifests)
{
    ol_auto_buf struct ol_buf full = OL_BUF_INIT;
    json_t *entry;

    if (full_name(name, &full) < 0)
        return -1;
    entry = descriptor(MEDIA_MANIFEST, &image->manifest);
    if (json_object_set_new(entry, "annotations",
                            json_pack("{ss, ss}", "io.containerd.image.name", ol_buf_str(&full),
                                      "org.opencontainers.image.ref.name",
                                      tag_is_unique(e, name) ? tag_of(name) : name->text)) < 0) {
        json_decref(entry);
        return -1;
    }
    return json_array_append_new(manifests, entry);
}

static int make_index(const struct ol_export *e, char **ret, struct ol_error *err)
{
    json_t *manifests = json_array();
    int r = 0;

    for (size_t i = 0; i < e->count && r == 0; i++) {
        const struct ol_export_image *image = &e->list[i];
        if (image->n_tags == 0)
            r = json_array_append_new(manifests, descriptor(MEDIA_MANIFEST, &image->manifest));
        for (size_t j = 0; j < image->n_tags && r == 0; j++)
            r = add_named(e, image, &image->tags[j], manifests);
    }
    if (r < 0) {
        json_decref(manifests);
        return ol_error_nomem(err);
    }
    return take_text(json_pack("{si, ss, so}", "schemaVersion", 2, "mediaType", MEDIA_INDEX,
                               "manifests", manifests),
                     ret, err);
}

/* ---- manifest.json and repositories ---- */

static json_t *blob_path(const struct ol_blob *blob)
{
    return json_sprintf(BLOBS "%s", ol_digest_hex(blob->digest));
}

/* The id its parent gets in the archive, when that is in it; NULL when it is not. */
static const char *parent_of(const struct ol_export *e, const struct ol_export_image *image)
{
    for (size_t i = 0; i < e->count; i++) {
        if (strcmp(e->list[i].stored.id, image->stored.parent) == 0)
            return e->list[i].config.digest;
    }
    return NULL;
}

static json_t *item(const struct ol_export *e, const struct ol_export_image *image)
{
    const char *parent = parent_of(e, image);
    json_t *tags = image->n_tags > 0 ? json_array() : json_null();
    json_t *layers = json_array();
    int r = 0;

    for (size_t i = 0; i < image->n_tags && r == 0; i++)
        r = json_array_append_new(tags, json_string(image->tags[i].text));
    for (size_t i = 0; i < image->n_layers && r == 0; i++)
        r = json_array_append_new(layers, blob_path(&image->layers[i].blob));
    if (r < 0) {
        json_decref(tags);
        json_decref(layers);
        return NULL;
    }
    return json_pack("{so, so, so, ss*}", "Config", blob_path(&image->config), "RepoTags", tags,
                     "Layers", layers, "Parent", parent);
}

static int make_items(const struct ol_export *e, char **ret, struct ol_error *err)
{
    json_t *items = json_array();

    for (size_t i = 0; i < e->count; i++)
        if (json_array_append_new(items, item(e, &e->list[i])) < 0) {
            json_decref(items);
            return ol_error_nomem(err);
        }
    return take_text(items, ret, err);
}

static int add_repository(json_t *repositories, const struct ol_reference *name, const char *hex)
{
    json_t *tags = json_object_get(repositories, name->repository);

    if (tags != NULL)
        return json_object_set_new(tags, tag_of(name), json_string(hex));
    return json_object_set_new(repositories, name->repository,
                               json_pack("{ss}", tag_of(name), hex));
}

/* Empty when no image has a name. */
static int make_repositories(const struct ol_export *e, char **ret, struct ol_error *err)
{
    json_t *repositories = json_object();
    int r = 0;

    for (size_t i = 0; i < e->count && r == 0; i++) {
        const struct ol_export_image *image = &e->list[i];
        const struct ol_export_layer *top = &image->layers[image->n_layers - 1];
        for (size_t j = 0; j < image->n_tags && r == 0; j++)
            r = add_repository(repositories, &image->tags[j], ol_digest_hex(top->blob.digest));
    }
    if (r < 0) {
        json_decref(repositories);
        return ol_error_nomem(err);
    }
    return take_text(repositories, ret, err);
}

/* ---- the archive ---- */

static int put_header(struct ol_tar_writer *tar, const char *name, uint64_t size,
                      struct ol_error *err)
{
    bool directory = name[strlen(name) - 1] == '/';
    const struct ol_tar_header header = {
        .name = name,
        .type = directory ? '5' : '0',
        .mode = directory ? MODE_DIR : MODE_FILE,
        .size = size,
    };

    return ol_tar_put_header(tar, &header, err);
}

static int put_text(struct ol_tar_writer *tar, const char *name, const char *text,
                    const char *line_end, struct ol_error *err)
{
    int r = put_header(tar, name, strlen(text) + strlen(line_end), err);

    if (r == 0)
        r = ol_tar_put_data(tar, text, strlen(text), err);
    return r < 0 ? r : ol_tar_put_data(tar, line_end, strlen(line_end), err);
}

static int put_blob(struct ol_tar_writer *tar, int spool_fd, const struct ol_blob *blob,
                    struct ol_error *err)
{
    char name[sizeof BLOBS + OL_HEX_SIZE];
    int r;

    (void)snprintf(name, sizeof name, BLOBS "%s", ol_digest_hex(blob->digest));
    if (lseek(spool_fd, (off_t)blob->start, SEEK_SET) < 0)
        return ol_error_sys(err, errno, "cannot read the spooled blobs");
    r = put_header(tar, name, blob->size, err);
    return r < 0 ? r : ol_tar_put_file(tar, spool_fd, err);
}

static int put_blobs(struct ol_tar_writer *tar, struct ol_spool *spool, struct ol_error *err)
{
    int r = put_header(tar, "blobs/", 0, err);

    if (r == 0)
        r = put_header(tar, BLOBS, 0, err);
    ol_spool_sort(spool);
    for (size_t i = 0; i < spool->count && r == 0; i++)
        r = put_blob(tar, spool->fd, &spool->list[i], err);
    return r;
}

struct texts {
    char *index, *items, *repositories; /* owned */
};

static int make_texts(const struct ol_export *e, struct texts *ret, struct ol_error *err)
{
    int r = make_index(e, &ret->index, err);

    if (r == 0)
        r = make_items(e, &ret->items, err);
    return r < 0 ? r : make_repositories(e, &ret->repositories, err);
}

static int put_texts(struct ol_tar_writer *tar, const struct texts *texts, struct ol_error *err)
{
    int r = put_text(tar, "index.json", texts->index, "", err);

    if (r == 0)
        r = put_text(tar, "manifest.json", texts->items, "\n", err);
    if (r == 0)
        r = put_text(tar, "oci-layout", OCI_LAYOUT, "", err);
    if (r == 0 && strcmp(texts->repositories, "{}") != 0)
        r = put_text(tar, "repositories", texts->repositories, "\n", err);
    return r;
}

int ol_export_write(struct ol_export *e, int out_fd, struct ol_export_result *ret,
                    struct ol_error *err)
{
    struct texts texts = {NULL, NULL, NULL};
    struct ol_tar_writer *tar = NULL;
    struct ol_tar_result written;
    int r = make_texts(e, &texts, err);

    if (r == 0)
        r = ol_tar_writer_new(out_fd, &tar, err);
    if (r == 0) {
        ol_tar_writer_set_work(tar, OL_TAR_THREAD);
        r = put_blobs(tar, &e->spool, err);
    }
    if (r == 0)
        r = put_texts(tar, &texts, err);
    if (r == 0)
        r = ol_tar_finish(tar, &written, err);
    if (r == 0 && ret != NULL)
        *ret = (struct ol_export_result){
            .images = e->count, .blobs = e->spool.count, .bytes = written.bytes};
    ol_tar_writer_free(tar);
    free(texts.index);
    free(texts.items);
    free(texts.repositories);
    return r;
}
