/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image object, and what a path holds, told by content. Image archives are read in place; a
 * compressed one is unpacked once into an unlinked file, because its members are wanted in an order
 * of their own. A root file system tar is never unpacked: it streams into the applier as it is.
 */
#include "store/image.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/layer/layer.h"
#include "store/image_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct ol_image {
    enum ol_image_format format;
    char *source; /* owned */
    char id[OL_DIGEST_SIZE];
    size_t layers;
    struct ol_image_config config; /* json is NULL when the format has none */
    char **names;                  /* owned; n_names of them */
    size_t n_names;
    char *parent; /* owned; or NULL */
    const struct ol_image_source_ops *ops;
    void *data;  /* owned by ops */
    bool verify; /* blobs against their digests */
};

const char *ol_image_format_name(enum ol_image_format format)
{
    switch (format) {
    case OL_IMAGE_DOCKER_ARCHIVE:
        return "docker-archive";
    case OL_IMAGE_OCI_LAYOUT:
        return "oci-layout";
    case OL_IMAGE_ROOTFS_TAR:
        return "rootfs-tar";
    case OL_IMAGE_ROOTFS_DIR:
        return "rootfs-dir";
    case OL_IMAGE_BUILTIN:
        return "built-in";
    case OL_IMAGE_STORED:
        return "stored";
    }
    return "unknown";
}

int ol_image_new_custom(enum ol_image_format format, const char *source, size_t layers,
                        const struct ol_image_source_ops *ops, void *data, struct ol_image **ret,
                        struct ol_error *err)
{
    struct ol_image *image = calloc(1, sizeof *image);

    if (image != NULL)
        image->source = strdup(source);
    if (image == NULL || image->source == NULL) {
        free(image);
        return ol_error_nomem(err);
    }
    image->format = format;
    image->layers = layers;
    image->ops = ops;
    image->data = data;
    *ret = image;
    return 0;
}

void ol_image_free(struct ol_image *image)
{
    if (image == NULL)
        return;
    if (image->ops->free != NULL)
        image->ops->free(image->data);
    ol_image_config_fini(&image->config);
    for (size_t i = 0; i < image->n_names; i++)
        free(image->names[i]);
    free(image->names);
    free(image->parent);
    free(image->source);
    free(image);
}

void ol_image_take_config(struct ol_image *image, struct ol_image_config *config)
{
    image->config = *config;
    *config = (struct ol_image_config)OL_IMAGE_CONFIG_INIT;
    memcpy(image->id, image->config.id, sizeof image->id);
}

bool ol_image_is_stdin(const char *text)
{
    return text[0] == '-' && (text[1] == '\0' || text[1] == '#');
}

bool ol_image_is_path(const char *text)
{
    ol_auto_free char *path = strndup(text, strcspn(text, "#"));
    struct stat st;

    if (ol_image_is_stdin(text))
        return true;
    return stat(text, &st) == 0 || (path != NULL && *path != '\0' && stat(path, &st) == 0);
}

enum ol_image_format ol_image_format_of(const struct ol_image *image)
{
    return image->format;
}

const char *ol_image_source(const struct ol_image *image)
{
    return image->source;
}

const char *ol_image_id(const struct ol_image *image)
{
    return image->id;
}

int ol_image_set_id(struct ol_image *image, const char *digest)
{
    if (!ol_digest_valid(digest))
        return -EINVAL;
    memcpy(image->id, digest, OL_DIGEST_SIZE);
    return 0;
}

const struct ol_image_config *ol_image_config_of(const struct ol_image *image)
{
    return image->config.json != NULL ? &image->config : NULL;
}

size_t ol_image_name_count(const struct ol_image *image)
{
    return image->n_names;
}

const char *ol_image_name(const struct ol_image *image, size_t index)
{
    return image->names[index];
}

const char *ol_image_parent(const struct ol_image *image)
{
    return image->parent != NULL ? image->parent : "";
}

void ol_image_verify_blobs(struct ol_image *image)
{
    image->verify = true;
}

size_t ol_image_layer_count(const struct ol_image *image)
{
    return image->layers;
}

const char *ol_image_layer_diff_id(const struct ol_image *image, size_t index)
{
    return index < image->config.layers ? ol_image_config_diff_id(&image->config, index) : NULL;
}

int ol_image_layer_open(const struct ol_image *image, size_t index, struct ol_image_stream *ret,
                        struct ol_error *err)
{
    int r;

