/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers' parts of a story; see world.h. */
#include "integration/story/world.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/tree.h"
#include "common/mount/mount.h"
#include "drivers/rootfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const story_drivers[] = {
    "overlay", "overlay:diff=upper,clone=all", "overlay2", "overlay2:diff=naive", "vfs", "snapshot",
    NULL};

static void path_below(const struct world *world, const char *dir, const char *name, char **ret)
{
    assert_true(asprintf(ret, "%s/%s%s%s", world->path, dir, *name != '\0' ? "/" : "", name) > 0);
}

static void open_driver(struct world *world, struct teller *t, const char *dir)
{
    const struct ol_store_options options = {.sync = false};
    struct ol_driver_config config = {
        .view = world->options->view, .threads = 1, .keep_owner = geteuid() == 0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *home = NULL;
    ol_auto_free char *store = NULL;
    struct ol_pairs pairs = {0};

    path_below(world, dir, "home", &home);
    path_below(world, dir, "image", &store);
    config.home = home;
    assert_ok(ol_driver_open(t->name, &config, &t->drv, &err), &err);
    assert_ok(ol_driver_status(t->drv, &pairs, &err), &err); /* what it tries first, it tries now */
    ol_pairs_fini(&pairs);
    assert_ok(ol_store_open(store, t->drv, &options, &t->store, &err), &err);
    t->home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void open_snapshots(struct world *world, struct teller *t, const char *dir)
{
    struct ol_snapshots_config config = {
        .view = world->options->view, .no_sync = true, .keep_owner = geteuid() == 0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *root = NULL;
    ol_auto_free char *home = NULL;

    path_below(world, dir, "root", &root);
    path_below(world, dir, "root/snapshots", &home);
    path_below(world, dir, "mounted", &t->target);
    assert_int_equal(mkdir(t->target, 0700), 0);
    config.root = root;
    assert_ok(ol_snapshots_open(&config, &t->sn, &err), &err);
    t->home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void open_teller(struct world *world, const char *name)
{
    struct teller *t = &world->tellers[world->n_tellers];
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char dir[32];

    *t = (struct teller){.name = name, .way = {.mounts = world->options->view != OL_VIEW_DIRECT}};
    assert_int_equal(ol_engine_law(name, &t->way.law), 0);
    t->way.naive_diff = !ol_engine_has_option(name, "diff=upper");
    (void)snprintf(dir, sizeof dir, "world/%zu", world->n_tellers++);
    test_mkdir(world->options->dir->fd, dir, 0700);
    if (strcmp(name, "snapshot") == 0)
        open_snapshots(world, t, dir);
    else
        open_driver(world, t, dir);
    assert_true(t->home_fd >= 0);
    assert_ok(ol_home_usage_get(t->home_fd, &t->start, &err), &err);
    t->usage = t->start;
}

void world_open(struct world *world)
{
    world->path = strdup(world->options->dir->path);
    assert_non_null(world->path);
    test_mkdir(world->options->dir->fd, "world", 0700);
    for (size_t i = 0; story_drivers[i] != NULL; i++) {
        if (world->options->only == NULL || strcmp(world->options->only, story_drivers[i]) == 0)
            open_teller(world, story_drivers[i]);
    }
}

static void close_teller(struct teller *t)
{
    ol_store_close(t->store);
    ol_driver_close(t->drv);
    ol_snapshots_free(t->sn);
    ol_fd_close(&t->home_fd);
    free(t->target);
}

void world_close(struct world *world)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    for (size_t i = 0; i < world->n_tellers; i++)
        close_teller(&world->tellers[i]);
    for (unsigned i = 0; i < STORY_NAMES_MAX; i++) {
        ol_model_free(world->images[i].model);
        if (world->images[i].has_tar)
            tarball_fini(&world->images[i].tar);
        if (world->containers[i].has_tar)
            tarball_fini(&world->containers[i].tar);
        ol_plan_free(world->containers[i].plan);
        ol_model_free(world->containers[i].after);
    }
    assert_ok(ol_tree_remove(world->options->dir->fd, "world", &err), &err);
    free(world->path);
}

/* ---- the snapshotter's names ---- */

static void image_name(unsigned image, char ret[static 32])
{
    *ret = '\0';
    if (image != STORY_NONE)
        (void)snprintf(ret, 32, "image%u", image);
}

static void container_key(unsigned container, char ret[static 32])
{
    (void)snprintf(ret, 32, "container%u", container);
}

/* ---- steps ---- */

static int apply_snapshot(struct teller *t, unsigned image, unsigned parent,
                          const struct ol_input *tar, struct ol_error *err)
{
    char name[32];
    char below[32];
    int r;

    image_name(image, name);
    image_name(parent, below);
    assert_ok(ol_snapshots_prepare(t->sn, "extract", below, NULL, NULL, err), err);
    r = ol_snapshots_apply(t->sn, "extract", tar, NULL, err);
    if (r < 0)
        assert_ok(ol_snapshots_remove(t->sn, "extract", NULL), err);
    else
        assert_ok(ol_snapshots_commit(t->sn, name, "extract", NULL, NULL, err), err);
    return r;
}

int teller_apply(struct teller *t, unsigned image, unsigned parent, const struct ol_input *tar,
                 bool *ret_existed, struct ol_error *err)
{
    struct ol_store_layer layer;
    struct ol_apply_result apply;
    struct ol_store_times times;
    int r;

    *ret_existed = false;
    if (t->sn != NULL)
        return apply_snapshot(t, image, parent, tar, err);
    r = ol_store_register(t->store, parent == STORY_NONE ? NULL : t->chains[parent], tar, NULL,
                          &layer, &apply, &times, ret_existed, err);
    if (r == 0)
        memcpy(t->chains[image], layer.chain_id, OL_DIGEST_SIZE);
    return r;
}

void teller_unapply(struct teller *t, unsigned image)
{
    teller_remove(t, image);
}

void teller_create(struct teller *t, unsigned container, unsigned image)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char key[32];
    char parent[32];

    container_key(container, key);
    image_name(image, parent);
    if (t->sn != NULL)
        assert_ok(ol_snapshots_prepare(t->sn, key, parent, NULL, NULL, &err), &err);
    else
        assert_ok(ol_store_container_create(t->store, t->chains[image], &t->made[container], &err),
                  &err);
}

static struct ol_rootfs *mount_snapshot(struct teller *t, const char *key)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    struct ol_rootfs *fs = NULL;
    int fd;

    if (!t->way.mounts) {
        assert_ok(ol_snapshots_open_rootfs(t->sn, key, &fs, &err), &err);
        return fs;
    }
    assert_ok(ol_snapshots_mounts(t->sn, key, &mount, &err), &err);
    assert_ok(ol_snapshot_mount_at(&mount, t->target, &err), &err);
    fd = open(t->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_ok(ol_rootfs_open_dir(fd, &fs, &err), &err);
    return fs;
}

struct ol_rootfs *teller_mount(struct teller *t, unsigned container)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_rootfs *fs = NULL;
    char key[32];

    container_key(container, key);
    if (t->sn != NULL)
        return mount_snapshot(t, key);
    assert_ok(ol_driver_rootfs(t->drv, t->made[container].mount_id, &fs, &err), &err);
    return fs;
}

void teller_unmount(struct teller *t, struct ol_rootfs *fs)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_rootfs_close(fs, &err), &err);
    if (t->sn != NULL && t->way.mounts)
        assert_ok(ol_mount_detach(t->target, &err), &err);
}

