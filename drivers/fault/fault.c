/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault decorator: the nth call fails with -EIO before it reaches the wrapped driver, so that
 * tests of the code above drivers can see every one of its calls fail.
 */
#include "common/cleanup.h"
#include "drivers/decorator.h"

#include <errno.h>

struct fault {
    struct ol_driver base;
    atomic_ulong calls;  /* since it was armed */
    atomic_ulong target; /* 0: none fails */
    atomic_bool delivered;
};

/* Counts a call; -EIO for the one to fail. */
static int count_call(struct ol_driver *drv, const char *op, struct ol_error *err)
{
    struct fault *f = (struct fault *)drv;
    unsigned long n = atomic_fetch_add(&f->calls, 1) + 1;

    if (n != atomic_load(&f->target))
        return 0;
    atomic_store(&f->delivered, true);
    return ol_error_set(err, -EIO, "%s: call %lu (%s) was told to fail", drv->name, n, op);
}

static int fault_create(struct ol_driver *drv, const struct ol_layer_spec *spec,
                        struct ol_error *err)
{
    int r = count_call(drv, "create", err);

    return r < 0 ? r : ol_driver_create(drv->inner, spec, err);
}

static int fault_remove(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    int r = count_call(drv, "remove", err);

    return r < 0 ? r : ol_driver_remove(drv->inner, id, err);
}

static int fault_get(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err)
{
    int r = count_call(drv, "get", err);

    return r < 0 ? r : ol_driver_get(drv->inner, id, ret_path, err);
}

static int fault_put(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    int r = count_call(drv, "put", err);

    return r < 0 ? r : ol_driver_put(drv->inner, id, err);
}

static int fault_keep(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    int r = count_call(drv, "keep", err);

    return r < 0 ? r : ol_driver_keep(drv->inner, id, err);
}

static int fault_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                      struct ol_tar_result *ret, struct ol_error *err)
{
    int r = count_call(drv, "diff", err);

    return r < 0 ? r : ol_driver_diff(drv->inner, id, parent, out_fd, ret, err);
}

static int fault_changes(struct ol_driver *drv, const char *id, const char *parent,
                         struct ol_changes *ret, struct ol_error *err)
{
    int r = count_call(drv, "changes", err);

    return r < 0 ? r : ol_driver_changes(drv->inner, id, parent, ret, err);
}

static int fault_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                            const struct ol_input *tar, struct ol_apply_result *ret,
                            struct ol_error *err)
{
    int r = count_call(drv, "apply_diff", err);

    return r < 0 ? r : ol_driver_apply_diff(drv->inner, id, parent, tar, ret, err);
}

static int fault_diff_size(struct ol_driver *drv, const char *id, const char *parent, uint64_t *ret,
                           struct ol_error *err)
{
    int r = count_call(drv, "diff_size", err);

    return r < 0 ? r : ol_driver_diff_size(drv->inner, id, parent, ret, err);
}

static int fault_open_own(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    int r = count_call(drv, "open_own", err);

    return r < 0 ? r : ol_driver_open_own(drv->inner, id, err);
}

static int fault_rootfs(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                        struct ol_error *err)
{
    int r = count_call(drv, "rootfs", err);

    return r < 0 ? r : ol_driver_rootfs(drv->inner, id, ret, err);
}

static int fault_status(struct ol_driver *drv, struct ol_pairs *ret, struct ol_error *err)
{
    int r = count_call(drv, "status", err);

    return r < 0 ? r : ol_driver_status(drv->inner, ret, err);
}

static int fault_metadata(struct ol_driver *drv, const char *id, struct ol_pairs *ret,
                          struct ol_error *err)
{
    int r = count_call(drv, "metadata", err);

    return r < 0 ? r : ol_driver_metadata(drv->inner, id, ret, err);
}

static int fault_list(struct ol_driver *drv, int (*fn)(const char *id, void *data), void *data,
                      struct ol_error *err)
{
    int r = count_call(drv, "list", err);

    return r < 0 ? r : ol_driver_list(drv->inner, fn, data, err);
}

static int fault_cleanup(struct ol_driver *drv, struct ol_error *err)
{
    int r = count_call(drv, "cleanup", err);

    return r < 0 ? r : ol_driver_cleanup(drv->inner, err);
}

static bool fault_exists(struct ol_driver *drv, const char *id)
{
    return ol_driver_exists(drv->inner, id);
}

static const struct ol_driver_ops fault_ops = {
    .name = "fault",
    .summary = "fails the call it was told to",
    .decorator = true,
    .open = ol_decorator_open,
    .close = ol_decorator_close,
    .exists = fault_exists,
    .create = fault_create,
    .remove = fault_remove,
    .get = fault_get,
    .put = fault_put,
    .keep = fault_keep,
    .diff = fault_diff,
    .changes = fault_changes,
    .apply_diff = fault_apply_diff,
    .diff_size = fault_diff_size,
    .open_own = fault_open_own,
    .rootfs = fault_rootfs,
    .status = fault_status,
    .metadata = fault_metadata,
    .list = fault_list,
    .cleanup = fault_cleanup,
};

int ol_driver_fault_new(struct ol_driver *inner, struct ol_driver **ret, struct ol_error *err)
{
    ol_auto_free struct fault *f = calloc(1, sizeof(*f));
    int r = f == NULL ? ol_error_nomem(err) : ol_decorator_init(&f->base, &fault_ops, inner, err);

    if (r < 0)
        return r;
    *ret = &ol_ptr_steal(f)->base;
    return 0;
}

void ol_driver_fault_arm(struct ol_driver *fault, unsigned long nth)
{
    struct fault *f = (struct fault *)fault;

    atomic_store(&f->calls, 0);
    atomic_store(&f->delivered, false);
    atomic_store(&f->target, nth);
}

bool ol_driver_fault_delivered(const struct ol_driver *fault)
{
    return atomic_load(&((const struct fault *)fault)->delivered);
}
