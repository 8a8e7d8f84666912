/* SPDX-License-Identifier: Apache-2.0 */
/* store/imagestore*.c, image_remove.c, imagetags.c: images by id and name, and what removing takes
 * along. */
#include "fixture.h"
#include "image_builder.h"
#include "images_fixture.h"

#include "common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void imagestore__finds_by_name_id_and_prefix(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_stored_image image;
    char prefix[13];
    char id[OL_DIGEST_SIZE];

    images_put(f, "one", NULL, "docker.io/library/debian:12", id);
    (void)snprintf(prefix, sizeof prefix, "%.12s", ol_digest_hex(id));
    const char *const names[] = {"debian:12", "index.docker.io/library/debian:12", id,
                                 ol_digest_hex(id), prefix};
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        assert_ok(ol_images_find(f->images, names[i], &image, &err), &err);
        assert_string_equal(image.id, id);
    }
    assert_int_equal(ol_images_find(f->images, "debian", &image, &err), -ENOENT);
    assert_int_equal(ol_images_find(f->images, "De/bian", &image, &err), -EINVAL);
    assert_int_equal(ol_images_find(f->images, "", &image, &err), -EINVAL);
}

static void imagestore__a_prefix_of_two_ids_is_refused(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_stored_image image;
    char id[OL_DIGEST_SIZE];

    for (int i = 0; i < 17; i++) { /* 16 first digits: two of them share one */
        char name[8];
        (void)snprintf(name, sizeof name, "n%d", i);
        images_put(f, name, NULL, NULL, id);
    }
    int refused = 0;
    for (const char *c = "0123456789abcdef"; *c != '\0'; c++)
        refused += ol_images_find(f->images, (char[]){*c, '\0'}, &image, &err) == -EINVAL;
    assert_true(refused > 0);
}

static void imagestore__remembers_over_a_restart(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    struct ol_stored_image image;
    char one[OL_DIGEST_SIZE];
    char two[OL_DIGEST_SIZE];

    images_put(f, "one", NULL, "a:1", one);
    images_put(f, "two", one, "b:1", two);
    images_reopen(f);
    assert_ok(ol_images_find(f->images, "b:1", &image, &err), &err);
    assert_string_equal(image.id, two);
    assert_string_equal(image.parent, one);
    assert_int_equal(image.layers, 1);
    assert_ok(ol_images_config(f->images, two, &config, &err), &err);
    assert_string_equal(config.id, two);
    assert_string_equal(ol_image_config_text(&config, "author"), "two");
}

static void imagestore__is_one_process_at_a_time(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_images *second = NULL;

    assert_int_equal(ol_images_open(f->dir_path, f->drv, NULL, &second, &err), -EBUSY);
    assert_message(&err, "in use by another process");
}

static void imagestore__a_name_moves_to_another_image(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_stored_image image;
    char one[OL_DIGEST_SIZE];
    char two[OL_DIGEST_SIZE];

    images_put(f, "one", NULL, "a", one);
    images_put(f, "two", NULL, "a:latest", two);
    assert_ok(ol_images_find(f->images, "a", &image, &err), &err);
    assert_string_equal(image.id, two);
    assert_ok(ol_images_find(f->images, one, &image, &err), &err);
    assert_ok(ol_images_untag(f->images, "a", &err), &err);
    assert_int_equal(ol_images_untag(f->images, "a", &err), -ENOENT);
    assert_int_equal(ol_images_find(f->images, "a:latest", &image, &err), -ENOENT);
}

static void imagestore__refuses_an_image_without_its_layer(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;

    images_config("x", OL_EMPTY_DIFF_ID, &config);
    assert_int_equal(ol_images_put(f->images, &config, NULL, NULL, &err), -ENOENT);
    assert_message(&err, OL_EMPTY_DIFF_ID);
    images_assert_holds(f, 0, 0);
}

/* --- Removing --- */

/* One image with a second name; the first removal is said to do this, the second removes it. */
static void remove_twice(struct images_fixture *f, const char *second_name, bool by_id, int want)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char id[OL_DIGEST_SIZE];

    images_put(f, "one", NULL, "a:1", id);
    assert_ok(ol_images_tag(f->images, &(struct ol_image_tag){second_name, id}, 1, &err), &err);
    assert_int_equal(ol_images_remove(f->images, by_id ? id : "a:1", false, NULL, NULL, &err),
                     want);
    images_assert_holds(f, 1, 1);
    assert_ok(ol_images_remove(f->images, by_id ? id : second_name, by_id, NULL, NULL, &err), &err);
    images_assert_holds(f, 0, 0);
}

static void imagestore__removes_with_the_last_name(void **state)
{
    remove_twice(*state, "a:2", false, 0);
}

static void imagestore__removing_by_id_spares_names_in_two_repositories(void **state)
{
    remove_twice(*state, "b:2", true, -EBUSY);
}

static void imagestore__shared_layers_stay_until_the_last_image(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char one[OL_DIGEST_SIZE];
    char two[OL_DIGEST_SIZE];

    images_put(f, "one", NULL, NULL, one); /* every one of them has the same layer */
    images_put(f, "two", NULL, NULL, two);
    images_assert_holds(f, 2, 1);
    assert_ok(ol_images_remove(f->images, one, false, NULL, NULL, &err), &err);
    images_assert_holds(f, 1, 1);
    assert_ok(ol_images_remove(f->images, two, false, NULL, NULL, &err), &err);
    images_assert_holds(f, 0, 0);
}

