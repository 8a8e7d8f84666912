/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container committed by the dockerd that is installed and by overlab has the same layer, byte
 * for byte and by DiffID: the same base image, the same changes through the container's own mount,
 * then dockerd's commit beside ours. dockerd's layer is taken from what "docker save" gives.
 *
 * Times the kernel gave differ from run to run; they are set in the init layers and in the
 * containers' layers before the commits, whiteouts included. What cannot be set is masked: the time
 * of a naive diff's whiteouts, which is the time of the commit.
 */
#include "bench/engines/docker.h"
#include "byte_trees.h"
#include "common/digest.h"
#include "common/fs/tree.h"
#include "common/fs/xattr.h"
#include "split_compare.h"
#include "store/image.h"
#include "store/store.h"
#include "support/support.h"
#include "support/tarball.h"
#include "tar_compare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

static const char capability[20] = {1, 0, 0, 2, 0, 4};

struct fixture {
    struct test_dir dir;
    time_t start;          /* what is younger has its time from the kernel, */
    time_t epoch;          /* and gets one between this and a million seconds later */
    struct tarball base;   /* the image's topmost layer, and mostly its only one */
    struct ol_image *real; /* owned; a larger image below it, or NULL */
    struct ol_plan *plan;  /* owned; the changes of "overlab compare", or NULL: those below */
    const char *driver;    /* "overlay2" */
    int theirs_fd, ours_fd;
    char their_id[OL_DIGEST_SIZE], our_id[OL_DIGEST_SIZE];
};

static void make_base(struct tarball *tar)
{
    static const char *const dirs[] = {"etc/",      "gone/",     "gone/sub/", "emptied/", "remade/",
                                       "to-file/",  "kept/",     "kept/sub/", "touched/", "links/",
                                       "long-dir/", "modified/", "moved/"};
    static const char *const files[] = {
        "etc/passwd", "gone/a",    "gone/sub/b",  "emptied/a",  "emptied/b",  "emptied/c",
        "remade/a",   "remade/b",  "to-file/a",   "kept/a",     "kept/sub/b", "kept/sub/c",
        "links/one",  "links/two", "modified/a",  "modified/b", "modified/c", "modified/d",
        "moved/a",    "to-dir",    "to-symlink",  "to-fifo",    "deleted-1",  "deleted-2",
        "deleted-3",  "capable",   "opened-only", "caf\xc3\xa9"};
    char name[300];

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
        tarball_add_dir(tar, dirs[i]);
    for (size_t i = 0; i < OL_ARRAY_LEN(files); i++)
        tarball_add_file(tar, files[i], "from the image");
    tarball_add_hardlink(tar, "links/three", "links/two");
    tarball_add_symlink(tar, "symlink", "kept/a");
    tarball_add_fifo(tar, "fifo");
    tarball_add_device(tar, "null", '3', 1, 3);
    for (size_t len = 80; len < 250; len += 17) {
        memset(name, 'l', len);
        memcpy(name, "long-dir/", 9);
        name[len] = '\0';
        tarball_add_file(tar, name, "");
    }
    tarball_end(tar);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->start = time(NULL) - 60;
    f->base = (struct tarball)TARBALL_INIT;
    make_base(&f->base);
    f->theirs_fd = f->ours_fd = -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_fd_close(&f->theirs_fd);
    ol_fd_close(&f->ours_fd);
    tarball_fini(&f->base);
    ol_image_free(f->real);
    ol_plan_free(f->plan);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

/* Every layer of the image, lowest first. */
static void each_layer(struct fixture *f, void (*take)(void *data, const struct ol_input *tar),
                       void *data)
{
    size_t layers = f->real != NULL ? ol_image_layer_count(f->real) : 0;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    for (size_t i = 0; i < layers; i++) {
        struct ol_image_stream stream;

        assert_ok(ol_image_layer_open(f->real, i, &stream, &err), &err);
        take(data, &stream.input);
        assert_ok(ol_image_layer_close(&stream, &err), &err);
    }
    take(data, &OL_INPUT_FD(tarball_fd(&f->base)));
}

/* Start it and stop it, once for all tests. */
static bool try_dockerd(void)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct test_dir dir;
    struct ol_engine *engine = NULL;
    struct ol_engine_config config = {.name = "docker/overlay2",
                                      .view = OL_VIEW_KERNEL,
                                      .keep_owner = true,
                                      .commits = 1,
                                      .timeout_s = 60};
    int r;

    test_dir_make(&dir);
    config.dir = dir.path;
    r = ol_docker_engine_ops.open(&config, &engine, &err);
    if (r < 0)
        print_message("dockerd cannot be run: %s\n", ol_error_text(&err));
    ol_docker_engine_ops.close(engine);
    test_dir_remove(&dir);
    return r == 0;
}

