/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inode costs that the drivers must keep, as plain numbers: tests on inode consumption as any
 * project can write them, with overlab-test's public header and nothing of overlab's insides. The
 * view comes from $OVERLAB_TEST_VIEW.
 *
 * The image: D directories with its root, R regular inodes on one name more, S symlinks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <overlab/test.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    D = 7,
    R = 4,
    S = 3,
    INIT = 12, /* what the engine puts into every container: dev/…, proc, sys, files of etc */
    OVERLAY_LAYER = 1,
    OVERLAY2_LAYER = 6, /* layer directory, diff, link, l/<name>, work, lower */
    COMMITS = 4,
};

static const char drivers[] = "overlay,overlay:clone=all,overlay2,overlay2:diff=naive,vfs,snapshot";

static char image[64]; /* the directory the image is made of */

/* ---- the image ---- */

static void make_dir(const char *path)
{
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void make_image(void)
{
    make_dir("etc");
    make_dir("usr");
    make_dir("usr/bin");
    make_dir("usr/lib");
    make_dir("usr/share");
    make_dir("usr/share/doc");
    make_file("usr/bin/tool", "#!/bin/sh\n");
    make_file("usr/lib/a", "a\n");
    make_file("usr/lib/b", "b\n");
    make_file("etc/tool.conf", "level=1\n");
    assert_int_equal(link("usr/bin/tool", "usr/bin/tool-1.0"), 0);
    assert_int_equal(symlink("usr/bin", "bin"), 0);
    assert_int_equal(symlink("usr/lib", "lib"), 0);
    assert_int_equal(symlink("tool", "usr/bin/alias"), 0);
}

static int setup_image(void **state)
{
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(image, sizeof image, "%s/inodes-XXXXXX", tmp != NULL ? tmp : "/tmp");
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    assert_in_range(n, 1, sizeof image - 1);
    assert_true(here >= 0);
    assert_non_null(mkdtemp(image));
    assert_int_equal(chmod(image, 0755), 0);
    assert_int_equal(chdir(image), 0);
    make_image();
    assert_int_equal(fchdir(here), 0);
    assert_int_equal(close(here), 0);
    return 0;
}

static int teardown_image(void **state)
{
    char command[96];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", image);
    return system(command);
}

/* A lab with the image in it. */
static struct ol_test_lab *imported(void **state)
{
    struct ol_test_options options = {.drivers = drivers};
    struct ol_test_lab *lab = ol_test_lab_new(&options);
    const struct ol_test_step *import;

    *state = lab; /* the teardown's from here on */
    import = ol_test_import(lab, image);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, import);
    return lab;
}

static int teardown(void **state)
{
    ol_test_lab_free(*state);
    return 0;
}

static void set_up_container(struct ol_test_lab *lab)
{
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_container_create(lab));
}

static void assert_commit_as_predicted(const struct ol_test_step *commit)
{
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, commit);
    ol_assert_inodes_added("snapshot", commit, 0); /* the container's directory is the layer */
    ol_assert_bytes_between("snapshot", commit, 0, 0);
}

/* ---- import, create ---- */

static void import__costs_the_tree(void **state)
{
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *layer = ol_test_layer(lab, 0);

    ol_assert_inodes_added("overlay", layer, OVERLAY_LAYER + D + R + S);
    ol_assert_inodes_added("overlay2", layer, 3 + D + R + S); /* its diff is the root */
    ol_assert_inodes_added("vfs", layer, D + R + S);
    ol_assert_inodes_added("snapshot", layer, 2 + D + R + S);
    ol_assert_inodes_of_kind(OL_TEST_EVERY_DRIVER, layer, OL_TEST_FILES, R);
    ol_assert_inodes_of_kind(OL_TEST_EVERY_DRIVER, layer, OL_TEST_SYMLINKS, S);
    ol_assert_inodes_of_kind("overlay", layer, OL_TEST_DIRECTORIES, D);
    ol_assert_inodes_of_kind("overlay", layer, OL_TEST_BOOKKEEPING, OVERLAY_LAYER);
}

static void create__costs_two_layers_and_the_init_files(void **state)
{
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *first = ol_test_container_create(lab);
    const struct ol_test_step *second = ol_test_container_create(lab);

    ol_assert_inodes_added("overlay", first, 2 * (5 + INIT));
    ol_assert_inodes_added("overlay", second, 2 * (5 + INIT));
    ol_assert_inodes_added("overlay2", first, 7 + INIT + 1 + 7 + 1);
    ol_assert_inodes_added("overlay2", second, 7 + INIT + 1 + 7);
    ol_assert_inodes_added("snapshot", first, 3);
    ol_assert_inodes_added("snapshot", second, 3);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, first);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, second);
}

