/* SPDX-License-Identifier: Apache-2.0 */
/* store/import.c: every format arrives as the same image, and nothing that fails or is killed on
 * the way is ever visible. */
#include "image_builder.h"
#include "images_fixture.h"

#include "common/fault.h"
#include "store/import.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OCI_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_TAR  "application/vnd.oci.image.layer.v1.tar"

/* What was imported. */
struct imported {
    struct ol_imported items[8];
    size_t count;
};

static int note(const struct ol_imported *imported, void *data)
{
    struct imported *all = data;

    assert_true(all->count < OL_ARRAY_LEN(all->items));
    all->items[all->count++] = *imported;
    return 0;
}

static int try_import(struct images_fixture *f, const char *path, struct imported *ret,
                      struct ol_error *err)
{
    const struct ol_import_options options = {0};

    *ret = (struct imported){.count = 0};
    return ol_images_import(f->images, path, &options, note, ret, err);
}

static void import_ok(struct images_fixture *f, const char *path, struct imported *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(try_import(f, path, ret, &err), &err);
}

/* --- Archives --- */

static char *docker_archive(struct images_fixture *f, const char *manifest)
{
    struct tarball tar = TARBALL_INIT;

    docker_make(&tar, manifest, NULL);
    return images_save(f, &tar, "docker.tar");
}

/* The layers as blobs compressed like this, under the digests of the compressed bytes. */
static char *oci_archive(struct images_fixture *f, enum tarball_codec codec, const char *type,
                         const char *file)
{
    struct tarball tar = TARBALL_INIT;
    struct layout l;
    struct parts p;

    parts_make(&p);
    for (int i = 0; i < 2; i++) {
        tarball_compress(&p.layer[i], codec);
        p.blob[i] = blob_of(p.layer[i].data, p.layer[i].len);
    }
    layout_make(&l, &p, type);
    add_layout(&tar, &p, &l);
    tarball_end(&tar);
    layout_fini(&l);
    parts_fini(&p);
    return images_save(f, &tar, file);
}

static char *new_docker_archive(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    struct layout l;
    struct parts p;

    parts_make(&p);
    layout_make(&l, &p, OCI_TAR);
    add_layout(&tar, &p, &l);
    tarball_add_file(&tar, "manifest.json", l.docker);
    tarball_end(&tar);
    layout_fini(&l);
    parts_fini(&p);
    return images_save(f, &tar, "new.tar");
}

/* --- Parents --- */

/* A child, its parent and an image that has nothing to do with them, as docker save lists them. */
struct family {
    char child[OL_DIGEST_SIZE], parent[OL_DIGEST_SIZE], other[OL_DIGEST_SIZE];
    char *path; /* owned */
};

static void add_config(struct tarball *tar, const char *name, const struct parts *p,
                       const char *rest, char id[OL_DIGEST_SIZE])
{
    ol_auto_free char *config = text_of(
        "{\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"%s\",\"%s\"]}"
        "%s}",
        p->blob[0].digest, p->blob[1].digest, rest);

    memcpy(id, blob_of(config, strlen(config)).digest, OL_DIGEST_SIZE);
    tarball_add_file(tar, name, config);
}

/* @param told  what the manifest calls the child's parent; NULL: the parent */
static void family_make(struct images_fixture *f, const char *told, struct family *ret)
{
    static const char *const layers = "\"Layers\":[\"" V1_A "/layer.tar\",\"" V1_B "/layer.tar\"]";
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *manifest = NULL;
    struct parts p;

    parts_make(&p);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    add_layer_file(&tar, V1_B, &p.layer[1]);
    add_config(&tar, "p.json", &p, ",\"history\":[{\"created_by\":\"a\"}]", ret->parent);
    add_config(&tar, "c.json", &p,
               ",\"history\":[{\"created_by\":\"a\",\"author\":\"\"},{\"created_by\":\"b\","
               "\"empty_layer\":true}]",
               ret->child);
    add_config(&tar, "o.json", &p, "", ret->other);
    manifest = text_of("[{\"Config\":\"c.json\",\"Parent\":\"%s\",%s},{\"Config\":\"p.json\",%s},"
                       "{\"Config\":\"o.json\",\"Parent\":\"%s\",%s}]",
                       told != NULL ? told : ret->parent, layers, layers, ret->other, layers);
    tarball_add_file(&tar, "manifest.json", manifest);
    tarball_end(&tar);
    parts_fini(&p);
    ret->path = images_save(f, &tar, "family.tar");
}

