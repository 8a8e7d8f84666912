/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A graph driver below our layer store as an engine of a comparison: "<dir>/<driver>" is the
 * driver's home, "<dir>/image" the store, as in Docker's data root. They are counted apart: the
 * store's metadata is the same for every driver.
 */
#include "bench/harness/engine.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "drivers/rootfs.h"

#include <errno.h>
#include <fcntl.h>

struct driver_engine {
    struct ol_engine base;
    struct ol_driver *drv;     /* owned */
    struct ol_store *store;    /* owned */
    int home_fd;               /* owned; O_DIRECTORY */
    int metadata_fd;           /* owned; the store's directory */
    bool direct;               /* no mounts */
    struct ol_rootfs *mounted; /* owned; the newest container's root between mount and unmount */
    struct ol_store_container *containers; /* owned; n_containers of room for max_containers */
    struct ol_store_layer *layers;         /* owned; the imported image's, then the commits' */
    bool *kept; /* owned; beside layers: false when the commit was empty or existed already */
    unsigned n_containers, max_containers;
    unsigned n_layers, max_layers;
    unsigned n_imported;             /* how many layers the imported image has */
    struct ol_store_container *held; /* owned; n_held of room for cap_held */
    size_t n_held, cap_held;
    uint64_t slept_ns; /* ol_driver_avoided_sleep_ns() so far */
};

static struct driver_engine *engine_from(struct ol_engine *engine)
{
    return (struct driver_engine *)engine; /* base is its first member; only our table leads here */
}

/* A driver that keeps no data has nothing to change. */
static bool keeps_data(const struct driver_engine *e)
{
    return (ol_driver_caps(e->drv) & OL_CAP_KEEPS_DATA) != 0;
}

/* In the direct view nothing is mounted, and what opening a container's root changes stays. */
static int get_held(struct driver_engine *e, const struct ol_store_container *held,
                    struct ol_error *err)
{
    struct ol_rootfs *rootfs = NULL;
    ol_auto_free char *path = NULL;
    int r;

    if (!keeps_data(e))
        return 0;
    if (!e->direct)
        return ol_driver_get(e->drv, held->mount_id, &path, err);
    r = ol_driver_rootfs(e->drv, held->mount_id, &rootfs, err);
    return r < 0 ? r : ol_rootfs_close(rootfs, err);
}

static int put_held(struct driver_engine *e, const struct ol_store_container *held,
                    struct ol_error *err)
{
    return e->direct || !keeps_data(e) ? 0 : ol_driver_put(e->drv, held->mount_id, err);
}

static void engine_close(struct ol_engine *engine)
{
    struct driver_engine *e = engine_from(engine);

    if (e == NULL)
        return;
    (void)ol_rootfs_close(e->mounted, NULL); /* after a failure, which is the error to report */
    while (e->n_held > 0)
        (void)put_held(e, &e->held[--e->n_held], NULL);
    ol_store_close(e->store);
    ol_driver_close(e->drv);
    ol_fd_close(&e->home_fd);
    ol_fd_close(&e->metadata_fd);
    free(e->held);
    free(e->containers);
    free(e->layers);
    free(e->kept);
    free(e);
}

static int add_trace(struct driver_engine *e, const struct ol_engine_config *config,
                     struct ol_error *err)
{
    struct ol_driver *traced = NULL;
    int r;

    if (config->trace == NULL)
        return 0;
    r = ol_driver_trace_new(e->drv, config->trace, config->trace_data, &traced, err);
    if (r == 0)
        e->drv = traced; /* which owns the driver now */
    return r;
}

static int open_driver(struct driver_engine *e, const struct ol_engine_config *config,
                       struct ol_error *err)
{
    ol_auto_free char *home = NULL;
    struct ol_driver_config driver = {.view = config->view, .keep_owner = config->keep_owner};
    int r;

    if (asprintf(&home, "%s/%.*s", config->dir, (int)strcspn(config->name, ":"), config->name) <
        0) {
        home = NULL;
        return ol_error_nomem(err);
    }
    driver.home = home;
    r = ol_driver_open(config->name, &driver, &e->drv, err);
    if (r == 0)
        r = add_trace(e, config, err);
    if (r < 0)
        return r;
    e->home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return e->home_fd < 0 ? ol_error_sys(err, errno, "cannot open '%s'", home) : 0;
}

static int open_store(struct driver_engine *e, const struct ol_engine_config *config,
                      struct ol_error *err)
{
    const struct ol_store_options options = {.sync = false}; /* not what is being compared */
    ol_auto_free char *dir = NULL;
    int r;

