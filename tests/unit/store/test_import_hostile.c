/* SPDX-License-Identifier: Apache-2.0 */
/* Importing what is malformed or hostile: refused, with the culprit named, and nothing is stored. A
 * table of archives, one function each. */
#include "image_builder.h"
#include "images_fixture.h"

#include "store/import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OCI_TAR      "application/vnd.oci.image.layer.v1.tar"
#define OCI_GZIP     OCI_TAR "+gzip"
#define OCI_INDEX    "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define LAYERS       "\"Layers\":[\"" V1_A "/layer.tar\",\"" V1_B "/layer.tar\"]"
#define TWENTY_GIB   (20ll << 30)

typedef char *make_fn(struct images_fixture *f); /* the path, for the caller to free */

/* --- docker-archives --- */

/* The right archive, with another manifest or config (NULL: the right one). */
static char *docker(struct images_fixture *f, const char *manifest, const char *config)
{
    struct tarball tar = TARBALL_INIT;

    docker_make(&tar, manifest, config);
    return images_save(f, &tar, "image.tar");
}

/* One image over this one layer, with its right DiffID. */
static char *docker_of_layer(struct images_fixture *f, struct tarball *layer)
{
    struct tarball tar = TARBALL_INIT;
    struct blob blob = blob_of(layer->data, layer->len);
    ol_auto_free char *ids = text_of("\"%s\"", blob.digest);
    ol_auto_free char *config = config_of(ids);

    add_layer_file(&tar, V1_A, layer);
    tarball_add_file(&tar, "config.json", config);
    tarball_add_file(&tar, "manifest.json",
                     "[{\"Config\":\"config.json\",\"RepoTags\":[\"x:1\"],\"Layers\":[\"" V1_A
                     "/layer.tar\"]}]");
    tarball_end(&tar);
    tarball_fini(layer);
    return images_save(f, &tar, "image.tar");
}

static char *wrong_diff_id(struct images_fixture *f)
{
    struct parts p;
    ol_auto_free char *ids = NULL;
    ol_auto_free char *config = NULL;

    parts_make(&p);
    ids = text_of("\"%s\",\"" OL_EMPTY_DIFF_ID "\"", p.blob[0].digest);
    config = config_of(ids);
    parts_fini(&p);
    return docker(f, NULL, config);
}

/* The first image is right and has layers of its own. */
static char *wrong_second_image(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *bad = config_of("\"" OL_EMPTY_DIFF_ID "\",\"" OL_EMPTY_DIFF_ID "\"");
    struct parts p;

    parts_make(&p);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    add_layer_file(&tar, V1_B, &p.layer[1]);
    tarball_add_file(&tar, "config.json", p.config);
    tarball_add_file(&tar, "bad.json", bad);
    tarball_add_file(&tar, "manifest.json",
                     "[{\"Config\":\"config.json\",\"RepoTags\":[\"a:1\"]," LAYERS
                     "},{\"Config\":\"bad.json\",\"RepoTags\":[\"b:1\"]," LAYERS "}]");
    tarball_end(&tar);
    parts_fini(&p);
    return images_save(f, &tar, "image.tar");
}

static char *one_name_for_two(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *other = NULL;
    ol_auto_free char *ids = NULL;
    struct parts p;

    parts_make(&p);
    ids = text_of("\"%s\",\"%s\"", p.blob[1].digest, p.blob[0].digest);
    other = config_of(ids);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    add_layer_file(&tar, V1_B, &p.layer[1]);
    tarball_add_file(&tar, "config.json", p.config);
    tarball_add_file(&tar, "other.json", other);
    tarball_add_file(&tar, "manifest.json",
                     "[{\"Config\":\"config.json\",\"RepoTags\":[\"a:1\"]," LAYERS
                     "},{\"Config\":\"other.json\",\"RepoTags\":[\"docker.io/library/a:1\"]," LAYERS
                     "}]");
    tarball_end(&tar);
    parts_fini(&p);
    return images_save(f, &tar, "image.tar");
}

static char *two_manifests(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    struct parts p;

    parts_make(&p);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    add_layer_file(&tar, V1_B, &p.layer[1]);
    tarball_add_file(&tar, "config.json", p.config);
    tarball_add_file(&tar, "manifest.json", p.manifest);
    tarball_add_file(&tar, "./manifest.json", p.manifest);
    tarball_end(&tar);
    parts_fini(&p);
    return images_save(f, &tar, "image.tar");
}

#define IMAGE(config, tags, layers)                                                                \
    "[{\"Config\":\"" config "\",\"RepoTags\":" tags ",\"Layers\":[" layers "]}]"

static char *climbing_config(struct images_fixture *f)
{
    return docker(f, IMAGE("../../etc/passwd", "null", "\"x\",\"y\""), NULL);
}

