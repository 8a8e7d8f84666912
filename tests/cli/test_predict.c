/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab predict" as users run it: the numbers are those compare predicts and measures, nothing
 * is written, shared layers count once, and what is wrong with the input is named.
 */
#include "program.h"

#include "support/image_archive.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOBODY = 65534 };

#define DRIVERS                                                                                    \
    "--drivers=overlay,overlay:diff=upper,clone=all,overlay2,overlay2:diff=naive,snapshot,vfs"

/* Three layers of some of everything, and another image on the first of them. */
struct fixture {
    struct test_dir dir;
    struct tarball layers[3];
    char *image, *other; /* owned */
    char *backing;       /* owned; "--backing=…" */
};

static void fill_base(struct tarball *tar)
{
    char name[64];

    for (int i = 0; i < 40; i++) {
        if (i % 10 == 0) {
            (void)snprintf(name, sizeof name, "usr/dir%d/", i / 10);
            tarball_add_dir(tar, name);
        }
        (void)snprintf(name, sizeof name, "usr/dir%d/file%d", i / 10, i);
        tarball_add_file(tar, name, "content");
    }
    tarball_add_symlink(tar, "lib", "usr/dir0");
    tarball_add_hardlink(tar, "usr/twice", "usr/dir0/file1");
    tarball_add_fifo(tar, "usr/pipe");
}

static void fill_changes(struct tarball layers[3])
{
    tarball_add_dir(&layers[1], "usr/");
    tarball_add_file(&layers[1], "usr/dir1/.wh.file11", "");
    tarball_add_file(&layers[1], "usr/dir1/file12", "other");
    tarball_add_dir(&layers[2], "opt/");
    tarball_add_file(&layers[2], "opt/new", "new");
    tarball_add_file(&layers[2], "usr/.wh.dir2", "");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_int_equal(fchmod(f->dir.fd, 0755), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(f->layers); i++)
        f->layers[i] = (struct tarball)TARBALL_INIT;
    fill_base(&f->layers[0]);
    fill_changes(f->layers);
    for (size_t i = 0; i < OL_ARRAY_LEN(f->layers); i++)
        tarball_end(&f->layers[i]);
    f->image = image_archive_write(&f->dir, "image.tar", f->layers, 3);
    f->other = image_archive_write(&f->dir, "other.tar", f->layers, 1);
    assert_int_equal(chmod(f->image, 0644), 0);
    test_mkdir(f->dir.fd, "place", 0700);
    assert_true(asprintf(&f->backing, "--backing=%s/place", f->dir.path) > 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(f->layers); i++)
        tarball_fini(&f->layers[i]);
    test_dir_remove(&f->dir);
    free(f->image);
    free(f->other);
    free(f->backing);
    free(f);
    return 0;
}

/* ---- the numbers ---- */

static json_t *json_of(const char *const *args)
{
    auto_result struct program_result result = {0};
    json_t *json;

    program_args(&result, args);
    if (result.status != 0)
        fail_msg("ended with %d: %s", result.status, result.err);
    json = json_loads(result.out, 0, NULL);
    assert_non_null(json);
    return json;
}

static json_int_t number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value))
        fail_msg("no number '%s'", key);
    return json_integer_value(value);
}

