/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle against the drivers: an image and two seeded commits on every driver, in one of the
 * three views. Every step has to add the predicted inodes, kind by kind; so the views agree too.
 */
#include "support/support.h"
#include "support/tarball.h"

#include "bench/harness/compare.h"
#include "bench/teach/account.h"
#include "common/mount/view.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ol_view view = OL_VIEW_KERNEL;

static bool can_have_view(void)
{
    return view != OL_VIEW_KERNEL || can_mount_overlay();
}

static void assert_kind(int64_t measured, int64_t predicted, const char *kind,
                        const struct ol_bench_engine *engine, const struct ol_bench_step *step)
{
    if (measured != predicted)
        fail_msg("%s %s %u: %jd %s measured, %jd predicted", engine->name,
                 ol_step_op_name(step->op), step->index, (intmax_t)measured, kind,
                 (intmax_t)predicted);
}

static void assert_step(const struct ol_bench_engine *engine, const struct ol_bench_step *step)
{
    const struct ol_inode_kinds *m = &step->added.kinds;
    const struct ol_inode_kinds *p = &step->predicted;

    assert_false(step->varies);
    if (!step->has_prediction)
        fail_msg("%s %s %u: no prediction", engine->name, ol_step_op_name(step->op), step->index);
    assert_kind(m->directory, p->directory, "directories", engine, step);
    assert_kind(m->regular, p->regular, "regular files", engine, step);
    assert_kind(m->symlink, p->symlink, "symlinks", engine, step);
    assert_kind(m->device, p->device, "devices", engine, step);
    assert_kind(m->fifo, p->fifo, "fifos", engine, step);
    assert_kind(m->whiteout, p->whiteout, "whiteouts", engine, step);
    assert_kind(m->bookkeeping, p->bookkeeping, "bookkeeping", engine, step);
}

/* image: a path, or NULL for the built-in one */
static void predictions_of(const char *image, const struct ol_change_mix *mix, uint64_t seed)
{
    char *const engines[] = {(char[]){"overlay"},
                             (char[]){"overlay:diff=upper"},
                             (char[]){"overlay:clone=all"},
                             (char[]){"overlay:diff=upper,clone=all"},
                             (char[]){"overlay2"},
                             (char[]){"overlay2:diff=naive"},
                             (char[]){"vfs"},
                             (char[]){"snapshot"}};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct test_dir dir;
    struct ol_report report;
    struct ol_compare_options options = {
        .image = image,
        .engines = engines,
        .n_engines = OL_ARRAY_LEN(engines),
        .workload =
            {.commits = 2, .changes = *mix, .change_bytes = 1000, .seed = seed, .rounds = 1},
        .view = view,
        .path_kind = "directory",
    };

    test_dir_make(&dir);
    options.dir = dir.path;
    assert_ok(ol_compare_run(&options, &report, &err), &err);
    assert_true(report.n_engines >= OL_ARRAY_LEN(engines));
    for (size_t e = 0; e < report.n_engines; e++) {
        const struct ol_bench_engine *engine = &report.engines[e];
        for (size_t i = 0; i < engine->n_steps; i++)
            assert_step(engine, &engine->steps[i]);
        assert_int_equal(engine->left_inodes, 0);
    }
    ol_report_fini(&report);
    test_dir_remove(&dir);
}

/* A root file system with some of everything an ordinary user can make. */
static void make_root(int fd)
{
    char path[32];

    test_mkdir(fd, "etc", 0755);
    test_write(fd, "etc/hostname", "small");
    test_symlink(fd, "../proc/self/mounts", "etc/mtab");
    test_symlink(fd, "usr/lib", "lib");
    test_mkdir(fd, "dev", 0755);
    test_mkdir(fd, "usr", 0755);
    test_mkdir(fd, "usr/lib", 0555);
    for (int i = 0; i < 60; i++) {
        (void)snprintf(path, sizeof path, "usr/dir%d", i % 7);
        if (i < 7)
            test_mkdir(fd, path, 0755);
        (void)snprintf(path, sizeof path, "usr/dir%d/file%d", i % 7, i);
        test_write(fd, path, path);
    }
    assert_int_equal(linkat(fd, "usr/dir1/file1", fd, "usr/twice", 0), 0);
    assert_int_equal(mkfifoat(fd, "usr/pipe", 0600), 0);
    assert_int_equal(linkat(fd, "usr/pipe", fd, "usr/pipe2", 0), 0);
}

static void predictions__hold_for_a_small_root(void **state)
{
    struct test_dir root;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    test_dir_make(&root);
    make_root(root.fd);
    predictions_of(root.path, &OL_CHANGE_MIX_DEFAULT, 1);
    predictions_of(root.path, &(struct ol_change_mix){10, 7, 7, 7, 7, 10}, 2);
    predictions_of(root.path, &(struct ol_change_mix){.add = 1}, 3);
    predictions_of(root.path, &(struct ol_change_mix){.add = 0}, 3); /* empty commits */
    predictions_of(root.path, &(struct ol_change_mix){.symlink = 3, .link = 3, .replace = 1}, 4);
    test_dir_remove(&root);
}

static void predictions__hold_for_the_built_in_image(void **state)
{
    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    predictions_of(NULL, &OL_CHANGE_MIX_DEFAULT, 1);
    predictions_of(NULL, &(struct ol_change_mix){200, 200, 200, 100, 100, 50, 20, 20, 20}, 2);
}

/* ---- a diff without a commit ---- */

/* An engine with one image and one container, and the account of it. */
struct diffed {
    const struct ol_engine_ops *ops;
    struct ol_engine *engine;
    struct ol_account *account;
    const char *name;
};