static bool can_run_dockerd(void)
{
    static int can = -1;

    if (can < 0)
        can = try_dockerd();
    return can;
}

/* ---- the changes ---- */

static int make_dir(int fd, const char *name)
{
    int sub;

    test_mkdir(fd, name, 0755);
    sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(sub >= 0);
    return sub;
}

static void unlink_all(int fd, const char *const *names)
{
    for (; *names != NULL; names++)
        assert_int_equal(unlinkat(fd, *names, 0), 0);
}

static void delete_and_replace(int fd)
{
    static const char *const gone[] = {"deleted-1",  "deleted-2",   "deleted-3",   "emptied/a",
                                       "emptied/b",  "emptied/c",   "gone/a",      "gone/sub/b",
                                       "remade/a",   "remade/b",    "to-file/a",   "to-dir",
                                       "to-symlink", "to-fifo",     "caf\xc3\xa9", "symlink",
                                       "fifo",       "links/three", NULL};
    struct stat st;
    char name[300];

    unlink_all(fd, gone);
    for (const char *const *dir =
             (const char *const[]){"gone/sub", "gone", "remade", "to-file", NULL};
         *dir != NULL; dir++)
        assert_int_equal(unlinkat(fd, *dir, AT_REMOVEDIR), 0);
    test_mkdir(fd, "remade", 0750); /* opaque */
    test_write(fd, "remade/b", "anew");
    test_write(fd, "to-file", "a file now");
    test_mkdir(fd, "to-dir", 0755);
    test_write(fd, "to-dir/x", "in a directory now");
    test_symlink(fd, "kept", "to-symlink");
    assert_int_equal(mknodat(fd, "to-fifo", S_IFIFO | 0640, 0), 0);
    for (size_t len = 80; len < 250; len += 17) {
        memset(name, 'l', len);
        memcpy(name, "long-dir/", 9);
        name[len] = '\0';
        if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && len % 2 == 0)
            assert_int_equal(unlinkat(fd, name, 0), 0);
    }
}

static void modify(int fd)
{
    const struct timespec old[2] = {{-5, 0}, {-5, 500000000}};

    test_write(fd, "modified/a", "other content of another size");
    assert_int_equal(fchmodat(fd, "modified/b", 04755, 0), 0);
    assert_int_equal(fchownat(fd, "modified/c", 1, 65534, 0), 0);
    assert_int_equal(utimensat(fd, "modified/d", old, 0), 0);
    assert_int_equal(fchmodat(fd, "touched", 01777, 0), 0);
    assert_int_equal(renameat(fd, "moved/a", fd, "moved/b"), 0);
    assert_int_equal(linkat(fd, "links/one", fd, "links/another", 0), 0);
    test_write(fd, "links/two", "one name of two, the other is deleted");
    assert_int_equal(ol_xattr_set(fd, "capable", "security.capability", capability, 20), 0);
    assert_int_equal(ol_xattr_set(fd, "capable", "user.note", "n", 1), 0);
}

