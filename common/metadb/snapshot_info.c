/* SPDX-License-Identifier: Apache-2.0 */
/* Labels and infos; see snapshot_info.h. */
#include "common/metadb/snapshot_info.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

const char *ol_snapshot_kind_name(enum ol_snapshot_kind kind)
{
    static const char *const names[] = {"Unknown", "View", "Active", "Committed"};

    return (unsigned)kind < OL_ARRAY_LEN(names) ? names[kind] : names[0];
}

void ol_labels_fini(struct ol_labels *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        free(labels->items[i].key);
        free(labels->items[i].value);
    }
    free(labels->items);
    *labels = (struct ol_labels){0};
}

/* Where key is, or belongs. */
static size_t find(const struct ol_labels *labels, const char *key, bool *ret_there)
{
    size_t low = 0;
    size_t high = labels->count;

    *ret_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(labels->items[middle].key, key);

        if (order == 0) {
            *ret_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const char *ol_labels_get(const struct ol_labels *labels, const char *key)
{
    bool there;
    size_t at = find(labels, key, &there);

    return there ? labels->items[at].value : NULL;
}

static void remove_at(struct ol_labels *labels, size_t at)
{
    free(labels->items[at].key);
    free(labels->items[at].value);
    labels->count--;
    memmove(&labels->items[at], &labels->items[at + 1],
            (labels->count - at) * sizeof *labels->items);
}

static int insert_at(struct ol_labels *labels, size_t at, const char *key, const char *value)
{
    struct ol_label *grown = reallocarray(labels->items, labels->count + 1, sizeof *labels->items);
    struct ol_label label;

    if (grown == NULL)
        return -ENOMEM;
    labels->items = grown;
    label = (struct ol_label){strdup(key), strdup(value)};
    if (label.key == NULL || label.value == NULL) {
        free(label.key);
        free(label.value);
        return -ENOMEM;
    }
    memmove(&grown[at + 1], &grown[at], (labels->count - at) * sizeof *grown);
    grown[at] = label;
    labels->count++;
    return 0;
}

int ol_labels_set(struct ol_labels *labels, const char *key, const char *value)
{
    bool there;
    size_t at = find(labels, key, &there);
    char *copy;

    if (value == NULL || value[0] == '\0') {
        if (there)
            remove_at(labels, at);
        return 0;
    }
    if (!there)
        return insert_at(labels, at, key, value);
    copy = strdup(value);
    if (copy == NULL)
        return -ENOMEM;
    free(labels->items[at].value);
    labels->items[at].value = copy;
    return 0;
}

int ol_labels_merge(struct ol_labels *to, const struct ol_labels *from)
{
    int r = 0;

    for (size_t i = 0; from != NULL && i < from->count && r == 0; i++)
        r = ol_labels_set(to, from->items[i].key, from->items[i].value);
    return r;
}

void ol_snapshot_info_fini(struct ol_snapshot_info *info)
{
    free(info->name);
    free(info->parent);
    ol_labels_fini(&info->labels);
    *info = (struct ol_snapshot_info){0};
}
