/* SPDX-License-Identifier: Apache-2.0 */
/* What the decorators share: a base instance that speaks for the driver it wraps. */
#ifndef OL_DRIVERS_DECORATOR_H
#define OL_DRIVERS_DECORATOR_H

#include "drivers/driver_ops.h"

/** Fill in base for a decorator of inner, which it owns from success on. */
int ol_decorator_init(struct ol_driver *base, const struct ol_driver_ops *ops,
                      struct ol_driver *inner, struct ol_error *err);

/** ops->close of a decorator that is its base and nothing to release beside it. */
void ol_decorator_close(struct ol_driver *drv);

/** ops->open of every decorator: they are not opened by name. */
int ol_decorator_open(const struct ol_driver *base, struct ol_driver **ret, struct ol_error *err);

#endif
