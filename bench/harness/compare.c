/* SPDX-License-Identifier: Apache-2.0 */
/* One image, every engine, all rounds, a report; see compare.h. */
#include "bench/harness/compare.h"

#include "bench/harness/forecast.h"
#include "bench/harness/fsinfo.h"
#include "bench/harness/image_layers.h"
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

/* Everything a comparison holds while it runs. */
struct comparison {
    const struct ol_compare_options *options;
    struct ol_report *report;
    struct ol_image_layers image;  /* owned; all open while the engines read them */
    struct ol_bench_layer *layers; /* owned */
    unsigned n_layers;
    struct ol_forecast *forecast; /* owned */
};

static void comparison_fini(struct comparison *c)
{
    ol_image_layers_fini(&c->image);
    free(c->layers);
    ol_forecast_free(c->forecast);
}

static bool cancelled(const struct comparison *c)
{
    return c->options->cancelled != NULL && c->options->cancelled(c->options->data);
}

static void tell(const struct comparison *c, const char *step)
{
    const struct ol_bench_progress progress = {.engine = "image", .step = step};

    if (c->options->progress != NULL)
        c->options->progress(&progress, c->options->data);
}

static int open_image(struct comparison *c, struct ol_error *err)
{
    const struct ol_compare_options *options = c->options;
    struct ol_image *image = NULL;
    int r = options->image != NULL ? ol_image_open(options->image, options->dir, &image, err)
                                   : ol_builtin_image_new(options->workload.seed, &image, err);

    if (r == 0)
        r = ol_image_layers_init(&c->image, image, err);
    if (r == 0)
        r = ol_image_layers_settle(&c->image, &c->report->workload, err);
    if (r < 0)
        return r;
    c->n_layers = (unsigned)c->image.count;
    c->layers = calloc(c->n_layers, sizeof *c->layers);
    c->report->image.layers = calloc(c->n_layers, sizeof *c->report->image.layers);
    c->report->image.n_layers = c->n_layers;
    return c->layers == NULL || c->report->image.layers == NULL ? ol_error_nomem(err) : 0;
}

static int open_layer(struct comparison *c, unsigned index, struct ol_error *err)
{
    /* what is replayed is read as files are written: decompressing is not what is timed */
    const struct ol_image_layers_want want = {.spool_dir = c->options->dir,
                                              .plain = c->report->workload.replay};
    int r = ol_image_layers_open(&c->image, index, &want, c->report->image.layers[index].diff_id,
                                 err);

    c->layers[index] = (struct ol_bench_layer){
        .input = c->image.inputs[index],
        .diff_id = ol_image_layer_diff_id(c->image.image, index),
    };
    return r;
}

static int read_layers(struct comparison *c, struct ol_error *err)
{
    int r = 0;

    tell(c, "reading");
    for (unsigned i = 0; i < c->n_layers && r == 0; i++) {
        struct ol_report_layer *layer = &c->report->image.layers[i];
        struct ol_layer_result scan = {0};

        if (cancelled(c))
            return ol_error_set(err, -ECANCELED, "interrupted");
        r = open_layer(c, i, err);
        if (r == 0 && i < ol_report_imported(c->report))
            r = ol_forecast_layer(c->forecast, &c->layers[i].input, OL_SCAN_NO_DIGEST, &scan, err);
        else if (r == 0)
            r = ol_layer_scan_digest(&c->layers[i].input, OL_SCAN_NO_DIGEST, NULL, NULL, NULL,
                                     &scan, err);
        if (r < 0)
            return ol_error_wrap(err, r, "layer %u of '%s'", i, ol_image_source(c->image.image));
        layer->entries = scan.entries;
        layer->bytes = scan.stream_bytes;
    }
    return r;
}

/* The first engine's word: every engine's store digested the same streams. */
static void take_diff_ids(struct comparison *c)
{
    const struct ol_bench_engine *engine = &c->report->engines[0];

    /* the layers are an engine's first steps */
    for (unsigned i = 0; i < ol_report_imported(c->report); i++)
        memcpy(c->report->image.layers[i].diff_id, engine->steps[i].reports[0].diff_id,
               OL_DIGEST_SIZE);
}

