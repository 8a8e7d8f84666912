/* SPDX-License-Identifier: Apache-2.0 */
/* Predictions of images: steps, shared layers, containers, totals, and what is wrong with input. */
#include "support/image_archive.h"

#include "bench/harness/predict.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static char *const engines[] = {(char[]){"overlay"}, (char[]){"overlay2"}, (char[]){"snapshot"},
                                (char[]){"vfs"}};
enum { OVERLAY, OVERLAY2, SNAPSHOT, VFS };

static struct ol_predict_options plain_options(void)
{
    return (struct ol_predict_options){
        .engines = engines,
        .n_engines = OL_ARRAY_LEN(engines),
        .workload = {.commits = 2, .changes = {.add = 1}, .change_bytes = 100, .seed = 1},
        .tmp_dir = "/nonexistent", /* nothing may be written */
    };
}

static void base_layer(struct tarball *tar)
{
    *tar = (struct tarball)TARBALL_INIT;
    tarball_add_dir(tar, "usr/");
    tarball_add_file(tar, "usr/a", "a");
    tarball_add_file(tar, "usr/b", "b");
    tarball_end(tar);
}

static void one_file(struct tarball *tar, const char *name)
{
    *tar = (struct tarball)TARBALL_INIT;
    tarball_add_file(tar, name, "x");
    tarball_end(tar);
}

/* Two images: base and x, base and y. */
struct fixture {
    struct test_dir dir;
    struct tarball layers[3]; /* base, x, y */
    char *x, *y;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct tarball of_y[2];

    assert_non_null(f);
    test_dir_make(&f->dir);
    base_layer(&f->layers[0]);
    one_file(&f->layers[1], "x");
    one_file(&f->layers[2], "y");
    f->x = image_archive_write(&f->dir, "x.tar", f->layers, 2);
    of_y[0] = f->layers[0];
    of_y[1] = f->layers[2];
    f->y = image_archive_write(&f->dir, "y.tar", of_y, 2);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(f->layers); i++)
        tarball_fini(&f->layers[i]);
    test_dir_remove(&f->dir);
    free(f->x);
    free(f->y);
    free(f);
    return 0;
}

static void predict_ok(const struct ol_predict_options *options, struct ol_prediction *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_predict(options, ret, &err), &err);
}

static int64_t step_inodes(const struct ol_bench_engine *engine, enum ol_step_op op, unsigned index)
{
    for (size_t i = 0; i < engine->n_steps; i++) {
        if (engine->steps[i].op == op && engine->steps[i].index == index)
            return ol_inode_kinds_total(&engine->steps[i].predicted);
    }
    fail_msg("no %s %u", ol_step_op_name(op), index);
    return 0;
}

static void predict__steps_are_those_of_the_laws(void **state)
{
    struct fixture *f = *state;
    const char *const images[] = {f->x};
    struct ol_predict_options options = plain_options();
    struct ol_prediction found;
    const struct ol_report *report;

    options.images = images;
    options.n_images = 1;
    predict_ok(&options, &found);
    report = &found.images[0].report;
    assert_int_equal(step_inodes(&report->engines[OVERLAY2], OL_STEP_LAYER_APPLY, 0), 4 + 3);
    assert_int_equal(step_inodes(&report->engines[OVERLAY2], OL_STEP_LAYER_APPLY, 1), 6 + 1 + 1);
    assert_int_equal(step_inodes(&report->engines[OVERLAY], OL_STEP_LAYER_APPLY, 1), 1 + 2 + 1);
    assert_int_equal(step_inodes(&report->engines[VFS], OL_STEP_LAYER_APPLY, 1), 1 + 1 + 3);
    assert_int_equal(step_inodes(&report->engines[SNAPSHOT], OL_STEP_COMMIT, 1), 0);
    assert_int_equal(report->found[OVERLAY2].phases[OL_PHASE_IMPORT].predicted, 4 + 3 + 6 + 1 + 1);
    assert_int_equal(report->workload.rounds, 0);
    assert_string_equal(report->history.steps[0].created_by, "RUN step 0");
    assert_int_equal(found.totals[OVERLAY2].image_inodes, 4 + 3 + 6 + 1 + 1);
    assert_int_equal(found.totals[OVERLAY2].image_inodes, found.totals[OVERLAY2].exclusive_inodes);
    ol_prediction_fini(&found);
}

static void predict__counts_a_shared_layer_once(void **state)
{
    struct fixture *f = *state;
    const char *const both[] = {f->x, f->y, f->x};
    struct ol_predict_options options = plain_options();
    struct ol_prediction found;

    options.images = both;
    options.n_images = 3;
    options.workload.commits = 0;
    predict_ok(&options, &found);
    assert_int_equal(found.images[1].layers[0].shared_with, 0);
    assert_int_equal(found.images[1].layers[1].shared_with, 1);
    assert_int_equal(found.images[2].layers[1].shared_with, 0);
    /* base, then x and y on it; the base becomes a parent once */
    assert_int_equal(found.totals[OVERLAY2].image_inodes, (4 + 3) + (6 + 1 + 1) + (6 + 1));
    assert_int_equal(found.totals[OVERLAY2].exclusive_inodes, 6 + 1); /* y is in one image only */
    assert_int_equal(found.totals[OVERLAY].image_inodes, (1 + 2 + 2) + 2 * (1 + 2 + 1));
    assert_int_equal(found.totals[OVERLAY].peak_inodes, found.totals[OVERLAY].image_inodes);
    ol_prediction_fini(&found);
}

