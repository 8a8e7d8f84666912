/* SPDX-License-Identifier: Apache-2.0 */
/* The checker of the stores; see check.h. */
#include "store/check_internal.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"

#include <errno.h>
#include <stdarg.h>

int ol_check_tell(const struct ol_check *c, const char *fmt, ...)
{
    ol_auto_free char *text = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0) {
        text = NULL;
        return ol_error_nomem(c->err);
    }
    c->problem(text, c->data);
    return 0;
}

/* --- The image store --- */

static int check_names(const struct ol_check *c)
{
    const struct ol_tags *tags = &c->images->tags;
    int r = 0;

    for (size_t i = 0; r == 0 && i < tags->count; i++) {
        if (ol_images_entry(c->images, tags->items[i].id) == NULL)
            r = ol_check_tell(c, "name '%s' leads to image '%s', which is not there",
                              tags->items[i].ref.text, tags->items[i].id);
    }
    return r;
}

/* An ancestor that is there is met within as many steps as there are images. */
static bool is_own_ancestor(const struct ol_images *images, const struct ol_stored_image *image)
{
    const struct ol_stored_image *at = image;

    for (size_t steps = 0; steps < images->count && at->parent[0] != '\0'; steps++) {
        const struct ol_image_entry *parent = ol_images_entry(images, at->parent);

        if (parent == NULL)
            return false;
        at = &parent->image;
        if (at == image)
            return true;
    }
    return false;
}

static int check_parents(const struct ol_check *c)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->images->count; i++) {
        const struct ol_stored_image *image = &c->images->items[i]->image;
        if (image->parent[0] != '\0' && ol_images_entry(c->images, image->parent) == NULL)
            r = ol_check_tell(c, "image '%s' was made from image '%s', which is not there",
                              image->id, image->parent);
        else if (is_own_ancestor(c->images, image))
            r = ol_check_tell(c, "image '%s' is its own ancestor", image->id);
    }
    return r;
}

/* What does not belong into a directory of the image store. */
static int check_dir(const struct ol_check *c, int dir_fd, const char *what,
                     bool (*expected)(const struct ol_check *c, const char *name))
{
    ol_auto_dirents struct ol_dirents names = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&names, dir_fd, true);

    if (r < 0)
        return ol_error_sys(c->err, -r, "cannot read '%s' in '%s'", what, c->images->dir);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        const char *name = names.items[i].name;
        if (ol_imagedb_is_aside(name))
            r = ol_check_tell(c, "'%s/%s' was left by a killed process", what, name);
        else if (!expected(c, name))
            r = ol_check_tell(c, "'%s/%s' belongs to no image", what, name);
    }
    return r;
}

static bool any_name(const struct ol_check *c, const char *name)
{
    (void)c;
    (void)name;
    return true;
}

static bool is_content(const struct ol_check *c, const char *name)
{
    (void)c;
    return ol_layerdb_id_valid(name); /* opening the store read it */
}

static bool has_content(const struct ol_check *c, const char *name)
{
    return ol_layerdb_id_valid(name) && ol_fs_exists(c->images->content_fd, name);
}

static int check_images(const struct ol_check *c)
{
    int r = check_names(c);

    if (r == 0)
        r = check_parents(c);
    if (r == 0)
        r = check_dir(c, c->images->dir_fd, ".", any_name);
    if (r == 0)
        r = check_dir(c, c->images->content_fd, "imagedb/content/sha256", is_content);
    return r < 0 ? r : check_dir(c, c->images->metadata_fd, "imagedb/metadata/sha256", has_content);
}

/* --- The layer store --- */

static int check_layer(const struct ol_check *c, const struct ol_layer_entry *entry)
{
    const struct ol_store_layer *layer = &entry->layer;
    int r = 0;

    if (entry->refs == 0)
        r = ol_check_tell(c, "layer '%s' is used by no image and no container", layer->chain_id);
    if (r == 0 && !ol_driver_exists(c->layers->drv, layer->cache_id))
        r = ol_check_tell(c, "layer '%s' is driver layer '%s', which is not there", layer->chain_id,
                          layer->cache_id);
    return r;
}

static int check_container(const struct ol_check *c, const struct ol_store_container *container)
{
    char init[OL_HEX_SIZE + 8];
    int r = 0;

    (void)snprintf(init, sizeof init, "%s-init", container->mount_id);
    if (!ol_driver_exists(c->layers->drv, container->mount_id))
        r = ol_check_tell(c, "container '%s' is driver layer '%s', which is not there",
                          container->id, container->mount_id);
    if (r == 0 && !ol_driver_exists(c->layers->drv, init))
        r = ol_check_tell(c, "container '%s' stands on driver layer '%s', which is not there",
                          container->id, init);
    return r;
}

static int check_layers(const struct ol_check *c)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->layers->n_layers; i++)
        r = check_layer(c, c->layers->layers[i]);
    for (size_t i = 0; r == 0 && i < c->layers->n_containers; i++)
        r = check_container(c, &c->layers->containers[i].container);
    return r;
}

/* --- The driver --- */

/* Layers somebody made by hand ("overlab layer create") have other names; theirs to know. */
static int check_owner(const char *id, void *data)
{
    const struct ol_check *c = data;
    char own[OL_HEX_SIZE];
    size_t len = strlen(id);

    if (len > 64 && strcmp(id + 64, "-init") != 0)
        return 0;
    (void)snprintf(own, sizeof own, "%.64s", id);
    if (!ol_layerdb_id_valid(own) || ol_store_owns(c->layers, own))
        return 0;
    return ol_check_tell(c, "driver layer '%s' belongs to no layer and no container", id);
}

/* --- Content --- */

static int discard(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    (void)data;
    (void)bytes;
    (void)len;
    (void)err;
    return 0;
}

static int check_content(const struct ol_check *c)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->layers->n_layers; i++) {
        const struct ol_store_layer *layer = &c->layers->layers[i]->layer;
        ol_auto_error struct ol_error why = OL_ERROR_INIT;
        if (c->options->cancelled != NULL && c->options->cancelled())
            return ol_error_set(c->err, -ECANCELED, "interrupted");
        if (!ol_driver_exists(c->layers->drv, layer->cache_id))
            continue; /* told already */
        if (ol_store_layer_tar(c->layers, layer->chain_id, discard, NULL, NULL, &why) < 0)
            r = ol_check_tell(c, "layer '%s': %s", layer->chain_id, ol_error_text(&why));
    }
    return r;
}

int ol_images_check(struct ol_images *images, struct ol_containers *containers,
                    const struct ol_check_options *options, ol_problem_fn *problem, void *data,
                    struct ol_error *err)
{
    struct ol_check c = {images, images->layers, containers, options, problem, data, err};
    int r = check_images(&c);

    if (r == 0)
        r = check_layers(&c);
    if (r == 0)
        r = ol_driver_list(c.layers->drv, check_owner, &c, err);
    if (r == 0 && containers != NULL)
        r = ol_check_containers(&c);
    return r < 0 || !options->content ? r : check_content(&c);
}
