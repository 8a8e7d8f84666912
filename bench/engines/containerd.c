/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containerd's overlayfs snapshotter as an engine: a daemon of our own, driven by ctr, one command
 * for each step, whose start is in the step's time. Layers come in as images ("ctr images import",
 * which unpacks them into snapshots); a container is an active snapshot; a commit is the
 * snapshotter's own, which turns it into a committed one and moves no data. No layer tar is made:
 * where an engine needs one, that is a diff on top.
 *
 * Its client mounts: so do we, what "snapshots prepare" says. There is no init layer, and nothing
 * is left to remove of a container that was committed.
 */
#include "bench/engines/command.h"
#include "bench/engines/daemon.h"
#include "bench/engines/engines.h"
#include "bench/engines/load_archive.h"
#include "bench/engines/mount.h"
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/limits.h"
#include "common/mount/mount.h"
#include "common/process.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char snapshots[] = "io.containerd.snapshotter.v1.overlayfs/snapshots";

/* What no step needs is off: fewer plugins start faster, and touch nothing outside. Garbage is
 * collected when a step asks for it, not beside one that counts or is timed. */
static const char config_text[] =
    "version = 2\n"
    "disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\",\n"
    "  \"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.btrfs\",\n"
    "  \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.native\",\n"
    "  \"io.containerd.snapshotter.v1.zfs\"]\n"
    "[plugins.\"io.containerd.gc.v1.scheduler\"]\n"
    "  deletion_threshold = 0\n"
    "  mutation_threshold = 1000000000\n";

struct containerd {
    struct ol_engine base;
    struct ol_engine_config config;
    struct ol_daemon *daemon;           /* owned */
    char *root, *socket_path, *archive; /* owned; archive: the layer on its way */
    int root_fd, home_fd;               /* owned; home: the snapshots */
    struct ol_engine_mount mount;       /* owned; of the newest container */
    char (*diff_ids)[OL_DIGEST_SIZE];   /* owned; of the imported image */
    uint64_t *sizes;                    /* owned; of its layers' tars */
    char chain_id[OL_DIGEST_SIZE];      /* of the imported image; also the snapshot's key */
    unsigned n_layers, n_containers, n_commits;
};

static struct containerd *containerd_from(struct ol_engine *engine)
{
    return (struct containerd *)engine; /* base is its first member; only our table leads here */
}

/* ---- commands ---- */

enum { WORDS_MAX = 16 + OL_MAX_IMAGE_LAYERS };

static void fill_words(const struct containerd *c, const char *const *words,
                       const char *argv[static WORDS_MAX])
{
    size_t n = 0;

    argv[n++] = "ctr";
    argv[n++] = "--address";
    argv[n++] = c->socket_path;
    argv[n++] = "--namespace";
    argv[n++] = "overlab";
    for (; *words != NULL && n < WORDS_MAX - 1; words++)
        argv[n++] = *words;
    argv[n] = NULL;
}

/* ctr fails when the daemon died: then that is the reason. */
static int judge(struct containerd *c, const char *const *words, int r, struct ol_error *why,
                 struct ol_error *err)
{
    if (r < 0 && ol_daemon_ends_soon(c->daemon, err))
        return ol_error_wrap(err, -ECHILD, "%s %s", words[0], words[1]);
    ol_error_move(err, why);
    return r < 0 ? ol_error_wrap(err, r, "%s %s", words[0], words[1]) : 0;
}

#define tell(c, err, ...) tell_words((c), (const char *const[]){__VA_ARGS__, NULL}, err)
static int tell_words(struct containerd *c, const char *const *words, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    const char *argv[WORDS_MAX];

    fill_words(c, words, argv);
    return judge(c, words, ol_command_run(argv, c->config.timeout_s, NULL, &why), &why, err);
}

#define ask(c, ret, err, ...) ask_words((c), (const char *const[]){__VA_ARGS__, NULL}, ret, err)
static int ask_words(struct containerd *c, const char *const *words, json_t **ret,
                     struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    const char *argv[WORDS_MAX];

    fill_words(c, words, argv);
    return judge(c, words, ol_command_json(argv, c->config.timeout_s, ret, &why), &why, err);
}

/* ---- opening and closing ---- */