    if (index >= image->layers)
        return ol_error_set(err, -EINVAL, "image '%s' has no layer %zu", image->source, index);
    memset(ret, 0, sizeof *ret);
    ret->own_fd = -1;
    ret->verify = image->verify;
    r = image->ops->open_layer(image->data, index, ret, err);
    if (r < 0)
        return ol_error_wrap(err, r, "layer %zu of image '%s'", index, image->source);
    ret->image = image;
    return 0;
}

int ol_image_layer_close(struct ol_image_stream *stream, struct ol_error *err)
{
    const struct ol_image *image = stream->image;
    int r;

    if (image == NULL) /* never opened, or closed already */
        return 0;
    r = image->ops->close_layer(image->data, stream, err);
    memset(stream, 0, sizeof *stream);
    return r < 0 ? ol_error_wrap(err, r, "image '%s'", image->source) : 0;
}

/* Takes what it uses out of parts; on failure it is as it was. */
static int new_from_files(enum ol_image_format format, const char *source,
                          struct ol_archive *archive, struct ol_image_parts *parts,
                          struct ol_image **ret, struct ol_error *err)
{
    struct ol_image_files *files = NULL;
    struct ol_image *image = NULL;
    int r = ol_image_new_custom(format, source, parts->config.layers, &ol_image_files_ops, NULL,
                                &image, err);

    if (r == 0)
        r = ol_image_files_new(archive, parts, &files, err);
    if (r < 0) {
        if (image != NULL)
            free(image->source);
        free(image);
        return r;
    }
    image->data = files;
    ol_image_take_config(image, &parts->config);
    image->names = ol_ptr_steal(parts->names);
    image->n_names = parts->n_names;
    parts->n_names = 0;
    image->parent = ol_ptr_steal(parts->parent);
    *ret = image;
    return 0;
}

void ol_image_set_fini(struct ol_image_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        ol_image_free(set->items[i]);
    free(set->items);
    *set = (struct ol_image_set){NULL, 0};
}

static int set_make(struct ol_image_set *set, size_t count, struct ol_error *err)
{
    set->items = calloc(count, sizeof *set->items);
    return set->items == NULL ? ol_error_nomem(err) : 0;
}

static int new_set(enum ol_image_format format, const char *source, struct ol_archive *archive,
                   struct ol_image_list *list, struct ol_image_set *ret, struct ol_error *err)
{
    int r = set_make(ret, list->count, err);

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        r = new_from_files(format, source, archive, &list->items[i], &ret->items[i], err);
        ret->count += r == 0;
    }
    return r;
}

static int has_file(const struct ol_archive *archive, const char *name, bool *ret,
                    struct ol_error *err)
{
    struct ol_input input;
    ol_auto_fd int fd = -1;
    int r = ol_archive_open(archive, name, &input, &fd, err);

    *ret = r == 0;
    if (r != -ENOENT)
        return r;
    ol_error_fini(err); /* that is an answer, no error */
    return 0;
}

/* manifest.json goes first: archives of Docker 25 and later hold both, and the layer order of their
 * OCI manifest is not always right (image-formats: v25.0). A layout directory is OCI's own form. */
static int archive_format(const struct ol_archive *archive, bool prefer_oci,
                          enum ol_image_format *ret, struct ol_error *err)
{
    bool docker = false;
    bool oci = false;
    int r = has_file(archive, "manifest.json", &docker, err);

    if (r == 0)
        r = has_file(archive, "oci-layout", &oci, err);
    if (r < 0)
        return r;
    if (oci && (prefer_oci || !docker))
        *ret = OL_IMAGE_OCI_LAYOUT;
    else
        *ret = docker ? OL_IMAGE_DOCKER_ARCHIVE : OL_IMAGE_ROOTFS_TAR;
    return 0;
}

static int open_archive(const char *source, const struct ol_image_want *want,
                        enum ol_image_format format, struct ol_archive *archive,
                        struct ol_image_set *ret, struct ol_error *err)
{
    struct ol_image_list list = {NULL, 0};
    int r;

    if (format == OL_IMAGE_OCI_LAYOUT)
        r = ol_image_read_oci(archive, want, &list, err);
    else
        r = ol_image_read_docker(archive, want, &list, err);
    if (r == 0)
        r = new_set(format, source, archive, &list, ret, err);
    ol_image_list_fini(&list);
    return r;
}

