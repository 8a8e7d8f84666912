/* SPDX-License-Identifier: Apache-2.0 */
/* Labs and their steps: order, misuse, what cannot be had here. */
#include "testlib_fixture.h"

#include "unit/store/image_builder.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct ol_test_lab *lab_of(void **state)
{
    return ((struct testlib_fixture *)*state)->lab;
}

/* ---- options ---- */

static struct ol_test_lab *lab_with(const char *drivers, const char *view, const char *backing)
{
    const struct ol_test_options options = {.drivers = drivers, .view = view, .backing = backing};

    return ol_test_lab_new(&options);
}

static void options__are_checked(void **state)
{
    (void)state;
    LISTEN(lab_with("overlay9", "direct", NULL));
    assert_int_equal(heard.failures, 1);
    assert_non_null(strstr(heard.text, "overlay9"));
    LISTEN(lab_with("overlay2,overlay2", "direct", NULL));
    assert_non_null(strstr(heard.text, "named twice"));
    LISTEN(lab_with("null", "direct", NULL));
    assert_non_null(strstr(heard.text, "driver 'null': it keeps nothing"));
    LISTEN(lab_with("overlay2", "sideways", NULL));
    assert_non_null(strstr(heard.text, "sideways"));
    LISTEN(lab_with("overlay2", "direct", "ext4:much"));
    assert_int_equal(heard.failures, 1);
    LISTEN(lab_with("overlay2", "direct", "/nowhere")); /* a mistake, nothing a host lacks */
    assert_int_equal(heard.skips, 0);
    assert_int_equal(heard.failures, 1);
    assert_non_null(strstr(heard.text, "'/nowhere'"));
    free(ol_ptr_steal(heard.text));
}

static void options__take_the_view_from_the_environment(void **state)
{
    struct ol_test_lab *lab;

    (void)state;
    assert_int_equal(setenv("OVERLAB_TEST_VIEW", "direct", 1), 0);
    lab = lab_with("overlay2", "auto", NULL);
    assert_string_equal(ol_test_view(lab), "direct");
    ol_test_lab_free(lab);
    assert_int_equal(setenv("OVERLAB_TEST_VIEW", "sideways", 1), 0);
    lab = lab_with("overlay2", "direct", NULL); /* a view that is asked for wins */
    ol_test_lab_free(lab);
    assert_int_equal(unsetenv("OVERLAB_TEST_VIEW"), 0);
}

static void free__leaves_the_place_empty(void **state)
{
    struct test_dir dir;
    struct ol_test_lab *lab;

    (void)state;
    test_dir_make(&dir);
    lab = lab_with("overlay,snapshot", "direct", dir.path);
    ol_test_import(lab, NULL);
    ol_test_container_create(lab);
    ol_test_lab_free(lab);
    assert_int_equal(rmdir(dir.path), 0);
    assert_int_equal(mkdir(dir.path, 0755), 0);
    test_dir_remove(&dir);
    ol_test_lab_free(NULL);
}

/* ---- order ---- */

static void steps__need_what_they_stand_on(void **state)
{
    struct ol_test_lab *lab = lab_with("overlay2", "direct", NULL);

    (void)state;
    assert_fails("a container needs an image: none was imported", ol_test_container_create(lab));
    assert_fails("there is no container to work on", ol_test_commit(lab));
    assert_fails("there is no container to work on", ol_test_mount(lab));
    assert_fails("there is no container to work on", ol_test_change(lab, testlib_add_file, NULL));
    assert_fails("there is no layer 0: 0 were imported", ol_test_layer(lab, 0));
    assert_fails("there is no container 0", ol_test_container_remove(lab, 0));
    assert_fails("there is no image 0", ol_test_image_remove(lab, 0));
    assert_fails("/no/such/image", ol_test_import(lab, "/no/such/image"));
    ol_test_lab_free(lab);
    free(ol_ptr_steal(heard.text));
}