/* Every step is there, and adds what compare predicted and measured. */
static void assert_same_steps(const json_t *predicted, const json_t *compared, bool on_ext4)
{
    const json_t *ours = json_object_get(predicted, "steps");
    const json_t *theirs = json_object_get(compared, "steps");
    const char *name = json_string_value(json_object_get(predicted, "name"));
    const json_t *step;
    size_t i;

    assert_string_equal(name, json_string_value(json_object_get(compared, "name")));
    assert_int_equal(json_array_size(ours), json_array_size(theirs));
    json_array_foreach(theirs, i, step)
    {
        const json_t *mine = json_array_get(ours, i);

        assert_string_equal(json_string_value(json_object_get(mine, "op")),
                            json_string_value(json_object_get(step, "op")));
        assert_int_equal(number(mine, "index"), number(step, "index"));
        assert_true(json_equal(json_object_get(mine, "predicted_inodes"),
                               json_object_get(step, "predicted_inodes")));
        if (number(mine, "predicted_inodes") != number(step, "inodes"))
            fail_msg("%s, step %zu: %lld predicted, %lld measured", name, i,
                     (long long)number(mine, "predicted_inodes"),
                     (long long)number(step, "inodes"));
        assert_true(json_equal(json_object_get(mine, "kinds"), json_object_get(step, "kinds")));
        if (on_ext4 && json_is_false(json_object_get(mine, "bytes_estimate")))
            assert_int_equal(number(mine, "predicted_bytes"), number(step, "bytes"));
    }
    assert_int_equal(number(json_object_get(predicted, "totals"), "image_inodes"),
                     number(json_object_get(compared, "totals"), "image_inodes"));
    assert_int_equal(number(json_object_get(predicted, "totals"), "peak_inodes"),
                     number(json_object_get(compared, "totals"), "peak_inodes"));
}

static void assert_view(const json_t *json, const char *view)
{
    assert_string_equal(json_string_value(json_object_get(json, "view")), view);
}

/* @param image  NULL: the built-in one. @param replay  its own steps, not seeded changes */
static void assert_as_compared(const struct fixture *f, const char *view, const char *image,
                               bool replay)
{
    ol_auto_free char *in_view = NULL;
    const char *changes = replay ? "--replay" : "--changes=add=3,modify=2,delete=1,mkdir=1";
    int len = asprintf(&in_view, "--view=%s", view);
    json_t *predicted = json_of((const char *const[]){"predict", "--json", "--seed=7", DRIVERS,
                                                      changes, in_view, image, NULL});
    json_t *compared = json_of(
        (const char *const[]){"compare", "--json", "--seed=7", DRIVERS, changes, f->backing,
                              "--rounds=1", "--no-warmup", "--verify", in_view, image, NULL});
    const json_t *ours = json_object_get(predicted, "engines");
    const json_t *theirs = json_object_get(compared, "engines");
    const char *fs = json_string_value(json_object_get(json_object_get(compared, "backing"), "fs"));

    assert_true(len > 0);
    assert_view(predicted, view);
    assert_view(compared, view);
    assert_string_equal(json_string_value(json_object_get(predicted, "schema")),
                        "overlab.predict/1");
    assert_int_equal(json_array_size(ours), 6);
    assert_int_equal(json_array_size(theirs), 6);
    for (size_t i = 0; i < 6; i++)
        assert_same_steps(json_array_get(ours, i), json_array_get(theirs, i),
                          strcmp(fs, "ext4") == 0);
    json_decref(predicted);
    json_decref(compared);
}

static void assert_as_compared_in(const struct fixture *f, const char *view)
{
    assert_as_compared(f, view, f->image, false);
    assert_as_compared(f, view, f->image, true);
}

static void predict__is_what_compare_measures(void **state)
{
    OL_REQUIRE(can_mount_overlay, "the kernel view mounts overlayfs");
    assert_as_compared(*state, "kernel", NULL, false);
    assert_as_compared_in(*state, "kernel");
}

static void predict__is_what_compare_measures_in_a_user_namespace(void **state)
{
    OL_REQUIRE(can_user_namespace, "the userns view enters a user namespace");
    assert_as_compared_in(*state, "userns");
}

static void predict__is_what_compare_measures_without_mounts(void **state)
{
    assert_as_compared_in(*state, "direct");
}

