/* SPDX-License-Identifier: Apache-2.0 */
/* Unwinding of ol_layer_apply(): every change of the file system fails once, nothing leaks. */
#include "layer_fixture.h"

#include "common/fault.h"

#include <errno.h>

/* The whole of a small layer, failed at its first, second, third… change of the file system. */
static void fault_layer(struct tarball *tar, bool ballast)
{
    char *zeros = calloc(1, 1200000);

    assert_non_null(zeros);
    if (ballast)
        tarball_add_bytes(tar, "ballast", zeros, 1200000);
    tarball_add_dir_mode(tar, "d", 0500);
    tarball_add_file(tar, "d/a", "a");
    tarball_add_file(tar, "implied/dir/b", "b");
    tarball_add_symlink(tar, "s", "d");
    tarball_add_fifo(tar, "p");
    tarball_add_hardlink_mode(tar, "h", "d/a", 0600, 0);
    tarball_add_file(tar, "old/.wh.tree", "");
    tarball_add_file(tar, "old/sub/.wh..wh..opq", "");
    tarball_add_file(tar, "replaced", "new");
    for (int i = 0; i < 100; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "d/many%d", i);
        tarball_add_file(tar, name, "x");
    }
    free(zeros);
}

static void fault_tree(struct layer_fixture *f)
{
    test_mkdir(f->root_fd, "old", 0755);
    test_mkdir(f->root_fd, "old/tree", 0755);
    test_write(f->root_fd, "old/tree/f", "x");
    test_mkdir(f->root_fd, "old/sub", 0755);
    test_write(f->root_fd, "old/sub/f", "x");
    test_write(f->root_fd, "replaced", "old");
}

static void layer_faults__every_failing_call_is_reported_and_leaks_nothing(void **state)
{
    struct layer_fixture *f = *state;

    if (!OL_FAULTS) {
        print_message("SKIP %s: this build has no fault points\n", __func__);
        skip();
    }
    f->options.threads = 3;
    fault_tree(f);
    fault_layer(&f->tar, true);
    layer_apply_ok(f); /* ThreadSanitizer starts a thread of its own with our first */
    for (int ballast = 0; ballast < 2; ballast++) {
        for (unsigned long n = 1;; n += n < 40 ? 1 : 7) {
            size_t before;
            int r;
            layer_clear(f);
            fault_tree(f);
            fault_layer(&f->tar, ballast);
            before = test_resources();
            ol_fault_arm(n);
            r = layer_apply(f);
            if (!ol_fault_delivered()) {
                ol_fault_arm(0);
                assert_ok(r, &f->err);
                assert_true(n > 50);
                break;
            }
            ol_fault_arm(0);
            assert_int_equal(r, -EIO);
            assert_resources(before);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            layer_faults__every_failing_call_is_reported_and_leaks_nothing, layer_setup,
            layer_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
