/* SPDX-License-Identifier: Apache-2.0 */
/* The build steps of an image; see image_history.h. */
#include "store/image_history.h"

#include "common/cleanup.h"
#include "store/image_config.h"

#include <string.h>

void ol_image_history_fini(struct ol_image_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        free(history->steps[i].created);
        free(history->steps[i].created_by);
        free(history->steps[i].comment);
    }
    free(history->steps);
    *history = (struct ol_image_history){NULL, 0};
}

static char *text_of(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));

    return strdup(text != NULL ? text : "");
}

/* @param entry  NULL: nobody described it */
static int add_step(struct ol_image_history *history, const json_t *entry, int layer)
{
    struct ol_image_step *step = &history->steps[history->count++];

    *step = (struct ol_image_step){
        .created = text_of(entry, "created"),
        .created_by = text_of(entry, "created_by"),
        .comment = text_of(entry, "comment"),
        .layer = layer,
    };
    return step->created != NULL && step->created_by != NULL && step->comment != NULL ? 0 : -1;
}

int ol_image_history_get(const struct ol_image_config *config, size_t layers,
                         struct ol_image_history *ret, struct ol_error *err)
{
    const json_t *list = config != NULL ? ol_image_config_history(config) : NULL;
    struct ol_image_history history = {NULL, 0};
    const json_t *entry;
    size_t next = 0;
    size_t i;
    int r = 0;

    history.steps = calloc(json_array_size(list) + layers + 1, sizeof *history.steps);
    if (history.steps == NULL)
        return ol_error_nomem(err);
    json_array_foreach(list, i, entry)
    {
        bool empty = json_is_true(json_object_get(entry, "empty_layer")) || next == layers;

        if (r == 0)
            r = add_step(&history, entry, empty ? OL_STEP_NO_LAYER : (int)next++);
    }
    for (; next < layers && r == 0; next++)
        r = add_step(&history, NULL, (int)next);
    if (r < 0) {
        ol_image_history_fini(&history);
        return ol_error_nomem(err);
    }
    *ret = history;
    return 0;
}

const struct ol_image_step *ol_image_history_of_layer(const struct ol_image_history *history,
                                                      size_t layer)
{
    for (size_t i = 0; i < history->count; i++) {
        if (history->steps[i].layer == (int)layer)
            return &history->steps[i];
    }
    return NULL;
}