static int no_ref(const char *ref, struct ol_error *err)
{
    if (ref == NULL)
        return 0;
    return ol_error_set(err, -EINVAL, "a root file system has no image named '%s'", ref);
}

/* "dir:" of skopeo is its own, for looking at: blobs named by digest beside the manifest a registry
 * would have. An unfinished one has no manifest. The file "version" is in all of them. */
static int refuse_skopeo_dir(const struct ol_archive *archive, struct ol_error *err)
{
    static const char says[] = "Directory Transport Version:";
    ol_auto_error struct ol_error none = OL_ERROR_INIT; /* whatever else it is may be an image */
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    if (ol_archive_read(archive, "version", sizeof says + 16, &text, &none) < 0 ||
        strncmp(ol_buf_str(&text), says, sizeof says - 1) != 0)
        return 0;
    return ol_error_set(
        err, -ENOTSUP,
        "a directory of skopeo's 'dir:', which is no format to keep images in; make "
        "an OCI layout of it: skopeo copy dir:DIR oci:LAYOUT:TAG");
}

/* The images keep the archive. @return 0, negative errno, or 1: a root file system is what is left.
 */
static int open_known(const char *source, const struct ol_image_want *want, bool prefer_oci,
                      struct ol_archive *archive, struct ol_image_set *ret, struct ol_error *err)
{
    enum ol_image_format format = OL_IMAGE_ROOTFS_TAR;
    const char *stray;
    int r = refuse_skopeo_dir(archive, err);

    if (r == 0)
        r = archive_format(archive, prefer_oci, &format, err);
    if (r < 0)
        return r;
    if (format != OL_IMAGE_ROOTFS_TAR)
        return open_archive(source, want, format, archive, ret, err);
    /* Importing it as a root file system would be a silent mistake. */
    stray = ol_archive_layer_name(archive);
    if (stray != NULL)
        return ol_error_set(
            err, -EBADMSG,
            "holds '%s' but neither manifest.json nor oci-layout (what Docker wrote "
            "before 1.10 must be loaded and saved again by a later one)",
            stray);
    return 1;
}

/* A plain tar. fd is the file itself, or the spooled copy of a compressed one. @return as
 * open_known() */
static int open_plain(const char *source, const struct ol_image_want *want, int fd,
                      struct ol_image_set *ret, struct ol_error *err)
{
    struct ol_archive_index index = OL_ARCHIVE_INDEX_INIT;
    struct ol_archive *archive = NULL;
    ol_auto_fd int archive_fd = -1;
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot examine the file");
    r = ol_archive_index_build(fd, (uint64_t)st.st_size, &index, err);
    if (r < 0 || index.rootfs) {
        ol_archive_index_fini(&index);
        return r < 0 ? r : 1;
    }
    archive_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (archive_fd < 0) {
        ol_archive_index_fini(&index);
        return ol_error_sys(err, errno, "cannot duplicate a descriptor");
    }
    r = ol_archive_new_tar(ol_fd_steal(&archive_fd), &index, &archive, err);
    if (r == 0)
        r = open_known(source, want, false, archive, ret, err);
    ol_archive_free(archive);
    return r;
}

/* Scanning stops at the first name that tells. */
static int guess_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    enum ol_archive_guess *guess = data;

    (void)err;
    *guess = ol_archive_guess_name(entry->path);
    return *guess == OL_GUESS_UNKNOWN ? 0 : -ECANCELED;
}

static int guess_compressed(int fd, enum ol_archive_guess *ret, struct ol_error *err)
{
    const struct ol_input input = {.fd = fd, .offset = 0, .length = UINT64_MAX};
    int r;

    *ret = OL_GUESS_UNKNOWN;
    r = ol_layer_scan(&input, NULL, guess_entry, ret, NULL, err);
    if (*ret == OL_GUESS_UNKNOWN)
        return r;
    ol_error_fini(err); /* -ECANCELED is ours */
    return 0;
}

static int spool(int fd, const char *tmp_dir, int *ret_fd, struct ol_error *err)
{
    const struct ol_input input = {.fd = fd, .offset = 0, .length = UINT64_MAX};
    ol_auto_fd int copy = ol_fs_open_unlinked(tmp_dir, err);
    int r;

    if (copy < 0)
        return copy;
    r = ol_layer_decompress(&input, copy, NULL, NULL, err);
    if (r < 0)
        return ol_error_wrap(err, r, "unpacking into '%s'", tmp_dir);
    *ret_fd = ol_fd_steal(&copy);
    return 0;
}

