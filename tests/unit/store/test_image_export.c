/* SPDX-License-Identifier: Apache-2.0 */
/* store/image_export.c: what came in goes out with the same ids, and the same images give the same
 * bytes. What the real engines say about the archive is scripts/roundtrip's. */
#include "image_builder.h"
#include "images_fixture.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "store/image_export.h"
#include "store/import.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state)
{
    struct images_fixture *f;

    assert_int_equal(images_setup(state), 0);
    f = *state;
    f->options.tar_split = true;
    images_reopen(f);
    return 0;
}

/* Register a layer of one file with a name that no writer of ours gives it. */
static void add_layer(struct images_fixture *f, const char *parent, const char *name,
                      struct ol_store_layer *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;

    tarball_add_file(&tar, name, "content");
    tarball_end(&tar);
    tarball_zeros(&tar, 4096);
    assert_ok(ol_store_register(ol_images_layers(f->images), parent, &OL_INPUT_FD(tarball_fd(&tar)),
                                NULL, ret, NULL, NULL, NULL, &err),
              &err);
    tarball_fini(&tar);
}

/* An image of "./base" and a layer of its own, by its author. */
static void put_image(struct images_fixture *f, const char *author, const char *own,
                      const char *name, char ret_id[OL_DIGEST_SIZE])
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    struct ol_store_layer base, top;
    ol_auto_free char *diff_ids = NULL;

    add_layer(f, NULL, "./base", &base);
    add_layer(f, base.chain_id, own, &top);
    diff_ids = text_of("%s\",\"%s", base.diff_id, top.diff_id);
    images_config(author, diff_ids, &config);
    assert_ok(ol_images_put(f->images, &config, NULL, NULL, &err), &err);
    memcpy(ret_id, config.id, OL_DIGEST_SIZE);
    if (name != NULL)
        assert_ok(ol_images_tag(f->images, &(struct ol_image_tag){name, config.id}, 1, &err), &err);
}

static char *archive_path(const struct images_fixture *f)
{
    return text_of("%s/out.tar", f->dir.path);
}

static int export_to(struct images_fixture *f, const char *const *names, size_t count,
                     const struct ol_export_options *options, struct ol_error *err)
{
    ol_auto_free char *path = archive_path(f);
    ol_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return ol_images_export(f->images, names, count, fd, options, NULL, err);
}

/* The archive's bytes; the caller releases them. */
static struct ol_buf exported(struct images_fixture *f, const char *const *names, size_t count,
                              enum ol_compression compression)
{
    const struct ol_export_options options = {.compression = compression};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_buf bytes = OL_BUF_INIT;

    assert_ok(export_to(f, names, count, &options, &err), &err);
    assert_ok(ol_fs_read_file(f->dir.fd, "out.tar", 1 << 20, &bytes, &err), &err);
    return bytes;
}

/* A member of the archive, which has ustar headers only; NULL when it is not there. */
static const char *member(const struct ol_buf *tar, const char *name, size_t *ret_len)
{
    size_t at = 0;

    while (at + TARBALL_BLOCK <= tar->len && tar->data[at] != '\0') {
        size_t len = strtoul(tar->data + at + 124, NULL, 8);
        if (strcmp(tar->data + at, name) == 0) {
            *ret_len = len;
            return tar->data + at + TARBALL_BLOCK;
        }
        at += TARBALL_BLOCK + (len + TARBALL_BLOCK - 1) / TARBALL_BLOCK * TARBALL_BLOCK;
    }
    return NULL;
}

static json_t *json_member(const struct ol_buf *tar, const char *name)
{
    size_t len = 0;
    const char *text = member(tar, name, &len);
    json_t *json;

    if (text == NULL)
        fail_msg("no member '%s'", name);
    json = json_loadb(text, len, 0, NULL);
    assert_non_null(json);
    return json;
}

static size_t count_members(const struct ol_buf *tar, const char *prefix)
{
    size_t count = 0;

    for (size_t at = 0; at + TARBALL_BLOCK <= tar->len; at += TARBALL_BLOCK)
        count += memcmp(tar->data + at + 257, "ustar", 5) == 0 &&
                 strncmp(tar->data + at, prefix, strlen(prefix)) == 0;
    return count;
}

static int take_imported(const struct ol_imported *imported, void *data)
{
    char(*ids)[OL_DIGEST_SIZE] = data;

    while (**ids != '\0')
        ids++;
    memcpy(*ids, imported->image.id, OL_DIGEST_SIZE);
    return 0;
}

/* Import what was exported into a store of its own. */
static void import_elsewhere(struct images_fixture *f, char (*ids)[OL_DIGEST_SIZE])
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = archive_path(f);
    struct images_fixture *other;
    void *state = NULL;

    assert_int_equal(setup(&state), 0);
    other = state;
    assert_ok(ol_images_import(other->images, path,
                               &(struct ol_import_options){.created = &(struct timespec){0, 0}},
                               take_imported, ids, &err),
              &err);
    assert_int_equal(images_teardown(&state), 0);
}