/* The init layer replaces a file, and so has a cached whiteout that is alone. */
static void diffed_open(struct diffed *d, const char *name, const char *dir)
{
    const struct ol_engine_config config = {
        .name = name, .dir = dir, .view = view, .keep_owner = geteuid() == 0, .commits = 1};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_engine_report report;
    struct ol_input input;

    *d = (struct diffed){.ops = ol_engine_ops_of(name), .name = name};
    tarball_add_dir(&tar, "etc");
    tarball_add_file(&tar, "etc/mtab", "is a symlink in containers");
    tarball_add_file(&tar, "etc/again", "deleted and made anew");
    tarball_end(&tar);
    input = (struct ol_input){.fd = tarball_fd(&tar), .offset = 0, .length = UINT64_MAX};
    assert_ok(ol_account_new(name, view != OL_VIEW_DIRECT, &d->account, &err), &err);
    assert_ok(d->ops->open(&config, &d->engine, &err), &err);
    assert_ok(d->ops->import_layer(d->engine, &input, NULL, &report, &err), &err);
    assert_ok(ol_account_import(d->account, &input, &err), &err);
    assert_ok(d->ops->container_create(d->engine, &err), &err);
    assert_ok(ol_account_create(d->account, &err), &err);
    tarball_fini(&tar);
}

static void diffed_close(struct diffed *d)
{
    d->ops->close(d->engine);
    ol_account_free(d->account);
}

static void diffed_mount(struct diffed *d, bool mounted)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(mounted ? d->ops->mount(d->engine, &err) : d->ops->unmount(d->engine, &err), &err);
    if (mounted)
        ol_account_mount(d->account);
    else
        ol_account_unmount(d->account);
}

static void diffed_change(struct diffed *d, enum ol_op_kind kind)
{
    const struct ol_op op = {
        .kind = kind, .path = (char[]){"etc/again"}, .size = 5, .content_seed = 1, .mode = 0644};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_plan *plan = NULL;

    assert_ok(ol_account_plan(d->account, &op, &plan, &err), &err);
    assert_ok(d->ops->change(d->engine, plan, &err), &err);
    assert_ok(ol_account_change(d->account, &op, &err), &err);
    ol_plan_free(plan);
}

/* @return inodes the diff added, which are those the account says */
static int64_t diffed_write(struct diffed *d, const char *dir)
{
    ol_auto_fd int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_engine_usage before;
    struct ol_engine_usage after;
    struct ol_inode_kinds told;

    assert_true(fd >= 0);
    assert_true(ol_account_take(d->account, &told));
    assert_ok(d->ops->usage(d->engine, &before, &err), &err);
    assert_ok(d->ops->save_diff(d->engine, fd, &err), &err);
    assert_ok(d->ops->usage(d->engine, &after, &err), &err);
    ol_account_diff(d->account);
    assert_true(ol_account_take(d->account, &told));
    ol_engine_usage_sum(&after, &before, -1);
    if (ol_inode_kinds_total(&told) != after.inodes || told.whiteout != after.kinds.whiteout)
        fail_msg("%s: the diff added %jd, and %jd predicted", d->name, (intmax_t)after.inodes,
                 (intmax_t)ol_inode_kinds_total(&told));
    return after.inodes;
}

/* Written while mounted, and again; @return what both added */
static int64_t diff_of(const char *name)
{
    struct test_dir dir;
    struct diffed d;
    int64_t added;

    test_dir_make(&dir);
    diffed_open(&d, name, dir.path);
    diffed_mount(&d, true);
    diffed_change(&d, OL_OP_DELETE);
    diffed_change(&d, OL_OP_ADD);
    added = diffed_write(&d, dir.path);
    diffed_mount(&d, false);
    added += diffed_write(&d, dir.path);
    added += diffed_write(&d, dir.path);
    diffed_close(&d);
    test_dir_remove(&dir);
    return added;
}

static void predictions__hold_for_a_diff(void **state)
{
    static const struct {
        const char *name;
        int64_t mounted; /* whiteouts that mounts for the diff free: of container and init layer */
    } engines[] = {{"overlay", -2}, {"overlay:diff=upper", 0},
                   {"overlay2", 0}, {"overlay2:diff=naive", -1},
                   {"vfs", 0},      {"snapshot", 0}};

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    for (size_t i = 0; i < OL_ARRAY_LEN(engines); i++)
        assert_int_equal(diff_of(engines[i].name), engines[i].mounted);
}

static int choose_view(const char *option)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (strcmp(option, "--direct") == 0) {
        view = OL_VIEW_DIRECT;
        return 0;
    }
    view = OL_VIEW_USERNS;
    if (!can_user_namespace() || ol_view_enter_userns(&err) < 0) {
        print_message("SKIP predictions: no user namespace can be entered\n");
        return 1;
    }
    return 0;
}

/* Arguments in any order: --userns, --direct, and --large for the built-in image. */
int main(int argc, char **argv)
{
    const struct CMUnitTest small[] = {
        cmocka_unit_test(predictions__hold_for_a_small_root),
        cmocka_unit_test(predictions__hold_for_a_diff),
    };
    const struct CMUnitTest large[] = {
        cmocka_unit_test(predictions__hold_for_the_built_in_image),
    };
    bool is_large = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--large") == 0)
            is_large = true;
        else if (choose_view(argv[i]) != 0)
            return 0;
    }
    return is_large ? cmocka_run_group_tests_name("predictions", large, NULL, NULL)
                    : cmocka_run_group_tests_name("predictions", small, NULL, NULL);
}