static int open_compressed(const char *source, const struct ol_image_want *want, int fd,
                           const char *tmp_dir, struct ol_image_set *ret, struct ol_error *err)
{
    enum ol_archive_guess guess;
    ol_auto_fd int copy = -1;
    int r = guess_compressed(fd, &guess, err);

    if (r == 0 && guess != OL_GUESS_IMAGE)
        return 1;
    if (r == 0)
        r = spool(fd, tmp_dir, &copy, err);
    return r < 0 ? r : open_plain(source, want, copy, ret, err);
}

/* The descriptor is taken over. */
static int new_rootfs(const char *source,
                      int (*make)(const char *source, int fd, struct ol_image **ret,
                                  struct ol_error *err),
                      int *fd, struct ol_image_set *ret, struct ol_error *err)
{
    int r = set_make(ret, 1, err);

    if (r == 0)
        r = make(source, ol_fd_steal(fd), &ret->items[0], err);
    ret->count = r == 0;
    return r;
}

bool ol_image_is_compressed(const unsigned char *head, size_t len)
{
    static const struct {
        const char *bytes;
        size_t len;
    } magics[] = {{"\x1f\x8b", 2},
                  {"BZh", 3},
                  {"\xfd"
                   "7zXZ",
                   5},
                  {"\x28\xb5\x2f\xfd", 4}};

    for (size_t i = 0; i < OL_ARRAY_LEN(magics); i++)
        if (len >= magics[i].len && memcmp(head, magics[i].bytes, magics[i].len) == 0)
            return true;
    /* a skippable zstd frame */
    return len >= 4 && (head[0] & 0xf0) == 0x50 && memcmp(head + 1, "\x2a\x4d\x18", 3) == 0;
}

static int open_file(const char *source, const struct ol_image_want *want, int *fd,
                     const char *tmp_dir, struct ol_image_set *ret, struct ol_error *err)
{
    unsigned char head[OL_IMAGE_MAGIC_SIZE];
    ssize_t n = ol_io_pread(*fd, head, sizeof head, 0);
    int r;

    if (n < 0)
        return ol_error_sys(err, (int)-n, "cannot read the file");
    if (n == 0)
        return ol_error_set(err, -EBADMSG, "the file is empty");
    if (ol_image_is_compressed(head, (size_t)n))
        r = open_compressed(source, want, *fd, tmp_dir, ret, err);
    else
        r = open_plain(source, want, *fd, ret, err);
    if (r == 1)
        r = no_ref(want->ref, err);
    else
        return r;
    return r < 0 ? r : new_rootfs(source, ol_image_new_rootfs_tar, fd, ret, err);
}

/* An OCI layout says so. An unpacked docker-archive is told from a root file system that happens to
 * hold a manifest.json by having no /etc, /usr or /bin. */
static int open_dir(const char *source, const struct ol_image_want *want, int *fd,
                    struct ol_image_set *ret, struct ol_error *err)
{
    struct ol_archive *archive = NULL;
    ol_auto_fd int copy = -1;
    int r = 1;

    if (!ol_fs_exists(*fd, "etc") && !ol_fs_exists(*fd, "usr") && !ol_fs_exists(*fd, "bin")) {
        copy = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
            return ol_error_sys(err, errno, "cannot duplicate a descriptor");
        r = ol_archive_new_dir(ol_fd_steal(&copy), &archive, err);
        if (r == 0)
            r = open_known(source, want, true, archive, ret, err);
        ol_archive_free(archive);
    }
    if (r != 1)
        return r;
    r = no_ref(want->ref, err);
    return r < 0 ? r : new_rootfs(source, ol_image_new_rootfs_dir, fd, ret, err);
}