static void add(int fd)
{
    static void (*const trees[])(int) = {byte_tree_long_names, byte_tree_odd_names,
                                         byte_tree_link_names, byte_tree_numbers, byte_tree_types};
    char name[32];
    ol_auto_fd int added = make_dir(fd, "added");
    ol_auto_fd int links = make_dir(added, "hard-links");
    ol_auto_fd int outside = make_dir(added, "outside");

    for (size_t i = 0; i < OL_ARRAY_LEN(trees); i++) {
        ol_auto_fd int sub = -1;
        (void)snprintf(name, sizeof name, "tree-%zu", i);
        sub = make_dir(added, name);
        trees[i](sub);
    }
    byte_tree_hard_links(links, outside);
    test_write(fd, ".wh.nothing", ""); /* acts as a whiteout when it is applied; had it content,
                                          dockerd could not save the image */
}

/* Times of the present become one made from the path. */
static int set_time(const struct ol_walk_entry *entry, void *data, struct ol_error *err)
{
    const struct fixture *f = data;
    const time_t now = entry->st->st_mtim.tv_sec;
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = f->epoch, .tv_nsec = 5}};

    (void)err;
    if (entry->depth == 0 || now < f->start || now > f->start + 3600)
        return 0;
    for (const char *c = entry->path; *c != '\0'; c++)
        t[1].tv_sec = f->epoch + (t[1].tv_sec * 31 + (unsigned char)*c) % 1000000;
    assert_int_equal(utimensat(entry->dir_fd, entry->name, t, AT_SYMLINK_NOFOLLOW), 0);
    return 0;
}

/* home: the driver's directory, laid out alike in both engines. */
static void set_layer_times(struct fixture *f, const char *home, const char *layer,
                            const char *suffix)
{
    bool vfs = strcmp(f->driver, "vfs") == 0;
    const char *sub = strcmp(f->driver, "overlay2") == 0 ? "/diff" : vfs ? "" : "/upper";
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    ol_auto_fd int fd = -1;

    assert_true(asprintf(&path, "%s%s/%s%s%s", home, vfs ? "/dir" : "", layer, suffix, sub) > 0);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_ok(ol_tree_walk(fd, set_time, f, &err), &err);
}

/* Before the changes: the init layer, and what the container's own has of it. */
static void set_init_times(struct fixture *f, const char *home, const char *layer)
{
    f->epoch = 1600000000;
    set_layer_times(f, home, layer, "-init");
    set_layer_times(f, home, layer, "");
}

/* After them: whatever has a time of the present is a change. */
static void set_change_times(struct fixture *f, const char *home, const char *layer)
{
    f->epoch = 1700000000;
    set_layer_times(f, home, layer, "");
}

static void change(const char *root)
{
    ol_auto_fd int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    delete_and_replace(fd);
    modify(fd);
    add(fd);
}

/* ---- dockerd ---- */

/* The driver's layer of a container, as the daemon noted it; owned by the caller. */
static char *their_layer(const struct docker *d)
{
    ol_auto_free char *path = NULL;

    assert_true(asprintf(&path, "%s/image/%s/layerdb/mounts/%s/mount-id", d->data, d->driver,
                         d->containers[0]) > 0);
    return test_read(AT_FDCWD, path);
}

static void their_changes(struct fixture *f, struct docker *d)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_engine_report report = {.id = ""};
    ol_auto_free char *layer = their_layer(d);
    ol_auto_free char *root = NULL;
    bool mounts = strcmp(f->driver, "vfs") != 0;

    set_init_times(f, d->home, layer);
    if (mounts) {
        assert_ok(d->base.ops->describe(&d->base, OL_STEP_CONTAINER_CREATE, &report, &err), &err);
        assert_ok(d->base.ops->mount(&d->base, &err), &err);
    }
    assert_true(asprintf(&root, "%s/%s%s%s", d->home, mounts ? "" : "dir/", layer,
                         mounts ? "/merged" : "") > 0);
    if (f->plan != NULL)
        assert_ok(d->base.ops->change(&d->base, f->plan, &err), &err);
    else
        change(root);
    if (mounts)
        assert_ok(d->base.ops->unmount(&d->base, &err), &err);
    set_change_times(f, d->home, layer);
}