static void close_containerd(struct ol_engine *engine)
{
    struct containerd *c = containerd_from(engine);

    if (c == NULL)
        return;
    (void)ol_engine_unmount(&c->mount, NULL); /* after a failure, which is the error to report */
    ol_daemon_stop(c->daemon);
    ol_engine_mount_fini(&c->mount);
    ol_fd_close(&c->root_fd);
    ol_fd_close(&c->home_fd);
    free(c->root);
    free(c->socket_path);
    free(c->archive);
    free(c->diff_ids);
    free(c->sizes);
    free(c);
}

static int probe_containerd(const struct ol_engine_config *config, struct ol_error *err)
{
    static const char *const programs[] = {"containerd", "ctr"};

    for (size_t i = 0; i < OL_ARRAY_LEN(programs); i++) {
        ol_auto_free char *path = ol_process_find(programs[i]);

        if (path == NULL)
            return ol_error_set(err, -ENOENT, "'%s' is not installed (Debian: containerd)",
                                programs[i]);
    }
    if (config->view != OL_VIEW_KERNEL)
        return ol_error_set(err, -EPERM,
                            "containerd needs root and real overlay mounts: view kernel");
    return 0;
}

/* "containerd github.com/containerd/containerd 1.6.20 …" */
static void find_version(struct containerd *c)
{
    static const char *const argv[] = {"containerd", "--version", NULL};
    ol_auto_buf struct ol_buf output = OL_BUF_INIT;
    const char *word = "unknown";

    if (ol_command_run(argv, c->config.timeout_s, &output, NULL) == 0 && output.len > 0) {
        word = strchr(ol_buf_str(&output), ' ');
        word = word != NULL ? strchr(word + 1, ' ') : NULL;
        word = word != NULL ? word + 1 : "unknown";
    }
    (void)snprintf(c->base.version, sizeof c->base.version, "%.*s", /* may be cut */
                   (int)strcspn(word, " \n"), word);
}

static int start_daemon(struct containerd *c, const char *config_file, struct ol_error *err)
{
    const char *const argv[] = {
        "containerd",      "--config",  config_file,
        "--root",          c->root,     "--state",
        "/run/containerd", "--address", "/run/containerd/containerd.sock",
        "--log-level",     "warn",      NULL,
    };
    const struct ol_daemon_config config = {
        .argv = argv,
        .dir = c->config.dir,
        .timeout_s = c->config.timeout_s,
        .cancelled = c->config.cancelled,
        .data = c->config.data,
    };
    int r = ol_daemon_start(&config, &c->daemon, err);

    if (r < 0)
        return r;
    c->socket_path = ol_daemon_run_path(c->daemon, "containerd/containerd.sock");
    return c->socket_path == NULL ? ol_error_nomem(err) : 0;
}

/* It listens once its plugins are there. */
static int is_ready(void *data, struct ol_error *err)
{
    const struct containerd *c = data;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ol_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot make a socket");
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", c->socket_path); /* fits */
    return connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 1 : 0;
}

static int make_room(struct containerd *c, struct ol_error *err)
{
    c->diff_ids = calloc(OL_MAX_IMAGE_LAYERS + 1, sizeof *c->diff_ids);
    c->sizes = calloc(OL_MAX_IMAGE_LAYERS + 1, sizeof *c->sizes);
    if (asprintf(&c->root, "%s/root", c->config.dir) < 0)
        c->root = NULL;
    if (asprintf(&c->archive, "%s/image.tar", c->config.dir) < 0)
        c->archive = NULL;
    return c->diff_ids == NULL || c->sizes == NULL || c->root == NULL || c->archive == NULL
               ? ol_error_nomem(err)
               : 0;
}

static int start(struct containerd *c, struct ol_error *err)
{
    ol_auto_fd int dir_fd = ol_fs_open_dir(AT_FDCWD, c->config.dir);
    ol_auto_free char *config_file = NULL;
    int r;

    if (dir_fd < 0)
        return ol_error_sys(err, -dir_fd, "cannot open '%s'", c->config.dir);
    if (asprintf(&config_file, "%s/config.toml", c->config.dir) < 0) {
        config_file = NULL;
        return ol_error_nomem(err);
    }
    r = ol_fs_write_file(dir_fd, "config.toml", config_text, sizeof config_text - 1, 0600, err);
    if (r == 0)
        r = start_daemon(c, config_file, err);
    if (r == 0)
        r = ol_daemon_wait(c->daemon, is_ready, c, err);
    if (r < 0)
        return r;
    c->root_fd = ol_fs_open_dir(AT_FDCWD, c->root);
    c->home_fd = c->root_fd < 0 ? c->root_fd
                                : openat(c->root_fd, snapshots, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->home_fd < 0)
        return ol_error_set(err, -ENOTSUP, "containerd has no overlayfs snapshotter in '%s'",
                            c->root);
    return 0;
}

