/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images on disk: repositories.json, as moby's reference/store.go writes it. */
#include "store/imagestore_internal.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "store/image_internal.h"

#include <errno.h>

#define FILE_NAME "repositories.json"

void ol_tags_fini(struct ol_tags *tags)
{
    free(tags->items);
    *tags = (struct ol_tags){NULL, 0};
}

/* First index whose name is not less. */
static size_t tag_index(const struct ol_tags *tags, const char *text)
{
    size_t low = 0;
    size_t high = tags->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(tags->items[mid].ref.text, text) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct ol_tag *ol_tags_find(const struct ol_tags *tags, const char *text)
{
    size_t i = tag_index(tags, text);

    return i < tags->count && strcmp(tags->items[i].ref.text, text) == 0 ? &tags->items[i] : NULL;
}

int ol_tags_copy(const struct ol_tags *tags, struct ol_tags *ret, struct ol_error *err)
{
    struct ol_tag *items = calloc(tags->count + 1, sizeof *items);

    if (items == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < tags->count; i++)
        items[i] = tags->items[i];
    *ret = (struct ol_tags){items, tags->count};
    return 0;
}

int ol_tags_set(struct ol_tags *tags, const struct ol_reference *ref, const char *id,
                struct ol_error *err)
{
    size_t i = tag_index(tags, ref->text);
    struct ol_tag *more;

    if (i == tags->count || strcmp(tags->items[i].ref.text, ref->text) != 0) {
        more = reallocarray(tags->items, tags->count + 1, sizeof *more);
        if (more == NULL)
            return ol_error_nomem(err);
        tags->items = more;
        memmove(more + i + 1, more + i, (tags->count - i) * sizeof *more);
        tags->count++;
    }
    tags->items[i].ref = *ref;
    memcpy(tags->items[i].id, id, OL_DIGEST_SIZE);
    return 0;
}

void ol_tags_drop(struct ol_tags *tags, const char *ref, const char *id)
{
    size_t kept = 0;

    for (size_t i = 0; i < tags->count; i++) {
        const struct ol_tag *tag = &tags->items[i];
        if ((ref != NULL && strcmp(tag->ref.text, ref) == 0) ||
            (id != NULL && strcmp(tag->id, id) == 0))
            continue;
        tags->items[kept++] = *tag;
    }
    tags->count = kept;
}

/* {"Repositories":{"debian":{"debian:12":"sha256:…"}}} */
static json_t *to_json(const struct ol_tags *tags)
{
    json_t *root = json_pack("{s{}}", "Repositories");
    json_t *all = json_object_get(root, "Repositories");

    for (size_t i = 0; root != NULL && i < tags->count; i++) {
        const struct ol_tag *tag = &tags->items[i];
        json_t *one = json_object_get(all, tag->ref.repository);
        if (one == NULL) {
            one = json_object();
            if (json_object_set_new(all, tag->ref.repository, one) < 0)
                goto no_memory;
        }
        if (json_object_set_new(one, tag->ref.text, json_string(tag->id)) < 0)
            goto no_memory;
    }
    return root;

no_memory:
    json_decref(root);
    return NULL;
}

int ol_tags_write(int dir_fd, const struct ol_tags *tags, struct ol_error *err)
{
    ol_auto_json json_t *json = to_json(tags);
    ol_auto_free char *text = NULL;

    if (json != NULL)
        text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL)
        return ol_error_nomem(err);
    if (strlen(text) > OL_REPOSITORIES_MAX)
        return ol_error_set(err, -E2BIG, "'" FILE_NAME "' would pass %d bytes",
                            OL_REPOSITORIES_MAX);
    return ol_fs_write_file_atomic(dir_fd, FILE_NAME, text, strlen(text), 0600, err);
}

static int bad(struct ol_error *err, const char *why, const char *subject)
{
    return ol_error_set(err, -EBADMSG, "'" FILE_NAME "': '%.300s' %s", subject, why);
}

static int take_name(struct ol_tags *tags, const char *repository, const char *name, const char *id,
                     struct ol_error *err)
{
    struct ol_reference ref;

    if (id == NULL || !ol_digest_valid(id))
        return bad(err, "names no image id", name);
    if (ol_reference_parse(name, &ref, NULL) < 0 || strcmp(ref.text, name) != 0 ||
        strcmp(ref.repository, repository) != 0)
        return bad(err, "is no name in its shortest form below its repository", name);
    return ol_tags_set(tags, &ref, id, err);
}

static int from_json(json_t *json, struct ol_tags *ret, struct ol_error *err)
{
    json_t *all = json_object_get(json, "Repositories");
    const char *repository;
    json_t *one;
    int r = 0;

    if (!json_is_object(all))
        return bad(err, "is no object", "Repositories");
    json_object_foreach(all, repository, one)
    {
        const char *name;
        json_t *id;
        if (!json_is_object(one))
            return bad(err, "is no object", repository);
        json_object_foreach(one, name, id)
        {
            r = take_name(ret, repository, name, json_string_value(id), err);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int ol_tags_read(int dir_fd, struct ol_tags *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_json json_t *json = NULL;
    int r;

    if (!ol_fs_exists(dir_fd, FILE_NAME))
        return 0;
    r = ol_fs_read_file(dir_fd, FILE_NAME, OL_REPOSITORIES_MAX, &text, err);
    if (r == 0)
        r = ol_json_parse(&text, FILE_NAME, &json, err);
    return r < 0 ? r : from_json(json, ret, err);
}
