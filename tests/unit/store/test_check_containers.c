/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/check_containers.c: what can be wrong with containers is told with what can be done, and
 * that helps. Nothing is changed by looking.
 */
#include "containers_fixture.h"
#include "image_builder.h"
#include "images_fixture.h"

#include "common/fs/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Told is one line with both texts, and nothing else. */
static void assert_told(struct containers_fixture *f, const char *what, const char *remedy)
{
    ol_auto_free char *told = containers_check(f, false);
    const char *end = strchr(told, '\n');

    if (strstr(told, what) == NULL || strstr(told, remedy) == NULL || end == NULL || end[1] != '\0')
        fail_msg("not '%s' and '%s' but:\n%s", what, remedy, told);
}

static void assert_content_check(struct containers_fixture *f)
{
    ol_auto_free char *told = containers_check(f, true);

    assert_string_equal(told, "");
}

static void remove_path(struct containers_fixture *f, const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    containers_shut(f);
    assert_present(f->dir.fd, path);
    assert_ok(ol_tree_remove(f->dir.fd, path, &err), &err);
}

static void remove_container(struct containers_fixture *f, const char *name)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;

    containers_reopen(f);
    assert_ok(ol_containers_find(f->containers, name, &c, &err), &err);
    assert_ok(ol_containers_remove(f->containers, &c, &err), &err);
}

/* Put other texts into a record. */
static void edit_record(struct containers_fixture *f, const char *id, const char *key,
                        const char *value)
{
    ol_auto_free char *path = text_of("root/containers/%s/config.json", id);
    ol_auto_free char *text = test_read(f->dir.fd, path);
    ol_auto_free char *edited = NULL;
    json_t *json = json_loads(text, 0, NULL);

    assert_int_equal(json_object_set_new(json, key, json_string(value)), 0);
    edited = json_dumps(json, 0);
    json_decref(json);
    test_write(f->dir.fd, path, edited);
}

static void check__of_sound_containers_finds_nothing(void **state)
{
    struct containers_fixture *f = *state;

    assert_content_check(f); /* not one container yet */
    containers_reopen(f);
    containers_make(f, "a1");
    containers_make(f, "b1");
    containers_write(f, "b1", "new", "text");
    assert_content_check(f);
}

static void check__of_a_root_without_containers_makes_nothing(void **state)
{
    struct containers_fixture *f = *state;

    remove_path(f, "root/containers");
    assert_content_check(f);
    assert_absent(f->dir.fd, "root/containers");
}

static void check__tells_a_record_without_layers(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *mounts = text_of("root/image/vfs/layerdb/mounts/%s", id);
    ol_auto_free char *told = NULL;

    remove_path(f, mounts);
    told = containers_check(f, false);
    assert_non_null(
        strstr(told, "container 'box' has lost its layers: 'overlab container rm -d vfs box'"));
    assert_non_null(strstr(told, "belongs to no layer and no container")); /* the driver's two */
    remove_container(f, "box");
    free(told);
    told = containers_check(f, false);
    assert_null(strstr(told, "box"));
}

static void check__tells_layers_without_a_record(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *record = text_of("root/containers/%s", id);

    remove_path(f, record);
    assert_told(f, id, "have no record: the next command removes them");
    containers_reopen(f);
    assert_content_check(f);
}

static void check__tells_a_container_whose_image_is_gone(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    containers_make(f, "box");
    assert_ok(ol_images_remove(f->images, "base:1", true, NULL, NULL, &err), &err);
    assert_told(f, "container 'box' was made from image 'sha256:", "import the image again");
    remove_container(f, "box");
    containers_reopen(f); /* its image's layer goes, too */
    assert_content_check(f);
}

