/* SPDX-License-Identifier: Apache-2.0 */
/* Steps: what each driver's storage gained. */
#include "bench/testlib/lab.h"

#include <errno.h>

int ol_test_step_new(struct ol_test_lab *lab, const char *name, unsigned index,
                     struct ol_test_step **ret, struct ol_error *err)
{
    struct ol_test_step *step = calloc(1, sizeof *step +
                                              lab->n_drivers * sizeof(struct ol_test_result));

    if (step == NULL)
        return ol_error_nomem(err);
    step->lab = lab;
    step->name = name;
    step->index = index;
    step->next = lab->steps;
    lab->steps = step;
    *ret = step;
    return 0;
}

void ol_test_steps_free(struct ol_test_lab *lab)
{
    while (lab->steps != NULL) {
        struct ol_test_step *step = lab->steps;

        lab->steps = step->next;
        for (size_t i = 0; i < lab->n_drivers; i++)
            ol_test_census_news_fini(&step->results[i].news);
        free(step);
    }
}

struct ol_test_result *ol_test_step_result(struct ol_test_step *step,
                                           const struct ol_test_driver *driver)
{
    return &step->results[driver - step->lab->drivers];
}

int ol_test_step_count(struct ol_test_step *step, struct ol_test_driver *driver,
                       struct ol_error *err)
{
    struct ol_test_result *result = ol_test_step_result(step, driver);
    struct ol_engine_usage now;
    int r = driver->ops->usage(driver->engine, &now, err);

    if (r == 0)
        r = ol_test_census_take(&driver->census, driver->ops->home(driver->engine), &result->news,
                                err);
    if (r < 0)
        return ol_error_wrap(err, r, "counting");
    result->added = now;
    ol_engine_usage_sum(&result->added, &driver->usage, -1);
    driver->usage = now;
    return 0;
}

int ol_test_step_merge(struct ol_test_step *to, const struct ol_test_step *part,
                       struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < to->lab->n_drivers; i++) {
        struct ol_test_result *sum = &to->results[i];
        const struct ol_test_result *of = &part->results[i];
        bool first = !sum->has_prediction && sum->unpredicted == NULL;

        r = ol_test_census_news_add(&sum->news, &of->news);
        ol_engine_usage_sum(&sum->added, &of->added, 1);
        ol_inode_kinds_add(&sum->predicted, &of->predicted, 1);
        sum->has_prediction = of->has_prediction && (first || sum->has_prediction);
        if (sum->unpredicted == NULL)
            sum->unpredicted = of->unpredicted;
    }
    return r < 0 ? ol_error_nomem(err) : 0;
}

int ol_test_step_run(struct ol_test_lab *lab, const char *name, unsigned index,
                     ol_test_driver_fn *fn, const void *data, struct ol_test_step **ret,
                     struct ol_error *err)
{
    struct ol_test_step *step = NULL;
    int r = ol_test_step_new(lab, name, index, &step, err);

    for (size_t i = 0; r == 0 && i < lab->n_drivers; i++) {
        r = fn(step, &lab->drivers[i], data, err);
        if (r < 0)
            r = ol_error_wrap(err, r, "%s: %s %u", lab->drivers[i].name, name, index);
    }
    *ret = step;
    return r;
}

int ol_test_check_container(const struct ol_test_lab *lab, struct ol_error *err)
{
    if (lab->n_containers == 0 || lab->container_gone[lab->n_containers - 1] || lab->is_committed)
        return ol_error_set(err, -EINVAL, "there is no container to work on");
    return 0;
}