static void assert_parent(struct images_fixture *f, const char *id, const char *want)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_stored_image image;

    assert_ok(ol_images_find(f->images, id, &image, &err), &err);
    assert_string_equal(image.parent, want);
    images_reopen(f); /* on disk, too */
    assert_ok(ol_images_find(f->images, id, &image, &err), &err);
    assert_string_equal(image.parent, want);
}

static void import__parents_of_the_archive_are_remembered(void **state)
{
    struct images_fixture *f = *state;
    struct family family;
    struct imported got;

    family_make(f, NULL, &family);
    import_ok(f, family.path, &got);
    assert_parent(f, family.child, family.parent);
    assert_parent(f, family.parent, "");
    assert_parent(f, family.other, ""); /* it named itself */
    free(family.path);
}

/* What the archive does not hold, and what is no id at all, is nobody's parent: as docker load. */
static void import__a_parent_outside_of_the_archive_is_none(void **state)
{
    static const char *const told[] = {OL_EMPTY_DIFF_ID, "../../OUT", "sha256:", ""};
    struct images_fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(told); i++) {
        struct family family;
        struct imported got;
        family_make(f, told[i], &family);
        import_ok(f, family.path, &got);
        assert_parent(f, family.child, "");
        free(family.path);
    }
}

static void import__an_image_that_is_there_gets_its_parent_too(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct images_fixture *f = *state;
    struct family family;
    struct imported got;

    family_make(f, "", &family);
    import_ok(f, family.path, &got);
    free(family.path);
    family_make(f, NULL, &family);
    ol_fault_arm(1);
    if (OL_FAULTS) /* taken back with the rest */
        assert_int_equal(try_import(f, family.path, &got, &err), -EIO);
    ol_fault_arm(0);
    assert_parent(f, family.child, "");
    import_ok(f, family.path, &got);
    assert_true(got.items[0].existed);
    assert_parent(f, family.child, family.parent);
    free(family.path);
}

/* By hand: the file that says what an image was made from. */
static void write_parent(struct images_fixture *f, const char *id, const char *parent)
{
    ol_auto_free char *dir = text_of("images/imagedb/metadata/sha256/%s", id + strlen("sha256:"));
    ol_auto_free char *file = text_of("%s/parent", dir);

    assert_true(mkdirat(f->dir.fd, dir, 0700) == 0 || errno == EEXIST);
    test_write(f->dir.fd, file, parent);
}

/* The parents on disk are as hostile as an archive's. */
static void import__over_parents_in_a_circle_ends(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct images_fixture *f = *state;
    char first[OL_DIGEST_SIZE];
    char second[OL_DIGEST_SIZE];
    struct family family;
    struct imported got;

    family_make(f, "", &family);
    import_ok(f, family.path, &got);
    free(family.path);
    images_put(f, "first", NULL, NULL, first);
    images_put(f, "second", first, NULL, second);
    write_parent(f, first, second);
    write_parent(f, family.parent, first);
    images_reopen(f);
    family_make(f, NULL, &family);
    assert_int_equal(try_import(f, family.path, &got, &err), -EBADMSG);
    assert_non_null(strstr(err.message, "its own ancestor"));
    assert_true(strstr(err.message, first) != NULL || strstr(err.message, second) != NULL);
    assert_parent(f, family.child, "");
    free(family.path);
}

/* --- Formats --- */

static void import__every_format_is_the_same_image(void **state)
{
    struct images_fixture *f = *state;
    struct parts p;

    parts_make(&p);
    char *const paths[] = {
        docker_archive(f, NULL),
        new_docker_archive(f),
        oci_archive(f, TARBALL_GZIP, OCI_GZIP, "gz.tar"),
        oci_archive(f, TARBALL_ZSTD, "application/vnd.oci.image.layer.v1.tar+zstd", "zst.tar"),
    };
    for (size_t i = 0; i < OL_ARRAY_LEN(paths); i++) {
        struct imported got;
        import_ok(f, paths[i], &got);
        assert_int_equal(got.count, 1);
        assert_string_equal(got.items[0].image.id, p.config_blob.digest);
        assert_int_equal(got.items[0].new_layers, i == 0 ? 2 : 0);
        assert_int_equal(got.items[0].existed, i > 0);
        free(paths[i]);
    }
    images_assert_holds(f, 1, 2); /* layers that were there are not stored twice */
    parts_fini(&p);
}

