/* SPDX-License-Identifier: Apache-2.0 */
/* Running the rounds; see rounds.h. */
#include "bench/harness/rounds.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* What one pass of one engine through all steps needs. */
struct pass {
    const struct ol_bench_job *job;
    struct ol_bench_engine *bench;
    struct ol_engine *engine;
    int dir_fd;     /* the engine's own directory, for syncfs */
    unsigned round; /* 0 is the warm-up */
    size_t done, total;
    struct ol_engine_usage usage; /* as last counted */
    int *saved;                   /* NULL, or instead of measuring: a descriptor per commit */
};

/* splitmix64 (Steele, Lea, Flood 2014): enough for shuffling, and the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

unsigned *ol_bench_order(const struct ol_bench_job *job, size_t n_engines)
{
    size_t rows = (size_t)job->rounds + (job->warmup ? 1 : 0);
    unsigned *order = calloc(rows * n_engines, sizeof *order);
    uint64_t state = job->seed;

    if (order == NULL)
        return NULL;
    for (size_t row = 0; row < rows; row++) {
        unsigned *at = order + row * n_engines;

        for (size_t i = 0; i < n_engines; i++) { /* Fisher-Yates, inside out */
            size_t j = (size_t)(next_random(&state) % (i + 1));
            at[i] = at[j];
            at[j] = (unsigned)i;
        }
    }
    return order;
}

/* The one call that is timed. */
static int do_step(struct pass *pass, const struct ol_bench_step *step,
                   struct ol_engine_report *report, struct ol_error *err)
{
    const struct ol_engine_ops *ops = pass->bench->ops;
    const struct ol_bench_job *job = pass->job;

    switch (step->op) {
    case OL_STEP_LAYER_APPLY:
        return ops->import_layer(pass->engine, &job->layers[step->index].input,
                                 job->layers[step->index].diff_id, report, err);
    case OL_STEP_CONTAINER_CREATE:
        return ops->container_create(pass->engine, err);
    case OL_STEP_CONTAINER_MOUNT:
        return ops->mount(pass->engine, err);
    case OL_STEP_CONTAINER_CHANGE:
        return ops->change(pass->engine, job->plans[step->index], err);
    case OL_STEP_CONTAINER_UNMOUNT:
        return ops->unmount(pass->engine, err);
    case OL_STEP_COMMIT:
        return ops->commit(pass->engine, report, err);
    case OL_STEP_CONTAINER_REMOVE:
        return ops->container_remove(pass->engine, step->index, err);
    case OL_STEP_IMAGE_REMOVE:
        return ops->image_remove(pass->engine, step->index, err);
    case OL_STEP_OPS:
        break;
    }
    return ol_error_set(err, -EINVAL, "no such step");
}

static void see_peak(struct pass *pass, int64_t inodes)
{
    if (inodes - pass->bench->start_inodes > pass->bench->peak_inodes)
        pass->bench->peak_inodes = inodes - pass->bench->start_inodes;
}

static void record(struct pass *pass, struct ol_bench_step *step, uint64_t wall_ns,
                   const struct ol_engine_report *report, const struct ol_engine_usage *after)
{
    struct ol_engine_usage added = *after;
    bool first = pass->round == (pass->job->warmup ? 0 : 1);

    ol_engine_usage_sum(&added, &pass->usage, -1);
    if (first || added.inodes < step->inodes_min)
        step->inodes_min = added.inodes;
    if (first || added.inodes > step->inodes_max)
        step->inodes_max = added.inodes;
    step->varies = step->inodes_min != step->inodes_max;
    step->added = added;
    if (pass->round == 0) {
        step->warmup_ns = wall_ns;
    } else {
        step->wall_ns[pass->round - 1] = wall_ns;
        step->reports[pass->round - 1] = *report;
    }
    pass->usage = *after;
    see_peak(pass, after->inodes);
}

static void tell_progress(struct pass *pass, const char *step)
{
    struct ol_bench_progress progress = {
        .engine = pass->bench->name,
        .step = step,
        .round = pass->round,
        .rounds = pass->job->rounds,
        .done = pass->done,
        .total = pass->total,
    };

    if (pass->job->progress != NULL)
        pass->job->progress(&progress, pass->job->data);
}

static bool cancelled(const struct ol_bench_job *job)
{
    return job->cancelled != NULL && job->cancelled(job->data);
}

/* What some engines need before the clock starts and after it stopped. */
static int prepare(struct pass *pass, const struct ol_bench_step *step, struct ol_error *err)
{
    const struct ol_bench_layer *layer = &pass->job->layers[step->index];

    if (step->op != OL_STEP_LAYER_APPLY || pass->bench->ops->prepare_layer == NULL)
        return 0;
    return pass->bench->ops->prepare_layer(pass->engine, &layer->input, layer->diff_id, err);
}

