/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small image whose layers hold every kind of change, replayed on every driver, in one of the
 * three views: the counts have to be the predicted ones, and each committed layer has to be its
 * original's tree, for the reasons named where its bytes are others.
 */
#include "support/image_archive.h"

#include "bench/harness/compare.h"
#include "common/mount/view.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAYERS = 9, TIME = 1000000000 };

static enum ol_view view = OL_VIEW_KERNEL;

static bool can_have_view(void)
{
    return view != OL_VIEW_KERNEL || can_mount_overlay();
}

/* Devices need privileges that a view without mounts may still have: only root makes them. */
static bool can_make_devices(void)
{
    return view != OL_VIEW_USERNS && geteuid() == 0;
}

/* ---- the image ---- */

static void base(struct tarball *tar)
{
    tarball_add_dir(tar, "etc/");
    tarball_add_file(tar, "etc/hostname", "small");
    tarball_add_file(tar, "etc/passwd", "root\n");
    tarball_add_dir(tar, "usr/");
    tarball_add_dir(tar, "usr/lib/");
    tarball_add_symlink(tar, "lib", "usr/lib");
    tarball_add_file(tar, "usr/lib/a", "content of a");
    tarball_add_hardlink(tar, "usr/lib/a2", "usr/lib/a");
    tarball_add_file(tar, "usr/lib/gone", "to be deleted");
    tarball_add_file(tar, "usr/lib/moved", "to be moved, and quite unlike the others");
    tarball_add_dir(tar, "usr/old/");
    tarball_add_dir(tar, "usr/old/deep/");
    tarball_add_file(tar, "usr/old/deep/file", "old");
    tarball_add_file(tar, "usr/old/one", "old");
    tarball_add_dir(tar, "var/");
    tarball_add_file(tar, "var/becomes-dir", "a file");
    tarball_add_dir(tar, "var/becomes-file/");
    tarball_add_file(tar, "var/becomes-file/x", "x");
    tarball_add_dir(tar, "var/becomes-link/");
    tarball_add_fifo(tar, "var/pipe");
}

/* Files and directories; overwritten, new, with other modes and owners. */
static void files(struct tarball *tar)
{
    tarball_add_dir(tar, "etc/");
    tarball_add_file_mode(tar, "etc/passwd", 0600, "root\nuser\n");
    tarball_add_file(tar, "etc/resolv.conf", "nameserver ::1\n"); /* the init layer has one */
    tarball_add_dir_mode(tar, "opt/", 0750);
    tarball_add_file(tar, "opt/empty", "");
    tarball_add_file_mode(tar, "opt/run", 04755, "#!/bin/sh\n");
    tarball_add(tar, &(struct tarball_entry){.name = "opt/zeros",
                                             .type = '0',
                                             .mode = 0444,
                                             .mtime = TIME,
                                             .content_len = 3u << 20});
}

static void deletions(struct tarball *tar)
{
    tarball_add_dir(tar, "usr/");
    tarball_add_dir(tar, "usr/lib/");
    tarball_add_file(tar, "usr/lib/.wh.gone", "");
    tarball_add_file(tar, "usr/.wh.old", ""); /* a directory with a directory in it */
    tarball_add_dir(tar, "opt/");
    tarball_add_file(tar, "opt/.wh.empty", ""); /* an earlier layer's file */
}

static void a_move(struct tarball *tar)
{
    tarball_add_dir(tar, "usr/");
    tarball_add_file_mode(tar, "usr/here", 0640, "to be moved, and quite unlike the others");
    tarball_add_dir(tar, "usr/lib/");
    tarball_add_file(tar, "usr/lib/.wh.moved", "");
}

static void links(struct tarball *tar)
{
    tarball_add_dir(tar, "usr/");
    tarball_add_dir(tar, "usr/lib/");
    tarball_add_file(tar, "usr/lib/a", "new content of a"); /* a2 keeps the old one */
    tarball_add_hardlink(tar, "usr/lib/a3", "usr/lib/a");
    tarball_add_symlink(tar, "usr/lib/to-a", "a");
    tarball_add_symlink(tar, "usr/dangling", "../no/where");
    tarball_add_fifo(tar, "usr/pipe");
}

