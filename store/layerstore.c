/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer store: what layerdb.c keeps on disk, in memory as two sorted tables, and the questions
 * and removals that need nothing else. Opening takes the lock on the directory, reads everything
 * and finishes what an earlier process left half done.
 */
#include "store/store_internal.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/limits.h"
#include "common/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

uint64_t ol_store_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* First index whose ChainID is not less. */
static size_t layer_index(const struct ol_store *store, const char *chain_id)
{
    size_t low = 0;
    size_t high = store->n_layers;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(store->layers[mid]->layer.chain_id, chain_id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct ol_layer_entry *ol_store_find_layer(const struct ol_store *store, const char *chain_id)
{
    size_t i = layer_index(store, chain_id);

    if (i == store->n_layers || strcmp(store->layers[i]->layer.chain_id, chain_id) != 0)
        return NULL;
    return store->layers[i];
}

static int full(const struct ol_store *store, const char *what, struct ol_error *err)
{
    return ol_error_set(err, -E2BIG, "layer store '%s' has more than %d %s", store->dir,
                        OL_STORE_LAYERS_MAX, what);
}

int ol_store_reserve_layer(struct ol_store *store, struct ol_error *err)
{
    size_t cap = store->cap_layers == 0 ? 64 : store->cap_layers * 2;
    struct ol_layer_entry **more;

    if (store->n_layers < store->cap_layers)
        return 0;
    if (store->n_layers >= OL_STORE_LAYERS_MAX)
        return full(store, "layers", err);
    more = reallocarray(store->layers, cap, sizeof(*more));
    if (more == NULL)
        return ol_error_nomem(err);
    store->layers = more;
    store->cap_layers = cap;
    return 0;
}

void ol_store_add_layer(struct ol_store *store, struct ol_layer_entry *entry)
{
    size_t i = layer_index(store, entry->layer.chain_id);

    memmove(store->layers + i + 1, store->layers + i, (store->n_layers - i) * sizeof(entry));
    store->layers[i] = entry;
    store->n_layers++;
}

static void drop_layer(struct ol_store *store, struct ol_layer_entry *entry)
{
    size_t i = layer_index(store, entry->layer.chain_id);

    store->n_layers--;
    memmove(store->layers + i, store->layers + i + 1, (store->n_layers - i) * sizeof(entry));
    free(entry);
}

static size_t container_index(const struct ol_store *store, const char *id)
{
    size_t i = 0; /* containers are few: they live as long as one commit */

    while (i < store->n_containers && strcmp(store->containers[i].container.id, id) < 0)
        i++;
    return i;
}

struct ol_container_entry *ol_store_find_container(const struct ol_store *store, const char *id)
{
    size_t i = container_index(store, id);

    if (i == store->n_containers || strcmp(store->containers[i].container.id, id) != 0)
        return NULL;
    return &store->containers[i];
}

int ol_store_reserve_container(struct ol_store *store, struct ol_error *err)
{
    size_t cap = store->cap_containers == 0 ? 16 : store->cap_containers * 2;
    struct ol_container_entry *more;

    if (store->n_containers < store->cap_containers)
        return 0;
    if (store->n_containers >= OL_STORE_LAYERS_MAX)
        return full(store, "containers", err);
    more = reallocarray(store->containers, cap, sizeof *more);
    if (more == NULL)
        return ol_error_nomem(err);
    store->containers = more;
    store->cap_containers = cap;
    return 0;
}

void ol_store_add_container(struct ol_store *store, const struct ol_store_container *container)
{
    size_t i = container_index(store, container->id);

    memmove(store->containers + i + 1, store->containers + i,
            (store->n_containers - i) * sizeof *store->containers);
    store->containers[i] = (struct ol_container_entry){.container = *container, .refs = 0};
    store->n_containers++;
}

void ol_store_drop_container(struct ol_store *store, struct ol_container_entry *entry)
{
    size_t i = (size_t)(entry - store->containers);

    store->n_containers--;
    memmove(entry, entry + 1, (store->n_containers - i) * sizeof *entry);
}

static int no_layer(const struct ol_store *store, const char *chain_id, struct ol_error *err)
{
    return ol_error_set(err, -ENOENT, "layer store '%s' has no layer '%s'", store->dir, chain_id);
}

int ol_store_hold(struct ol_store *store, const char *parent_chain, struct ol_layer_entry **ret,
                  struct ol_error *err)
{
    struct ol_layer_entry *entry = NULL;

    *ret = NULL;
    if (parent_chain == NULL || parent_chain[0] == '\0')
        return 0;
    (void)pthread_mutex_lock(&store->lock);
    entry = ol_store_find_layer(store, parent_chain);
    if (entry != NULL)
        entry->refs++;
    (void)pthread_mutex_unlock(&store->lock);
    *ret = entry;
    return entry == NULL ? no_layer(store, parent_chain, err) : 0;
}

void ol_store_release(struct ol_store *store, struct ol_layer_entry *entry)
{
    if (entry == NULL)
        return;
    (void)pthread_mutex_lock(&store->lock);
    entry->refs--;
    (void)pthread_mutex_unlock(&store->lock);
}

int ol_store_remove_driver_layers(const struct ol_store *store, const char *id,
                                  struct ol_error *err)
{
    char init[OL_HEX_SIZE + 8];
    int r = ol_driver_remove(store->drv, id, err);

    if (r < 0)
        return r;
    (void)snprintf(init, sizeof init, "%s-init", id);
    return ol_driver_remove(store->drv, init, err);
}

/* --- Opening --- */

int ol_store_problem(const struct ol_store_options *options, int r, struct ol_error *err)
{
    if (r == 0 || r == -ENOMEM || options->problem == NULL)
        return r;
    options->problem(ol_error_text(err), options->problem_data);
    ol_error_fini(err);
    return 0;
}

static int read_layer_entry(struct ol_store *store, const char *hex, struct ol_error *err)
{
    struct ol_layer_entry *entry;
    int r = ol_store_reserve_layer(store, err);

    if (r < 0)
        return r;
    entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return ol_error_nomem(err);
    r = ol_layerdb_read_layer(store, hex, &entry->layer, err);
    if (r < 0) {
        free(entry);
        return r;
    }
    ol_store_add_layer(store, entry);
    return 0;
}

static int read_container_entry(struct ol_store *store, const char *id, struct ol_error *err)
{
    struct ol_store_container container;
    int r = ol_store_reserve_container(store, err);

    if (r == 0)
        r = ol_layerdb_read_container(store, id, &container, err);
    if (r < 0)
        return r;
    ol_store_add_container(store, &container);
    return 0;
}

/* Names that are none of ours are passed over, as moby does: nothing will ever be read from them.
 */
static int read_names(struct ol_store *store, int dir_fd, const char *what,
                      int (*fn)(struct ol_store *store, const char *name, struct ol_error *err),
                      bool (*wanted)(const char *name), struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents names = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&names, dir_fd, true);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read '%s' of layer store '%s'", what, store->dir);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        if (wanted(names.items[i].name))
            r = ol_store_problem(&store->options, fn(store, names.items[i].name, err), err);
        else
            ol_trace(OL_TRACE_STORE, "passing over '%s/%s'", what, names.items[i].name);
    }
    return r;
}

