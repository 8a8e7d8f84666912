/* SPDX-License-Identifier: Apache-2.0 */
/* Unwinding of a replay: every change it makes fails once, and its layer ends early everywhere;
 * nothing leaks, nothing stays mounted, and the error names layer and entry. */
#include "support/support.h"
#include "support/tarball.h"

#include "bench/oracle/oracle.h"
#include "bench/workloads/replay.h"
#include "common/fault.h"
#include "common/layer/layer.h"
#include "drivers/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAYERS = 2 };

struct fixture {
    struct test_dir dir;
    struct tarball tars[LAYERS];
    struct ol_input inputs[LAYERS];
    struct ol_model *model; /* of the layer below, until a plan was made */
};

static void base(struct tarball *tar)
{
    tarball_add_dir(tar, "etc/");
    tarball_add_file(tar, "etc/passwd", "root\n");
    tarball_add_dir(tar, "usr/");
    tarball_add_dir(tar, "usr/lib/");
    tarball_add_file(tar, "usr/lib/a", "content of a");
    tarball_add_hardlink(tar, "usr/lib/b", "usr/lib/a");
    tarball_add_file(tar, "usr/lib/moved", "to be moved, and quite unlike the others");
    tarball_add_dir(tar, "usr/old/");
    tarball_add_file(tar, "usr/old/one", "old");
}

/* Every kind of item a plan has. */
static void changes(struct tarball *tar)
{
    tarball_add_dir_mode(tar, "etc/", 0750);
    tarball_add_file_mode(tar, "etc/passwd", 0600, "root\nuser\n");
    tarball_add_file(tar, "usr/here", "to be moved, and quite unlike the others");
    tarball_add_file(tar, "usr/lib/.wh.moved", "");
    tarball_add_file(tar, "usr/lib/a", "new content of a");
    tarball_add_hardlink(tar, "usr/lib/c", "usr/lib/a");
    tarball_add_symlink(tar, "usr/link", "lib");
    tarball_add_fifo(tar, "usr/pipe");
    tarball_add_file(tar, "usr/old/.wh..wh..opq", "");
    tarball_add_file(tar, "usr/old/new", "new");
    tarball_add_file(tar, "implied/deep/file", "y");
}

static int feed(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    f->tars[0] = f->tars[1] = (struct tarball)TARBALL_INIT;
    base(&f->tars[0]);
    changes(&f->tars[1]);
    for (size_t i = 0; i < LAYERS; i++) {
        tarball_end(&f->tars[i]);
        f->inputs[i] = (struct ol_input){tarball_fd(&f->tars[i]), 0, f->tars[i].len};
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < LAYERS; i++)
        tarball_fini(&f->tars[i]);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static int plan(const struct fixture *f, struct ol_replay **ret, struct ol_error *err)
{
    struct ol_model *model = NULL;
    int r;

    assert_ok(ol_model_new(&model, err), err);
    assert_ok(ol_model_begin_layer(model, err), err);
    assert_ok(ol_layer_scan(&f->inputs[0], NULL, feed, model, NULL, err), err);
    r = ol_replay_plan(model, f->inputs, 1, geteuid() == 0, ret, err);
    ol_model_free(model);
    return r;
}

/* Cut off anywhere before its end mark. */
static void replay_plan__a_layer_that_ends_early_is_named(void **state)
{
    struct fixture *f = *state;
    uint64_t whole = f->inputs[1].length;
    size_t named = 0;

    for (uint64_t len = 200; len + 1024 < whole; len += 200) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_replay *replay = NULL;
        size_t before = test_resources();
        int r;

        f->inputs[1].length = len;
        r = plan(f, &replay, &err);
        ol_replay_free(replay);
        assert_resources(before);
        if (r == 0) /* it ends between two entries */
            continue;
        assert_int_equal(r, -EBADMSG);
        assert_message(&err, "layer 1");
        named++;
    }
    assert_true(named > 5);
    f->inputs[1].length = whole;
}

static void replay_plan__an_entry_that_cannot_be_is_named(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct fixture *f = *state;
    struct ol_replay *replay = NULL;

    tarball_fini(&f->tars[1]);
    tarball_add_hardlink(&f->tars[1], "link", "etc/no-such-file");
    tarball_end(&f->tars[1]);
    f->inputs[1] = (struct ol_input){tarball_fd(&f->tars[1]), 0, f->tars[1].len};
    assert_int_equal(plan(f, &replay, &err), -ENOENT);
    assert_message(&err, "layer 1");
    assert_message(&err, "'link'");
}

/* ---- carried out on a driver ---- */

static struct ol_driver *open_driver(const struct fixture *f, const char *name, enum ol_view view)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *home = NULL;
    struct ol_driver *drv = NULL;

    assert_true(asprintf(&home, "%s/home", f->dir.path) > 0);
    const struct ol_driver_config config = {
        .home = home, .view = view, .keep_owner = geteuid() == 0};
    assert_ok(ol_driver_open(name, &config, &drv, &err), &err);
    return drv;
}

