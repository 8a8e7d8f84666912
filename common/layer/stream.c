/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks, the reader thread and the digest thread; see stream.h. */
#include "common/layer/stream.h"

#include "common/cleanup.h"
#include "common/layer/source.h"

#include <pthread.h>
#include <sys/eventfd.h>

struct ol_stream {
    struct ol_source *source; /* owned; used by the reader thread once it runs */
    struct ol_hash *hash;     /* owned; NULL: no digest */
    uint64_t total_max;
    size_t block_size; /* bytes per block */
    bool seek;
    uint64_t produced; /* bytes so far; reader's */
    unsigned threads;
    bool is_long;
    bool eof; /* consumer's: ol_stream_next() said so */
    int wake_fd;

    bool reader_runs, hasher_runs;
    pthread_t reader, hasher;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* broadcast: few waiters, one event per MiB */
    /* all below guarded by lock */
    struct ol_block *free_blocks;
    unsigned made;                           /* blocks that exist */
    struct ol_block *ring[OL_STREAM_BLOCKS]; /* block number n is at n % OL_STREAM_BLOCKS */
    uint64_t filled, taken, hashed;          /* block numbers: next to fill, to take, to digest */
    bool ended;                              /* the reader puts no more */
    bool stop;                               /* close() wants the threads to end */
    int result;                              /* of the reader */
    struct ol_error error;
};

void ol_block_ref(struct ol_block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
}

void ol_block_unref(struct ol_block *block)
{
    struct ol_stream *s;

    if (block == NULL || atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) != 1)
        return;
    s = block->stream;
    pthread_mutex_lock(&s->lock);
    block->next = s->free_blocks;
    s->free_blocks = block;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void block_free(struct ol_block *block)
{
    if (block != NULL)
        free(block->data);
    free(block);
}

static struct ol_block *block_new(struct ol_stream *s)
{
    struct ol_block *block = calloc(1, sizeof *block);

    if (block != NULL)
        block->data = malloc(s->block_size);
    if (block == NULL || block->data == NULL) {
        block_free(block);
        return NULL;
    }
    block->stream = s;
    return block;
}

/* A block with one reference, waiting while all of them are in use. *ret NULL: told to stop. */
static int block_get(struct ol_stream *s, struct ol_block **ret, struct ol_error *err)
{
    struct ol_block *block = NULL;
    bool stop;

    pthread_mutex_lock(&s->lock);
    while (s->free_blocks == NULL && s->made == OL_STREAM_BLOCKS && !s->stop)
        pthread_cond_wait(&s->changed, &s->lock);
    stop = s->stop;
    if (!stop && s->free_blocks != NULL) {
        block = s->free_blocks;
        s->free_blocks = block->next;
    } else if (!stop) {
        block = block_new(s);
        s->made += block != NULL;
    }
    pthread_mutex_unlock(&s->lock);
    *ret = block;
    if (block == NULL)
        return stop ? 0 : ol_error_nomem(err);
    atomic_store_explicit(&block->refs, 1, memory_order_relaxed);
    return 0;
}

static int check_total(const struct ol_stream *s, struct ol_error *err)
{
    if (s->produced <= s->total_max)
        return 0;
    return ol_error_set(err, -E2BIG,
                        "the uncompressed layer passes the limit of %llu bytes (total_bytes)",
                        (unsigned long long)s->total_max);
}

/* Fill a fresh block; *ret stays NULL at the end of the stream. Who calls owns s->source. */
static int fill(struct ol_stream *s, struct ol_block **ret, struct ol_error *err)
{
    struct ol_block *block = NULL;
    ssize_t n;
    int r = block_get(s, &block, err);

    if (r < 0 || block == NULL)
        return r;
    n = ol_source_read(s->source, block->data, s->block_size, err);
    if (n <= 0) {
        ol_block_unref(block);
        return (int)n;
    }
    block->start = s->produced;
    block->len = (size_t)n;
    s->produced += (uint64_t)n;
    r = check_total(s, err);
    if (r < 0) {
        ol_block_unref(block);
        return r;
    }
    *ret = block;
    return 0;
}

