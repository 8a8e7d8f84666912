/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker commit (moby daemon/commit.go): the diff of the container's layer, written by a thread of
 * its own, is registered as a new layer while it is being written. One bounded pipe joins the two.
 *
 * Whichever side fails first closes its end of the pipe, and the other one ends with it: a diff
 * whose reader is gone gets EPIPE, an apply whose writer is gone sees a cut stream. What is
 * reported is the failure that came first, not the one that followed.
 */
#include "store/store_internal.h"

#include "common/cleanup.h"
#include "drivers/rootfs.h"
#include "store/thread.h"

#include <errno.h>
#include <stdatomic.h>

enum side { SIDE_NONE, SIDE_DIFF, SIDE_APPLY };

struct commit {
    struct ol_store *store;
    struct ol_store_container container;
    char init_id[OL_HEX_SIZE + 8];
    struct ol_register reg;
    int read_fd;       /* owned: the applying side */
    int write_fd;      /* owned by the diff thread while it runs */
    atomic_int failed; /* enum side: who failed first */
    pthread_t thread;
    bool running;    /* the thread is to be joined */
    int diff_result; /* these three belong to the thread until it is joined */
    struct ol_error diff_err;
    uint64_t diff_ns;
};

/* Before the own end of the pipe is closed, so that what follows from it cannot come first. */
static void claim(struct commit *c, enum side side)
{
    int none = SIDE_NONE;

    (void)atomic_compare_exchange_strong(&c->failed, &none, side); /* the first one stays */
}

static void *diff_run(void *arg)
{
    struct commit *c = arg;
    uint64_t start = ol_store_clock_ns();

    /* without a result: the other side digests the same bytes, once is enough */
    c->diff_result = ol_driver_diff(c->store->drv, c->container.mount_id, c->init_id, &c->write_fd,
                                    NULL, &c->diff_err);
    c->diff_ns = ol_store_clock_ns() - start;
    if (c->diff_result < 0)
        claim(c, SIDE_DIFF);
    ol_fd_close(&c->write_fd);
    return NULL;
}

/* Which of two failures is the cause. */
static int settle(struct commit *c, int applied, struct ol_error *err)
{
    bool diff_first = atomic_load(&c->failed) == SIDE_DIFF && c->diff_result != -EPIPE;

    if (c->diff_result < 0 && (applied >= 0 || diff_first)) {
        ol_error_fini(err);
        ol_error_move(err, &c->diff_err);
        return c->diff_result;
    }
    return applied;
}

static int start_diff(struct commit *c, struct ol_error *err)
{
    int ends[2] = {-1, -1};
    int r = ol_io_pipe(ends, err);

    if (r < 0)
        return r;
    c->read_fd = ends[0];
    c->write_fd = ends[1];
    r = ol_thread_start(&c->thread, diff_run, c, err);
    c->running = r == 0;
    return r;
}

/* ApplyDiff of what the diff writes meanwhile. */
static int apply(struct commit *c, struct ol_error *err)
{
    struct ol_input input = OL_INPUT_FD(c->read_fd);
    int r = ol_register_apply(&c->reg, &input, NULL, err);

    if (r < 0)
        claim(c, SIDE_APPLY);
    ol_fd_close(&c->read_fd);
    return r;
}

/* Wait for the diff. @return which result of the two counts */
static int end_diff(struct commit *c, int applied, struct ol_error *err)
{
    if (!c->running)
        return applied;
    (void)pthread_join(c->thread, NULL);
    c->running = false;
    return settle(c, applied, err);
}

/* The extra mount reference moby holds for the whole export. */
struct hold {
    char *path;           /* owned: got, to be put */
    struct ol_rootfs *fs; /* owned: open, to be closed */
};

/*
 * The direct view opens the root instead: that leaves in the layer what the mount would have (the
 * cached whiteout of an earlier session goes). A root that is open already is a nested get.
 */
static int hold_layer(struct ol_driver *drv, const char *id, struct hold *ret, struct ol_error *err)
{
    bool direct = ol_driver_config_of(drv)->view == OL_VIEW_DIRECT;
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r;

    if (!direct || (ol_driver_caps(drv) & OL_CAP_KEEPS_DATA) == 0)
        return ol_driver_get(drv, id, &ret->path, err);
    r = ol_driver_rootfs(drv, id, &ret->fs, &why);
    if (r == -EBUSY)
        return 0;
    if (r < 0)
        ol_error_move(err, &why);
    return r;
}