static void other_types(struct tarball *tar)
{
    tarball_add_dir(tar, "var/");
    tarball_add_dir(tar, "var/becomes-dir/");
    tarball_add_file(tar, "var/becomes-dir/in", "it");
    tarball_add_file(tar, "var/becomes-file", "now a file");
    tarball_add_symlink(tar, "var/becomes-link", "../usr");
    tarball_add_file(tar, "var/pipe", "no pipe any more");
}

/* Entries before the marker stay, as those after it do. */
static void an_opaque(struct tarball *tar)
{
    tarball_add_dir(tar, "usr/");
    tarball_add_dir_mode(tar, "usr/lib/", 0711);
    tarball_add_file(tar, "usr/lib/before", "the marker");
    tarball_add_file(tar, "usr/lib/.wh..wh..opq", "");
    tarball_add_file(tar, "usr/lib/later", "than the marker");
}

static void specials(struct tarball *tar)
{
    tarball_add_dir(tar, "dev2/");
    if (can_make_devices()) {
        tarball_add_device(tar, "dev2/null", '3', 1, 3);
        tarball_add_device(tar, "dev2/loop0", '4', 7, 0);
    }
    tarball_add_fifo(tar, "dev2/pipe");
}

/* No entry for "usr" and "usr/lib", and a name that leads through a symlink. */
static void implied(struct tarball *tar)
{
    tarball_add_file(tar, "lib/through-link", "y");
    tarball_add_file(tar, "new/deep/down", "z");
}

static void (*const makers[LAYERS])(struct tarball *) = {
    base, files, deletions, a_move, links, other_types, an_opaque, specials, implied};

/* ---- replaying it ---- */

static char *const engines[] = {(char[]){"overlay"},
                                (char[]){"overlay:diff=upper"},
                                (char[]){"overlay:clone=all"},
                                (char[]){"overlay2"},
                                (char[]){"vfs"},
                                (char[]){"snapshot"}};

struct replayed {
    struct test_dir images, dir;
    struct ol_report report;
};

static void replay(struct replayed *r, const struct tarball *layers, size_t count)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *image = NULL;
    struct ol_compare_options options = {
        .engines = engines,
        .n_engines = OL_ARRAY_LEN(engines),
        .workload = {.seed = 1, .rounds = 1, .replay = true},
        .view = view,
        .path_kind = "directory",
    };

    test_dir_make(&r->images);
    test_dir_make(&r->dir);
    image = image_archive_write(&r->images, "image.tar", layers, count);
    options.image = image;
    options.dir = r->dir.path;
    assert_ok(ol_compare_run(&options, &r->report, &err), &err);
    assert_int_equal(r->report.n_engines, OL_ARRAY_LEN(engines));
    assert_int_equal(r->report.workload.commits, count - 1);
}

static void replayed_fini(struct replayed *r)
{
    ol_report_fini(&r->report);
    test_dir_remove(&r->dir); /* fails the test when something was left in it */
    test_dir_remove(&r->images);
}

/* One layer over base(). */
static void replay_one(struct replayed *r, void (*second)(struct tarball *))
{
    struct tarball layers[2] = {TARBALL_INIT, TARBALL_INIT};

    base(&layers[0]);
    second(&layers[1]);
    for (size_t i = 0; i < OL_ARRAY_LEN(layers); i++)
        tarball_end(&layers[i]);
    replay(r, layers, OL_ARRAY_LEN(layers));
    for (size_t i = 0; i < OL_ARRAY_LEN(layers); i++)
        tarball_fini(&layers[i]);
}

static void make_layers(struct tarball layers[LAYERS])
{
    for (size_t i = 0; i < LAYERS; i++) {
        layers[i] = (struct tarball)TARBALL_INIT;
        makers[i](&layers[i]);
        tarball_end(&layers[i]);
    }
}

static void free_layers(struct tarball *layers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tarball_fini(&layers[i]);
}