static int describe_image(struct comparison *c, struct ol_error *err)
{
    struct ol_report_image *image = &c->report->image;

    take_diff_ids(c);
    /* A root file system has no config: its one layer is its identity. */
    if (ol_image_id(c->image.image)[0] == '\0') {
        int r = ol_image_set_id(c->image.image, image->layers[0].diff_id);
        if (r < 0)
            return ol_error_set(err, r, "cannot name the image");
    }
    image->format = ol_image_format_name(ol_image_format_of(c->image.image));
    image->source = strdup(ol_image_source(c->image.image));
    image->id = strdup(ol_image_id(c->image.image));
    return image->source == NULL || image->id == NULL ? ol_error_nomem(err) : 0;
}

static int note_file_system(struct ol_report *report, const struct ol_fsinfo *info,
                            struct ol_error *err)
{
    int r = 0;

    if (ol_fsinfo_is_slow_ext4(info))
        r = ol_report_note(report, true, err,
                           "this ext4 has no journal: right after files were deleted every create "
                           "is many times slower, so times and ratios are too small or too large; "
                           "use --backing ext4:SIZE or tmpfs:SIZE");
    if (r == 0 && info->counts_links)
        r = ol_report_note(report, false, err,
                           "%s charges every hard link like an inode in 'df -i'; the counts here "
                           "are distinct inodes",
                           info->type);
    if (r == 0 && info->total_inodes == 0)
        r = ol_report_note(report, false, err,
                           "%s reports no inode total, so 'df -i' shows nothing of this",
                           info->type);
    return r;
}

static int describe_backing(struct comparison *c, struct ol_error *err)
{
    struct ol_report_backing *backing = &c->report->backing;
    struct ol_fsinfo info = {0};
    int r = ol_fsinfo_get(c->options->dir, &info, err);

    if (r < 0)
        return r;
    backing->fs = strdup(info.type);
    backing->mount_options = info.options != NULL ? strdup(info.options) : NULL;
    backing->path_kind = c->options->path_kind;
    backing->dedicated = c->options->dedicated;
    backing->block_size = info.block_size;
    backing->inode_size = info.inode_size;
    r = backing->fs == NULL ? ol_error_nomem(err) : note_file_system(c->report, &info, err);
    ol_fsinfo_fini(&info);
    return r;
}

static bool is_asked_for(const struct ol_compare_options *options, const char *name)
{
    for (size_t i = 0; i < options->n_engines; i++) {
        if (strcmp(options->engines[i], name) == 0)
            return true;
    }
    return false;
}

static int add_engine(struct comparison *c, const struct ol_bench_job *job, const char *name,
                      const struct ol_engine_ops *ops, bool optional, struct ol_error *err)
{
    struct ol_report *report = c->report;
    struct ol_bench_engine *engine = &report->engines[report->n_engines];
    int r;

    *engine = (struct ol_bench_engine){.name = strdup(name), .ops = ops, .optional = optional};
    report->n_engines++; /* from here on the report frees it */
    r = engine->name == NULL ? ol_error_nomem(err) : ol_bench_steps_make(job, engine, err);
    if (r == 0)
        ol_forecast_fill(c->forecast, c->options->view != OL_VIEW_DIRECT, engine);
    return r;
}

/* A real engine that cannot run here is left out before anything is started. */
static int add_external(struct comparison *c, const struct ol_bench_job *job,
                        const struct ol_external *external, struct ol_error *err)
{
    const struct ol_engine_config config = {.name = external->name, .view = job->view};
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = external->ops->probe(&config, &why);

    if (r == 0)
        return add_engine(c, job, external->name, external->ops, true, err);
    return ol_report_leave_out(c->report, external->name, true, ol_error_text(&why), err);
}

/* The engines asked for and, last and not shown among them, null: the cost of measuring. */
static int make_engines(struct comparison *c, const struct ol_bench_job *job, struct ol_error *err)
{
    const struct ol_compare_options *options = c->options;
    struct ol_report *report = c->report;
    size_t n_with = options->with != NULL ? options->with->count : 0;
    int r = 0;

    report->engines = calloc(options->n_engines + n_with + 1, sizeof *report->engines);
    if (report->engines == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < options->n_engines && r == 0; i++)
        r = add_engine(c, job, options->engines[i], ol_engine_ops_of(options->engines[i]), false,
                       err);
    for (size_t i = 0; i < n_with && r == 0; i++)
        r = add_external(c, job, options->with->items[i], err);
    if (r < 0 || is_asked_for(options, "null"))
        return r;
    r = add_engine(c, job, "null", &ol_driver_engine_ops, false, err);
    report->n_engines--;
    report->n_hidden = 1;
    return r;
}

