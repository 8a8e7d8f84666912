/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predictions of random images and commits on them against comparisons: every step has to be what
 * compare predicts, and what it measures.
 */
#include "support/image_archive.h"

#include "bench/harness/compare.h"
#include "bench/harness/predict.h"
#include "common/mount/view.h"

#include <inttypes.h>

enum { SEEDS = 5, LAYERS = 4, NAMES = 120, DIRS = 8, OPS = 60 };

static enum ol_view view = OL_VIEW_KERNEL;

static bool can_have_view(void)
{
    return view != OL_VIEW_KERNEL || can_mount_overlay();
}

/* ---- images that every driver takes ---- */

/* What is known about a name: "d<i % DIRS>/n<i>". */
struct name {
    char type;      /* as in tar; 0: nothing there */
    unsigned layer; /* that touched it last, from 1 */
};

struct maker {
    uint64_t random;
    struct name names[NAMES];
    struct tarball *tar;
    unsigned layer;
};

static unsigned pick(struct maker *m, unsigned n)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(m->random >> 33) % n;
}

/* A file of this very layer, which a hard link may name; or NAMES. */
static unsigned some_file(struct maker *m)
{
    for (unsigned i = 0, at = pick(m, NAMES); i < NAMES; i++, at = (at + 1) % NAMES) {
        if (m->names[at].type == '0' && m->names[at].layer == m->layer)
            return at;
    }
    return NAMES;
}

static void add_new(struct maker *m, unsigned index, const char *path)
{
    static const char content[3000] = "random";
    unsigned target = some_file(m);
    char other[32];
    char type = '0';

    if (pick(m, 8) == 0) {
        type = '2';
        tarball_add_symlink(m->tar, path, "somewhere");
    } else if (pick(m, 8) == 0) {
        type = '6';
        tarball_add_fifo(m->tar, path);
    } else if (target < NAMES && pick(m, 6) == 0) {
        (void)snprintf(other, sizeof other, "d%u/n%u", target % DIRS, target);
        tarball_add_hardlink(m->tar, path, other);
    } else {
        tarball_add_bytes(m->tar, path, content, pick(m, sizeof content));
    }
    m->names[index] = (struct name){type, m->layer};
}

/* Each name at most once in a layer, and only what is there is deleted. */
static void some_entry(struct maker *m)
{
    unsigned index = pick(m, NAMES);
    struct name *name = &m->names[index];
    char path[40];

    if (name->layer == m->layer)
        return;
    if (name->type != 0 && pick(m, 3) == 0) {
        (void)snprintf(path, sizeof path, "d%u/.wh.n%u", index % DIRS, index);
        tarball_add_file(m->tar, path, "");
        *name = (struct name){0, m->layer};
        return;
    }
    (void)snprintf(path, sizeof path, "d%u/n%u", index % DIRS, index);
    add_new(m, index, path);
}

static void make_layer(struct maker *m, struct tarball *tar)
{
    char path[16];

    *tar = (struct tarball)TARBALL_INIT;
    m->tar = tar;
    m->layer++;
    for (unsigned i = 0; i < DIRS; i++) {
        (void)snprintf(path, sizeof path, "d%u/", i);
        if (m->layer == 1 || pick(m, 2) == 0)
            tarball_add_dir_mode(tar, path, 0700 | (int)pick(m, 0100));
        if (m->layer > 1 && pick(m, 20) == 0) { /* a further directory, with a name of its own */
            (void)snprintf(path, sizeof path, "d%u/s%u/", i, m->layer);
            tarball_add_dir(tar, path);
        }
    }
    for (unsigned i = 10 + pick(m, OPS); i > 0; i--)
        some_entry(m);
    tarball_end(tar);
}

/* ---- predicting and comparing ---- */

static char *const engines[] = {
    (char[]){"overlay"},  (char[]){"overlay:diff=upper,clone=all"},
    (char[]){"overlay2"}, (char[]){"snapshot"},
    (char[]){"vfs"},
};

static void assert_steps(uint64_t seed, const struct ol_bench_engine *predicted,
                         const struct ol_bench_engine *compared)
{
    assert_int_equal(predicted->n_steps, compared->n_steps);
    for (size_t i = 0; i < predicted->n_steps; i++) {
        const struct ol_bench_step *p = &predicted->steps[i];
        const struct ol_bench_step *c = &compared->steps[i];

        assert_int_equal(p->op, c->op);
        assert_int_equal(p->index, c->index);
        assert_int_equal(p->has_prediction, c->has_prediction);
        if (memcmp(&p->predicted, &c->predicted, sizeof p->predicted) != 0 || ol_step_is_wrong(c))
            fail_msg("seed %" PRIu64 ", %s, %s %u: %jd, compare predicts %jd and measures %jd",
                     seed, predicted->name, ol_step_op_name(p->op), p->index,
                     (intmax_t)ol_inode_kinds_total(&p->predicted),
                     (intmax_t)ol_inode_kinds_total(&c->predicted), (intmax_t)c->added.inodes);
    }
}

static void compare_and_predict(const char *image, uint64_t seed)
{
    const char *const images[] = {image};
    const struct ol_report_workload workload = {
        .commits = 2,
        .changes = {.add = 3, .modify = 2, .remove = 2, .mkdir = 1, .symlink = 1},
        .change_bytes = 100,
        .seed = seed,
        .rounds = 1};
    struct test_dir dir;
    struct ol_compare_options compare = {
        .image = image,
        .engines = engines,
        .n_engines = OL_ARRAY_LEN(engines),
        .workload = workload,
        .view = view,
        .path_kind = "directory",
    };
    const struct ol_predict_options predict = {
        .images = images,
        .n_images = 1,
        .engines = engines,
        .n_engines = OL_ARRAY_LEN(engines),
        .workload = workload,
        .tmp_dir = "/nonexistent",
    };
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_prediction found = {0};
    struct ol_report report;

    test_dir_make(&dir);
    compare.dir = dir.path;
    assert_ok(ol_compare_run(&compare, &report, &err), &err);
    assert_ok(ol_predict(&predict, &found, &err), &err);
    for (size_t e = 0; e < OL_ARRAY_LEN(engines); e++) {
        assert_steps(seed, &found.images[0].report.engines[e], &report.engines[e]);
        assert_int_equal(found.totals[e].peak_inodes, report.engines[e].peak_inodes);
    }
    ol_prediction_fini(&found);
    ol_report_fini(&report);
    test_dir_remove(&dir);
}

static void predict__is_what_compare_measures_of_random_images(void **state)
{
    (void)state;
    OL_REQUIRE(can_have_view, "the kernel view mounts overlayfs");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct maker maker = {.random = seed};
        struct tarball layers[LAYERS];
        ol_auto_free char *image = NULL;
        struct test_dir dir;

        test_dir_make(&dir);
        for (unsigned i = 0; i < LAYERS; i++)
            make_layer(&maker, &layers[i]);
        image = image_archive_write(&dir, "image.tar", layers, LAYERS);
        compare_and_predict(image, seed);
        for (unsigned i = 0; i < LAYERS; i++)
            tarball_fini(&layers[i]);
        test_dir_remove(&dir);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predict__is_what_compare_measures_of_random_images),
    };
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (argc > 1 && strcmp(argv[1], "--userns") == 0) {
        view = OL_VIEW_USERNS;
        if (!can_user_namespace() || ol_view_enter_userns(&err) < 0) {
            print_message("SKIP predict_random: no user namespace can be entered\n");
            return 0;
        }
    }
    return cmocka_run_group_tests_name("predict_random", tests, NULL, NULL);
}
