/* SPDX-License-Identifier: Apache-2.0 */
/* Importing images; see import.h. */
#include "store/import.h"

#include "common/cleanup.h"
#include "common/time_text.h"
#include "store/image.h"
#include "store/image_internal.h"
#include "store/imagestore_internal.h"
#include "store/import_parents.h"

#include <errno.h>
#include <sys/utsname.h>

/* One image on its way in. */
struct item {
    struct ol_image *source;              /* borrowed from the set */
    struct ol_image_config made;          /* of a root file system; owned */
    const struct ol_image_config *config; /* made, or the source's; NULL before it is known */
    struct ol_imported done;
};

struct import {
    struct ol_images *images;
    const struct ol_import_options *options;
    struct ol_image_set set;      /* owned */
    struct item *items;           /* owned; set.count of them */
    struct ol_parent_link *links; /* owned; set.count of them */
    struct ol_tags names; /* owned: what the images will be called; ids are set at the end */
    char (*fresh)[OL_DIGEST_SIZE]; /* owned: ChainIDs of layers that were not there, in order */
    size_t n_fresh;
};

static void import_fini(struct import *im)
{
    for (size_t i = 0; im->items != NULL && i < im->set.count; i++)
        ol_image_config_fini(&im->items[i].made);
    free(im->items);
    free(im->links);
    free(im->fresh);
    ol_tags_fini(&im->names);
    ol_image_set_fini(&im->set);
}

static int prepare(struct import *im, struct ol_error *err)
{
    im->items = calloc(im->set.count, sizeof *im->items);
    im->links = calloc(im->set.count, sizeof *im->links);
    if (im->items == NULL || im->links == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < im->set.count; i++) {
        struct item *item = &im->items[i];
        item->source = im->set.items[i];
        item->config = ol_image_config_of(item->source);
        ol_image_verify_blobs(item->source);
        im->links[i] = (struct ol_parent_link){.config = item->config,
                                               .told = ol_image_parent(item->source)};
        item->done.source_format = ol_image_format_name(ol_image_format_of(item->source));
    }
    if (im->options->n_names > 0 && im->set.count != 1)
        return ol_error_set(err, -EINVAL,
                            "'%s' and %zu more cannot have one name: pick one as PATH#NAME",
                            ol_image_id(im->set.items[0]), im->set.count - 1);
    return 0;
}

/* --- Names --- */

static size_t name_count(const struct import *im, const struct item *item)
{
    return im->options->n_names > 0 ? im->options->n_names : ol_image_name_count(item->source);
}

static const char *name_of(const struct import *im, const struct item *item, size_t index)
{
    return im->options->n_names > 0 ? im->options->names[index]
                                    : ol_image_name(item->source, index);
}

/* Before any layer is touched: an image with a bad name is not imported. */
static int check_names(struct import *im, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < im->set.count; i++) {
        const struct item *item = &im->items[i];
        const char *id = ol_image_id(item->source)[0] != '\0' ? ol_image_id(item->source)
                                                              : OL_EMPTY_DIFF_ID;
        for (size_t k = 0; r == 0 && k < name_count(im, item); k++) {
            const struct ol_tag *other;
            struct ol_reference ref;
            r = ol_reference_parse(name_of(im, item, k), &ref, err);
            other = r == 0 ? ol_tags_find(&im->names, ref.text) : NULL;
            if (other != NULL && strcmp(other->id, id) != 0)
                r = ol_error_set(err, -EBADMSG, "two images are called '%s'", ref.text);
            if (r == 0)
                r = ol_tags_set(&im->names, &ref, id, err);
        }
    }
    return r;
}

/* --- Layers --- */

static int note_fresh(struct import *im, const char *chain_id, struct ol_error *err)
{
    void *more = reallocarray(im->fresh, im->n_fresh + 1, sizeof *im->fresh);

    if (more == NULL)
        return ol_error_nomem(err);
    im->fresh = more;
    memcpy(im->fresh[im->n_fresh++], chain_id, OL_DIGEST_SIZE);
    return 0;
}

/* Newest first, so that none has a child any more. What cannot be removed now is removed at the
 * next start: the first error counts. */
static void take_back(struct import *im)
{
    for (size_t i = im->n_fresh; i > 0; i--)
        (void)ol_store_layer_remove(im->images->layers, im->fresh[i - 1], NULL);
}

static int register_layer(struct import *im, struct item *item, size_t index, const char *parent,
                          struct ol_store_layer *ret, struct ol_error *err)
{
    const char *want = ol_image_layer_diff_id(item->source, index);
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    struct ol_image_stream stream;
    bool existed = false;
    int closed;
    int r = ol_image_layer_open(item->source, index, &stream, err);

    if (r < 0)
        return r;
    r = ol_store_register(im->images->layers, parent, &stream.input, want, ret, NULL, NULL,
                          &existed, err);
    if (r == 0 && !existed) {
        r = note_fresh(im, ret->chain_id, err);
        item->done.new_layers += r == 0;
        if (r < 0)
            (void)ol_store_layer_remove(im->images->layers, ret->chain_id, NULL);
    }
    closed = ol_image_layer_close(&stream, &why);
    if (closed < 0) { /* a stream that its maker broke off is why reading it failed */
        ol_error_move(err, &why);
        return closed;
    }
    return r < 0 ? ol_error_wrap(err, r, "layer %zu", index) : 0;
}

static int cancelled(const struct import *im, struct ol_error *err)
{
    if (im->options->cancelled == NULL || !im->options->cancelled())
        return 0;
    return ol_error_set(err, -ECANCELED, "interrupted");
}