/* Take the engine out of the order in which all ran; those behind it move up. */
static void renumber(struct ol_report *report, size_t index)
{
    size_t rows = (size_t)report->workload.rounds + (report->workload.warmup ? 1 : 0);
    size_t n = report->n_engines + report->n_hidden;
    size_t kept = 0;

    for (size_t i = 0; i < rows * n; i++) {
        if (report->order[i] != index)
            report->order[kept++] = report->order[i] - (report->order[i] > index ? 1 : 0);
    }
}

/* What failed on the way has no complete numbers: it is named, with the reason, and left out. */
static int drop_failed(struct ol_report *report, struct ol_error *err)
{
    int r = 0;

    for (size_t i = report->n_engines; i-- > 0 && r == 0;) {
        struct ol_bench_engine *engine = &report->engines[i];
        size_t behind = report->n_engines + report->n_hidden - i - 1;

        if (engine->failure.code == 0)
            continue;
        r = ol_report_leave_out(report, engine->name, false, ol_error_text(&engine->failure), err);
        renumber(report, i);
        ol_bench_engine_fini(engine);
        memmove(engine, engine + 1, behind * sizeof *engine);
        report->n_engines--;
    }
    return r;
}

/* ---- what was replayed, held against the image ---- */

static void close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ol_fd_close(&fds[i]);
}

/* What each engine would make a layer of; -1 where one cannot show it. */
static int save_layers(const struct comparison *c, const struct ol_bench_job *job, int *fds,
                       struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < c->report->n_engines && r == 0; i++)
        r = ol_bench_save_diffs(job, &c->report->engines[i], fds + i * job->commits, err);
    return r;
}

static int compare_layers(const struct comparison *c, const struct ol_bench_job *job,
                          const int *fds, struct ol_error *err)
{
    struct ol_replay_check check = {
        .dir = job->dir,
        .keep_owner = job->keep_owner,
        .layers = c->image.inputs,
        .n_layers = c->n_layers,
        .committed = fds,
        .n_engines = c->report->n_engines,
        .cancelled = job->cancelled,
        .data = job->data,
    };
    ol_auto_free char(*diff_ids)[OL_DIGEST_SIZE] = calloc(c->n_layers, sizeof *diff_ids);

    if (diff_ids == NULL)
        return ol_error_nomem(err);
    for (unsigned i = 0; i < c->n_layers; i++)
        memcpy(diff_ids[i], c->report->image.layers[i].diff_id, OL_DIGEST_SIZE);
    check.diff_ids = (const char(*)[OL_DIGEST_SIZE])diff_ids;
    return ol_replay_check_all(&check, c->report->verdicts_on_layers, err);
}

/* An engine that shows no diff may still have told the DiffID of what it committed. */
static void take_told_diff_ids(const struct comparison *c, size_t engine, unsigned commits)
{
    const struct ol_bench_engine *bench = &c->report->engines[engine];

    for (size_t i = 0; i < bench->n_steps; i++) {
        const struct ol_bench_step *step = &bench->steps[i];
        struct ol_replay_verdict *verdict;

        if (step->op != OL_STEP_COMMIT || step->reports[0].diff_id[0] == '\0')
            continue;
        verdict = &c->report->verdicts_on_layers[engine * commits + step->index];
        memcpy(verdict->diff_id, step->reports[0].diff_id, OL_DIGEST_SIZE);
        verdict->checked = true;
        verdict->same_diff = strcmp(verdict->diff_id,
                                    c->report->image.layers[step->index + 1].diff_id) == 0;
        verdict->tree_known = verdict->same_tree = verdict->same_diff;
    }
}

static int check_replay(struct comparison *c, const struct ol_bench_job *job, struct ol_error *err)
{
    const size_t count = c->report->n_engines * job->commits;
    ol_auto_free int *fds = calloc(count + 1, sizeof *fds);
    int r;

    c->report->verdicts_on_layers = calloc(count + 1, sizeof *c->report->verdicts_on_layers);
    if (fds == NULL || c->report->verdicts_on_layers == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < count; i++)
        fds[i] = -1;
    r = save_layers(c, job, fds, err);
    if (r == 0)
        r = compare_layers(c, job, fds, err);
    for (size_t i = 0; i < c->report->n_engines && r == 0; i++) {
        if (c->report->engines[i].ops->save_diff == NULL)
            take_told_diff_ids(c, i, job->commits);
    }
    close_all(fds, count);
    return r;
}

