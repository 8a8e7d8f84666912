/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dockerd as an engine of a comparison: a daemon of our own below the column's directory, driven
 * through its API. Layers come in by "load", one archive each; containers are created, never
 * started; commits and removals are its own.
 *
 * Changes are made as a running container would make them, through the overlay of the container:
 * mounted by us where and how dockerd says it would mount it (docker inspect, GraphDriver), because
 * it keeps a container that does not run unmounted, and its copy interface can only add.
 */
#include "bench/engines/docker.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "common/mount/mount.h"
#include "common/process.h"

#include <fcntl.h>
#include <string.h>

static struct docker *docker_from(struct ol_engine *engine)
{
    return (struct docker *)engine; /* base is its first member; only our table leads here */
}

/* ---- opening and closing ---- */

static void close_docker(struct ol_engine *engine)
{
    struct docker *d = docker_from(engine);

    if (d == NULL)
        return;
    (void)ol_engine_unmount(&d->mount, NULL); /* after a failure, which is the error to report */
    ol_http_close(d->http);
    ol_daemon_stop(d->daemon);
    if (d->data != NULL)
        (void)ol_mount_detach_below(d->data, NULL); /* what is left shows when it is removed */
    ol_engine_mount_fini(&d->mount);
    ol_load_archive_fini(&d->next);
    ol_fd_close(&d->home_fd);
    ol_fd_close(&d->image_fd);
    ol_fd_close(&d->containers_fd);
    free(d->socket_path);
    free(d->data);
    free(d->home);
    free(d->diff_ids);
    free(d->images);
    free(d->containers);
    free(d);
}

static int probe_docker(const struct ol_engine_config *config, struct ol_error *err)
{
    ol_auto_free char *path = ol_process_find("dockerd");

    if (path == NULL)
        return ol_error_set(err, -ENOENT, "'dockerd' is not installed (Debian: docker.io)");
    if (config->view != OL_VIEW_KERNEL)
        return ol_error_set(err, -EPERM, "dockerd needs root and real overlay mounts: view kernel");
    return 0;
}

static int start_daemon(struct docker *d, struct ol_error *err)
{
    ol_auto_free char *config_file = NULL;
    const char *const argv[] = {
        "dockerd",
        "--config-file",
        NULL,
        "--data-root",
        d->data,
        "--exec-root",
        "/run/docker",
        "--host",
        "unix:///run/docker.sock",
        "--pidfile",
        "/run/docker.pid",
        "--storage-driver",
        d->driver,
        "--iptables=false",
        "--ip6tables=false",
        "--bridge=none",
        "--ip-forward=false",
        "--ip-masq=false",
        "--log-level=warn",
        "--raw-logs",
        NULL,
    };
    const char *own[OL_ARRAY_LEN(argv)];
    struct ol_daemon_config config = {
        .argv = own,
        .dir = d->config.dir,
        .timeout_s = d->config.timeout_s,
        .cancelled = d->config.cancelled,
        .data = d->config.data,
    };

    if (asprintf(&config_file, "%s/daemon.json", d->config.dir) < 0) {
        config_file = NULL;
        return ol_error_nomem(err);
    }
    memcpy(own, argv, sizeof argv);
    own[2] = config_file; /* not the host's /etc/docker/daemon.json */
    return ol_daemon_start(&config, &d->daemon, err);
}

static int is_ready(void *data, struct ol_error *err)
{
    const struct ol_http_request ping = {.method = "GET", .path = "/_ping"};
    struct docker *d = data;
    int r = ol_http_do(d->http, &ping, NULL, err);

    if (r != -ECONNREFUSED)
        return r < 0 ? r : 1;
    ol_error_fini(err);
    return 0;
}

