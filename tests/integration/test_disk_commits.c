/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the oracle says the layers and commits of a workload take on disk, against ext4, xfs and
 * btrfs made for the test and the workload carried out: to the byte where it says so, and near
 * where it calls its number an estimate.
 */
#include "integration/disk_systems.h"

#include "support/support.h"

#include "bench/harness/compare.h"
#include "bench/harness/predict.h"
#include "common/mount/view.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NEAR_PERCENT = 10 };

/* What is carried out, and predicted, alike. */
struct job {
    const struct disk_system *system;
    enum ol_view view;
    const char *image; /* NULL: the built-in one */
    char *const *engines;
    size_t n_engines;
    struct ol_report_workload workload;
};

/* How many steps of a kind were held against the count. */
struct tally {
    size_t exact, near;
    int64_t predicted, measured; /* of the estimates */
};

static char *const all_engines[] = {(char[]){"overlay"},  (char[]){"overlay:diff=upper,clone=all"},
                                    (char[]){"overlay2"}, (char[]){"overlay2:diff=naive"},
                                    (char[]){"vfs"},      (char[]){"snapshot"}};

static void carry_out(const struct job *job, struct ol_report *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing *backing = NULL;
    struct test_dir tmp;
    struct ol_compare_options options = {
        .image = job->image,
        .engines = job->engines,
        .n_engines = job->n_engines,
        .workload = job->workload,
        .view = job->view,
        .path_kind = "loop",
        .dedicated = true,
    };

    options.workload.rounds = 1;
    test_dir_make(&tmp);
    backing = disk_system_open(job->system, tmp.path);
    options.dir = ol_backing_path(backing);
    assert_ok(ol_compare_run(&options, ret, &err), &err);
    assert_ok(ol_backing_close(backing, &err), &err);
    test_dir_remove(&tmp);
}

static void foretell(const struct job *job, struct ol_prediction *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const char *const images[] = {job->image};
    const struct ol_predict_options options = {
        .images = images,
        .n_images = job->image != NULL ? 1 : 0,
        .engines = job->engines,
        .n_engines = job->n_engines,
        .workload = job->workload,
        .view = job->view,
        .tmp_dir = "/tmp",
        .fs = job->system->fs,
    };

    assert_ok(ol_predict(&options, ret, &err), &err);
}

static void hold(const struct job *job, const struct ol_predicted_image *image,
                 const struct ol_bench_step *told, const struct ol_bench_step *done,
                 const char *engine, struct tally *tally)
{
    bool estimate = true;
    const int64_t bytes = ol_predicted_bytes(image, told, &estimate);

    assert_true(told->has_prediction && told->has_predicted_bytes);
    assert_int_equal(told->op, done->op);
    if (estimate) {
        tally->near++;
        tally->predicted += bytes;
        tally->measured += done->added.bytes;
        return;
    }
    tally->exact++;
    if (bytes != done->added.bytes)
        fail_msg("%s, view %s, %s, %s %u: %" PRId64 " bytes predicted, %" PRId64 " measured",
                 job->system->spec, ol_view_name(job->view), engine, ol_step_op_name(told->op),
                 told->index, bytes, done->added.bytes);
}

/* Every layer and every commit of one engine. */
static void hold_engine(const struct job *job, const struct ol_predicted_image *image,
                        const struct ol_bench_engine *told, const struct ol_bench_engine *done,
                        struct tally *commits)
{
    struct tally layers = {0};
    int64_t off;

    assert_int_equal(told->n_steps, done->n_steps);
    for (size_t i = 0; i < told->n_steps; i++) {
        if (told->steps[i].op == OL_STEP_LAYER_APPLY)
            hold(job, image, &told->steps[i], &done->steps[i], told->name, &layers);
        if (told->steps[i].op == OL_STEP_COMMIT)
            hold(job, image, &told->steps[i], &done->steps[i], told->name, commits);
    }
    off = layers.predicted + commits->predicted - layers.measured - commits->measured;
    print_message("%.*s, view %s, %s: %zu layers and %zu commits exact; %zu and %zu near: %" PRId64
                  " bytes predicted, %" PRId64 " measured\n",
                  (int)strcspn(job->system->spec, ":"), job->system->spec, ol_view_name(job->view),
                  told->name, layers.exact, commits->exact, layers.near, commits->near,
                  layers.predicted + commits->predicted, layers.measured + commits->measured);
    assert_true((off < 0 ? -off : off) * 100 <=
                (layers.measured + commits->measured) * NEAR_PERCENT);
}

/* @param ret  of the commits, engine by engine */
static void run(const struct job *job, struct tally *ret)
{
    struct ol_prediction told;
    struct ol_report done = {0};

    foretell(job, &told);
    carry_out(job, &done);
    for (size_t i = 0; i < job->n_engines; i++) {
        ret[i] = (struct tally){0};
        hold_engine(job, &told.images[0], &told.images[0].report.engines[i], &done.engines[i],
                    &ret[i]);
    }
    ol_report_fini(&done);
    ol_prediction_fini(&told);
}

static bool can_have(const struct disk_system *system)
{
    struct test_dir tmp;
    bool there;

    test_dir_make(&tmp);
    there = disk_system_is_there(system, tmp.path);
    test_dir_remove(&tmp);
    return there;
}

