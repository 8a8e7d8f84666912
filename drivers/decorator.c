/* SPDX-License-Identifier: Apache-2.0 */
/* What the decorators share; see decorator.h. */
#include "drivers/decorator.h"

#include "common/cleanup.h"

#include <errno.h>

int ol_decorator_init(struct ol_driver *base, const struct ol_driver_ops *ops,
                      struct ol_driver *inner, struct ol_error *err)
{
    ol_auto_free char *name = strdup(inner->name);
    ol_auto_free char *home = strdup(inner->config.home);

    if (name == NULL || home == NULL)
        return ol_error_nomem(err);
    base->ops = ops;
    base->caps = inner->caps;
    base->inner = inner;
    base->name = ol_ptr_steal(name);
    base->config = inner->config;
    base->config.home = ol_ptr_steal(home);
    base->home_fd = -1;
    return 0;
}

void ol_decorator_close(struct ol_driver *drv)
{
    ol_driver_close(drv->inner);
    free(drv);
}

int ol_decorator_open(const struct ol_driver *base, struct ol_driver **ret, struct ol_error *err)
{
    (void)ret;
    return ol_error_set(err, -EINVAL, "'%s' wraps other drivers and is none itself",
                        base->ops->name);
}
