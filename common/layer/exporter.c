/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batches between the two halves of an export. An item holds its file open until it is written,
 * so there are few of them: some hundred descriptors at most.
 */
#include "common/layer/exporter.h"

#include "common/cleanup.h"
#include "common/layer/export_entry.h"
#include "common/pool.h"
#include "common/relay.h"

enum {
    BATCH_ITEMS = 32,
    BATCHES = 3,           /* one being filled, one being written, one between */
    INLINE_BATCHES = 64,   /* written by the caller before a thread is worth its start */
    SMALL_FILE = 16 << 10, /* content of an average entry below which looking at the next ones while
                              one is read gains more than the hand-over costs */
};

struct batch {
    struct ol_export_item items[BATCH_ITEMS];
    size_t count;
    struct ol_buf text; /* the items' strings */
};

struct ol_exporter {
    struct ol_tar_writer *tar;        /* owned */
    struct ol_export_entries entries; /* the thread's while it runs, as is tar */
    struct ol_error failure;          /* likewise */
    bool may_thread;
    struct ol_relay relay; /* its slots are the batches */
    uint64_t filled;       /* batches given away; the next to fill is filled % BATCHES */
    uint64_t content;      /* bytes of all files so far */
    struct batch batch[BATCHES];
};

static struct batch *batch_at(struct ol_exporter *ex, uint64_t n)
{
    return &ex->batch[n % BATCHES];
}

static void empty(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        ol_fd_close(&batch->items[i].fd);
    batch->count = 0;
    ol_buf_truncate(&batch->text, 0);
}

static int put_batch(struct ol_exporter *ex, struct batch *batch, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < batch->count; i++) {
        r = ol_export_put(&ex->entries, &batch->items[i], batch->text.data, err);
        ol_fd_close(&batch->items[i].fd);
    }
    empty(batch);
    return r;
}

static int put_in_thread(uint64_t n, void *data)
{
    struct ol_exporter *ex = data;

    return put_batch(ex, batch_at(ex, n), &ex->failure);
}

int ol_exporter_new(int out_fd, unsigned work, bool host_names, struct ol_exporter **ret,
                    struct ol_error *err)
{
    struct ol_exporter *ex = calloc(1, sizeof *ex);
    int r;

    if (ex == NULL)
        return ol_error_nomem(err);
    ol_relay_init(&ex->relay, BATCHES, put_in_thread, ex);
    ex->may_thread = (work & OL_TAR_THREAD) != 0 && ol_pool_threads(0) > 1;
    r = ol_tar_writer_new(out_fd, &ex->tar, err);
    if (r == 0 && host_names)
        r = ol_owner_names_new(&ex->entries.names, err);
    if (r < 0) {
        ol_exporter_free(ex);
        return r;
    }
    ol_tar_writer_set_work(ex->tar, work);
    ex->entries.tar = ex->tar;
    *ret = ex;
    return 0;
}

void ol_exporter_free(struct ol_exporter *ex)
{
    if (ex == NULL)
        return;
    ol_relay_fini(&ex->relay);
    for (size_t i = 0; i < BATCHES; i++) {
        empty(&ex->batch[i]);
        ol_buf_fini(&ex->batch[i].text);
    }
    ol_export_entries_fini(&ex->entries);
    ol_tar_writer_free(ex->tar);
    ol_error_fini(&ex->failure);
    free(ex);
}

/* A failure in the thread becomes the caller's; once only, whoever gets it stops. */
static int take_failure(struct ol_exporter *ex, int r, struct ol_error *err)
{
    if (r < 0) {
        (void)ol_relay_end(&ex->relay);
        ol_error_move(err, &ex->failure);
    }
    return r;
}

/* Two threads write large files faster as tar_sink.c shares the work, small ones as it is done
 * here.
 */
static bool worth_thread(const struct ol_exporter *ex)
{
    return !ex->relay.running && ex->may_thread && ex->filled >= INLINE_BATCHES &&
           ex->content / SMALL_FILE < ex->filled * BATCH_ITEMS;
}

/* Pass on the batch being filled. */
static int flush(struct ol_exporter *ex, struct ol_error *err)
{
    int r;

    if (worth_thread(ex))
        ex->may_thread = ol_relay_start(&ex->relay, ex->filled);
    if (ex->relay.running)
        r = take_failure(ex, ol_relay_give(&ex->relay), err);
    else
        r = put_batch(ex, batch_at(ex, ex->filled), err);
    ex->filled++;
    return r;
}

static int add(struct ol_exporter *ex, const struct ol_export_item *item, struct ol_error *err)
{
    struct batch *batch = batch_at(ex, ex->filled);

    batch->items[batch->count++] = *item;
    if (item->fd >= 0)
        ex->content += (uint64_t)item->st.st_size;
    return batch->count < BATCH_ITEMS ? 0 : flush(ex, err);
}

int ol_exporter_add(struct ol_exporter *ex, const struct ol_export_place *place,
                    const struct stat *st, struct ol_error *err)
{
    struct ol_export_item item;
    int r = ol_export_look(place, st, &batch_at(ex, ex->filled)->text, &item, err);

    return r <= 0 ? r : add(ex, &item, err);
}

int ol_exporter_add_deletion(struct ol_exporter *ex, const char *path, time_t now,
                             struct ol_error *err)
{
    struct ol_buf *text = &batch_at(ex, ex->filled)->text;
    struct ol_export_item item = {.fd = -1, .path = text->len, .deletion = true};

    item.st.st_mtim.tv_sec = now;
    if (ol_buf_append(text, path, strlen(path) + 1) < 0)
        return ol_error_nomem(err);
    return add(ex, &item, err);
}

int ol_exporter_finish(struct ol_exporter *ex, struct ol_tar_result *ret, struct ol_error *err)
{
    int r = take_failure(ex, ol_relay_end(&ex->relay), err);

    if (r == 0)
        r = put_batch(ex, batch_at(ex, ex->filled), err);
    return r < 0 ? r : ol_tar_finish(ex->tar, ret, err);
}
