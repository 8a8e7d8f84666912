/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab layer …" on every driver: what scripts rely on. */
#include "cli/program.h"
#include "support/tarball.h"

#include "common/digest.h"

#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

/* A data root and two layer archives in it. */
struct fixture {
    struct test_dir dir;
    char *root;      /* --root=… */
    char *one, *two; /* paths of the archives */
    char one_id[OL_DIGEST_SIZE];
    size_t one_len;
};

static const char *const drivers[] = {"overlay2", "overlay", "overlay:diff=upper,clone=all", "vfs"};

static char *write_archive(struct fixture *f, const char *name, struct tarball *tar)
{
    ol_auto_fd int fd = openat(f->dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    char *path = NULL;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, tar->data, tar->len), (ssize_t)tar->len);
    assert_true(asprintf(&path, "%s/%s", f->dir.path, name) > 0);
    return path;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct tarball tar = TARBALL_INIT;

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_true(asprintf(&f->root, "--root=%s/root", f->dir.path) > 0);
    tarball_add_dir(&tar, "a/");
    tarball_add_file(&tar, "a/old", "old");
    tarball_add_file(&tar, "a/kept", "kept");
    tarball_add_symlink(&tar, "link", "a/old");
    tarball_end(&tar);
    f->one = write_archive(f, "one.tar", &tar);
    f->one_len = tar.len;
    assert_int_equal(ol_digest_of(tar.data, tar.len, f->one_id, NULL), 0);
    tarball_fini(&tar);
    tarball_add_dir(&tar, "a/");
    tarball_add_file(&tar, "a/.wh.old", "");
    tarball_add_file(&tar, "a/new", "new");
    tarball_end(&tar);
    f->two = write_archive(f, "two.tar", &tar);
    tarball_fini(&tar);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f->root);
    free(f->one);
    free(f->two);
    free(f);
    return 0;
}

/* Run "overlab layer WORD -d DRIVER …" with stdin and expect a status. */
#define layer(f, ret, in, want, ...)                                                               \
    layer_run((f), (ret), (in), (want), (const char *const[]){"layer", __VA_ARGS__, NULL})
static void layer_run(struct fixture *f, struct program_result *ret, const char *in, int want,
                      const char *const *words)
{
    const char *const root[] = {f->root, NULL};

    program_expect(&(struct program_run){.args = root, .in_path = in}, words, want, ret);
}

static void apply_both(struct fixture *f, const char *driver)
{
    auto_result struct program_result r = {0};

    layer(f, &r, f->one, 0, "apply", "-d", driver, "one");
    layer(f, &r, f->two, 0, "apply", "-d", driver, "two", "one");
}

static void remove_all(struct fixture *f, const char *driver, const char *third)
{
    auto_result struct program_result r = {0};

    if (third != NULL)
        layer(f, &r, NULL, 0, "rm", "-d", driver, third);
    layer(f, &r, NULL, 0, "rm", "-d", driver, "two", "one");
    layer(f, &r, NULL, 0, "ls", "-d", driver);
    assert_string_equal(r.out, "");
}

static void layer_apply__prints_size_and_diff_id(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        auto_result struct program_result r = {0};
        char id[OL_DIGEST_SIZE] = "";
        unsigned size = 0;

        layer(f, &r, f->one, 0, "apply", "-d", drivers[i], "one");
        assert_int_equal(sscanf(r.out, "%u %71s", &size, id), 2);
        assert_string_equal(id, f->one_id);
        assert_true(size >= 7); /* drivers differ in whether links count (moby) */
        layer(f, &r, NULL, 0, "rm", "-d", drivers[i], "one");
    }
}

static void layer_changes__names_what_a_layer_does(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        auto_result struct program_result r = {0};

        apply_both(f, drivers[i]);
        layer(f, &r, NULL, 0, "changes", "-d", drivers[i], "two", "one");
        assert_string_equal(r.out, "C /a\nA /a/new\nD /a/old\n");
        layer(f, &r, NULL, 0, "changes", "-d", drivers[i], "one");
        assert_string_equal(r.out, "A /a\nA /a/kept\nA /a/old\nA /link\n");
        remove_all(f, drivers[i], NULL);
    }
}