static uint64_t reason(const struct replayed *r, size_t engine, unsigned index,
                       enum ol_replay_reason_kind kind)
{
    return ol_report_verdict_on(&r->report, engine, index)->reasons[kind].count;
}

static void print_reasons(const struct ol_replay_verdict *verdict)
{
    for (unsigned i = 0; i < OL_REASONS; i++) {
        if (verdict->reasons[i].count > 0)
            print_message("  %ju x %s: %s\n", (uintmax_t)verdict->reasons[i].count,
                          ol_replay_reason_name(i),
                          verdict->reasons[i].example != NULL ? verdict->reasons[i].example : "");
    }
}

static void assert_same_trees(const struct replayed *r)
{
    for (size_t e = 0; e < r->report.n_engines; e++) {
        for (unsigned i = 0; i < r->report.workload.commits; i++) {
            const struct ol_replay_verdict *verdict = ol_report_verdict_on(&r->report, e, i);

            if (!verdict->checked || !verdict->same_tree)
                print_reasons(verdict);
            if (!verdict->checked || !verdict->same_tree)
                fail_msg("%s: layer %u is not the tree it was made from", r->report.engines[e].name,
                         i + 1);
            if (!verdict->same_diff)
                continue;
            for (unsigned k = 0; k < OL_REASONS; k++)
                assert_int_equal(verdict->reasons[k].count, 0);
        }
    }
}

static void assert_predicted(const struct replayed *r)
{
    for (size_t e = 0; e < r->report.n_engines; e++) {
        const struct ol_bench_engine *engine = &r->report.engines[e];

        for (size_t i = 0; i < engine->n_steps; i++) {
            const struct ol_bench_step *step = &engine->steps[i];

            if (ol_step_is_wrong(step))
                fail_msg("%s %s %u: %jd inodes measured, %jd predicted", engine->name,
                         ol_step_op_name(step->op), step->index, (intmax_t)step->added.inodes,
                         (intmax_t)ol_inode_kinds_total(&step->predicted));
        }
        assert_int_equal(engine->left_inodes, 0);
    }
}

static void replay__every_change_gives_the_tree_it_was_made_from(void **state)
{
    struct tarball layers[LAYERS];
    struct replayed r;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    make_layers(layers);
    replay(&r, layers, LAYERS);
    assert_same_trees(&r);
    assert_predicted(&r);
    replayed_fini(&r);
    free_layers(layers, LAYERS);
}

static void replay__a_moved_file_is_renamed(void **state)
{
    struct replayed r;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    replay_one(&r, a_move);
    for (size_t e = 0; e < r.report.n_engines; e++) {
        const struct ol_bench_engine *engine = &r.report.engines[e];

        for (size_t i = 0; i < engine->n_steps; i++) {
            /* RENAME_WHITEOUT leaves one whiteout and no cached one; vfs gains and loses nothing */
            if (engine->steps[i].op == OL_STEP_CONTAINER_CHANGE)
                assert_int_equal(engine->steps[i].added.kinds.whiteout,
                                 strcmp(engine->name, "vfs") == 0 ? 0 : 1);
        }
    }
    assert_same_trees(&r);
    replayed_fini(&r);
}

static void replay__reasons_are_told(void **state)
{
    struct tarball layers[LAYERS];
    struct replayed r;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    make_layers(layers);
    replay(&r, layers, LAYERS);
    for (size_t e = 0; e < r.report.n_engines; e++) {
        bool native = strcmp(engines[e], "overlay2") == 0 || strcmp(engines[e], "snapshot") == 0;

        /* nobody can give a whiteout a time of the past */
        assert_int_equal(reason(&r, e, 1, OL_REASON_WHITEOUT_TIME), 3);
        assert_false(ol_report_verdict_on(&r.report, e, 1)->same_diff);
        /* a naive diff knows no opaque directories: it lists what went */
        assert_int_equal(reason(&r, e, 5, OL_REASON_MISSING_OPAQUE), native ? 0 : 1);
        assert_true(native || reason(&r, e, 5, OL_REASON_EXTRA_WHITEOUT) > 0);
        assert_true(reason(&r, e, 7, OL_REASON_EXTRA_DIRECTORY) > 0);
        assert_int_equal(reason(&r, e, 0, OL_REASON_MODE_BITS), 7);
    }
    replayed_fini(&r);
    free_layers(layers, LAYERS);
}

