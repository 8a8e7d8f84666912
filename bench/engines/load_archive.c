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

static int put_layer(struct ol_tar_writer *tar, size_t index, int fd, struct ol_error *err)
{
    char name[32];
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return ol_error_sys(err, errno, "cannot read the copy of a layer");
    (void)snprintf(name, sizeof name, "%zu.tar", index); /* fits */
    r = put_member(tar, name, (uint64_t)st.st_size, err);
    return r < 0 ? r : ol_tar_put_file(tar, fd, err);
}

static int write_archive(struct ol_tar_writer *tar, int layer_fd, const char *config,
                         const char *image_id, size_t n, struct ol_error *err)
{
    struct ol_tar_result result;
    ol_auto_free char *config_name = NULL;
    ol_auto_free char *manifest = NULL;
    int r;

    if (asprintf(&config_name, "%s.json", ol_digest_hex(image_id)) < 0)
        config_name = NULL;
    if (config_name != NULL)
        manifest = manifest_text(config_name, n);
    if (manifest == NULL)
        return ol_error_nomem(err);
    ol_tar_writer_set_work(tar, 0); /* nobody asks for its digest */
    r = put_layer(tar, n - 1, layer_fd, err);
    if (r == 0)
        r = put_text(tar, config_name, config, err);
    if (r == 0)
        r = put_text(tar, "manifest.json", manifest, err);
    return r < 0 ? r : ol_tar_finish(tar, &result, err);
}

int ol_load_archive_make(const char *dir, const struct ol_input *layer,
                         char (*diff_ids)[OL_DIGEST_SIZE], size_t n, const char *want,
                         struct ol_load_archive *ret, struct ol_error *err)
{
    ol_auto_fd int layer_fd = ol_layer_spool(dir, layer, want, diff_ids[n - 1], err);
    ol_auto_fd int fd = -1;
    ol_auto_free char *config = NULL;
    struct ol_tar_writer *tar = NULL;
    struct stat st;
    int r;

    if (layer_fd < 0)
        return layer_fd;
    fd = unnamed_file(dir, err);
    if (fd < 0)
        return fd;
    config = config_text(diff_ids, n);
    if (config == NULL)
        return ol_error_nomem(err);
    r = ol_digest_of(config, strlen(config), ret->image_id, err);
    if (r == 0)
        r = ol_tar_writer_new(fd, &tar, err);
    if (r == 0)
        r = write_archive(tar, layer_fd, config, ret->image_id, n, err);
    ol_tar_writer_free(tar);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot stat the archive of a layer");
    ret->fd = ol_fd_steal(&fd);
    ret->size = (uint64_t)st.st_size;
    return 0;
}
