/* SPDX-License-Identifier: Apache-2.0 */
/* store/check.c: each thing that can be damaged is damaged, and told by name; nothing else is. */
#include "image_builder.h"
#include "images_fixture.h"

#include "common/fs/tree.h"
#include "store/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two images on one layer: "one" is "a:1", "two" was made from it. */
struct fixture {
    struct images_fixture *base;
    char one[OL_DIGEST_SIZE], two[OL_DIGEST_SIZE];
    struct ol_store_layer layer;
    struct ol_store_container container;
    char text[16384]; /* what was told, a line each */
    size_t problems;
};

static int setup(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct fixture *f = calloc(1, sizeof *f);
    struct ol_stored_image image;
    void *base = NULL;

    assert_non_null(f);
    assert_int_equal(images_setup(&base), 0);
    f->base = base;
    f->base->options.tar_split = true;
    images_reopen(f->base);
    images_put(f->base, "one", NULL, "a:1", f->one);
    images_put(f->base, "two", f->one, NULL, f->two);
    assert_ok(ol_images_find(f->base->images, "a:1", &image, &err), &err);
    assert_ok(
        ol_store_layer_get(ol_images_layers(f->base->images), image.chain_id, &f->layer, &err),
        &err);
    assert_ok(ol_store_container_create(ol_images_layers(f->base->images), image.chain_id,
                                        &f->container, &err),
              &err);
    images_shut(f->base);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *base = f->base;

    (void)images_teardown(&base);
    free(f);
    return 0;
}

static void note(const char *text, void *data)
{
    struct fixture *f = data;
    size_t len = strlen(f->text);

    assert_null(strchr(text, '\n'));
    (void)snprintf(f->text + len, sizeof f->text - len, "%s\n", text);
    f->problems++;
}

static void check(struct fixture *f, bool content)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_options before = f->base->options;
    const struct ol_check_options how = {.content = content};

    f->text[0] = '\0';
    f->problems = 0;
    f->base->options.problem = note;
    f->base->options.problem_data = f;
    images_reopen(f->base);
    f->base->options = before;
    assert_ok(ol_images_check(f->base->images, NULL, &how, note, f, &err), &err);
    images_shut(f->base);
}

/* Something told names this. */
static void assert_told(const struct fixture *f, const char *text)
{
    if (f->problems == 0 || strstr(f->text, text) == NULL)
        fail_msg("nobody told of %s, but:\n%s", text, f->text);
}

static void remove_path(const struct fixture *f, const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_int_equal(faccessat(f->base->dir.fd, path, F_OK, AT_SYMLINK_NOFOLLOW), 0);
    assert_ok(ol_tree_remove(f->base->dir.fd, path, &err), &err);
}

static char *in_store(const char *dir, const char *id)
{
    return text_of("images/%s/%s", dir, ol_digest_valid(id) ? ol_digest_hex(id) : id);
}

static void check__a_sound_store_has_no_problems(void **state)
{
    struct fixture *f = *state;

    check(f, true);
    assert_string_equal(f->text, "");
    images_reopen(f->base); /* and checking changed nothing */
    images_shut(f->base);
    check(f, true);
    assert_string_equal(f->text, "");
}

static void check__tells_a_config_that_is_not_its_name(void **state)
{
    struct fixture *f = *state;

    images_overwrite(f->base, f->two,
                     "{\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"" OL_EMPTY_DIFF_ID "\"]}}");
    check(f, false);
    assert_told(f, f->two);
    images_overwrite(f->base, f->two, "{");
    check(f, false);
    assert_told(f, f->two);
    assert_told(f, "JSON");
}

static void check__tells_a_name_and_a_parent_that_lead_nowhere(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *path = in_store("imagedb/content/sha256", f->one);

    remove_path(f, path);
    check(f, false);
    assert_told(f, "name 'a:1' leads to image");
    assert_told(f, "was made from image");
    assert_told(f, "belongs to no image"); /* its metadata */
    assert_int_equal(f->problems, 3);
}

static void check__tells_images_that_are_their_own_ancestors(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *dir = in_store("imagedb/metadata/sha256", f->one);
    ol_auto_free char *file = text_of("%s/parent", dir);

    assert_true(mkdirat(f->base->dir.fd, dir, 0700) == 0 || errno == EEXIST);
    test_write(f->base->dir.fd, file, f->two);
    check(f, false);
    assert_told(f, "is its own ancestor");
    assert_told(f, f->one);
    assert_told(f, f->two);
    assert_int_equal(f->problems, 2);
}

static void check__tells_a_damaged_names_file(void **state)
{
    struct fixture *f = *state;

    images_overwrite(f->base, "repositories.json", "{\"Repositories\":{\"a\":{\"a:1\":\"x\"}}}");
    check(f, false);
    assert_told(f, "repositories.json");
    assert_int_equal(f->problems, 1);
}

static void check__tells_a_layer_that_is_not_in_the_store(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *path = in_store("layerdb/sha256", f->layer.chain_id);

    remove_path(f, path);
    check(f, false);
    assert_told(f, f->one);
    assert_told(f, f->two);
    assert_told(f, f->container.id);
    assert_told(f, f->layer.cache_id); /* the driver's layer is nobody's now */
}

static void check__tells_a_wrong_chain_id(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *diff = text_of("layerdb/sha256/%s/diff", ol_digest_hex(f->layer.chain_id));

    images_overwrite(f->base, diff, OL_EMPTY_DIFF_ID);
    check(f, false);
    assert_told(f, "make ChainID '" OL_EMPTY_DIFF_ID "'");
}