/* ---- commits ---- */

static void add_file(struct ol_test_root *root, void *name)
{
    ol_test_write(root, name, "new\n");
}

static void commit__of_a_new_file(void **state)
{
    static char name[] = "usr/share/doc/new";
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *change;
    const struct ol_test_step *commit;

    set_up_container(lab);
    change = ol_test_change(lab, add_file, name);
    ol_assert_inodes_added("overlay", change, 4); /* the file, and three directories copied up */
    ol_assert_inodes_added("overlay2", change, 4);
    ol_assert_inodes_added("vfs", change, 1);
    commit = ol_test_commit(lab);
    assert_commit_as_predicted(commit);
    ol_assert_inodes_added("overlay", commit, 1 + D + S + 1); /* 1 + D + S + W */
    ol_assert_inodes_shared("overlay", commit, R);            /* and the files are the image's */
    ol_assert_inodes_added("overlay:clone=all", commit, 1 + D + 1);
    ol_assert_inodes_shared("overlay:clone=all", commit, R + S);
    ol_assert_inodes_added("overlay2", commit, OVERLAY2_LAYER + 4);
    ol_assert_inodes_shared("overlay2", commit, 0);
    ol_assert_inodes_added("vfs", commit, D + R + S + 1); /* everything once more */
    ol_assert_inodes_ratio("overlay", "overlay2", commit, 1.1, 1.3);
}

static void modify(struct ol_test_root *root, void *text)
{
    ol_test_write(root, "etc/tool.conf", text);
}

/* The same size both times, and soon after the first commit: two trees that are compared by size
 * and seconds would look alike. */
static void commit__of_a_modified_file_twice(void **state)
{
    static char texts[2][16] = {"level=2\n", "level=3\n"};
    struct ol_test_lab *lab = imported(state);

    for (int i = 0; i < 2; i++) {
        const struct ol_test_step *commit;

        set_up_container(lab);
        ol_test_change(lab, modify, texts[i]);
        commit = ol_test_commit(lab);
        assert_commit_as_predicted(commit);
        ol_assert_inodes_added("overlay", commit, 1 + D + S + 1);
        ol_assert_inodes_shared("overlay", commit, R - 1);
        ol_assert_inodes_added("overlay2", commit, OVERLAY2_LAYER + 2);
        ol_assert_inodes_of_kind("overlay2", commit, OL_TEST_FILES, 1);
    }
}

static void delete_file(struct ol_test_root *root, void *data)
{
    (void)data;
    ol_test_remove(root, "usr/lib/a");
}

static void commit__of_a_deletion(void **state)
{
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *change;
    const struct ol_test_step *commit;

    set_up_container(lab);
    change = ol_test_change(lab, delete_file, NULL);
    ol_assert_inodes_of_kind("overlay", change, OL_TEST_WHITEOUTS, 1);
    ol_assert_inodes_of_kind("snapshot", change, OL_TEST_WHITEOUTS, 1);
    ol_assert_inodes_added("vfs", change, -1);
    commit = ol_test_commit(lab);
    assert_commit_as_predicted(commit);
    ol_assert_inodes_added("overlay", commit, 1 + D + S); /* a smaller tree costs as much */
    ol_assert_inodes_of_kind("overlay", commit, OL_TEST_WHITEOUTS, 0);
    ol_assert_inodes_added("overlay2", commit, OVERLAY2_LAYER + 3);
    ol_assert_inodes_of_kind("overlay2", commit, OL_TEST_WHITEOUTS, 1);
    ol_assert_inodes_added("vfs", commit, D + R + S - 1);
}

static void rename_file(struct ol_test_root *root, void *data)
{
    (void)data;
    ol_test_rename(root, "usr/lib/a", "usr/lib/c");
}

static void commit__of_a_rename(void **state)
{
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *commit;

    set_up_container(lab);
    ol_test_change(lab, rename_file, NULL);
    commit = ol_test_commit(lab);
    assert_commit_as_predicted(commit);
    ol_assert_inodes_added("overlay", commit, 1 + D + S + 1);
    ol_assert_inodes_added("overlay2", commit, OVERLAY2_LAYER + 4); /* the file, a whiteout */
    ol_assert_inodes_of_kind("overlay2", commit, OL_TEST_WHITEOUTS, 1);
    ol_assert_inodes_of_kind("overlay2", commit, OL_TEST_FILES, 1);
}