static void make_layers(const struct fixture *f, struct ol_driver *drv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_layer_spec image = {.id = "image"};

    assert_ok(ol_driver_create(drv, &image, &err), &err);
    assert_ok(ol_driver_apply_diff(drv, "image", NULL, &f->inputs[0], NULL, &err), &err);
}

static void make_container(struct ol_driver *drv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_layer_spec container = {
        .id = "container", .parent = "image", .read_write = true};

    assert_ok(ol_driver_create(drv, &container, &err), &err);
}

/* @return what the replay returned, with the nth change failing (0: none) */
static int run_failing(struct ol_driver *drv, const struct ol_replay *replay, unsigned long nth,
                       bool *ret_delivered, struct ol_error *err)
{
    struct ol_rootfs *fs = NULL;
    int r;

    assert_ok(ol_driver_rootfs(drv, "container", &fs, err), err);
    ol_fault_arm(nth);
    r = ol_replay_run(replay, fs, err);
    *ret_delivered = ol_fault_delivered();
    ol_fault_arm(0);
    assert_int_equal(ol_rootfs_close(fs, NULL), 0);
    return r;
}

static size_t count_changes(struct ol_driver *drv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;

    assert_ok(ol_driver_changes(drv, "container", "image", &changes, &err), &err);
    return changes.count;
}

static void fail_everywhere(struct fixture *f, const char *name, enum ol_view view)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    struct ol_driver *drv = open_driver(f, name, view);
    struct ol_replay *replay = NULL;
    bool delivered = true;
    unsigned long n = 0, failed = 0;
    size_t whole;

    make_layers(f, drv);
    assert_ok(plan(f, &replay, &why), &why);
    make_container(drv);
    assert_ok(run_failing(drv, replay, 0, &delivered, &why), &why);
    whole = count_changes(drv);
    assert_ok(ol_driver_remove(drv, "container", &why), &why);
    delivered = true;
    while (delivered) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        size_t before;
        int r;

        make_container(drv);
        before = test_resources();
        r = run_failing(drv, replay, ++n, &delivered, &err);
        assert_resources(before);
        if (r == 0) { /* not delivered, or there was another way: no whiteout to share */
            assert_int_equal(count_changes(drv), whole);
        } else {
            assert_int_equal(r, -EIO);
            assert_message(&err, "layer 1: ");
            assert_non_null(strchr(err.message, '\''));
            failed++;
        }
        assert_ok(ol_driver_remove(drv, "container", &err), &err); /* -EBUSY if still mounted */
    }
    assert_true(failed > 20 && failed + 5 > n);
    ol_replay_free(replay);
    assert_ok(ol_driver_remove(drv, "image", &why), &why);
    ol_driver_close(drv);
}

static void replay_run__every_failing_change_is_named_in_a_tree(void **state)
{
    OL_REQUIRE(can_inject_faults, "this build has no fault points");
    fail_everywhere(*state, "vfs", OL_VIEW_DIRECT);
}

static void replay_run__every_failing_change_is_named_in_an_unmounted_overlay(void **state)
{
    OL_REQUIRE(can_inject_faults, "this build has no fault points");
    fail_everywhere(*state, "overlay2", OL_VIEW_DIRECT);
}

static void replay_run__every_failing_change_is_named_in_a_mounted_overlay(void **state)
{
    OL_REQUIRE(can_inject_faults, "this build has no fault points");
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    fail_everywhere(*state, "overlay2", OL_VIEW_KERNEL);
}

/* It is read again when it runs: another file there is noticed, entries or none. */
static void replay_run__a_layer_that_changed_is_refused(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct fixture *f = *state;
    struct ol_driver *drv = open_driver(f, "vfs", OL_VIEW_DIRECT);
    struct ol_replay *replay = NULL;
    struct ol_rootfs *fs = NULL;
    struct tarball more = TARBALL_INIT;

    make_layers(f, drv);
    make_container(drv);
    assert_ok(plan(f, &replay, &err), &err);
    for (int i = 0; i < 100; i++)
        tarball_add_dir(&more, "etc/");
    assert_int_equal(pwrite(f->inputs[1].fd, more.data, f->inputs[1].length, 0),
                     (ssize_t)f->inputs[1].length);
    assert_ok(ol_driver_rootfs(drv, "container", &fs, &err), &err);
    assert_int_equal(ol_replay_run(replay, fs, &err), -EBADMSG);
    assert_message(&err, "layer 1");
    assert_int_equal(ol_rootfs_close(fs, NULL), 0);
    ol_replay_free(replay);
    ol_driver_close(drv);
    tarball_fini(&more);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(replay_plan__a_layer_that_ends_early_is_named),
        TEST(replay_plan__an_entry_that_cannot_be_is_named),
        TEST(replay_run__every_failing_change_is_named_in_a_tree),
        TEST(replay_run__every_failing_change_is_named_in_an_unmounted_overlay),
        TEST(replay_run__every_failing_change_is_named_in_a_mounted_overlay),
        TEST(replay_run__a_layer_that_changed_is_refused),
    };

    return cmocka_run_group_tests_name("replay_faults", tests, NULL, NULL);
}