static void check__tells_layers_the_driver_has_not(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *layer = text_of("home/dir/%s", f->layer.cache_id);
    ol_auto_free char *init = text_of("home/dir/%s-init", f->container.mount_id);

    remove_path(f, layer);
    remove_path(f, init);
    check(f, true);
    assert_told(f, f->layer.cache_id);
    assert_told(f, f->container.id);
    assert_int_equal(f->problems, 2);
}

static void check__tells_what_nobody_owns(void **state)
{
    static const char orphan[] = "abababababababababababababababababababababababababababababababab";
    struct fixture *f = *state;
    ol_auto_free char *by_hand = text_of("%s/dir/by-hand", f->base->home);
    ol_auto_free char *path = text_of("%s/dir/%s", f->base->home, orphan);
    ol_auto_free char *set = text_of("%s/layerdb/tmp/write-set-%s", f->base->dir_path, orphan);

    assert_int_equal(mkdir(by_hand, 0700), 0); /* "overlab layer create": theirs to know */
    check(f, false);
    assert_string_equal(f->text, "");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mkdir(set, 0700), 0);
    images_overwrite(f->base, "imagedb/content/sha256/.new-0123456789abcdef", "half");
    check(f, false);
    assert_told(f, "belongs to no layer and no container");
    assert_told(f, "tmp/write-set-abab");
    assert_told(f, ".new-0123456789abcdef");
    assert_int_equal(f->problems, 3);
    images_reopen(f->base); /* the next command cleans up what was left behind */
    images_shut(f->base);
    check(f, false);
    assert_string_equal(f->text, "");
}

static void check__tells_a_layer_nobody_uses(void **state)
{
    struct fixture *f = *state;
    struct images_fixture *base = f->base;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer layer;

    images_reopen(base);
    make_layer(&tar, "other/file");
    const struct ol_input input = OL_INPUT_FD(tarball_fd(&tar));
    assert_ok(ol_store_register(ol_images_layers(base->images), NULL, &input, NULL, &layer, NULL,
                                NULL, NULL, &err),
              &err);
    tarball_fini(&tar);
    images_shut(base);
    check(f, false);
    assert_told(f, layer.chain_id);
    assert_told(f, "used by no image");
    assert_int_equal(f->problems, 1);
}

static void check__tells_changed_content(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *file = text_of("home/dir/%s/d/file", f->layer.cache_id);

    test_write(f->base->dir.fd, file, "changed");
    check(f, false);
    assert_string_equal(f->text, "");
    check(f, true);
    assert_told(f, f->layer.chain_id);
    assert_int_equal(f->problems, 1);
}

/* The record is there, and makes another tar or none. */
static void check__tells_a_damaged_tar_split(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *name = text_of("layerdb/sha256/%s/tar-split.json.gz",
                                      ol_digest_hex(f->layer.chain_id));
    ol_auto_free char *path = text_of("%s/%s", f->base->dir_path, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 9), 0); /* in the end of its gzip */
    check(f, false);
    assert_string_equal(f->text, "");
    check(f, true);
    assert_told(f, f->layer.chain_id);
    assert_int_equal(f->problems, 1);
    images_overwrite(f->base, name, "no gzip at all");
    check(f, true);
    assert_told(f, f->layer.chain_id);
    assert_int_equal(unlink(path), 0); /* without it there is nothing to hold against the DiffID */
    check(f, true);
    assert_string_equal(f->text, "");
}

/* Content is the same, the headers are not. */
static void check__tells_a_layer_whose_tar_is_another_one(void **state)
{
    struct fixture *f = *state;
    struct images_fixture *base = f->base;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer other;
    ol_auto_free char *from = NULL;
    ol_auto_free char *to = text_of("%s/layerdb/sha256/%s/tar-split.json.gz", base->dir_path,
                                    ol_digest_hex(f->layer.chain_id));

    images_reopen(base);
    tarball_add_file(&tar, "d/file", "d/file"); /* without the directory */
    tarball_end(&tar);
    const struct ol_input input = OL_INPUT_FD(tarball_fd(&tar));
    assert_ok(ol_store_register(ol_images_layers(base->images), NULL, &input, NULL, &other, NULL,
                                NULL, NULL, &err),
              &err);
    tarball_fini(&tar);
    images_shut(base);
    from = text_of("%s/layerdb/sha256/%s/tar-split.json.gz", base->dir_path,
                   ol_digest_hex(other.chain_id));
    assert_int_equal(rename(from, to), 0);
    check(f, true);
    assert_told(f, "makes DiffID");
    assert_told(f, f->layer.diff_id);
    assert_told(f, "used by no image"); /* the other one */
    assert_int_equal(f->problems, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(check__a_sound_store_has_no_problems),
        TEST(check__tells_a_config_that_is_not_its_name),
        TEST(check__tells_a_name_and_a_parent_that_lead_nowhere),
        TEST(check__tells_images_that_are_their_own_ancestors),
        TEST(check__tells_a_damaged_names_file),
        TEST(check__tells_a_layer_that_is_not_in_the_store),
        TEST(check__tells_a_wrong_chain_id),
        TEST(check__tells_layers_the_driver_has_not),
        TEST(check__tells_what_nobody_owns),
        TEST(check__tells_a_layer_nobody_uses),
        TEST(check__tells_changed_content),
        TEST(check__tells_a_damaged_tar_split),
        TEST(check__tells_a_layer_whose_tar_is_another_one),
    };

    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