static char *climbing_layer(struct images_fixture *f)
{
    return docker(f, IMAGE("config.json", "null", "\"../../OUT/layer.tar\",\"y\""), NULL);
}

static char *missing_layer(struct images_fixture *f)
{
    return docker(f, IMAGE("config.json", "null", "\"" V1_A "/layer.tar\",\"gone/layer.tar\""),
                  NULL);
}

static char *too_few_layers(struct images_fixture *f)
{
    return docker(f, IMAGE("config.json", "null", "\"" V1_A "/layer.tar\""), NULL);
}

static char *climbing_name(struct images_fixture *f)
{
    return docker(f, "[{\"Config\":\"config.json\",\"RepoTags\":[\"../../x:1\"]," LAYERS "}]",
                  NULL);
}

static char *upper_case_name(struct images_fixture *f)
{
    return docker(f, "[{\"Config\":\"config.json\",\"RepoTags\":[\"Big:1\"]," LAYERS "}]", NULL);
}

static char *names_that_are_no_list(struct images_fixture *f)
{
    return docker(f, "[{\"Config\":\"config.json\",\"RepoTags\":\"a:1\"," LAYERS "}]", NULL);
}

static char *no_layers(struct images_fixture *f)
{
    return docker(f, IMAGE("config.json", "null", ""), "{\"rootfs\":{\"diff_ids\":[]}}");
}

static char *a_key_twice(struct images_fixture *f)
{
    return docker(f, NULL, "{\"os\":\"linux\",\"os\":\"windows\"}");
}

static char *nested_json(struct images_fixture *f)
{
    char *text = malloc(100001);
    char *path;

    assert_non_null(text);
    memset(text, '[', 100000);
    text[100000] = '\0';
    path = docker(f, text, NULL);
    free(text);
    return path;
}

/* A member that is a link to itself; one that is a link out; one that is a directory. */
static char *with_member(struct images_fixture *f, char type, const char *link)
{
    struct tarball tar = TARBALL_INIT;
    struct parts p;

    parts_make(&p);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    tarball_add(&tar,
                &(struct tarball_entry){.name = V1_B "/layer.tar", .type = type, .link = link});
    tarball_add_file(&tar, "config.json", p.config);
    tarball_add_file(&tar, "manifest.json", p.manifest);
    tarball_end(&tar);
    parts_fini(&p);
    return images_save(f, &tar, "image.tar");
}

static char *link_cycle(struct images_fixture *f)
{
    return with_member(f, '2', "layer.tar");
}

static char *link_out(struct images_fixture *f)
{
    return with_member(f, '2', "../../../etc/passwd");
}

static char *directory_for_a_layer(struct images_fixture *f)
{
    return with_member(f, '5', NULL);
}

static char *fifo_for_a_layer(struct images_fixture *f)
{
    return with_member(f, '6', NULL);
}

/* --- Sizes and ends --- */

/* A manifest.json that claims to be this long, in a file that ends soon, or is as long, with holes.
 */
static char *huge_manifest(struct images_fixture *f, bool whole)
{
    struct tarball tar = TARBALL_INIT;
    char *path;

    tarball_add(&tar,
                &(struct tarball_entry){.name = "manifest.json", .type = '0', .size = TWENTY_GIB});
    path = images_save(f, &tar, "image.tar");
    if (whole)
        assert_int_equal(truncate(path, TWENTY_GIB + 2048), 0);
    return path;
}

static char *huge_manifest_declared(struct images_fixture *f)
{
    return huge_manifest(f, false);
}

static char *huge_manifest_with_holes(struct images_fixture *f)
{
    return huge_manifest(f, true);
}

static char *cut(struct images_fixture *f, off_t bytes)
{
    char *path = docker(f, NULL, NULL);

    assert_int_equal(truncate(path, bytes), 0);
    return path;
}

static char *cut_in_a_layer(struct images_fixture *f)
{
    return cut(f, 1600);
}

static char *cut_in_a_header(struct images_fixture *f)
{
    return cut(f, 700);
}

/* The layer as the config knows it, but its archive ends early. */
static char *truncated_layer(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    tarball_add_bytes(&layer, "file", NULL, 4096);
    tarball_cut(&layer, 1000);
    return docker_of_layer(f, &layer);
}

static char *truncated_compression(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    make_layer(&layer, "file");
    tarball_compress(&layer, TARBALL_GZIP);
    tarball_cut(&layer, 12);
    return docker_of_layer(f, &layer);
}