/* Every parent's ChainID is part of the child's (checked when it was read), so there are no loops.
 */
static int link_layer(struct ol_store *store, struct ol_layer_entry *entry, struct ol_error *err)
{
    const struct ol_layer_entry *at = entry;
    struct ol_layer_entry *parent = NULL;
    unsigned depth = 1;

    for (; at->layer.parent[0] != '\0'; at = parent, depth++) {
        parent = ol_store_find_layer(store, at->layer.parent);
        if (parent == NULL)
            return ol_error_set(err, -EBADMSG,
                                "layer store '%s': layer '%s' has lost its parent "
                                "'%s'",
                                store->dir, at->layer.chain_id, at->layer.parent);
        if (depth >= OL_MAX_IMAGE_LAYERS)
            return ol_error_set(err, -E2BIG, "layer store '%s': layer '%s' is more than %d deep",
                                store->dir, entry->layer.chain_id, OL_MAX_IMAGE_LAYERS);
        if (at == entry)
            parent->refs++;
    }
    entry->layer.depth = depth;
    return 0;
}

static int link_all(struct ol_store *store, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < store->n_layers; i++)
        r = ol_store_problem(&store->options, link_layer(store, store->layers[i], err), err);
    for (size_t i = 0; r == 0 && i < store->n_containers; i++) {
        const struct ol_store_container *c = &store->containers[i].container;
        struct ol_layer_entry *parent = NULL;
        r = ol_store_hold(store, c->parent, &parent, err);
        if (r < 0)
            r = ol_store_problem(&store->options, ol_error_wrap(err, r, "container '%s'", c->id),
                                 err);
    }
    return r;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two owners of one driver layer would mean that removing one empties the other. */