static void commit__of_a_directory_replaced(void **state)
{
    struct ol_test_lab *lab = imported(state);

    set_up_container(lab);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER,
                                  ol_test_change_seeded(lab, "replace=1,link=1", 100));
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_commit(lab));
}

static void commit__of_an_installation(void **state)
{
    static const char script[] = "mkdir \"$OL_ROOT/opt\" && cp \"$OL_ROOT/usr/bin/tool\" "
                                 "\"$OL_ROOT/opt/tool\" && ln -s tool \"$OL_ROOT/opt/link\"";
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *commit;

    set_up_container(lab);
    ol_test_change_command(lab, (const char *const[]){"/bin/sh", "-c", script, NULL});
    commit = ol_test_commit(lab);
    assert_commit_as_predicted(commit);
    ol_assert_inodes_added("overlay", commit, 1 + (D + 1) + (S + 1) + 1);
    ol_assert_inodes_added("overlay2", commit, OVERLAY2_LAYER + 3);
}

/* ---- chains, removing ---- */

static void chain__every_commit_costs_the_same(void **state)
{
    static char names[COMMITS][24];
    struct ol_test_lab *lab = imported(state);

    for (int i = 0; i < COMMITS; i++) {
        const struct ol_test_step *commit;

        (void)snprintf(names[i], sizeof names[i], "usr/lib/new-%d", i);
        set_up_container(lab);
        ol_test_change(lab, add_file, names[i]);
        commit = ol_test_commit(lab);
        assert_commit_as_predicted(commit);
        ol_assert_inodes_added("overlay", commit, 1 + D + S + 1);
        ol_assert_inodes_shared("overlay", commit, R + i);
        ol_assert_inodes_added("overlay2", commit, OVERLAY2_LAYER + 3);
        ol_assert_inodes_added("vfs", commit, D + R + S + 1 + i);
    }
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_remove_all(lab));
    ol_assert_nothing_left(OL_TEST_EVERY_DRIVER, lab);
}

static void remove__takes_back_what_was_added(void **state)
{
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *removed;

    set_up_container(lab);
    ol_test_change(lab, delete_file, NULL);
    ol_test_commit(lab);
    set_up_container(lab); /* never committed */
    removed = ol_test_container_remove(lab, 1);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, removed);
    removed = ol_test_container_remove(lab, 0);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, removed);
    ol_assert_inodes_added("overlay2", removed, -(7 + INIT + 1 + 7 + 3)); /* with what it changed */
    removed = ol_test_image_remove(lab, 1);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, removed);
    ol_assert_inodes_added("overlay", removed, -(1 + D + S));
    removed = ol_test_image_remove(lab, 0);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, removed);
    ol_assert_inodes_added("vfs", removed, -(D + R + S));
    ol_assert_nothing_left(OL_TEST_EVERY_DRIVER, lab);
}

static void commit__of_nothing_costs_nothing(void **state)
{
    struct ol_test_lab *lab = imported(state);
    const struct ol_test_step *commit;

    set_up_container(lab);
    commit = ol_test_commit(lab);
    assert_commit_as_predicted(commit);
    ol_assert_inodes_added(OL_TEST_EVERY_DRIVER, commit, 0);
    ol_test_remove_all(lab);
    ol_assert_nothing_left(OL_TEST_EVERY_DRIVER, lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(import__costs_the_tree, teardown),
        cmocka_unit_test_teardown(create__costs_two_layers_and_the_init_files, teardown),
        cmocka_unit_test_teardown(commit__of_a_new_file, teardown),
        cmocka_unit_test_teardown(commit__of_a_modified_file_twice, teardown),
        cmocka_unit_test_teardown(commit__of_a_deletion, teardown),
        cmocka_unit_test_teardown(commit__of_a_rename, teardown),
        cmocka_unit_test_teardown(commit__of_a_directory_replaced, teardown),
        cmocka_unit_test_teardown(commit__of_an_installation, teardown),
        cmocka_unit_test_teardown(commit__of_nothing_costs_nothing, teardown),
        cmocka_unit_test_teardown(chain__every_commit_costs_the_same, teardown),
        cmocka_unit_test_teardown(remove__takes_back_what_was_added, teardown),
    };

    return cmocka_run_group_tests_name("inode_regression", tests, setup_image, teardown_image);
}
