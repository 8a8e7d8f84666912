/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From names to an archive: find the images, spool each layer once (its own tar where it was kept),
 * then configs and manifests. A config is the bytes it was imported as, unless a layer had to be
 * written anew and has another DiffID now.
 */
#include "store/image_export.h"

#include "common/cleanup.h"
#include "store/export_layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void export_fini(struct ol_export *e)
{
    for (size_t i = 0; i < e->count; i++) {
        free(e->list[i].tags);
        free(e->list[i].layers);
    }
    free(e->list);
    ol_spool_fini(&e->spool);
}

/* ---- which images ---- */

static struct ol_export_image *find_listed(const struct ol_export *e, const char *id)
{
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->list[i].stored.id, id) == 0)
            return &e->list[i];
    return NULL;
}

static int add_tag(struct ol_export_image *image, const struct ol_reference *tag,
                   struct ol_error *err)
{
    struct ol_reference *tags;

    for (size_t i = 0; i < image->n_tags; i++)
        if (strcmp(image->tags[i].text, tag->text) == 0)
            return 0;
    tags = reallocarray(image->tags, image->n_tags + 1, sizeof *tags);
    if (tags == NULL)
        return ol_error_nomem(err);
    tags[image->n_tags++] = *tag;
    image->tags = tags;
    return 0;
}

/* Stops with 1 at the name that is looked for. */
static int is_tag(const char *name, const char *id, void *data)
{
    (void)id;
    return strcmp(name, data) == 0;
}

/* The name goes with the image if it is one of its own, and not an id. */
static int add_name(struct ol_export *e, struct ol_export_image *image, const char *name,
                    struct ol_error *err)
{
    struct ol_reference tag;
    int r;

    if (ol_reference_parse(name, &tag, NULL) < 0)
        return 0;
    r = ol_images_tags(e->images, image->stored.id, is_tag, tag.text, err);
    return r == 1 ? add_tag(image, &tag, err) : r;
}

/* Room for it is there. */
static int add_image(struct ol_export *e, const char *name, struct ol_error *err)
{
    struct ol_export_image *image;
    struct ol_stored_image stored;
    int r = ol_images_find(e->images, name, &stored, err);

    if (r < 0)
        return r;
    image = find_listed(e, stored.id);
    if (image == NULL) {
        image = &e->list[e->count];
        *image = (struct ol_export_image){.name = name, .stored = stored};
        image->layers = calloc(stored.layers, sizeof *image->layers);
        if (image->layers == NULL)
            return ol_error_nomem(err);
        image->n_layers = stored.layers;
        e->count++;
    }
    return add_name(e, image, name, err);
}

static int add_images(struct ol_export *e, const char *const *names, size_t count,
                      struct ol_error *err)
{
    int r = 0;

    if (count == 0)
        return ol_error_set(err, -EINVAL, "no image was named");
    e->list = calloc(count, sizeof *e->list);
    if (e->list == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < count && r == 0; i++)
        r = add_image(e, names[i], err);
    return r;
}

/* ---- layers ---- */

/* The same layer of an image before this one. */
static const struct ol_export_layer *
find_spooled(const struct ol_export *e, const struct ol_export_image *image, const char *chain_id)
{
    for (const struct ol_export_image *other = e->list; other < image; other++)
        for (size_t i = 0; i < other->n_layers; i++)
            if (strcmp(other->layers[i].chain_id, chain_id) == 0)
                return &other->layers[i];
    return NULL;
}

static int spool_layer(struct ol_export *e, struct ol_export_layer *layer, struct ol_error *err)
{
    struct ol_store *store = ol_images_layers(e->images);
    struct ol_compress *compress = NULL;
    struct ol_store_tar tar;
    int r = ol_spool_begin(&e->spool, err);

    if (r == 0)
        r = ol_compress_new(e->options->compression, 0, ol_spool_write, &e->spool, &compress, err);
    if (r == 0)
        r = ol_store_layer_tar(store, layer->chain_id, ol_compress_write, compress, &tar, err);
    if (r == 0)
        r = ol_compress_finish(compress, err);
    if (r == 0)
        r = ol_spool_end(&e->spool, &layer->blob, err);
    if (r == 0)
        memcpy(layer->diff_id, tar.diff_id, sizeof layer->diff_id);
    ol_compress_free(compress);
    return r;
}