void teller_commit(struct teller *t, unsigned container, unsigned image)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_store_commit commit;
    char key[32];
    char name[32];

    container_key(container, key);
    image_name(image, name);
    if (t->sn != NULL) {
        assert_ok(ol_snapshots_commit(t->sn, name, key, NULL, NULL, &err), &err);
        return;
    }
    assert_ok(ol_store_commit(t->store, t->made[container].id, &commit, &err), &err);
    memcpy(t->chains[image], commit.layer.chain_id, OL_DIGEST_SIZE);
}

void teller_drop(struct teller *t, unsigned container)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char key[32];

    container_key(container, key);
    if (t->sn != NULL)
        assert_ok(ol_snapshots_remove(t->sn, key, &err), &err);
    else
        assert_ok(ol_store_container_remove(t->store, t->made[container].id, &err), &err);
}

void teller_remove(struct teller *t, unsigned image)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char name[32];

    image_name(image, name);
    if (t->sn != NULL)
        assert_ok(ol_snapshots_remove(t->sn, name, &err), &err);
    else
        assert_ok(ol_store_layer_remove(t->store, t->chains[image], &err), &err);
}

/* ---- peaks ---- */

/* Numbers of inodes; quicker than ol_home_usage_get(), which tells kinds and has threads. */
struct inodes {
    dev_t dev; /* of the home: what is mounted in it is not */
    ino_t *numbers;
    size_t count, cap;
};

