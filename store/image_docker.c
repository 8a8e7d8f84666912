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

static int choose(const json_t *manifest, const char *ref, const json_t **ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf tags = OL_BUF_INIT;
    const json_t *item;
    size_t i;

    if (!json_is_array(manifest) || json_array_size(manifest) == 0)
        return ol_error_set(err, -EBADMSG, "'manifest.json' lists no image");
    if (ref == NULL && json_array_size(manifest) == 1) {
        *ret = json_array_get(manifest, 0);
        return 0;
    }
    json_array_foreach(manifest, i, item)
    {
        if (ref != NULL && has_tag(item, ref)) {
            *ret = item;
            return 0;
        }
    }
    list_tags(manifest, &tags);
    if (ref != NULL)
        return ol_error_set(err, -ENOENT, "no image '%s' in it; there are: %s", ref,
                            ol_buf_str(&tags));
    return ol_error_set(err, -EINVAL, "holds %zu images (%s); name one as FILE#NAME",
                        json_array_size(manifest), ol_buf_str(&tags));
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

static int read_config(const struct ol_archive *archive, const json_t *item,
                       struct ol_image_parts *parts, struct ol_error *err)
{
    ol_auto_buf struct ol_buf config = OL_BUF_INIT;
    const char *name = ol_json_string(item, "Config");
    int r;

    if (name == NULL)
        return ol_error_set(err, -EBADMSG, "'manifest.json' names no Config");
    r = ol_archive_read(archive, name, OL_IMAGE_JSON_MAX, &config, err);
    return r < 0 ? r : ol_image_parts_config(parts, &config, err);
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
    if (json_array_size(layers) != parts->count)
        return ol_error_set(err, -EBADMSG, "'manifest.json' lists %zu layers, the config %zu",
                            json_array_size(layers), parts->count);
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

int ol_image_read_docker(const struct ol_archive *archive, const char *ref,
                         struct ol_image_parts *ret, struct ol_error *err)
{
    ol_auto_json json_t *manifest = NULL;
    const json_t *item = NULL;
    int r = ol_json_read(archive, "manifest.json", &manifest, err);

    if (r == 0)
        r = choose(manifest, ref, &item, err);
    if (r == 0 && !json_is_object(item))
        r = ol_error_set(err, -EBADMSG, "'manifest.json' lists something that is no image");
    if (r == 0)
        r = refuse_foreign(item, err);
    if (r == 0)
        r = read_config(archive, item, ret, err);
    if (r == 0)
        r = read_layers(archive, item, ret, err);
    return r;
}
