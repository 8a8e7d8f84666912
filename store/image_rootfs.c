/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root file systems as images of one layer. A tar is handed on as it lies in its file, compressed
 * or not. A directory is written as a tar by a thread while it is read, as `tar c | docker import`
 * would.
 */
#include "store/image_internal.h"

#include "common/cleanup.h"
#include "common/layer/export.h"
#include "store/thread.h"

#include <errno.h>
#include <fcntl.h>

struct rootfs {
    int fd; /* owned: the tar file, or the directory */
};

static int rootfs_new(enum ol_image_format format, const char *source,
                      const struct ol_image_source_ops *ops, int fd, struct ol_image **ret,
                      struct ol_error *err)
{
    ol_auto_fd int owned = fd;
    struct rootfs *rootfs = malloc(sizeof *rootfs);
    int r;

    if (rootfs == NULL)
        return ol_error_nomem(err);
    r = ol_image_new_custom(format, source, 1, ops, rootfs, ret, err);
    if (r < 0) {
        free(rootfs);
        return r;
    }
    rootfs->fd = ol_fd_steal(&owned);
    return 0;
}

static void rootfs_free(void *data)
{
    struct rootfs *rootfs = data;

    ol_fd_close(&rootfs->fd);
    free(rootfs);
}

static int tar_open(void *data, size_t index, struct ol_image_stream *ret, struct ol_error *err)
{
    const struct rootfs *rootfs = data;

    (void)index;
    (void)err;
    ret->input = (struct ol_input){.fd = rootfs->fd, .offset = 0, .length = UINT64_MAX};
    return 0;
}

static int tar_close(void *data, struct ol_image_stream *stream, struct ol_error *err)
{
    (void)data;
    (void)stream;
    (void)err;
    return 0;
}

/* One export on its way through a pipe. */
struct export
{
    pthread_t thread;
    int dir_fd;   /* owned */
    int write_fd; /* owned; closed by the thread when it ends, which is the reader's end of file */
    int result;
    struct ol_error err;
};

static void *export_run(void *arg)
{
    struct export *x = arg;
    const struct ol_export_options options = {.now = 0, .threads = 0};

    x->result = ol_export_tree(x->dir_fd, x->write_fd, &options, NULL, &x->err);
    ol_fd_close(&x->write_fd);
    return NULL;
}

static void export_free(struct export *x)
{
    ol_fd_close(&x->dir_fd);
    ol_fd_close(&x->write_fd);
    ol_error_fini(&x->err);
    free(x);
}

static int export_start(struct export *x, const struct rootfs *rootfs, int *ret_fd,
                        struct ol_error *err)
{
    int ends[2] = {-1, -1};
    int r;

    /* A description of its own: two layers may be open at a time, each with its own position. */
    x->dir_fd = openat(rootfs->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (x->dir_fd < 0)
        return ol_error_sys(err, errno, "cannot open the directory");
    r = ol_io_pipe(ends, err);
    if (r < 0)
        return r;
    x->write_fd = ends[1];
    r = ol_thread_start(&x->thread, export_run, x, err);
    if (r < 0)
        ol_fd_close(&ends[0]);
    *ret_fd = ends[0];
    return r;
}

static int dir_open(void *data, size_t index, struct ol_image_stream *ret, struct ol_error *err)
{
    struct export *x = calloc(1, sizeof *x);
    int r;

    (void)index;
    if (x == NULL)
        return ol_error_nomem(err);
    x->dir_fd = x->write_fd = -1;
    r = export_start(x, data, &ret->own_fd, err);
    if (r < 0) {
        ret->own_fd = -1;
        export_free(x);
        return r;
    }
    ret->input = OL_INPUT_FD(ret->own_fd);
    ret->priv = x;
    return 0;
}

static int dir_close(void *data, struct ol_image_stream *stream, struct ol_error *err)
{
    struct export *x = stream->priv;
    int r;

    (void)data;
    ol_fd_close(&stream->own_fd); /* a thread still writing gets EPIPE and ends */
    (void)pthread_join(x->thread, NULL);
    r = x->result == -EPIPE ? 0 : x->result;
    if (r < 0)
        ol_error_move(err, &x->err);
    export_free(x);
    return r;
}

int ol_image_new_rootfs_tar(const char *source, int fd, struct ol_image **ret, struct ol_error *err)
{
    static const struct ol_image_source_ops ops = {tar_open, tar_close, rootfs_free};

    return rootfs_new(OL_IMAGE_ROOTFS_TAR, source, &ops, fd, ret, err);
}

int ol_image_new_rootfs_dir(const char *source, int fd, struct ol_image **ret, struct ol_error *err)
{
    static const struct ol_image_source_ops ops = {dir_open, dir_close, rootfs_free};

    return rootfs_new(OL_IMAGE_ROOTFS_DIR, source, &ops, fd, ret, err);
}
