/* SPDX-License-Identifier: Apache-2.0 */
/* From steps and rounds to phases, totals, verdicts and remarks. */
#include "bench/report/internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

void ol_report_fini(struct ol_report *report)
{
    for (size_t i = 0; i < report->n_engines + report->n_hidden; i++) {
        ol_bench_engine_fini(&report->engines[i]);
        if (report->found != NULL) {
            free(report->found[i].commit_seconds);
            free(report->found[i].builds);
        }
    }
    for (size_t i = 0; i < report->n_notes; i++)
        free(report->notes[i].text);
    for (size_t i = 0; i < report->n_left_out; i++) {
        free(report->left_out[i].name);
        free(report->left_out[i].reason);
    }
    ol_report_replay_fini(report);
    free(report->left_out);
    free(report->engines);
    free(report->order);
    free(report->notes);
    free(report->found);
    free(report->verdicts);
    free(report->image.layers);
    free(report->image.source);
    free(report->image.id);
    free(report->backing.fs);
    free(report->backing.mount_options);
    free(report->host.kernel);
    free(report->host.machine);
    *report = (struct ol_report){0};
}

int ol_report_note(struct ol_report *report, bool warning, struct ol_error *err, const char *fmt,
                   ...)
{
    struct ol_report_note *grown = reallocarray(report->notes, report->n_notes + 1,
                                                sizeof *report->notes);
    char *text = NULL;
    va_list ap;
    int len;

    if (grown == NULL)
        return ol_error_nomem(err);
    report->notes = grown;
    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0)
        return ol_error_nomem(err);
    grown[report->n_notes++] = (struct ol_report_note){.text = text, .warning = warning};
    return 0;
}

int ol_report_leave_out(struct ol_report *report, const char *name, bool impossible,
                        const char *reason, struct ol_error *err)
{
    struct ol_report_left_out *grown = reallocarray(report->left_out, report->n_left_out + 1,
                                                    sizeof *report->left_out);
    struct ol_report_left_out *added;

    if (grown == NULL)
        return ol_error_nomem(err);
    report->left_out = grown;
    added = &grown[report->n_left_out++];
    *added = (struct ol_report_left_out){strdup(name), strdup(reason), impossible};
    if (added->name == NULL || added->reason == NULL)
        return ol_error_nomem(err);
    return ol_report_note(report, true, err, "%s is left out: %s", name, reason);
}

int ol_report_host_get(struct ol_report_host *ret, struct ol_error *err)
{
    struct utsname names;
    struct sysinfo info;

    if (uname(&names) < 0 || sysinfo(&info) < 0)
        return ol_error_sys(err, errno, "cannot ask the kernel about this host");
    ret->kernel = strdup(names.release);
    ret->machine = strdup(names.machine);
    if (ret->kernel == NULL || ret->machine == NULL)
        return ol_error_nomem(err);
    ret->cpus = (unsigned)get_nprocs();
    ret->memory_bytes = (uint64_t)info.totalram * info.mem_unit;
    return 0;
}

const char *ol_phase_name(enum ol_phase phase)
{
    static const char *const names[OL_PHASES] = {
        [OL_PHASE_IMPORT] = "import image",
        [OL_PHASE_CREATE] = "create container",
        [OL_PHASE_MOUNT] = "mount",
        [OL_PHASE_CHANGE] = "change files",
        [OL_PHASE_UNMOUNT] = "unmount",
        [OL_PHASE_COMMIT] = "commit",
        [OL_PHASE_CONTAINER_REMOVE] = "remove container",
        [OL_PHASE_COMMIT_REMOVE] = "remove commit",
        [OL_PHASE_IMAGE_REMOVE] = "remove image",
    };

    return (unsigned)phase < OL_PHASES ? names[phase] : NULL;
}

static enum ol_phase phase_of(const struct ol_bench_step *step)
{
    static const enum ol_phase phases[OL_STEP_OPS] = {
        [OL_STEP_LAYER_APPLY] = OL_PHASE_IMPORT,
        [OL_STEP_CONTAINER_CREATE] = OL_PHASE_CREATE,
        [OL_STEP_CONTAINER_MOUNT] = OL_PHASE_MOUNT,
        [OL_STEP_CONTAINER_CHANGE] = OL_PHASE_CHANGE,
        [OL_STEP_CONTAINER_UNMOUNT] = OL_PHASE_UNMOUNT,
        [OL_STEP_COMMIT] = OL_PHASE_COMMIT,
        [OL_STEP_CONTAINER_REMOVE] = OL_PHASE_CONTAINER_REMOVE,
        [OL_STEP_IMAGE_REMOVE] = OL_PHASE_COMMIT_REMOVE,
    };

