/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our snapshotter as an engine of a comparison, used as containerd uses its own: each layer is
 * prepared, unpacked into the upper directory and committed under its ChainID; a container is an
 * active snapshot, without an init layer; a commit is the snapshotter's, which moves no data and
 * makes no layer tar - where an engine needs one, that is a diff on top.
 *
 * "<dir>/snapshot" is its root. The directories in snapshots/ are counted as the home, the rest is
 * metadata. Metadata is synced at each commit, as containerd's is: that is what a commit costs.
 */
#include "bench/harness/engine.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/layer/export.h"
#include "common/limits.h"
#include "common/mount/mount.h"
#include "drivers/rootfs.h"
#include "drivers/snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { KEY_SIZE = OL_DIGEST_SIZE + 32 };

struct snapshot_engine {
    struct ol_engine base;
    struct ol_snapshots *sn;           /* owned */
    char *target;                      /* owned; where containers are mounted: "<dir>/mounted" */
    bool direct;                       /* no mounts */
    enum ol_overlay_ns ns;             /* of opaque attributes */
    int root_fd, home_fd;              /* owned */
    struct ol_rootfs *rootfs;          /* owned; the newest container's while it is mounted */
    char (*chain_ids)[OL_DIGEST_SIZE]; /* owned; of the imported layers */
    bool *committed;                   /* owned; containers that became layers */
    unsigned n_layers, n_containers, n_commits, max_containers;
    unsigned n_held;           /* containers beside these, mounted on "<target>-<number>" */
    ol_driver_trace_fn *trace; /* may be NULL */
    void *trace_data;
};

static struct snapshot_engine *engine_from(struct ol_engine *engine)
{
    return (struct snapshot_engine *)engine; /* base is its first member; only our table leads here
                                              */
}

/* Tells the trace of a call that began at start_ns, and passes r through. */
static int told(struct snapshot_engine *e, const char *op, const char *id, const char *parent,
                uint64_t start_ns, int r)
{
    const struct ol_driver_trace_event event = {
        .op = op,
        .id = id,
        .parent = parent != NULL && parent[0] != '\0' ? parent : NULL,
        .result = r,
        .wall_ns = ol_clock_ns() - start_ns,
    };

    if (e->trace != NULL)
        e->trace(&event, e->trace_data);
    return r;
}

/* ---- open, close ---- */

static int unmount(struct snapshot_engine *e, struct ol_error *err)
{
    struct ol_rootfs *rootfs = ol_ptr_steal(e->rootfs);
    uint64_t start_ns = ol_clock_ns();
    int r;

    if (rootfs == NULL)
        return 0;
    r = ol_rootfs_close(rootfs, err);
    if (e->direct)
        return r;
    if (r < 0)
        (void)ol_mount_detach(e->target, NULL); /* the first error is the one to report */
    else
        r = told(e, "unmount", NULL, NULL, start_ns, ol_mount_detach(e->target, err));
    return r;
}

static int target_of(const struct snapshot_engine *e, unsigned held, char **ret,
                     struct ol_error *err)
{
    if (asprintf(ret, "%s-%u", e->target, held) >= 0)
        return 0;
    *ret = NULL;
    return ol_error_nomem(err);
}

static int unmount_held(struct snapshot_engine *e, unsigned held, struct ol_error *err)
{
    ol_auto_free char *target = NULL;
    int r = e->direct ? 0 : target_of(e, held, &target, err);

    if (r < 0 || e->direct)
        return r;
    r = ol_mount_detach(target, err);
    if (r == 0 && rmdir(target) < 0)
        r = ol_error_sys(err, errno, "cannot remove '%s'", target);
    return r;
}

static void engine_close(struct ol_engine *engine)
{
    struct snapshot_engine *e = engine_from(engine);

    if (e == NULL)
        return;
    (void)unmount(e, NULL); /* after a failure, which is the error to report */
    while (e->n_held > 0)
        (void)unmount_held(e, --e->n_held, NULL);
    ol_snapshots_free(e->sn);
    ol_fd_close(&e->root_fd);
    ol_fd_close(&e->home_fd);
    free(e->target);
    free(e->chain_ids);
    free(e->committed);
    free(e);
}

static int open_store(struct snapshot_engine *e, const struct ol_engine_config *config,
                      struct ol_error *err)
{
    ol_auto_free char *root = NULL;
    struct ol_snapshots_config sn = {.view = config->view, .keep_owner = config->keep_owner};
    int r;

