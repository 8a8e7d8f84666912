/* SPDX-License-Identifier: Apache-2.0 */
/* Each assertion of overlab-test: passes, fails, and what it says then. */
#include "testlib_fixture.h"

#include "bench/testlib/lab.h"

#include <fcntl.h>

enum { D = 4, R = 3, S = 1, OVERLAY = 1 + D + S + 1, OVERLAY2 = 6 + 3 };

static struct testlib_fixture *fixture(void **state)
{
    return *state;
}

/* ---- numbers ---- */

static void added__is_exact(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;

    assert_passes(ol_assert_inodes_added("overlay", commit, OVERLAY));
    assert_passes(ol_assert_inodes_added("overlay2", commit, OVERLAY2));
    assert_passes(ol_assert_inodes_added("snapshot", commit, 0));
    assert_fails("overlay2: commit 0 added 9 inodes, expected exactly 10",
                 ol_assert_inodes_added("overlay2", commit, OVERLAY2 + 1));
    assert_fails("expected exactly 8", ol_assert_inodes_added("overlay2", commit, OVERLAY2 - 1));
}

static void failure__tells_kinds_prediction_and_places(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;

    assert_fails("\n  by kind: 3 directories, 1 files, 5 bookkeeping"
                 "\n  predicted: 9 inodes: 3 directories, 1 files, 5 bookkeeping"
                 "\n  most new inodes lie in:\n         4  ",
                 ol_assert_inodes_added("overlay2", commit, 0));
    assert_non_null(strstr(heard.text, "/diff/usr/lib"));
    assert_null(strstr(heard.text, "work/work")); /* a path of a layer that is not new */
    assert_fails("/root/usr/lib", ol_assert_inodes_added("overlay", commit, 0));
}

static void failure__shortens_ids_only(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;
    const char *path;

    LISTEN(ol_assert_inodes_added("overlay2", commit, 0));
    path = strstr(heard.text, "/diff/usr/lib");
    assert_non_null(path);
    assert_int_equal(path[-13], ' ');
    assert_int_equal(strspn(path - 12, "0123456789abcdef"), 12);
}

static void limits__include_their_ends(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;

    assert_passes(ol_assert_inodes_at_most("overlay2", commit, OVERLAY2));
    assert_passes(ol_assert_inodes_between("overlay2", commit, OVERLAY2, OVERLAY2 + 1));
    assert_passes(ol_assert_inodes_between("overlay2", commit, OVERLAY2 - 1, OVERLAY2));
    assert_fails("expected at most 8", ol_assert_inodes_at_most("overlay2", commit, 8));
    assert_fails("expected 10 to 12", ol_assert_inodes_between("overlay2", commit, 10, 12));
    assert_fails("expected 1 to 8", ol_assert_inodes_between("overlay2", commit, 1, 8));
    assert_fails("expected at least 10",
                 ol_assert_inodes_between("overlay2", commit, 10, INT64_MAX));
}

static void kinds__are_told_apart(void **state)
{
    const struct ol_test_step *import = fixture(state)->import;

    assert_passes(ol_assert_inodes_of_kind("overlay", import, OL_TEST_DIRECTORIES, D));
    assert_passes(ol_assert_inodes_of_kind("overlay", import, OL_TEST_FILES, R));
    assert_passes(ol_assert_inodes_of_kind("overlay", import, OL_TEST_SYMLINKS, S));
    assert_passes(ol_assert_inodes_of_kind("overlay", import, OL_TEST_DEVICES, 0));
    assert_passes(ol_assert_inodes_of_kind("overlay", import, OL_TEST_FIFOS, 0));
    assert_passes(ol_assert_inodes_of_kind("overlay", import, OL_TEST_WHITEOUTS, 0));
    assert_passes(ol_assert_inodes_of_kind("overlay", import, OL_TEST_BOOKKEEPING, 1));
    assert_fails("overlay: import 0 added 3 files, expected exactly 4",
                 ol_assert_inodes_of_kind("overlay", import, OL_TEST_FILES, R + 1));
}

static void shared__counts_hard_linked_inodes(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;

    assert_passes(ol_assert_inodes_shared("overlay", commit, R));
    assert_passes(ol_assert_inodes_shared("overlay2", commit, 0));
    assert_passes(ol_assert_inodes_shared("vfs", commit, 0));
    assert_fails("overlay: commit 0 shares 3 inodes with what was there, expected exactly 4",
                 ol_assert_inodes_shared("overlay", commit, R + 1));
}

static void ratio__compares_two_drivers(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;

    assert_passes(ol_assert_inodes_ratio("overlay2", "overlay", commit, 1.2, 1.3));
    assert_fails(
        "overlay2: commit 0 added 9 inodes, overlay 7, expected a ratio of 2 to 3, not 1.29",
        ol_assert_inodes_ratio("overlay2", "overlay", commit, 2, 3));
    assert_fails("snapshot 0, expected a ratio of 2 to 3\n", /* and there is none */
                 ol_assert_inodes_ratio("overlay", "snapshot", commit, 2, 3));
}

static void bytes__are_counted(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;
    int64_t bytes = ol_test_bytes("overlay2", commit);

    assert_true(bytes > 0 && bytes % 512 == 0);
    assert_passes(ol_assert_bytes_at_most("overlay2", commit, bytes));
    assert_passes(ol_assert_bytes_between("overlay2", commit, bytes, bytes));
    assert_passes(ol_assert_bytes_between("snapshot", commit, 0, 0));
    assert_fails("bytes, expected at most 1\n", ol_assert_bytes_at_most("overlay2", commit, 1));
}