static json_int_t containers_in(const struct fixture *f, const char *view, const char *driver)
{
    ol_auto_free char *drivers = NULL;
    json_int_t inodes;
    json_t *json;

    assert_true(asprintf(&drivers, "--drivers=%s", driver) > 0);
    json = json_of((const char *const[]){"predict", "--json", "--containers=5", drivers, "--view",
                                         view, f->image, NULL});
    assert_view(json, strcmp(view, "auto") == 0 ? "kernel" : view);
    inodes = number(json_object_get(json_array_get(json_object_get(json, "engines"), 0), "totals"),
                    "container_inodes");
    json_decref(json);
    return inodes;
}

static void predict__knows_who_has_mount_points(void **state)
{
    static const struct {
        const char *driver;
        json_int_t mount_points; /* of five containers */
    } drivers[] = {
        {"overlay", 5}, {"overlay2", 5}, {"overlay2:diff=naive", 5}, {"snapshot", 0}, {"vfs", 0}};

    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        json_int_t inodes = containers_in(*state, "kernel", drivers[i].driver);

        assert_int_equal(containers_in(*state, "auto", drivers[i].driver), inodes);
        assert_int_equal(containers_in(*state, "userns", drivers[i].driver), inodes);
        assert_int_equal(containers_in(*state, "direct", drivers[i].driver),
                         inodes - drivers[i].mount_points);
    }
}

static void predict__refuses_a_view_there_is_not(void **state)
{
    auto_result struct program_result result = {0};

    (void)state;
    program(&result, "predict", "--view=host");
    assert_int_equal(result.status, 2);
    assert_string_equal(result.out, "");
    assert_non_null(strstr(result.err, "--view"));
    assert_non_null(strstr(result.err, "direct"));
}

static void predict__counts_a_shared_layer_once(void **state)
{
    const struct fixture *f = *state;
    const char *const alone[] = {"predict", "--json", "--commits=0", f->image, NULL};
    const char *const both[] = {"predict", "--json", "--commits=0", f->other, f->image, NULL};
    json_t *one = json_of(alone);
    json_t *two = json_of(both);
    const json_t *layers = json_object_get(json_array_get(json_object_get(two, "images"), 1),
                                           "layers");

    assert_int_equal(number(json_array_get(layers, 0), "shared_with"), 0);
    assert_true(json_is_null(json_object_get(json_array_get(layers, 1), "shared_with")));
    for (size_t i = 0; i < 4; i++) { /* the other image is the first one's base */
        const json_t *a = json_array_get(json_object_get(one, "engines"), i);
        const json_t *b = json_array_get(json_object_get(two, "engines"), i);

        assert_int_equal(number(json_object_get(a, "totals"), "image_inodes"),
                         number(json_object_get(b, "totals"), "image_inodes"));
    }
    json_decref(one);
    json_decref(two);
}

static void predict__of_a_stored_image_is_the_same(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *root = NULL;
    const json_t *engines;
    json_t *file;
    json_t *stored;

    assert_true(asprintf(&root, "--root=%s/root", f->dir.path) > 0);
    program(&result, root, "image", "import", "-d", "vfs", "--tag", "told:1", f->image);
    assert_int_equal(result.status, 0);
    file = json_of((const char *const[]){"predict", "--json", f->image, NULL});
    stored = json_of(
        (const char *const[]){root, "predict", "--json", "--driver=vfs", "told:1", NULL});
    engines = json_object_get(stored, "engines");
    assert_true(json_equal(engines, json_object_get(file, "engines")));
    json_decref(file);
    json_decref(stored);
}

/* A full tree follows the symlink; overlay2 makes a directory, which the init layer leaves alone.
 */
static char *write_parted(const struct fixture *f)
{
    struct tarball layers[2] = {TARBALL_INIT, TARBALL_INIT};
    char *path;

    tarball_add_dir(&layers[0], "usr/etc");
    tarball_add_symlink(&layers[0], "etc", "usr/etc");
    tarball_add_file(&layers[1], "etc/other", "through a symlink of the layer below");
    for (size_t i = 0; i < 2; i++)
        tarball_end(&layers[i]);
    path = image_archive_write(&f->dir, "parted.tar", layers, 2);
    for (size_t i = 0; i < 2; i++)
        tarball_fini(&layers[i]);
    return path;
}