/* Two processes with one home open: what one writes the other unpacks. */
static void layer_diff__feeds_another_apply(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        auto_result struct program_result r = {0};
        ol_auto_free char *pipeline = NULL;

        apply_both(f, drivers[i]);
        assert_true(asprintf(&pipeline,
                             "bash -c 'set -o pipefail; P=\"%s %s layer\"; $P diff -d %s two one | "
                             "$P apply -d %s three one >/dev/null'",
                             program_path(), f->root, drivers[i], drivers[i]) > 0);
        assert_int_equal(system(pipeline), 0); /* a shell is what is being tested */
        layer(f, &r, NULL, 0, "changes", "-d", drivers[i], "three", "one");
        assert_string_equal(r.out, "C /a\nA /a/new\nD /a/old\n");
        remove_all(f, drivers[i], "three");
    }
}

/* Offsets of the names in the first header, the directory's. */
enum { UNAME_AT = 265, GNAME_AT = 297 };

static void layer_diff__names_the_owners_only_when_asked(void **state)
{
    static const char *const with_names[] = {"overlay2:names=host",
                                             "overlay2:diff=naive,names=host", "overlay:names=host",
                                             "vfs:names=host"};
    struct fixture *f = *state;
    const struct passwd *pw = getpwuid(0);
    ol_auto_free char *name = strdup(pw == NULL ? "" : pw->pw_name);

    OL_REQUIRE(can_chown, "what is written has to be root's");
    assert_non_null(name);
    for (size_t i = 0; i < OL_ARRAY_LEN(with_names); i++) {
        auto_result struct program_result r = {0};
        ol_auto_free char *plain = strndup(with_names[i], strcspn(with_names[i], ":"));

        assert_non_null(plain);
        apply_both(f, plain);
        layer(f, &r, NULL, 0, "diff", "-d", plain, "two", "one");
        assert_string_equal(r.out + UNAME_AT, "");
        assert_string_equal(r.out + GNAME_AT, "");
        layer(f, &r, NULL, 0, "diff", "-d", with_names[i], "two", "one");
        assert_string_equal(r.out, "a/");
        assert_string_equal(r.out + UNAME_AT, name);
        assert_string_not_equal(r.out + GNAME_AT, "");
        remove_all(f, plain, NULL);
    }
}

static void layer_create__then_apply_fills_it_once(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        auto_result struct program_result r = {0};

        layer(f, &r, NULL, 0, "create", "-d", drivers[i], "one");
        layer(f, &r, NULL, 1, "create", "-d", drivers[i], "one");
        assert_non_null(strstr(r.err, "exists"));
        layer(f, &r, f->one, 0, "apply", "-d", drivers[i], "one");
        layer(f, &r, f->two, 1, "apply", "-d", drivers[i], "one");
        assert_non_null(strstr(r.err, "layer 'one' is not empty"));
        layer(f, &r, NULL, 0, "rm", "-d", drivers[i], "one");
    }
}

static void layer_apply__failure_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *cut = NULL;

    assert_true(asprintf(&cut, "%s/cut.tar", f->dir.path) > 0);
    {
        ol_auto_free char *command = NULL;
        assert_true(asprintf(&command, "head -c 1800 %s > %s", f->one, cut) > 0);
        assert_int_equal(system(command), 0);
    }
    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        auto_result struct program_result r = {0};

        layer(f, &r, cut, 1, "apply", "-d", drivers[i], "one");
        assert_string_equal(r.out, "");
        layer(f, &r, "/dev/null", 1, "apply", "-d", drivers[i], "one");
        assert_non_null(strstr(r.err, "standard input is empty"));
        layer(f, &r, f->one, 1, "apply", "-d", drivers[i], "one", "nobody");
        assert_non_null(strstr(r.err, "'nobody' does not exist"));
        layer(f, &r, NULL, 0, "ls", "-d", drivers[i]);
        assert_string_equal(r.out, "");
    }
}