static int open_containerd(const struct ol_engine_config *config, struct ol_engine **ret,
                           struct ol_error *err)
{
    struct containerd *c = calloc(1, sizeof *c);
    int r;

    if (c == NULL)
        return ol_error_nomem(err);
    c->base.ops = &ol_containerd_engine_ops;
    c->config = *config;
    c->root_fd = c->home_fd = -1;
    r = make_room(c, err);
    if (r == 0)
        r = start(c, err);
    if (r < 0) {
        close_containerd(&c->base);
        return r;
    }
    find_version(c);
    *ret = &c->base;
    return 0;
}

/* ---- the steps ---- */

/* "overlab.local/image:3": the image of the first three layers. */
static char *image_name(unsigned n_layers)
{
    char *name = NULL;

    return asprintf(&name, "overlab.local/image:%u", n_layers) < 0 ? NULL : name;
}

static int prepare_layer(struct ol_engine *engine, const struct ol_input *tar, const char *want,
                         struct ol_error *err)
{
    struct containerd *c = containerd_from(engine);
    ol_auto_free char *name = image_name(c->n_layers + 1);
    struct ol_load_archive archive = OL_LOAD_ARCHIVE_INIT;
    char below[OL_DIGEST_SIZE];
    int r;

    if (name == NULL)
        return ol_error_nomem(err);
    if (c->n_layers == OL_MAX_IMAGE_LAYERS)
        return ol_error_set(err, -E2BIG, "an image has at most %d layers", OL_MAX_IMAGE_LAYERS);
    r = ol_oci_archive_make(c->config.dir, name, tar, c->diff_ids, c->sizes, c->n_layers + 1, want,
                            &archive, err);
    if (r == 0)
        r = ol_fd_link(archive.fd, c->archive, err);
    ol_load_archive_fini(&archive);
    if (r < 0)
        return r;
    memcpy(below, c->chain_id, sizeof below);
    return ol_chain_id(c->n_layers > 0 ? below : NULL, c->diff_ids[c->n_layers], c->chain_id, err);
}

static int import_layer(struct ol_engine *engine, const struct ol_input *tar, const char *want,
                        struct ol_engine_report *ret, struct ol_error *err)
{
    struct containerd *c = containerd_from(engine);
    int r = tell(c, err, "images", "import", "--all-platforms", "--snapshotter", "overlayfs",
                 c->archive);

    (void)tar; /* prepare_layer() put it into an archive, and describe() tells about it */
    (void)want;
    (void)ret;
    if (r == 0)
        c->n_layers++;
    return r;
}

struct keys {
    char parent[OL_DIGEST_SIZE], active[32], committed[32];
};

/* Of the newest container, or the next one: its own, its parent's, what a commit makes of it. */
static struct keys keys_of(const struct containerd *c, unsigned container)
{
    struct keys keys;

    if (container == 0)
        memcpy(keys.parent, c->chain_id, sizeof keys.parent);
    else
        (void)snprintf(keys.parent, sizeof keys.parent, "commit-%u", container - 1); /* fits */
    (void)snprintf(keys.active, sizeof keys.active, "container-%u", container);
    (void)snprintf(keys.committed, sizeof keys.committed, "commit-%u", container);
    return keys;
}

/* The value of "key=" among the mount's options. */
static const char *option(const json_t *options, const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < json_array_size(options); i++) {
        const char *text = json_string_value(json_array_get(options, i));

        if (text != NULL && strncmp(text, key, len) == 0 && text[len] == '=')
            return text + len + 1;
    }
    return NULL;
}

static int take_mount(struct containerd *c, const json_t *mounts, struct ol_error *err)
{
    const json_t *options = json_object_get(json_array_get(mounts, 0), "Options");
    ol_auto_free char *target = NULL;
    const char *lower, *upper, *work;

    if (options == NULL)
        options = json_object_get(json_array_get(mounts, 0), "options");
    lower = option(options, "lowerdir");
    upper = option(options, "upperdir");
    work = option(options, "workdir");
    if (json_array_size(mounts) != 1 || lower == NULL || upper == NULL || work == NULL)
        return ol_error_set(err, -EBADMSG, "ctr told no overlay mount of a snapshot");
    if (asprintf(&target, "%s/merged", c->config.dir) < 0) {
        target = NULL;
        return ol_error_nomem(err);
    }
    return ol_engine_mount_set(&c->mount, c->config.dir, lower, upper, work, target, err);
}