static void predict__knows_containers_on_an_image_that_drivers_see_differently(void **state)
{
    const struct fixture *f = *state;
    ol_auto_free char *image = write_parted(f);
    json_t *predicted = json_of((const char *const[]){"predict", "--json", "--commits=1",
                                                      "--changes=none", DRIVERS, "--view=direct",
                                                      image, NULL});
    json_t *compared = json_of((const char *const[]){
        "compare", "--json", "--commits=1", "--changes=none", DRIVERS, "--view=direct", f->backing,
        "--rounds=1", "--no-warmup", image, NULL});
    const json_t *ours = json_object_get(predicted, "engines");
    const json_t *engine;
    size_t i;

    json_array_foreach(json_object_get(compared, "engines"), i, engine)
    {
        const json_t *mine = json_object_get(json_array_get(ours, i), "steps");
        const json_t *alone = json_array_get(json_object_get(json_array_get(ours, i), "images"), 0);
        json_int_t container = 0;
        const json_t *step;
        size_t s;

        json_array_foreach(json_object_get(engine, "steps"), s, step)
        {
            const char *op = json_string_value(json_object_get(step, "op"));
            const json_t *told = json_object_get(json_array_get(mine, s), "predicted_inodes");

            if (strcmp(op, "container.create") == 0 || strcmp(op, "container.mount") == 0)
                container += number(step, "inodes");
            if (json_is_null(told))
                assert_true(s > 2); /* what is changed in it, at most */
            else
                assert_int_equal(json_integer_value(told), number(step, "inodes"));
        }
        assert_int_equal(number(alone, "first_container_inodes"), container);
    }
    json_decref(predicted);
    json_decref(compared);
}

/* ---- the forms ---- */

static void assert_width(const char *text)
{
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (strcspn(line, "\n") > 80)
            fail_msg("wider than 80 columns: %.*s", (int)strcspn(line, "\n"), line);
    }
}

static void predict__fits_80_columns(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result plain = {0};
    auto_result struct program_result long_names = {0};

    program(&plain, "predict", "--containers", "3", "--top", "2", f->other, f->image);
    assert_int_equal(plain.status, 0);
    assert_width(plain.out + strcspn(plain.out, "\n") + 1);
    assert_null(strchr(plain.out, '\033'));
    assert_non_null(strstr(plain.out, "RUN step 2"));
    assert_non_null(strstr(plain.out, "ENV A=1"));
    assert_non_null(strstr(plain.out, "  0= "));
    program(&long_names, "predict", DRIVERS, f->image);
    assert_width(long_names.out);
    assert_non_null(strstr(long_names.out, "[2]  overlay:diff=upper,clone=all"));
}

static void predict__has_the_forms_of_compare(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result csv = {0};
    auto_result struct program_result markdown = {0};
    auto_result struct program_result file = {0};
    ol_auto_free char *output = NULL;
    ol_auto_free char *written = NULL;

    program(&csv, "predict", "--csv", f->image);
    assert_int_equal(csv.status, 0);
    assert_non_null(strstr(csv.out, "\noverlay2,"));
    assert_non_null(strstr(csv.out, ",layer.apply,2,"));
    program(&markdown, "predict", "--markdown", f->image);
    assert_int_equal(markdown.status, 0);
    assert_non_null(strstr(markdown.out, "| INODES | overlay | overlay2 | snapshot | vfs |"));
    assert_true(asprintf(&output, "--output=%s/out", f->dir.path) > 0);
    program(&file, "predict", "--markdown", output, f->image);
    assert_int_equal(file.status, 0);
    written = test_read(f->dir.fd, "out");
    assert_string_equal(written, markdown.out);
}

/* ---- who may ask, and what is left ---- */