static void imagestore__a_parent_goes_with_its_last_child(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char parent[OL_DIGEST_SIZE];
    char child[OL_DIGEST_SIZE];

    images_put(f, "parent", NULL, NULL, parent);
    images_put(f, "child", parent, "c", child);
    assert_int_equal(ol_images_remove(f->images, parent, true, NULL, NULL, &err), -EBUSY);
    assert_message(&err, "made from it");
    assert_ok(ol_images_remove(f->images, "c", false, NULL, NULL, &err), &err);
    images_assert_holds(f, 0, 0);
}

static void imagestore__refuses_while_a_container_uses_it(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_store *layers = ol_images_layers(f->images);
    struct ol_store_container container;
    struct ol_stored_image image;
    char id[OL_DIGEST_SIZE];

    images_put(f, "one", NULL, "a", id);
    assert_ok(ol_images_find(f->images, "a", &image, &err), &err);
    assert_ok(ol_store_container_create(layers, image.chain_id, &container, &err), &err);
    assert_int_equal(ol_images_remove(f->images, "a", false, NULL, NULL, &err), -EBUSY);
    assert_message(&err, container.id);
    assert_ok(ol_images_find(f->images, "a", &image, &err), &err); /* it kept its name */
    assert_ok(ol_images_remove(f->images, "a", true, NULL, NULL, &err), &err);
    assert_ok(ol_store_layer_get(layers, image.chain_id, &(struct ol_store_layer){0}, &err), &err);
    assert_ok(ol_store_container_remove(layers, container.id, &err), &err);
    images_reopen(f);
    images_assert_holds(f, 0, 0); /* the layer nobody uses any more went at the start */
}

/* Every call that changes the world fails once: the next start finds the image whole or gone. */
static void imagestore__failing_to_remove_leaves_no_half(void **state)
{
    struct images_fixture *f = *state;
    bool delivered = true;
    unsigned long n = 0;

    while (delivered && n < 1000) {
        struct ol_stored_image image;
        char id[OL_DIGEST_SIZE];
        bool there;
        int r;
        images_put(f, "one", NULL, "a:1", id);
        ol_fault_arm(++n);
        r = ol_images_remove(f->images, "a:1", false, NULL, NULL, NULL);
        delivered = ol_fault_delivered();
        ol_fault_arm(0);
        images_reopen(f);
        there = ol_images_find(f->images, id, &image, NULL) == 0;
        images_assert_holds(f, there, there);
        assert_true(r < 0 || !there);
    }
    assert_false(delivered);
#if OL_FAULTS
    assert_true(n > 5);
#endif
}

/* --- Damage --- */

static void refuse_open(struct images_fixture *f, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    images_shut(f);
    assert_int_equal(images_try_open(f, &err), -EBADMSG);
    assert_message(&err, text);
}

static void imagestore__a_changed_config_refuses_the_store(void **state)
{
    struct images_fixture *f = *state;
    char id[OL_DIGEST_SIZE];

    images_put(f, "one", NULL, "a", id);
    images_overwrite(f, id,
                     "{\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"" OL_EMPTY_DIFF_ID "\"]}}");
    refuse_open(f, id);
}

static void imagestore__a_wrong_names_file_refuses_the_store(void **state)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "{\"Repositories\":[]}",
                                        "{\"Repositories\":{\"a\":1}}",
                                        "{\"Repositories\":{\"a\":{\"b:1\":\"" OL_EMPTY_DIFF_ID
                                        "\"}}}",
                                        "{\"Repositories\":{\"a\":{\"a:1\":\"sha256:../x\"}}}"};
    struct images_fixture *f = *state;
    char id[OL_DIGEST_SIZE];

    images_put(f, "one", NULL, "a", id);
    for (size_t i = 0; i < OL_ARRAY_LEN(texts); i++) {
        images_overwrite(f, "repositories.json", texts[i]);
        refuse_open(f, "repositories.json");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, images_setup, images_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(imagestore__finds_by_name_id_and_prefix),
        TEST(imagestore__a_prefix_of_two_ids_is_refused),
        TEST(imagestore__remembers_over_a_restart),
        TEST(imagestore__is_one_process_at_a_time),
        TEST(imagestore__a_name_moves_to_another_image),
        TEST(imagestore__refuses_an_image_without_its_layer),
        TEST(imagestore__removes_with_the_last_name),
        TEST(imagestore__removing_by_id_spares_names_in_two_repositories),
        TEST(imagestore__shared_layers_stay_until_the_last_image),
        TEST(imagestore__a_parent_goes_with_its_last_child),
        TEST(imagestore__refuses_while_a_container_uses_it),
        TEST(imagestore__failing_to_remove_leaves_no_half),
        TEST(imagestore__a_changed_config_refuses_the_store),
        TEST(imagestore__a_wrong_names_file_refuses_the_store),
    };

    return cmocka_run_group_tests_name("imagestore", tests, NULL, NULL);
}
