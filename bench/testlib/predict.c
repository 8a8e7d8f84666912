/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost model beside a lab: one model per driver, fed with the headers of each layer the driver
 * got. Drivers write the same changes as different layers (a replaced directory is one opaque
 * marker or many whiteouts), so that no model could serve two of them.
 */
#include "bench/testlib/lab.h"

#include "bench/oracle/oracle.h"
#include "common/cleanup.h"

#include <errno.h>

static const char no_law[] = "the cost model has no law for this driver";

int ol_test_predict_open(struct ol_test_driver *driver, struct ol_error *err)
{
    driver->has_law = ol_engine_law(driver->name, &driver->law) == 0;
    driver->naive_diff = !ol_engine_has_option(driver->name, "diff=upper");
    driver->compares_trees = ol_engine_has_option(driver->name, "diff=naive") ||
                             (driver->has_law && driver->law != OL_LAW_OVERLAY2 &&
                              driver->law != OL_LAW_SNAPSHOT && driver->naive_diff);
    return ol_model_new(&driver->model, err);
}

void ol_test_predict_close(struct ol_test_driver *driver)
{
    ol_model_free(driver->model);
    driver->model = NULL;
}

static int add_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    struct ol_test_driver *driver = data;

    if (entry->type == OL_ENTRY_FILE && entry->mtime.tv_sec > driver->newest_s)
        driver->newest_s = entry->mtime.tv_sec;
    return ol_model_add(driver->model, entry, err);
}

static int feed(struct ol_test_driver *driver, const struct ol_input *tar, uint64_t *ret_entries,
                struct ol_error *err)
{
    struct ol_layer_result result = {.entries = 0};
    int r = ol_model_begin_layer(driver->model, err);

    if (r == 0)
        r = ol_layer_scan(tar, NULL, add_entry, driver, &result, err);
    *ret_entries = result.entries;
    return r;
}

/* r of a law: 0 or -ENOMEM. */
static int told(const struct ol_test_driver *driver, int r, const struct ol_inode_kinds *kinds,
                struct ol_test_result *ret, struct ol_error *err)
{
    if (r < 0)
        return ol_error_nomem(err);
    ret->has_prediction = driver->has_law;
    ret->unpredicted = driver->has_law ? NULL : no_law;
    ret->predicted = *kinds;
    return 0;
}

int ol_test_predict_layer(struct ol_test_driver *driver, const struct ol_input *tar, bool base,
                          uint64_t skipped, struct ol_test_result *ret, struct ol_error *err)
{
    struct ol_inode_kinds kinds = {0};
    uint64_t entries;
    int r = feed(driver, tar, &entries, err);

    if (r < 0)
        return r;
    driver->fresh_image = true;
    if (driver->has_law)
        r = ol_law_layer_apply(driver->law, driver->model, base, true, &kinds);
    r = told(driver, r, &kinds, ret, err);
    if (r == 0 && skipped > 0) {
        ret->has_prediction = false;
        ret->unpredicted = "the layer has devices, which cannot be made without privileges";
    }
    return r;
}

int ol_test_predict_create(struct ol_test_driver *driver, struct ol_test_result *ret,
                           struct ol_error *err)
{
    int r = driver->has_law ? ol_law_container_create(driver->law, driver->model,
                                                      driver->fresh_image, &driver->created)
                            : 0;

    driver->fresh_image = false;
    return told(driver, r, &driver->created, ret, err);
}

void ol_test_predict_mount(const struct ol_test_driver *driver, bool mounts, bool unmount,
                           struct ol_test_result *ret)
{
    struct ol_inode_kinds kinds = {0};

    if (driver->has_law && unmount)
        ol_law_container_unmount(driver->law, mounts, &kinds);
    else if (driver->has_law)
        ol_law_container_mount(driver->law, mounts, &kinds);
    (void)told(driver, 0, &kinds, ret, NULL);
}

int ol_test_predict_plan(const struct ol_test_driver *driver, const struct ol_change_mix *mix,
                         uint64_t bytes, uint64_t seed, struct ol_plan **ret, struct ol_error *err)
{
    struct ol_model *model = NULL;
    int r = ol_model_copy(driver->model, &model, err);

    if (r == 0)
        r = ol_plan_make(model, mix, bytes, seed, ret, err);
    ol_model_free(model);
    return r;
}

int ol_test_predict_commit(struct ol_test_driver *driver, int diff_fd, uint64_t freed_whiteouts,
                           struct ol_test_result *ret, struct ol_error *err)
{
    const struct ol_input tar = OL_INPUT_FD(diff_fd);
    struct ol_inode_kinds kinds = {0};
    uint64_t entries;
    int r = feed(driver, &tar, &entries, err);

    if (r < 0)
        return r;
    driver->fresh_image = true;
    if (driver->has_law)
        r = ol_law_commit(driver->law, driver->model, &driver->created, driver->naive_diff, &kinds);
    if (driver->law != OL_LAW_SNAPSHOT) /* nothing mounts its directory again */
        kinds.whiteout -= (int64_t)freed_whiteouts;
    r = told(driver, r, &kinds, ret, err);
    if (r == 0 && entries == 0) {
        ret->has_prediction = false;
        ret->unpredicted = "nothing was changed, so that no layer is made";
    }
    return r;
}
