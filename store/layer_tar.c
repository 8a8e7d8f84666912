/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer's tar kept (tar-split.json.gz in the layer's directory) and made again; where it was not
 * kept, written anew by the driver's Diff, in a thread that feeds a pipe.
 */
#include "store/store_internal.h"

#include "common/cleanup.h"
#include "common/layer/tarsplit.h"
#include "common/limits.h"
#include "store/thread.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- keeping ---- */

int ol_tar_record_begin(struct ol_tar_record *record, const struct ol_store *store,
                        const char *driver_id, struct ol_input *input, struct ol_error *err)
{
    struct stat st;
    int r;

    if (input->offset < 0 && fstat(input->fd, &st) == 0 && S_ISREG(st.st_mode))
        input->offset = lseek(input->fd, 0, SEEK_CUR);
    record->fd = ol_layerdb_create_tar_split(store, driver_id, err);
    if (record->fd < 0)
        return record->fd;
    r = ol_tarsplit_new(record->fd, ol_driver_config_of(store->drv)->threads, NULL, &record->ts,
                        err);
    input->record = record->ts;
    return r;
}

int ol_tar_record_end(struct ol_tar_record *record, const struct ol_store *store,
                      const char *driver_id, const struct ol_input *input, struct ol_error *err)
{
    ol_auto_fd int own_fd = -1;

    if (!ol_tarsplit_is_whole(record->ts))
        return ol_error_set(err, -EIO, "driver '%s' did not record the layer's tar",
                            ol_driver_name(store->drv));
    if (!ol_tarsplit_in_doubt(record->ts))
        return 0;
    own_fd = ol_driver_open_own(store->drv, driver_id, err);
    if (own_fd < 0)
        return own_fd;
    return ol_tarsplit_settle(input, NULL, ol_driver_config_of(store->drv)->threads, record->fd,
                              own_fd, err);
}

void ol_tar_record_fini(struct ol_tar_record *record)
{
    ol_tarsplit_free(record->ts);
    record->ts = NULL;
    ol_fd_close(&record->fd);
}

/* ---- making again ---- */

/* Between the stream and the caller's sink. */
struct tap {
    ol_sink_fn *sink;
    void *data;
    struct ol_hash *hash; /* owned */
    uint64_t bytes;
};

static int tap_write(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    struct tap *tap = data;

    ol_hash_update(tap->hash, bytes, len);
    tap->bytes += len;
    return tap->sink(tap->data, bytes, len, err);
}

static int build(const struct ol_store *store, const struct ol_store_layer *layer, int file_fd,
                 struct tap *tap, struct ol_error *err)
{
    ol_auto_fd int own_fd = ol_driver_open_own(store->drv, layer->cache_id, err);

    return own_fd < 0 ? own_fd : ol_tarsplit_build(file_fd, own_fd, NULL, tap_write, tap, err);
}

/* The driver's Diff, writing into a pipe. */
struct rewrite {
    struct ol_driver *drv;
    const char *id, *parent;
    int out_fd; /* owned by the thread while it runs */
    int result;
    struct ol_error err;
};

static void *rewrite_run(void *arg)
{
    struct rewrite *w = arg;

    w->result = ol_driver_diff(w->drv, w->id, w->parent, &w->out_fd, NULL, &w->err);
    ol_fd_close(&w->out_fd);
    return NULL;
}

static int drain(int fd, struct tap *tap, struct ol_error *err)
{
    ol_auto_free char *chunk = malloc(OL_IO_BLOCK);

    if (chunk == NULL)
        return ol_error_nomem(err);
    for (;;) {
        ssize_t n = read(fd, chunk, OL_IO_BLOCK);
        int r;
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        r = n < 0 ? ol_error_sys(err, errno, "cannot read the layer's tar")
                  : tap_write(tap, chunk, (size_t)n, err);
        if (r < 0)
            return r;
    }
}

static int rewrite(struct rewrite *w, struct tap *tap, struct ol_error *err)
{
    int ends[2] = {-1, -1};
    pthread_t thread;
    int r = ol_io_pipe(ends, err);

    if (r < 0)
        return r;
    w->out_fd = ends[1];
    r = ol_thread_start(&thread, rewrite_run, w, err);
    if (r < 0) {
        ol_fd_close(&ends[0]);
        ol_fd_close(&w->out_fd);
        return r;
    }
    r = drain(ends[0], tap, err);
    ol_fd_close(&ends[0]); /* a writer that is not done ends with EPIPE */
    (void)pthread_join(thread, NULL);
    if (r == 0 && w->result < 0) {
        ol_error_move(err, &w->err);
        r = w->result;
    }
    ol_error_fini(&w->err);
    return r;
}

static int stream(struct ol_store *store, const struct ol_layer_entry *entry, struct tap *tap,
                  bool *ret_exact, struct ol_error *err)
{
    const struct ol_store_layer *layer = &entry->layer;
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    ol_auto_fd int file_fd = ol_layerdb_open_tar_split(store, layer, &why);
    struct rewrite w = {.drv = store->drv, .id = layer->cache_id, .err = OL_ERROR_INIT};
    struct ol_store_layer parent;
    int r = 0;

    *ret_exact = file_fd >= 0;
    if (file_fd >= 0)
        return build(store, layer, file_fd, tap, err);
    if (file_fd != -ENOENT) {
        ol_error_move(err, &why);
        return file_fd;
    }
    if (layer->parent[0] != '\0') {
        r = ol_store_layer_get(store, layer->parent, &parent, err);
        w.parent = parent.cache_id;
    }
    return r < 0 ? r : rewrite(&w, tap, err);
}

static int check(const struct ol_store_layer *layer, const struct ol_store_tar *tar,
                 struct ol_error *err)
{
    if (!tar->exact || strcmp(layer->diff_id, tar->diff_id) == 0)
        return 0;
    return ol_error_set(err, -EBADMSG, "its tar-split file makes DiffID '%s' and not '%s'",
                        tar->diff_id, layer->diff_id);
}

int ol_store_layer_tar(struct ol_store *store, const char *chain_id, ol_sink_fn *sink, void *data,
                       struct ol_store_tar *ret, struct ol_error *err)
{
    struct tap tap = {.sink = sink, .data = data};
    struct ol_store_tar tar = {.diff_id = ""};
    struct ol_layer_entry *entry = NULL;
    int r = ol_store_hold(store, chain_id, &entry, err);

    if (r == 0)
        r = ol_hash_new(&tap.hash, err);
    if (r == 0)
        r = stream(store, entry, &tap, &tar.exact, err);
    if (r == 0) {
        ol_hash_final(tap.hash, tar.diff_id);
        tar.bytes = tap.bytes;
        r = check(&entry->layer, &tar, err);
    }
    ol_hash_free(tap.hash);
    ol_store_release(store, entry);
    if (r < 0)
        return ol_error_wrap(err, r, "cannot make the tar of layer '%s'", chain_id);
    if (ret != NULL)
        *ret = tar;
    return 0;
}
