/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab image history" as users run it: the steps, what they cost, the forms it is printed in.
 */
#include "program.h"

#include "support/image_archive.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct test_dir dir;
    char *root, *image; /* owned */
};

/* Four files in two directories, then one of them changed and one deleted. */
static void make_layers(struct tarball layers[2])
{
    layers[0] = layers[1] = (struct tarball)TARBALL_INIT;
    tarball_add_dir(&layers[0], "usr/");
    tarball_add_dir(&layers[0], "usr/many/");
    tarball_add_file(&layers[0], "usr/many/a", "1234567890");
    tarball_add_file(&layers[0], "usr/many/b", "1234567890");
    tarball_add_file(&layers[0], "usr/many/c", "1234567890");
    tarball_add_file(&layers[0], "usr/one", "12345");
    tarball_add_dir(&layers[1], "usr/");
    tarball_add_file(&layers[1], "usr/.wh.one", "");
    tarball_add_file(&layers[1], "usr/new", "1234567");
    tarball_end(&layers[0]);
    tarball_end(&layers[1]);
}

static const char *const history =
    "{\"created\":\"2024-01-02T03:04:05Z\",\"created_by\":\"ADD base\"},"
    "{\"created_by\":\"ENV A=1\",\"empty_layer\":true},"
    "{\"created_by\":\"RUN \\u001b[31m much\\n more\","
    "\"comment\":\"why\"}";

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct tarball layers[2];

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_true(asprintf(&f->root, "%s/root", f->dir.path) > 0);
    make_layers(layers);
    f->image = image_archive_write_as(&f->dir, "image.tar", layers, 2, history, "[\"told:1\"]");
    tarball_fini(&layers[0]);
    tarball_fini(&layers[1]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f->root);
    free(f->image);
    free(f);
    return 0;
}

static const char *line_with(const char *text, const char *word)
{
    const char *at = strstr(text, word);

    if (at == NULL)
        fail_msg("no '%s' in:\n%s", word, text);
    while (at > text && at[-1] != '\n')
        at--;
    return at;
}

static void image_history__is_that_of_docker(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    program(&result, "--root", f->root, "image", "history", f->image);
    assert_int_equal(result.status, 0);
    assert_string_equal(result.err, "");
    assert_true(line_with(result.out, "RUN [31m much more") <
                line_with(result.out, "ENV A=1")); /* newest first, and harmless */
    assert_true(line_with(result.out, "ENV A=1") < line_with(result.out, "ADD base"));
    assert_non_null(strstr(line_with(result.out, "ADD base"), "35 B"));
    assert_int_equal(strncmp(line_with(result.out, "ADD base"), "<missing>", 9), 0);
    assert_true(strncmp(line_with(result.out, "RUN"), "<missing>", 9) != 0);
}

static void image_history__fits_80_columns(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result plain = {0};
    auto_result struct program_result inodes = {0};

    program(&plain, "image", "history", f->image);
    program(&inodes, "image", "history", "--inodes", f->image);
    for (const char *line = plain.out; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    for (const char *line = inodes.out; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
}

static json_t *costs(struct fixture *f, const char *image, const char *driver, const char *sort)
{
    auto_result struct program_result result = {0};
    json_t *json;

    program(&result, "--root", f->root, "image", "history", "-d", driver, "--inodes", "--sort",
            sort, "--json", image);
    if (result.status != 0)
        fail_msg("ended with %d: %s", result.status, result.err);
    json = json_loads(result.out, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "schema")),
                        "overlab.image.history/1");
    return json;
}

static json_int_t cost(const json_t *json, size_t row, const char *driver, const char *key)
{
    const json_t *step = json_array_get(json_object_get(json, "steps"), row);

    return json_integer_value(
        json_object_get(json_object_get(json_object_get(step, "costs"), driver), key));
}

/* docs/inode-laws.md: the base is usr, many and four files; layer 1 usr, a whiteout and a file. */
static void assert_costs(const json_t *json)
{
    const json_t *dirs = json_object_get(json_array_get(json_object_get(json, "steps"), 2),
                                         "directories");

    assert_int_equal(cost(json, 2, "overlay", "inodes"), 1 + 3 + 4);
    assert_int_equal(cost(json, 2, "overlay2", "inodes"), 4 + 6);
    assert_int_equal(cost(json, 2, "snapshot", "inodes"), 3 + 6);
    assert_int_equal(cost(json, 2, "overlay2", "bytes"), 35);
    assert_int_equal(cost(json, 0, "overlay", "inodes"), 1 + 3 + 1);
    assert_int_equal(cost(json, 0, "overlay2", "inodes"), 6 + 3 + 1); /* and committed */
    assert_int_equal(cost(json, 0, "overlay", "bytes"), 7);
    assert_int_equal(cost(json, 0, "vfs", "bytes"), 37);
    assert_string_equal(json_string_value(json_object_get(json_array_get(dirs, 0), "path")),
                        "usr/many");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(dirs, 0), "inodes")), 3);
}

static void image_history__inodes_are_those_of_the_laws(void **state)
{
    struct fixture *f = *state;
    json_t *json = costs(f, f->image, "vfs", "order");
    json_t *sorted = costs(f, f->image, "vfs", "bytes");

    assert_costs(json);
    assert_int_equal(cost(sorted, 0, "overlay2", "bytes"), 35);
    assert_int_equal(cost(sorted, 1, "overlay2", "bytes"), 7);
    json_decref(json);
    json_decref(sorted);
}

static void image_history__of_a_stored_image_is_the_same(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    json_t *json;

    program(&result, "--root", f->root, "image", "import", "-d", "vfs", f->image);
    assert_int_equal(result.status, 0);
    json = costs(f, "told:1", "vfs", "order");
    assert_costs(json);
    json_decref(json);
}

static void image_history__what_is_not_there_is_named(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    program(&result, "--root", f->root, "image", "history", "-d", "vfs", "nothing:1");
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "nothing:1"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(image_history__is_that_of_docker),
        TEST(image_history__fits_80_columns),
        TEST(image_history__inodes_are_those_of_the_laws),
        TEST(image_history__of_a_stored_image_is_the_same),
        TEST(image_history__what_is_not_there_is_named),
    };

    return cmocka_run_group_tests_name("image_history", tests, NULL, NULL);
}
