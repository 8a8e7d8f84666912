/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of a report. */
#include "bench/report/internal.h"

#include <inttypes.h>

bool ol_engine_tells_parts(const struct ol_bench_engine *engine)
{
    return !engine->optional;
}

size_t ol_report_baseline(const struct ol_report *report)
{
    size_t best = 0;

    for (size_t i = 1; i < report->n_engines; i++) {
        if (report->found[i].phases[OL_PHASE_COMMIT].inodes <
            report->found[best].phases[OL_PHASE_COMMIT].inodes)
            best = i;
    }
    return best;
}

int ol_text_title(const struct ol_report *report, struct ol_buf *buf)
{
    if (report->workload.replay)
        return ol_buf_puts(buf, "What each build step of this image costs");
    return ol_buf_puts(buf, "What one docker commit costs");
}

static int put_change(struct ol_buf *buf, const char *what, unsigned count, bool *first)
{
    int r;

    if (count == 0)
        return 0;
    r = ol_buf_printf(buf, "%s%u %s", *first ? "" : ", ", count, what);
    *first = false;
    return r;
}

static int put_changes(struct ol_buf *buf, const struct ol_change_mix *mix)
{
    bool first = true;
    int r = put_change(buf, "added", mix->add, &first);

    if (r == 0)
        r = put_change(buf, "modified", mix->modify, &first);
    if (r == 0)
        r = put_change(buf, "deleted", mix->remove, &first);
    if (r == 0)
        r = put_change(buf, "renamed", mix->rename, &first);
    if (r == 0)
        r = put_change(buf, "chmod", mix->chmod, &first);
    if (r == 0)
        r = put_change(buf, "mkdir", mix->mkdir, &first);
    if (r == 0)
        r = put_change(buf, "symlinked", mix->symlink, &first);
    if (r == 0)
        r = put_change(buf, "linked", mix->link, &first);
    if (r == 0)
        r = put_change(buf, "replaced directories", mix->replace, &first);
    return r < 0 || !first ? r : ol_buf_puts(buf, "no changes");
}

int ol_text_commits(struct ol_buf *buf, const struct ol_report_workload *work, const char *each)
{
    int r = ol_buf_printf(buf, "%u %s%s of ", work->commits,
                          work->commits == 1 ? "commit" : "commits", each);

    if (r == 0)
        r = put_changes(buf, &work->changes);
    if (r == 0)
        r = ol_buf_puts(buf, "; ");
    if (r == 0)
        r = ol_human_bytes(buf, (int64_t)work->change_bytes);
    return r < 0 ? r : ol_buf_printf(buf, " a file; seed %" PRIu64, work->seed);
}

/* "built-in (seed 1), 3 layers, 6,768 entries; 3 commits of …" over two lines. */
int ol_text_workload(const struct ol_report *report, struct ol_buf *buf)
{
    const struct ol_report_image *image = &report->image;
    const struct ol_report_workload *work = &report->workload;
    uint64_t entries = 0;
    int r = ol_buf_printf(buf, "Image %s: %zu %s, ", image->source, image->n_layers,
                          image->n_layers == 1 ? "layer" : "layers");

    for (size_t i = 0; i < image->n_layers; i++)
        entries += image->layers[i].entries;
    if (r == 0)
        r = ol_human_count(buf, (int64_t)entries);
    if (r == 0 && work->replay)
        return ol_buf_printf(buf,
                             " entries\n%u %s replayed: each layer's changes made in a container "
                             "on the layers below, and committed; seed %" PRIu64,
                             work->commits, work->commits == 1 ? "layer" : "layers", work->seed);
    if (r == 0)
        r = ol_buf_puts(buf, " entries\n");
    return r < 0 ? r : ol_text_commits(buf, work, "");
}

static const struct ol_report_verdict *find_verdict(const struct ol_report *report,
                                                    const char *metric, size_t a, size_t b)
{
    for (size_t i = 0; i < report->n_verdicts; i++) {
        const struct ol_report_verdict *v = &report->verdicts[i];

        if (strcmp(v->metric, metric) == 0 &&
            ((v->of == a && v->over == b) || (v->of == b && v->over == a)))
            return v;
    }
    return NULL;
}