static int take_layer(struct ol_export *e, struct ol_export_image *image,
                      const struct ol_image_config *config, size_t index, struct ol_error *err)
{
    struct ol_export_layer *layer = &image->layers[index];
    const struct ol_export_layer *older;
    int r = ol_image_config_chain_id(config, index, layer->chain_id, err);

    if (r < 0)
        return r;
    if (e->options->cancelled != NULL && e->options->cancelled())
        return ol_error_set(err, -ECANCELED, "interrupted");
    older = find_spooled(e, image, layer->chain_id);
    if (older == NULL)
        return spool_layer(e, layer, err);
    *layer = *older;
    return 0;
}

/* ---- the config ---- */

/* Tell which layers have another DiffID. @return how many */
static size_t tell_rewritten(const struct ol_export *e, const struct ol_export_image *image,
                             const struct ol_image_config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < image->n_layers; i++) {
        const struct ol_export_rewritten layer = {
            .image = image->name,
            .index = i,
            .before = ol_image_config_diff_id(config, i),
            .after = image->layers[i].diff_id,
        };
        if (strcmp(layer.before, layer.after) == 0)
            continue;
        count++;
        if (e->options->rewritten != NULL)
            e->options->rewritten(&layer, e->options->data);
    }
    return count;
}

static int spool_changed_config(struct ol_export *e, struct ol_export_image *image,
                                const struct ol_image_config *config, struct ol_error *err)
{
    json_t *copy = json_deep_copy(config->json);
    json_t *diff_ids = json_array();
    char *text = NULL;
    int r = 0;

    for (size_t i = 0; i < image->n_layers && r == 0; i++)
        r = json_array_append_new(diff_ids, json_string(image->layers[i].diff_id));
    if (json_object_set_new(json_object_get(copy, "rootfs"), "diff_ids", diff_ids) < 0)
        r = -1; /* it has taken diff_ids all the same */
    text = r == 0 ? json_dumps(copy, JSON_COMPACT) : NULL;
    json_decref(copy);
    r = text == NULL ? ol_error_nomem(err)
                     : ol_spool_add(&e->spool, text, strlen(text), &image->config, err);
    free(text);
    return r;
}

static int take_config(struct ol_export *e, struct ol_export_image *image,
                       const struct ol_image_config *config, struct ol_error *err)
{
    if (tell_rewritten(e, image, config) > 0)
        return spool_changed_config(e, image, config, err);
    return ol_spool_add(&e->spool, config->bytes.data, config->bytes.len, &image->config, err);
}

static int take_image(struct ol_export *e, struct ol_export_image *image, struct ol_error *err)
{
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    int r = ol_images_config(e->images, image->stored.id, &config, err);

    for (size_t i = 0; i < image->n_layers && r == 0; i++)
        r = take_layer(e, image, &config, i, err);
    if (r == 0)
        r = take_config(e, image, &config, err);
    if (r == 0)
        r = ol_export_manifest(e, image, err);
    return r < 0 ? ol_error_wrap(err, r, "cannot export image '%s'", image->name) : 0;
}

int ol_images_export(struct ol_images *images, const char *const *names, size_t n_names, int out_fd,
                     const struct ol_export_options *options, struct ol_export_result *ret,
                     struct ol_error *err)
{
    const struct ol_export_options defaults = {.compression = OL_COMPRESS_NONE};
    struct ol_export e = {
        .images = images,
        .options = options != NULL ? options : &defaults,
        .spool = OL_SPOOL_INIT,
    };
    int r = add_images(&e, names, n_names, err);

    if (r == 0)
        r = ol_spool_open(&e.spool, ol_images_dir(images), err);
    for (size_t i = 0; i < e.count && r == 0; i++)
        r = take_image(&e, &e.list[i], err);
    if (r == 0)
        r = ol_export_write(&e, out_fd, ret, err);
    export_fini(&e);
    return r;
}
