/* SPDX-License-Identifier: Apache-2.0 */
/* Making a docker-archive of one new layer; see load_archive.h. */
#include "bench/engines/load_archive.h"

#include "common/cleanup.h"
#include "common/layer/layer.h"
#include "common/layer/tar_writer.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

void ol_load_archive_fini(struct ol_load_archive *archive)
{
    ol_fd_close(&archive->fd);
}

static int unnamed_file(const char *dir, struct ol_error *err)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd < 0 ? ol_error_sys(err, errno, "cannot make a temporary file in '%s'", dir) : fd;
}

int ol_layer_spool(const char *dir, const struct ol_input *layer, const char *want,
                   char ret_diff_id[static OL_DIGEST_SIZE], struct ol_error *err)
{
    ol_auto_fd int fd = unnamed_file(dir, err);
    int r;

    if (fd < 0)
        return fd;
    r = ol_layer_decompress(layer, fd, NULL, ret_diff_id, err);
    if (r < 0)
        return r;
    if (want != NULL && strcmp(want, ret_diff_id) != 0)
        return ol_error_set(err, -EBADMSG, "the layer has DiffID '%s' where '%s' is expected",
                            ret_diff_id, want);
    return ol_fd_steal(&fd);
}

int ol_fd_link(int fd, const char *path, struct ol_error *err)
{
    char self[32];

    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd); /* fits */
    if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
        return ol_error_sys(err, errno, "cannot give '%s' its name", path);
    return 0;
}

/* ---- the documents ---- */

static char *config_text(char (*diff_ids)[OL_DIGEST_SIZE], size_t n)
{
    json_t *ids = json_array();
    json_t *config;
    char *text;

    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(ids, json_string(diff_ids[i])) < 0) {
            json_decref(ids);
            return NULL;
        }
    }
    config = json_pack("{s:s, s:{}, s:{s:s, s:o}}", "os", "linux", "config", "rootfs", "type",
                       "layers", "diff_ids", ids);
    text = config != NULL ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    return text;
}

/* The names of the layers below are asked for, but never opened. */
static char *manifest_text(const char *config_name, size_t n)
{
    json_t *layers = json_array();
    json_t *manifest;
    char *text;

    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(layers, json_sprintf("%zu.tar", i)) < 0) {
            json_decref(layers);
            return NULL;
        }
    }
    manifest = json_pack("[{s:s, s:o}]", "Config", config_name, "Layers", layers);
    text = manifest != NULL ? json_dumps(manifest, JSON_COMPACT) : NULL;
    json_decref(manifest);
    return text;
}

/* ---- the archive ---- */

static int put_member(struct ol_tar_writer *tar, const char *name, uint64_t size,
                      struct ol_error *err)
{
    const struct ol_tar_header header = {.name = name, .type = '0', .mode = 0644, .size = size};

    return ol_tar_put_header(tar, &header, err);
}

static int put_text(struct ol_tar_writer *tar, const char *name, const char *text,
                    struct ol_error *err)
{
    int r = put_member(tar, name, strlen(text), err);

    return r < 0 ? r : ol_tar_put_data(tar, text, strlen(text), err);
}

static int put_layer(struct ol_tar_writer *tar, const char *name, int fd, struct ol_error *err)
{
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return ol_error_sys(err, errno, "cannot read the copy of a layer");
    r = put_member(tar, name, (uint64_t)st.st_size, err);
    return r < 0 ? r : ol_tar_put_file(tar, fd, err);
}

/* What an archive of either kind is written from. */
struct content {
    int layer_fd;
    char (*diff_ids)[OL_DIGEST_SIZE];
    size_t n;
    const char *config;
    const char *image_id; /* digest of config */
    const char *name;     /* OCI: of the image */
    uint64_t *sizes;      /* OCI: of the layers; the topmost one's is filled in */
};

static char *blob_name(const char *digest)
{
    char *name = NULL;

    return asprintf(&name, "blobs/sha256/%s", ol_digest_hex(digest)) < 0 ? NULL : name;
}

static char *oci_manifest_text(const struct content *c)
{
    static const char layer_type[] = "application/vnd.oci.image.layer.v1.tar";
    json_t *layers = json_array();
    json_t *manifest;
    char *text;

    for (size_t i = 0; i < c->n; i++) {
        json_t *layer = json_pack("{s:s, s:s, s:I}", "mediaType", layer_type, "digest",
                                  c->diff_ids[i], "size", (json_int_t)c->sizes[i]);

        if (json_array_append_new(layers, layer) < 0) {
            json_decref(layers);
            return NULL;
        }
    }
    manifest = json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:o}", "schemaVersion", 2, "mediaType",
                         "application/vnd.oci.image.manifest.v1+json", "config", "mediaType",
                         "application/vnd.oci.image.config.v1+json", "digest", c->image_id, "size",
                         (json_int_t)strlen(c->config), "layers", layers);
    text = manifest != NULL ? json_dumps(manifest, JSON_COMPACT) : NULL;
    json_decref(manifest);
    return text;
}