/* "inodes<TAB>overlay adds 66x as many as overlay2". */
static int put_names(const struct ol_report *report, const struct ol_report_verdict *v,
                     const char *label, const char *verb, const char *comparison,
                     struct ol_buf *buf)
{
    int r = ol_buf_printf(buf, "%s\t%s %s ", label, report->engines[v->of].name, verb);

    if (r == 0)
        r = ol_human_ratio(buf, v->ratio);
    return r < 0 ? r : ol_buf_printf(buf, " %s %s", comparison, report->engines[v->over].name);
}

static int put_inodes(const struct ol_report *report, size_t a, size_t b, struct ol_buf *buf)
{
    const struct ol_report_verdict *v = find_verdict(report, "inodes_per_commit", a, b);
    int r;

    if (v == NULL)
        return 0;
    if (!v->clear)
        return ol_buf_printf(buf, "inodes\t%s and %s add the same\n", report->engines[a].name,
                             report->engines[b].name);
    r = put_names(report, v, "inodes", "adds", "as many as", buf);
    if (r == 0)
        r = ol_buf_puts(buf, " (");
    if (r == 0)
        r = ol_human_count(buf, report->found[v->of].phases[OL_PHASE_COMMIT].inodes);
    if (r == 0)
        r = ol_buf_puts(buf, " against ");
    if (r == 0)
        r = ol_human_count(buf, report->found[v->over].phases[OL_PHASE_COMMIT].inodes);
    return r < 0 ? r : ol_buf_puts(buf, ")\n");
}

static int put_bytes(const struct ol_report *report, size_t a, size_t b, struct ol_buf *buf)
{
    const struct ol_report_verdict *v = find_verdict(report, "bytes_per_commit", a, b);
    int r;

    if (v == NULL || !v->clear)
        return 0;
    r = put_names(report, v, "disk", "takes", "as much as", buf);
    if (r == 0)
        r = ol_buf_puts(buf, " (");
    if (r == 0)
        r = ol_human_bytes(buf, report->found[v->of].phases[OL_PHASE_COMMIT].bytes);
    if (r == 0)
        r = ol_buf_puts(buf, " against ");
    if (r == 0)
        r = ol_human_bytes(buf, report->found[v->over].phases[OL_PHASE_COMMIT].bytes);
    return r < 0 ? r : ol_buf_puts(buf, ")\n");
}

/* A winner is named only outside the noise; what the rounds said is shown in any case. */
static int put_time(const struct ol_report *report, size_t a, size_t b, struct ol_buf *buf)
{
    const struct ol_report_verdict *v = find_verdict(report, "seconds_per_commit", a, b);
    int r;

    if (v == NULL)
        return 0;
    if (v->clear)
        r = put_names(report, v, "time", "takes", "as long as", buf);
    else
        r = ol_buf_printf(buf, "time\t%s between %s and %s",
                          v->low > 1 || v->high < 1 ? "too few rounds to judge"
                                                    : "no difference beyond the noise",
                          report->engines[v->of].name, report->engines[v->over].name);
    if (r == 0 && v->confidence > 0) {
        r = ol_buf_puts(buf, " (");
        if (r == 0)
            r = ol_human_ratio(buf, v->low);
        if (r == 0)
            r = ol_buf_puts(buf, " to ");
        if (r == 0)
            r = ol_human_ratio(buf, v->high);
        if (r == 0)
            r = ol_buf_putc(buf, ')');
    }
    return r < 0 ? r : ol_buf_putc(buf, '\n');
}

int ol_text_verdict(const struct ol_report *report, size_t of, size_t over, struct ol_buf *buf)
{
    int r = put_inodes(report, of, over, buf);

    if (r == 0)
        r = put_bytes(report, of, over, buf);
    return r < 0 ? r : put_time(report, of, over, buf);
}

