/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole docker commit over any driver, cut into steps so that only the commit itself is timed:
 * DIR holds the driver's home and the layer store, DIR/container the id to commit.
 */
#include "bench/peers/op.h"
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "drivers/rootfs.h"
#include "store/store.h"

#include <fcntl.h>

struct bench_store {
    char *home; /* owned */
    char *dir;  /* owned */
    struct ol_driver *driver;
    struct ol_store *store;
};

static void bench_store_close(struct bench_store *s)
{
    ol_store_close(s->store);
    ol_driver_close(s->driver);
    free(s->home);
    free(s->dir);
}

static int bench_store_open(const char *dir, const char *driver, struct bench_store *s,
                            struct ol_error *err)
{
    const struct ol_store_options options = {.sync = true};
    struct ol_driver_config config = {.view = OL_VIEW_KERNEL, .keep_owner = true};
    int r;

    if (asprintf(&s->home, "%s/home", dir) < 0)
        s->home = NULL;
    if (asprintf(&s->dir, "%s/store", dir) < 0)
        s->dir = NULL;
    if (s->home == NULL || s->dir == NULL)
        return ol_error_nomem(err);
    config.home = s->home;
    r = ol_driver_open(driver, &config, &s->driver, err);
    return r < 0 ? r : ol_store_open(s->dir, s->driver, &options, &s->store, err);
}

static int change_one_file(struct bench_store *s, const char *mount_id, struct ol_error *err)
{
    static const char text[] = "what the container changed\n";
    struct ol_rootfs *fs = NULL;
    int r = ol_driver_rootfs(s->driver, mount_id, &fs, err);
    int closed;

    if (r < 0)
        return r;
    r = ol_rootfs_create(fs, "added-by-the-container", 0644, text, sizeof text - 1, err);
    closed = ol_rootfs_close(fs, r < 0 ? NULL : err);
    return r < 0 ? r : closed;
}

static int prepare(struct bench_store *s, char **operands, struct ol_error *err)
{
    ol_auto_fd int dir_fd = -1;
    ol_auto_fd int tar = open(operands[2], O_RDONLY | O_CLOEXEC);
    struct ol_input input = OL_INPUT_FD(tar);
    struct ol_store_container container;
    struct ol_store_layer layer;
    int r;

    if (tar < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", operands[2]);
    r = ol_store_register(s->store, NULL, &input, NULL, &layer, NULL, NULL, NULL, err);
    if (r == 0)
        r = ol_store_container_create(s->store, layer.chain_id, &container, err);
    if (r == 0)
        r = change_one_file(s, container.mount_id, err);
    if (r == 0)
        r = bench_open_dir(operands[0], &dir_fd, err);
    if (r == 0)
        r = ol_fs_write_file(dir_fd, "container", container.id, strlen(container.id), 0600, err);
    return r;
}

static int op_commit_prepare(char **operands, struct ol_error *err)
{
    struct bench_store s = {0};
    int r = bench_store_open(operands[0], operands[1], &s, err);

    if (r == 0)
        r = prepare(&s, operands, err);
    bench_store_close(&s);
    return r;
}

static int read_id(const char *dir, const char *file, struct ol_buf *ret, struct ol_error *err)
{
    ol_auto_fd int dir_fd = -1;
    int r = bench_open_dir(dir, &dir_fd, err);

    return r < 0 ? r : ol_fs_read_file(dir_fd, file, OL_SMALL_FILE_MAX, ret, err);
}

/* What a running engine has done before: the driver's probe for native diffs mounts and unmounts.
 */
static int warm_up(struct bench_store *s, struct ol_error *err)
{
    ol_auto_pairs struct ol_pairs status = {0};

    return ol_driver_status(s->driver, &status, err);
}

/* For the undo. */
static int note_layer(const char *dir, const char *chain_id, struct ol_error *err)
{
    ol_auto_fd int dir_fd = -1;
    int r = bench_open_dir(dir, &dir_fd, err);

    return r < 0 ? r : ol_fs_write_file(dir_fd, "committed", chain_id, strlen(chain_id), 0600, err);
}

static int op_commit(char **operands, struct ol_error *err)
{
    struct bench_store s = {0};
    ol_auto_buf struct ol_buf id = OL_BUF_INIT;
    struct ol_store_commit commit;
    uint64_t begin = 0;
    int r = read_id(operands[0], "container", &id, err);

    if (r == 0)
        r = bench_store_open(operands[0], operands[1], &s, err);
    if (r == 0)
        r = warm_up(&s, err);
    if (r == 0) {
        begin = bench_now_ns();
        r = ol_store_commit(s.store, ol_buf_str(&id), &commit, err);
    }
    if (r == 0)
        r = bench_note_time(bench_now_ns() - begin, err);
    if (r == 0)
        r = note_layer(operands[0], commit.layer.chain_id, err);
    bench_store_close(&s);
    return r;
}

static int op_commit_undo(char **operands, struct ol_error *err)
{
    struct bench_store s = {0};
    ol_auto_buf struct ol_buf chain = OL_BUF_INIT;
    int r = read_id(operands[0], "committed", &chain, err);

    if (r == 0)
        r = bench_store_open(operands[0], operands[1], &s, err);
    if (r == 0)
        r = ol_store_layer_remove(s.store, ol_buf_str(&chain), err);
    bench_store_close(&s);
    return r;
}

const struct bench_op bench_commit_ops[] = {
    {"commit-prepare", "DIR DRIVER BASE-TAR", 3, op_commit_prepare},
    {"commit", "DIR DRIVER", 2, op_commit},
    {"commit-undo", "DIR DRIVER", 2, op_commit_undo},
    {0},
};
