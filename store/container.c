/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Container layers (moby layer/layer_store.go, CreateRWLayer and ReleaseRWLayer): an init layer
 * over the image, the writable layer over that.
 */
#include "store/store_internal.h"

#include "common/cleanup.h"
#include "common/trace.h"
#include "drivers/rootfs.h"

#include <errno.h>

static int no_container(const struct ol_store *store, const char *id, struct ol_error *err)
{
    return ol_error_set(err, -ENOENT, "layer store '%s' has no container '%s'", store->dir, id);
}

int ol_store_hold_container(struct ol_store *store, const char *id, struct ol_store_container *ret,
                            struct ol_error *err)
{
    struct ol_container_entry *entry;

    (void)pthread_mutex_lock(&store->lock);
    entry = ol_store_find_container(store, id);
    if (entry != NULL) {
        entry->refs++;
        *ret = entry->container;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return entry == NULL ? no_container(store, id, err) : 0;
}

void ol_store_release_container(struct ol_store *store, const char *id)
{
    struct ol_container_entry *entry;

    (void)pthread_mutex_lock(&store->lock);
    entry = ol_store_find_container(store, id);
    if (entry != NULL)
        entry->refs--;
    (void)pthread_mutex_unlock(&store->lock);
}

struct init_id {
    char text[OL_HEX_SIZE + 8];
};

static struct init_id init_id(const char *mount_id)
{
    struct init_id id;

    (void)snprintf(id.text, sizeof id.text, "%s-init", mount_id);
    return id;
}

/* All there is to do with a layer that keeps nothing (the null driver). */
static int get_and_put(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    int r = ol_driver_get(drv, id, &path, err);

    return r < 0 ? r : ol_driver_put(drv, id, err);
}

/* Open the layer's root, let fn at it (NULL: nothing), close it again: one Get and one Put. */
static int with_rootfs(struct ol_driver *drv, const char *id,
                       int (*fn)(struct ol_rootfs *fs, struct ol_error *err), struct ol_error *err)
{
    struct ol_rootfs *fs = NULL;
    int closed;
    int r;

    if ((ol_driver_caps(drv) & OL_CAP_KEEPS_DATA) == 0)
        return get_and_put(drv, id, err);
    r = ol_driver_rootfs(drv, id, &fs, err);
    if (r < 0)
        return r;
    if (fn != NULL)
        r = fn(fs, err);
    closed = ol_rootfs_close(fs, r < 0 ? NULL : err);
    return r < 0 ? r : closed;
}

/* The driver's side. On failure the caller removes both layers. */
static int make_layers(struct ol_store *store, const struct ol_layer_entry *image,
                       const char *mount_id, struct ol_error *err)
{
    const struct init_id init = init_id(mount_id);
    const struct ol_layer_spec init_spec = {
        .id = init.text,
        .parent = image != NULL ? image->layer.cache_id : NULL,
        .read_write = true,
    };
    const struct ol_layer_spec rw_spec = {.id = mount_id, .parent = init.text, .read_write = true};
    int r = ol_driver_create(store->drv, &init_spec, err);

    if (r < 0)
        return r;
    r = with_rootfs(store->drv, init.text, ol_initlayer_setup, err);
    if (r < 0)
        return ol_error_wrap(err, r, "init layer");
    r = ol_driver_create(store->drv, &rw_spec, err);
    if (r < 0)
        return r;
    /* docker create mounts the layer once, to set up the working directory */
    return with_rootfs(store->drv, mount_id, NULL, err);
}

static int publish(struct ol_store *store, const struct ol_store_container *container,
                   struct ol_layer_entry *image, struct ol_error *err)
{
    int r;