/* ---- */

static void image_export__ids_and_bytes_come_back(void **state)
{
    static const enum ol_compression kinds[] = {OL_COMPRESS_NONE, OL_COMPRESS_GZIP,
                                                OL_COMPRESS_ZSTD};
    static const char *const names[] = {"one:1", "two:2"};
    struct images_fixture *f = *state;
    char one[OL_DIGEST_SIZE], two[OL_DIGEST_SIZE];

    put_image(f, "a", "./own", "one:1", one);
    put_image(f, "b", "./other", "two:2", two);
    for (size_t i = 0; i < OL_ARRAY_LEN(kinds); i++) {
        ol_auto_buf struct ol_buf tar = exported(f, names, 2, kinds[i]);
        char ids[3][OL_DIGEST_SIZE] = {"", "", ""};

        assert_true(tar.len > 0);
        import_elsewhere(f, ids);
        assert_string_equal(ids[0], one);
        assert_string_equal(ids[1], two);
        assert_string_equal(ids[2], "");
    }
}

static void image_export__depends_on_the_images_alone(void **state)
{
    static const enum ol_compression kinds[] = {OL_COMPRESS_NONE, OL_COMPRESS_GZIP,
                                                OL_COMPRESS_ZSTD};
    static const char *const names[] = {"one:1", "two:2"};
    struct images_fixture *f = *state;
    struct images_fixture *other;
    void *other_state = NULL;
    char id[OL_DIGEST_SIZE];

    put_image(f, "a", "./own", "one:1", id);
    put_image(f, "b", "./other", "two:2", id);
    assert_int_equal(setup(&other_state), 0);
    other = other_state;
    put_image(other, "b", "./other", "two:2", id);
    put_image(other, "a", "./own", "one:1", id);
    for (size_t i = 0; i < OL_ARRAY_LEN(kinds); i++) {
        ol_auto_buf struct ol_buf here = exported(f, names, 2, kinds[i]);
        ol_auto_buf struct ol_buf there = exported(other, names, 2, kinds[i]);
        assert_int_equal(here.len, there.len);
        assert_memory_equal(here.data, there.data, here.len);
    }
    assert_int_equal(images_teardown(&other_state), 0);
}

static void image_export__shared_layers_are_in_it_once(void **state)
{
    static const char *const names[] = {"one:1", "two:2"};
    struct images_fixture *f = *state;
    char id[OL_DIGEST_SIZE];
    json_t *items, *layers;

    put_image(f, "a", "./own", "one:1", id);
    put_image(f, "b", "./other", "two:2", id);
    ol_auto_buf struct ol_buf tar = exported(f, names, 2, OL_COMPRESS_NONE);
    /* the directory, three layers, two configs, two manifests */
    assert_int_equal(count_members(&tar, "blobs/sha256/"), 1 + 3 + 2 + 2);
    items = json_member(&tar, "manifest.json");
    assert_int_equal(json_array_size(items), 2);
    for (size_t i = 0; i < 2; i++) {
        size_t len = 0;
        layers = json_object_get(json_array_get(items, i), "Layers");
        assert_int_equal(json_array_size(layers), 2);
        for (size_t j = 0; j < 2; j++)
            assert_non_null(member(&tar, json_string_value(json_array_get(layers, j)), &len));
        assert_non_null(member(
            &tar, json_string_value(json_object_get(json_array_get(items, i), "Config")), &len));
    }
    json_decref(items);
}

static const char *annotation(const json_t *index, size_t i, const char *key)
{
    return json_string_value(json_object_get(
        json_object_get(json_array_get(json_object_get(index, "manifests"), i), "annotations"),
        key));
}

static void image_export__names_are_those_each_reader_looks_for(void **state)
{
    static const char *const names[] = {"one:1", "registry.example:5000/team/two:2", "one:extra"};
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char one[OL_DIGEST_SIZE], two[OL_DIGEST_SIZE];
    json_t *index, *items, *repositories;

    put_image(f, "a", "./own", "one:1", one);
    assert_ok(ol_images_tag(f->images, &(struct ol_image_tag){"one:extra", one}, 1, &err), &err);
    put_image(f, "b", "./other", names[1], two);
    ol_auto_buf struct ol_buf tar = exported(f, names, 3, OL_COMPRESS_NONE);

    index = json_member(&tar, "index.json");
    assert_int_equal(json_array_size(json_object_get(index, "manifests")), 3);
    assert_string_equal(annotation(index, 0, "io.containerd.image.name"),
                        "docker.io/library/one:1");
    assert_string_equal(annotation(index, 0, "org.opencontainers.image.ref.name"), "1");
    assert_string_equal(annotation(index, 1, "org.opencontainers.image.ref.name"), "extra");
    assert_string_equal(annotation(index, 2, "io.containerd.image.name"), names[1]);
    json_decref(index);

    items = json_member(&tar, "manifest.json");
    assert_int_equal(json_array_size(items), 2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(items, 0), "RepoTags")), 2);
    json_decref(items);

    repositories = json_member(&tar, "repositories");
    assert_non_null(json_object_get(json_object_get(repositories, "one"), "extra"));
    json_decref(repositories);
}