    if (asprintf(&root, "%s/snapshot", config->dir) < 0) {
        root = NULL;
        return ol_error_nomem(err);
    }
    sn.root = root;
    r = ol_snapshots_open(&sn, &e->sn, err);
    if (r < 0)
        return r;
    e->root_fd = ol_fs_open_dir(AT_FDCWD, root);
    e->home_fd = e->root_fd < 0 ? -1 : ol_fs_open_dir(e->root_fd, "snapshots");
    return e->home_fd < 0 ? ol_error_set(err, -EIO, "cannot open '%s/snapshots'", root) : 0;
}

static int engine_open(const struct ol_engine_config *config, struct ol_engine **ret,
                       struct ol_error *err)
{
    struct snapshot_engine *e = calloc(1, sizeof *e);
    int r = 0;

    if (e == NULL)
        return ol_error_nomem(err);
    e->base.ops = &ol_snapshot_engine_ops;
    e->root_fd = -1;
    e->home_fd = -1;
    e->direct = config->view == OL_VIEW_DIRECT;
    e->ns = config->view == OL_VIEW_KERNEL ? OL_OVERLAY_TRUSTED : OL_OVERLAY_USER;
    e->max_containers = config->commits;
    e->trace = config->trace;
    e->trace_data = config->trace_data;
    e->chain_ids = calloc(OL_MAX_IMAGE_LAYERS, sizeof *e->chain_ids);
    e->committed = calloc((size_t)e->max_containers + 1, sizeof *e->committed);
    if (e->chain_ids == NULL || e->committed == NULL ||
        asprintf(&e->target, "%s/mounted", config->dir) < 0) {
        e->target = NULL;
        r = ol_error_nomem(err);
    }
    if (r == 0)
        r = ol_fs_mkdir(AT_FDCWD, e->target, 0700, err);
    if (r == 0)
        r = open_store(e, config, err);
    if (r < 0) {
        engine_close(&e->base);
        return r;
    }
    *ret = &e->base;
    return 0;
}

/* ---- names ---- */

static void container_key(unsigned index, char ret[static KEY_SIZE])
{
    (void)snprintf(ret, KEY_SIZE, "container-%u", index);
}

static void commit_name(unsigned index, char ret[static KEY_SIZE])
{
    (void)snprintf(ret, KEY_SIZE, "commit-%u", index);
}

static void held_key(unsigned index, char ret[static KEY_SIZE])
{
    (void)snprintf(ret, KEY_SIZE, "held-%u", index);
}

/* An image's top layer: of the imported one, or of commit image - 1. */
static void image_name(const struct snapshot_engine *e, unsigned image, char ret[static KEY_SIZE])
{
    if (image > 0)
        commit_name(image - 1, ret);
    else
        (void)snprintf(ret, KEY_SIZE, "%s", e->n_layers > 0 ? e->chain_ids[e->n_layers - 1] : "");
}

/* The newest image's. */
static void top_name(const struct snapshot_engine *e, char ret[static KEY_SIZE])
{
    image_name(e, e->n_commits, ret);
}

/* ---- commits ---- */

/* All of it is metadata: the upper directory is counted, the record renamed, the database synced.
 */
static int commit_snapshot(struct snapshot_engine *e, const char *name, const char *key,
                           struct ol_engine_report *ret, struct ol_error *err)
{
    struct ol_snapshot_times times = {0};
    uint64_t start_ns = ol_clock_ns();
    int r = ol_snapshots_commit_timed(e->sn, name, key, NULL, NULL, &times, err);

    (void)told(e, "commit", name, key, start_ns, r);
    ret->metadata = (struct ol_engine_metadata){
        .scan_ns = times.usage_ns,
        .transaction_ns = times.transaction_ns,
        .sync_ns = times.sync_ns,
    };
    return r;
}

/* ---- layers ---- */

static int check_diff_id(const char *want, const char *got, struct ol_error *err)
{
    if (want == NULL || strcmp(want, got) == 0)
        return 0;
    return ol_error_set(err, -EBADMSG, "the layer has DiffID %s, not %s", got, want);
}

