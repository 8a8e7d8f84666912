/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a comparison, laid out before anything runs: no allocation inside the rounds. */
#include "bench/harness/rounds.h"

#include "common/cleanup.h"

#include <time.h>

const char *ol_step_op_name(enum ol_step_op op)
{
    static const char *const names[OL_STEP_OPS] = {
        [OL_STEP_LAYER_APPLY] = "layer.apply",
        [OL_STEP_CONTAINER_CREATE] = "container.create",
        [OL_STEP_CONTAINER_MOUNT] = "container.mount",
        [OL_STEP_CONTAINER_CHANGE] = "container.change",
        [OL_STEP_CONTAINER_UNMOUNT] = "container.unmount",
        [OL_STEP_COMMIT] = "commit",
        [OL_STEP_CONTAINER_REMOVE] = "container.remove",
        [OL_STEP_IMAGE_REMOVE] = "image.remove",
    };

    return (unsigned)op < OL_STEP_OPS ? names[op] : NULL;
}

void ol_bench_engine_fini(struct ol_bench_engine *engine)
{
    for (size_t i = 0; i < engine->n_steps; i++) {
        free(engine->steps[i].wall_ns);
        free(engine->steps[i].reports);
    }
    free(engine->steps);
    free(engine->name);
    ol_error_fini(&engine->failure);
    engine->steps = NULL;
    engine->n_steps = 0;
    engine->name = NULL;
}

static void add_step(struct ol_bench_engine *engine, enum ol_step_op op, unsigned index)
{
    engine->steps[engine->n_steps++] = (struct ol_bench_step){.op = op, .index = index};
}

static void lay_out(const struct ol_bench_job *job, struct ol_bench_engine *engine)
{
    for (unsigned i = 0; i < job->n_layers; i++)
        add_step(engine, OL_STEP_LAYER_APPLY, i);
    for (unsigned i = 0; i < job->commits; i++) {
        for (enum ol_step_op op = OL_STEP_CONTAINER_CREATE; op <= OL_STEP_COMMIT; op++)
            add_step(engine, op, i);
    }
    for (unsigned i = job->commits; i-- > 0;)
        add_step(engine, OL_STEP_CONTAINER_REMOVE, i);
    for (unsigned i = job->commits + 1; i-- > 0;)
        add_step(engine, OL_STEP_IMAGE_REMOVE, i);
}

int ol_bench_steps_make(const struct ol_bench_job *job, struct ol_bench_engine *engine,
                        struct ol_error *err)
{
    size_t count = (size_t)job->n_layers + (size_t)job->commits * 7 + 1;

    engine->steps = calloc(count, sizeof *engine->steps);
    if (engine->steps == NULL)
        return ol_error_nomem(err);
    lay_out(job, engine);
    for (size_t i = 0; i < engine->n_steps; i++) {
        struct ol_bench_step *step = &engine->steps[i];

        if (job->rounds == 0)
            continue;
        step->wall_ns = calloc(job->rounds, sizeof *step->wall_ns);
        step->reports = calloc(job->rounds, sizeof *step->reports);
        if (step->wall_ns == NULL || step->reports == NULL)
            return ol_error_nomem(err);
    }
    return 0;
}