static void image_export__one_tag_of_two_images_is_told_apart(void **state)
{
    static const char *const names[] = {"one", "two"};
    struct images_fixture *f = *state;
    char id[OL_DIGEST_SIZE];
    json_t *index;

    put_image(f, "a", "./own", "one", id);
    put_image(f, "b", "./other", "two", id);
    ol_auto_buf struct ol_buf tar = exported(f, names, 2, OL_COMPRESS_NONE);
    index = json_member(&tar, "index.json");
    assert_string_equal(annotation(index, 0, "org.opencontainers.image.ref.name"), "one:latest");
    assert_string_equal(annotation(index, 1, "org.opencontainers.image.ref.name"), "two:latest");
    json_decref(index);
}

static void image_export__id_brings_no_name(void **state)
{
    struct images_fixture *f = *state;
    char id[OL_DIGEST_SIZE];
    const char *const names[] = {id};
    json_t *items;
    size_t len;

    put_image(f, "a", "./own", "one:1", id);
    ol_auto_buf struct ol_buf tar = exported(f, names, 1, OL_COMPRESS_NONE);
    items = json_member(&tar, "manifest.json");
    assert_true(json_is_null(json_object_get(json_array_get(items, 0), "RepoTags")));
    json_decref(items);
    assert_null(member(&tar, "repositories", &len));
}

struct told {
    size_t count;
    char before[OL_DIGEST_SIZE], after[OL_DIGEST_SIZE];
};

static void tell(const struct ol_export_rewritten *layer, void *data)
{
    struct told *told = data;

    assert_string_equal(layer->image, "one:1");
    assert_int_equal(layer->index, told->count);
    told->count++;
    (void)snprintf(told->before, sizeof told->before, "%s", layer->before);
    (void)snprintf(told->after, sizeof told->after, "%s", layer->after);
}

/* What was not kept is written anew, the config says so, and the user is told. */
static void image_export__layers_without_a_record_are_told(void **state)
{
    static const char *const names[] = {"one:1"};
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct told told = {.count = 0};
    const struct ol_export_options options = {.rewritten = tell, .data = &told};
    char ids[2][OL_DIGEST_SIZE] = {"", ""};
    char id[OL_DIGEST_SIZE];

    f->options.tar_split = false;
    images_reopen(f);
    put_image(f, "a", "./own", "one:1", id);
    assert_ok(export_to(f, names, 1, &options, &err), &err);
    assert_int_equal(told.count, 2);
    assert_string_not_equal(told.before, told.after);
    import_elsewhere(f, ids); /* which looks at every DiffID */
    assert_string_not_equal(ids[0], id);
}

static bool yes(void)
{
    return true;
}

static void image_export__ends_where_it_cannot_go_on(void **state)
{
    static const char *const names[] = {"one:1", "none:1"};
    const struct ol_export_options cancelled = {.cancelled = yes};
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    char id[OL_DIGEST_SIZE];

    put_image(f, "a", "./own", "one:1", id);
    assert_int_equal(export_to(f, names, 2, NULL, NULL), -ENOENT);
    assert_int_equal(export_to(f, names, 0, NULL, NULL), -EINVAL);
    assert_int_equal(export_to(f, names, 1, &cancelled, NULL), -ECANCELED);
    assert_int_equal(ol_images_export(f->images, names, 1, full, NULL, NULL, &err), -ENOSPC);
}

static void image_export__damaged_layer_is_named(void **state)
{
    static const char *const names[] = {"one:1"};
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_store_layer base;
    ol_auto_free char *path = NULL;
    char id[OL_DIGEST_SIZE];

    put_image(f, "a", "./own", "one:1", id);
    add_layer(f, NULL, "./base", &base); /* the one it has */
    path = text_of("%s/dir/%s/base", f->home, base.cache_id);
    test_write(AT_FDCWD, path, "CONTENT");
    assert_int_equal(export_to(f, names, 1, NULL, &err), -EBADMSG);
    assert_message(&err, "'one:1'");
    assert_message(&err, "base' has changed");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, images_teardown)
    const struct CMUnitTest tests[] = {
        TEST(image_export__ids_and_bytes_come_back),
        TEST(image_export__depends_on_the_images_alone),
        TEST(image_export__shared_layers_are_in_it_once),
        TEST(image_export__names_are_those_each_reader_looks_for),
        TEST(image_export__one_tag_of_two_images_is_told_apart),
        TEST(image_export__id_brings_no_name),
        TEST(image_export__layers_without_a_record_are_told),
        TEST(image_export__ends_where_it_cannot_go_on),
        TEST(image_export__damaged_layer_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