static int connect_to(struct docker *d, struct ol_error *err)
{
    struct ol_http_config config = {
        .who = "dockerd",
        .timeout_s = d->config.timeout_s,
        .cancelled = d->config.cancelled,
        .data = d->config.data,
    };
    int r;

    d->socket_path = ol_daemon_run_path(d->daemon, "docker.sock");
    if (d->socket_path == NULL)
        return ol_error_nomem(err);
    config.socket_path = d->socket_path;
    r = ol_http_open(&config, &d->http, err);
    if (r == 0)
        r = ol_daemon_wait(d->daemon, is_ready, d, err);
    return r < 0 ? r : ol_docker_version(d, err);
}

static int open_dir(const char *base, const char *name, int *ret, struct ol_error *err)
{
    ol_auto_free char *path = NULL;

    if (asprintf(&path, "%s/%s", base, name) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    *ret = ol_fs_open_dir(AT_FDCWD, path);
    return *ret < 0 ? ol_error_sys(err, -*ret, "dockerd made no directory '%s'", path) : 0;
}

static int make_room(struct docker *d, struct ol_error *err)
{
    size_t n_images = (size_t)d->config.commits + OL_MAX_IMAGE_LAYERS + 1;

    d->diff_ids = calloc(OL_MAX_IMAGE_LAYERS + 1, sizeof *d->diff_ids);
    d->images = calloc(n_images, sizeof *d->images);
    d->containers = calloc((size_t)d->config.commits + 1, sizeof *d->containers);
    if (asprintf(&d->data, "%s/data", d->config.dir) < 0)
        d->data = NULL;
    if (d->data == NULL || asprintf(&d->home, "%s/%s", d->data, d->driver) < 0)
        d->home = NULL;
    return d->diff_ids == NULL || d->images == NULL || d->containers == NULL || d->home == NULL
               ? ol_error_nomem(err)
               : 0;
}

static int start(struct docker *d, struct ol_error *err)
{
    ol_auto_fd int dir_fd = ol_fs_open_dir(AT_FDCWD, d->config.dir);
    int r;

    if (dir_fd < 0)
        return ol_error_sys(err, -dir_fd, "cannot open '%s'", d->config.dir);
    r = ol_fs_write_file(dir_fd, "daemon.json", "{}\n", 3, 0600, err);
    if (r == 0)
        r = start_daemon(d, err);
    if (r == 0)
        r = connect_to(d, err);
    if (r == 0)
        r = open_dir(d->data, d->driver, &d->home_fd, err);
    if (r == 0)
        r = open_dir(d->data, "image", &d->image_fd, err);
    return r < 0 ? r : open_dir(d->data, "containers", &d->containers_fd, err);
}

static int open_docker(const struct ol_engine_config *config, struct ol_engine **ret,
                       struct ol_error *err)
{
    const char *slash = strchr(config->name, '/');
    struct docker *d = calloc(1, sizeof *d);
    int r;

    if (d == NULL)
        return ol_error_nomem(err);
    d->base.ops = &ol_docker_engine_ops;
    d->config = *config;
    d->driver = slash != NULL ? slash + 1 : config->name;
    d->home_fd = d->image_fd = d->containers_fd = -1;
    d->next = OL_LOAD_ARCHIVE_INIT;
    r = make_room(d, err);
    if (r == 0)
        r = start(d, err);
    if (r < 0) {
        close_docker(&d->base);
        return r;
    }
    *ret = &d->base;
    return 0;
}

/* ---- the steps ---- */

static int prepare_layer(struct ol_engine *engine, const struct ol_input *tar, const char *want,
                         struct ol_error *err)
{
    struct docker *d = docker_from(engine);

    if (d->n_layers == OL_MAX_IMAGE_LAYERS)
        return ol_error_set(err, -E2BIG, "an image has at most %d layers", OL_MAX_IMAGE_LAYERS);
    ol_load_archive_fini(&d->next);
    return ol_load_archive_make(d->config.dir, tar, d->diff_ids, d->n_layers + 1, want, &d->next,
                                err);
}

static int import_layer(struct ol_engine *engine, const struct ol_input *tar, const char *want,
                        struct ol_engine_report *ret, struct ol_error *err)
{
    struct docker *d = docker_from(engine);
    int r = ol_docker_load(d, err);

    (void)tar; /* prepare_layer() put it into an archive, which describe() tells about */
    (void)want;
    (void)ret;
    if (r < 0)
        return r;
    memcpy(d->images[d->n_images++], d->next.image_id, OL_DIGEST_SIZE);
    d->n_layers++;
    d->n_imported = d->n_images;
    return 0;
}

static int container_create(struct ol_engine *engine, struct ol_error *err)
{
    struct docker *d = docker_from(engine);
    int r;

    if (d->n_containers == d->config.commits)
        return ol_error_set(err, -EINVAL, "more containers than announced");
    r = ol_docker_create(d, d->images[d->n_images - 1], d->containers[d->n_containers], err);
    if (r == 0)
        d->n_containers++;
    return r;
}

static int mount_container(struct ol_engine *engine, struct ol_error *err)
{
    return ol_engine_mount(&docker_from(engine)->mount, err);
}

static int change(struct ol_engine *engine, const struct ol_plan *plan, struct ol_error *err)
{
    return ol_plan_run(plan, docker_from(engine)->mount.rootfs, err);
}

static int unmount_container(struct ol_engine *engine, struct ol_error *err)
{
    return ol_engine_unmount(&docker_from(engine)->mount, err);
}

static int commit(struct ol_engine *engine, struct ol_engine_report *ret, struct ol_error *err)
{
    struct docker *d = docker_from(engine);
    int r = ol_docker_commit(d, d->containers[d->n_containers - 1], d->images[d->n_images], err);

    (void)ret; /* describe() asks for the layer */
    if (r == 0)
        d->n_images++;
    return r;
}

static int container_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct docker *d = docker_from(engine);

    return ol_docker_delete(d, "/containers/%s?v=1&force=1", d->containers[index], err);
}

