/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of images, read strictly, and what the readers of both formats share. */
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
    for (size_t i = 0; parts->members != NULL && i < parts->config.layers; i++)
        free(parts->members[i]);
    free(parts->members);
    for (size_t i = 0; i < parts->n_names; i++)
        free(parts->names[i]);
    free(parts->names);
    free(parts->parent);
    ol_image_config_fini(&parts->config);
    *parts = (struct ol_image_parts)OL_IMAGE_PARTS_INIT;
}

int ol_image_parts_name(struct ol_image_parts *parts, const char *name, struct ol_error *err)
{
    char **more = reallocarray(parts->names, parts->n_names + 1, sizeof *more);

    if (more == NULL)
        return ol_error_nomem(err);
    parts->names = more;
    more[parts->n_names] = strdup(name);
    if (more[parts->n_names] == NULL)
        return ol_error_nomem(err);
    parts->n_names++;
    return 0;
}

void ol_image_list_fini(struct ol_image_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        ol_image_parts_fini(&list->items[i]);
    free(list->items);
    *list = (struct ol_image_list){NULL, 0};
}

struct ol_image_parts *ol_image_list_add(struct ol_image_list *list)
{
    struct ol_image_parts *more = reallocarray(list->items, list->count + 1, sizeof *more);

    if (more == NULL)
        return NULL;
    list->items = more;
    more[list->count] = (struct ol_image_parts)OL_IMAGE_PARTS_INIT;
    return &more[list->count++];
}

int ol_image_parts_config(struct ol_image_parts *parts, struct ol_buf *bytes, struct ol_error *err)
{
    int r = ol_image_config_parse(bytes, &parts->config, err);

    if (r < 0)
        return r;
    parts->members = calloc(parts->config.layers, sizeof *parts->members);
    return parts->members == NULL ? ol_error_nomem(err) : 0;
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