static void mount__is_for_several_changes(void **state)
{
    struct ol_test_lab *lab = lab_of(state);
    const struct ol_test_step *mount;
    const struct ol_test_step *unmount;

    ol_test_container_create(lab);
    assert_fails("the container is not mounted", ol_test_unmount(lab));
    mount = ol_test_mount(lab);
    assert_fails("the container is mounted", ol_test_mount(lab));
    assert_fails("the container is mounted still", ol_test_commit(lab));
    assert_fails("container 0 is mounted still", ol_test_container_remove(lab, 0));
    assert_fails("the last container is mounted still", ol_test_container_create(lab));
    ol_assert_inodes_added("overlay2", ol_test_change(lab, testlib_add_file, NULL), 3);
    ol_assert_inodes_added("overlay2", ol_test_change(lab, testlib_add_file, NULL), 0);
    unmount = ol_test_unmount(lab);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, mount);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, unmount);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_commit(lab));
}

static void committed__containers_can_only_be_removed(void **state)
{
    struct ol_test_lab *lab = lab_of(state);

    ol_test_container_create(lab);
    ol_test_change(lab, testlib_add_file, NULL);
    ol_test_commit(lab);
    assert_fails("there is no container to work on", ol_test_commit(lab));
    assert_fails("there is no container to work on", ol_test_change(lab, testlib_add_file, NULL));
    assert_passes(ol_test_container_remove(lab, 0));
}

static void removed__images_end_the_line(void **state)
{
    struct ol_test_lab *lab = lab_of(state);

    ol_test_container_create(lab);
    assert_fails("overlay: image.remove 0", ol_test_image_remove(lab, 0)); /* it is in use */
    ol_test_container_remove(lab, 0);
    assert_fails("there is no container 0 any more", ol_test_container_remove(lab, 0));
    assert_fails("there is no container to work on", ol_test_commit(lab));
    ol_test_remove_all(lab);
    assert_fails("a container needs an image: one was removed", ol_test_container_create(lab));
    assert_fails("before the first container", ol_test_import(lab, NULL));
    assert_passes(ol_assert_nothing_left(OL_TEST_EVERY_DRIVER, lab));
}

static void import__goes_over_what_was_imported(void **state)
{
    struct testlib_fixture *f = *state;
    const struct ol_test_step *second;
    struct test_dir dir;

    test_dir_make(&dir);
    test_write(dir.fd, "only", "");
    second = ol_test_import(f->lab, dir.path);
    assert_ptr_not_equal(ol_test_layer(f->lab, 0), ol_test_layer(f->lab, 1));
    ol_assert_inodes_added("overlay", second, 1 + 4 + 1 + 1);
    ol_assert_inodes_shared("overlay", ol_test_layer(f->lab, 1), 3);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, second);
    test_dir_remove(&dir);
    ol_test_container_create(f->lab);
    assert_fails("before the first container", ol_test_import(f->lab, NULL));
}

static void import__sums_the_layers(void **state)
{
    struct ol_test_lab *lab = lab_with("overlay2", "direct", NULL);
    const struct ol_test_step *whole = ol_test_import(lab, NULL);
    int64_t sum = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++) /* the built-in image's */
        sum += ol_test_inodes("overlay2", ol_test_layer(lab, i));
    ol_assert_inodes_added("overlay2", whole, sum);
    ol_assert_inodes_as_predicted("overlay2", whole);
    ol_test_lab_free(lab);
}

static void write_archive(int dir_fd, const char *name, const struct tarball *tar)
{
    ol_auto_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, tar->data, tar->len), tar->len);
}

/* Two layers in a docker-archive; one in a tar. */
static void import__tells_formats_by_content(void **state)
{
    static const char *const names[] = {"saved", "plain"};
    struct tarball tars[] = {TARBALL_INIT, TARBALL_INIT};
    struct test_dir dir;

    (void)state;
    test_dir_make(&dir);
    docker_make(&tars[0], NULL, NULL);
    tarball_add_file(&tars[1], "file", "content");
    tarball_end(&tars[1]);
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        struct ol_test_lab *lab = lab_with("overlay,overlay2,snapshot", "direct", NULL);
        ol_auto_free char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", dir.path, names[i]) > 0);
        write_archive(dir.fd, names[i], &tars[i]);
        ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_import(lab, path));
        ol_test_layer(lab, 1 - (unsigned)i);
        assert_fails("there is no layer", ol_test_layer(lab, 2 - (unsigned)i));
        ol_test_lab_free(lab);
        tarball_fini(&tars[i]);
    }
    test_dir_remove(&dir);
    free(ol_ptr_steal(heard.text));
}