/* Letting the layer go, in a thread of its own; but for the first two all is the thread's. */
struct release {
    struct ol_driver *drv;
    const char *id;
    struct hold hold; /* taken over */
    int result;
    struct ol_error err; /* owned */
};

static void *release_run(void *arg)
{
    struct release *release = arg;
    ol_auto_free char *path = release->hold.path;

    if (path != NULL)
        release->result = ol_driver_put(release->drv, release->id, &release->err);
    else
        release->result = ol_rootfs_close(release->hold.fs, &release->err);
    return NULL;
}

static bool is_empty(const struct commit *c)
{
    return strcmp(c->reg.apply.layer.diff_id, OL_EMPTY_DIFF_ID) == 0;
}

/*
 * Unmounting drops each inode the diff looked at and writes back the file system below, a third of
 * what the rest takes: so the two mounts are taken down at the same time, the parent's by the
 * diff's thread, and the metadata is written and synced meanwhile.
 */
static int write_and_release(struct commit *c, struct release *release, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    pthread_t thread;
    bool beside = ol_thread_start(&thread, release_run, release, &why) == 0;
    int r = is_empty(c) ? 0 : ol_register_write(&c->reg, err);

    if (beside)
        (void)pthread_join(thread, NULL);
    else
        (void)release_run(release);
    return r;
}

static int stream_held(struct commit *c, struct ol_error *err)
{
    struct release release = {
        .drv = c->store->drv, .id = c->container.mount_id, .err = OL_ERROR_INIT};
    int r = hold_layer(release.drv, release.id, &release.hold, err);

    if (r < 0)
        return r;
    r = ol_register_begin(&c->reg, c->store, c->container.parent, err);
    if (r == 0)
        r = start_diff(c, err);
    if (r == 0)
        r = apply(c, err);
    if (r == 0) {
        r = write_and_release(c, &release, err);
        r = end_diff(c, r, err);
    } else {
        r = end_diff(c, r, err); /* nobody may be reading the layer when it is let go */
        (void)release_run(&release);
    }
    if (r == 0 && release.result < 0) {
        r = release.result;
        ol_error_move(err, &release.err);
    }
    ol_error_fini(&release.err);
    return r;
}

/* An empty diff adds no layer (moby: the image keeps its rootfs); the result is the image's own. */
static int finish(struct commit *c, struct ol_store_commit *ret, struct ol_error *err)
{
    ret->empty = is_empty(c);
    if (!ret->empty)
        return ol_register_commit(&c->reg, &ret->layer, &ret->existed, err);
    if (c->container.parent[0] == '\0')
        return 0;
    return ol_store_layer_get(c->store, c->container.parent, &ret->layer, err);
}

static int run(struct commit *c, struct ol_store_commit *ret, struct ol_error *err)
{
    int r = stream_held(c, err);
    int ended;

    if (r == 0)
        r = finish(c, ret, err);
    if (c->reg.store == NULL) /* never begun */
        return r;
    ended = ol_register_end(&c->reg, r < 0 ? NULL : err);
    return r < 0 ? r : ended;
}

/* What went through the pipe, as the side that read it to the end saw it. */
static struct ol_tar_result stream_result(const struct ol_layer_result *layer)
{
    struct ol_tar_result diff = {.bytes = layer->stream_bytes, .entries = layer->entries};

    memcpy(diff.diff_id, layer->diff_id, sizeof diff.diff_id);
    return diff;
}

int ol_store_commit(struct ol_store *store, const char *container_id, struct ol_store_commit *ret,
                    struct ol_error *err)
{
    struct commit c = {.store = store, .read_fd = -1, .write_fd = -1, .diff_err = OL_ERROR_INIT};
    struct ol_store_commit done;
    uint64_t start = ol_store_clock_ns();
    int r;

    memset(&done, 0, sizeof done);
    r = ol_store_hold_container(store, container_id, &c.container, err);
    if (r < 0)
        return r;
    (void)snprintf(c.init_id, sizeof c.init_id, "%s-init", c.container.mount_id);
    r = run(&c, &done, err);
    ol_store_release_container(store, container_id);
    ol_fd_close(&c.read_fd);
    ol_fd_close(&c.write_fd);
    ol_error_fini(&c.diff_err);
    if (r < 0)
        return ol_error_wrap(err, r, "cannot commit container '%s'", container_id);
    done.apply = c.reg.apply;
    done.diff = stream_result(&done.apply.layer);
    done.times = c.reg.times;
    done.times.diff_ns = c.diff_ns;
    done.times.total_ns = ol_store_clock_ns() - start;
    *ret = done;
    return 0;
}