static int open_fd(const char *source, const struct ol_image_want *want, int *fd,
                   const char *tmp_dir, struct ol_image_set *ret, struct ol_error *err)
{
    struct stat st;

    if (fstat(*fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot examine the file");
    if (S_ISDIR(st.st_mode))
        return open_dir(source, want, fd, ret, err);
    if (!S_ISREG(st.st_mode))
        return ol_error_set(err, -EINVAL,
                            "neither a file nor a directory; '-' reads the standard input");
    return open_file(source, want, fd, tmp_dir, ret, err);
}

/* All that comes, until the end: an archive's parts are wanted in an order of their own. */
static int spool_stream(int from, const char *tmp_dir, int *ret_fd, struct ol_error *err)
{
    ol_auto_fd int copy = ol_fs_open_unlinked(tmp_dir, err);
    ol_auto_free void *block = malloc(OL_PIPE_SIZE);

    if (copy < 0)
        return copy;
    if (block == NULL)
        return ol_error_nomem(err);
    ol_io_enlarge_pipe(from);
    for (;;) {
        ssize_t n = ol_io_read(from, block, OL_PIPE_SIZE);
        int r = n > 0 ? ol_io_write(copy, block, (size_t)n) : 0;

        if (n < 0)
            return ol_error_sys(err, (int)-n, "cannot read the standard input");
        if (r < 0)
            return ol_error_sys(err, -r, "cannot keep the standard input in '%s'", tmp_dir);
        if (n == 0)
            break;
    }
    *ret_fd = ol_fd_steal(&copy);
    return 0;
}

/* What is a file or a directory is read in place. */
static int open_stdin(const char *tmp_dir, int *ret_fd, struct ol_error *err)
{
    struct stat st;

    if (fstat(STDIN_FILENO, &st) < 0)
        return ol_error_sys(err, errno, "cannot examine the standard input");
    if (isatty(STDIN_FILENO))
        return ol_error_set(err, -EINVAL,
                            "the standard input is a terminal: pipe an image into it");
    if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
        return spool_stream(STDIN_FILENO, tmp_dir, ret_fd, err);
    *ret_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    return *ret_fd < 0 ? ol_error_sys(err, errno, "cannot duplicate a descriptor") : 0;
}

/* O_NONBLOCK: opening a FIFO by mistake must not hang. */
static int open_named(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* "debian" of "/tmp/debian.oci.tar": what names that are only a tag are put behind. */
static int base_of(const char *path, char **ret, struct ol_error *err)
{
    size_t end = strlen(path);
    size_t start;

    while (end > 0 && path[end - 1] == '/')
        end--;
    for (start = end; start > 0 && path[start - 1] != '/';)
        start--;
    *ret = strndup(path + start, end - start);
    if (*ret == NULL)
        return ol_error_nomem(err);
    (*ret)[strcspn(*ret, ".")] = '\0';
    return 0;
}

static int open_path(const char *path, const char *tmp_dir, bool all, struct ol_image_set *ret,
                     struct ol_error *err)
{
    ol_auto_free char *file = NULL;
    ol_auto_free char *base = NULL;
    struct ol_image_want want = {.all = all};
    const bool from_stdin = ol_image_is_stdin(path);
    ol_auto_fd int fd = from_stdin ? -1 : open_named(path);
    int r = 0;

    if (fd < 0 && (from_stdin || errno == ENOENT) && strchr(path, '#') != NULL) {
        want.ref = strrchr(path, '#') + 1;
        file = strndup(path, (size_t)(want.ref - 1 - path));
        if (file == NULL)
            return ol_error_nomem(err);
        fd = from_stdin ? -1 : open_named(file);
    }
    if (fd < 0 && !from_stdin)
        return ol_error_sys(err, errno, "cannot open image '%s'", path);
    if (from_stdin)
        r = open_stdin(tmp_dir, &fd, err);
    if (r == 0) /* a stream has no name to lend */
        r = base_of(from_stdin ? "" : file != NULL ? file : path, &base, err);
    want.base = base;
    if (r == 0)
        r = open_fd(path, &want, &fd, tmp_dir, ret, err);
    if (r < 0)
        ol_image_set_fini(ret);
    return r < 0 ? ol_error_wrap(err, r, "image '%s'", path) : 0;
}

int ol_image_open_all(const char *path, const char *tmp_dir, struct ol_image_set *ret,
                      struct ol_error *err)
{
    struct ol_image_set set = {NULL, 0};
    int r = open_path(path, tmp_dir, true, &set, err);

    if (r == 0)
        *ret = set;
    return r;
}

int ol_image_open(const char *path, const char *tmp_dir, struct ol_image **ret,
                  struct ol_error *err)
{
    struct ol_image_set set = {NULL, 0};
    int r = open_path(path, tmp_dir, false, &set, err);

    if (r < 0)
        return r;
    *ret = ol_ptr_steal(set.items[0]); /* there is exactly one */
    ol_image_set_fini(&set);
    return 0;
}
