/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image store: what imagedb.c and imagetags.c keep on disk, in memory as sorted tables. Every
 * image in the table holds its top layer, so that the layer store refuses to remove it.
 */
#include "store/imagestore_internal.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/limits.h"
#include "common/trace.h"

#include <errno.h>

/* First index whose id is not less. */
static size_t image_index(const struct ol_images *images, const char *id)
{
    size_t low = 0;
    size_t high = images->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(images->items[mid]->image.id, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct ol_image_entry *ol_images_entry(const struct ol_images *images, const char *id)
{
    size_t i = image_index(images, id);

    if (i == images->count || strcmp(images->items[i]->image.id, id) != 0)
        return NULL;
    return images->items[i];
}

static int reserve(struct ol_images *images, struct ol_error *err)
{
    size_t cap = images->cap == 0 ? 16 : images->cap * 2;
    struct ol_image_entry **more;

    if (images->count < images->cap)
        return 0;
    if (images->count >= OL_STORE_IMAGES_MAX)
        return ol_error_set(err, -E2BIG, "image store '%s' has more than %d images", images->dir,
                            OL_STORE_IMAGES_MAX);
    more = reallocarray(images->items, cap, sizeof(*more));
    if (more == NULL)
        return ol_error_nomem(err);
    images->items = more;
    images->cap = cap;
    return 0;
}

/* Room in the table and a hold on the top layer, before anything on disk. The caller adds it, or
 * releases both. */
static int entry_new(struct ol_images *images, const struct ol_image_config *config,
                     struct ol_image_entry **ret, struct ol_error *err)
{
    struct ol_image_entry *entry = calloc(1, sizeof *entry);
    int r;

    if (entry == NULL)
        return ol_error_nomem(err);
    r = reserve(images, err);
    if (r == 0)
        r = ol_store_hold(images->layers, config->chain_id, &entry->top, err);
    if (r < 0) {
        free(entry);
        return ol_error_wrap(err, r, "image '%s'", config->id);
    }
    memcpy(entry->image.id, config->id, OL_DIGEST_SIZE);
    memcpy(entry->image.chain_id, config->chain_id, OL_DIGEST_SIZE);
    entry->image.layers = config->layers;
    *ret = entry;
    return 0;
}

static void entry_free(struct ol_images *images, struct ol_image_entry *entry)
{
    ol_store_release(images->layers, entry->top);
    free(entry);
}

static void add(struct ol_images *images, struct ol_image_entry *entry)
{
    size_t i = image_index(images, entry->image.id);

    memmove(images->items + i + 1, images->items + i, (images->count - i) * sizeof(entry));
    images->items[i] = entry;
    images->count++;
}

void ol_images_forget(struct ol_images *images, struct ol_image_entry *entry)
{
    size_t i = image_index(images, entry->image.id);

    images->count--;
    memmove(images->items + i, images->items + i + 1, (images->count - i) * sizeof(entry));
    entry_free(images, entry);
}

/* --- Opening --- */

static int load_image(struct ol_images *images, const char *hex, struct ol_error *err)
{
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    struct ol_image_entry *entry = NULL;
    int r = ol_imagedb_read(images, hex, &config, err);

    if (r == 0)
        r = entry_new(images, &config, &entry, err);
    if (r < 0)
        return r;
    r = ol_imagedb_read_parent(images, hex, entry->image.parent, err);
    if (r < 0) {
        entry_free(images, entry);
        return r;
    }
    add(images, entry);
    return 0;
}

static int load(struct ol_images *images, const struct ol_store_options *options,
                struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents names = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&names, images->content_fd, true);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read the images of '%s'", images->dir);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        if (ol_layerdb_id_valid(names.items[i].name))
            r = ol_store_problem(options, load_image(images, names.items[i].name, err), err);
    }
    if (r < 0)
        return r;
    r = ol_tags_read(images->dir_fd, &images->tags, err);
    if (r < 0)
        r = ol_error_wrap(err, r, "image store '%s'", images->dir);
    return ol_store_problem(options, r, err);
}

struct chains {
    struct ol_store_layer *items; /* owned */
    size_t count;
};

static int note_layer(const struct ol_store_layer *layer, void *data)
{
    struct chains *chains = data;
    struct ol_store_layer *more = reallocarray(chains->items, chains->count + 1, sizeof *more);

    if (more == NULL)
        return -ENOMEM;
    more[chains->count++] = *layer;
    chains->items = more;
    return 0;
}

/* Layers that were registered for an image that was then never put. */
static int drop_orphans(struct ol_images *images, struct ol_error *err)
{
    struct chains all = {NULL, 0};
    int r = ol_store_layer_list(images->layers, note_layer, &all, err);

    if (r == -ENOMEM)
        r = ol_error_nomem(err);
    for (size_t i = 0; r == 0 && i < all.count; i++)
        r = ol_images_drop_layers(images, all.items[i].chain_id, NULL, NULL, err);
    free(all.items);
    return r;
}