    if (asprintf(&dir, "%s/image", config->dir) < 0) {
        dir = NULL;
        return ol_error_nomem(err);
    }
    r = ol_store_open(dir, e->drv, &options, &e->store, err);
    if (r < 0)
        return r;
    e->metadata_fd = ol_fs_open_dir(AT_FDCWD, dir);
    return e->metadata_fd < 0 ? ol_error_sys(err, -e->metadata_fd, "cannot open '%s'", dir) : 0;
}

static int engine_open(const struct ol_engine_config *config, struct ol_engine **ret,
                       struct ol_error *err)
{
    struct driver_engine *e = calloc(1, sizeof *e);
    int r = 0;

    if (e == NULL)
        return ol_error_nomem(err);
    e->base.ops = &ol_driver_engine_ops;
    e->home_fd = -1;
    e->metadata_fd = -1;
    e->direct = config->view == OL_VIEW_DIRECT;
    e->max_containers = config->commits;
    e->max_layers = config->commits + OL_MAX_IMAGE_LAYERS;
    e->containers = calloc((size_t)e->max_containers + 1, sizeof *e->containers);
    e->layers = calloc(e->max_layers, sizeof *e->layers);
    e->kept = calloc(e->max_layers, sizeof *e->kept);
    if (e->containers == NULL || e->layers == NULL || e->kept == NULL)
        r = ol_error_nomem(err);
    if (r == 0)
        r = open_driver(e, config, err);
    if (r == 0)
        r = open_store(e, config, err);
    if (r < 0) {
        engine_close(&e->base);
        return r;
    }
    *ret = &e->base;
    return 0;
}

/* ChainID of the newest image's top layer; NULL for no image. */
static const char *top_chain(const struct driver_engine *e)
{
    return e->n_layers > 0 ? e->layers[e->n_layers - 1].chain_id : NULL;
}

static void report_applied(struct ol_engine_report *ret, const struct ol_store_layer *layer,
                           const struct ol_apply_result *apply, const struct ol_store_times *times)
{
    memcpy(ret->id, layer->chain_id, sizeof ret->id);
    memcpy(ret->diff_id, layer->diff_id, sizeof ret->diff_id);
    ret->times = *times;
    ret->squashed_owners = apply->layer.squashed_owners;
    ret->skipped_devices = apply->layer.skipped_devices;
}

static int engine_import_layer(struct ol_engine *engine, const struct ol_input *tar,
                               const char *want_diff_id, struct ol_engine_report *ret,
                               struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    struct ol_apply_result apply = {0};
    struct ol_store_times times = {0};
    bool existed = false;
    int r;

    if (e->n_layers == e->max_layers)
        return ol_error_set(err, -E2BIG, "an image has at most %d layers", OL_MAX_IMAGE_LAYERS);
    r = ol_store_register(e->store, top_chain(e), tar, want_diff_id, &e->layers[e->n_layers],
                          &apply, &times, &existed, err);
    if (r < 0)
        return r;
    report_applied(ret, &e->layers[e->n_layers], &apply, &times);
    e->kept[e->n_layers++] = !existed;
    e->n_imported = e->n_layers;
    return 0;
}

static int engine_container_create(struct ol_engine *engine, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    int r;

    if (e->n_containers == e->max_containers)
        return ol_error_set(err, -EINVAL, "more containers than announced");
    r = ol_store_container_create(e->store, top_chain(e), &e->containers[e->n_containers], err);
    if (r == 0)
        e->n_containers++;
    return r;
}

static int engine_mount(struct ol_engine *engine, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);

    if (!keeps_data(e))
        return 0;

    return ol_driver_rootfs(e->drv, e->containers[e->n_containers - 1].mount_id, &e->mounted, err);
}

static int engine_change(struct ol_engine *engine, const struct ol_plan *plan, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);

    return keeps_data(e) ? ol_plan_run(plan, e->mounted, err) : 0;
}

static int engine_unmount(struct ol_engine *engine, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    struct ol_rootfs *mounted = ol_ptr_steal(e->mounted);

    return ol_rootfs_close(mounted, err);
}

