/* SPDX-License-Identifier: Apache-2.0 */
/* See image_builder.h. */
#include "image_builder.h"

#include "support/support.h"

/* A small layer whose content tells which one it is. */
void make_layer(struct tarball *tar, const char *name)
{
    *tar = (struct tarball)TARBALL_INIT;
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, name, name);
    tarball_end(tar);
}

struct blob blob_of(const void *data, size_t len)
{
    struct blob blob = {.len = len};

    assert_int_equal(ol_digest_of(data, len, blob.digest, NULL), 0);
    (void)snprintf(blob.path, sizeof blob.path, "blobs/sha256/%s", ol_digest_hex(blob.digest));
    return blob;
}

char *text_of(const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;

    va_start(ap, fmt);
    assert_true(vasprintf(&text, fmt, ap) >= 0);
    va_end(ap);
    return text;
}

char *config_of(const char *diff_ids)
{
    return text_of("{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
                   "\"diff_ids\":[%s]}}",
                   diff_ids);
}

void parts_make(struct parts *p)
{
    ol_auto_free char *ids = NULL;

    make_layer(&p->layer[0], "d/one");
    make_layer(&p->layer[1], "d/two");
    for (int i = 0; i < 2; i++)
        p->blob[i] = blob_of(p->layer[i].data, p->layer[i].len);
    ids = text_of("\"%s\",\"%s\"", p->blob[0].digest, p->blob[1].digest);
    p->config = config_of(ids);
    p->config_blob = blob_of(p->config, strlen(p->config));
    p->manifest = text_of("[{\"Config\":\"config.json\",\"RepoTags\":[\"t:v1\"],\"Layers\":["
                          "\"%s/layer.tar\",\"%s/layer.tar\"]}]\n",
                          V1_A, V1_B);
}

void parts_fini(struct parts *p)
{
    tarball_fini(&p->layer[0]);
    tarball_fini(&p->layer[1]);
    free(p->config);
    free(p->manifest);
}

void add_layer_file(struct tarball *tar, const char *id, const struct tarball *layer)
{
    ol_auto_free char *dir = text_of("%s/", id);
    ol_auto_free char *name = text_of("%s/layer.tar", id);

    tarball_add_dir(tar, dir);
    tarball_add_bytes(tar, name, layer->data, layer->len);
}

void docker_make(struct tarball *tar, const char *manifest, const char *config)
{
    struct parts p;

    parts_make(&p);
    add_layer_file(tar, V1_A, &p.layer[0]);
    add_layer_file(tar, V1_B, &p.layer[1]);
    tarball_add_file(tar, "config.json", config != NULL ? config : p.config);
    tarball_add_file(tar, "manifest.json", manifest != NULL ? manifest : p.manifest);
    tarball_end(tar);
    parts_fini(&p);
}

void layout_make(struct layout *l, const struct parts *p, const char *layer_type)
{
    l->manifest = text_of(
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
        "\"digest\":\"%s\",\"size\":%zu},\"layers\":["
        "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu},"
        "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}]}",
        p->config_blob.digest, p->config_blob.len, layer_type, p->blob[0].digest, p->blob[0].len,
        layer_type, p->blob[1].digest, p->blob[1].len);
    l->manifest_blob = blob_of(l->manifest, strlen(l->manifest));
    l->index = text_of(
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/unknown\"},"
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
        "\"size\":%zu,\"annotations\":{\"org.opencontainers.image.ref.name\":\"v1\"}}]}",
        l->manifest_blob.digest, l->manifest_blob.len);
    l->docker = text_of("[{\"Config\":\"%s\",\"RepoTags\":null,\"Layers\":[\"%s\",\"./%s\"]}]",
                        p->config_blob.path, p->blob[0].path, p->blob[1].path);
}

void layout_fini(struct layout *l)
{
    free(l->manifest);
    free(l->index);
    free(l->docker);
}

void add_layout(struct tarball *tar, const struct parts *p, const struct layout *l)
{
    tarball_add_dir(tar, "blobs/");
    tarball_add_dir(tar, "blobs/sha256/");
    for (int i = 0; i < 2; i++)
        tarball_add_bytes(tar, p->blob[i].path, p->layer[i].data, p->layer[i].len);
    tarball_add_file(tar, p->config_blob.path, p->config);
    tarball_add_file(tar, l->manifest_blob.path, l->manifest);
    tarball_add_file(tar, "index.json", l->index);
    tarball_add_file(tar, "oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}");
}
