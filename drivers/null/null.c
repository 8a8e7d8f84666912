/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that stores nothing: it remembers which layers exist, reads archives to their end and
 * answers with empty ones. What a benchmark costs on it is the cost of the benchmark.
 */
#include "common/cleanup.h"
#include "drivers/driver_ops.h"

#include <errno.h>
#include <pthread.h>

struct null_layer {
    struct null_layer *next;
    char id[];
};

struct null {
    struct ol_driver base;
    pthread_mutex_t mutex;
    struct null_layer *layers; /* sorted by id; guarded by mutex */
};

static struct null *null_from(struct ol_driver *drv)
{
    return (struct null *)drv; /* base is its first member; only our own table brings us here */
}

static int null_open(const struct ol_driver *base, struct ol_driver **ret, struct ol_error *err)
{
    struct null *n = calloc(1, sizeof(*n));

    if (n == NULL)
        return ol_error_nomem(err);
    n->base = *base;
    (void)pthread_mutex_init(&n->mutex, NULL); /* cannot fail with default attributes */
    *ret = &n->base;
    return 0;
}

static void null_close(struct ol_driver *drv)
{
    struct null *n = null_from(drv);

    while (n->layers != NULL) {
        struct null_layer *layer = n->layers;
        n->layers = layer->next;
        free(layer);
    }
    (void)pthread_mutex_destroy(&n->mutex);
    free(n);
}

/* Where id is linked, or where it belongs. Under the mutex. */
static struct null_layer **find(struct null *n, const char *id)
{
    struct null_layer **link = &n->layers;

    while (*link != NULL && strcmp((*link)->id, id) < 0)
        link = &(*link)->next;
    return link;
}

static bool is_at(struct null_layer *const *link, const char *id)
{
    return *link != NULL && strcmp((*link)->id, id) == 0;
}

static int null_create(struct ol_driver *drv, const struct ol_layer_spec *spec,
                       struct ol_error *err)
{
    struct null *n = null_from(drv);
    size_t size = strlen(spec->id) + 1;
    ol_auto_free struct null_layer *layer = malloc(sizeof(*layer) + size);
    struct null_layer **link;
    int r = 0;

    if (layer == NULL)
        return ol_error_nomem(err);
    memcpy(layer->id, spec->id, size);
    (void)pthread_mutex_lock(&n->mutex); /* a default mutex of ours: no error is possible */
    link = find(n, spec->id);
    if (is_at(link, spec->id)) {
        r = ol_error_set(err, -EEXIST, "it exists already");
    } else {
        layer->next = *link;
        *link = ol_ptr_steal(layer);
    }
    (void)pthread_mutex_unlock(&n->mutex);
    return r;
}

static int null_remove(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    struct null *n = null_from(drv);
    struct null_layer **link;

    (void)err;
    (void)pthread_mutex_lock(&n->mutex);
    link = find(n, id);
    if (is_at(link, id)) {
        struct null_layer *layer = *link;
        *link = layer->next;
        free(layer);
    }
    (void)pthread_mutex_unlock(&n->mutex);
    return 0;
}

static bool null_exists(struct ol_driver *drv, const char *id)
{
    struct null *n = null_from(drv);
    bool found;

    (void)pthread_mutex_lock(&n->mutex);
    found = is_at(find(n, id), id);
    (void)pthread_mutex_unlock(&n->mutex);
    return found;
}

static int null_list(struct ol_driver *drv, int (*fn)(const char *id, void *data), void *data,
                     struct ol_error *err)
{
    int r = 0;

    (void)err;
    for (struct null_layer *layer = null_from(drv)->layers; layer != NULL && r == 0;
         layer = layer->next)
        r = fn(layer->id, data);
    return r;
}

static int null_get(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err)
{
    (void)id; /* every layer looks like the empty home */
    *ret_path = strdup(drv->config.home);
    return *ret_path != NULL ? 0 : ol_error_nomem(err);
}

static int null_put(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    (void)drv;
    (void)id;
    (void)err;
    return 0;
}

static int null_rootfs(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                       struct ol_error *err)
{
    (void)drv;
    (void)id;
    (void)ret;
    return ol_error_set(err, -EOPNOTSUPP, "the null driver keeps no files");
}

static int null_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                     struct ol_tar_result *ret, struct ol_error *err)
{
    struct ol_tar_writer *tar = NULL;
    struct ol_tar_result result;
    int r = ol_tar_writer_new(*out_fd, &tar, err);

    (void)drv;
    (void)id;
    (void)parent;
    if (r == 0)
        r = ol_tar_finish(tar, &result, err);
    ol_tar_writer_free(tar);
    if (r == 0 && ret != NULL)
        *ret = result;
    return r;
}

static int null_changes(struct ol_driver *drv, const char *id, const char *parent,
                        struct ol_changes *ret, struct ol_error *err)
{
    (void)drv;
    (void)id;
    (void)parent;
    (void)err;
    *ret = (struct ol_changes)OL_CHANGES_INIT;
    return 0;
}

static int ignore_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    (void)entry;
    (void)data;
    (void)err;
    return 0;
}

static int null_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                           const struct ol_input *tar, struct ol_apply_result *ret,
                           struct ol_error *err)
{
    struct ol_input again = *tar;
    int r;

    (void)drv;
    (void)id;
    (void)parent;
    if (again.offset < 0)
        again.offset = lseek(tar->fd, 0, SEEK_CUR); /* -1 again for a pipe, read only once */
    r = ol_layer_scan(tar, NULL, ignore_entry, NULL, &ret->layer, err);
    /* a plain archive in a file is scanned by seeking, which digests nothing */
    if (r == 0 && ret->layer.diff_id[0] == '\0')
        r = ol_layer_decompress(&again, -1, NULL, ret->layer.diff_id, err);
    ret->size_bytes = r == 0 ? ret->layer.header_size_sum : 0;
    return r;
}

static int null_diff_size(struct ol_driver *drv, const char *id, const char *parent, uint64_t *ret,
                          struct ol_error *err)
{
    (void)drv;
    (void)id;
    (void)parent;
    (void)err;
    *ret = 0;
    return 0;
}

const struct ol_driver_ops ol_null_ops = {
    .name = "null",
    .summary = "stores nothing: what the harness itself costs",
    .caps = 0,
    .open = null_open,
    .close = null_close,
    .create = null_create,
    .remove = null_remove,
    .get = null_get,
    .put = null_put,
    .exists = null_exists,
    .diff = null_diff,
    .changes = null_changes,
    .apply_diff = null_apply_diff,
    .diff_size = null_diff_size,
    .rootfs = null_rootfs,
    .list = null_list,
};