/* The daemon's answer to a GET of what may be large, into a file. HTTP/1.0 ends with the stream. */
static void download(const char *socket_path, const char *path, int out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ol_auto_free char *request = NULL;
    ol_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    static char buffer[1 << 16];
    const char *body;
    ssize_t n;

    assert_true(fd >= 0);
    assert_true(strlen(socket_path) < sizeof address.sun_path);
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_true(asprintf(&request, "GET %s HTTP/1.0\r\nHost: docker\r\n\r\n", path) > 0);
    assert_int_equal(ol_io_write(fd, request, strlen(request)), 0);
    n = ol_io_read(fd, buffer, sizeof buffer);
    assert_true(n > 0);
    body = memmem(buffer, (size_t)n, "\r\n\r\n", 4);
    if (body == NULL || memmem(buffer, (size_t)(body - buffer), " 200 ", 5) == NULL)
        fail_msg("dockerd's answer to GET %s: %.*s", path, (int)n, buffer);
    body += 4;
    assert_int_equal(ol_io_write(out, body, (size_t)(buffer + n - body)), 0);
    while ((n = ol_io_read(fd, buffer, sizeof buffer)) > 0)
        assert_int_equal(ol_io_write(out, buffer, (size_t)n), 0);
    assert_int_equal(n, 0);
}

/* The topmost layer's tar out of "docker save". */
static void save_layer(struct fixture *f, const struct docker *d)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    ol_auto_free char *archive = NULL;
    struct ol_image *image = NULL;
    struct ol_image_stream stream;
    char id[OL_DIGEST_SIZE];
    ol_auto_fd int fd = -1;

    assert_true(asprintf(&path, "/images/%s/get", d->images[d->n_images - 1]) > 0);
    assert_true(asprintf(&archive, "%s/saved.tar", f->dir.path) > 0);
    fd = open(archive, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    download(d->socket_path, path, fd);
    assert_ok(ol_image_open(archive, f->dir.path, &image, &err), &err);
    assert_ok(ol_image_layer_open(image, ol_image_layer_count(image) - 1, &stream, &err), &err);
    f->theirs_fd = ol_layer_spool(f->dir.path, &stream.input, f->their_id, id, &err);
    assert_ok(f->theirs_fd, &err); /* and it has the DiffID */
    assert_ok(ol_image_layer_close(&stream, &err), &err);
    ol_image_free(image);
}

static void import_theirs(void *data, const struct ol_input *tar)
{
    struct ol_engine *engine = data;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_engine_report report = {.id = ""};

    assert_ok(engine->ops->prepare_layer(engine, tar, NULL, &err), &err);
    assert_ok(engine->ops->import_layer(engine, tar, NULL, &report, &err), &err);
    assert_ok(engine->ops->describe(engine, OL_STEP_LAYER_APPLY, &report, &err), &err);
}

/* A store's records of how each layer's tar is made again. */
static void collect_splits(const struct fixture *f, const char *layers, const char *name)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = -1;

    assert_ok(ol_tree_remove(f->dir.fd, name, &err), &err);
    fd = make_dir(f->dir.fd, name);
    split_collect(layers, fd);
}

static void commit_theirs(struct fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *dir = NULL;
    ol_auto_free char *name = NULL;
    ol_auto_free char *layers = NULL;
    struct ol_engine_config config = {
        .view = OL_VIEW_KERNEL, .keep_owner = true, .commits = 1, .timeout_s = 60};
    struct ol_engine_report report = {.id = ""};
    struct ol_engine *engine = NULL;

    test_mkdir(f->dir.fd, "theirs", 0755);
    assert_true(asprintf(&dir, "%s/theirs", f->dir.path) > 0);
    assert_true(asprintf(&name, "docker/%s", f->driver) > 0);
    config.dir = dir;
    config.name = name;
    assert_ok(ol_docker_engine_ops.open(&config, &engine, &err), &err);
    each_layer(f, import_theirs, engine);
    assert_ok(engine->ops->container_create(engine, &err), &err);
    their_changes(f, (struct docker *)engine);
    assert_ok(engine->ops->commit(engine, &report, &err), &err);
    assert_ok(engine->ops->describe(engine, OL_STEP_COMMIT, &report, &err), &err);
    memcpy(f->their_id, report.diff_id, OL_DIGEST_SIZE);
    save_layer(f, (struct docker *)engine);
    assert_true(asprintf(&layers, "%s/image/%s/layerdb/sha256", ((struct docker *)engine)->data,
                         f->driver) > 0);
    collect_splits(f, layers, "their-splits");
    print_message("dockerd %s, %s: %s\n", engine->version, f->driver, f->their_id);
    engine->ops->close(engine);
}