/* A further container, and the commit of an image that has one, find `committed` there. */
static void predict__containers_come_on_top(void **state)
{
    struct fixture *f = *state;
    const char *const images[] = {f->x};
    struct ol_predict_options options = plain_options();
    struct ol_prediction alone, many;

    options.images = images;
    options.n_images = 1;
    options.workload.commits = 0;
    options.containers = 1;
    predict_ok(&options, &alone);
    options.containers = 5;
    predict_ok(&options, &many);
    for (size_t e = 0; e < OL_ARRAY_LEN(engines); e++) {
        const struct ol_predicted_container *c = &alone.images[0].containers[e];

        assert_int_equal(c->first - c->further, e == OVERLAY2 ? 1 : 0);
        assert_int_equal(alone.totals[e].container_inodes, c->first);
        assert_int_equal(many.totals[e].container_inodes, c->first + 4 * c->further);
        assert_int_equal(many.totals[e].peak_inodes,
                         many.totals[e].image_inodes + many.totals[e].container_inodes);
    }
    ol_prediction_fini(&alone);
    ol_prediction_fini(&many);
}

/* Another content of x, of the same length: only a digest tells. */
static void damage_content(const struct fixture *f)
{
    const char content[TARBALL_BLOCK] = "x";
    ol_auto_fd int fd = open(f->x, O_RDWR | O_CLOEXEC);
    char block[TARBALL_BLOCK];
    off_t at = -1;

    assert_true(fd >= 0);
    for (off_t i = 0; pread(fd, block, sizeof block, i) == sizeof block; i += TARBALL_BLOCK) {
        if (memcmp(block, content, sizeof block) == 0)
            at = i;
    }
    assert_true(at > 0);
    assert_int_equal(pwrite(fd, "z", 1, at), 1);
}

static void predict__names_the_layer_that_is_not_what_it_says(void **state)
{
    struct fixture *f = *state;
    const char *const images[] = {f->x};
    struct ol_predict_options options = plain_options();
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_prediction found;

    options.images = images;
    options.n_images = 1;
    options.verify_digests = true;
    predict_ok(&options, &found);
    assert_true(found.images[0].verified);
    ol_prediction_fini(&found);
    damage_content(f);
    assert_int_equal(ol_predict(&options, &found, &err), -EBADMSG);
    assert_message(&err, "layer 1 of");
    assert_message(&err, f->x);
    options.verify_digests = false;
    predict_ok(&options, &found);
    assert_false(found.images[0].verified);
    ol_prediction_fini(&found);
}

static void predict__of_nothing_is_the_built_in_image(void **state)
{
    struct ol_predict_options options = plain_options();
    struct ol_prediction found;

    (void)state;
    predict_ok(&options, &found);
    assert_string_equal(found.images[0].report.image.format, "built-in");
    assert_true(found.totals[OVERLAY].workload_inodes > found.totals[OVERLAY2].workload_inodes);
    assert_true(found.totals[OVERLAY].whole);
    for (size_t e = 0; e < OL_ARRAY_LEN(engines); e++) {
        assert_true(found.totals[e].highest_inodes >= found.totals[e].peak_inodes);
        assert_true(found.advice[e].inodes > (uint64_t)found.totals[e].highest_inodes);
    }
    /* a naive diff mounts container and init layer while the layer is made */
    assert_true(found.totals[OVERLAY].highest_inodes > found.totals[OVERLAY].peak_inodes);
    ol_prediction_fini(&found);
}

static void predict__knows_what_it_has_laws_for(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    (void)state;
    assert_ok(ol_predict_check_engine("overlay:diff=upper,clone=all", &err), &err);
    assert_ok(ol_predict_check_engine("snapshot", &err), &err);
    assert_true(ol_predict_check_engine("overlay3", &err) < 0);
    ol_error_fini(&err);
    assert_int_equal(ol_predict_check_engine("null", &err), -EINVAL);
    assert_message(&err, "'null'");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(predict__steps_are_those_of_the_laws),
        TEST(predict__counts_a_shared_layer_once),
        TEST(predict__containers_come_on_top),
        TEST(predict__names_the_layer_that_is_not_what_it_says),
        cmocka_unit_test(predict__of_nothing_is_the_built_in_image),
        cmocka_unit_test(predict__knows_what_it_has_laws_for),
    };

    return cmocka_run_group_tests_name("predict", tests, NULL, NULL);
}
