/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers-storage tool (the library under podman, buildah, skopeo) as an engine: one command
 * for each step, with its overlay driver on throwaway directories. Mounting and unmounting are its
 * own; a commit is its diff of the container's layer, imported as a new layer, and an image record.
 * The time of a step holds the start of the commands it needs.
 */
#include "bench/engines/command.h"
#include "bench/engines/engines.h"
#include "bench/engines/load_archive.h"
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/limits.h"
#include "common/mount/mount.h"
#include "common/process.h"

#include <fcntl.h>
#include <string.h>

static const char program[] = "containers-storage";

/* What it keeps beside the driver's directory. */
static const char *const metadata_dirs[] = {"overlay-layers", "overlay-images",
                                            "overlay-containers"};
enum { METADATA_DIRS = OL_ARRAY_LEN(metadata_dirs) };

struct storage {
    struct ol_engine base;
    struct ol_engine_config config;
    char *graph, *run, *tar; /* owned: its directories; the layer on its way */
    int home_fd;             /* owned; <graph>/overlay */
    int metadata_fds[METADATA_DIRS];
    struct ol_rootfs *mounted; /* owned */

    struct storage_image {
        char layer[OL_HEX_SIZE], id[OL_HEX_SIZE];
        char diff_id[OL_DIGEST_SIZE], chain_id[OL_DIGEST_SIZE];
    } * images; /* owned; one per layer imported, then one per commit */
    struct storage_container {
        char layer[OL_HEX_SIZE], id[OL_HEX_SIZE];
    } * containers; /* owned */
    unsigned n_images, n_imported, n_containers;
};

static struct storage *storage_from(struct ol_engine *engine)
{
    return (struct storage *)engine; /* base is its first member; only our table leads here */
}

/* ---- commands ---- */

enum { WORDS_MAX = 16 };

/* "containers-storage --graph … WORDS…"; words end with NULL. */
static void fill_words(const struct storage *s, const char *const *words,
                       const char *argv[static WORDS_MAX])
{
    size_t n = 0;

    argv[n++] = program;
    argv[n++] = words[0]; /* the options come after the subcommand */
    argv[n++] = "--graph";
    argv[n++] = s->graph;
    argv[n++] = "--run";
    argv[n++] = s->run;
    argv[n++] = "--storage-driver";
    argv[n++] = "overlay";
    for (words++; *words != NULL && n < WORDS_MAX - 1; words++)
        argv[n++] = *words;
    argv[n] = NULL;
}

#define tell(s, output, err, ...)                                                                  \
    tell_words((s), (const char *const[]){__VA_ARGS__, NULL}, output, err)
static int tell_words(const struct storage *s, const char *const *words, struct ol_buf *output,
                      struct ol_error *err)
{
    const char *argv[WORDS_MAX];
    int r;

    fill_words(s, words, argv);
    r = ol_command_run(argv, s->config.timeout_s, output, err);
    return r < 0 ? ol_error_wrap(err, r, "%s", words[0]) : 0;
}

#define ask(s, ret, err, ...) ask_words((s), (const char *const[]){__VA_ARGS__, NULL}, ret, err)
static int ask_words(const struct storage *s, const char *const *words, json_t **ret,
                     struct ol_error *err)
{
    const char *argv[WORDS_MAX];
    int r;

    fill_words(s, words, argv);
    r = ol_command_json(argv, s->config.timeout_s, ret, err);
    return r < 0 ? ol_error_wrap(err, r, "%s", words[0]) : 0;
}

static int take_id(const json_t *json, const char *key, char ret[static OL_HEX_SIZE],
                   struct ol_error *err)
{
    const char *id = json_string_value(json_object_get(json, key));

    if (id == NULL || strlen(id) != OL_HEX_SIZE - 1 ||
        strspn(id, "0123456789abcdef") != OL_HEX_SIZE - 1)
        return ol_error_set(err, -EBADMSG, "the answer of '%s' has no good '%s'", program, key);
    memcpy(ret, id, OL_HEX_SIZE);
    return 0;
}

/* ---- opening and closing ---- */

static void close_storage(struct ol_engine *engine)
{
    struct storage *s = storage_from(engine);

    if (s == NULL)
        return;
    (void)ol_rootfs_close(s->mounted, NULL); /* after a failure, which is the error to report */
    /* the tool binds its driver's directory to itself, and a failure may leave a container */
    if (s->graph != NULL)
        (void)ol_mount_detach_below(s->graph, NULL); /* what is left shows when it is removed */
    ol_fd_close(&s->home_fd);
    for (size_t i = 0; i < METADATA_DIRS; i++)
        ol_fd_close(&s->metadata_fds[i]);
    free(s->graph);
    free(s->run);
    free(s->tar);
    free(s->images);
    free(s->containers);
    free(s);
}

