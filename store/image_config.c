/* SPDX-License-Identifier: Apache-2.0 */
/* The config of an image, checked; see image_config.h. */
#include "store/image_config.h"

#include "common/limits.h"
#include "store/image_internal.h"

#include <errno.h>

void ol_image_config_fini(struct ol_image_config *config)
{
    json_decref(config->json);
    ol_buf_fini(&config->bytes);
    *config = (struct ol_image_config)OL_IMAGE_CONFIG_INIT;
}

/* docker load's rule (image/tarexport): history entries that claim a layer may be fewer than the
 * layers, never more. */
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

static int check_diff_ids(const json_t *list, struct ol_error *err)
{
    size_t count = json_array_size(list);

    if (count == 0)
        return ol_error_set(err, -EBADMSG, "the image has no layers");
    if (count > OL_MAX_IMAGE_LAYERS)
        return ol_error_set(err, -E2BIG, "the image has %zu layers; at most %d can be stacked",
                            count, OL_MAX_IMAGE_LAYERS);
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL || !ol_digest_valid(text))
            return ol_error_set(err, -EBADMSG,
                                "diff_ids[%zu] of the config is no sha256 digest: "
                                "'%s'",
                                i, text != NULL ? text : "");
    }
    return 0;
}

static int check(struct ol_image_config *config, struct ol_error *err)
{
    json_t *diff_ids = NULL;
    int r = check_os(config->json, err);

    if (r == 0)
        r = ol_json_array(json_object_get(config->json, "rootfs"), "diff_ids",
                          "the config's rootfs", &diff_ids, err);
    if (r == 0)
        r = check_diff_ids(diff_ids, err);
    if (r < 0)
        return r;
    config->layers = json_array_size(diff_ids);
    r = check_history(config->json, config->layers, err);
    return r < 0 ? r : ol_image_config_chain_id(config, config->layers - 1, config->chain_id, err);
}

int ol_image_config_parse(struct ol_buf *bytes, struct ol_image_config *ret, struct ol_error *err)
{
    struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    int r = ol_json_parse(bytes, "config", &config.json, err);

    if (r == 0)
        r = ol_digest_of(ol_buf_str(bytes), bytes->len, config.id, err);
    if (r == 0)
        r = check(&config, err);
    if (r < 0) {
        ol_image_config_fini(&config);
        return r;
    }
    config.bytes = *bytes;
    *bytes = (struct ol_buf)OL_BUF_INIT;
    *ret = config;
    return 0;
}

const char *ol_image_config_diff_id(const struct ol_image_config *config, size_t index)
{
    const json_t *rootfs = json_object_get(config->json, "rootfs");

    return json_string_value(json_array_get(json_object_get(rootfs, "diff_ids"), index));
}

int ol_image_config_chain_id(const struct ol_image_config *config, size_t index,
                             char ret[static OL_DIGEST_SIZE], struct ol_error *err)
{
    char chain[OL_DIGEST_SIZE] = "";
    int r = 0;

    for (size_t i = 0; i <= index && r == 0; i++)
        r = ol_chain_id(i > 0 ? chain : NULL, ol_image_config_diff_id(config, i), chain, err);
    if (r == 0)
        memcpy(ret, chain, sizeof chain);
    return r;
}

const json_t *ol_image_config_history(const struct ol_image_config *config)
{
    const json_t *history = json_object_get(config->json, "history");

    return json_is_array(history) ? history : NULL;
}

const json_t *ol_image_config_run(const struct ol_image_config *config)
{
    const json_t *run = json_object_get(config->json, "config");

    return json_is_object(run) ? run : NULL;
}

const char *ol_image_config_text(const struct ol_image_config *config, const char *key)
{
    return ol_json_string(config->json, key);
}