/* ---- overlab ---- */

static void our_changes(struct fixture *f, struct ol_driver *drv, const char *layer)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *rootfs = NULL;
    ol_auto_free char *root = NULL;

    set_init_times(f, ol_driver_home(drv), layer);
    if (f->plan != NULL) { /* in any view */
        assert_ok(ol_driver_rootfs(drv, layer, &rootfs, &err), &err);
        assert_ok(ol_plan_run(f->plan, rootfs, &err), &err);
        assert_ok(ol_rootfs_close(rootfs, &err), &err);
    } else {
        assert_ok(ol_driver_get(drv, layer, &root, &err), &err);
        change(root);
        assert_ok(ol_driver_put(drv, layer, &err), &err);
    }
    set_change_times(f, ol_driver_home(drv), layer);
}

static void our_diff(struct fixture *f, struct ol_driver *drv, const char *layer)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *init = NULL;
    ol_auto_fd int out = -1;

    assert_true(asprintf(&init, "%s-init", layer) > 0);
    ol_fd_close(&f->ours_fd);
    f->ours_fd = openat(f->dir.fd, "ours.tar", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(f->ours_fd >= 0);
    out = dup(f->ours_fd);
    assert_true(out >= 0);
    assert_ok(ol_driver_diff(drv, layer, init, &out, NULL, &err), &err);
}

struct our_image {
    struct ol_store *store;
    struct ol_store_layer top;
};

static void import_ours(void *data, const struct ol_input *tar)
{
    struct our_image *image = data;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char below[OL_DIGEST_SIZE];

    memcpy(below, image->top.chain_id, sizeof below);
    assert_ok(ol_store_register(image->store, below[0] != '\0' ? below : NULL, tar, NULL,
                                &image->top, NULL, NULL, NULL, &err),
              &err);
}

static void commit_in(struct fixture *f, struct ol_driver *drv, struct ol_store *store)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct our_image image = {.store = store};
    struct ol_store_container container;
    struct ol_store_commit commit = {.empty = false};

    each_layer(f, import_ours, &image);
    assert_ok(ol_store_container_create(store, image.top.chain_id, &container, &err), &err);
    our_changes(f, drv, container.mount_id);
    our_diff(f, drv, container.mount_id);
    assert_ok(ol_store_commit(store, container.id, &commit, &err), &err);
    memcpy(f->our_id, commit.layer.diff_id, OL_DIGEST_SIZE);
}

static void commit_ours(struct fixture *f, enum ol_view view, const char *options)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *home = NULL;
    ol_auto_free char *image = NULL;
    ol_auto_free char *name = NULL;
    ol_auto_free char *layers = NULL;
    const struct ol_store_options store_options = {.tar_split = true};
    struct ol_driver_config config = {.view = view, .keep_owner = true};
    struct ol_driver *drv = NULL;
    struct ol_store *store = NULL;

    assert_true(asprintf(&home, "%s/%s/%s", f->dir.path, ol_view_name(view), f->driver) > 0);
    assert_true(asprintf(&image, "%s/%s/image", f->dir.path, ol_view_name(view)) > 0);
    assert_true(asprintf(&name, "%s:%s", f->driver, options) > 0);
    config.home = home;
    assert_ok(ol_driver_open(name, &config, &drv, &err), &err);
    assert_ok(ol_store_open(image, drv, &store_options, &store, &err), &err);
    commit_in(f, drv, store);
    assert_true(asprintf(&layers, "%s/sha256", image) > 0);
    collect_splits(f, layers, "our-splits");
    ol_store_close(store);
    ol_driver_close(drv);
}

