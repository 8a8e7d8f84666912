/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a container: by a callback, by a program, by seeded operations. */
#include "bench/testlib/lab.h"

#include "common/cleanup.h"
#include "common/process.h"
#include "drivers/rootfs.h"

#include <errno.h>
#include <time.h>

/* What to do with a container's root: one of the three. */
struct change {
    ol_test_change_fn *fn;
    void *data;
    const char *const *argv;
    const struct ol_change_mix *mix;
    uint64_t bytes;
};

/* ---- what is done in the root ---- */

static int run_program(const struct ol_test_root *root, const char *const *argv,
                       struct ol_error *err)
{
    static const char *const env[] = {"/usr/bin/env", NULL, NULL};
    ol_auto_free const char **full = NULL;
    ol_auto_free char *variable = NULL;
    ol_auto_buf struct ol_buf output = OL_BUF_INIT;
    size_t n = 0;
    int r;

    while (argv[n] != NULL)
        n++;
    full = calloc(n + OL_ARRAY_LEN(env), sizeof(const char *));
    if (full == NULL || asprintf(&variable, "OL_ROOT=%s", root->path) < 0)
        return ol_error_nomem(err);
    full[0] = env[0];
    full[1] = variable;
    memcpy(full + 2, argv, n * sizeof(const char *));
    r = ol_process_run(full, 0, &output, err);
    return r < 0 ? ol_error_wrap(err, r, "'%s'", argv[0]) : 0;
}

/* Planned for each driver on its own model: all of them are of the same tree. */
static int run_seeded(struct ol_test_driver *driver, const struct change *change, uint64_t seed,
                      struct ol_inode_kinds *ret_planned, struct ol_error *err)
{
    struct ol_plan *plan = NULL;
    int r = ol_test_predict_plan(&driver->forecast, change->mix, change->bytes, seed, &plan, err);

    if (r < 0)
        return r;
    ol_plan_predict(plan, driver->forecast.way.law, ret_planned);
    r = driver->ops->change(driver->engine, plan, err);
    ol_plan_free(plan);
    return r;
}

static int run_by_hand(struct ol_test_step *step, struct ol_test_driver *driver,
                       const struct change *change, struct ol_error *err)
{
    struct ol_test_root *root = &step->lab->root;
    int r;

    free(root->path); /* of a change that was left by longjmp() */
    *root = (struct ol_test_root){
        .lab = step->lab, .driver = driver, .step = step->name, .index = step->index};
    r = driver->ops->root(driver->engine, &root->fs, &root->path, err);
    if (r < 0)
        return r;
    if (change->fn != NULL)
        change->fn(root, change->data);
    else
        r = run_program(root, change->argv, err);
    free(ol_ptr_steal(root->path));
    return r;
}

/* ---- the step ---- */

/*
 * A comparison of two trees sees a file's size and the seconds of its time: what is written within
 * the second the image's file is from could be missed. Docker sleeps after each such commit; here
 * that is made good before the next change, where a file is that new. The clock is the coarse one,
 * which file times are taken from: it is up to a tick late in every new second.
 */
static void pass_second(const struct ol_test_driver *driver)
{
    bool compares = ol_test_predict_compares_trees(&driver->forecast);
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now); /* cannot fail with this clock */
    while (compares && now.tv_sec == driver->forecast.newest_s) {
        const struct timespec rest = {.tv_nsec = 1000000000L - now.tv_nsec};
        (void)nanosleep(&rest, NULL); /* interrupted: it sleeps again */
        (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    }
}

static int change_mounted(struct ol_test_step *step, struct ol_test_driver *driver,
                          const struct change *change, struct ol_inode_kinds *ret_planned,
                          struct ol_error *err)
{
    struct ol_test_lab *lab = step->lab;

    return change->mix != NULL
               ? run_seeded(driver, change, lab->seed + lab->n_images + lab->n_changes, ret_planned,
                            err)
               : run_by_hand(step, driver, change, err);
}

/* Mounting and unmounting belong to the step when nobody mounted before. */
static int mount_and_change(struct ol_test_step *step, struct ol_test_driver *driver,
                            const struct change *change, struct ol_inode_kinds *ret_planned,
                            struct ol_error *err)
{
    int unmounted;
    int r;

    if (step->lab->is_mounted)
        return change_mounted(step, driver, change, ret_planned, err);
    r = driver->ops->mount(driver->engine, err);
    if (r < 0)
        return r;
    r = change_mounted(step, driver, change, ret_planned, err);
    unmounted = driver->ops->unmount(driver->engine, r < 0 ? NULL : err);
    return r < 0 ? r : unmounted;
}

static int change_one(struct ol_test_step *step, struct ol_test_driver *driver, const void *data,
                      struct ol_error *err)
{
    const struct change *change = data;
    struct ol_test_result *result = ol_test_step_result(step, driver);
    struct ol_inode_kinds planned;
    int r;

    pass_second(driver);
    r = mount_and_change(step, driver, change, &planned, err);
    if (r == 0)
        r = ol_test_step_count(step, driver, err);
    if (r < 0)
        return r;
    ol_test_predict_change(&driver->forecast, change->mix != NULL ? &planned : NULL,
                           !step->lab->is_mounted, driver->census.cached > driver->cached_before,
                           result);
    if (change->mix != NULL && step->lab->n_changes > 0) {
        result->has_prediction = false;
        result->unpredicted = "the container was changed before";
    }
    return 0;
}

static int change_all(struct ol_test_lab *lab, const struct change *change,
                      struct ol_test_step **ret, struct ol_error *err)
{
    int r = ol_test_check_container(lab, err);

    if (r == 0)
        r = ol_test_step_run(lab, "container.change", lab->n_containers - 1, change_one, change,
                             ret, err);
    lab->n_changes++;
    return r;
}

const struct ol_test_step *ol_test_change_at(struct ol_test_lab *lab, ol_test_change_fn *fn,
                                             void *data, const char *file, int line)
{
    const struct change change = {.fn = fn, .data = data};
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    ol_test_need(change_all(lab, &change, &step, &err), &err, file, line);
    return step;
}

const struct ol_test_step *ol_test_change_command_at(struct ol_test_lab *lab,
                                                     const char *const argv[], const char *file,
                                                     int line)
{
    const struct change change = {.argv = argv};
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;

    if (lab->view == OL_VIEW_DIRECT)
        ol_test_skip(file, line, "'%s' needs a mounted container, and the direct view mounts none",
                     argv[0]);
    ol_test_need(change_all(lab, &change, &step, &err), &err, file, line);
    return step;
}

const struct ol_test_step *ol_test_change_seeded_at(struct ol_test_lab *lab, const char *changes,
                                                    uint64_t bytes, const char *file, int line)
{
    struct ol_change_mix mix;
    const struct change change = {.mix = &mix, .bytes = bytes};
    struct ol_error err = OL_ERROR_INIT;
    struct ol_test_step *step = NULL;
    int r = ol_change_mix_parse(changes, &mix, &err);

    if (r == 0)
        r = change_all(lab, &change, &step, &err);
    ol_test_need(r, &err, file, line);
    return step;
}