/* Files of sizes around blocks, in directories of one block, and links. */
static void make_root(int fd)
{
    static const size_t sizes[] = {0, 1, 2049, 4095, 4096, 4097, 100000};
    ol_auto_free char *content = malloc(100000 + 1);
    char path[64];

    assert_non_null(content);
    memset(content, 'c', 100000);
    test_mkdir(fd, "usr", 0755);
    for (unsigned i = 0; i < 70; i++) {
        (void)snprintf(path, sizeof path, "usr/dir%u", i % 7);
        if (i < 7)
            test_mkdir(fd, path, 0755);
        (void)snprintf(path, sizeof path, "usr/dir%u/file%u", i % 7, i);
        content[sizes[i % OL_ARRAY_LEN(sizes)]] = '\0';
        test_write(fd, path, content);
        content[sizes[i % OL_ARRAY_LEN(sizes)]] = 'c';
    }
    memset(path, 't', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    test_symlink(fd, path, "usr/far");
    test_symlink(fd, "usr/dir1", "near");
    assert_int_equal(linkat(fd, "usr/dir1/file1", fd, "usr/twice", 0), 0);
}

static struct ol_report_workload workload_of(unsigned commits, const struct ol_change_mix *mix)
{
    return (struct ol_report_workload){
        .commits = commits, .changes = *mix, .change_bytes = 5000, .seed = 3};
}

/* The snapshotter's commit makes nothing; naive's has attributes or whiteouts of its own. */
static void assert_exact_but_on_xfs(const struct job *job, const struct tally *commits)
{
    for (size_t i = 0; i < job->n_engines; i++) {
        const bool naive = strstr(job->engines[i], "naive") != NULL;
        const bool near = strcmp(job->engines[i], "snapshot") != 0 &&
                          (naive || job->system->fs == OL_DISK_XFS);

        assert_int_equal(commits[i].exact, near ? 0 : job->workload.commits);
    }
}

static void small_in(const struct disk_system *system, enum ol_view view)
{
    const struct ol_change_mix mixes[] = {
        OL_CHANGE_MIX_DEFAULT,
        {.add = 3, .modify = 5, .remove = 5, .rename = 5, .chmod = 5, .symlink = 3, .link = 3},
        {0},
    };
    const size_t n = view == OL_VIEW_DIRECT ? OL_ARRAY_LEN(mixes) : 1; /* mounts take their time */
    struct tally commits[OL_ARRAY_LEN(all_engines)];
    struct test_dir root;

    test_dir_make(&root);
    make_root(root.fd);
    for (size_t i = 0; i < n; i++) {
        const struct job job = {.system = system,
                                .view = view,
                                .image = root.path,
                                .engines = all_engines,
                                .n_engines = OL_ARRAY_LEN(all_engines),
                                .workload = workload_of(2, &mixes[i])};

        run(&job, commits);
        if (i < 2)
            assert_exact_but_on_xfs(&job, commits);
    }
    test_dir_remove(&root);
}

static void disk_commits__of_small_directories_are_told_to_the_byte(void **state)
{
    (void)state;
    OL_REQUIRE(can_loop_mount, "making file systems needs root and loop devices");
    for (size_t i = 0; i < OL_ARRAY_LEN(disk_systems); i++) {
        if (!can_have(&disk_systems[i]))
            continue;
        small_in(&disk_systems[i], OL_VIEW_DIRECT);
        if (can_mount_overlay())
            small_in(&disk_systems[i], OL_VIEW_KERNEL);
    }
}

/* Past some fifty layers and containers the driver's home itself grows. */
static void disk_commits__that_fill_the_home_are_estimates(void **state)
{
    char *const engines[] = {all_engines[1], all_engines[2], all_engines[5]};
    struct tally commits[OL_ARRAY_LEN(engines)];
    struct test_dir root;
    struct job job = {.system = &disk_systems[0],
                      .view = OL_VIEW_DIRECT,
                      .engines = engines,
                      .n_engines = OL_ARRAY_LEN(engines),
                      .workload = workload_of(20, &(struct ol_change_mix){.add = 2, .modify = 1})};

    (void)state;
    OL_REQUIRE(can_loop_mount, "making file systems needs root and loop devices");
    test_dir_make(&root);
    make_root(root.fd);
    job.image = root.path;
    run(&job, commits);
    assert_int_equal(commits[0].exact, 15);
    assert_int_equal(commits[1].exact, 15);
    assert_int_equal(commits[2].exact, 20); /* a snapshot is committed where it is */
    test_dir_remove(&root);
}

static void disk_commits__of_the_built_in_image_are_near(void **state)
{
    char *const engines[] = {all_engines[0], all_engines[2]};
    struct tally commits[OL_ARRAY_LEN(engines)];
    const struct job job = {.system = &disk_systems[0],
                            .view = OL_VIEW_DIRECT,
                            .engines = engines,
                            .n_engines = OL_ARRAY_LEN(engines),
                            .workload = workload_of(2, &OL_CHANGE_MIX_DEFAULT)};

    (void)state;
    OL_REQUIRE(can_loop_mount, "making file systems needs root and loop devices");
    run(&job, commits);
    assert_int_equal(commits[0].exact, 0); /* overlay: with all the image's directories */
    assert_int_equal(commits[1].exact, 2); /* overlay2: what was changed alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disk_commits__of_small_directories_are_told_to_the_byte),
        cmocka_unit_test(disk_commits__that_fill_the_home_are_estimates),
        cmocka_unit_test(disk_commits__of_the_built_in_image_are_near),
    };
    return cmocka_run_group_tests_name("disk_commits", tests, NULL, NULL);
}