    (void)pthread_mutex_lock(&store->lock);
    r = ol_store_reserve_container(store, err);
    if (r == 0)
        r = ol_layerdb_commit_container(store, container, err);
    if (r == 0) {
        ol_store_add_container(store, container);
        if (image != NULL)
            image->refs++;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return r;
}

/* Also after the failure of a Create that left nothing: removing what is missing is success, and
 * the ids are random, so they are nobody else's. */
static void take_back(struct ol_store *store, const char *mount_id)
{
    int r = ol_store_remove_driver_layers(store, mount_id, NULL);

    if (r == 0)
        r = ol_layerdb_drop(store, mount_id, NULL);
    if (r < 0) /* the first error counts; the write set makes the next start try again */
        ol_trace(OL_TRACE_STORE, "left for the next start: driver layer '%s'", mount_id);
}

int ol_store_container_create(struct ol_store *store, const char *parent_chain,
                              struct ol_store_container *ret, struct ol_error *err)
{
    struct ol_store_container container = {.parent = ""};
    struct ol_layer_entry *image = NULL;
    int r = ol_store_hold(store, parent_chain, &image, err);

    if (r == 0)
        r = ol_random_id(container.id, err);
    if (r == 0)
        r = ol_random_id(container.mount_id, err);
    if (r == 0)
        r = ol_layerdb_begin(store, container.mount_id, err);
    if (r < 0) {
        ol_store_release(store, image);
        return r;
    }
    if (image != NULL)
        memcpy(container.parent, image->layer.chain_id, sizeof container.parent);
    r = make_layers(store, image, container.mount_id, err);
    if (r == 0)
        r = ol_layerdb_write_container(store, &container, err);
    if (r == 0)
        r = publish(store, &container, image, err);
    if (r < 0)
        take_back(store, container.mount_id);
    else
        *ret = container;
    ol_store_release(store, image);
    return r < 0 ? ol_error_wrap(err, r, "cannot create a container") : 0;
}

int ol_store_container_get(struct ol_store *store, const char *id, struct ol_store_container *ret,
                           struct ol_error *err)
{
    const struct ol_container_entry *entry;

    (void)pthread_mutex_lock(&store->lock);
    entry = ol_store_find_container(store, id);
    if (entry != NULL)
        *ret = entry->container;
    (void)pthread_mutex_unlock(&store->lock);
    return entry == NULL ? no_container(store, id, err) : 0;
}

/* Under the lock: rename the container aside and forget it. */
static int retire(struct ol_store *store, const char *id, char ret_mount_id[OL_HEX_SIZE],
                  struct ol_error *err)
{
    struct ol_container_entry *entry = ol_store_find_container(store, id);
    struct ol_layer_entry *image;
    int r;

    if (entry == NULL)
        return no_container(store, id, err);
    if (entry->refs > 0)
        return ol_error_set(err, -EBUSY, "container '%s' is being committed", id);
    r = ol_layerdb_retire_container(store, &entry->container, err);
    if (r < 0)
        return r;
    memcpy(ret_mount_id, entry->container.mount_id, OL_HEX_SIZE);
    image = ol_store_find_layer(store, entry->container.parent);
    if (image != NULL)
        image->refs--;
    ol_store_drop_container(store, entry);
    return 0;
}

int ol_store_container_remove(struct ol_store *store, const char *id, struct ol_error *err)
{
    char mount_id[OL_HEX_SIZE];
    int r;

    (void)pthread_mutex_lock(&store->lock);
    r = retire(store, id, mount_id, err);
    (void)pthread_mutex_unlock(&store->lock);
    if (r == 0)
        r = ol_store_remove_driver_layers(store, mount_id, err);
    if (r == 0)
        r = ol_layerdb_drop(store, mount_id, err);
    return r;
}

int ol_store_container_list(struct ol_store *store,
                            int (*fn)(const struct ol_store_container *c, void *data), void *data,
                            struct ol_error *err)
{
    ol_auto_free struct ol_store_container *copy = NULL;
    size_t count;
    int r = 0;

    (void)pthread_mutex_lock(&store->lock); /* fn may call us again: it gets a copy */
    count = store->n_containers;
    copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++)
        copy[i] = store->containers[i].container;
    (void)pthread_mutex_unlock(&store->lock);
    if (copy == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = fn(&copy[i], data);
    return r;
}