/* A layer that is there already is not read, as docker load does. */
static int import_layers(struct import *im, struct item *item, struct ol_store_layer *top,
                         struct ol_error *err)
{
    char chain[OL_DIGEST_SIZE] = "";
    int r = 0;

    for (size_t i = 0; r == 0 && i < ol_image_layer_count(item->source); i++) {
        const char *parent = i > 0 ? top->chain_id : NULL;
        struct ol_store_layer layer;
        r = cancelled(im, err);
        if (r == 0 && item->config != NULL)
            r = ol_image_config_chain_id(item->config, i, chain, err);
        if (r < 0)
            break;
        if (chain[0] == '\0' || ol_store_layer_get(im->images->layers, chain, &layer, NULL) < 0)
            r = register_layer(im, item, i, parent, &layer, err);
        if (r == 0)
            *top = layer;
    }
    return r;
}

/* --- Images --- */

/* The config docker import makes (daemon/images/image_import.go), keys sorted. */
static json_t *rootfs_config(const char *diff_id, const struct timespec *time)
{
    struct timespec created = {0, 0};
    struct utsname uts;
    char text[OL_TIME_TEXT_SIZE];

    if (time != NULL)
        created = *time;
    ol_time_text(&created, created.tv_nsec != 0, text);
    return json_pack("{ss, ss, s{}, ss, ss, s{ss, s[s]}, s[{ss, ss}]}", "architecture",
                     uname(&uts) == 0 ? ol_go_arch(uts.machine) : "", "comment", "Imported from -",
                     "config", "created", text, "os", "linux", "rootfs", "type", "layers",
                     "diff_ids", diff_id, "history", "created", text, "comment", "Imported from -");
}

static int make_config(const struct import *im, struct item *item, const char *diff_id,
                       struct ol_error *err)
{
    ol_auto_json json_t *json = rootfs_config(diff_id, im->options->created);
    ol_auto_buf struct ol_buf bytes = OL_BUF_INIT;
    ol_auto_free char *text = NULL;
    int r;

    if (json != NULL)
        text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL || ol_buf_puts(&bytes, text) < 0)
        return ol_error_nomem(err);
    r = ol_image_config_parse(&bytes, &item->made, err);
    if (r == 0)
        item->config = &item->made;
    return r;
}

static int import_image(struct import *im, struct item *item, struct ol_error *err)
{
    struct ol_store_layer top;
    int r = import_layers(im, item, &top, err);

    if (r == 0 && item->config == NULL)
        r = make_config(im, item, top.diff_id, err);
    return r;
}

static void unput(struct import *im, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct item *item = &im->items[i];
        struct ol_image_entry *entry = ol_images_entry(im->images, item->config->id);
        if (item->done.existed || entry == NULL)
            continue;
        (void)ol_imagedb_remove(im->images, item->config->id, NULL); /* the first error counts */
        ol_images_forget(im->images, entry);
    }
}

static int give_names(struct import *im, struct ol_error *err)
{
    struct ol_image_tag *tags = calloc(im->names.count + 1, sizeof *tags);
    int r = 0;

    if (tags == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < im->names.count; i++) {
        const struct ol_tag *name = &im->names.items[i];
        tags[i] = (struct ol_image_tag){name->ref.text, name->id};
        if (strcmp(name->id, OL_EMPTY_DIFF_ID) == 0) /* a root file system: known only now */
            tags[i].id = im->items[0].config->id;
    }
    if (im->names.count > 0)
        r = ol_images_tag(im->images, tags, im->names.count, err);
    free(tags);
    return r;
}

/* All of them, then what they were made from, then all names in one step. */
static int put_images(struct import *im, struct ol_error *err)
{
    size_t put = 0;
    int r = 0;

    for (; r == 0 && put < im->set.count; put++) {
        struct item *item = &im->items[put];
        r = ol_images_put(im->images, item->config, NULL, &item->done.existed, err);
        if (r < 0)
            break;
    }
    if (r == 0)
        r = ol_parents_set(im->images, im->links, im->set.count, err);
    if (r == 0) {
        r = give_names(im, err);
        if (r < 0)
            ol_parents_unset(im->images, im->links, im->set.count);
    }
    if (r < 0)
        unput(im, put);
    return r;
}

static int run(struct import *im, struct ol_error *err)
{
    int r = prepare(im, err);

    if (r == 0)
        r = check_names(im, err);
    if (r == 0)
        r = ol_parents_check(im->images, im->links, im->set.count, err);
    for (size_t i = 0; r == 0 && i < im->set.count; i++)
        r = import_image(im, &im->items[i], err);
    if (r == 0)
        r = cancelled(im, err);
    if (r == 0)
        r = put_images(im, err);
    if (r < 0)
        take_back(im);
    return r;
}

static int report(struct import *im, int (*fn)(const struct ol_imported *imported, void *data),
                  void *data)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < im->set.count; i++) {
        struct item *item = &im->items[i];
        item->done.image = ol_images_entry(im->images, item->config->id)->image;
        r = fn(&item->done, data);
    }
    return r;
}

int ol_images_import(struct ol_images *images, const char *path,
                     const struct ol_import_options *options,
                     int (*fn)(const struct ol_imported *imported, void *data), void *data,
                     struct ol_error *err)
{
    struct import im = {.images = images, .options = options};
    int r = ol_image_open_all(path, images->dir, &im.set, err);

    if (r < 0)
        return r;
    r = run(&im, err);
    if (r < 0)
        r = ol_error_wrap(err, r, "cannot import '%s'", path);
    else if (fn != NULL)
        r = report(&im, fn, data);
    import_fini(&im);
    return r;
}