static char *truncated_as_a_whole(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    struct parts p;

    parts_make(&p);
    tarball_add_file(&tar, "manifest.json", p.manifest);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    tarball_compress(&tar, TARBALL_GZIP);
    tarball_cut(&tar, 30);
    parts_fini(&p);
    return images_save(f, &tar, "image.tar.gz");
}

static char *escaping_layer(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    tarball_add_file(&layer, "../escape", "payload");
    tarball_end(&layer);
    return docker_of_layer(f, &layer);
}

/* --- OCI layouts --- */

/* Bytes of a layout in a tar changed after their digests were taken. */
struct damage {
    bool config, manifest, layer, layer_size;
    const char *type; /* of the layers */
    const char *index;
};

static char *oci(struct images_fixture *f, const struct damage *d)
{
    struct tarball tar = TARBALL_INIT;
    struct layout l;
    struct parts p;

    parts_make(&p);
    for (int i = 0; i < 2; i++) {
        tarball_compress(&p.layer[i], TARBALL_GZIP);
        p.blob[i] = blob_of(p.layer[i].data, p.layer[i].len);
    }
    if (d->layer_size)
        p.blob[1].len++;
    layout_make(&l, &p, d->type != NULL ? d->type : OCI_GZIP);
    if (d->layer) /* the time in the gzip header: the content stays what the config promises */
        p.layer[1].data[4] ^= 1;
    if (d->config)
        p.config[3] ^= 1;
    if (d->manifest)
        l.manifest[20] ^= 1;
    if (d->index != NULL) {
        free(l.index);
        l.index = text_of("%s", d->index);
    }
    add_layout(&tar, &p, &l);
    tarball_end(&tar);
    layout_fini(&l);
    parts_fini(&p);
    return images_save(f, &tar, "oci.tar");
}

static char *wrong_blob(struct images_fixture *f)
{
    return oci(f, &(struct damage){.layer = true});
}

static char *wrong_blob_size(struct images_fixture *f)
{
    return oci(f, &(struct damage){.layer_size = true});
}

static char *wrong_config(struct images_fixture *f)
{
    return oci(f, &(struct damage){.config = true});
}

static char *wrong_manifest(struct images_fixture *f)
{
    return oci(f, &(struct damage){.manifest = true});
}

static char *foreign_layers(struct images_fixture *f)
{
    return oci(f,
               &(struct damage){.type = "application/vnd.oci.image.layer.nondistributable.v1.tar"});
}

static char *unknown_layers(struct images_fixture *f)
{
    return oci(f, &(struct damage){.type = "application/vnd.erofs.layer.v1"});
}

static char *climbing_digest(struct images_fixture *f)
{
    return oci(f, &(struct damage){.index = "{\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
                                            "\",\"digest\":\"sha256:../../../OUT\",\"size\":1}]}"});
}