static void see_inode(struct inodes *seen, ino_t number)
{
    if (seen->count == seen->cap) {
        seen->cap = seen->cap * 2 + 256;
        seen->numbers = reallocarray(seen->numbers, seen->cap, sizeof *seen->numbers);
        assert_non_null(seen->numbers);
    }
    seen->numbers[seen->count++] = number;
}

/* Takes fd. What vanishes meanwhile counts as gone. */
static void see_all(struct inodes *seen, int fd)
{
    ol_auto_dir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    struct stat st;

    if (dir == NULL || fstat(fd, &st) < 0 || st.st_dev != seen->dev)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        see_inode(seen, entry->d_ino);
        if (entry->d_type == DT_DIR)
            see_all(seen,
                    openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    }
}

static int by_number(const void *a, const void *b)
{
    ino_t x = *(const ino_t *)a;
    ino_t y = *(const ino_t *)b;

    return (x > y) - (x < y);
}

static int64_t count_now(int home_fd)
{
    struct inodes seen = {.numbers = NULL};
    int64_t different = 0;
    struct stat st;

    assert_int_equal(fstat(home_fd, &st), 0);
    seen.dev = st.st_dev;
    see_all(&seen, openat(home_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (seen.count > 0)
        qsort(seen.numbers, seen.count, sizeof *seen.numbers, by_number);
    for (size_t i = 0; i < seen.count; i++)
        different += i == 0 || seen.numbers[i] != seen.numbers[i - 1] ? 1 : 0;
    free(seen.numbers);
    return different;
}

/* The fault points have no argument for a test: one teller is watched at a time. */
static struct {
    pthread_mutex_t lock;
    int home_fd;
    int64_t before, highest;
} watched = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What makes no inode and removes none: the one before or after it looks at the same. */
static bool is_idle(const char *where)
{
    static const char *const idle[] = {
        "write",       "tar_write",   "copy data", "fsync",       "chmod",         "fchmodat",
        "layer.chmod", "chown",       "fchownat",  "layer.chown", "utimens",       "utimensat",
        "layer.times", "layer.write", "setxattr",  "removexattr", "layer.truncate"};

    for (size_t i = 0; i < OL_ARRAY_LEN(idle); i++) {
        if (strcmp(where, idle[i]) == 0)
            return true;
    }
    return false;
}

static void look(const char *where)
{
    int64_t now;

    if (is_idle(where))
        return;
    (void)pthread_mutex_lock(&watched.lock);
    now = count_now(watched.home_fd);
    if (now > watched.highest)
        watched.highest = now;
    (void)pthread_mutex_unlock(&watched.lock);
}

void peak_begin(struct teller *t)
{
    watched.home_fd = t->home_fd;
    watched.before = watched.highest = count_now(t->home_fd);
    ol_fault_watch(look);
}

int64_t peak_end(struct teller *t)
{
    int64_t now = count_now(t->home_fd);

    ol_fault_watch(NULL);
    return (now > watched.highest ? now : watched.highest) - watched.before;
}
