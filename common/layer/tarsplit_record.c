/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of each byte of a stream that is being applied. The thread that reads the archive
 * says which blocks come (from the stream's ring, shared with the digest) and where contents begin;
 * it collects that per block and hands it over to a thread that does the work: CRC, base64, JSON,
 * gzip. Short streams are worked on by the caller.
 *
 * Whatever is not surely the content of a file that can be read back is kept as it is, so that the
 * stream can be made again in every case:
 * - sparse files, whose content is not what lies in the archive;
 * - names under a whiteout prefix, which the applier takes for deletions;
 * - a second entry of a name; the first is caught by ol_tarsplit_check(), because it was removed;
 * - what the first attempt found lost.
 */
#include "common/layer/tarsplit.h"

#include "common/buf.h"
#include "common/fs/whiteout.h"
#include "common/layer/crc64.h"
#include "common/layer/reader.h"
#include "common/layer/seen.h"
#include "common/layer/tarsplit_lines.h"
#include "common/pool.h"

#include <errno.h>
#include <pthread.h>

enum {
    SEGMENT_MAX = 256 << 10, /* bytes of one segment */
    /* libarchive peeks into the next block before it is done with this one (it looks whether a
     * header follows a hard link): an entry may begin that far before the newest block. */
    LOOK_AHEAD = 64 << 10,
};

/* What the reading thread says, in order. */
struct task {
    struct task *next;
    struct ol_block *block; /* one reference; NULL: an entry */
    uint64_t at, size;      /* of its content */
    bool by_reference;      /* the content can be read back */
    char name[];            /* "" for an entry that is not listed */
};

struct tasks {
    struct task *first, **end;
};

struct ol_tarsplit {
    /* the reading thread's */
    const struct ol_tarsplit_lost *lost; /* borrowed */
    size_t next_lost;
    unsigned threads;
    struct ol_seen listed;
    struct tasks batch; /* since the last block */
    bool doubt, whole;

    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    struct tasks queue;
    bool ended; /* nothing follows what is in the queue */
    int result;

    /* the worker's */
    struct ol_error error;
    struct ol_tarsplit_writer *writer; /* owned */
    struct tasks blocks;               /* not finished with */
    uint64_t at;                       /* the next byte to deal with */
    uint64_t end;                      /* of the blocks */
    struct task *content;              /* owned; the entry whose content at is in */
    uint64_t crc;
    struct ol_buf segment;
};

static void tasks_init(struct tasks *tasks)
{
    tasks->first = NULL;
    tasks->end = &tasks->first;
}

static void tasks_add(struct tasks *tasks, struct task *task)
{
    task->next = NULL;
    *tasks->end = task;
    tasks->end = &task->next;
}

static struct task *tasks_take(struct tasks *tasks)
{
    struct task *task = tasks->first;

    if (task == NULL)
        return NULL;
    tasks->first = task->next;
    if (tasks->first == NULL)
        tasks->end = &tasks->first;
    return task;
}

/* Move everything behind what to holds. */
static void tasks_move(struct tasks *to, struct tasks *from)
{
    if (from->first == NULL)
        return;
    *to->end = from->first;
    to->end = from->end;
    tasks_init(from);
}

static void task_free(struct task *task)
{
    if (task != NULL)
        ol_block_unref(task->block);
    free(task);
}

static void tasks_drop(struct tasks *tasks)
{
    struct task *task;

    while ((task = tasks_take(tasks)) != NULL)
        task_free(task);
}

int ol_tarsplit_new(int out_fd, unsigned threads, const struct ol_tarsplit_lost *lost,
                    struct ol_tarsplit **ret, struct ol_error *err)
{
    struct ol_tarsplit *ts = calloc(1, sizeof *ts);
    int r;

    if (ts == NULL)
        return ol_error_nomem(err);
    ts->lost = lost;
    ts->threads = ol_pool_threads(threads);
    tasks_init(&ts->batch);
    tasks_init(&ts->queue);
    tasks_init(&ts->blocks);
    pthread_mutex_init(&ts->lock, NULL);
    pthread_cond_init(&ts->changed, NULL);
    r = ol_seen_init(&ts->listed, err);
    if (r == 0)
        r = ol_tarsplit_writer_new(out_fd, &ts->writer, err);
    if (r < 0) {
        ol_tarsplit_free(ts);
        return r;
    }
    *ret = ts;
    return 0;
}

void ol_tarsplit_free(struct ol_tarsplit *ts)
{
    if (ts == NULL)
        return;
    ol_tarsplit_stop(ts);
    ol_tarsplit_writer_free(ts->writer);
    ol_seen_fini(&ts->listed);
    ol_buf_fini(&ts->segment);
    ol_error_fini(&ts->error);
    pthread_cond_destroy(&ts->changed);
    pthread_mutex_destroy(&ts->lock);
    free(ts);
}

bool ol_tarsplit_is_whole(const struct ol_tarsplit *ts)
{
    return ts->whole;
}

bool ol_tarsplit_in_doubt(const struct ol_tarsplit *ts)
{
    return ts->doubt;
}

void ol_tarsplit_doubt(struct ol_tarsplit *ts)
{
    if (ts != NULL)
        ts->doubt = true;
}

/* ---- the worker ---- */

static int flush_segment(struct ol_tarsplit *ts, struct ol_error *err)
{
    int r = 0;

    if (ts->segment.len > 0)
        r = ol_tarsplit_write_segment(ts->writer, ts->segment.data, ts->segment.len, err);
    ol_buf_truncate(&ts->segment, 0);
    return r;
}

static int add_segment(struct ol_tarsplit *ts, const char *bytes, size_t len, struct ol_error *err)
{
    while (len > 0) {
        size_t room = SEGMENT_MAX - ts->segment.len;
        size_t n = len < room ? len : room;
        int r = ol_buf_append(&ts->segment, bytes, n) < 0 ? ol_error_nomem(err) : 0;
        if (r == 0 && ts->segment.len == SEGMENT_MAX)
            r = flush_segment(ts, err);
        if (r < 0)
            return r;
        bytes += n;
        len -= n;
    }
    return 0;
}

static int write_file(struct ol_tarsplit *ts, const struct task *entry, struct ol_error *err)
{
    int r = flush_segment(ts, err);

    return r < 0 ? r : ol_tarsplit_write_file(ts->writer, entry->name, entry->size, ts->crc, err);
}

static uint64_t content_end(const struct ol_tarsplit *ts)
{
    return ts->content->at + ts->content->size;
}

/* Deal with bytes that are all content, or none of them. */
static int deal(struct ol_tarsplit *ts, const char *bytes, size_t len, struct ol_error *err)
{
    int r = 0;

    ts->at += len;
    if (ts->content == NULL)
        return add_segment(ts, bytes, len, err);
    ts->crc = ol_crc64(ts->crc, bytes, len);
    if (ts->at == content_end(ts)) {
        r = write_file(ts, ts->content, err);
        task_free(ts->content);
        ts->content = NULL;
    }
    return r;
}

/* Deal with everything before offset to. */
static int advance(struct ol_tarsplit *ts, uint64_t to, struct ol_error *err)
{
    int r = 0;

    while (r == 0 && ts->at < to) {
        const struct ol_block *block = ts->blocks.first->block;
        uint64_t end = block->start + block->len;
        uint64_t stop = to < end ? to : end;
        if (ts->content != NULL && content_end(ts) < stop)
            stop = content_end(ts);
        r = deal(ts, block->data + (ts->at - block->start), (size_t)(stop - ts->at), err);
        if (ts->at == end)
            task_free(tasks_take(&ts->blocks));
    }
    return r;
}

/* What is before the reader's reach, or content, can be dealt with at once. */
static int take_block(struct ol_tarsplit *ts, struct task *task, struct ol_error *err)
{
    uint64_t start = task->block->start;
    uint64_t to = start > LOOK_AHEAD ? start - LOOK_AHEAD : 0;

    ts->end = start + task->block->len;
    tasks_add(&ts->blocks, task);
    if (ts->content != NULL && content_end(ts) > to)
        to = content_end(ts) < ts->end ? content_end(ts) : ts->end;
    return advance(ts, to, err);
}

static int take_entry(struct ol_tarsplit *ts, struct task *task, struct ol_error *err)
{
    int r = 0;

    /* An entry that begins before what was dealt with would have been kept as it is. */
    if (task->at > ts->end || task->at < ts->at)
        task->by_reference = false;
    else
        r = advance(ts, task->at, err);
    ts->crc = 0;
    if (r == 0 && task->by_reference) {
        ts->content = task;
        return 0;
    }
    if (r == 0 && task->name[0] != '\0' && task->size == 0)
        r = write_file(ts, task, err);
    task_free(task);
    return r;
}

static int work(struct ol_tarsplit *ts, struct tasks *tasks, struct ol_error *err)
{
    struct task *task;
    int r = 0;

    while (r == 0 && (task = tasks_take(tasks)) != NULL)
        r = task->block != NULL ? take_block(ts, task, err) : take_entry(ts, task, err);
    tasks_drop(tasks);
    return r;
}

static int work_end(struct ol_tarsplit *ts, struct ol_error *err)
{
    int r = advance(ts, ts->end, err);

    if (r == 0 && ts->content != NULL)
        r = ol_error_set(err, -EBADMSG, "the archive ends in '%s'", ts->content->name);
    if (r == 0)
        r = flush_segment(ts, err);
    return r < 0 ? r : ol_tarsplit_writer_finish(ts->writer, err);
}

/* After a failure blocks are only given back, or the stream would wait for them. */
static void *thread_main(void *arg)
{
    struct ol_tarsplit *ts = arg;
    struct tasks mine;
    bool ended = false;
    int r = 0;

    while (!ended) {
        tasks_init(&mine);
        pthread_mutex_lock(&ts->lock);
        while (ts->queue.first == NULL && !ts->ended)
            pthread_cond_wait(&ts->changed, &ts->lock);
        tasks_move(&mine, &ts->queue);
        ended = ts->ended;
        pthread_mutex_unlock(&ts->lock);
        if (r == 0)
            r = work(ts, &mine, &ts->error);
        if (r < 0) {
            tasks_drop(&mine);
            tasks_drop(&ts->blocks);
            pthread_mutex_lock(&ts->lock);
            ts->result = r;
            pthread_mutex_unlock(&ts->lock);
        }
    }
    return NULL;
}

/* ---- the reading thread ---- */

static void start_thread(struct ol_tarsplit *ts)
{
    if (pthread_create(&ts->thread, NULL, thread_main, ts) == 0) /* else it only costs speed */
        ts->running = true;
}

/* Give the batch to the thread, or work on it. */
static int hand_over(struct ol_tarsplit *ts, struct ol_error *err)
{
    int r;

    if (!ts->running)
        return work(ts, &ts->batch, err);
    pthread_mutex_lock(&ts->lock);
    tasks_move(&ts->queue, &ts->batch);
    r = ts->result;
    pthread_cond_signal(&ts->changed);
    pthread_mutex_unlock(&ts->lock);
    return r < 0 ? ol_error_set(err, r, "%s", ol_error_text(&ts->error)) : 0;
}

static struct task *task_new(const char *name)
{
    size_t len = strlen(name) + 1;
    struct task *task = calloc(1, sizeof *task + len);

    if (task != NULL)
        memcpy(task->name, name, len);
    return task;
}

int ol_tarsplit_block(struct ol_tarsplit *ts, struct ol_block *block, struct ol_error *err)
{
    struct task *task = task_new("");

    if (task == NULL)
        return ol_error_nomem(err);
    ol_block_ref(block);
    task->block = block;
    tasks_add(&ts->batch, task);
    if (!ts->running && ts->threads > 1 && ol_stream_is_long(block->stream))
        start_thread(ts);
    return hand_over(ts, err);
}

static bool has_whiteout_name(const char *path)
{
    while (path != NULL && *path != '\0') {
        if (strncmp(path, OL_WH_PREFIX, sizeof OL_WH_PREFIX - 1) == 0)
            return true;
        path = strchr(path, '/');
        path += path != NULL;
    }
    return false;
}

static bool is_lost(struct ol_tarsplit *ts, uint64_t at)
{
    if (ts->lost == NULL)
        return false;
    while (ts->next_lost < ts->lost->count && ts->lost->at[ts->next_lost] < at)
        ts->next_lost++;
    return ts->next_lost < ts->lost->count && ts->lost->at[ts->next_lost] == at;
}

int ol_tarsplit_entry(struct ol_tarsplit *ts, const struct ol_reader_entry *entry, uint64_t at,
                      struct ol_error *err)
{
    const struct ol_entry *header = &entry->header;
    bool content = header->type == OL_ENTRY_FILE && header->size > 0;
    int seen = ol_seen_insert(&ts->listed,
                              ol_seen_key(&ts->listed, OL_SEEN_LISTED, 0, 0, header->path));
    struct task *task = seen < 0 ? NULL : task_new(seen == 0 ? entry->name : "");

    if (task == NULL)
        return ol_error_nomem(err);
    task->at = at;
    task->size = content ? header->size : 0;
    task->by_reference = content && seen == 0 && !entry->sparse && !is_lost(ts, at) &&
                         !has_whiteout_name(header->path);
    tasks_add(&ts->batch, task);
    return 0;
}

static void stop_thread(struct ol_tarsplit *ts)
{
    if (!ts->running)
        return;
    pthread_mutex_lock(&ts->lock);
    ts->ended = true;
    pthread_cond_signal(&ts->changed);
    pthread_mutex_unlock(&ts->lock);
    (void)pthread_join(ts->thread, NULL); /* cannot fail for a thread of ours */
    ts->running = false;
}

int ol_tarsplit_finish(struct ol_tarsplit *ts, struct ol_error *err)
{
    int r = hand_over(ts, err);

    stop_thread(ts);
    if (r == 0 && ts->result < 0)
        r = ol_error_set(err, ts->result, "%s", ol_error_text(&ts->error));
    if (r == 0)
        r = work_end(ts, err);
    ol_tarsplit_stop(ts);
    ts->whole = r == 0;
    return r < 0 ? ol_error_wrap(err, r, "recording the layer's tar") : 0;
}

void ol_tarsplit_stop(struct ol_tarsplit *ts)
{
    if (ts == NULL)
        return;
    stop_thread(ts);
    tasks_drop(&ts->batch);
    tasks_drop(&ts->queue);
    tasks_drop(&ts->blocks);
    task_free(ts->content);
    ts->content = NULL;
}
