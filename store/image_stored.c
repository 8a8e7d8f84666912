/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images of an image store as images like any other: the tar of each layer is made again by a
 * thread while it is read.
 */
#include "store/image_internal.h"

#include "common/cleanup.h"
#include "store/imagestore.h"
#include "store/thread.h"

#include <errno.h>

struct stored {
    struct ol_images *images;      /* borrowed */
    struct ol_image_config config; /* owned */
};

/* One layer on its way through a pipe. */
struct feed {
    pthread_t thread;
    struct ol_store *layers; /* borrowed; the thread's while it runs */
    char chain_id[OL_DIGEST_SIZE];
    int write_fd; /* owned; closed by the thread when it ends, which is the reader's end of file */
    int result;
    struct ol_error err;
};

static int write_pipe(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    const struct feed *feed = data;
    int r = ol_io_write(feed->write_fd, bytes, len);

    return r < 0 ? ol_error_sys(err, -r, "nobody reads it") : 0;
}

static void *feed_run(void *arg)
{
    struct feed *feed = arg;

    feed->result = ol_store_layer_tar(feed->layers, feed->chain_id, write_pipe, feed, NULL,
                                      &feed->err);
    ol_fd_close(&feed->write_fd);
    return NULL;
}

static void feed_free(struct feed *feed)
{
    ol_fd_close(&feed->write_fd);
    ol_error_fini(&feed->err);
    free(feed);
}

static int feed_start(struct feed *feed, int *ret_fd, struct ol_error *err)
{
    int ends[2] = {-1, -1};
    int r = ol_io_pipe(ends, err);

    if (r < 0)
        return r;
    feed->write_fd = ends[1];
    r = ol_thread_start(&feed->thread, feed_run, feed, err);
    if (r < 0)
        ol_fd_close(&ends[0]);
    *ret_fd = ends[0];
    return r;
}

static int stored_open(void *data, size_t index, struct ol_image_stream *ret, struct ol_error *err)
{
    const struct stored *stored = data;
    struct feed *feed = calloc(1, sizeof *feed);
    int r;

    if (feed == NULL)
        return ol_error_nomem(err);
    feed->write_fd = -1;
    feed->layers = ol_images_layers(stored->images);
    r = ol_image_config_chain_id(&stored->config, index, feed->chain_id, err);
    if (r == 0)
        r = feed_start(feed, &ret->own_fd, err);
    if (r < 0) {
        ret->own_fd = -1;
        feed_free(feed);
        return r;
    }
    ret->input = OL_INPUT_FD(ret->own_fd);
    ret->priv = feed;
    return 0;
}

static int stored_close(void *data, struct ol_image_stream *stream, struct ol_error *err)
{
    struct feed *feed = stream->priv;
    int r;

    (void)data;
    ol_fd_close(&stream->own_fd); /* a thread still writing gets EPIPE and ends */
    (void)pthread_join(feed->thread, NULL);
    r = feed->result == -EPIPE ? 0 : feed->result;
    if (r < 0)
        ol_error_move(err, &feed->err);
    feed_free(feed);
    return r;
}

static void stored_free(void *data)
{
    struct stored *stored = data;

    ol_image_config_fini(&stored->config);
    free(stored);
}

/* Each has a config of its own: the image's, and the one its source reads ChainIDs from. */
static int make(struct ol_images *images, const char *name, const struct ol_stored_image *found,
                struct stored *stored, struct ol_image **ret, struct ol_error *err)
{
    static const struct ol_image_source_ops ops = {stored_open, stored_close, stored_free};
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    int r = ol_images_config(images, found->id, &config, err);

    if (r == 0)
        r = ol_images_config(images, found->id, &stored->config, err);
    if (r == 0)
        r = ol_image_new_custom(OL_IMAGE_STORED, name, found->layers, &ops, stored, ret, err);
    if (r == 0)
        ol_image_take_config(*ret, &config);
    return r;
}

int ol_image_open_stored(struct ol_images *images, const char *name, struct ol_image **ret,
                         struct ol_error *err)
{
    struct ol_stored_image found;
    struct stored *stored;
    int r = ol_images_find(images, name, &found, err);

    if (r < 0)
        return r;
    stored = calloc(1, sizeof *stored);
    if (stored == NULL)
        return ol_error_nomem(err);
    *stored = (struct stored){.images = images, .config = OL_IMAGE_CONFIG_INIT};
    r = make(images, name, &found, stored, ret, err);
    if (r < 0)
        stored_free(stored);
    return r;
}