static int import_layer(struct ol_engine *engine, const struct ol_input *tar,
                        const char *want_diff_id, struct ol_engine_report *ret,
                        struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    struct ol_layer_result layer = {0};
    char parent[KEY_SIZE];
    char key[KEY_SIZE];
    uint64_t times[4];
    int r;

    if (e->n_layers == OL_MAX_IMAGE_LAYERS)
        return ol_error_set(err, -E2BIG, "an image has at most %d layers", OL_MAX_IMAGE_LAYERS);
    top_name(e, parent);
    (void)snprintf(key, sizeof key, "extract-%u", e->n_layers);
    times[0] = ol_clock_ns();
    r = ol_snapshots_prepare(e->sn, key, parent, NULL, NULL, err);
    times[1] = ol_clock_ns();
    (void)told(e, "prepare", key, parent, times[0], r);
    if (r == 0)
        r = told(e, "apply", key, NULL, times[1], ol_snapshots_apply(e->sn, key, tar, &layer, err));
    times[2] = ol_clock_ns();
    if (r == 0)
        r = check_diff_id(want_diff_id, layer.diff_id, err);
    if (r == 0)
        r = ol_chain_id(e->n_layers > 0 ? parent : NULL, layer.diff_id, e->chain_ids[e->n_layers],
                        err);
    if (r == 0)
        r = commit_snapshot(e, e->chain_ids[e->n_layers], key, ret, err);
    if (r < 0)
        return r;
    times[3] = ol_clock_ns();
    memcpy(ret->id, e->chain_ids[e->n_layers], sizeof ret->id);
    memcpy(ret->diff_id, layer.diff_id, sizeof ret->diff_id);
    ret->times = (struct ol_store_times){
        .create_ns = times[1] - times[0],
        .apply_ns = times[2] - times[1],
        .metadata_ns = times[3] - times[2],
        .total_ns = times[3] - times[0],
    };
    ret->squashed_owners = layer.squashed_owners;
    ret->skipped_devices = layer.skipped_devices;
    e->n_layers++;
    return 0;
}

/* ---- containers ---- */

static int container_create(struct ol_engine *engine, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    char parent[KEY_SIZE];
    char key[KEY_SIZE];
    uint64_t start_ns = ol_clock_ns();
    int r;

    if (e->n_containers == e->max_containers)
        return ol_error_set(err, -EINVAL, "more containers than announced");
    top_name(e, parent);
    container_key(e->n_containers, key);
    r = told(e, "prepare", key, parent, start_ns,
             ol_snapshots_prepare(e->sn, key, parent, NULL, NULL, err));
    if (r == 0)
        e->n_containers++;
    return r;
}

static int open_mounted(struct snapshot_engine *e, const struct ol_snapshot_mount *mount,
                        struct ol_error *err)
{
    int fd;
    int r = ol_snapshot_mount_at(mount, e->target, err);

    if (r < 0)
        return r;
    fd = ol_fs_open_dir(AT_FDCWD, e->target);
    r = fd < 0 ? ol_error_sys(err, -fd, "cannot open '%s'", e->target)
               : ol_rootfs_open_dir(fd, &e->rootfs, err);
    if (r < 0)
        (void)ol_mount_detach(e->target, NULL); /* report the first error */
    return r;
}

static int mount_container(struct ol_engine *engine, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    uint64_t start_ns = ol_clock_ns();
    char key[KEY_SIZE];
    int r;

    container_key(e->n_containers - 1, key);
    if (e->direct)
        return told(e, "rootfs", key, NULL, start_ns,
                    ol_snapshots_open_rootfs(e->sn, key, &e->rootfs, err));
    r = told(e, "mounts", key, NULL, start_ns, ol_snapshots_mounts(e->sn, key, &mount, err));
    if (r < 0)
        return r;
    start_ns = ol_clock_ns();
    return told(e, "mount", key, NULL, start_ns, open_mounted(e, &mount, err));
}

static int change(struct ol_engine *engine, const struct ol_plan *plan, struct ol_error *err)
{
    return ol_plan_run(plan, engine_from(engine)->rootfs, err);
}

static int unmount_container(struct ol_engine *engine, struct ol_error *err)
{
    return unmount(engine_from(engine), err);
}

static int commit(struct ol_engine *engine, struct ol_engine_report *ret, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    char key[KEY_SIZE];
    char name[KEY_SIZE];
    uint64_t start = ol_clock_ns();
    int r;

    container_key(e->n_containers - 1, key);
    commit_name(e->n_commits, name);
    r = commit_snapshot(e, name, key, ret, err);
    if (r < 0)
        return r;
    ret->times.metadata_ns = ol_clock_ns() - start;
    ret->times.total_ns = ret->times.metadata_ns;
    (void)snprintf(ret->id, sizeof ret->id, "%.*s", (int)sizeof ret->id - 1, name);
    e->committed[e->n_containers - 1] = true;
    e->n_commits++;
    return 0;
}

static const char *upper_of(const struct ol_snapshot_mount *mount)
{
    static const char option[] = "upperdir=";

    for (size_t i = 0; i < mount->n_options; i++) {
        if (strncmp(mount->options[i], option, sizeof option - 1) == 0)
            return mount->options[i] + sizeof option - 1;
    }
    return NULL;
}