/* ---- changes ---- */

static void change_everything(struct ol_test_root *root, void *data)
{
    unsigned *calls = data;

    (*calls)++;
    ol_test_mkdir(root, "opt");
    ol_test_write(root, "opt/file", "1");
    ol_test_write(root, "opt/file", "2");
    ol_test_append(root, "opt/file", "3");
    ol_test_append(root, "usr/lib/a", "more");
    ol_test_symlink(root, "file", "opt/symlink");
    ol_test_link(root, "opt/file", "opt/twice");
    ol_test_rename(root, "opt/twice", "opt/again");
    ol_test_chmod(root, "etc/passwd", 0600);
    ol_test_remove(root, "usr/lib/b");
}

static void change__is_called_for_each_driver(void **state)
{
    struct ol_test_lab *lab = lab_of(state);
    const struct ol_test_step *change;
    unsigned calls = 0;

    ol_test_container_create(lab);
    change = ol_test_change(lab, change_everything, &calls);
    assert_int_equal(calls, 4);
    /* opt, file, symlink; the image's a and passwd in usr, usr/lib, and etc that is there; a
     * whiteout */
    ol_assert_inodes_of_kind("snapshot", change, OL_TEST_FILES, 3);
    ol_assert_inodes_of_kind("snapshot", change, OL_TEST_SYMLINKS, 1);
    ol_assert_inodes_of_kind("snapshot", change, OL_TEST_DIRECTORIES, 4);
    ol_assert_inodes_of_kind("snapshot", change, OL_TEST_WHITEOUTS, 1);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_commit(lab));
}

static void seeded__changes_are_predicted_once(void **state)
{
    struct ol_test_lab *lab = lab_of(state);
    const struct ol_test_step *first;
    const struct ol_test_step *second;

    ol_test_container_create(lab);
    first = ol_test_change_seeded(lab, "add=2,delete=1", 100);
    second = ol_test_change_seeded(lab, "add=1", 100);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, first);
    assert_fails("the container was changed before",
                 ol_assert_inodes_as_predicted("overlay2", second));
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_commit(lab));
    assert_fails("frobnicate", ol_test_change_seeded(lab, "frobnicate=1", 100));
}

static int line_of_operation;

static void remove_what_is_not_there(struct ol_test_root *root, void *data)
{
    (void)data;
    line_of_operation = __LINE__ + 1;
    ol_test_remove(root, "usr/lib/nothing");
}

static void change__names_the_operation_that_failed(void **state)
{
    struct ol_test_lab *lab = lab_of(state);

    ol_test_container_create(lab);
    LISTEN(ol_test_change(lab, remove_what_is_not_there, NULL));
    assert_int_equal(heard.failures, 1);
    assert_heard("overlay: container.change 0: cannot ", __FILE__);
    assert_int_equal(heard.line, line_of_operation);
    assert_non_null(strstr(heard.text, "'usr/lib/nothing': No such file or directory"));
}

static void use_path(struct ol_test_root *root, void *data)
{
    struct stat st;

    (void)data;
    assert_int_equal(stat(ol_test_root_path(root), &st), 0);
}

static void path__is_skipped_without_mounts(void **state)
{
    struct ol_test_lab *lab = lab_of(state);

    ol_test_container_create(lab);
    LISTEN(ol_test_change(lab, use_path, NULL));
    assert_int_equal(heard.skips, 1);
    assert_int_equal(heard.failures, 0);
    assert_non_null(strstr(heard.text, "in the direct view no container is mounted"));
}

static void command__is_skipped_without_mounts(void **state)
{
    struct ol_test_lab *lab = lab_of(state);
    const char *const argv[] = {"true", NULL};

    ol_test_container_create(lab);
    LISTEN(ol_test_change_command(lab, argv));
    assert_int_equal(heard.skips, 1);
    assert_non_null(strstr(heard.text, "'true' needs a mounted container"));
}