/* Nothing to delete below it any more, entries before the marker and after it. */
static void an_opaque_root(struct tarball *tar)
{
    tarball_add_dir(tar, "etc/");
    tarball_add_file(tar, "etc/new", "before");
    tarball_add_file(tar, ".wh..wh..opq", "");
    tarball_add_file(tar, "usr/new", "after");
}

static void replay__an_opaque_root_empties_the_image(void **state)
{
    struct replayed r;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    replay_one(&r, an_opaque_root);
    assert_same_trees(&r);
    assert_predicted(&r);
    for (size_t e = 0; e < r.report.n_engines; e++)
        assert_int_equal(reason(&r, e, 0, OL_REASON_MISSING_OPAQUE), 1);
    replayed_fini(&r);
}

static void nothing_new(struct tarball *tar)
{
    tarball_add_dir(tar, "./");
    tarball_add_dir(tar, "etc/");
    tarball_add_file(tar, "etc/passwd", "first\n");
    tarball_add_file(tar, "etc/passwd", "second\n");
    tarball_add_file(tar, "etc/.wh.never-was", "");
}

static void replay__what_changes_nothing_is_told(void **state)
{
    struct replayed r;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    replay_one(&r, nothing_new);
    assert_same_trees(&r);
    assert_predicted(&r);
    for (size_t e = 0; e < r.report.n_engines; e++) {
        assert_int_equal(reason(&r, e, 0, OL_REASON_MISSING_ROOT), 1);
        assert_int_equal(reason(&r, e, 0, OL_REASON_DUPLICATE), 1);
        assert_int_equal(reason(&r, e, 0, OL_REASON_MISSING_WHITEOUT), 1);
    }
    replayed_fini(&r);
}

static void unchanged_directories(struct tarball *tar)
{
    tarball_add_dir(tar, "usr/");
    tarball_add_dir(tar, "usr/lib/");
}

static void below_whiteouts(struct tarball *tar)
{
    tarball_add_file(tar, "etc/.wh.passwd", "");
    tarball_add_file(tar, "etc/passwd/in", "a directory");
    tarball_add_file(tar, "usr/.wh.old", "");
    tarball_add_file(tar, "usr/old/deep/new", "and nothing else");
}

/* A naive diff of the first is empty: no layer is made, and the second is on the base's. */
static void replay__a_layer_without_changes_is_predicted(void **state)
{
    struct tarball layers[3] = {TARBALL_INIT, TARBALL_INIT, TARBALL_INIT};
    struct replayed r;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    base(&layers[0]);
    unchanged_directories(&layers[1]);
    below_whiteouts(&layers[2]);
    for (size_t i = 0; i < OL_ARRAY_LEN(layers); i++)
        tarball_end(&layers[i]);
    replay(&r, layers, OL_ARRAY_LEN(layers));
    assert_same_trees(&r);
    assert_predicted(&r);
    for (size_t e = 0; e < r.report.n_engines; e++) {
        bool native = strcmp(engines[e], "overlay2") == 0 || strcmp(engines[e], "snapshot") == 0;

        assert_int_equal(reason(&r, e, 0, OL_REASON_MISSING_DIRECTORY), native ? 0 : 2);
    }
    replayed_fini(&r);
    free_layers(layers, OL_ARRAY_LEN(layers));
}

static void a_note(struct tarball *tar)
{
    tarball_add_dir(tar, "etc/");
    tarball_xattr(tar, "user.note", "kept", 4);
    tarball_add_file(tar, "etc/noted", "x");
}

/* Docker's diff carries security.capability and no other attribute. */
static void replay__attributes_a_commit_loses_are_another_tree(void **state)
{
    struct replayed r;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    replay_one(&r, a_note);
    for (size_t e = 0; e < r.report.n_engines; e++) {
        assert_int_equal(reason(&r, e, 0, OL_REASON_XATTRS), 1);
        assert_false(ol_report_verdict_on(&r.report, e, 0)->same_tree);
    }
    replayed_fini(&r);
}