static int check_unique(const struct ol_store *store, struct ol_error *err)
{
    size_t count = store->n_layers + store->n_containers;
    ol_auto_free const char **ids = calloc(count + 1, sizeof *ids);

    if (ids == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < store->n_layers; i++)
        ids[i] = store->layers[i]->layer.cache_id;
    for (size_t i = 0; i < store->n_containers; i++)
        ids[store->n_layers + i] = store->containers[i].container.mount_id;
    qsort(ids, count, sizeof *ids, by_text);
    for (size_t i = 1; i < count; i++)
        if (strcmp(ids[i - 1], ids[i]) == 0)
            return ol_error_set(err, -EBADMSG, "layer store '%s': driver layer '%s' has two owners",
                                store->dir, ids[i]);
    return 0;
}

bool ol_store_owns(const struct ol_store *store, const char *driver_id)
{
    for (size_t i = 0; i < store->n_layers; i++)
        if (strcmp(store->layers[i]->layer.cache_id, driver_id) == 0)
            return true;
    for (size_t i = 0; i < store->n_containers; i++)
        if (strcmp(store->containers[i].container.mount_id, driver_id) == 0)
            return true;
    return false;
}

static int left_behind(const struct ol_store *store, const char *dir, const char *name,
                       struct ol_error *err)
{
    return ol_error_set(err, -EBADMSG, "layer store '%s': '%s/%s' was left by a killed process",
                        store->dir, dir, name);
}

/* A write set: its layer was being made, or its container removed. */
static int finish_write_set(struct ol_store *store, const char *name, struct ol_error *err)
{
    const char *id = ol_layerdb_write_set_id(name);
    int r = 0;

    if (store->options.problem != NULL)
        return left_behind(store, "tmp", name, err);
    ol_trace(OL_TRACE_STORE, "cleaning up '%s'", name);
    if (id != NULL && !ol_store_owns(store, id))
        r = ol_store_remove_driver_layers(store, id, err);
    return r < 0 ? r : ol_tree_remove(store->tmp_fd, name, err);
}

static int finish_retired(struct ol_store *store, const char *name, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    char id[OL_HEX_SIZE];
    int r;

    if (store->options.problem != NULL)
        return left_behind(store, "sha256", name, err);
    r = ol_layerdb_retired_id(store, name, id, &why);
    ol_trace(OL_TRACE_STORE, "cleaning up '%s'", name);
    if (r == 0 && !ol_store_owns(store, id))
        r = ol_driver_remove(store->drv, id, err);
    else if (r == -ENOENT) /* it was being removed already: the driver's part was done before */
        r = 0;
    else if (r < 0)
        ol_error_move(err, &why);
    return r < 0 ? r : ol_tree_remove(store->layers_fd, name, err);
}

static bool any_name(const char *name)
{
    (void)name;
    return true;
}

static int load(struct ol_store *store, struct ol_error *err)
{
    int r = read_names(store, store->layers_fd, "sha256", read_layer_entry, ol_layerdb_id_valid,
                       err);

    if (r == 0)
        r = read_names(store, store->mounts_fd, "mounts", read_container_entry, ol_layerdb_id_valid,
                       err);
    if (r == 0)
        r = ol_store_problem(&store->options, check_unique(store, err), err);
    if (r == 0)
        r = link_all(store, err);
    if (r == 0)
        r = read_names(store, store->layers_fd, "sha256", finish_retired, ol_layerdb_is_retired,
                       err);
    if (r == 0)
        r = read_names(store, store->tmp_fd, "tmp", finish_write_set, any_name, err);
    return r;
}

static int open_part(const struct ol_store *store, const char *name, int *ret_fd,
                     struct ol_error *err)
{
    int r = 0;

    if (!ol_fs_exists(store->dir_fd, name))
        r = ol_fs_mkdir(store->dir_fd, name, 0700, err);
    if (r < 0)
        return ol_error_wrap(err, r, "layer store '%s'", store->dir);
    *ret_fd = ol_fs_open_dir(store->dir_fd, name);
    if (*ret_fd < 0)
        return ol_error_sys(err, -*ret_fd, "cannot open '%s' of layer store '%s'", name,
                            store->dir);
    return 0;
}

