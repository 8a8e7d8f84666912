/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace decorator: every call goes through and is reported afterwards, with its result and
 * time. Without a function of the caller's the report is a debug line of the driver area. The put
 * that closing a rootfs makes happens inside the wrapped driver, and is reported all the same.
 */
#include "common/trace.h"
#include "common/cleanup.h"
#include "drivers/decorator.h"
#include "drivers/rootfs_impl.h"

#include <string.h>
#include <time.h>

struct trace {
    struct ol_driver base;
    ol_driver_trace_fn *fn; /* NULL: debug lines */
    void *data;             /* the caller's */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void debug_line(const struct ol_driver *drv, const struct ol_driver_trace_event *event)
{
    ol_trace(OL_TRACE_DRIVER, "%s: %s %s%s%s = %d in %.3f ms", drv->name, event->op,
             event->id != NULL ? event->id : "", event->parent != NULL ? " on " : "",
             event->parent != NULL ? event->parent : "", event->result,
             (double)event->wall_ns / 1e6);
}

/* Passes r through. */
static int report(struct ol_driver *drv, const char *op, const char *id, const char *parent, int r,
                  uint64_t start_ns)
{
    const struct trace *t = (const struct trace *)drv;
    const struct ol_driver_trace_event event = {
        .op = op, .id = id, .parent = parent, .result = r, .wall_ns = now_ns() - start_ns};

    if (t->fn != NULL)
        t->fn(&event, t->data);
    else
        debug_line(drv, &event);
    return r;
}

static int trace_create(struct ol_driver *drv, const struct ol_layer_spec *spec,
                        struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_create(drv->inner, spec, err);

    return report(drv, "create", spec->id, spec->parent, r, start_ns);
}

static int trace_remove(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_remove(drv->inner, id, err);

    return report(drv, "remove", id, NULL, r, start_ns);
}

static int trace_get(struct ol_driver *drv, const char *id, char **ret_path, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_get(drv->inner, id, ret_path, err);

    return report(drv, "get", id, NULL, r, start_ns);
}

static int trace_put(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_put(drv->inner, id, err);

    return report(drv, "put", id, NULL, r, start_ns);
}

static int trace_keep(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_keep(drv->inner, id, err);

    return report(drv, "keep", id, NULL, r, start_ns);
}

static int trace_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                      struct ol_tar_result *ret, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_diff(drv->inner, id, parent, out_fd, ret, err);

    return report(drv, "diff", id, parent, r, start_ns);
}

static int trace_changes(struct ol_driver *drv, const char *id, const char *parent,
                         struct ol_changes *ret, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_changes(drv->inner, id, parent, ret, err);

    return report(drv, "changes", id, parent, r, start_ns);
}

static int trace_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                            const struct ol_input *tar, struct ol_apply_result *ret,
                            struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_apply_diff(drv->inner, id, parent, tar, ret, err);

    return report(drv, "apply_diff", id, parent, r, start_ns);
}

static int trace_diff_size(struct ol_driver *drv, const char *id, const char *parent, uint64_t *ret,
                           struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_diff_size(drv->inner, id, parent, ret, err);

    return report(drv, "diff_size", id, parent, r, start_ns);
}

static int trace_open_own(struct ol_driver *drv, const char *id, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_open_own(drv->inner, id, err);

    return report(drv, "open_own", id, NULL, r, start_ns);
}

/* What closing a rootfs does, and whom it tells. */
struct closing {
    struct ol_driver *drv;
    int (*fn)(void *data, struct ol_error *err); /* the wrapped driver's; may be NULL */
    void *data;
    char id[];
};

static int close_traced(void *data, struct ol_error *err)
{
    ol_auto_free struct closing *closing = data;
    uint64_t start_ns = now_ns();
    int r = closing->fn != NULL ? closing->fn(closing->data, err) : 0;

    return report(closing->drv, "put", closing->id, NULL, r, start_ns);
}

static int watch_close(struct ol_driver *drv, const char *id, struct ol_rootfs *fs,
                       struct ol_error *err)
{
    const size_t size = strlen(id) + 1;
    struct closing *closing = malloc(sizeof *closing + size);

    if (closing == NULL)
        return ol_error_nomem(err);
    *closing = (struct closing){.drv = drv, .fn = fs->on_close, .data = fs->on_close_data};
    memcpy(closing->id, id, size);
    ol_rootfs_on_close(fs, close_traced, closing);
    return 0;
}

static int trace_rootfs(struct ol_driver *drv, const char *id, struct ol_rootfs **ret,
                        struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    struct ol_rootfs *fs = NULL;
    int r = ol_driver_rootfs(drv->inner, id, &fs, err);

    if (r == 0) {
        r = watch_close(drv, id, fs, err);
        if (r == 0)
            *ret = fs;
        else
            (void)ol_rootfs_close(fs, NULL); /* report the first error */
    }
    return report(drv, "rootfs", id, NULL, r, start_ns);
}

static int trace_status(struct ol_driver *drv, struct ol_pairs *ret, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_status(drv->inner, ret, err);

    return report(drv, "status", NULL, NULL, r, start_ns);
}

static int trace_metadata(struct ol_driver *drv, const char *id, struct ol_pairs *ret,
                          struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_metadata(drv->inner, id, ret, err);

    return report(drv, "metadata", id, NULL, r, start_ns);
}

static int trace_list(struct ol_driver *drv, int (*fn)(const char *id, void *data), void *data,
                      struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_list(drv->inner, fn, data, err);

    return report(drv, "list", NULL, NULL, r, start_ns);
}

static int trace_cleanup(struct ol_driver *drv, struct ol_error *err)
{
    uint64_t start_ns = now_ns();
    int r = ol_driver_cleanup(drv->inner, err);

    return report(drv, "cleanup", NULL, NULL, r, start_ns);
}

static bool trace_exists(struct ol_driver *drv, const char *id)
{
    return ol_driver_exists(drv->inner, id);
}

static const struct ol_driver_ops trace_ops = {
    .name = "trace",
    .summary = "a line for each call, with its time",
    .decorator = true,
    .open = ol_decorator_open,
    .close = ol_decorator_close,
    .exists = trace_exists,
    .create = trace_create,
    .remove = trace_remove,
    .get = trace_get,
    .put = trace_put,
    .keep = trace_keep,
    .diff = trace_diff,
    .changes = trace_changes,
    .apply_diff = trace_apply_diff,
    .diff_size = trace_diff_size,
    .open_own = trace_open_own,
    .rootfs = trace_rootfs,
    .status = trace_status,
    .metadata = trace_metadata,
    .list = trace_list,
    .cleanup = trace_cleanup,
};

int ol_driver_trace_new(struct ol_driver *inner, ol_driver_trace_fn *fn, void *data,
                        struct ol_driver **ret, struct ol_error *err)
{
    ol_auto_free struct trace *t = calloc(1, sizeof(*t));
    int r = t == NULL ? ol_error_nomem(err) : ol_decorator_init(&t->base, &trace_ops, inner, err);

    if (r < 0)
        return r;
    t->fn = fn;
    t->data = data;
    *ret = &ol_ptr_steal(t)->base;
    return 0;
}