static json_t *print_json(const struct ol_report *report)
{
    const struct ol_report_style style = {0};
    ol_auto_free char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    json_t *json;

    assert_non_null(out);
    assert_int_equal(ol_report_print(report, OL_REPORT_JSON, &style, out, NULL), 0);
    assert_int_equal(fclose(out), 0);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static void replay__json_tells_the_step_and_how_it_came_out(void **state)
{
    struct tarball layers[LAYERS];
    struct replayed r;
    json_t *json;
    const json_t *steps;
    const json_t *step;
    size_t i;
    size_t commits = 0;

    (void)state;
    OL_REQUIRE(can_have_view, "mounting overlayfs needs CAP_SYS_ADMIN");
    make_layers(layers);
    replay(&r, layers, LAYERS);
    json = print_json(&r.report);
    assert_true(json_is_true(json_object_get(json_object_get(json, "workload"), "replay")));
    assert_int_equal(json_array_size(json_object_get(json_object_get(json, "image"), "history")),
                     LAYERS + 1); /* one step made no layer */
    steps = json_object_get(json_array_get(json_object_get(json, "engines"), 0), "steps");
    json_array_foreach(steps, i, step)
    {
        const json_t *replayed = json_object_get(step, "replayed");

        if (strcmp(json_string_value(json_object_get(step, "op")), "commit") != 0)
            continue;
        commits++;
        assert_int_equal(json_integer_value(json_object_get(step, "layer")), commits);
        assert_non_null(strstr(json_string_value(json_object_get(step, "created_by")), "RUN step"));
        assert_true(json_is_true(json_object_get(replayed, "same_tree")));
        assert_true(json_is_true(json_object_get(replayed, "same_diff_id")) ||
                    json_array_size(json_object_get(replayed, "reasons")) > 0);
    }
    assert_int_equal(commits, LAYERS - 1);
    json_decref(json);
    replayed_fini(&r);
    free_layers(layers, LAYERS);
}

static void replay__an_image_of_one_layer_is_refused(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball layer = TARBALL_INIT;
    ol_auto_free char *image = NULL;
    struct test_dir images, dir;
    struct ol_report report;
    struct ol_compare_options options = {.engines = engines,
                                         .n_engines = 1,
                                         .workload = {.rounds = 1, .replay = true},
                                         .view = OL_VIEW_DIRECT,
                                         .path_kind = "directory"};

    (void)state;
    base(&layer);
    tarball_end(&layer);
    test_dir_make(&images);
    test_dir_make(&dir);
    image = image_archive_write(&images, "image.tar", &layer, 1);
    options.image = image;
    options.dir = dir.path;
    assert_int_equal(ol_compare_run(&options, &report, &err), -EINVAL);
    assert_non_null(strstr(err.message, "no build step to replay"));
    ol_report_fini(&report);
    test_dir_remove(&dir);
    test_dir_remove(&images);
    tarball_fini(&layer);
}

static int choose_view(const char *option)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    if (strcmp(option, "--direct") == 0) {
        view = OL_VIEW_DIRECT;
        return 0;
    }
    view = OL_VIEW_USERNS;
    if (can_user_namespace() && ol_view_enter_userns(&err) == 0)
        return 0;
    print_message("SKIP replay: no user namespace can be entered\n");
    return 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay__every_change_gives_the_tree_it_was_made_from),
        cmocka_unit_test(replay__a_moved_file_is_renamed),
        cmocka_unit_test(replay__reasons_are_told),
        cmocka_unit_test(replay__an_opaque_root_empties_the_image),
        cmocka_unit_test(replay__what_changes_nothing_is_told),
        cmocka_unit_test(replay__a_layer_without_changes_is_predicted),
        cmocka_unit_test(replay__attributes_a_commit_loses_are_another_tree),
        cmocka_unit_test(replay__json_tells_the_step_and_how_it_came_out),
        cmocka_unit_test(replay__an_image_of_one_layer_is_refused),
    };

    if (argc > 1 && choose_view(argv[1]) != 0)
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