/* A diff on top, as an engine makes one when an image is pushed: the upper directory as a tar. */
static int save_diff(struct ol_engine *engine, int fd, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    const struct ol_export_options options = {0};
    ol_auto_fd int upper_fd = -1;
    char key[KEY_SIZE];
    const char *upper;
    int r;

    container_key(e->n_containers - 1, key);
    r = ol_snapshots_mounts(e->sn, key, &mount, err);
    if (r < 0)
        return r;
    upper = upper_of(&mount);
    if (upper == NULL)
        return ol_error_set(err, -EINVAL, "a container needs an image");
    upper_fd = ol_fs_open_dir(AT_FDCWD, upper);
    if (upper_fd < 0)
        return ol_error_sys(err, -upper_fd, "cannot open '%s'", upper);
    return ol_export_upper(upper_fd, e->ns, fd, &options, NULL, err);
}

static int remove_snapshot(struct snapshot_engine *e, const char *name, struct ol_error *err)
{
    uint64_t start_ns = ol_clock_ns();

    return told(e, "remove", name, NULL, start_ns, ol_snapshots_remove(e->sn, name, err));
}

static int container_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    char key[KEY_SIZE];

    if (e->committed[index]) /* it is a layer now */
        return 0;
    container_key(index, key);
    return remove_snapshot(e, key, err);
}

/* ---- containers beside the others ---- */

static int mount_held(struct snapshot_engine *e, const char *key, unsigned held,
                      struct ol_error *err)
{
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    ol_auto_free char *target = NULL;
    struct ol_rootfs *rootfs = NULL;
    int r;

    if (e->direct) { /* what opening it makes stays */
        r = ol_snapshots_open_rootfs(e->sn, key, &rootfs, err);
        return r < 0 ? r : ol_rootfs_close(rootfs, err);
    }
    r = target_of(e, held, &target, err);
    if (r == 0)
        r = ol_snapshots_mounts(e->sn, key, &mount, err);
    if (r == 0)
        r = ol_fs_mkdir(AT_FDCWD, target, 0700, err);
    if (r < 0)
        return r;
    r = ol_snapshot_mount_at(&mount, target, err);
    if (r < 0)
        (void)rmdir(target); /* report the first error */
    return r;
}

static int hold(struct ol_engine *engine, unsigned image, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    char parent[KEY_SIZE];
    char key[KEY_SIZE];
    int r;

    image_name(e, image, parent);
    held_key(e->n_held, key);
    r = ol_snapshots_prepare(e->sn, key, parent, NULL, NULL, err);
    if (r < 0)
        return r;
    r = mount_held(e, key, e->n_held, err);
    if (r < 0) {
        (void)ol_snapshots_remove(e->sn, key, NULL); /* report the first error */
        return r;
    }
    e->n_held++;
    return 0;
}

static int release(struct ol_engine *engine, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    int r = 0;

    while (e->n_held > 0 && r == 0) {
        char key[KEY_SIZE];

        held_key(e->n_held - 1, key);
        r = unmount_held(e, e->n_held - 1, err);
        if (r < 0)
            return r;
        e->n_held--; /* else close unmounts it */
        r = ol_snapshots_remove(e->sn, key, err);
    }
    return r;
}

static int image_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    char name[KEY_SIZE];
    int r = 0;

    if (index > 0) {
        commit_name(index - 1, name);
        return remove_snapshot(e, name, err);
    }
    for (unsigned i = e->n_layers; i-- > 0 && r == 0;)
        r = remove_snapshot(e, e->chain_ids[i], err);
    return r;
}

static int root(struct ol_engine *engine, struct ol_rootfs **ret, char **ret_path,
                struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    char *path = NULL;

    if (!e->direct && e->rootfs != NULL) {
        path = strdup(e->target);
        if (path == NULL)
            return ol_error_nomem(err);
    }
    *ret = e->rootfs;
    *ret_path = path;
    return 0;
}

static int home(struct ol_engine *engine)
{
    return engine_from(engine)->home_fd;
}

static int usage(struct ol_engine *engine, struct ol_engine_usage *ret, struct ol_error *err)
{
    struct snapshot_engine *e = engine_from(engine);
    int r = ol_engine_usage_home(ret, e->home_fd, err);

    return r < 0 ? r : ol_engine_usage_add_around(ret, e->root_fd, err);
}

const struct ol_engine_ops ol_snapshot_engine_ops = {
    .kind = "snapshotter",
    .commit_keeps_container = true,
    .open = engine_open,
    .close = engine_close,
    .import_layer = import_layer,
    .container_create = container_create,
    .mount = mount_container,
    .change = change,
    .unmount = unmount_container,
    .commit = commit,
    .save_diff = save_diff,
    .container_remove = container_remove,
    .hold = hold,
    .release = release,
    .image_remove = image_remove,
    .root = root,
    .home = home,
    .usage = usage,
};