static int describe(struct pass *pass, const struct ol_bench_step *step,
                    struct ol_engine_report *report, struct ol_error *err)
{
    if (pass->bench->ops->describe == NULL)
        return 0;
    return pass->bench->ops->describe(pass->engine, step->op, report, err);
}

static int run_step(struct pass *pass, struct ol_bench_step *step, struct ol_error *err)
{
    struct ol_engine_report report = {0};
    struct ol_engine_usage after;
    uint64_t start;
    uint64_t stop;
    int r;

    if (cancelled(pass->job))
        return ol_error_set(err, -ECANCELED, "interrupted");
    tell_progress(pass, ol_step_op_name(step->op));
    r = prepare(pass, step, err);
    if (r < 0)
        return ol_error_wrap(err, r, "preparing %s %u", ol_step_op_name(step->op), step->index);
    if (syncfs(pass->dir_fd) < 0) /* no writeback of earlier steps inside this one */
        return ol_error_sys(err, errno, "cannot sync '%s'", pass->job->dir);
    start = ol_clock_ns();
    r = do_step(pass, step, &report, err);
    stop = ol_clock_ns();
    if (r == 0)
        r = describe(pass, step, &report, err);
    if (r < 0)
        return ol_error_wrap(err, r, "%s %u", ol_step_op_name(step->op), step->index);
    r = pass->bench->ops->usage(pass->engine, &after, err);
    if (r < 0)
        return ol_error_wrap(err, r, "counting after %s", ol_step_op_name(step->op));
    record(pass, step, stop - start, &report, &after);
    ol_trace(OL_TRACE_BENCH, "%s: round %u, %s %u: %" PRIu64 " us", pass->bench->name, pass->round,
             ol_step_op_name(step->op), step->index, (stop - start) / 1000);
    pass->done++;
    return 0;
}

/* The containers beside the commits: counted, not timed. */
static int hold_containers(struct pass *pass, struct ol_error *err)
{
    const struct ol_engine_ops *ops = pass->bench->ops;
    struct ol_engine_usage held;
    int r = 0;

    for (unsigned i = 0; i < pass->job->containers && r == 0; i++) {
        if (cancelled(pass->job))
            return ol_error_set(err, -ECANCELED, "interrupted");
        tell_progress(pass, "containers");
        r = ops->hold(pass->engine, pass->job->containers_of, err);
        if (r < 0)
            return ol_error_wrap(err, r, "container %u beside the commits", i);
    }
    r = ops->usage(pass->engine, &held, err);
    if (r < 0)
        return ol_error_wrap(err, r, "counting containers");
    see_peak(pass, held.inodes);
    pass->bench->held = held;
    pass->bench->has_held = true;
    ol_engine_usage_sum(&pass->bench->held, &pass->usage, -1);
    r = ops->release(pass->engine, err);
    if (r == 0)
        r = ops->usage(pass->engine, &pass->usage, err);
    return r < 0 ? ol_error_wrap(err, r, "removing containers") : 0;
}

/* Everything is there before this step, and then less and less. */
static bool begins_removing(const struct ol_bench_engine *bench, size_t step)
{
    return bench->steps[step].op >= OL_STEP_CONTAINER_REMOVE &&
           (step == 0 || bench->steps[step - 1].op < OL_STEP_CONTAINER_REMOVE);
}