static int probe_storage(const struct ol_engine_config *config, struct ol_error *err)
{
    ol_auto_free char *path = ol_process_find(program);

    if (path == NULL)
        return ol_error_set(err, -ENOENT, "'%s' is not installed (Debian: containers-storage)",
                            program);
    if (config->view != OL_VIEW_KERNEL)
        return ol_error_set(err, -EPERM, "'%s' needs root and real overlay mounts: view kernel",
                            program);
    return 0;
}

/* The tool does not tell its version: the package does. */
static void find_version(struct storage *s)
{
    static const char *const argv[] = {"dpkg-query", "-W", "-f${Version}", "containers-storage",
                                       NULL};
    ol_auto_buf struct ol_buf output = OL_BUF_INIT;
    int r = ol_command_run(argv, s->config.timeout_s, &output, NULL);

    (void)snprintf(s->base.version, sizeof s->base.version, "%s", /* may be cut */
                   r == 0 && output.len > 0 ? ol_buf_str(&output) : "unknown");
}

static int open_dirs(struct storage *s, struct ol_error *err)
{
    ol_auto_fd int graph_fd = ol_fs_open_dir(AT_FDCWD, s->graph);
    int r = graph_fd;

    if (graph_fd >= 0)
        r = s->home_fd = ol_fs_open_dir(graph_fd, "overlay");
    for (size_t i = 0; i < METADATA_DIRS && r >= 0; i++)
        r = s->metadata_fds[i] = ol_fs_open_dir(graph_fd, metadata_dirs[i]);
    return r < 0 ? ol_error_sys(err, -r, "'%s' made no store in '%s'", program, s->graph) : 0;
}

static int make_room(struct storage *s, struct ol_error *err)
{
    const char *dir = s->config.dir;

    s->images = calloc((size_t)s->config.commits + OL_MAX_IMAGE_LAYERS + 1, sizeof *s->images);
    s->containers = calloc((size_t)s->config.commits + 1, sizeof *s->containers);
    if (asprintf(&s->graph, "%s/graph", dir) < 0)
        s->graph = NULL;
    if (asprintf(&s->run, "%s/run", dir) < 0)
        s->run = NULL;
    if (asprintf(&s->tar, "%s/layer.tar", dir) < 0)
        s->tar = NULL;
    return s->images == NULL || s->containers == NULL || s->graph == NULL || s->run == NULL ||
                   s->tar == NULL
               ? ol_error_nomem(err)
               : 0;
}

static int open_storage(const struct ol_engine_config *config, struct ol_engine **ret,
                        struct ol_error *err)
{
    struct storage *s = calloc(1, sizeof *s);
    int r;

    if (s == NULL)
        return ol_error_nomem(err);
    s->base.ops = &ol_containers_storage_engine_ops;
    s->config = *config;
    s->home_fd = -1;
    for (size_t i = 0; i < METADATA_DIRS; i++)
        s->metadata_fds[i] = -1;
    r = make_room(s, err);
    if (r == 0)
        r = tell(s, NULL, err, "layers"); /* makes the store */
    if (r == 0)
        r = open_dirs(s, err);
    if (r < 0) {
        close_storage(&s->base);
        return r;
    }
    find_version(s);
    *ret = &s->base;
    return 0;
}

/* ---- the steps ---- */

/* The tool reads a layer from a file with a name. */
static int prepare_layer(struct ol_engine *engine, const struct ol_input *tar, const char *want,
                         struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    char diff_id[OL_DIGEST_SIZE];
    ol_auto_fd int fd = -1;

    if (s->n_images == OL_MAX_IMAGE_LAYERS)
        return ol_error_set(err, -E2BIG, "an image has at most %d layers", OL_MAX_IMAGE_LAYERS);
    fd = ol_layer_spool(s->config.dir, tar, want, diff_id, err);
    if (fd < 0)
        return fd;
    return ol_fd_link(fd, s->tar, err);
}

static const char *top_layer(const struct storage *s)
{
    return s->n_images > 0 ? s->images[s->n_images - 1].layer : NULL;
}

/* Import s->tar over parent as the next layer, and make an image of it. */
static int import(struct storage *s, const char *parent, struct ol_error *err)
{
    struct storage_image *image = &s->images[s->n_images];
    const char *parent_chain = s->n_images > 0 ? image[-1].chain_id : NULL;
    ol_auto_json json_t *layer = NULL;
    ol_auto_json json_t *record = NULL;
    const char *diff_id;
    int r = ask(s, &layer, err, "import-layer", "--json", "--file", s->tar, parent);

    if (r == 0)
        r = take_id(layer, "id", image->layer, err);
    if (r == 0)
        r = ask(s, &record, err, "create-image", "--json", image->layer);
    if (r == 0)
        r = take_id(record, "id", image->id, err);
    if (r < 0)
        return r;
    diff_id = json_string_value(json_object_get(layer, "diff-digest"));
    if (diff_id == NULL || !ol_digest_valid(diff_id))
        return ol_error_set(err, -EBADMSG, "'%s' told no DiffID of a layer", program);
    memcpy(image->diff_id, diff_id, OL_DIGEST_SIZE);
    r = ol_chain_id(parent_chain, diff_id, image->chain_id, err);
    if (r == 0)
        s->n_images++;
    return r;
}

