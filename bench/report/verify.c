/* SPDX-License-Identifier: Apache-2.0 */
/* Measured against predicted; see verify.h. */
#include "bench/report/verify.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <inttypes.h>
#include <stdarg.h>

struct verify {
    ol_verify_fn *fn;
    void *data;
    struct ol_verification *found;
    const struct ol_bench_engine *engine;
    const struct ol_bench_step *step;
    int r;
};

__attribute__((format(printf, 2, 3))) static void tell(struct verify *v, const char *fmt, ...)
{
    ol_auto_buf struct ol_buf line = OL_BUF_INIT;
    char text[256];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    v->r = ol_buf_printf(&line, "%s, %s %u: %s", v->engine->name, ol_step_op_name(v->step->op),
                         v->step->index, text);
    if (v->r == 0)
        v->fn(ol_buf_str(&line), v->data);
}

static void tell_lawless(struct verify *v)
{
    ol_auto_buf struct ol_buf line = OL_BUF_INIT;

    v->r = ol_buf_printf(&line,
                         "%s: no law of the oracle describes it, so its %zu steps are not verified",
                         v->engine->name, v->engine->n_steps);
    if (v->r == 0)
        v->fn(ol_buf_str(&line), v->data);
}

static void check_kind(struct verify *v, const char *kind, int64_t measured, int64_t predicted)
{
    if (measured != predicted && v->r == 0)
        tell(v, "%" PRId64 " %s measured, %" PRId64 " predicted", measured, kind, predicted);
}

static void check_kinds(struct verify *v)
{
    const struct ol_inode_kinds *is = &v->step->added.kinds;
    const struct ol_inode_kinds *want = &v->step->predicted;

    check_kind(v, "directory inodes", is->directory, want->directory);
    check_kind(v, "regular inodes", is->regular, want->regular);
    check_kind(v, "symlink inodes", is->symlink, want->symlink);
    check_kind(v, "device inodes", is->device, want->device);
    check_kind(v, "fifo inodes", is->fifo, want->fifo);
    check_kind(v, "whiteout inodes", is->whiteout, want->whiteout);
    check_kind(v, "bookkeeping inodes", is->bookkeeping, want->bookkeeping);
}

/* The last round's kinds are kept; of the others their sum's bounds. */
static void check_step(struct verify *v)
{
    v->found->steps++;
    if (!v->step->has_prediction) {
        v->found->unpredicted++;
        tell(v, "no prediction");
        return;
    }
    if (!ol_step_is_wrong(v->step) && !v->step->varies)
        return;
    v->found->differences++;
    check_kinds(v);
    if (v->step->varies && v->r == 0)
        tell(v, "%" PRId64 " to %" PRId64 " inodes measured over the rounds, %" PRId64 " predicted",
             v->step->inodes_min, v->step->inodes_max, ol_inode_kinds_total(&v->step->predicted));
}

static void check_engine(struct verify *v)
{
    enum ol_law law;

    if (ol_engine_law(v->engine->name, &law) < 0) {
        v->found->lawless++;
        tell_lawless(v);
        return;
    }
    v->found->engines++;
    for (size_t i = 0; i < v->engine->n_steps && v->r == 0; i++) {
        v->step = &v->engine->steps[i];
        check_step(v);
    }
}

int ol_report_verify(const struct ol_report *report, ol_verify_fn *fn, void *data,
                     struct ol_verification *ret)
{
    struct ol_verification found = {0};
    struct verify v = {.fn = fn, .data = data, .found = &found};

    for (size_t i = 0; i < report->n_engines && v.r == 0; i++) {
        v.engine = &report->engines[i];
        check_engine(&v);
    }
    *ret = found;
    return v.r;
}

bool ol_verification_holds(const struct ol_verification *verification)
{
    return verification->differences == 0 && verification->unpredicted == 0;
}