static void numbers__can_be_asked_for(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;

    assert_int_equal(ol_test_inodes("overlay2", commit), OVERLAY2);
    assert_int_equal(ol_test_inodes_of_kind("overlay2", commit, OL_TEST_FILES), 1);
    assert_fails("the lab has no driver 'overlay3'", (void)ol_test_inodes("overlay3", commit));
}

/* ---- predictions ---- */

static void predicted__holds_for_every_step(void **state)
{
    struct testlib_fixture *f = *state;
    const struct ol_test_step *removed = ol_test_container_remove(f->lab, 0);
    const struct ol_test_step *created = ol_test_container_create(f->lab);
    const struct ol_test_step *empty = ol_test_commit(f->lab);

    assert_passes(ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, f->import));
    assert_passes(ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, f->create));
    assert_passes(ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, f->commit));
    assert_passes(ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, removed));
    assert_passes(ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, created));
    assert_passes(ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, empty));
    assert_passes(ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_remove_all(f->lab)));
}

/* Behind the driver's back: what it did not make is counted all the same. */
static void predicted__fails_on_one_inode_too_many(void **state)
{
    struct testlib_fixture *f = *state;
    const struct ol_test_driver *driver = &f->lab->drivers[1];
    const struct ol_test_step *create;

    test_write(driver->ops->home(driver->engine), "l/stray", "");
    create = ol_test_container_create(f->lab);
    assert_passes(ol_assert_inodes_as_predicted("overlay", create));
    assert_fails("overlay2: container.create 1 added ",
                 ol_assert_inodes_as_predicted("overlay2", create));
    assert_non_null(strstr(heard.text, "of the cost model, kind by kind\n  by kind: "));
}

static void predicted__says_why_there_is_none(void **state)
{
    struct testlib_fixture *f = *state;

    assert_fails("overlay: there is no prediction for container.change 0: only seeded changes",
                 ol_assert_inodes_as_predicted("overlay", f->change));
}

/* ---- which drivers, and how it ends ---- */

static void every_driver__fails_for_each_that_breaks_it(void **state)
{
    const struct ol_test_step *commit = fixture(state)->commit;

    assert_passes(ol_assert_inodes_at_most(OL_TEST_EVERY_DRIVER, commit, D + R + S + 1));
    heard.returns = true;
    LISTEN(ol_assert_inodes_at_most(OL_TEST_EVERY_DRIVER, commit, OVERLAY2 - 2));
    heard.returns = false;
    assert_int_equal(heard.failures, 2); /* overlay2 and vfs; the handler returned */
    assert_non_null(strstr(heard.text, "vfs: commit 0"));
}

static void names__have_to_be_the_labs(void **state)
{
    struct testlib_fixture *f = *state;

    assert_fails("the lab has no driver 'btrfs'", ol_assert_inodes_added("btrfs", f->commit, 0));
    assert_fails("the lab has no driver 'btrfs'",
                 ol_assert_inodes_of_kind("btrfs", f->commit, OL_TEST_FILES, 0));
    assert_fails("the lab has no driver 'btrfs'",
                 ol_assert_inodes_as_predicted("btrfs", f->commit));
    assert_fails("the lab has no driver 'btrfs'", ol_assert_inodes_shared("btrfs", f->commit, 0));
    assert_fails("the lab has no driver 'btrfs'",
                 ol_assert_inodes_ratio("overlay", "btrfs", f->commit, 0, 1));
    assert_fails("the lab has no driver 'btrfs'", ol_assert_bytes_at_most("btrfs", f->commit, 0));
    assert_fails("the lab has no driver 'btrfs'", ol_assert_nothing_left("btrfs", f->lab));
}

static void nothing_left__compares_with_the_empty_storage(void **state)
{
    struct testlib_fixture *f = *state;

    assert_fails("overlay: ", ol_assert_nothing_left("overlay", f->lab));
    assert_non_null(strstr(heard.text, " inodes are left, expected none: "));
    ol_test_remove_all(f->lab);
    assert_passes(ol_assert_nothing_left(OL_TEST_EVERY_DRIVER, f->lab));
}

#define ASSERTION(test)                                                                            \
    cmocka_unit_test_setup_teardown(test, testlib_setup_commit, testlib_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ASSERTION(added__is_exact),
        ASSERTION(failure__tells_kinds_prediction_and_places),
        ASSERTION(failure__shortens_ids_only),
        ASSERTION(limits__include_their_ends),
        ASSERTION(kinds__are_told_apart),
        ASSERTION(shared__counts_hard_linked_inodes),
        ASSERTION(ratio__compares_two_drivers),
        ASSERTION(bytes__are_counted),
        ASSERTION(numbers__can_be_asked_for),
        ASSERTION(predicted__holds_for_every_step),
        ASSERTION(predicted__fails_on_one_inode_too_many),
        ASSERTION(predicted__says_why_there_is_none),
        ASSERTION(every_driver__fails_for_each_that_breaks_it),
        ASSERTION(names__have_to_be_the_labs),
        ASSERTION(nothing_left__compares_with_the_empty_storage),
    };

    return cmocka_run_group_tests_name("testlib_assert", tests, NULL, NULL);
}