int ol_text_interval(const struct ol_report *report, struct ol_buf *buf)
{
    const struct ol_summary *sum = &report->found[0].phases[OL_PHASE_COMMIT].seconds;
    const struct ol_report_workload *work = &report->workload;
    int r;

    r = ol_buf_printf(buf,
                      "counts are inodes of the driver's own directory, for one commit the median "
                      "of %u; times are medians of %u %s%s",
                      work->commits, work->rounds, work->rounds == 1 ? "round" : "rounds",
                      work->warmup ? " after a warm-up" : "");
    if (r == 0 && sum->confidence > 0)
        r = ol_buf_printf(buf, ", the interval holds the median with %.0f %% confidence",
                          100 * sum->confidence);
    if (r == 0 && report->n_hidden > 0) {
        r = ol_buf_puts(buf, "; measuring itself (the null driver) costs ");
        if (r == 0)
            r = ol_human_seconds(
                buf, report->found[report->n_engines].phases[OL_PHASE_COMMIT].seconds.median);
        if (r == 0)
            r = ol_buf_puts(buf, " a commit");
    }
    return r;
}

int ol_text_sleep(const struct ol_report *report, struct ol_buf *buf)
{
    bool first = true;
    int r = 0;

    for (size_t i = 0; i < report->n_engines && r == 0; i++) {
        const char *name = report->engines[i].name;

        if (report->found[i].avoided_sleep <= 0 || strchr(name, ':') != NULL)
            continue; /* a tuned variant has no counterpart that would sleep */
        r = ol_buf_puts(
            buf, first ? "Docker also slept after such a diff, to the next full second: " : ", ");
        if (r == 0)
            r = ol_human_seconds(buf, report->found[i].avoided_sleep);
        if (r == 0)
            r = ol_buf_printf(buf, " a commit under %s", name);
        first = false;
    }
    if (r == 0 && !first)
        r = ol_buf_puts(buf,
                        " (here, on average); overlab does not, and its times are without it\n");
    return r;
}

int ol_text_mismatch(const struct ol_bench_engine *engine, const struct ol_bench_step *step,
                     struct ol_buf *buf)
{
    int64_t predicted = ol_inode_kinds_total(&step->predicted);
    int r = ol_buf_printf(buf, "%s, %s %u: %" PRId64 " inodes measured, %" PRId64 " predicted",
                          engine->name, ol_step_op_name(step->op), step->index, step->added.inodes,
                          predicted);

    if (r == 0 && step->added.inodes == predicted)
        r = ol_buf_puts(buf, ", of other kinds (--json has them)");
    return r;
}

int ol_text_predictions(const struct ol_report *report, struct ol_buf *buf)
{
    size_t predicted = 0;
    size_t wrong = 0;

    for (size_t i = 0; i < report->n_engines; i++) {
        wrong += report->found[i].wrong_steps;
        for (size_t s = 0; s < report->engines[i].n_steps; s++)
            predicted += report->engines[i].steps[s].has_prediction;
    }
    if (wrong > 0 || predicted == 0)
        return 0; /* said first, and loud */
    return ol_buf_printf(buf,
                         "all %zu counts that can be predicted from the image's headers and the "
                         "planned changes are as predicted\n",
                         predicted);
}

int ol_text_host(const struct ol_report *report, struct ol_buf *buf)
{
    const struct ol_report_host *host = &report->host;
    const struct ol_report_backing *backing = &report->backing;
    int r = ol_buf_printf(buf, "Linux %s %s, %u %s, ", host->kernel, host->machine, host->cpus,
                          host->cpus == 1 ? "CPU" : "CPUs");

    if (r == 0)
        r = ol_human_bytes(buf, (int64_t)host->memory_bytes);
    if (r == 0)
        r = ol_buf_printf(buf, " of memory; %s (%s%s); ", backing->fs, backing->path_kind,
                          backing->dedicated ? ", made for this run" : "");
    if (r < 0)
        return r;
    switch (report->view) {
    case OL_VIEW_KERNEL:
        return ol_buf_puts(buf, "view kernel: real overlay mounts as root");
    case OL_VIEW_USERNS:
        return ol_buf_puts(buf, "view userns: real overlay mounts in a user namespace");
    case OL_VIEW_DIRECT:
        return ol_buf_puts(buf, "view direct: no mounts, overlay's format written by hand");
    case OL_VIEW_AUTO:
        break;
    }
    return ol_buf_puts(buf, "view not chosen");
}