static int import_layer(struct ol_engine *engine, const struct ol_input *tar, const char *want,
                        struct ol_engine_report *ret, struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    int r = import(s, top_layer(s), err);

    (void)tar; /* prepare_layer() made it a file, and describe() tells about it */
    (void)want;
    (void)ret;
    s->n_imported = s->n_images;
    return r;
}

static int container_create(struct ol_engine *engine, struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    struct storage_container *container = &s->containers[s->n_containers];
    ol_auto_json json_t *json = NULL;
    int r;

    if (s->n_containers == s->config.commits)
        return ol_error_set(err, -EINVAL, "more containers than announced");
    r = ask(s, &json, err, "create-container", "--json", s->images[s->n_images - 1].id);
    if (r == 0)
        r = take_id(json, "id", container->id, err);
    if (r == 0)
        r = take_id(json, "layer", container->layer, err);
    if (r == 0)
        s->n_containers++;
    return r;
}

static int open_rootfs(struct storage *s, const char *path, struct ol_error *err)
{
    size_t len = strlen(s->graph);
    int fd;

    if (strncmp(path, s->graph, len) != 0 || path[len] != '/' || strstr(path, "/../") != NULL)
        return ol_error_set(err, -EXDEV, "'%s' mounted at '%s', which is not below '%s'", program,
                            path, s->graph);
    fd = ol_fs_open_dir(AT_FDCWD, path);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s'", path);
    return ol_rootfs_open_dir(fd, &s->mounted, err);
}

static int mount_container(struct ol_engine *engine, struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    ol_auto_buf struct ol_buf path = OL_BUF_INIT;
    int r = tell(s, &path, err, "mount", s->containers[s->n_containers - 1].id);

    return r < 0 ? r : open_rootfs(s, ol_buf_str(&path), err);
}

static int change(struct ol_engine *engine, const struct ol_plan *plan, struct ol_error *err)
{
    return ol_plan_run(plan, storage_from(engine)->mounted, err);
}

static int unmount_container(struct ol_engine *engine, struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    struct ol_rootfs *mounted = ol_ptr_steal(s->mounted);
    int r = ol_rootfs_close(mounted, err);

    return r < 0 ? r : tell(s, NULL, err, "unmount", s->containers[s->n_containers - 1].id);
}

static int commit(struct ol_engine *engine, struct ol_engine_report *ret, struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    int r = tell(s, NULL, err, "diff", "--uncompressed", "--file", s->tar,
                 s->containers[s->n_containers - 1].layer);

    (void)ret; /* describe() tells about the layer */
    return r < 0 ? r : import(s, top_layer(s), err);
}

static int container_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct storage *s = storage_from(engine);

    return tell(s, NULL, err, "delete-container", s->containers[index].id);
}

/* Image 0 was imported layer by layer: each made an image, which goes with it. */
static int image_remove(struct ol_engine *engine, unsigned index, struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    unsigned first = index > 0 ? s->n_imported + index - 1 : 0;
    unsigned end = index > 0 ? first + 1 : s->n_imported;
    int r = 0;

    while (end > first && r == 0)
        r = tell(s, NULL, err, "delete-image", s->images[--end].id);
    return r;
}

static int describe(struct ol_engine *engine, enum ol_step_op op, struct ol_engine_report *report,
                    struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    const struct storage_image *image;

    if (op != OL_STEP_LAYER_APPLY && op != OL_STEP_COMMIT)
        return 0;
    image = &s->images[s->n_images - 1];
    memcpy(report->id, image->chain_id, OL_DIGEST_SIZE);
    memcpy(report->diff_id, image->diff_id, OL_DIGEST_SIZE);
    return ol_fs_unlink(AT_FDCWD, s->tar, err);
}

static int count(struct ol_engine *engine, struct ol_engine_usage *ret, struct ol_error *err)
{
    struct storage *s = storage_from(engine);
    int r = ol_engine_usage_home(ret, s->home_fd, err);

    for (size_t i = 0; i < METADATA_DIRS && r == 0; i++)
        r = ol_engine_usage_add_metadata(ret, s->metadata_fds[i], err);
    return r;
}

const struct ol_engine_ops ol_containers_storage_engine_ops = {
    .kind = "external",
    .probe = probe_storage,
    .open = open_storage,
    .close = close_storage,
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