static int open_layers(struct ol_images *images, struct ol_driver *drv,
                       const struct ol_store_options *options, struct ol_error *err)
{
    ol_auto_free char *path = NULL;

    if (asprintf(&path, "%s/layerdb", images->dir) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    return ol_store_open(path, drv, options, &images->layers, err);
}

/* What a killed process left. Without knowing every image nobody can tell what is left over. */
static int heal(struct ol_images *images, struct ol_error *err)
{
    int r = ol_imagedb_heal(images, err);

    return r < 0 ? r : drop_orphans(images, err);
}

int ol_images_open(const char *dir, struct ol_driver *drv, const struct ol_store_options *options,
                   struct ol_images **ret, struct ol_error *err)
{
    static const struct ol_store_options defaults = {0};
    struct ol_images *images = calloc(1, sizeof *images);
    int r;

    if (images == NULL)
        return ol_error_nomem(err);
    if (options == NULL)
        options = &defaults;
    images->dir_fd = images->content_fd = images->metadata_fd = -1;
    images->dir = strdup(dir);
    r = images->dir == NULL ? ol_error_nomem(err) : ol_imagedb_open(images, err);
    if (r == 0)
        r = open_layers(images, drv, options, err);
    if (r == 0)
        r = load(images, options, err);
    if (r == 0 && options->problem == NULL)
        r = heal(images, err);
    if (r < 0) {
        ol_images_close(images);
        return r;
    }
    *ret = images;
    return 0;
}

void ol_images_close(struct ol_images *images)
{
    if (images == NULL)
        return;
    for (size_t i = 0; i < images->count; i++)
        entry_free(images, images->items[i]);
    free(images->items);
    ol_tags_fini(&images->tags);
    ol_store_close(images->layers);
    ol_fd_close(&images->metadata_fd);
    ol_fd_close(&images->content_fd);
    ol_fd_close(&images->dir_fd); /* releases the lock */
    free(images->dir);
    free(images);
}

struct ol_store *ol_images_layers(struct ol_images *images)
{
    return images->layers;
}

const char *ol_images_dir(const struct ol_images *images)
{
    return images->dir;
}

/* --- Images --- */

static int no_image(const struct ol_images *images, const char *name, struct ol_error *err)
{
    return ol_error_set(err, -ENOENT, "image store '%s' has no image '%s'", images->dir, name);
}

int ol_images_put(struct ol_images *images, const struct ol_image_config *config,
                  const char *parent, bool *ret_existed, struct ol_error *err)
{
    struct ol_image_entry *entry = NULL;
    int r;

    if (ret_existed != NULL)
        *ret_existed = false;
    if (ol_images_entry(images, config->id) != NULL) {
        if (ret_existed != NULL)
            *ret_existed = true;
        return 0;
    }
    if (parent != NULL && ol_images_entry(images, parent) == NULL)
        return no_image(images, parent, err);
    r = entry_new(images, config, &entry, err);
    if (r < 0)
        return r;
    r = ol_imagedb_write(images, config, parent, err);
    if (r < 0) {
        entry_free(images, entry);
        return ol_error_wrap(err, r, "image '%s'", config->id);
    }
    if (parent != NULL)
        memcpy(entry->image.parent, parent, OL_DIGEST_SIZE);
    add(images, entry);
    return 0;
}

/* By a prefix of the id: *ret is NULL when there is none. */
static int find_prefix(const struct ol_images *images, const char *text,
                       struct ol_image_entry **ret, struct ol_error *err)
{
    const char *hex = strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;
    size_t len = strlen(hex);
    size_t found = 0;

    *ret = NULL;
    if (len == 0 || strspn(hex, "0123456789abcdef") != len)
        return 0;
    for (size_t i = 0; i < images->count; i++) {
        if (strncmp(ol_digest_hex(images->items[i]->image.id), hex, len) != 0)
            continue;
        *ret = images->items[i];
        found++;
    }
    if (found > 1)
        return ol_error_set(err, -EINVAL, "'%s' begins the ids of %zu images", text, found);
    return 0;
}

static bool is_id(const char *text)
{
    return ol_digest_valid(text) || ol_layerdb_id_valid(text);
}

int ol_images_find(struct ol_images *images, const char *name, struct ol_stored_image *ret,
                   struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    struct ol_image_entry *entry = NULL;
    const struct ol_tag *tag = NULL;
    struct ol_reference ref;
    int named = is_id(name) ? -EINVAL : ol_reference_parse(name, &ref, &why);
    int r = 0;

    if (named == 0)
        tag = ol_tags_find(&images->tags, ref.text);
    if (tag != NULL)
        entry = ol_images_entry(images, tag->id);
    if (tag != NULL && entry == NULL)
        return ol_error_set(err, -ENOENT, "'%s' names image '%s', which image store '%s' has not",
                            ref.text, tag->id, images->dir);
    if (entry == NULL)
        r = find_prefix(images, name, &entry, err);
    if (r < 0)
        return r;
    if (entry == NULL && named < 0 && why.message != NULL) {
        ol_error_move(err, &why);
        return named;
    }
    if (entry == NULL)
        return no_image(images, name, err);
    *ret = entry->image;
    return 0;
}

int ol_images_list(struct ol_images *images,
                   int (*fn)(const struct ol_stored_image *image, void *data), void *data,
                   struct ol_error *err)
{
    ol_auto_free struct ol_stored_image *copy = calloc(images->count + 1, sizeof *copy);
    size_t count = images->count;
    int r = 0;

    if (copy == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < count; i++)
        copy[i] = images->items[i]->image;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = fn(&copy[i], data);
    return r;
}

int ol_images_config(struct ol_images *images, const char *id, struct ol_image_config *ret,
                     struct ol_error *err)
{
    if (ol_images_entry(images, id) == NULL)
        return no_image(images, id, err);
    return ol_imagedb_read(images, ol_digest_hex(id), ret, err);
}

int ol_images_size(struct ol_images *images, const struct ol_stored_image *image,
                   uint64_t *ret_bytes, struct ol_error *err)
{
    struct ol_store_layer layer = {.parent = ""};
    uint64_t sum = 0;
    int r = ol_store_layer_get(images->layers, image->chain_id, &layer, err);

    while (r == 0) {
        sum += layer.size_bytes;
        if (layer.parent[0] == '\0')
            break;
        r = ol_store_layer_get(images->layers, layer.parent, &layer, err);
    }
    if (r == 0)
        *ret_bytes = sum;
    return r;
}

/* --- Names --- */

/* From here on these are the names. */
static int replace_tags(struct ol_images *images, struct ol_tags *tags, struct ol_error *err)
{
    int r = ol_tags_write(images->dir_fd, tags, err);

    if (r == 0) {
        ol_tags_fini(&images->tags);
        images->tags = *tags;
        *tags = (struct ol_tags){NULL, 0};
    }
    ol_tags_fini(tags);
    return r < 0 ? ol_error_wrap(err, r, "image store '%s'", images->dir) : 0;
}

int ol_images_tag(struct ol_images *images, const struct ol_image_tag *tags, size_t count,
                  struct ol_error *err)
{
    struct ol_tags copy = {NULL, 0};
    struct ol_reference ref;
    int r = ol_tags_copy(&images->tags, &copy, err);

    for (size_t i = 0; r == 0 && i < count; i++) {
        if (ol_images_entry(images, tags[i].id) == NULL)
            r = no_image(images, tags[i].id, err);
        if (r == 0)
            r = ol_reference_parse(tags[i].name, &ref, err);
        if (r == 0)
            r = ol_tags_set(&copy, &ref, tags[i].id, err);
    }
    for (size_t i = 0; r == 0 && i < count; i++)
        r = ol_imagedb_touch(images, tags[i].id, err);
    if (r < 0) {
        ol_tags_fini(&copy);
        return r;
    }
    return replace_tags(images, &copy, err);
}

int ol_images_drop_names(struct ol_images *images, const char *ref, const char *id,
                         struct ol_error *err)
{
    struct ol_tags copy = {NULL, 0};
    int r = ol_tags_copy(&images->tags, &copy, err);

    if (r < 0)
        return r;
    ol_tags_drop(&copy, ref, id);
    return replace_tags(images, &copy, err);
}

int ol_images_untag(struct ol_images *images, const char *name, struct ol_error *err)
{
    struct ol_reference ref;
    int r = ol_reference_parse(name, &ref, err);

    if (r < 0)
        return r;
    if (ol_tags_find(&images->tags, ref.text) == NULL)
        return no_image(images, ref.text, err);
    return ol_images_drop_names(images, ref.text, NULL, err);
}

int ol_images_tags(struct ol_images *images, const char *id,
                   int (*fn)(const char *name, const char *id, void *data), void *data,
                   struct ol_error *err)
{
    struct ol_tags copy = {NULL, 0}; /* fn may call us again */
    int r = ol_tags_copy(&images->tags, &copy, err);

    for (size_t i = 0; r == 0 && i < copy.count; i++) {
        if (id == NULL || strcmp(copy.items[i].id, id) == 0)
            r = fn(copy.items[i].ref.text, copy.items[i].id, data);
    }
    ol_tags_fini(&copy);
    return r;
}

int ol_images_drop_layers(struct ol_images *images, const char *chain_id, ol_images_removed_fn *fn,
                          void *data, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    struct ol_store_layer layer;
    char at[OL_DIGEST_SIZE];
    int r = 0;

    memcpy(at, chain_id, sizeof at);
    while (r == 0 && at[0] != '\0') {
        r = ol_store_layer_get(images->layers, at, &layer, &why);
        if (r == 0)
            r = ol_store_layer_remove(images->layers, at, &why);
        if (r == 0 && fn != NULL)
            fn("deleted", at, data);
        if (r == 0)
            memcpy(at, layer.parent, sizeof at);
    }
    if (r == 0 || r == -ENOENT || r == -EBUSY)
        return 0;
    ol_error_move(err, &why);
    return r;
}