static int save_diff(struct pass *pass, unsigned index, struct ol_error *err)
{
    int fd = open(pass->job->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot make a temporary file in '%s'", pass->job->dir);
    pass->saved[index] = fd;
    return pass->bench->ops->save_diff(pass->engine, fd, err);
}

/* Without clock and count. */
static int save_steps(struct pass *pass, struct ol_error *err)
{
    struct ol_engine_report report = {0};
    int r = 0;

    for (size_t i = 0; i < pass->bench->n_steps && r == 0; i++) {
        const struct ol_bench_step *step = &pass->bench->steps[i];

        if (cancelled(pass->job))
            return ol_error_set(err, -ECANCELED, "interrupted");
        tell_progress(pass, "checking");
        r = prepare(pass, step, err);
        if (r == 0 && step->op == OL_STEP_COMMIT)
            r = save_diff(pass, step->index, err);
        if (r == 0)
            r = do_step(pass, step, &report, err);
        if (r < 0)
            return ol_error_wrap(err, r, "%s %u", ol_step_op_name(step->op), step->index);
    }
    return r;
}

static int run_steps(struct pass *pass, struct ol_error *err)
{
    struct ol_bench_engine *bench = pass->bench;
    int r = bench->ops->usage(pass->engine, &pass->usage, err);

    if (r < 0)
        return ol_error_wrap(err, r, "counting the empty store");
    bench->start_inodes = pass->usage.inodes;
    for (size_t i = 0; i < bench->n_steps; i++) {
        if (pass->job->containers > 0 && bench->ops->hold != NULL && begins_removing(bench, i))
            r = hold_containers(pass, err);
        if (r == 0)
            r = run_step(pass, &bench->steps[i], err);
        if (r < 0)
            return r;
    }
    bench->left_inodes = pass->usage.inodes - bench->start_inodes;
    return 0;
}

static int open_and_run(struct pass *pass, const char *path, struct ol_error *err)
{
    struct ol_engine_config config = {
        .name = pass->bench->name,
        .dir = path,
        .view = pass->job->view,
        .keep_owner = pass->job->keep_owner,
        .commits = pass->job->commits,
        .timeout_s = pass->job->timeout_s,
        .cancelled = pass->job->cancelled,
        .data = pass->job->data,
    };
    int r = pass->bench->ops->open(&config, &pass->engine, err);

    if (r < 0)
        return r;
    memcpy(pass->bench->version, pass->engine->version, sizeof pass->bench->version);
    r = pass->saved != NULL ? save_steps(pass, err) : run_steps(pass, err);
    pass->bench->ops->close(pass->engine);
    pass->engine = NULL;
    return r;
}

/*
 * One engine, once through everything, in a directory of its own that is gone afterwards. Of an
 * engine that may fail the failure is kept with it; what it left behind is not forgiven.
 */
static int run_pass(struct pass *pass, int scratch_fd, struct ol_error *err)
{
    static const char name[] = "engine"; /* the same each time: equal path lengths */
    struct ol_error *failure = pass->bench->optional ? &pass->bench->failure : err;
    ol_auto_fd int dir_fd = -1;
    ol_auto_free char *path = NULL;
    int removed;
    int r;

    if (asprintf(&path, "%s/%s", pass->job->dir, name) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    r = ol_fs_mkdir(scratch_fd, name, 0700, err);
    if (r < 0)
        return r;
    dir_fd = ol_fs_open_dir(scratch_fd, name);
    pass->dir_fd = dir_fd;
    r = dir_fd < 0 ? ol_error_sys(failure, -dir_fd, "cannot open '%s'", path)
                   : open_and_run(pass, path, failure);
    tell_progress(pass, "removing");
    if (r == -ECANCELED && failure != err)
        ol_error_move(err, failure);
    else if (failure != err)
        r = 0;
    removed = ol_tree_remove(scratch_fd, name, r < 0 ? NULL : err); /* the first failure counts */
    return r < 0 ? r : removed;
}

int ol_bench_save_diffs(const struct ol_bench_job *job, struct ol_bench_engine *engine,
                        int *ret_fds, struct ol_error *err)
{
    ol_auto_fd int scratch_fd = ol_fs_open_dir(AT_FDCWD, job->dir);
    struct pass pass = {.job = job, .bench = engine, .saved = ret_fds, .total = 1};
    int r;

    if (engine->ops->save_diff == NULL)
        return 0;
    if (scratch_fd < 0)
        return ol_error_sys(err, -scratch_fd, "cannot open '%s'", job->dir);
    r = run_pass(&pass, scratch_fd, err);
    return r < 0 ? ol_error_wrap(err, r, "%s", engine->name) : 0;
}

static int run_next(const struct ol_bench_job *job, struct ol_bench_engine *engine, size_t turn,
                    size_t n_engines, int scratch_fd, size_t total, size_t *done,
                    struct ol_error *err)
{
    size_t steps = *done + engine->n_steps;
    struct pass pass = {
        .job = job,
        .bench = engine,
        .round = (unsigned)(turn / n_engines) + (job->warmup ? 0 : 1),
        .done = *done,
        .total = total,
    };
    int r = engine->failure.code < 0 ? 0 : run_pass(&pass, scratch_fd, err);

    *done = steps; /* also those an engine that failed does not do any more */
    if (r == -ECANCELED)
        return r;
    return r < 0 ? ol_error_wrap(err, r, "%s", engine->name) : 0;
}

int ol_bench_run(const struct ol_bench_job *job, struct ol_bench_engine *engines, size_t n_engines,
                 const unsigned *order, struct ol_error *err)
{
    size_t rows = (size_t)job->rounds + (job->warmup ? 1 : 0);
    ol_auto_fd int scratch_fd = ol_fs_open_dir(AT_FDCWD, job->dir);
    size_t done = 0;
    size_t total = 0;
    int r = 0;

    if (scratch_fd < 0)
        return ol_error_sys(err, -scratch_fd, "cannot open '%s'", job->dir);
    for (size_t i = 0; i < n_engines; i++)
        total += engines[i].n_steps * rows;
    for (size_t i = 0; i < rows * n_engines && r == 0; i++)
        r = run_next(job, &engines[order[i]], i, n_engines, scratch_fd, total, &done, err);
    return r;
}
