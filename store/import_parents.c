/* SPDX-License-Identifier: Apache-2.0 */
#include "store/import_parents.h"

#include "common/cleanup.h"
#include "store/image_internal.h"
#include "store/imagestore_internal.h"

#include <errno.h>

/* --- Which --- */

static const struct ol_parent_link *find(const struct ol_parent_link *links, size_t count,
                                         const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (links[i].config != NULL && strcmp(links[i].config->id, id) == 0)
            return &links[i];
    }
    return NULL;
}

static bool same_text(const json_t *a, const json_t *b, const char *key)
{
    const char *x = ol_json_string(a, key);
    const char *y = ol_json_string(b, key);

    return strcmp(x != NULL ? x : "", y != NULL ? y : "") == 0;
}

static bool same_step(const json_t *a, const json_t *b)
{
    return same_text(a, b, "created") && same_text(a, b, "author") &&
           same_text(a, b, "created_by") && same_text(a, b, "comment") &&
           json_is_true(json_object_get(a, "empty_layer")) ==
               json_is_true(json_object_get(b, "empty_layer"));
}

/* moby's checkValidParent(). */
static bool is_valid_parent(const struct ol_image_config *child,
                            const struct ol_image_config *parent)
{
    const json_t *ours = ol_image_config_history(child);
    const json_t *theirs = ol_image_config_history(parent);
    size_t n = json_array_size(theirs);

    if (json_array_size(ours) == 0 && n == 0)
        return true;
    if (json_array_size(ours) != n + 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!same_step(json_array_get(ours, i), json_array_get(theirs, i)))
            return false;
    }
    return true;
}

static int take_link(struct ol_parent_link *link, const struct ol_parent_link *parent,
                     struct ol_error *err)
{
    if (!is_valid_parent(link->config, parent->config))
        return ol_error_set(err, -EBADMSG,
                            "'manifest.json': '%s' is no parent of '%s': its history is another",
                            parent->config->id, link->config->id);
    link->parent = parent->config->id;
    return 0;
}

/* --- No circles --- */

/* What will be the parent of an image; "" for none. */
static const char *parent_of(const struct ol_images *images, const struct ol_parent_link *link,
                             const char *id)
{
    const struct ol_image_entry *entry;

    if (link != NULL && link->parent != NULL)
        return link->parent;
    entry = ol_images_entry(images, id);
    return entry != NULL ? entry->image.parent : "";
}

static int own_ancestor(const char *id, struct ol_error *err)
{
    return ol_error_set(err, -EBADMSG, "'manifest.json': image '%s' would be its own ancestor", id);
}

/*
 * What the store says of its images may be damaged, and lead in a circle beside the archive: a walk
 * has no more steps than there are images.
 *
 * @param seen  per link: the walk that came by, from 1
 */
static int walk_up(const struct ol_images *images, const struct ol_parent_link *links, size_t count,
                   size_t start, size_t *seen, struct ol_error *err)
{
    const char *id = links[start].config->id;

    for (size_t steps = 0; *id != '\0'; steps++) {
        const struct ol_parent_link *link = find(links, count, id);

        if ((link != NULL && seen[link - links] == start + 1) || steps > count + images->count)
            return own_ancestor(id, err);
        if (link != NULL && seen[link - links] != 0)
            return 0;
        if (link != NULL)
            seen[link - links] = start + 1;
        id = parent_of(images, link, id);
    }
    return 0;
}

static int refuse_circles(const struct ol_images *images, const struct ol_parent_link *links,
                          size_t count, struct ol_error *err)
{
    ol_auto_free size_t *seen = calloc(count + 1, sizeof *seen);
    int r = seen == NULL ? ol_error_nomem(err) : 0;

    for (size_t i = 0; i < count && r == 0; i++) {
        if (links[i].parent != NULL)
            r = walk_up(images, links, count, i, seen, err);
    }
    return r;
}

int ol_parents_check(const struct ol_images *images, struct ol_parent_link *links, size_t count,
                     struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++) {
        const struct ol_parent_link *parent = NULL;

        if (links[i].config != NULL && links[i].told[0] != '\0')
            parent = find(links, count, links[i].told);
        if (parent != NULL && strcmp(parent->config->id, links[i].config->id) != 0)
            r = take_link(&links[i], parent, err);
    }
    return r < 0 ? r : refuse_circles(images, links, count, err);
}

/* --- On disk --- */

static int set_one(struct ol_images *images, const char *id, const char *parent,
                   struct ol_error *err)
{
    struct ol_image_entry *entry = ol_images_entry(images, id);
    int r = ol_imagedb_write_parent(images, id, parent, err);

    if (r == 0)
        memcpy(entry->image.parent, parent, strlen(parent) + 1);
    return r < 0 ? ol_error_wrap(err, r, "image '%s'", id) : 0;
}

int ol_parents_set(struct ol_images *images, struct ol_parent_link *links, size_t count,
                   struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < count; i++) {
        if (links[i].parent != NULL)
            memcpy(links[i].before, ol_images_entry(images, links[i].config->id)->image.parent,
                   OL_DIGEST_SIZE);
    }
    for (size_t i = 0; i < count && r == 0; i++) {
        if (links[i].parent != NULL && strcmp(links[i].parent, links[i].before) != 0)
            r = set_one(images, links[i].config->id, links[i].parent, err);
    }
    if (r < 0)
        ol_parents_unset(images, links, count);
    return r;
}

void ol_parents_unset(struct ol_images *images, const struct ol_parent_link *links, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ol_image_entry *entry = links[i].parent != NULL
                                                 ? ol_images_entry(images, links[i].config->id)
                                                 : NULL;

        if (entry != NULL && strcmp(entry->image.parent, links[i].before) != 0)
            (void)set_one(images, entry->image.id, links[i].before, NULL);
    }
}
