/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in image as an image source: opening a layer starts a thread that writes its tar into a
 * pipe; closing takes the reader's end away and joins it.
 */
#include "bench/workloads/builtin.h"

#include "bench/workloads/workload.h"
#include "common/cleanup.h"
#include "common/layer/tar_writer.h"
#include "store/thread.h"

#include <errno.h>

enum { POOL_BYTES = 256 << 10, SLICE_BYTES = 64 << 10 };

struct builtin {
    uint64_t seed;
    unsigned char *pool; /* owned: what all contents are cut from */
};

/* One layer being written. */
struct producer {
    const struct builtin *image;
    size_t index;
    int write_fd; /* owned; the thread's while it runs */
    pthread_t thread;
    int result; /* these two belong to the thread until it is joined */
    struct ol_error err;
};

/*
 * Files are made of slices of one pool at random places: half of it random, half words, so that
 * compressors find about what they find in programs and documents.
 */
static void fill_pool(unsigned char *pool, uint64_t seed)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog\n";
    struct ol_random random;

    ol_random_seed(&random, seed ^ 0x6f7665726c6162u);
    ol_random_fill(&random, pool, POOL_BYTES);
    for (size_t at = 0; at + sizeof text < POOL_BYTES;) {
        size_t run = 64 + (size_t)ol_random_below(&random, 512);
        for (size_t i = 0; i < run && at < POOL_BYTES; i++, at++)
            pool[at] = (unsigned char)text[(at + i / 7) % (sizeof text - 1)];
        at += 64 + (size_t)ol_random_below(&random, 512);
    }
}

static int put_content(struct ol_tar_writer *tar, const struct builtin *image,
                       const struct ol_builtin_item *item, struct ol_error *err)
{
    struct ol_random random;
    unsigned char head[16]; /* makes every file's content its own */
    uint64_t left = item->size;
    size_t len = left < sizeof head ? (size_t)left : sizeof head;
    int r;

    ol_random_seed(&random, item->seed);
    ol_random_fill(&random, head, sizeof head);
    r = ol_tar_put_data(tar, head, len, err);
    left -= len;
    while (r == 0 && left > 0) {
        size_t at = (size_t)ol_random_below(&random, POOL_BYTES - SLICE_BYTES);
        len = left < SLICE_BYTES ? (size_t)left : (size_t)SLICE_BYTES;
        r = ol_tar_put_data(tar, image->pool + at, len, err);
        left -= len;
    }
    return r;
}

static int put_item(struct ol_tar_writer *tar, const struct builtin *image,
                    const struct ol_builtin_item *item, struct ol_error *err)
{
    static const unsigned types[] = {0100000, 0100000, 0120000, 0, 0, 0040000};
    ol_auto_free char *name = NULL;
    struct ol_tar_header header = {
        .link = item->link,
        .type = item->type,
        .mode = ol_tar_mode(item->mode | types[item->type - '0']),
        .size = item->size,
        .mtime = {.tv_sec = item->mtime},
    };
    int r;

    if (asprintf(&name, "%s%s", item->path, item->type == '5' ? "/" : "") < 0)
        return ol_error_nomem(err);
    header.name = name;
    r = ol_tar_put_header(tar, &header, err);
    return r == 0 && item->size > 0 ? put_content(tar, image, item, err) : r;
}

static int put_layer(struct ol_tar_writer *tar, const struct builtin *image,
                     const struct ol_builtin_list *list, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = put_item(tar, image, &list->items[i], err);
    return r < 0 ? r : ol_tar_finish(tar, NULL, err);
}

static int produce(struct producer *p)
{
    struct ol_builtin_list list;
    struct ol_tar_writer *tar = NULL;
    int r = ol_builtin_layer(p->image->seed, p->index, &list);

    if (r < 0)
        return ol_error_nomem(&p->err);
    r = ol_tar_writer_new(p->write_fd, &tar, &p->err);
    if (r == 0)
        r = put_layer(tar, p->image, &list, &p->err);
    ol_tar_writer_free(tar);
    ol_builtin_list_fini(&list);
    return r;
}

static void *producer_main(void *arg)
{
    struct producer *p = arg;

    p->result = produce(p);
    ol_fd_close(&p->write_fd); /* the reader's end of file */
    return NULL;
}

static int builtin_open(void *data, size_t index, struct ol_image_stream *ret, struct ol_error *err)
{
    struct producer *p = calloc(1, sizeof *p);
    int ends[2];
    int r = p == NULL ? ol_error_nomem(err) : ol_io_pipe(ends, err);

    if (r < 0) {
        free(p);
        return r;
    }
    *p = (struct producer){.image = data, .index = index, .write_fd = ends[1]};
    r = ol_thread_start(&p->thread, producer_main, p, err);
    if (r < 0) {
        ol_fd_close(&ends[0]);
        ol_fd_close(&ends[1]);
        free(p);
        return r;
    }
    *ret = (struct ol_image_stream){.input = OL_INPUT_FD(ends[0]), .priv = p};
    return 0;
}

static int builtin_close(void *data, struct ol_image_stream *stream, struct ol_error *err)
{
    struct producer *p = stream->priv;
    int r;

    (void)data;
    ol_fd_close(&stream->input.fd);      /* a producer that still writes gets EPIPE */
    (void)pthread_join(p->thread, NULL); /* cannot fail for a thread of ours */
    r = p->result == -EPIPE ? 0 : p->result;
    if (r < 0)
        ol_error_move(err, &p->err);
    ol_error_fini(&p->err);
    free(p);
    return r;
}

static void builtin_free(void *data)
{
    struct builtin *image = data;

    free(image->pool);
    free(image);
}

static const struct ol_image_source_ops builtin_ops = {
    .open_layer = builtin_open,
    .close_layer = builtin_close,
    .free = builtin_free,
};

int ol_builtin_image_new(uint64_t seed, struct ol_image **ret, struct ol_error *err)
{
    struct builtin *image = calloc(1, sizeof *image);
    char source[48];
    int r;

    if (image != NULL)
        image->pool = malloc(POOL_BYTES);
    if (image == NULL || image->pool == NULL) {
        free(image);
        return ol_error_nomem(err);
    }
    image->seed = seed;
    fill_pool(image->pool, seed);
    (void)snprintf(source, sizeof source, "built-in (seed %ju)", (uintmax_t)seed);
    r = ol_image_new_custom(OL_IMAGE_BUILTIN, source, OL_BUILTIN_LAYERS, &builtin_ops, image, ret,
                            err);
    if (r < 0)
        builtin_free(image);
    return r;
}