/* Image 0 was loaded layer by layer: each made an image, which goes with it. */
static int image_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct docker *d = docker_from(engine);
    unsigned first = index > 0 ? d->n_imported + index - 1 : 0;
    unsigned end = index > 0 ? first + 1 : d->n_imported;
    int r = 0;

    while (end > first && r == 0)
        r = ol_docker_delete(d, "/images/%s?noprune=1", d->images[--end], err);
    return r;
}

static int describe(struct ol_engine *engine, enum ol_step_op op, struct ol_engine_report *report,
                    struct ol_error *err)
{
    struct docker *d = docker_from(engine);

    switch (op) {
    case OL_STEP_LAYER_APPLY:
        ol_load_archive_fini(&d->next);
        return ol_docker_describe_image(d, d->images[d->n_images - 1], report, err);
    case OL_STEP_COMMIT:
        return ol_docker_describe_image(d, d->images[d->n_images - 1], report, err);
    case OL_STEP_CONTAINER_CREATE:
        return ol_docker_describe_mount(d, d->containers[d->n_containers - 1], err);
    default:
        return ol_daemon_check(d->daemon, err);
    }
}

static int count(struct ol_engine *engine, struct ol_engine_usage *ret, struct ol_error *err)
{
    struct docker *d = docker_from(engine);
    int r = ol_engine_usage_home(ret, d->home_fd, err);

    if (r == 0)
        r = ol_engine_usage_add_metadata(ret, d->image_fd, err);
    return r < 0 ? r : ol_engine_usage_add_metadata(ret, d->containers_fd, err);
}

const struct ol_engine_ops ol_docker_engine_ops = {
    .kind = "external",
    .probe = probe_docker,
    .open = open_docker,
    .close = close_docker,
    .prepare_layer = prepare_layer,
    .describe = describe,
    .import_layer = import_layer,
    .container_create = container_create,
    .mount = mount_container,
    .change = change,
    .unmount = unmount_container,
    .commit = commit,
    .container_remove = container_remove,
    .image_remove = image_remove,
    .usage = count,
};