static int engine_commit(struct ol_engine *engine, struct ol_engine_report *ret,
                         struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    struct ol_store_commit commit = {0};
    uint64_t slept_ns;
    int r = ol_store_commit(e->store, e->containers[e->n_containers - 1].id, &commit, err);

    if (r < 0)
        return r;
    e->layers[e->n_layers] = commit.layer;
    e->kept[e->n_layers++] = !commit.empty && !commit.existed;
    report_applied(ret, &commit.layer, &commit.apply, &commit.times);
    slept_ns = ol_driver_avoided_sleep_ns(e->drv);
    ret->avoided_sleep_ns = slept_ns - e->slept_ns;
    e->slept_ns = slept_ns;
    return 0;
}

static int engine_save_diff(struct ol_engine *engine, int fd, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    const char *mount_id = e->containers[e->n_containers - 1].mount_id;
    ol_auto_fd int out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the driver may close its own */
    char init_id[OL_HEX_SIZE + 8];

    if (out_fd < 0)
        return ol_error_sys(err, errno, "cannot duplicate a descriptor");
    (void)snprintf(init_id, sizeof init_id, "%s-init", mount_id);
    return ol_driver_diff(e->drv, mount_id, init_id, &out_fd, NULL, err);
}

static int engine_container_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);

    return ol_store_container_remove(e->store, e->containers[index].id, err);
}

static int engine_hold(struct ol_engine *engine, unsigned image, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    struct ol_store_container *held;
    int r;

    if (e->n_held == e->cap_held) {
        size_t room = e->cap_held > 0 ? 2 * e->cap_held : 16;

        held = reallocarray(e->held, room, sizeof *held);
        if (held == NULL)
            return ol_error_nomem(err);
        e->held = held;
        e->cap_held = room;
    }
    held = &e->held[e->n_held];
    r = ol_store_container_create(e->store, e->layers[e->n_imported + image - 1].chain_id, held,
                                  err);
    if (r < 0)
        return r;
    r = get_held(e, held, err);
    if (r < 0) {
        (void)ol_store_container_remove(e->store, held->id, NULL); /* report the first error */
        return r;
    }
    e->n_held++;
    return 0;
}

static int engine_release(struct ol_engine *engine, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    int r = 0;

    while (e->n_held > 0 && r == 0) {
        const struct ol_store_container *held = &e->held[e->n_held - 1];

        r = put_held(e, held, err);
        if (r < 0)
            return r;
        e->n_held--; /* else close unmounts it */
        r = ol_store_container_remove(e->store, held->id, err);
    }
    return r;
}

/* A commit that made no layer of its own has none to remove. */
static int remove_layer(struct driver_engine *e, unsigned index, struct ol_error *err)
{
    return e->kept[index] ? ol_store_layer_remove(e->store, e->layers[index].chain_id, err) : 0;
}

static int engine_image_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    int r = 0;

    if (index > 0)
        return remove_layer(e, e->n_imported + index - 1, err);
    for (unsigned i = e->n_imported; i-- > 0 && r == 0;)
        r = remove_layer(e, i, err);
    return r;
}

static int engine_root(struct ol_engine *engine, struct ol_rootfs **ret, char **ret_path,
                       struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    const char *id = e->containers[e->n_containers - 1].mount_id;
    char *path = NULL;
    int r = e->mounted != NULL ? ol_driver_get(e->drv, id, &path, &why) : 0;

    if (r < 0 && r != -EOPNOTSUPP) { /* the direct view has no path to it */
        ol_error_move(err, &why);
        return r;
    }
    if (path != NULL)
        (void)ol_driver_put(e->drv, id, NULL); /* the mount stays: e->mounted holds it */
    *ret = e->mounted;
    *ret_path = path;
    return 0;
}

static int engine_home(struct ol_engine *engine)
{
    return engine_from(engine)->home_fd;
}

static int engine_usage(struct ol_engine *engine, struct ol_engine_usage *ret, struct ol_error *err)
{
    struct driver_engine *e = engine_from(engine);
    int r = ol_engine_usage_home(ret, e->home_fd, err);

    return r < 0 ? r : ol_engine_usage_add_metadata(ret, e->metadata_fd, err);
}

const struct ol_engine_ops ol_driver_engine_ops = {
    .kind = "driver",
    .open = engine_open,
    .close = engine_close,
    .import_layer = engine_import_layer,
    .container_create = engine_container_create,
    .mount = engine_mount,
    .change = engine_change,
    .unmount = engine_unmount,
    .commit = engine_commit,
    .save_diff = engine_save_diff,
    .container_remove = engine_container_remove,
    .hold = engine_hold,
    .release = engine_release,
    .image_remove = engine_image_remove,
    .root = engine_root,
    .home = engine_home,
    .usage = engine_usage,
};
