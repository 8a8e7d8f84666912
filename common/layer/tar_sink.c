/* SPDX-License-Identifier: Apache-2.0 */
/* The block ring of tar_sink.h. A sealed block is only read, by the caller and by the thread at the
 * same time; it is filled again when the thread is done with it. */
#include "common/layer/tar_sink.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/io.h"
#include "common/pool.h"
#include "common/relay.h"

#include <signal.h>
#include <string.h>
#include <time.h>

enum {
    SINK_BLOCK = 256 << 10, /* one write; pipes of 1 MiB hold four */
    SINK_BLOCKS = 4,
    SINK_INLINE = 2, /* blocks the caller handles alone before a thread is worth its start */
};

struct ol_tar_sink {
    int fd;
    unsigned char *ring; /* owned; SINK_BLOCKS blocks */
    size_t fill;         /* bytes in the block being filled */
    uint64_t sealed;     /* blocks handed over; the next to fill is sealed % SINK_BLOCKS */
    uint64_t total;
    int failed;           /* first failure of a write; nothing is written after it */
    struct ol_hash *hash; /* owned; NULL without digest; the thread's while it runs */
    bool may_thread;
    struct ol_relay relay; /* its slots are the ring's blocks */
};

static unsigned char *block_at(struct ol_tar_sink *sink, uint64_t n)
{
    return sink->ring + (n % SINK_BLOCKS) * SINK_BLOCK;
}

/*
 * A reader that went away must end in -EPIPE, not in the death of the program, and a library may
 * not change how the program handles signals: SIGPIPE is held back in this thread alone, and taken
 * off when this write raised it.
 */
static int write_quietly(int fd, const void *data, size_t len)
{
    const struct timespec now = {0, 0};
    sigset_t pipe_set, pending, old;
    bool was_pending;
    int r;

    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    sigemptyset(&pending);
    (void)sigpending(&pending); /* cannot fail with a valid set */
    was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    r = ol_fault_hit("tar_write") ? -EIO : ol_io_write(fd, data, len);
    if (r == -EPIPE && !was_pending)
        while (sigtimedwait(&pipe_set, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

/* The thread's share of a full block: the digest, or the write where nobody wants one. */
static int second_half(uint64_t n, void *data)
{
    struct ol_tar_sink *sink = data;

    if (sink->hash == NULL)
        return write_quietly(sink->fd, block_at(sink, n), SINK_BLOCK);
    ol_hash_update(sink->hash, block_at(sink, n), SINK_BLOCK);
    return 0;
}

int ol_tar_sink_new(int fd, struct ol_tar_sink **ret, struct ol_error *err)
{
    struct ol_tar_sink *sink = calloc(1, sizeof *sink);
    int r;

    if (sink == NULL)
        return ol_error_nomem(err);
    ol_relay_init(&sink->relay, SINK_BLOCKS, second_half, sink);
    sink->fd = fd;
    sink->may_thread = ol_pool_threads(0) > 1;
    sink->ring = malloc((size_t)SINK_BLOCKS * SINK_BLOCK);
    r = sink->ring == NULL ? ol_error_nomem(err) : ol_hash_new(&sink->hash, err);
    if (r < 0) {
        ol_tar_sink_free(sink);
        return r;
    }
    if (fd >= 0)
        ol_io_enlarge_pipe(fd);
    *ret = sink;
    return 0;
}

void ol_tar_sink_free(struct ol_tar_sink *sink)
{
    if (sink == NULL)
        return;
    ol_relay_fini(&sink->relay);
    ol_hash_free(sink->hash);
    free(sink->ring);
    free(sink);
}

void ol_tar_sink_set_work(struct ol_tar_sink *sink, unsigned work)
{
    if ((work & OL_TAR_THREAD) == 0)
        sink->may_thread = false;
    if ((work & OL_TAR_DIGEST) == 0) {
        ol_hash_free(sink->hash);
        sink->hash = NULL;
    }
}

/* Whether a thread takes its half of the block that is full now. */
static bool threaded(struct ol_tar_sink *sink)
{
    if (sink->relay.running)
        return true;
    if (!sink->may_thread || sink->sealed < SINK_INLINE || (sink->hash == NULL && sink->fd < 0))
        return false;
    sink->may_thread = ol_relay_start(&sink->relay, sink->sealed);
    return sink->may_thread; /* without a thread it goes on alone, only slower */
}

static void write_block(struct ol_tar_sink *sink, size_t len)
{
    if (sink->fd >= 0 && sink->failed == 0)
        sink->failed = write_quietly(sink->fd, block_at(sink, sink->sealed), len);
}

static int check(const struct ol_tar_sink *sink, struct ol_error *err)
{
    return sink->failed == 0 ? 0 : ol_error_sys(err, -sink->failed, "cannot write the tar stream");
}

unsigned char *ol_tar_sink_room(struct ol_tar_sink *sink, size_t *ret_len)
{
    *ret_len = SINK_BLOCK - sink->fill;
    return block_at(sink, sink->sealed) + sink->fill;
}

/* A block is full. */
static int seal(struct ol_tar_sink *sink, struct ol_error *err)
{
    bool shared = threaded(sink);
    int r = 0;

    if (!shared && sink->hash != NULL)
        ol_hash_update(sink->hash, block_at(sink, sink->sealed), SINK_BLOCK);
    if (shared)
        r = ol_relay_give(&sink->relay);
    if (!shared || sink->hash != NULL)
        write_block(sink, SINK_BLOCK);
    if (sink->failed == 0)
        sink->failed = r;
    sink->sealed++;
    sink->fill = 0;
    return check(sink, err);
}

int ol_tar_sink_commit(struct ol_tar_sink *sink, size_t len, struct ol_error *err)
{
    int r = check(sink, err);

    if (r < 0)
        return r;
    sink->fill += len;
    sink->total += len;
    return sink->fill < SINK_BLOCK ? 0 : seal(sink, err);
}

int ol_tar_sink_put(struct ol_tar_sink *sink, const void *data, size_t len, struct ol_error *err)
{
    const unsigned char *from = data;

    while (len > 0) {
        size_t room;
        unsigned char *to = ol_tar_sink_room(sink, &room);
        size_t n = len < room ? len : room;
        int r;

        memcpy(to, from, n);
        r = ol_tar_sink_commit(sink, n, err);
        if (r < 0)
            return r;
        from += n;
        len -= n;
    }
    return 0;
}

int ol_tar_sink_finish(struct ol_tar_sink *sink, char *ret_digest, struct ol_error *err)
{
    int r;

    r = ol_relay_end(&sink->relay); /* it has handled every whole block */
    if (sink->failed == 0)
        sink->failed = r;
    if (sink->fill > 0)
        write_block(sink, sink->fill);
    r = check(sink, err);
    if (r < 0)
        return r;
    if (ret_digest != NULL)
        ret_digest[0] = '\0';
    if (sink->hash != NULL) {
        char digest[OL_DIGEST_SIZE];
        ol_hash_update(sink->hash, block_at(sink, sink->sealed), sink->fill);
        ol_hash_final(sink->hash, digest);
        if (ret_digest != NULL)
            memcpy(ret_digest, digest, sizeof digest);
    }
    sink->fill = 0;
    return 0;
}

uint64_t ol_tar_sink_total(const struct ol_tar_sink *sink)
{
    return sink->total;
}