static void check__tells_a_container_of_another_image(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_free char *id = containers_add(f, "box");
    const struct ol_container_commit commit = {.name = "made:1"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    struct ol_container_committed made;

    containers_write(f, "box", "new", "text");
    assert_ok(ol_containers_find(f->containers, "box", &c, &err), &err);
    assert_ok(ol_containers_commit(f->containers, &c, &commit, &made, &err), &err);
    edit_record(f, id, "image", made.id);
    assert_told(f, "container 'box' stands on layer", "'overlab container rm -d vfs box'");
}

static void check__tells_a_damaged_record(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_free char *bad = containers_add(f, "bad");
    ol_auto_free char *path = text_of("root/containers/%s", bad);

    containers_make(f, "box");
    edit_record(f, bad, "name", "../x");
    assert_told(f, bad, path); /* what is to be removed */
    remove_path(f, path);
    containers_reopen(f); /* and the layers go */
    assert_content_check(f);
}

static void check__tells_a_name_that_two_have(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_free char *one = containers_add(f, "one");
    ol_auto_free char *two = containers_add(f, "two");
    const char *second = strcmp(one, two) < 0 ? two : one;
    ol_auto_free char *remedy = text_of("'overlab container rm -d vfs %s'", second);

    edit_record(f, one, "name", "same");
    edit_record(f, two, "name", "same");
    assert_told(f, "are both called 'same'", remedy);
    remove_container(f, second);
    assert_content_check(f);
}

static void check__tells_what_lies_about(void **state)
{
    struct containers_fixture *f = *state;

    test_mkdir(f->dir.fd, "root/containers/tmp-0123", 0700);
    assert_told(f, "containers/tmp-0123' was left by a killed process", "the next command removes");
    assert_present(f->dir.fd, "root/containers/tmp-0123");
    containers_reopen(f);
    assert_content_check(f);
    test_write(f->dir.fd, "root/containers/notes", "mine");
    assert_told(f, "containers/notes' belongs to no container", "may be removed");
}

/* ---- mounts ---- */

/* Something on <home>/<id>/merged. */
static char *mount_on(struct containers_fixture *f, const char *id)
{
    ol_auto_free char *dir = text_of("%s/overlay2/%s", f->root, id);
    char *path = text_of("%s/merged", dir);

    (void)mkdir(dir, 0700); /* it may be there */
    (void)mkdir(path, 0700);
    assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
    return path;
}

static void unmount(char *path)
{
    assert_int_equal(umount2(path, 0), 0);
    free(path);
}

static void check__tells_mounts_that_stayed(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    struct ol_stored_image image;
    struct ol_store_layer layer;
    char own[OL_HEX_SIZE];
    const char *by_hand = "by-hand";
    char *path;

    OL_REQUIRE(can_mount_overlay, "something is mounted: that needs CAP_SYS_ADMIN");
    containers_make(f, "box");
    assert_ok(ol_containers_find(f->containers, "box", &c, &err), &err);
    assert_ok(ol_containers_layer(f->containers, &c, own, &err), &err);
    assert_ok(ol_images_find(f->images, "base:1", &image, &err), &err);
    assert_ok(ol_store_layer_get(ol_images_layers(f->images), image.chain_id, &layer, &err), &err);
    containers_shut(f);
    path = mount_on(f, own); /* as "container mount" leaves it */
    assert_content_check(f);
    unmount(path);
    path = mount_on(f, layer.cache_id);
    assert_told(f, path, "and no container's: 'overlab layer umount -d overlay2 ");
    unmount(path);
    path = mount_on(f, by_hand); /* theirs to know */
    assert_content_check(f);
    unmount(path);
}

static int setup_overlay2(void **state)
{
    struct containers_fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    containers_init(f, "overlay2", OL_VIEW_DIRECT);
    *state = f;
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, containers_setup, containers_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(check__of_sound_containers_finds_nothing),
        TEST(check__of_a_root_without_containers_makes_nothing),
        TEST(check__tells_a_record_without_layers),
        TEST(check__tells_layers_without_a_record),
        TEST(check__tells_a_container_whose_image_is_gone),
        TEST(check__tells_a_container_of_another_image),
        TEST(check__tells_a_damaged_record),
        TEST(check__tells_a_name_that_two_have),
        TEST(check__tells_what_lies_about),
        cmocka_unit_test_setup_teardown(check__tells_mounts_that_stayed, setup_overlay2,
                                        containers_teardown),
    };

    return cmocka_run_group_tests_name("check containers", tests, NULL, NULL);
}