/* A name in an archive is not to speak to the terminal, in seven bits or in eight. */
static void layer_apply__shows_names_and_does_not_print_them(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *path = NULL;
    auto_result struct program_result r = {0};

    tarball_add_file(&tar, "../\033[2J\a\302\233m\nforged: \303\251\177", "");
    tarball_end(&tar);
    path = write_archive(f, "hostile.tar", &tar);
    tarball_fini(&tar);
    layer(f, &r, path, 1, "apply", "one");
    assert_non_null(strstr(r.err, "'../\\033[2J\\007\\302\\233m\\012forged: \303\251\\177'"));
    assert_ptr_equal(strchr(r.err, '\n'), r.err + strlen(r.err) - 1);
}

static void layer__missing_layers_are_errors(void **state)
{
    static const char *const words[] = {"diff", "changes", "rm", "show", "du"};
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(words); i++) {
        auto_result struct program_result r = {0};

        layer(f, &r, NULL, 1, words[i], "nobody");
        assert_non_null(strstr(r.err, "'nobody' does not exist"));
        assert_string_equal(r.out, "");
    }
}

static void layer__unknown_driver_or_option(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    layer(f, &r, NULL, 1, "ls", "-d", "overlay3");
    assert_non_null(strstr(r.err, "overlay3"));
    layer(f, &r, NULL, 1, "ls", "-d", "overlay2:clone=all");
    assert_non_null(strstr(r.err, "clone"));
}

static json_t *parse(const char *text, const char *schema)
{
    json_error_t where;
    json_t *json = json_loads(text, 0, &where);

    if (json == NULL)
        fail_msg("no JSON: %s in line %d", where.text, where.line);
    assert_string_equal(json_string_value(json_object_get(json, "schema")), schema);
    assert_string_equal(json_string_value(json_object_get(json, "driver")), "overlay2");
    return json;
}

static void layer__json_has_a_schema(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    json_t *json;

    layer(f, &r, f->one, 0, "apply", "one", "--json");
    json = parse(r.out, "overlab.layer.apply/1");
    assert_string_equal(json_string_value(json_object_get(json, "diff_id")), f->one_id);
    assert_int_equal(json_integer_value(json_object_get(json, "stream_bytes")), f->one_len);
    assert_int_equal(json_integer_value(json_object_get(json, "entries")), 4);
    json_decref(json);
    layer(f, &r, NULL, 0, "ls", "--json");
    json = parse(r.out, "overlab.layer.ls/1");
    assert_int_equal(json_array_size(json_object_get(json, "layers")), 1);
    json_decref(json);
    layer(f, &r, NULL, 0, "changes", "--json", "one");
    json = parse(r.out, "overlab.layer.changes/1");
    assert_int_equal(json_array_size(json_object_get(json, "changes")), 4);
    json_decref(json);
    layer(f, &r, NULL, 0, "du", "--json");
    json = parse(r.out, "overlab.layer.du/1");
    assert_true(json_integer_value(json_object_get(json_object_get(json, "home"), "inodes")) > 8);
    json_decref(json);
    layer(f, &r, NULL, 0, "show", "--json", "one");
    json = parse(r.out, "overlab.layer.show/1");
    assert_true(json_is_object(json_object_get(json, "metadata")));
    json_decref(json);
}