static void predict__writes_nothing(void **state)
{
    const struct fixture *f = *state;
    const char *const args[] = {"predict", f->image, NULL};
    const char *const env[] = {"TMPDIR=/nonexistent", "HOME=/nonexistent", NULL};
    const struct program_run run = {.args = args,
                                    .env = env,
                                    .cwd = "/proc", /* nothing can be made there */
                                    .uid = geteuid() == 0 ? NOBODY : 0};
    auto_result struct program_result result = {0};

    program_run(&run, &result);
    if (result.status != 0)
        fail_msg("ended with %d: %s", result.status, result.err);
    assert_non_null(strstr(result.out, "the image"));
}

/* ---- the file system ---- */

/* A thousand files, and a directory for every four. */
static char *write_many(const struct fixture *f)
{
    struct tarball layers[2] = {TARBALL_INIT, TARBALL_INIT};
    char name[64];
    char *path;

    for (unsigned i = 0; i < 1000; i++) {
        if (i % 4 == 0) {
            (void)snprintf(name, sizeof name, "usr/dir%u/", i / 4);
            tarball_add_dir(&layers[0], name);
        }
        (void)snprintf(name, sizeof name, "usr/dir%u/file%u", i / 4, i);
        tarball_add_file(&layers[0], name, "content");
    }
    tarball_add_file(&layers[1], "usr/new", "new");
    tarball_end(&layers[0]);
    tarball_end(&layers[1]);
    path = image_archive_write(&f->dir, "many.tar", layers, 2);
    tarball_fini(&layers[0]);
    tarball_fini(&layers[1]);
    return path;
}

static void run_command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run_command(const char *fmt, ...)
{
    ol_auto_free char *command = NULL;
    va_list ap;

    va_start(ap, fmt);
    assert_true(vasprintf(&command, fmt, ap) > 0);
    va_end(ap);
    if (system(command) != 0) /* the commands an administrator would type */
        fail_msg("'%s' failed", command);
}

/* Exit status of the whole workload on an ext4 of so many inodes. */
static int run_on_ext4(const struct fixture *f, const char *image, const char *driver,
                       json_int_t inodes, json_int_t size_bytes)
{
    auto_result struct program_result result = {0};
    ol_auto_free char *backing = NULL;
    ol_auto_free char *drivers = NULL;

    assert_true(asprintf(&backing, "--backing=%s/place", f->dir.path) > 0);
    assert_true(asprintf(&drivers, "--drivers=%s", driver) > 0);
    run_command("cd %s && rm -f fs && truncate -s %lld fs && mkfs.ext4 -q -F -N %lld fs && mount "
                "-o loop fs place",
                f->dir.path, (long long)size_bytes, (long long)inodes);
    program(&result, "compare", drivers, backing, "--rounds=1", "--no-warmup", "--commits=4",
            image);
    run_command("umount %s/place", f->dir.path);
    if (result.status != 0)
        assert_non_null(strstr(result.err, "No space left"));
    return result.status;
}

static void predict__names_a_file_system_that_holds_it(void **state)
{
    const struct fixture *f = *state;
    static const char *const names[] = {"overlay", "overlay2", "vfs"};

    OL_REQUIRE(can_mount_overlay, "the kernel view mounts overlayfs");
    OL_REQUIRE(can_loop_mount, "an ext4 of its own is on a loop device");
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        ol_auto_free char *image = write_many(f);
        ol_auto_free char *drivers = NULL;
        const json_t *advice;
        json_t *json;

        assert_true(asprintf(&drivers, "--drivers=%s", names[i]) > 0);
        json = json_of((const char *const[]){"predict", "--json", "--commits=4", "--headroom=5",
                                             drivers, image, NULL});
        advice = json_object_get(json_array_get(json_object_get(json, "engines"), 0),
                                 "file_system");
        assert_int_equal(
            run_on_ext4(f, image, names[i], number(advice, "inodes"), number(advice, "size_bytes")),
            0);
        assert_int_equal(run_on_ext4(f, image, names[i], number(advice, "inodes") / 10,
                                     number(advice, "size_bytes")),
                         1);
        json_decref(json);
    }
}

