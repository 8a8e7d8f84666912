/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as a list of layer tars, whatever they came in: docker-archive (old and new), OCI layout
 * (directory or tar), root file system tar (any compression), root file system directory. The
 * format is told by content. Names, digests and paths inside are hostile and confined. Formats:
 * spec of the OCI image layout 1.0, moby image/tarexport.
 */
#ifndef OL_STORE_IMAGE_H
#define OL_STORE_IMAGE_H

#include "common/digest.h"
#include "common/error.h"
#include "common/io.h"

#include <stdbool.h>
#include <stddef.h>

enum ol_image_format {
    OL_IMAGE_DOCKER_ARCHIVE,
    OL_IMAGE_OCI_LAYOUT,
    OL_IMAGE_ROOTFS_TAR,
    OL_IMAGE_ROOTFS_DIR,
    OL_IMAGE_BUILTIN,
    OL_IMAGE_STORED,
};

const char *ol_image_format_name(enum ol_image_format format); /* "docker-archive", … */

struct ol_image;

/**
 * Open an image by path. Where one file holds several images, "PATH#NAME" picks the one with this
 * tag (docker-archive: RepoTags; OCI: org.opencontainers.image.ref.name or
 * io.containerd.image.name); of several platforms the one of this machine is taken. "-" is the
 * standard input, which is read to its end.
 * @param tmp_dir where a compressed image archive, or one from a pipe, is spooled (unlinked file)
 * @return 0; -ENOENT; -EBADMSG no known format, or a malformed one, with the reason; -ENOTSUP
 * foreign layers, unknown media types, another operating system; -E2BIG a limit was passed; -EXDEV
 * a name inside points out of the archive; -EINVAL several images and none was named
 */
int ol_image_open(const char *path, const char *tmp_dir, struct ol_image **ret,
                  struct ol_error *err);
/** Whether there is a file or directory of this name, or for "PATH#NAME" of the path in it, or it
 * is the standard input: what ol_image_open() would not refuse with -ENOENT. */
bool ol_image_is_path(const char *text);
/** Whether it stands for the standard input: "-" or "-#NAME". */
bool ol_image_is_stdin(const char *text);
/**
 * An image of an image store by name, id or prefix of it. Its layers are written anew while they
 * are read, one at a time; images is borrowed, and nobody else may use it meanwhile.
 * @return 0; errors of ol_images_find()
 */
struct ol_images;
int ol_image_open_stored(struct ol_images *images, const char *name, struct ol_image **ret,
                         struct ol_error *err);
void ol_image_free(struct ol_image *image);

/* The images of one file. */
struct ol_image_set {
    struct ol_image **items; /* owned */
    size_t count;
};
void ol_image_set_fini(struct ol_image_set *set);
/**
 * Open every image of a path; "PATH#NAME" picks one. Of an OCI index, what has one name, or belongs
 * to one inner index, is one image for several platforms: the one for this machine is taken.
 * @return as ol_image_open()
 */
int ol_image_open_all(const char *path, const char *tmp_dir, struct ol_image_set *ret,
                      struct ol_error *err);
/** What the file calls the image: "name:tag". For an OCI name that is only a tag, the repository is
 * the path's last component up to the first '.'. */
size_t ol_image_name_count(const struct ol_image *image);
const char *ol_image_name(const struct ol_image *image, size_t index);

/** What a docker-archive says the image was made from: any text, "" for nothing. */
const char *ol_image_parent(const struct ol_image *image);

enum ol_image_format ol_image_format_of(const struct ol_image *image);
const char *
ol_image_source(const struct ol_image *image); /* path as given, or "built-in (seed N)" */
/** Config digest ("sha256:…") or, for a root file system, the DiffID once known; "" before. */
const char *ol_image_id(const struct ol_image *image);
/** Who learns the DiffID of an image without a config (by registering its layer) sets it here.
 * -EINVAL when it is no digest. */
int ol_image_set_id(struct ol_image *image, const char *digest);
struct ol_image_config;
/** The image's config, checked, as it came; NULL when the format has none. Lives as long as image.
 */
const struct ol_image_config *ol_image_config_of(const struct ol_image *image);
/**
 * From now on a layer stored as "blobs/sha256/<hex>" is held against that digest while it is read;
 * ol_image_layer_close() tells. It costs a thread, and the hash of what is stored compressed.
 */
void ol_image_verify_blobs(struct ol_image *image);
size_t ol_image_layer_count(const struct ol_image *image);
/** DiffID the image's config promises, or NULL when the format promises none. */
const char *ol_image_layer_diff_id(const struct ol_image *image, size_t index);

/* One layer opened for reading. Threads may feed it; close joins them. */
struct ol_image_stream {
    struct ol_input input;        /* valid until closed */
    void *priv;                   /* the source's own */
    int own_fd;                   /* the source's own: a descriptor to close, or -1 */
    bool verify;                  /* blobs are to be held against their digests */
    const struct ol_image *image; /* set by ol_image_layer_open(); NULL: not open */
};
int ol_image_layer_open(const struct ol_image *image, size_t index, struct ol_image_stream *ret,
                        struct ol_error *err);
/** @return 0, or why the producer of the stream failed (a reader that stopped early is no failure);
 * -EBADMSG the blob is not what its name promises. */
int ol_image_layer_close(struct ol_image_stream *stream, struct ol_error *err);

/* For makers of images in memory or on the fly (the built-in image): open hands out a stream, of
 * which it fills input and, as it likes, priv and own_fd. free may be NULL. */
struct ol_image_source_ops {
    int (*open_layer)(void *data, size_t index, struct ol_image_stream *ret, struct ol_error *err);
    int (*close_layer)(void *data, struct ol_image_stream *stream, struct ol_error *err);
    void (*free)(void *data);
};
/** @param data goes to ops->free() with the image; on failure it stays the caller's. */
int ol_image_new_custom(enum ol_image_format format, const char *source, size_t layers,
                        const struct ol_image_source_ops *ops, void *data, struct ol_image **ret,
                        struct ol_error *err);

#endif