static int open_dirs(struct ol_store *store, struct ol_error *err)
{
    int r = ol_fs_mkdir_path(store->dir, 0700, err);

    if (r < 0)
        return ol_error_wrap(err, r, "cannot make layer store '%s'", store->dir);
    store->dir_fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir_fd < 0)
        return ol_error_sys(err, errno, "cannot open layer store '%s'", store->dir);
    if (flock(store->dir_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? ol_error_set(err, -EBUSY, "layer store '%s' is in use by another process",
                                  store->dir)
                   : ol_error_sys(err, errno, "cannot lock layer store '%s'", store->dir);
    r = open_part(store, "sha256", &store->layers_fd, err);
    if (r == 0)
        r = open_part(store, "mounts", &store->mounts_fd, err);
    if (r == 0)
        r = open_part(store, "tmp", &store->tmp_fd, err);
    return r;
}

int ol_store_open(const char *dir, struct ol_driver *drv, const struct ol_store_options *options,
                  struct ol_store **ret, struct ol_error *err)
{
    struct ol_store *store;
    int r;

    if (dir[0] != '/')
        return ol_error_set(err, -EINVAL, "layer store '%s' is no absolute path", dir);
    if (options != NULL && options->tar_split && (ol_driver_caps(drv) & OL_CAP_KEEPS_DATA) == 0)
        return ol_error_set(err, -ENOTSUP,
                            "driver '%s' keeps no files that a layer's tar could be made from",
                            ol_driver_name(drv));
    store = calloc(1, sizeof *store);
    if (store == NULL)
        return ol_error_nomem(err);
    store->dir_fd = store->layers_fd = store->mounts_fd = store->tmp_fd = -1;
    (void)pthread_mutex_init(&store->lock, NULL); /* default attributes cannot fail */
    store->drv = drv;
    if (options != NULL)
        store->options = *options;
    store->dir = strdup(dir);
    r = store->dir == NULL ? ol_error_nomem(err) : open_dirs(store, err);
    if (r == 0)
        r = load(store, err);
    if (r < 0) {
        ol_store_close(store);
        return r;
    }
    *ret = store;
    return 0;
}

void ol_store_close(struct ol_store *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; i < store->n_layers; i++)
        free(store->layers[i]);
    free(store->layers);
    free(store->containers);
    ol_fd_close(&store->tmp_fd);
    ol_fd_close(&store->mounts_fd);
    ol_fd_close(&store->layers_fd);
    ol_fd_close(&store->dir_fd); /* releases the lock */
    (void)pthread_mutex_destroy(&store->lock);
    free(store->dir);
    free(store);
}

/* --- Questions and removal --- */

int ol_store_layer_get(struct ol_store *store, const char *chain_id, struct ol_store_layer *ret,
                       struct ol_error *err)
{
    const struct ol_layer_entry *entry;

    (void)pthread_mutex_lock(&store->lock);
    entry = ol_store_find_layer(store, chain_id);
    if (entry != NULL)
        *ret = entry->layer;
    (void)pthread_mutex_unlock(&store->lock);
    return entry == NULL ? no_layer(store, chain_id, err) : 0;
}

int ol_store_layer_list(struct ol_store *store,
                        int (*fn)(const struct ol_store_layer *layer, void *data), void *data,
                        struct ol_error *err)
{
    ol_auto_free struct ol_store_layer *copy = NULL;
    size_t count;
    int r = 0;

    (void)pthread_mutex_lock(&store->lock); /* fn may call us again: it gets a copy */
    count = store->n_layers;
    copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++)
        copy[i] = store->layers[i]->layer;
    (void)pthread_mutex_unlock(&store->lock);
    if (copy == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = fn(&copy[i], data);
    return r;
}

/* Under the lock: take the layer out of the table and rename it aside. */
static int retire(struct ol_store *store, const char *chain_id, struct ol_store_layer *ret,
                  struct ol_error *err)
{
    struct ol_layer_entry *entry = ol_store_find_layer(store, chain_id);
    struct ol_layer_entry *parent;
    int r;

    if (entry == NULL)
        return no_layer(store, chain_id, err);
    if (entry->refs > 0)
        return ol_error_set(err, -EBUSY, "layer '%s' is used by %u layers or containers", chain_id,
                            entry->refs);
    *ret = entry->layer;
    r = ol_layerdb_retire_layer(store, &entry->layer, err);
    if (r < 0)
        return r;
    parent = ol_store_find_layer(store, entry->layer.parent);
    if (parent != NULL)
        parent->refs--;
    drop_layer(store, entry);
    return 0;
}

int ol_store_layer_remove(struct ol_store *store, const char *chain_id, struct ol_error *err)
{
    struct ol_store_layer layer;
    int r;

    (void)pthread_mutex_lock(&store->lock);
    r = retire(store, chain_id, &layer, err);
    (void)pthread_mutex_unlock(&store->lock);
    if (r == 0)
        r = ol_driver_remove(store->drv, layer.cache_id, err);
    if (r == 0)
        r = ol_layerdb_drop_retired(store, &layer, err);
    return r;
}