/* A digest cannot hold itself, so a cycle of indexes can only be a long chain. */
static char *chain_of_indexes(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    char *text = text_of("{\"manifests\":[]}");

    for (int i = 0; i < 6; i++) {
        struct blob blob = blob_of(text, strlen(text));
        tarball_add_file(&tar, blob.path, text);
        free(text);
        text = text_of("{\"manifests\":[{\"mediaType\":\"" OCI_INDEX
                       "\",\"digest\":\"%s\",\"size\":%zu}]}",
                       blob.digest, blob.len);
    }
    tarball_add_file(&tar, "index.json", text);
    tarball_add_file(&tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    tarball_end(&tar);
    free(text);
    return images_save(f, &tar, "oci.tar");
}

/* --- OCI layouts in directories --- */

static char *layout_dir(struct images_fixture *f)
{
    test_mkdir(f->dir.fd, "layout", 0755);
    test_write(f->dir.fd, "layout/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    return text_of("%s/layout", f->dir.path);
}

static char *huge_index(struct images_fixture *f)
{
    char *path = layout_dir(f);
    ol_auto_free char *index = text_of("%s/index.json", path);

    test_write(f->dir.fd, "layout/index.json", "{");
    assert_int_equal(truncate(index, TWENTY_GIB), 0);
    return path;
}

static char *directory_for_the_index(struct images_fixture *f)
{
    char *path = layout_dir(f);

    test_mkdir(f->dir.fd, "layout/index.json", 0755);
    return path;
}

static char *fifo_for_the_index(struct images_fixture *f)
{
    char *path = layout_dir(f);
    ol_auto_free char *index = text_of("%s/index.json", path);

    assert_int_equal(mkfifo(index, 0600), 0);
    return path;
}

#define EMPTY_HEX "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

static char *file_for_the_blobs(struct images_fixture *f)
{
    char *path = layout_dir(f);

    test_write(f->dir.fd, "layout/index.json",
               "{\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"" OL_EMPTY_DIFF_ID
               "\",\"size\":1024}]}");
    test_write(f->dir.fd, "layout/blobs", "not a directory");
    return path;
}

static const struct {
    const char *name;
    make_fn *make;
    int want;
    const char *told; /* part of the message: the culprit */
} cases[] = {
#define CASE(make, want, told)                                                                     \
    {                                                                                              \
#make, make, want, told                                                                    \
    }
    CASE(wrong_diff_id, -EBADMSG, OL_EMPTY_DIFF_ID),
    CASE(wrong_second_image, -EBADMSG, OL_EMPTY_DIFF_ID),
    CASE(one_name_for_two, -EBADMSG, "'a:1'"),
    CASE(two_manifests, -EBADMSG, "'manifest.json'"),
    CASE(climbing_config, -EXDEV, "'../../etc/passwd'"),
    CASE(climbing_layer, -EXDEV, "'../../OUT/layer.tar'"),
    CASE(missing_layer, -ENOENT, "'gone/layer.tar'"),
    CASE(too_few_layers, -EBADMSG, "lists 1 layers, the config 2"),
    CASE(climbing_name, -EINVAL, "'../../x:1'"),
    CASE(upper_case_name, -EINVAL, "'Big:1'"),
    CASE(names_that_are_no_list, -EBADMSG, "RepoTags"),
    CASE(no_layers, -EBADMSG, "no layers"),
    CASE(a_key_twice, -EBADMSG, "duplicate"),
    CASE(nested_json, -EBADMSG, "'manifest.json'"),
    CASE(link_cycle, -ELOOP, V1_B),
    CASE(link_out, -EXDEV, "'../../../etc/passwd'"),
    CASE(directory_for_a_layer, -ENOENT, V1_B),
    CASE(fifo_for_a_layer, -ENOENT, V1_B),
    CASE(huge_manifest_declared, -EBADMSG, "truncated"),
    CASE(huge_manifest_with_holes, -E2BIG, "'manifest.json'"),
    CASE(cut_in_a_layer, -EBADMSG, "truncated"),
    CASE(cut_in_a_header, -EBADMSG, "truncated"),
    CASE(truncated_layer, -EBADMSG, "layer 0"),
    CASE(truncated_compression, -EBADMSG, "layer 0"),
    CASE(truncated_as_a_whole, -EBADMSG, "image.tar.gz"),
    CASE(escaping_layer, -EXDEV, "'../escape'"),
    CASE(wrong_blob, -EBADMSG, "blob 'sha256:"),
    CASE(wrong_blob_size, -EBADMSG, "layer 1"),
    CASE(wrong_config, -EBADMSG, "blob 'sha256:"),
    CASE(wrong_manifest, -EBADMSG, "blob 'sha256:"),
    CASE(foreign_layers, -ENOTSUP, "foreign"),
    CASE(unknown_layers, -ENOTSUP, "'application/vnd.erofs.layer.v1'"),
    CASE(climbing_digest, -EBADMSG, "'sha256:../../../OUT'"),
    CASE(chain_of_indexes, -E2BIG, "indexes inside each other"),
    CASE(huge_index, -E2BIG, "'index.json'"),
    CASE(directory_for_the_index, -EINVAL, "'index.json'"),
    CASE(fifo_for_the_index, -EINVAL, "'index.json'"),
    CASE(file_for_the_blobs, -ENOTDIR, EMPTY_HEX),
};

/* Nothing but the directories every store has. */
static void assert_nothing_stored(struct images_fixture *f)
{
    ol_auto_dir DIR *dir = opendir(f->dir_path);
    const struct dirent *entry;

    images_assert_holds(f, 0, 0);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "imagedb") != 0 &&
            strcmp(entry->d_name, "layerdb") != 0)
            fail_msg("'%s' was left in the store", entry->d_name);
    }
}

static void import__refuses_hostile_images_by_name(void **state)
{
    static const struct ol_import_options options = {0};

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        void *fixture = NULL;
        assert_int_equal(images_setup(&fixture), 0);
        ol_auto_free char *path = cases[i].make(fixture);
        int r = ol_images_import(((struct images_fixture *)fixture)->images, path, &options, NULL,
                                 NULL, &err);
        if (r != cases[i].want || strstr(ol_error_text(&err), cases[i].told) == NULL)
            fail_msg("%s: %d, not %d naming %s: %s", cases[i].name, r, cases[i].want, cases[i].told,
                     ol_error_text(&err));
        assert_message(&err, path); /* users must learn which file */
        assert_null(strchr(err.message, '\n'));
        assert_nothing_stored(fixture);
        (void)images_teardown(&fixture);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(import__refuses_hostile_images_by_name),
    };

    return cmocka_run_group_tests_name("import_hostile", tests, NULL, NULL);
}
