/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the image store, laid out as moby's image/fs.go: the config under its digest, and
 * metadata in a directory of the same name. The config is written last and removed first: with it
 * an image exists.
 */
#include "store/imagestore_internal.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/limits.h"
#include "common/time_text.h"
#include "common/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#define ASIDE ".new-"

bool ol_imagedb_is_aside(const char *name)
{
    return strncmp(name, ASIDE, strlen(ASIDE)) == 0;
}

static int open_part(const struct ol_images *images, const char *name, int *ret_fd,
                     struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    int r;

    if (asprintf(&path, "%s/%s", images->dir, name) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    r = ol_fs_mkdir_path(path, 0700, err);
    if (r < 0)
        return r;
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? ol_error_sys(err, errno, "cannot open '%s'", path) : 0;
}

int ol_imagedb_open(struct ol_images *images, struct ol_error *err)
{
    int r = open_part(images, ".", &images->dir_fd, err);

    if (r < 0)
        return r;
    if (flock(images->dir_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? ol_error_set(err, -EBUSY, "image store '%s' is in use by another process",
                                  images->dir)
                   : ol_error_sys(err, errno, "cannot lock image store '%s'", images->dir);
    r = open_part(images, "imagedb/content/sha256", &images->content_fd, err);
    return r < 0 ? r : open_part(images, "imagedb/metadata/sha256", &images->metadata_fd, err);
}

int ol_imagedb_read(const struct ol_images *images, const char *hex, struct ol_image_config *ret,
                    struct ol_error *err)
{
    ol_auto_buf struct ol_buf bytes = OL_BUF_INIT;
    struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    int r = ol_fs_read_file(images->content_fd, hex, OL_IMAGE_JSON_MAX, &bytes, err);

    if (r == 0)
        r = ol_image_config_parse(&bytes, &config, err);
    if (r == 0 && strcmp(ol_digest_hex(config.id), hex) != 0)
        r = ol_error_set(err, -EBADMSG, "its config has the digest '%s'", config.id);
    if (r < 0) {
        ol_image_config_fini(&config);
        return ol_error_wrap(err, r, "image 'sha256:%s' in '%s'", hex, images->dir);
    }
    *ret = config;
    return 0;
}

int ol_imagedb_read_parent(const struct ol_images *images, const char *hex,
                           char ret[static OL_DIGEST_SIZE], struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_fd int fd = ol_fs_open_dir(images->metadata_fd, hex);
    int r = fd;

    ret[0] = '\0';
    if (fd >= 0)
        r = ol_fs_exists(fd, "parent")
                ? ol_fs_read_file(fd, "parent", OL_SMALL_FILE_MAX, &text, err)
                : -ENOENT;
    if (r == -ENOENT) /* most images have none */
        return 0;
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open the metadata of image 'sha256:%s'", hex);
    if (r == 0 && (text.len != OL_DIGEST_SIZE - 1 || !ol_digest_valid(ol_buf_str(&text))))
        r = ol_error_set(err, -EBADMSG, "'parent' is no image id");
    if (r < 0)
        return ol_error_wrap(err, r, "metadata of image 'sha256:%s' in '%s'", hex, images->dir);
    memcpy(ret, ol_buf_str(&text), OL_DIGEST_SIZE);
    return 0;
}

static int put_metadata(const struct ol_images *images, const char *id, const char *name,
                        const char *value, struct ol_error *err)
{
    const char *hex = ol_digest_hex(id);
    ol_auto_fd int fd = -1;
    int r = 0;

    if (!ol_fs_exists(images->metadata_fd, hex))
        r = ol_fs_mkdir(images->metadata_fd, hex, 0700, err);
    if (r < 0)
        return r;
    fd = ol_fs_open_dir(images->metadata_fd, hex);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open the metadata of image '%s'", id);
    return ol_fs_write_file_atomic(fd, name, value, strlen(value), 0600, err);
}

int ol_imagedb_touch(const struct ol_images *images, const char *id, struct ol_error *err)
{
    char text[OL_TIME_TEXT_SIZE];
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    ol_time_text(&now, true, text);
    return put_metadata(images, id, "lastUpdated", text, err);
}

int ol_imagedb_write_parent(const struct ol_images *images, const char *id, const char *parent,
                            struct ol_error *err)
{
    ol_auto_fd int fd = -1;

    if (*parent != '\0')
        return put_metadata(images, id, "parent", parent, err);
    fd = ol_fs_open_dir(images->metadata_fd, ol_digest_hex(id));
    if (fd == -ENOENT)
        return 0;
    return fd < 0 ? ol_error_sys(err, -fd, "cannot open the metadata of image '%s'", id)
                  : ol_fs_unlink(fd, "parent", err);
}

int ol_imagedb_write(const struct ol_images *images, const struct ol_image_config *config,
                     const char *parent, struct ol_error *err)
{
    const char *hex = ol_digest_hex(config->id);
    int r = 0;

    if (parent != NULL)
        r = put_metadata(images, config->id, "parent", parent, err);
    if (r == 0)
        r = ol_fs_write_file_atomic(images->content_fd, hex, ol_buf_str(&config->bytes),
                                    config->bytes.len, 0600, err);
    if (r < 0) { /* the first error counts; the next start looks again */
        (void)ol_fs_unlink(images->content_fd, hex, NULL);
        (void)ol_tree_remove(images->metadata_fd, hex, NULL);
    }
    return r;
}

int ol_imagedb_remove(const struct ol_images *images, const char *id, struct ol_error *err)
{
    const char *hex = ol_digest_hex(id);
    int r = ol_fs_unlink(images->content_fd, hex, err);

    if (r == 0)
        r = ol_fs_sync(images->content_fd, "imagedb/content/sha256", err);
    return r < 0 ? r : ol_tree_remove(images->metadata_fd, hex, err);
}

static int remove_if(int dir_fd, bool (*unwanted)(const struct ol_images *, const char *),
                     const struct ol_images *images, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents names = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&names, dir_fd, true);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read a directory of image store '%s'", images->dir);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        const char *name = names.items[i].name;
        if (!unwanted(images, name))
            continue;
        ol_trace(OL_TRACE_STORE, "cleaning up '%s' of image store '%s'", name, images->dir);
        r = ol_tree_remove(dir_fd, name, err);
    }
    return r;
}

static bool is_aside(const struct ol_images *images, const char *name)
{
    (void)images;
    return ol_imagedb_is_aside(name);
}

static bool has_no_image(const struct ol_images *images, const char *name)
{
    return ol_layerdb_id_valid(name) && !ol_fs_exists(images->content_fd, name);
}

int ol_imagedb_heal(struct ol_images *images, struct ol_error *err)
{
    int r = remove_if(images->dir_fd, is_aside, images, err);

    if (r == 0)
        r = remove_if(images->content_fd, is_aside, images, err);
    if (r == 0)
        r = remove_if(images->metadata_fd, has_no_image, images, err);
    for (size_t i = 0; r == 0 && i < images->count; i++) {
        ol_auto_fd int fd = ol_fs_open_dir(images->metadata_fd,
                                           ol_digest_hex(images->items[i]->image.id));
        if (fd >= 0) /* without metadata there is nothing to clean */
            r = remove_if(fd, is_aside, images, err);
    }
    return r;
}