    if (step->op == OL_STEP_IMAGE_REMOVE && step->index == 0)
        return OL_PHASE_IMAGE_REMOVE;
    return phases[step->op];
}

bool ol_step_is_wrong(const struct ol_bench_step *step)
{
    const struct ol_inode_kinds *is = &step->added.kinds;
    const struct ol_inode_kinds *want = &step->predicted;

    return step->has_prediction &&
           (is->directory != want->directory || is->regular != want->regular ||
            is->symlink != want->symlink || is->device != want->device || is->fifo != want->fifo ||
            is->whiteout != want->whiteout || is->bookkeeping != want->bookkeeping);
}

static int compare_counts(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* A whole number even for an even count: the lower of the two in the middle. */
static int64_t count_median(int64_t *counts, size_t n)
{
    qsort(counts, n, sizeof *counts, compare_counts);
    return counts[(n - 1) / 2];
}

/* Working memory of one phase: one value per step, and one per round. */
struct scratch {
    int64_t *inodes, *predicted, *bytes; /* [n_steps] */
    double *rounds;                      /* [rounds] */
};

static void scratch_fini(struct scratch *scratch)
{
    free(scratch->inodes);
    free(scratch->predicted);
    free(scratch->bytes);
    free(scratch->rounds);
}

static int scratch_init(struct scratch *scratch, size_t n_steps, size_t rounds)
{
    *scratch = (struct scratch){
        .inodes = calloc(n_steps, sizeof *scratch->inodes),
        .predicted = calloc(n_steps, sizeof *scratch->predicted),
        .bytes = calloc(n_steps, sizeof *scratch->bytes),
        .rounds = calloc(rounds + 1, sizeof *scratch->rounds),
    };
    if (scratch->inodes == NULL || scratch->predicted == NULL || scratch->bytes == NULL ||
        scratch->rounds == NULL)
        return -ENOMEM;
    return 0;
}

static int64_t sum_counts(const int64_t *counts, size_t n)
{
    int64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += counts[i];
    return sum;
}

/* Add this step's time to every round. */
static void add_rounds(double *rounds, const struct ol_bench_step *step, size_t n_rounds)
{
    for (size_t i = 0; i < n_rounds; i++)
        rounds[i] += (double)step->wall_ns[i] / 1e9;
}

static int fill_phase(const struct ol_report *report, const struct ol_bench_engine *engine,
                      enum ol_phase phase, struct scratch *scratch, struct ol_report_phase *ret)
{
    size_t n_rounds = report->workload.rounds;
    size_t n = 0;

    memset(scratch->rounds, 0, n_rounds * sizeof *scratch->rounds);
    ret->has_prediction = true;
    for (size_t i = 0; i < engine->n_steps; i++) {
        const struct ol_bench_step *step = &engine->steps[i];

        if (phase_of(step) != phase)
            continue;
        scratch->inodes[n] = step->added.inodes;
        scratch->bytes[n] = step->added.bytes;
        scratch->predicted[n] = ol_inode_kinds_total(&step->predicted);
        ret->has_prediction = ret->has_prediction && step->has_prediction;
        add_rounds(scratch->rounds, step, n_rounds);
        n++;
    }
    ret->present = n > 0;
    if (n == 0)
        return 0;
    if (phase == OL_PHASE_IMPORT) {
        ret->inodes = sum_counts(scratch->inodes, n);
        ret->bytes = sum_counts(scratch->bytes, n);
        ret->predicted = sum_counts(scratch->predicted, n);
    } else {
        ret->inodes = count_median(scratch->inodes, n);
        ret->bytes = count_median(scratch->bytes, n);
        ret->predicted = count_median(scratch->predicted, n);
        for (size_t i = 0; i < n_rounds; i++)
            scratch->rounds[i] /= (double)n;
    }
    return n_rounds == 0 ? 0 : ol_summary_make(scratch->rounds, n_rounds, &ret->seconds);
}

enum part {
    PART_CREATE,
    PART_DIFF,
    PART_APPLY,
    PART_METADATA,
    PART_SCAN,
    PART_TRANSACTION,
    PART_SYNC,
    PART_SLEEP,
    PART_REST
};

/* The diff runs beside apply and metadata, until it has unmounted the parent: the longer side
 * counts. */
static uint64_t rest_ns(const struct ol_store_times *times, uint64_t wall_ns)
{
    uint64_t beside = times->apply_ns + times->metadata_ns;
    uint64_t known = times->create_ns + (times->diff_ns > beside ? times->diff_ns : beside);

    return wall_ns > known ? wall_ns - known : 0;
}

static double part_seconds(const struct ol_engine_report *report, uint64_t wall_ns, enum part part)
{
    const uint64_t ns[] = {
        [PART_CREATE] = report->times.create_ns,
        [PART_DIFF] = report->times.diff_ns,
        [PART_APPLY] = report->times.apply_ns,
        [PART_METADATA] = report->times.metadata_ns,
        [PART_SCAN] = report->metadata.scan_ns,
        [PART_TRANSACTION] = report->metadata.transaction_ns,
        [PART_SYNC] = report->metadata.sync_ns,
        [PART_SLEEP] = report->avoided_sleep_ns,
        [PART_REST] = rest_ns(&report->times, wall_ns),
    };

    return (double)ns[part] / 1e9;
}

/* Per round, the mean over the commits of one part. */
static int fill_part(const struct ol_report *report, const struct ol_bench_engine *engine,
                     enum part part, double *rounds, struct ol_summary *ret)
{
    size_t n_rounds = report->workload.rounds;
    size_t n = 0;

    memset(rounds, 0, n_rounds * sizeof *rounds);
    for (size_t i = 0; i < engine->n_steps; i++) {
        const struct ol_bench_step *step = &engine->steps[i];

        if (step->op != OL_STEP_COMMIT)
            continue;
        n++;
        for (size_t round = 0; round < n_rounds; round++)
            rounds[round] += part_seconds(&step->reports[round], step->wall_ns[round], part);
    }
    for (size_t round = 0; round < n_rounds && n > 0; round++)
        rounds[round] /= (double)n;
    return ol_summary_make(rounds, n_rounds, ret);
}

static int fill_parts(const struct ol_report *report, const struct ol_bench_engine *engine,
                      double *rounds, struct ol_report_engine *found)
{
    struct ol_summary sleep = {0};
    struct ol_summary *const parts[] = {
        [PART_CREATE] = &found->create, [PART_DIFF] = &found->diff,
        [PART_APPLY] = &found->apply,   [PART_METADATA] = &found->metadata,
        [PART_SCAN] = &found->scan,     [PART_TRANSACTION] = &found->transaction,
        [PART_SYNC] = &found->sync,     [PART_REST] = &found->rest,
    };
    int r = 0;

    for (enum part part = 0; part < OL_ARRAY_LEN(parts) && r == 0; part++) {
        if (parts[part] != NULL)
            r = fill_part(report, engine, part, rounds, parts[part]);
    }
    if (r == 0) /* last: its rounds are what is left in the array */
        r = fill_part(report, engine, PART_SLEEP, rounds, &sleep);
    if (r < 0)
        return r;
    for (size_t i = 0; i < report->workload.rounds; i++)
        found->avoided_sleep += rounds[i] / report->workload.rounds;
    return 0;
}

static void count_odds(const struct ol_bench_engine *engine, struct ol_report_engine *found)
{
    for (size_t i = 0; i < engine->n_steps; i++) {
        const struct ol_bench_step *step = &engine->steps[i];

        found->wrong_steps += ol_step_is_wrong(step);
        if (step->op == OL_STEP_LAYER_APPLY || step->op == OL_STEP_COMMIT) {
            found->squashed_owners += step->reports[0].squashed_owners;
            found->skipped_devices += step->reports[0].skipped_devices;
        }
    }
}

static int conclude_engine(const struct ol_report *report, size_t index,
                           struct ol_report_engine *found)
{
    const struct ol_bench_engine *engine = &report->engines[index];
    struct scratch scratch;
    int r = scratch_init(&scratch, engine->n_steps, report->workload.rounds);

    for (enum ol_phase phase = 0; phase < OL_PHASES && r == 0; phase++) {
        r = fill_phase(report, engine, phase, &scratch, &found->phases[phase]);
        if (r == 0 && phase == OL_PHASE_COMMIT)
            memcpy(found->commit_seconds, scratch.rounds,
                   report->workload.rounds * sizeof *scratch.rounds);
    }
    if (r == 0 && report->workload.rounds > 0)
        r = fill_parts(report, engine, scratch.rounds, found);
    if (r == 0)
        r = ol_report_fill_builds(report, engine, scratch.rounds, found);
    if (report->workload.rounds > 0)
        count_odds(engine, found);
    scratch_fini(&scratch);
    return r;
}

/* Counts are exact: the same in every round, or else the range over the rounds says how much. */
static void count_verdict(const struct ol_report *report, const char *metric, size_t a, size_t b,
                          int64_t count_a, int64_t count_b, struct ol_report_verdict *ret)
{
    bool varies = false;

    for (size_t i = 0; i < report->engines[a].n_steps; i++)
        varies = varies ||
                 (report->engines[a].steps[i].op == OL_STEP_COMMIT &&
                  (report->engines[a].steps[i].varies || report->engines[b].steps[i].varies));
    *ret = (struct ol_report_verdict){.metric = metric, .of = a, .over = b};
    if (count_b > count_a) {
        ret->of = b;
        ret->over = a;
    }
    ret->ratio = count_b > count_a ? (double)count_b / (double)count_a
                                   : (double)count_a / (double)count_b;
    ret->low = ret->high = ret->ratio;
    ret->confidence = varies ? 0 : 1;
    ret->clear = !varies && count_a != count_b;
}

static int time_verdict(const struct ol_report *report, size_t a, size_t b,
                        struct ol_report_verdict *ret)
{
    struct ol_summary ratio;
    bool swap = report->found[a].phases[OL_PHASE_COMMIT].seconds.median <
                report->found[b].phases[OL_PHASE_COMMIT].seconds.median;
    size_t of = swap ? b : a;
    size_t over = swap ? a : b;
    int r = ol_summary_ratio(report->found[of].commit_seconds, report->found[over].commit_seconds,
                             report->workload.rounds, &ratio);

    if (r < 0)
        return r;
    *ret = (struct ol_report_verdict){
        .metric = "seconds_per_commit",
        .of = of,
        .over = over,
        .ratio = ratio.median,
        .low = ratio.low,
        .high = ratio.high,
        .confidence = ratio.confidence,
        .clear = ol_summary_is_clear(&ratio),
    };
    return 0;
}

static int judge_pair(struct ol_report *report, size_t a, size_t b)
{
    const struct ol_report_phase *pa = &report->found[a].phases[OL_PHASE_COMMIT];
    const struct ol_report_phase *pb = &report->found[b].phases[OL_PHASE_COMMIT];
    bool ran = report->workload.rounds > 0;
    int64_t ia = ran ? pa->inodes : pa->predicted;
    int64_t ib = ran ? pb->inodes : pb->predicted;
    int r;

    if (!pa->present || !pb->present)
        return 0;
    if (ia > 0 && ib > 0)
        count_verdict(report, "inodes_per_commit", a, b, ia, ib,
                      &report->verdicts[report->n_verdicts++]);
    if (pa->bytes > 0 && pb->bytes > 0)
        count_verdict(report, "bytes_per_commit", a, b, pa->bytes, pb->bytes,
                      &report->verdicts[report->n_verdicts++]);
    if (!ran)
        return 0;
    r = time_verdict(report, a, b, &report->verdicts[report->n_verdicts]);
    if (r == 0)
        report->n_verdicts++;
    return r == -ENOMEM ? r : 0; /* -EINVAL: a time of 0 gives no ratio, and no verdict */
}

/* What the reader has to know before believing a number. */
static int remark_engine(struct ol_report *report, size_t index, struct ol_error *err)
{
    const struct ol_bench_engine *engine = &report->engines[index];
    const struct ol_report_engine *found = &report->found[index];
    int r = 0;

    for (size_t i = 0; i < engine->n_steps && r == 0; i++) {
        const struct ol_bench_step *step = &engine->steps[i];

        if (step->varies)
            r = ol_report_note(report, true, err,
                               "%s: %s %u added %" PRId64 " to %" PRId64
                               " inodes, not the same in every round",
                               engine->name, ol_step_op_name(step->op), step->index,
                               step->inodes_min, step->inodes_max);
    }
    if (r == 0 && engine->left_inodes != 0)
        r = ol_report_note(report, true, err,
                           "%s: %" PRId64 " inodes were left after everything was removed",
                           engine->name, engine->left_inodes);
    if (r == 0 && found->skipped_devices > 0)
        r = ol_report_note(report, true, err,
                           "%s: %" PRIu64
                           " device entries could not be made without privileges and "
                           "are missing from the counts",
                           engine->name, found->skipped_devices);
    if (r == 0 && found->squashed_owners > 0)
        r = ol_report_note(report, false, err,
                           "%s: the owner of %" PRIu64 " entries could not be kept in this view; "
                           "counts are not affected",
                           engine->name, found->squashed_owners);
    if (r == 0 && ol_samples_drift(found->commit_seconds, report->workload.rounds))
        r = ol_report_note(report, true, err,
                           "%s: commit times drift over the rounds: the machine was not at rest",
                           engine->name);
    return r;
}

/* The engine of ours that a real one is held against; NULL when it takes no part. */
static const struct ol_bench_engine *counterpart(const struct ol_report *report,
                                                 const struct ol_bench_engine *real)
{
    const char *slash = strchr(real->name, '/');

    for (size_t i = 0; i < report->n_engines && real->optional && slash != NULL; i++) {
        if (strcmp(report->engines[i].name, slash + 1) == 0)
            return &report->engines[i];
    }
    return NULL;
}

/* "docker/overlay2 20.10.24 adds the same inodes as overlay2 in all 25 steps". */
static int remark_parity(struct ol_report *report, size_t index, struct ol_error *err)
{
    const struct ol_bench_engine *real = &report->engines[index];
    const struct ol_bench_engine *ours = counterpart(report, real);
    size_t first = SIZE_MAX;
    size_t different = 0;

    if (ours == NULL)
        return 0;
    for (size_t i = 0; i < real->n_steps; i++) {
        if (real->steps[i].added.inodes == ours->steps[i].added.inodes)
            continue;
        if (different++ == 0)
            first = i;
    }
    if (different == 0)
        return ol_report_note(report, false, err,
                              "%s (%s) adds the same number of inodes as %s in all %zu steps",
                              real->name, real->version, ours->name, real->n_steps);
    return ol_report_note(
        report, true, err,
        "%s (%s) and %s do not add the same inodes in %zu of %zu steps; first %s %u: %" PRId64
        " and %" PRId64,
        real->name, real->version, ours->name, different, real->n_steps,
        ol_step_op_name(real->steps[first].op), real->steps[first].index,
        real->steps[first].added.inodes, ours->steps[first].added.inodes);
}

static int remark_rounds(struct ol_report *report, struct ol_error *err)
{
    if (report->workload.rounds > 0 && report->workload.rounds < 5)
        return ol_report_note(
            report, false, err, "%u %s too few to tell times apart: use --rounds 5 or more",
            report->workload.rounds, report->workload.rounds == 1 ? "round is" : "rounds are");
    return 0;
}

int ol_report_conclude(struct ol_report *report, struct ol_error *err)
{
    size_t n = report->n_engines + report->n_hidden;
    int r = 0;

    report->found = calloc(n, sizeof *report->found);
    report->verdicts = calloc(3 * n * n, sizeof *report->verdicts);
    if (report->found == NULL || report->verdicts == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < n && r == 0; i++) { /* n is at least 1: nobody compares nothing */
        report->found[i].commit_seconds = calloc(report->workload.rounds + 1u, sizeof(double));
        r = report->found[i].commit_seconds == NULL ? -ENOMEM
                                                    : conclude_engine(report, i, &report->found[i]);
    }
    n = report->n_engines; /* the hidden one is judged by nobody */
    for (size_t a = 0; a < n && r == 0; a++) {
        for (size_t b = a + 1; b < n && r == 0; b++)
            r = judge_pair(report, a, b);
    }
    if (r < 0)
        return ol_error_set(err, r, "cannot draw conclusions: %s", strerrordesc_np(-r));
    for (size_t i = 0; i < n && r == 0; i++)
        r = remark_engine(report, i, err);
    for (size_t i = 0; i < n && r == 0; i++)
        r = remark_parity(report, i, err);
    return r < 0 ? r : remark_rounds(report, err);
}
