/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of images, read strictly, and the image config that both formats share. */
#include "store/image_internal.h"

#include "common/cleanup.h"
#include "common/limits.h"

#include <errno.h>

int ol_json_parse(const struct ol_buf *text, const char *what, json_t **ret, struct ol_error *err)
{
    json_error_t why;
    json_t *json = json_loadb(ol_buf_str(text), text->len, JSON_REJECT_DUPLICATES, &why);

    if (json == NULL)
        return ol_error_set(err, -EBADMSG, "'%s' is not valid JSON: line %d: %s", what, why.line,
                            why.text);
    *ret = json;
    return 0;
}

int ol_json_read(const struct ol_archive *archive, const char *name, json_t **ret,
                 struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_archive_read(archive, name, OL_IMAGE_JSON_MAX, &text, err);

    return r < 0 ? r : ol_json_parse(&text, name, ret, err);
}

const char *ol_json_string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int ol_json_array(const json_t *object, const char *key, const char *what, json_t **ret,
                  struct ol_error *err)
{
    json_t *array = json_object_get(object, key);

    if (!json_is_array(array))
        return ol_error_set(err, -EBADMSG, "%s has no array '%s'", what, key);
    *ret = array;
    return 0;
}

void ol_image_parts_fini(struct ol_image_parts *parts)
{
    for (size_t i = 0; parts->members != NULL && i < parts->count; i++)
        free(parts->members[i]);
    free(parts->members);
    free(parts->diff_ids);
    *parts = (struct ol_image_parts)OL_IMAGE_PARTS_INIT;
}

/* docker load's rule (image.NewFromJSON users, image/tarexport): history entries that claim a layer
 * may be fewer than the layers, never more. */
static int check_history(const json_t *config, size_t layers, struct ol_error *err)
{
    const json_t *history = json_object_get(config, "history");
    const json_t *entry;
    size_t filled = 0;
    size_t i;

    json_array_foreach(history, i, entry)
        filled += !json_is_true(json_object_get(entry, "empty_layer"));
    if (filled > layers)
        return ol_error_set(err, -EBADMSG, "the config's history tells of %zu layers, it has %zu",
                            filled, layers);
    return 0;
}

static int check_os(const json_t *config, struct ol_error *err)
{
    const char *os = ol_json_string(config, "os");

    if (os != NULL && os[0] != '\0' && strcmp(os, "linux") != 0)
        return ol_error_set(err, -ENOTSUP, "an image for '%s'; only linux images can be used", os);
    return 0;
}

static int take_diff_ids(struct ol_image_parts *parts, const json_t *list, struct ol_error *err)
{
    size_t count = json_array_size(list);

    if (count == 0)
        return ol_error_set(err, -EBADMSG, "the image has no layers");
    if (count > OL_MAX_IMAGE_LAYERS)
        return ol_error_set(err, -E2BIG, "the image has %zu layers; at most %d can be stacked",
                            count, OL_MAX_IMAGE_LAYERS);
    parts->diff_ids = calloc(count, sizeof *parts->diff_ids);
    parts->members = calloc(count, sizeof *parts->members);
    if (parts->diff_ids == NULL || parts->members == NULL)
        return ol_error_nomem(err);
    parts->count = count;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL || !ol_digest_valid(text))
            return ol_error_set(err, -EBADMSG,
                                "diff_ids[%zu] of the config is no sha256 digest: "
                                "'%s'",
                                i, text != NULL ? text : "");
        memcpy(parts->diff_ids[i], text, OL_DIGEST_SIZE);
    }
    return 0;
}

int ol_image_parts_config(struct ol_image_parts *parts, const struct ol_buf *config,
                          struct ol_error *err)
{
    ol_auto_json json_t *json = NULL;
    json_t *diff_ids = NULL;
    int r = ol_json_parse(config, "config", &json, err);

    if (r == 0)
        r = ol_digest_of(ol_buf_str(config), config->len, parts->id, err);
    if (r == 0)
        r = check_os(json, err);
    if (r == 0)
        r = ol_json_array(json_object_get(json, "rootfs"), "diff_ids", "the config's rootfs",
                          &diff_ids, err);
    if (r == 0)
        r = take_diff_ids(parts, diff_ids, err);
    if (r == 0)
        r = check_history(json, parts->count, err);
    return r;
}

int ol_image_parts_member(struct ol_image_parts *parts, const struct ol_archive *archive,
                          size_t index, const char *name, struct ol_error *err)
{
    struct ol_input input;
    ol_auto_fd int fd = -1;
    int r = ol_archive_open(archive, name, &input, &fd, err);

    if (r < 0)
        return ol_error_wrap(err, r, "layer %zu", index);
    parts->members[index] = strdup(name);
    return parts->members[index] == NULL ? ol_error_nomem(err) : 0;
}
