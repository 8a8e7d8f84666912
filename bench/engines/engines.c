/* SPDX-License-Identifier: Apache-2.0 */
/* The table of real engines; see engines.h. */
#include "bench/engines/engines.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

static const struct ol_external externals[] = {
    {"docker/overlay", "docker", "docker.io", &ol_docker_engine_ops},
    {"docker/overlay2", "docker", "docker.io", &ol_docker_engine_ops},
    {"containers-storage", "containers-storage", "containers-storage",
     &ol_containers_storage_engine_ops},
    {"containerd", "containerd", "containerd", &ol_containerd_engine_ops},
};
_Static_assert(OL_ARRAY_LEN(externals) <= OL_EXTERNALS_MAX, "OL_EXTERNALS_MAX is too small");

const struct ol_external *ol_externals(size_t *ret_count)
{
    *ret_count = OL_ARRAY_LEN(externals);
    return externals;
}

static bool same(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && memcmp(name, text, len) == 0;
}

static int refuse(const char *text, size_t len, struct ol_error *err)
{
    ol_auto_buf struct ol_buf known = OL_BUF_INIT;
    int r = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(externals) && r == 0; i++) {
        if (i == 0 || strcmp(externals[i].group, externals[i - 1].group) != 0)
            r = ol_buf_printf(&known, ", %s", externals[i].group);
        if (r == 0 && strcmp(externals[i].group, externals[i].name) != 0)
            r = ol_buf_printf(&known, ", %s", externals[i].name);
    }
    if (r < 0)
        return ol_error_nomem(err);
    return ol_error_set(err, -EINVAL, "no real engine '%.*s' (there are %s)", (int)len, text,
                        ol_buf_str(&known) + 2);
}

static int add(const struct ol_external *external, struct ol_external_list *list,
               struct ol_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == external)
            return ol_error_set(err, -EINVAL, "engine '%s' is named twice", external->name);
    }
    list->items[list->count++] = external;
    return 0;
}

static int add_named(const char *text, size_t len, struct ol_external_list *list,
                     struct ol_error *err)
{
    bool found = false;

    for (size_t i = 0; i < OL_ARRAY_LEN(externals); i++) {
        int r;

        if (!same(externals[i].name, text, len) && !same(externals[i].group, text, len))
            continue;
        r = add(&externals[i], list, err);
        if (r < 0)
            return r;
        found = true;
    }
    return found ? 0 : refuse(text, len, err);
}

int ol_external_parse(const char *text, struct ol_external_list *ret, struct ol_error *err)
{
    struct ol_external_list list = {.count = 0};

    for (;;) {
        size_t len = strcspn(text, ",");
        int r = add_named(text, len, &list, err);

        if (r < 0)
            return r;
        if (text[len] == '\0')
            break;
        text += len + 1;
    }
    *ret = list;
    return 0;
}
