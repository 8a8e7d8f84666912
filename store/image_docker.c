/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker-archive: what `docker save` writes, with manifest.json (Docker 1.10 and later). Old and
 * new archives differ only in the paths manifest.json names. Follows moby image/tarexport/load.go.
 */
#include "store/image_internal.h"

#include "common/cleanup.h"
#include "common/limits.h"

#include <errno.h>

static bool has_tag(const json_t *item, const char *ref)
{
    const json_t *tags = json_object_get(item, "RepoTags");
    const json_t *tag;
    size_t i;

    json_array_foreach(tags, i, tag) if (json_is_string(tag) &&
                                         strcmp(json_string_value(tag), ref) == 0) return true;
    return false;
}

/* "name:tag, name:tag" of all images, for the message that asks to choose one. */
static void list_tags(const json_t *manifest, struct ol_buf *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach(manifest, i, item)
    {
        const char *tag = json_string_value(json_array_get(json_object_get(item, "RepoTags"), 0));
        /* without memory the message only gets shorter */
        (void)ol_buf_printf(text, "%s%s", i > 0 ? ", " : "", tag != NULL ? tag : "(untagged)");
        if (text->len > 1024)
            break;
    }
}

/* The manifest lists several, or none of this name. */
static int ask(const json_t *manifest, const char *ref, struct ol_error *err)
{
    ol_auto_buf struct ol_buf tags = OL_BUF_INIT;

    list_tags(manifest, &tags);
    if (ref != NULL)
        return ol_error_set(err, -ENOENT, "no image '%s' in it; there are: %s", ref,
                            ol_buf_str(&tags));
    return ol_error_set(err, -EINVAL, "holds %zu images (%s); name one as FILE#NAME",
                        json_array_size(manifest), ol_buf_str(&tags));
}

static int check_count(const json_t *manifest, const struct ol_image_want *want,
                       struct ol_error *err)
{
    size_t count = json_array_size(manifest);

    if (!json_is_array(manifest) || count == 0)
        return ol_error_set(err, -EBADMSG, "'manifest.json' lists no image");
    if (count > OL_INDEX_ENTRIES_MAX)
        return ol_error_set(err, -E2BIG, "'manifest.json' lists more than %d images",
                            OL_INDEX_ENTRIES_MAX);
    return want->ref == NULL && !want->all && count > 1 ? ask(manifest, NULL, err) : 0;
}

/* LayerSources tells, per DiffID, where a layer that is not in the archive would come from. */
static int refuse_foreign(const json_t *item, struct ol_error *err)
{
    json_t *sources = json_object_get(item, "LayerSources");
    const char *diff_id;
    json_t *source;

    json_object_foreach(sources, diff_id, source)
    {
        const char *type = ol_json_string(source, "mediaType");
        if (type != NULL &&
            (strstr(type, "foreign") != NULL || strstr(type, "nondistributable") != NULL))
            return ol_error_set(err, -ENOTSUP,
                                "layer '%s' is foreign ('%s'): its bytes are not in the archive",
                                diff_id, type);
    }
    return 0;
}

/* docker load takes any name; one that is a digest has to be right. */
static int check_config_name(const char *name, const struct ol_image_parts *parts,
                             struct ol_error *err)
{
    const char *hex = ol_image_blob_hex(name);

    if (hex == NULL || strcmp(hex, ol_digest_hex(parts->config.id)) == 0)
        return 0;
    return ol_error_set(err, -EBADMSG, "config '%s' has the digest '%s'", name, parts->config.id);
}

static int read_config(const struct ol_archive *archive, const json_t *item,
                       struct ol_image_parts *parts, struct ol_error *err)
{
    ol_auto_buf struct ol_buf config = OL_BUF_INIT;
    const char *name = ol_json_string(item, "Config");
    int r;

    if (name == NULL)
        return ol_error_set(err, -EBADMSG, "'manifest.json' names no Config");
    r = ol_archive_read(archive, name, OL_IMAGE_JSON_MAX, &config, err);
    if (r == 0)
        r = ol_image_parts_config(parts, &config, err);
    return r < 0 ? r : check_config_name(name, parts, err);
}

static int read_layers(const struct ol_archive *archive, const json_t *item,
                       struct ol_image_parts *parts, struct ol_error *err)
{
    json_t *layers = NULL;
    json_t *layer;
    size_t i;
    int r = ol_json_array(item, "Layers", "'manifest.json'", &layers, err);

    if (r < 0)
        return r;
    if (json_array_size(layers) != parts->config.layers)
        return ol_error_set(err, -EBADMSG, "'manifest.json' lists %zu layers, the config %zu",
                            json_array_size(layers), parts->config.layers);
    json_array_foreach(layers, i, layer)
    {
        if (!json_is_string(layer))
            return ol_error_set(err, -EBADMSG, "'manifest.json': Layers[%zu] is no string", i);
        r = ol_image_parts_member(parts, archive, i, json_string_value(layer), err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_names(const json_t *item, struct ol_image_parts *parts, struct ol_error *err)
{
    const json_t *tags = json_object_get(item, "RepoTags");
    const json_t *tag;
    size_t i;
    int r = 0;

    if (tags != NULL && !json_is_null(tags) && !json_is_array(tags))
        return ol_error_set(err, -EBADMSG, "'manifest.json': RepoTags is no list");
    json_array_foreach(tags, i, tag)
    {
        if (!json_is_string(tag))
            return ol_error_set(err, -EBADMSG, "'manifest.json': RepoTags[%zu] is no string", i);
        r = ol_image_parts_name(parts, json_string_value(tag), err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_parent(const json_t *item, struct ol_image_parts *parts, struct ol_error *err)
{
    const json_t *parent = json_object_get(item, "Parent");

    if (parent == NULL || json_is_null(parent))
        return 0;
    if (!json_is_string(parent))
        return ol_error_set(err, -EBADMSG, "'manifest.json': Parent is no string");
    parts->parent = strdup(json_string_value(parent));
    return parts->parent == NULL ? ol_error_nomem(err) : 0;
}

static int read_image(const struct ol_archive *archive, const json_t *item,
                      struct ol_image_list *list, struct ol_error *err)
{
    struct ol_image_parts *parts = ol_image_list_add(list);
    int r;

    if (parts == NULL)
        return ol_error_nomem(err);
    if (!json_is_object(item))
        return ol_error_set(err, -EBADMSG, "'manifest.json' lists something that is no image");
    r = refuse_foreign(item, err);
    if (r == 0)
        r = read_config(archive, item, parts, err);
    if (r == 0)
        r = read_layers(archive, item, parts, err);
    if (r == 0)
        r = read_parent(item, parts, err);
    return r < 0 ? r : read_names(item, parts, err);
}

int ol_image_read_docker(const struct ol_archive *archive, const struct ol_image_want *want,
                         struct ol_image_list *ret, struct ol_error *err)
{
    ol_auto_json json_t *manifest = NULL;
    const json_t *item;
    size_t i;
    int r = ol_json_read(archive, "manifest.json", &manifest, err);

    if (r == 0)
        r = check_count(manifest, want, err);
    if (r < 0)
        return r;
    json_array_foreach(manifest, i, item)
    {
        if (want->ref != NULL && !has_tag(item, want->ref))
            continue;
        r = read_image(archive, item, ret, err);
        if (r < 0 || want->ref != NULL)
            return r;
    }
    return ret->count == 0 ? ask(manifest, want->ref, err) : 0;
}
