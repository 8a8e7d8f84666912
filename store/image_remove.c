/* SPDX-License-Identifier: Apache-2.0 */
/* Removing images by docker's rules (moby daemon/images/image_delete.go). */
#include "store/imagestore_internal.h"

#include <errno.h>

struct removal {
    struct ol_images *images;
    bool force;
    ol_images_removed_fn *fn;
    void *data;
};

static void tell(const struct removal *rm, const char *what, const char *subject)
{
    if (rm->fn != NULL)
        rm->fn(what, subject, rm->data);
}

static size_t count_names(const struct ol_images *images, const char *id)
{
    size_t count = 0;

    for (size_t i = 0; i < images->tags.count; i++)
        count += strcmp(images->tags.items[i].id, id) == 0;
    return count;
}

static bool one_repository(const struct ol_images *images, const char *id)
{
    const char *repository = NULL;

    for (size_t i = 0; i < images->tags.count; i++) {
        const struct ol_tag *tag = &images->tags.items[i];
        if (strcmp(tag->id, id) != 0)
            continue;
        if (repository != NULL && strcmp(repository, tag->ref.repository) != 0)
            return false;
        repository = tag->ref.repository;
    }
    return true;
}

static bool has_children(const struct ol_images *images, const char *id)
{
    for (size_t i = 0; i < images->count; i++)
        if (strcmp(images->items[i]->image.parent, id) == 0)
            return true;
    return false;
}

struct user {
    const char *chain_id;
    char id[OL_HEX_SIZE]; /* of the container; "" while none was found */
};

static int is_user(const struct ol_store_container *container, void *data)
{
    struct user *user = data;

    if (strcmp(container->parent, user->chain_id) == 0)
        memcpy(user->id, container->id, sizeof user->id);
    return 0;
}

static int check_containers(const struct removal *rm, const struct ol_stored_image *image,
                            struct ol_error *err)
{
    struct user user = {.chain_id = image->chain_id, .id = ""};
    int r;

    if (rm->force)
        return 0;
    r = ol_store_container_list(rm->images->layers, is_user, &user, err);
    if (r < 0 || user.id[0] == '\0')
        return r;
    return ol_error_set(err, -EBUSY, "image '%s' is used by container '%s'", image->id, user.id);
}

static int drop_name(const struct removal *rm, const char *ref, struct ol_error *err)
{
    int r = ol_images_drop_names(rm->images, ref, NULL, err);

    if (r == 0)
        tell(rm, "untagged", ref);
    return r;
}

/* The config, then the layers nobody uses. */
static int delete_image(const struct removal *rm, const struct ol_stored_image *image,
                        struct ol_error *err)
{
    int r = ol_imagedb_remove(rm->images, image->id, err);

    if (r < 0)
        return ol_error_wrap(err, r, "image '%s'", image->id);
    ol_images_forget(rm->images, ol_images_entry(rm->images, image->id));
    tell(rm, "deleted", image->id);
    return ol_images_drop_layers(rm->images, image->chain_id, rm->fn, rm->data, err);
}

/* Images above it that are now nobody's. */
static int prune_parents(const struct removal *rm, const char *parent, struct ol_error *err)
{
    struct ol_stored_image image;
    char id[OL_DIGEST_SIZE];
    int r = 0;

    memcpy(id, parent, sizeof id);
    while (r == 0 && id[0] != '\0') {
        const struct ol_image_entry *entry = ol_images_entry(rm->images, id);
        if (entry == NULL || count_names(rm->images, id) > 0 || has_children(rm->images, id) ||
            check_containers(rm, &entry->image, NULL) < 0)
            return 0;
        image = entry->image;
        r = delete_image(rm, &image, err);
        memcpy(id, image.parent, sizeof id);
    }
    return r;
}

static int remove_whole(const struct removal *rm, const struct ol_stored_image *image,
                        struct ol_error *err)
{
    int r = delete_image(rm, image, err);

    return r < 0 ? r : prune_parents(rm, image->parent, err);
}

static int remove_by_name(const struct removal *rm, const char *ref,
                          const struct ol_stored_image *image, struct ol_error *err)
{
    bool last = count_names(rm->images, image->id) == 1;
    int r = last ? check_containers(rm, image, err) : 0;

    if (r == 0)
        r = drop_name(rm, ref, err);
    if (r < 0 || !last || has_children(rm->images, image->id))
        return r;
    return remove_whole(rm, image, err);
}

/* All names of an image, one step on disk. */
static int drop_all_names(const struct removal *rm, const char *id, struct ol_error *err)
{
    struct ol_tags copy = {NULL, 0};
    int r = ol_tags_copy(&rm->images->tags, &copy, err);

    if (r == 0 && count_names(rm->images, id) > 0)
        r = ol_images_drop_names(rm->images, NULL, id, err);
    for (size_t i = 0; r == 0 && i < copy.count; i++)
        if (strcmp(copy.items[i].id, id) == 0)
            tell(rm, "untagged", copy.items[i].ref.text);
    ol_tags_fini(&copy);
    return r;
}

static int remove_by_id(const struct removal *rm, const struct ol_stored_image *image,
                        struct ol_error *err)
{
    int r;

    if (!rm->force && !one_repository(rm->images, image->id))
        return ol_error_set(err, -EBUSY,
                            "image '%s' has names in several repositories: remove it by name, or "
                            "with force",
                            image->id);
    if (has_children(rm->images, image->id))
        return ol_error_set(err, -EBUSY, "image '%s' has images that were made from it", image->id);
    r = check_containers(rm, image, err);
    if (r == 0)
        r = drop_all_names(rm, image->id, err);
    return r < 0 ? r : remove_whole(rm, image, err);
}

int ol_images_remove(struct ol_images *images, const char *name, bool force,
                     ol_images_removed_fn *fn, void *data, struct ol_error *err)
{
    const struct removal rm = {images, force, fn, data};
    struct ol_stored_image image;
    struct ol_reference ref;
    int r = ol_images_find(images, name, &image, err);

    if (r < 0)
        return r;
    if (ol_reference_parse(name, &ref, NULL) == 0 && ol_tags_find(&images->tags, ref.text) != NULL)
        return remove_by_name(&rm, ref.text, &image, err);
    return remove_by_id(&rm, &image, err);
}
