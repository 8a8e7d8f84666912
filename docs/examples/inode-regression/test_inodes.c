/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What images of notes may cost in inodes. With ten plugins the layout is 5 + 10 directories and
 * 1 + 20 files, and an upgrade touches all plugins: these tests break when a release starts to
 * spread its files wider, before a registry or a build machine runs out of inodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <overlab/test.h>

#include "notes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Limits; a build may lower them (-DUPGRADE_LIMIT=10) to see the tests fail. */
#ifndef IMAGE_LIMIT
#define IMAGE_LIMIT 40
#endif
#ifndef UPGRADE_LIMIT
#define UPGRADE_LIMIT 40
#endif

enum { PLUGINS = 10 };

static char root[] = "notes-root-XXXXXX"; /* what the image is made of */

/* A lab with an image of the installation. Not in a setup: cmocka cannot skip a test from there. */
static struct ol_test_lab *imported(void **state)
{
    struct ol_test_options options = {.drivers = "overlay,overlay2,snapshot"};
    struct ol_test_lab *lab = ol_test_lab_new(&options);

    *state = lab; /* for the teardown */
    ol_test_import(lab, root);
    return lab;
}

static int teardown(void **state)
{
    ol_test_lab_free(*state);
    return 0;
}

static void image__stays_small(void **state)
{
    ol_assert_inodes_at_most(OL_TEST_EVERY_DRIVER, ol_test_layer(imported(state), 0), IMAGE_LIMIT);
}

static void upgrade(struct ol_test_root *container, void *version)
{
    assert_int_equal(notes_upgrade(ol_test_root_path(container), PLUGINS, version), 0);
}

static void upgrade__writes_only_what_changed(void **state)
{
    static char version[] = "2";
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *commit;

    ol_test_container_create(lab);
    ol_test_change(lab, upgrade, version);
    commit = ol_test_commit(lab);
    ol_assert_inodes_at_most("overlay2", commit, UPGRADE_LIMIT);
    ol_assert_inodes_of_kind("overlay2", commit, OL_TEST_FILES, 2 * PLUGINS);
    ol_assert_inodes_of_kind("overlay2", commit, OL_TEST_WHITEOUTS, 0); /* nothing is replaced */
    ol_assert_inodes_shared("overlay", commit, 1); /* bin/notes stays the image's */
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, commit);
}

static void uninstall__leaves_nothing(void **state)
{
    struct ol_test_lab *lab = imported(state);

    ol_test_container_create(lab);
    ol_test_remove_all(lab);
    ol_assert_nothing_left(OL_TEST_EVERY_DRIVER, lab);
}

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) != NULL && chmod(root, 0755) == 0 ? notes_install(root, PLUGINS) : -1;
}

static int remove_root(void **state)
{
    char command[64] = "rm -r ";

    (void)state;
    return system(strncat(command, root, sizeof command - strlen(command) - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(image__stays_small, teardown),
        cmocka_unit_test_teardown(upgrade__writes_only_what_changed, teardown),
        cmocka_unit_test_teardown(uninstall__leaves_nothing, teardown),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