static int run(struct comparison *c, struct ol_error *err)
{
    const struct ol_compare_options *options = c->options;
    const struct ol_bench_job job = {
        .layers = c->layers,
        .n_layers = (unsigned)ol_report_imported(c->report),
        .plans = ol_forecast_plans(c->forecast),
        .commits = c->report->workload.commits,
        .containers = options->containers,
        .containers_of = c->report->workload.replay ? c->report->workload.commits : 0,
        .rounds = options->workload.rounds,
        .warmup = options->workload.warmup,
        .seed = options->workload.seed,
        .dir = options->dir,
        .view = options->view,
        .keep_owner = ol_view_can_keep_owner(options->dir),
        .timeout_s = options->timeout_s > 0 ? options->timeout_s : OL_ENGINE_TIMEOUT_S,
        .cancelled = options->cancelled,
        .progress = options->progress,
        .data = options->data,
    };
    size_t n_run;
    int r = make_engines(c, &job, err);

    if (r < 0)
        return r;
    n_run = c->report->n_engines + c->report->n_hidden;
    c->report->order = ol_bench_order(&job, n_run);
    if (c->report->order == NULL)
        return ol_error_nomem(err);
    r = ol_bench_run(&job, c->report->engines, n_run, c->report->order, err);
    if (r == 0)
        r = drop_failed(c->report, err);
    return r < 0 || !c->report->workload.replay ? r : check_replay(c, &job, err);
}

static int follow_one(struct comparison *c, const char *engine, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = ol_forecast_follow(c->forecast, engine, c->options->view != OL_VIEW_DIRECT, &why);

    if (r == 0 || r == -ENOENT) /* it will have no predictions */
        return 0;
    ol_error_move(err, &why);
    return r;
}

/* Before anything is read: the oracle keeps an account for each way of keeping layers. */
static int follow_engines(struct comparison *c, struct ol_error *err)
{
    const struct ol_compare_options *options = c->options;
    int r = follow_one(c, "null", err);

    for (size_t i = 0; i < options->n_engines && r == 0; i++)
        r = follow_one(c, options->engines[i], err);
    for (size_t i = 0; options->with != NULL && i < options->with->count && r == 0; i++)
        r = follow_one(c, options->with->items[i]->name, err);
    return r;
}

static int compare(struct comparison *c, struct ol_error *err)
{
    const struct ol_report_workload *work = &c->report->workload; /* commits are settled there */
    int r = describe_backing(c, err);

    if (r == 0)
        r = ol_report_host_get(&c->report->host, err);
    if (r == 0)
        r = open_image(c, err);
    if (r == 0)
        r = ol_forecast_new((unsigned)ol_report_imported(c->report), work->commits, &c->forecast,
                            err);
    if (r == 0)
        r = follow_engines(c, err);
    if (r == 0)
        r = read_layers(c, err);
    if (r == 0 && work->replay)
        r = ol_forecast_replay(c->forecast, c->image.inputs,
                               ol_view_can_keep_owner(c->options->dir), err);
    else if (r == 0)
        r = ol_forecast_commits(c->forecast, &work->changes, work->change_bytes, work->seed, err);
    if (r == 0 && work->replay && c->options->containers > 0)
        r = ol_forecast_hold(c->forecast, err);
    if (r == 0 && work->replay)
        r = ol_image_history_get(ol_image_config_of(c->image.image), c->n_layers,
                                 &c->report->history, err);
    if (r == 0)
        r = run(c, err);
    if (r == 0)
        r = describe_image(c, err);
    return r < 0 ? r : ol_report_conclude(c->report, err);
}

int ol_compare_run(const struct ol_compare_options *options, struct ol_report *ret,
                   struct ol_error *err)
{
    struct comparison c = {.options = options, .report = ret};
    int r;

    *ret = (struct ol_report){.view = options->view, .workload = options->workload};
    r = compare(&c, err);
    comparison_fini(&c);
    return r;
}