static char *oci_index_text(const char *digest, size_t size, const char *name)
{
    json_t *index = json_pack(
        "{s:i, s:[{s:s, s:s, s:I, s:{s:s}}]}", "schemaVersion", 2, "manifests", "mediaType",
        "application/vnd.oci.image.manifest.v1+json", "digest", digest, "size", (json_int_t)size,
        "annotations", "io.containerd.image.name", name);
    char *text = index != NULL ? json_dumps(index, JSON_COMPACT) : NULL;

    json_decref(index);
    return text;
}

typedef int write_fn(struct ol_tar_writer *tar, const struct content *c, struct ol_error *err);

static int write_docker(struct ol_tar_writer *tar, const struct content *c, struct ol_error *err)
{
    ol_auto_free char *config_name = NULL;
    ol_auto_free char *layer_name = NULL;
    ol_auto_free char *manifest = NULL;
    int r;

    if (asprintf(&config_name, "%s.json", ol_digest_hex(c->image_id)) < 0)
        config_name = NULL;
    if (asprintf(&layer_name, "%zu.tar", c->n - 1) < 0)
        layer_name = NULL;
    if (config_name != NULL)
        manifest = manifest_text(config_name, c->n);
    if (layer_name == NULL || manifest == NULL)
        return ol_error_nomem(err);
    r = put_layer(tar, layer_name, c->layer_fd, err);
    if (r == 0)
        r = put_text(tar, config_name, c->config, err);
    return r < 0 ? r : put_text(tar, "manifest.json", manifest, err);
}

static int put_blob(struct ol_tar_writer *tar, const char *digest, const char *text,
                    struct ol_error *err)
{
    ol_auto_free char *name = blob_name(digest);

    return name == NULL ? ol_error_nomem(err) : put_text(tar, name, text, err);
}

static int write_oci(struct ol_tar_writer *tar, const struct content *c, struct ol_error *err)
{
    char digest[OL_DIGEST_SIZE];
    ol_auto_free char *manifest = oci_manifest_text(c);
    ol_auto_free char *layer_name = blob_name(c->diff_ids[c->n - 1]);
    ol_auto_free char *index = NULL;
    int r;

    if (manifest == NULL || layer_name == NULL)
        return ol_error_nomem(err);
    r = ol_digest_of(manifest, strlen(manifest), digest, err);
    if (r < 0)
        return r;
    index = oci_index_text(digest, strlen(manifest), c->name);
    if (index == NULL)
        return ol_error_nomem(err);
    r = put_text(tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", err);
    if (r == 0)
        r = put_layer(tar, layer_name, c->layer_fd, err);
    if (r == 0)
        r = put_blob(tar, c->image_id, c->config, err);
    if (r == 0)
        r = put_blob(tar, digest, manifest, err);
    return r < 0 ? r : put_text(tar, "index.json", index, err);
}

static int write_archive(int fd, write_fn *write_members, const struct content *content,
                         struct ol_error *err)
{
    struct ol_tar_writer *tar = NULL;
    struct ol_tar_result result;
    int r = ol_tar_writer_new(fd, &tar, err);

    if (r < 0)
        return r;
    ol_tar_writer_set_work(tar, 0); /* nobody asks for its digest */
    r = write_members(tar, content, err);
    if (r == 0)
        r = ol_tar_finish(tar, &result, err);
    ol_tar_writer_free(tar);
    return r;
}

static int make_archive(const char *dir, const struct ol_input *layer, const char *want,
                        write_fn *write_members, struct content *c, struct ol_load_archive *ret,
                        struct ol_error *err)
{
    ol_auto_fd int layer_fd = ol_layer_spool(dir, layer, want, c->diff_ids[c->n - 1], err);
    ol_auto_fd int fd = -1;
    ol_auto_free char *config = NULL;
    struct stat st;
    int r;

    if (layer_fd < 0)
        return layer_fd;
    if (fstat(layer_fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot stat the copy of a layer");
    if (c->sizes != NULL)
        c->sizes[c->n - 1] = (uint64_t)st.st_size;
    fd = unnamed_file(dir, err);
    if (fd < 0)
        return fd;
    config = config_text(c->diff_ids, c->n);
    if (config == NULL)
        return ol_error_nomem(err);
    r = ol_digest_of(config, strlen(config), ret->image_id, err);
    if (r < 0)
        return r;
    c->layer_fd = layer_fd;
    c->config = config;
    c->image_id = ret->image_id;
    r = write_archive(fd, write_members, c, err);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot stat the archive of a layer");
    ret->fd = ol_fd_steal(&fd);
    ret->size = (uint64_t)st.st_size;
    return 0;
}

int ol_load_archive_make(const char *dir, const struct ol_input *layer,
                         char (*diff_ids)[OL_DIGEST_SIZE], size_t n, const char *want,
                         struct ol_load_archive *ret, struct ol_error *err)
{
    struct content content = {.diff_ids = diff_ids, .n = n};

    return make_archive(dir, layer, want, write_docker, &content, ret, err);
}

int ol_oci_archive_make(const char *dir, const char *name, const struct ol_input *layer,
                        char (*diff_ids)[OL_DIGEST_SIZE], uint64_t *sizes, size_t n,
                        const char *want, struct ol_load_archive *ret, struct ol_error *err)
{
    struct content content = {.diff_ids = diff_ids, .n = n, .name = name, .sizes = sizes};

    return make_archive(dir, layer, want, write_oci, &content, ret, err);
}