static void command__failure_is_told(void **state)
{
    static const char script[] = "echo out of plums >&2; exit 3";
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct test_dir image;
    struct ol_test_lab *lab;

    (void)state;
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    testlib_make_image(&image);
    lab = lab_with("overlay2", "kernel", NULL);
    ol_test_import(lab, image.path);
    ol_test_container_create(lab);
    assert_fails("overlay2: container.change 0: '/bin/sh': ", ol_test_change_command(lab, argv));
    assert_non_null(strstr(heard.text, "out of plums"));
    ol_test_lab_free(lab);
    test_dir_remove(&image);
    free(ol_ptr_steal(heard.text));
}

static void backing__may_be_a_file_system_of_its_own(void **state)
{
    static const char *const backings[] = {"ext4:32M", "tmpfs:32M"};
    struct test_dir image;

    (void)state;
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    OL_REQUIRE(can_loop_mount, "a loop file system needs root");
    testlib_make_image(&image);
    for (size_t i = 0; i < OL_ARRAY_LEN(backings); i++) {
        struct ol_test_lab *lab = lab_with("overlay2,snapshot", "kernel", backings[i]);

        ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_import(lab, image.path));
        ol_test_lab_free(lab);
    }
    test_dir_remove(&image);
}

static void labs__may_live_side_by_side(void **state)
{
    struct ol_test_lab *two = lab_with("overlay2,vfs", "direct", NULL);
    struct testlib_fixture *one = *state;

    ol_assert_nothing_left("overlay2", two);
    ol_test_import(two, one->image.path);
    ol_test_remove_all(one->lab);
    ol_assert_nothing_left("overlay2", one->lab);
    ol_assert_inodes_as_predicted(OL_TEST_EVERY_DRIVER, ol_test_container_create(two));
    ol_test_lab_free(two);
}

/* Of its own: what a function keeps across a setjmp() may be lost. */
static void listen_to_change(struct ol_test_lab *lab)
{
    LISTEN(ol_test_change(lab, use_path, NULL));
}

static void skips__can_be_forbidden(void **state)
{
    const char *list = getenv("OL_TEST_REQUIRE");
    ol_auto_free char *saved = list != NULL ? strdup(list) : NULL;
    struct ol_test_lab *lab = lab_of(state);

    ol_test_container_create(lab);
    assert_int_equal(setenv("OL_TEST_REQUIRE", "all", 1), 0);
    listen_to_change(lab);
    assert_int_equal(
        saved != NULL ? setenv("OL_TEST_REQUIRE", saved, 1) : unsetenv("OL_TEST_REQUIRE"), 0);
    assert_int_equal(heard.skips, 0);
    assert_int_equal(heard.failures, 1);
}

#define IN_LAB(test) cmocka_unit_test_setup_teardown(test, testlib_setup, testlib_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options__are_checked),
        cmocka_unit_test(options__take_the_view_from_the_environment),
        cmocka_unit_test(free__leaves_the_place_empty),
        cmocka_unit_test(steps__need_what_they_stand_on),
        IN_LAB(mount__is_for_several_changes),
        IN_LAB(committed__containers_can_only_be_removed),
        IN_LAB(removed__images_end_the_line),
        IN_LAB(import__goes_over_what_was_imported),
        cmocka_unit_test(import__sums_the_layers),
        cmocka_unit_test(import__tells_formats_by_content),
        IN_LAB(change__is_called_for_each_driver),
        IN_LAB(seeded__changes_are_predicted_once),
        IN_LAB(change__names_the_operation_that_failed),
        IN_LAB(path__is_skipped_without_mounts),
        IN_LAB(command__is_skipped_without_mounts),
        cmocka_unit_test(command__failure_is_told),
        cmocka_unit_test(backing__may_be_a_file_system_of_its_own),
        IN_LAB(labs__may_live_side_by_side),
        IN_LAB(skips__can_be_forbidden),
    };

    return cmocka_run_group_tests_name("testlib_lab", tests, NULL, NULL);
}
