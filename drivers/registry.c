/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of back-ends; its order is the order in which automatic selection probes. */
#include "common/cleanup.h"
#include "drivers/driver_ops.h"

#include <errno.h>

static const struct ol_driver_ops *const builtin[] = {
    &ol_overlay2_ops,
    &ol_overlay_ops,
    &ol_vfs_ops,
    &ol_null_ops,
};

const char *const *ol_driver_names(void)
{
    static const char *const names[] = {"overlay2", "overlay", "vfs", "null", NULL};

    _Static_assert(OL_ARRAY_LEN(names) == OL_ARRAY_LEN(builtin) + 1, "one name per back-end");
    return names;
}

const struct ol_driver_ops *ol_driver_find(const char *name, size_t len)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(builtin); i++)
        if (strlen(builtin[i]->name) == len && memcmp(builtin[i]->name, name, len) == 0)
            return builtin[i];
    return NULL;
}

const char *ol_driver_summary(const char *name)
{
    const struct ol_driver_ops *ops = ol_driver_find(name, strlen(name));

    return ops != NULL ? ops->summary : NULL;
}

const struct ol_driver_choice *ol_driver_choices(const char *name, size_t len)
{
    const struct ol_driver_ops *ops = ol_driver_find(name, len);

    return ops != NULL ? ops->options : NULL;
}

int ol_driver_ops_check(const struct ol_driver_ops *ops, struct ol_error *err)
{
    const char *missing = NULL;

    if (ops->name == NULL || ops->summary == NULL)
        return ol_error_set(err, -EINVAL, "driver table without a name or summary");
    if (ops->open == NULL)
        missing = "open";
    else if (ops->close == NULL)
        missing = "close";
    else if (ops->create == NULL)
        missing = "create";
    else if (ops->remove == NULL)
        missing = "remove";
    else if (ops->get == NULL)
        missing = "get";
    else if (ops->put == NULL)
        missing = "put";
    if (missing != NULL)
        return ol_error_set(err, -EINVAL, "driver '%s' lacks the required operation '%s'",
                            ops->name, missing);
    return 0;
}