static void import__an_archive_may_be_compressed_as_a_whole(void **state)
{
    struct images_fixture *f = *state;

    for (int codec = TARBALL_GZIP; codec <= TARBALL_BZIP2; codec++) {
        struct tarball tar = TARBALL_INIT;
        struct imported got;
        ol_auto_free char *path = NULL;
        docker_make(&tar, NULL, NULL);
        tarball_compress(&tar, codec);
        path = images_save(f, &tar, "all");
        import_ok(f, path, &got);
        assert_int_equal(got.items[0].existed, codec > TARBALL_GZIP);
    }
    images_assert_holds(f, 1, 2);
}

static int first_name(const char *name, const char *id, void *data)
{
    (void)id;
    (void)snprintf(data, 64, "%s", name);
    return 1;
}

static void assert_named(struct images_fixture *f, const char *id, const char *name)
{
    char got[64] = "";

    assert_int_equal(ol_images_tags(f->images, id, first_name, got, NULL), 1);
    assert_string_equal(got, name);
}

static void import__an_oci_tag_gets_the_name_of_the_file(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_free char *path = oci_archive(f, TARBALL_GZIP, OCI_GZIP, "debian.oci.tar");
    struct imported got;

    import_ok(f, path, &got);
    assert_named(f, got.items[0].image.id, "debian:v1");
}

#define BOTH_LAYERS "\"Layers\":[\"" V1_A "/layer.tar\",\"" V1_B "/layer.tar\"]"

static void import__takes_all_images_of_an_archive_or_one(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = docker_archive(
        f, "[{\"Config\":\"config.json\",\"RepoTags\":[\"a:1\",\"a:2\"]," BOTH_LAYERS
           "},{\"Config\":\"config.json\",\"RepoTags\":[\"b:1\"]," BOTH_LAYERS "}]");
    ol_auto_free char *one = text_of("%s#b:1", path);
    struct ol_stored_image image;
    struct imported got;

    import_ok(f, one, &got);
    assert_int_equal(got.count, 1);
    assert_int_equal(ol_images_find(f->images, "a:1", &image, NULL), -ENOENT);
    import_ok(f, path, &got);
    assert_int_equal(got.count, 2);
    assert_ok(ol_images_find(f->images, "a:2", &image, &err), &err);
}

static void import__a_root_file_system_becomes_an_image(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    const struct timespec created = {.tv_sec = 1700000000};
    const char *const names[] = {"base"};
    const struct ol_import_options options = {.names = names, .n_names = 1, .created = &created};
    struct imported got = {.count = 0};
    char first[OL_DIGEST_SIZE] = "";

    for (int codec = TARBALL_GZIP; codec <= TARBALL_BZIP2; codec++) {
        struct tarball tar = TARBALL_INIT;
        ol_auto_free char *path = NULL;
        tarball_add_dir(&tar, "etc/");
        tarball_add_file(&tar, "etc/motd", "hello");
        tarball_end(&tar);
        tarball_compress(&tar, codec);
        path = images_save(f, &tar, "root.tar");
        got.count = 0;
        assert_ok(ol_images_import(f->images, path, &options, note, &got, &err), &err);
        if (first[0] != '\0') /* whatever carried it */
            assert_string_equal(got.items[0].image.id, first);
        memcpy(first, got.items[0].image.id, sizeof first);
    }
    assert_named(f, first, "base:latest");
    assert_ok(ol_images_config(f->images, first, &config, &err), &err);
    assert_string_equal(ol_image_config_text(&config, "created"), "2023-11-14T22:13:20Z");
    assert_int_equal(json_array_size(ol_image_config_history(&config)), 1);
    images_assert_holds(f, 1, 1);
}

static void import__a_directory_becomes_an_image(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_free char *path = text_of("%s/tree", f->dir.path);
    struct imported got;

    test_mkdir(f->dir.fd, "tree", 0755);
    test_mkdir(f->dir.fd, "tree/etc", 0755);
    test_write(f->dir.fd, "tree/etc/motd", "hello");
    import_ok(f, path, &got);
    assert_int_equal(got.items[0].new_layers, 1);
    import_ok(f, path, &got);
    assert_true(got.items[0].existed);
}

