/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab image import/ls/rm" and "overlab check-store" as users and scripts run them. */
#include "program.h"

#include "common/digest.h"
#include "support/tarball.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/file.h>
#include <unistd.h>

struct fixture {
    struct test_dir dir;
    char *root, *layer, *store; /* owned */
};

/* A data root and the tar of a root file system. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct tarball tar = TARBALL_INIT;
    ol_auto_fd int fd = -1;

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_true(asprintf(&f->root, "%s/root", f->dir.path) > 0);
    assert_true(asprintf(&f->layer, "%s/layer.tar", f->dir.path) > 0);
    assert_true(asprintf(&f->store, "%s/image/vfs", f->root) > 0);
    tarball_add_file(&tar, "./f", "content");
    tarball_end(&tar);
    fd = open(f->layer, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, tar.data, tar.len), tar.len);
    tarball_fini(&tar);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f->root);
    free(f->layer);
    free(f->store);
    free(f);
    return 0;
}

/* overlab --root ROOT ARGS… with SOURCE_DATE_EPOCH; the status must be this. */
static void run(const struct fixture *f, int status, struct program_result *ret,
                const char *const *args)
{
    static const char *const env[] = {"SOURCE_DATE_EPOCH=1700000000", NULL};
    const char *const root[] = {"--root", f->root, NULL};

    program_expect(&(struct program_run){.args = root, .env = env}, args, status, ret);
}
#define RUN(f, status, ret, ...) run((f), (status), (ret), (const char *const[]){__VA_ARGS__, NULL})

static void import(const struct fixture *f, const char *name)
{
    auto_result struct program_result result = {0};

    RUN(f, 0, &result, "image", "import", "-d", "vfs", "--tag", name, f->layer);
}

/* The document has this schema; the caller releases it. */
static json_t *parse(const struct program_result *result, const char *schema)
{
    json_t *json = json_loads(result->out, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "schema")), schema);
    assert_string_equal(json_string_value(json_object_get(json, "driver")), "vfs");
    return json;
}

static void image_import__prints_ids_that_are_the_same_every_time(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result one = {0};
    auto_result struct program_result two = {0};

    RUN(f, 0, &one, "image", "import", "-d", "vfs", "--tag", "one:1", f->layer);
    RUN(f, 0, &two, "image", "import", "-d", "vfs", "--tag", "docker.io/library/one:1", f->layer);
    assert_string_equal(one.out, two.out);
    assert_int_equal(strlen(one.out), OL_DIGEST_SIZE - 1 + strlen(" one:1\n"));
    assert_string_equal(one.err, "");
}

static void image_import__as_json(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    const json_t *image;
    json_t *json;

    RUN(f, 0, &result, "image", "import", "--json", "-d", "vfs", "--tag", "one", f->layer);
    json = parse(&result, "overlab.image.import/1");
    image = json_array_get(json_object_get(json, "images"), 0);
    assert_string_equal(json_string_value(json_object_get(image, "format")), "rootfs-tar");
    assert_int_equal(json_integer_value(json_object_get(image, "new_layers")), 1);
    assert_string_equal(json_string_value(json_array_get(json_object_get(image, "names"), 0)),
                        "one:latest");
    json_decref(json);
}

static void image_import__that_fails_says_why_and_stores_nothing(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    auto_result struct program_result list = {0};

    RUN(f, 1, &result, "image", "import", "-d", "vfs", "--tag", "Not/A/Name", f->layer);
    assert_non_null(strstr(result.err, "'Not/A/Name' is no name of an image"));
    assert_string_equal(result.out, "");
    RUN(f, 0, &list, "image", "ls", "-d", "vfs");
    assert_string_equal(list.out, "");
}

static void image_ls__lists_names_ids_and_sizes(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result table = {0};
    auto_result struct program_result result = {0};
    json_t *json;

    import(f, "one:1");
    import(f, "two:2");
    RUN(f, 0, &table, "image", "ls", "-d", "vfs");
    assert_golden("image-ls.txt", table.out);
    RUN(f, 0, &result, "image", "ls", "--json", "-d", "vfs");
    json = parse(&result, "overlab.image.ls/1");
    assert_int_equal(json_array_size(json_object_get(json, "images")), 1);
    json_decref(json);
}