static void put(struct ol_stream *s, struct ol_block *block)
{
    if (s->hasher_runs)
        ol_block_ref(block); /* the digest thread's */
    else if (s->hash != NULL)
        ol_hash_update(s->hash, block->data, block->len);
    pthread_mutex_lock(&s->lock);
    s->ring[s->filled % OL_STREAM_BLOCKS] = block;
    s->filled++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void *reader_main(void *arg)
{
    struct ol_stream *s = arg;
    struct ol_error err = OL_ERROR_INIT;
    struct ol_block *block;
    int r;

    do {
        block = NULL;
        r = fill(s, &block, &err);
        if (block != NULL)
            put(s, block);
    } while (block != NULL);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->result = r;
    ol_error_move(&s->error, &err);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void *hasher_main(void *arg)
{
    struct ol_stream *s = arg;
    struct ol_block *block;

    for (;;) {
        pthread_mutex_lock(&s->lock);
        while (s->hashed == s->filled && !s->ended && !s->stop)
            pthread_cond_wait(&s->changed, &s->lock);
        block = NULL;
        if (s->hashed < s->filled) { /* also when stopping: the references must go back */
            block = s->ring[s->hashed % OL_STREAM_BLOCKS];
            s->hashed++;
        }
        pthread_mutex_unlock(&s->lock);
        if (block == NULL)
            return NULL;
        ol_hash_update(s->hash, block->data, block->len);
        ol_block_unref(block);
    }
}

/*
 * The stream is long: go on with threads. One that cannot be started only costs speed. The blocks
 * so far are digested already.
 */
static void start_threads(struct ol_stream *s)
{
    s->is_long = true;
    if (s->threads < 2)
        return;
    s->hashed = s->filled;
    if (s->hash != NULL && !ol_source_is_plain(s->source) &&
        pthread_create(&s->hasher, NULL, hasher_main, s) == 0)
        s->hasher_runs = true;
    if (pthread_create(&s->reader, NULL, reader_main, s) == 0)
        s->reader_runs = true;
}

/* Without a reader thread: fill one block, in the caller's thread. */
static int next_inline(struct ol_stream *s, struct ol_error *err)
{
    struct ol_block *block = NULL;
    int r = fill(s, &block, err);

    if (r < 0)
        return r;
    if (block == NULL) {
        pthread_mutex_lock(&s->lock);
        s->ended = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        return 0;
    }
    put(s, block);
    if (!s->is_long && !s->seek && s->produced >= OL_STREAM_LONG)
        start_threads(s);
    return 0;
}

int ol_stream_next(struct ol_stream *stream, struct ol_block **ret, struct ol_error *err)
{
    struct ol_stream *s = stream;
    int r = 0;

    *ret = NULL;
    if (s->eof)
        return 0;
    if (!s->reader_runs && s->taken == s->filled) {
        r = next_inline(s, err);
        if (r < 0)
            return r;
    }
    pthread_mutex_lock(&s->lock);
    while (s->taken == s->filled && !s->ended)
        pthread_cond_wait(&s->changed, &s->lock);
    if (s->taken < s->filled) {
        *ret = s->ring[s->taken % OL_STREAM_BLOCKS];
        s->taken++;
    } else {
        s->eof = true;
        r = s->result;
        if (r < 0)
            ol_error_move(err, &s->error);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

int64_t ol_stream_skip(struct ol_stream *stream, int64_t len, struct ol_error *err)
{
    int64_t n;
    int r;

    if (!stream->seek || stream->taken != stream->filled)
        return 0;
    n = ol_source_skip(stream->source, len, err);
    if (n < 0)
        return n;
    stream->produced += (uint64_t)n;
    r = check_total(stream, err);
    return r < 0 ? r : n;
}

bool ol_stream_ready(struct ol_stream *stream)
{
    bool ready;

    if (!stream->reader_runs)
        return true;
    pthread_mutex_lock(&stream->lock);
    ready = stream->taken < stream->filled || stream->ended;
    pthread_mutex_unlock(&stream->lock);
    return ready;
}

bool ol_stream_is_long(const struct ol_stream *stream)
{
    return stream->is_long;
}

/* The threads end by themselves at the end of the stream, or once told to stop. */
static void join_threads(struct ol_stream *s)
{
    if (s->reader_runs)
        (void)pthread_join(s->reader, NULL); /* cannot fail for a thread of ours */
    s->reader_runs = false;
    if (s->hasher_runs)
        (void)pthread_join(s->hasher, NULL); /* the same */
    s->hasher_runs = false;
}

void ol_stream_result(struct ol_stream *stream, char ret_diff_id[static OL_DIGEST_SIZE],
                      uint64_t *ret_bytes)
{
    join_threads(stream);
    ret_diff_id[0] = '\0';
    if (stream->hash != NULL)
        ol_hash_final(stream->hash, ret_diff_id);
    *ret_bytes = stream->produced;
}

static void stop_threads(struct ol_stream *s)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    (void)ol_io_write(s->wake_fd, &one, sizeof one); /* an eventfd takes it */
    join_threads(s);
}

void ol_stream_close(struct ol_stream *stream)
{
    struct ol_stream *s = stream;

    if (s == NULL)
        return;
    stop_threads(s);
    for (; s->taken < s->filled; s->taken++)
        ol_block_unref(s->ring[s->taken % OL_STREAM_BLOCKS]);
    while (s->free_blocks != NULL) {
        struct ol_block *block = s->free_blocks;
        s->free_blocks = block->next;
        block_free(block);
    }
    ol_source_close(s->source);
    ol_hash_free(s->hash);
    ol_error_fini(&s->error);
    ol_fd_close(&s->wake_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int ol_stream_open(const struct ol_input *input, const struct ol_layer_limits *limits,
                   unsigned flags, unsigned threads, struct ol_stream **ret, struct ol_error *err)
{
    struct ol_stream *s = calloc(1, sizeof *s);
    int r = 0;

    if (s == NULL)
        return ol_error_nomem(err);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->total_max = limits->total_bytes;
    s->threads = threads;
    s->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (s->wake_fd < 0)
        r = ol_error_sys(err, errno, "cannot make an event descriptor");
    if (r == 0)
        r = ol_source_open(input, s->wake_fd, &s->source, err);
    s->seek = r == 0 && (flags & OL_STREAM_SEEK) != 0 && ol_source_can_skip(s->source);
    s->block_size = s->seek ? OL_STREAM_SEEK_BLOCK : OL_STREAM_BLOCK;
    if (r == 0 && (flags & OL_STREAM_DIGEST) != 0 && !s->seek)
        r = ol_hash_new(&s->hash, err);
    if (r < 0) {
        ol_stream_close(s);
        return r;
    }
    *ret = s;
    return 0;
}