/* ---- the tests ---- */

/* Upstream's builds write no names, distributions' the host's. Owned by the caller. */
static char *options_as_theirs(const struct fixture *f, const char *more)
{
    char *options = NULL;

    assert_true(
        asprintf(&options, "names=%s%s", tar_has_names(f->theirs_fd) ? "host" : "none", more) > 0);
    return options;
}

static void commit_both(struct fixture *f, const char *driver, const char *more_options)
{
    ol_auto_free char *options = NULL;

    f->driver = driver;
    commit_theirs(f);
    options = options_as_theirs(f, more_options);
    commit_ours(f, OL_VIEW_KERNEL, options);
}

/* Ready for another driver. */
static void reset(struct fixture *f)
{
    static const char *const dirs[] = {"theirs", "kernel", "direct"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    for (size_t i = 0; i < OL_ARRAY_LEN(dirs); i++)
        assert_ok(ol_tree_remove(f->dir.fd, dirs[i], &err), &err);
    ol_fd_close(&f->theirs_fd);
}

#define REQUIRE_ENGINE()                                                                           \
    do {                                                                                           \
        OL_REQUIRE(can_mount_overlay, "dockerd and overlay mounts need CAP_SYS_ADMIN");            \
        OL_REQUIRE(can_run_dockerd,                                                                \
                   "there is no dockerd, or none that starts (Debian: docker.io)");                \
    } while (0)

static void same_bytes_engine__overlay2_commit_has_the_diff_id_of_dockerd(void **state)
{
    struct fixture *f = *state;

    REQUIRE_ENGINE();
    test_dir_make(&f->dir); /* there is no teardown after a skip */
    commit_both(f, "overlay2", "");
    tar_assert_same(f->ours_fd, f->theirs_fd, false, "native diff");
    assert_string_equal(f->our_id, f->their_id);
}

static void same_bytes_engine__overlay_commit_has_the_bytes_of_dockerd(void **state)
{
    struct fixture *f = *state;

    REQUIRE_ENGINE();
    test_dir_make(&f->dir); /* there is no teardown after a skip */
    commit_both(f, "overlay", "");
    tar_assert_same(f->ours_fd, f->theirs_fd, true, "naive diff");
}

/* The tuned comparison, without a mount. */
static void same_bytes_engine__overlay_diff_upper_has_the_bytes_of_dockerd(void **state)
{
    struct fixture *f = *state;

    REQUIRE_ENGINE();
    test_dir_make(&f->dir); /* there is no teardown after a skip */
    commit_both(f, "overlay", ",diff=upper");
    tar_assert_same(f->ours_fd, f->theirs_fd, true, "naive diff of stacks");
}

static void same_bytes_engine__vfs_commit_has_the_bytes_of_dockerd(void **state)
{
    struct fixture *f = *state;

    REQUIRE_ENGINE();
    test_dir_make(&f->dir); /* there is no teardown after a skip */
    commit_both(f, "vfs", "");
    tar_assert_same(f->ours_fd, f->theirs_fd, true, "naive diff");
}

static void assert_same_splits(const struct fixture *f, unsigned layers)
{
    ol_auto_fd int ours = openat(f->dir.fd, "our-splits", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_fd int theirs = openat(f->dir.fd, "their-splits", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(split_assert_same(ours, theirs), layers);
}

/* The base image's and the commit's. */
static void same_bytes_engine__tar_split_has_the_entries_of_dockerd(void **state)
{
    struct fixture *f = *state;

    REQUIRE_ENGINE();
    test_dir_make(&f->dir); /* there is no teardown after a skip */
    commit_both(f, "overlay2", "");
    assert_same_splits(f, 2);
}

static const char *real_image(void)
{
    const char *path = getenv("OL_REAL_IMAGE");

    return path != NULL ? path : "/var/cache/overlab/debian-real.tar";
}

static bool have_real_image(void)
{
    return access(real_image(), R_OK) == 0;
}

static void commit_on_real_image(struct fixture *f, const char *driver)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_image_open(real_image(), f->dir.path, &f->real, &err), &err);
    commit_both(f, driver, "");
}

static void same_bytes_engine__overlay2_on_a_real_image(void **state)
{
    struct fixture *f = *state;

    OL_REQUIRE(have_real_image, "OL_REAL_IMAGE names no image (scripts/real-image makes one)");
    REQUIRE_ENGINE();
    test_dir_make(&f->dir); /* there is no teardown after a skip */
    commit_on_real_image(f, "overlay2");
    tar_assert_same(f->ours_fd, f->theirs_fd, false, "native diff");
    assert_string_equal(f->our_id, f->their_id);
    assert_same_splits(f, (unsigned)ol_image_layer_count(f->real) + 2);
}

static void same_bytes_engine__overlay_on_a_real_image(void **state)
{
    struct fixture *f = *state;

    OL_REQUIRE(have_real_image, "OL_REAL_IMAGE names no image (scripts/real-image makes one)");
    REQUIRE_ENGINE();
    test_dir_make(&f->dir); /* there is no teardown after a skip */
    commit_on_real_image(f, "overlay");
    tar_assert_same(f->ours_fd, f->theirs_fd, true, "naive diff");
}

/* ---- the changes of "overlab compare", in our other view too ---- */

static int learn_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

static void learn(void *data, const struct ol_input *tar)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_model_begin_layer(data, &err), &err);
    assert_ok(ol_layer_scan(tar, NULL, learn_entry, data, NULL, &err), &err);
}