static void image_rm__tells_what_it_removed(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result one = {0};
    auto_result struct program_result two = {0};
    auto_result struct program_result none = {0};
    json_t *json;

    import(f, "one:1");
    import(f, "two:2");
    RUN(f, 0, &one, "image", "rm", "-d", "vfs", "one:1");
    assert_string_equal(one.out, "untagged one:1\n");
    RUN(f, 0, &two, "image", "rm", "--json", "-d", "vfs", "two:2");
    json = parse(&two, "overlab.image.rm/1");
    assert_int_equal(json_array_size(json_object_get(json, "removed")), 3);
    json_decref(json);
    RUN(f, 1, &none, "image", "rm", "-d", "vfs", "two:2");
    assert_non_null(strstr(none.err, "has no image 'two:2'"));
}

static void image_commands__say_that_another_process_has_the_store(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_fd int fd = -1;

    import(f, "one:1");
    fd = open(f->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    RUN(f, 1, &result, "image", "ls", "-d", "vfs");
    assert_non_null(strstr(result.err, "in use by another process"));
}

static void check_store__has_one_line_for_each_finding(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result sound = {0};
    auto_result struct program_result damaged = {0};
    auto_result struct program_result result = {0};
    json_t *json;

    import(f, "one:1");
    RUN(f, 0, &sound, "check-store", "--content", "-d", "vfs");
    assert_string_equal(sound.out, "");
    test_write(f->dir.fd, "root/image/vfs/repositories.json",
               "{\"Repositories\":{\"a\":{\"a:1\":\"" OL_EMPTY_DIFF_ID "\"}}}");
    RUN(f, 1, &damaged, "check-store", "-d", "vfs");
    assert_string_equal(damaged.out,
                        "name 'a:1' leads to image '" OL_EMPTY_DIFF_ID "', which is not there\n");
    RUN(f, 1, &result, "check-store", "--json", "-d", "vfs");
    json = parse(&result, "overlab.check-store/1");
    assert_int_equal(json_array_size(json_object_get(json, "findings")), 1);
    json_decref(json);
}

/* Names in a data root are as hostile as those in an archive, and need not be text. */
static void check_store__shows_names_that_are_no_text(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    json_t *json;

    import(f, "one:1");
    test_write(f->dir.fd, "root/image/vfs/imagedb/content/sha256/\033c\n\377", "");
    RUN(f, 1, &result, "check-store", "-d", "vfs");
    assert_string_equal(result.out,
                        "'imagedb/content/sha256/\\033c\\012\377' belongs to no image\n");
    RUN(f, 1, &result, "check-store", "--json", "-d", "vfs");
    json = parse(&result, "overlab.check-store/1");
    assert_int_equal(json_array_size(json_object_get(json, "findings")), 1);
    json_decref(json);
}

static void image_commands__refuse_wrong_usage(void **state)
{
    static const char *const wrong[][4] = {
        {"image", "import"},           {"image", "import", "a", "b"}, {"image", "rm"},
        {"image", "ls", "x"},          {"check-store", "x"},          {"image", "ls", "--force"},
        {"image", "ls", "--view=odd"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(wrong); i++) {
        auto_result struct program_result result = {0};
        RUN(f, 2, &result, wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3]);
        assert_non_null(strstr(result.err, "--help'"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(image_import__prints_ids_that_are_the_same_every_time),
        TEST(image_import__as_json),
        TEST(image_import__that_fails_says_why_and_stores_nothing),
        TEST(image_ls__lists_names_ids_and_sizes),
        TEST(image_rm__tells_what_it_removed),
        TEST(image_commands__say_that_another_process_has_the_store),
        TEST(check_store__has_one_line_for_each_finding),
        TEST(check_store__shows_names_that_are_no_text),
        TEST(image_commands__refuse_wrong_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