static void import__overlapping_images_share_their_layers(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *whole = docker_archive(f, NULL);
    ol_auto_free char *lower = NULL;
    ol_auto_free char *config = NULL;
    ol_auto_free char *ids = NULL;
    struct tarball tar = TARBALL_INIT;
    struct imported got;
    struct parts p;

    parts_make(&p);
    ids = text_of("\"%s\"", p.blob[0].digest);
    config = config_of(ids);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    tarball_add_file(&tar, "config.json", config);
    tarball_add_file(&tar, "manifest.json",
                     "[{\"Config\":\"config.json\",\"RepoTags\":[\"low:1\"],\"Layers\":[\"" V1_A
                     "/layer.tar\"]}]");
    tarball_end(&tar);
    lower = images_save(f, &tar, "lower.tar");
    import_ok(f, lower, &got);
    import_ok(f, whole, &got);
    assert_int_equal(got.items[0].new_layers, 1);
    images_assert_holds(f, 2, 2);
    assert_ok(ol_images_remove(f->images, "t:v1", false, NULL, NULL, &err), &err);
    images_assert_holds(f, 1, 1);
    parts_fini(&p);
}

/* --- Failing and being killed --- */

/* Every call that changes the world fails once: each time nothing is left, or all of it is there.
 */
static void import__failing_anywhere_leaves_nothing(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_free char *path = oci_archive(f, TARBALL_GZIP, OCI_GZIP, "t.tar");
    bool delivered = true;
    unsigned long n = 0;

    while (delivered && n < 2000) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct imported got;
        int r;
        ol_fault_arm(++n);
        r = try_import(f, path, &got, &err);
        delivered = ol_fault_delivered();
        ol_fault_arm(0);
        if (r < 0) {
            assert_non_null(err.message);
            images_reopen(f); /* as the next process would: a clean-up can fail as well */
            images_assert_holds(f, 0, 0);
        } else {
            images_assert_holds(f, 1, 2);
            assert_ok(ol_images_remove(f->images, got.items[0].image.id, true, NULL, NULL, &err),
                      &err);
        }
    }
    assert_false(delivered);
#if OL_FAULTS
    assert_true(n > 20);
#endif
}

static void import__a_failing_driver_leaves_nothing(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_free char *path = oci_archive(f, TARBALL_GZIP, OCI_GZIP, "t.tar");
    unsigned long n = 0;
    int r = -EIO;

    while (r < 0 && n < 20) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct imported got;
        ol_driver_fault_arm(f->drv, ++n);
        r = try_import(f, path, &got, &err);
        ol_driver_fault_arm(f->drv, 0);
        if (r < 0)
            images_assert_holds(f, 0, 0);
    }
    assert_true(n > 3 && r == 0);
}

static void remove_all(struct images_fixture *f)
{
    (void)ol_images_remove(f->images, "t:v1", true, NULL, NULL, NULL);
}

/* What a child does until it is killed: an image comes and goes. */
static void churn(struct images_fixture *f, const char *path)
{
    for (;;) {
        struct imported got;
        (void)try_import(f, path, &got, NULL);
        remove_all(f);
    }
}

static void import__a_kill_at_any_time_is_healed(void **state)
{
    struct images_fixture *f = *state;
    ol_auto_free char *path = docker_archive(f, NULL);
    struct imported got;
    char id[OL_DIGEST_SIZE];

    import_ok(f, path, &got);
    memcpy(id, got.items[0].image.id, sizeof id);
    images_shut(f);
    for (unsigned i = 0; i < 25; i++) {
        struct ol_stored_image image;
        pid_t pid = fork();
        int status = 0;
        bool there;
        assert_true(pid >= 0);
        if (pid == 0) {
            images_reopen(f);
            churn(f, path);
            _exit(1);
        }
        (void)usleep(3000 + 1700 * i);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        images_reopen(f);
        there = ol_images_find(f->images, id, &image, NULL) == 0;
        images_assert_holds(f, there, there ? 2 : 0); /* whole, or not at all */
        import_ok(f, path, &got);                     /* and it can be used */
        remove_all(f);
        images_assert_holds(f, 0, 0);
        images_shut(f);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, images_setup, images_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(import__parents_of_the_archive_are_remembered),
        TEST(import__a_parent_outside_of_the_archive_is_none),
        TEST(import__an_image_that_is_there_gets_its_parent_too),
        TEST(import__over_parents_in_a_circle_ends),
        TEST(import__every_format_is_the_same_image),
        TEST(import__an_archive_may_be_compressed_as_a_whole),
        TEST(import__an_oci_tag_gets_the_name_of_the_file),
        TEST(import__takes_all_images_of_an_archive_or_one),
        TEST(import__a_root_file_system_becomes_an_image),
        TEST(import__a_directory_becomes_an_image),
        TEST(import__overlapping_images_share_their_layers),
        TEST(import__failing_anywhere_leaves_nothing),
        TEST(import__a_failing_driver_leaves_nothing),
        TEST(import__a_kill_at_any_time_is_healed),
    };

    return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