static int container_create(struct ol_engine *engine, struct ol_error *err)
{
    struct containerd *c = containerd_from(engine);
    struct keys keys = keys_of(c, c->n_containers);
    ol_auto_json json_t *mounts = NULL;
    int r;

    if (c->n_containers == c->config.commits)
        return ol_error_set(err, -EINVAL, "more containers than announced");
    r = ask(c, &mounts, err, "snapshots", "--snapshotter", "overlayfs", "prepare", "--mounts",
            keys.active, keys.parent);
    if (r < 0)
        return r;
    c->n_containers++;
    return take_mount(c, mounts, err);
}

static int mount_container(struct ol_engine *engine, struct ol_error *err)
{
    return ol_engine_mount(&containerd_from(engine)->mount, err);
}

static int change(struct ol_engine *engine, const struct ol_plan *plan, struct ol_error *err)
{
    return ol_plan_run(plan, containerd_from(engine)->mount.rootfs, err);
}

static int unmount_container(struct ol_engine *engine, struct ol_error *err)
{
    return ol_engine_unmount(&containerd_from(engine)->mount, err);
}

static int commit(struct ol_engine *engine, struct ol_engine_report *ret, struct ol_error *err)
{
    struct containerd *c = containerd_from(engine);
    struct keys keys = keys_of(c, c->n_containers - 1);
    int r = tell(c, err, "snapshots", "--snapshotter", "overlayfs", "commit", keys.committed,
                 keys.active);

    if (r == 0)
        (void)snprintf(ret->id, sizeof ret->id, "%s", keys.committed); /* fits */
    return r;
}

/* The commit took it. */
static int container_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    (void)index;
    return ol_daemon_check(containerd_from(engine)->daemon, err);
}

/* Image 0 was imported layer by layer: each made an image, and all go with their snapshots. */
static int remove_images(struct containerd *c, struct ol_error *err)
{
    char *names[OL_MAX_IMAGE_LAYERS + 1];
    const char *words[WORDS_MAX] = {"images", "rm", "--sync"};
    size_t n = 0;
    int r = 0;

    while (n < c->n_layers && r == 0) {
        names[n] = image_name((unsigned)n + 1);
        words[3 + n] = names[n];
        r = names[n++] == NULL ? ol_error_nomem(err) : 0;
    }
    if (r == 0)
        r = tell_words(c, words, err);
    while (n > 0)
        free(names[--n]);
    return r;
}

/* A removed snapshot's directories go with the next collection, which only deleting an image or a
 * lease can wait for. */
static int collect_garbage(struct containerd *c, struct ol_error *err)
{
    int r = tell(c, err, "leases", "create", "--id", "overlab-collect");

    return r < 0 ? r : tell(c, err, "leases", "rm", "--sync", "overlab-collect");
}

static int image_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct containerd *c = containerd_from(engine);
    struct keys keys;
    int r;

    if (index == 0)
        return remove_images(c, err);
    keys = keys_of(c, index - 1);
    r = tell(c, err, "snapshots", "--snapshotter", "overlayfs", "rm", keys.committed);
    return r < 0 ? r : collect_garbage(c, err);
}

static int describe(struct ol_engine *engine, enum ol_step_op op, struct ol_engine_report *report,
                    struct ol_error *err)
{
    struct containerd *c = containerd_from(engine);

    if (op != OL_STEP_LAYER_APPLY)
        return 0;
    memcpy(report->id, c->chain_id, OL_DIGEST_SIZE);
    memcpy(report->diff_id, c->diff_ids[c->n_layers - 1], OL_DIGEST_SIZE);
    return ol_fs_unlink(AT_FDCWD, c->archive, err);
}

/* Everything outside the snapshots is metadata; the content store keeps the layers' tars there. */
static int count(struct ol_engine *engine, struct ol_engine_usage *ret, struct ol_error *err)
{
    struct containerd *c = containerd_from(engine);
    int r = ol_engine_usage_home(ret, c->home_fd, err);

    return r < 0 ? r : ol_engine_usage_add_around(ret, c->root_fd, err);
}

const struct ol_engine_ops ol_containerd_engine_ops = {
    .kind = "external",
    .commit_keeps_container = true,
    .probe = probe_containerd,
    .open = open_containerd,
    .close = close_containerd,
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