static void make_plan(struct fixture *f)
{
    const struct ol_change_mix mix = {.add = 200,
                                      .modify = 100,
                                      .remove = 100,
                                      .rename = 20,
                                      .chmod = 20,
                                      .mkdir = 20,
                                      .symlink = 20,
                                      .link = 20,
                                      .replace = 5};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_model *model = NULL;

    assert_ok(ol_builtin_image_new(1, &f->real, &err), &err);
    assert_ok(ol_model_new(&model, &err), &err);
    each_layer(f, learn, model);
    assert_ok(ol_plan_make(model, &mix, 3000, 1, &f->plan, &err), &err);
    ol_model_free(model);
}

static void same_bytes_engine__workload_makes_the_layer_of_dockerd_in_both_views(void **state)
{
    static const char *const drivers[] = {"overlay2", "overlay"};
    struct fixture *f = *state;

    REQUIRE_ENGINE();
    test_dir_make(&f->dir); /* there is no teardown after a skip */
    make_plan(f);
    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        bool naive = strcmp(drivers[i], "overlay") == 0;
        ol_auto_free char *options = NULL;

        commit_both(f, drivers[i], "");
        tar_assert_same(f->ours_fd, f->theirs_fd, naive, drivers[i]);
        options = options_as_theirs(f, "");
        commit_ours(f, OL_VIEW_DIRECT, options);
        tar_assert_same(f->ours_fd, f->theirs_fd, naive, "the direct view");
        if (!naive)
            assert_string_equal(f->our_id, f->their_id);
        reset(f);
    }
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(same_bytes_engine__overlay2_commit_has_the_diff_id_of_dockerd),
        CASE(same_bytes_engine__overlay_commit_has_the_bytes_of_dockerd),
        CASE(same_bytes_engine__overlay_diff_upper_has_the_bytes_of_dockerd),
        CASE(same_bytes_engine__vfs_commit_has_the_bytes_of_dockerd),
        CASE(same_bytes_engine__tar_split_has_the_entries_of_dockerd),
    };
    const struct CMUnitTest large[] = {
        CASE(same_bytes_engine__workload_makes_the_layer_of_dockerd_in_both_views),
        CASE(same_bytes_engine__overlay2_on_a_real_image),
        CASE(same_bytes_engine__overlay_on_a_real_image),
    };

    if (argc > 1 && strcmp(argv[1], "--large") == 0)
        return cmocka_run_group_tests_name("same_bytes_engine_large", large, NULL, NULL);
    return cmocka_run_group_tests_name("same_bytes_engine", tests, NULL, NULL);
}
