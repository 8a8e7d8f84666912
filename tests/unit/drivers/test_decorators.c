/* SPDX-License-Identifier: Apache-2.0 */
/* trace and fault around the null driver, and the null driver itself. */
#include "support/support.h"
#include "support/tarball.h"

#include "common/buf.h"
#include "drivers/driver.h"
#include "drivers/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

struct fixture {
    struct test_dir dir;
    struct ol_driver *drv;
    struct ol_driver_trace_event last;
    char last_id[64];
    unsigned events;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver_config config = {.view = OL_VIEW_DIRECT};

    assert_non_null(f);
    test_dir_make(&f->dir);
    config.home = f->dir.path;
    assert_ok(ol_driver_open("null", &config, &f->drv, &err), &err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ol_driver_close(f->drv);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static int create(struct ol_driver *drv, const char *id, const char *parent, struct ol_error *err)
{
    return ol_driver_create(drv, &(struct ol_layer_spec){.id = id, .parent = parent}, err);
}

/* ---- null ---- */

static int join_ids(const char *id, void *data)
{
    return ol_buf_printf(data, "%s ", id);
}

static void null__keeps_ids_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf ids = OL_BUF_INIT;
    struct ol_rootfs *fs = NULL;

    assert_ok(create(f->drv, "b", NULL, &err), &err);
    assert_ok(create(f->drv, "a", "b", &err), &err);
    assert_int_equal(create(f->drv, "a", NULL, NULL), -EEXIST);
    assert_int_equal(create(f->drv, "c", "missing", NULL), -ENOENT);
    assert_ok(ol_driver_list(f->drv, join_ids, &ids, &err), &err);
    assert_string_equal(ol_buf_str(&ids), "a b ");
    assert_int_equal(ol_driver_rootfs(f->drv, "a", &fs, NULL), -EOPNOTSUPP);
    assert_ok(ol_driver_remove(f->drv, "a", &err), &err);
    assert_false(ol_driver_exists(f->drv, "a"));
    assert_absent(f->dir.fd, "a");
    assert_int_equal(ol_driver_caps(f->drv), 0);
}

static void null__reads_archives_and_gives_empty_ones(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int fd = memfd_create("null", MFD_CLOEXEC);
    int out_fd = dup(fd);
    struct tarball tar = TARBALL_INIT;
    struct ol_apply_result applied;
    struct ol_tar_result diff;
    struct ol_input input;

    tarball_add_file(&tar, "f", "12345");
    tarball_end(&tar);
    input = OL_INPUT_FD(tarball_fd(&tar));
    assert_ok(create(f->drv, "a", NULL, &err), &err);
    assert_ok(ol_driver_apply_diff(f->drv, "a", NULL, &input, &applied, &err), &err);
    assert_int_equal(applied.size_bytes, 5);
    assert_int_equal(applied.layer.entries, 1);
    assert_ok(ol_driver_diff(f->drv, "a", NULL, &out_fd, &diff, &err), &err);
    assert_string_equal(diff.diff_id, OL_EMPTY_DIFF_ID);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 1024);
    tarball_fini(&tar);
}

/* ---- trace ---- */

static void note(const struct ol_driver_trace_event *event, void *data)
{
    struct fixture *f = data;

    f->last = *event;
    f->events++;
    (void)snprintf(f->last_id, sizeof(f->last_id), "%s", event->id != NULL ? event->id : "-");
}

static void trace__reports_each_call_with_its_result(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;

    assert_ok(ol_driver_trace_new(f->drv, note, f, &f->drv, &err), &err);
    assert_string_equal(ol_driver_name(f->drv), "null");
    assert_string_equal(ol_driver_home(f->drv), f->dir.path);
    assert_ok(create(f->drv, "a", NULL, &err), &err);
    assert_string_equal(f->last.op, "create");
    assert_string_equal(f->last_id, "a");
    assert_int_equal(f->last.result, 0);
    assert_int_equal(create(f->drv, "b", "gone", &err), -ENOENT);
    assert_string_equal(f->last.parent, "gone");
    assert_int_equal(f->last.result, -ENOENT);
    assert_message(&err, "null: cannot create layer 'b': parent layer 'gone'"); /* said once */
    assert_ok(ol_driver_get(f->drv, "a", &path, &err), &err);
    assert_string_equal(f->last.op, "get");
    assert_ok(ol_driver_put(f->drv, "a", &err), &err);
    assert_true(ol_driver_exists(f->drv, "a"));
    assert_int_equal(f->events, 4);
}

/* The put in it is made by the wrapped driver, below the decorator. */
static void trace__tells_when_a_rootfs_is_closed(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver_config config = {.view = OL_VIEW_DIRECT};
    struct ol_driver *traced = NULL;
    struct ol_rootfs *fs = NULL;
    ol_auto_free char *home = NULL;

    assert_true(asprintf(&home, "%s/vfs", f->dir.path) > 0);
    config.home = home;
    assert_ok(ol_driver_open("vfs", &config, &traced, &err), &err);
    assert_ok(ol_driver_trace_new(traced, note, f, &traced, &err), &err);
    assert_ok(create(traced, "a", NULL, &err), &err);
    assert_ok(ol_driver_rootfs(traced, "a", &fs, &err), &err);
    assert_string_equal(f->last.op, "rootfs");
    assert_int_equal(f->events, 2);
    assert_ok(ol_rootfs_close(fs, &err), &err);
    assert_int_equal(f->events, 3);
    assert_string_equal(f->last.op, "put");
    assert_string_equal(f->last_id, "a");
    assert_int_equal(f->last.result, 0);
    ol_driver_close(traced);
}

static void trace__works_without_a_function(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_driver_trace_new(f->drv, NULL, NULL, &f->drv, &err), &err);
    assert_ok(create(f->drv, "a", NULL, &err), &err);
}

/* ---- fault ---- */

static void fault__fails_the_nth_call_before_it_is_made(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(ol_driver_fault_new(f->drv, &f->drv, &err), &err);
    ol_driver_fault_arm(f->drv, 2);
    assert_ok(create(f->drv, "a", NULL, &err), &err);
    assert_false(ol_driver_fault_delivered(f->drv));
    assert_int_equal(create(f->drv, "b", NULL, &err), -EIO);
    assert_message(&err, "call 2 (create)");
    assert_true(ol_driver_fault_delivered(f->drv));
    assert_false(ol_driver_exists(f->drv, "b"));
    assert_ok(create(f->drv, "b", NULL, &err), &err); /* once */
    ol_driver_fault_arm(f->drv, 0);
    assert_ok(ol_driver_remove(f->drv, "b", &err), &err);
}

static void decorators__stack(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_driver *fault = NULL;

    assert_ok(ol_driver_fault_new(f->drv, &fault, &err), &err);
    f->drv = fault;
    assert_ok(ol_driver_trace_new(f->drv, note, f, &f->drv, &err), &err);
    ol_driver_fault_arm(fault, 1);
    assert_int_equal(ol_driver_remove(f->drv, "x", &err), -EIO);
    assert_int_equal(f->last.result, -EIO);
    assert_int_equal(ol_driver_avoided_sleep_ns(f->drv), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(null__keeps_ids_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(null__reads_archives_and_gives_empty_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(trace__reports_each_call_with_its_result, setup, teardown),
        cmocka_unit_test_setup_teardown(trace__tells_when_a_rootfs_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(trace__works_without_a_function, setup, teardown),
        cmocka_unit_test_setup_teardown(fault__fails_the_nth_call_before_it_is_made, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(decorators__stack, setup, teardown),
    };
    return cmocka_run_group_tests_name("decorators", tests, NULL, NULL);
}