/* Names are bytes: a line of its own for each, and JSON that stays UTF-8. */
static void layer_changes__hostile_names(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;
    auto_result struct program_result r = {0};
    ol_auto_free char *path = NULL;

    tarball_add_file(&tar, "line\nbreak", "x");
    tarball_add_file(&tar, "\xff\xfe", "x");
    tarball_end(&tar);
    path = write_archive(f, "names.tar", &tar);
    tarball_fini(&tar);
    layer(f, &r, path, 0, "apply", "names");
    layer(f, &r, NULL, 0, "changes", "names");
    assert_string_equal(r.out, "A /line\\012break\nA /\xff\xfe\n");
    layer(f, &r, NULL, 0, "changes", "--json", "names");
    assert_non_null(strstr(r.out, "\"path_hex\": \"2ffffe\""));
    assert_non_null(strstr(r.out, "\"path\": \"/line\\nbreak\""));
}

static void layer_mount__stays_until_umount(void **state)
{
    struct fixture *f = *state;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        auto_result struct program_result r = {0};
        ol_auto_free char *path = NULL;
        ol_auto_fd int fd = -1;

        apply_both(f, drivers[i]);
        layer(f, &r, NULL, 0, "create", "-d", drivers[i], "--rw", "rw", "two");
        layer(f, &r, NULL, 0, "mount", "-d", drivers[i], "rw");
        path = strndup(r.out, strcspn(r.out, "\n"));
        assert_non_null(path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_content(fd, "a/new", "new");
        assert_absent(fd, "a/old");
        test_write(fd, "a/mine", "mine");
        layer(f, &r, NULL, 0, "ls", "-d", drivers[i]); /* others look while it is mounted */
        assert_content(fd, "a/mine", "mine");
        ol_fd_close(&fd);
        if (strcmp(drivers[i], "vfs") != 0) {
            layer(f, &r, NULL, 1, "rm", "-d", drivers[i], "rw");
            assert_non_null(strstr(r.err, "is mounted on"));
        }
        layer(f, &r, NULL, 0, "umount", "-d", drivers[i], "rw");
        layer(f, &r, NULL, 0, "changes", "-d", drivers[i], "rw", "two");
        assert_string_equal(r.out, "C /a\nA /a/mine\n");
        remove_all(f, drivers[i], "rw");
    }
}

static void layer_mount__not_possible_without_a_lasting_namespace(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    OL_REQUIRE(can_user_xattr, "the direct view needs user.* attributes");
    layer(f, &r, f->one, 0, "apply", "--view=direct", "one");
    layer(f, &r, f->two, 0, "apply", "two", "one");
    layer(f, &r, NULL, 0, "mount", "one"); /* a plain directory: nothing to mount */
    assert_non_null(strstr(r.out, "/overlay2/one/diff\n"));
    layer(f, &r, NULL, 3, "mount", "two");
    assert_non_null(strstr(r.err, "a mount needs root"));
    assert_string_equal(r.out, "");
}

static void layer__a_root_keeps_its_view(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    OL_REQUIRE(can_user_xattr, "the direct view needs user.* attributes");
    OL_REQUIRE(can_mount_overlay, "the kernel view needs CAP_SYS_ADMIN");
    layer(f, &r, f->one, 0, "apply", "--view=direct", "one");
    layer(f, &r, NULL, 1, "ls", "--view=kernel");
    assert_non_null(strstr(r.err, "was made in view 'direct'"));
    layer(f, &r, NULL, 0, "ls");
    assert_string_equal(r.out, "one\n");
}

#define layer_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        layer_test(layer_apply__prints_size_and_diff_id),
        layer_test(layer_changes__names_what_a_layer_does),
        layer_test(layer_diff__feeds_another_apply),
        layer_test(layer_diff__names_the_owners_only_when_asked),
        layer_test(layer_create__then_apply_fills_it_once),
        layer_test(layer_apply__shows_names_and_does_not_print_them),
        layer_test(layer_apply__failure_leaves_nothing),
        layer_test(layer__missing_layers_are_errors),
        layer_test(layer__unknown_driver_or_option),
        layer_test(layer__json_has_a_schema),
        layer_test(layer_changes__hostile_names),
        layer_test(layer_mount__stays_until_umount),
        layer_test(layer_mount__not_possible_without_a_lasting_namespace),
        layer_test(layer__a_root_keeps_its_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