/* ---- what is wrong ---- */

static void write_part(const struct fixture *f, const char *name, size_t bytes)
{
    ol_auto_fd int from = open(f->image, O_RDONLY | O_CLOEXEC);
    ol_auto_fd int to = openat(f->dir.fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ol_auto_free char *copy = malloc(bytes);

    assert_true(from >= 0 && to >= 0 && copy != NULL);
    assert_int_equal(read(from, copy, bytes), (ssize_t)bytes);
    assert_int_equal(write(to, copy, bytes), (ssize_t)bytes);
}

static void assert_refused(const char *const *args, const char *text)
{
    auto_result struct program_result result = {0};

    program_args(&result, args);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.out, "");
    if (strstr(result.err, text) == NULL)
        fail_msg("no '%s' in: %s", text, result.err);
}

static void predict__names_what_is_wrong_with_an_image(void **state)
{
    const struct fixture *f = *state;
    ol_auto_free char *cut = NULL;
    ol_auto_free char *root = NULL;

    assert_true(asprintf(&cut, "%s/cut.tar", f->dir.path) > 0);
    assert_true(asprintf(&root, "%s/absent", f->dir.path) > 0);
    write_part(f, "cut.tar", 512 + 100); /* in the content of the first layer */
    assert_refused((const char *const[]){"predict", cut, NULL}, "cut.tar");
    assert_refused((const char *const[]){"predict", f->image, cut, NULL}, "cut.tar");
    assert_refused((const char *const[]){"--root", root, "predict", "gone.tar", NULL},
                   "'gone.tar' is no file");
    assert_absent(f->dir.fd, "absent"); /* looking makes nothing */
    assert_refused((const char *const[]){"predict", "--replay", f->other, NULL}, "one layer");
    assert_refused((const char *const[]){"predict", "--commits=123", f->image, NULL}, "125");
    assert_refused((const char *const[]){"predict", "--changes=delete=900", f->image, NULL},
                   "delete");
}

static void predict__verifies_digests_when_asked(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_fd int fd = open(f->image, O_RDWR | O_CLOEXEC);
    char block[512];
    off_t at = 0;

    program(&result, "predict", "--verify-digests", f->image);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "every byte was read"));
    while (pread(fd, block, sizeof block, at) == sizeof block && memcmp(block, "content", 8) != 0)
        at += 512;
    assert_int_equal(pwrite(fd, "C", 1, at), 1);
    program_result_fini(&result);
    program(&result, "predict", f->image);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.out, "not verified"));
    assert_refused((const char *const[]){"predict", "--verify-digests", f->image, NULL},
                   "layer 0 of");
}

/* --measured: the tests that run the drivers, which takes its time. */
int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest measured[] = {
        TEST(predict__is_what_compare_measures),
        TEST(predict__is_what_compare_measures_in_a_user_namespace),
        TEST(predict__is_what_compare_measures_without_mounts),
        TEST(predict__names_a_file_system_that_holds_it),
    };
    const struct CMUnitTest tests[] = {
        TEST(predict__knows_who_has_mount_points),
        TEST(predict__refuses_a_view_there_is_not),
        TEST(predict__knows_containers_on_an_image_that_drivers_see_differently),
        TEST(predict__counts_a_shared_layer_once),
        TEST(predict__of_a_stored_image_is_the_same),
        TEST(predict__fits_80_columns),
        TEST(predict__has_the_forms_of_compare),
        TEST(predict__writes_nothing),
        TEST(predict__names_what_is_wrong_with_an_image),
        TEST(predict__verifies_digests_when_asked),
    };

    if (argc > 1 && strcmp(argv[1], "--measured") == 0)
        return cmocka_run_group_tests_name("cli_predict_measured", measured, NULL, NULL);
    return cmocka_run_group_tests_name("cli_predict", tests, NULL, NULL);
}
