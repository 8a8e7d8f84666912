/* SPDX-License-Identifier: Apache-2.0 */
/* Importing docker-archives that are malformed or hostile: a table of archives, one function each.
 */
#include "hostile.h"
#include "image_builder.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAYERS     "\"Layers\":[\"" V1_A "/layer.tar\",\"" V1_B "/layer.tar\"]"
#define TWENTY_GIB (20ll << 30)

/* --- docker-archives --- */

/* The right archive, with another manifest or config (NULL: the right one). */
static char *docker(struct images_fixture *f, const char *manifest, const char *config)
{
    struct tarball tar = TARBALL_INIT;

    docker_make(&tar, manifest, config);
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

static char *no_object(struct images_fixture *f)
{
    return docker(f, "[null]", NULL);
}

static char *no_list(struct images_fixture *f)
{
    return docker(f, "{\"Config\":\"config.json\"}", NULL);
}

static char *empty_list(struct images_fixture *f)
{
    return docker(f, "[]", NULL);
}

static char *null_config(struct images_fixture *f)
{
    return docker(f, "[{\"Config\":null,\"RepoTags\":null,\"Layers\":null}]", NULL);
}

static char *null_layers(struct images_fixture *f)
{
    return docker(f, "[{\"Config\":\"config.json\",\"RepoTags\":null,\"Layers\":null}]", NULL);
}

static char *layers_that_are_no_text(struct images_fixture *f)
{
    return docker(f, IMAGE("config.json", "null", "1,{}"), NULL);
}

static char *text_behind_the_manifest(struct images_fixture *f)
{
    return docker(f, "[{\"Config\":\"config.json\"," LAYERS "}] []", NULL);
}

static char *missing_config(struct images_fixture *f)
{
    return docker(f, IMAGE("gone.json", "null", "\"x\",\"y\""), NULL);
}

static char *directory_for_the_config(struct images_fixture *f)
{
    return docker(f, IMAGE(V1_A, "null", "\"x\",\"y\""), NULL);
}

static char *wrong_config_digest(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    struct parts p;

    parts_make(&p);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    add_layer_file(&tar, V1_B, &p.layer[1]);
    tarball_add_file(&tar, "blobs/sha256/" V1_A, p.config);
    tarball_add_file(&tar, "manifest.json", "[{\"Config\":\"blobs/sha256/" V1_A "\"," LAYERS "}]");
    tarball_end(&tar);
    parts_fini(&p);
    return images_save(f, &tar, "image.tar");
}

static char *absolute_layer(struct images_fixture *f)
{
    return docker(f, IMAGE("config.json", "null", "\"/../etc/passwd\",\"y\""), NULL);
}

/* One file for two layers that are not the same. */
static char *one_file_for_two_layers(struct images_fixture *f)
{
    return docker(f, IMAGE("config.json", "null", "\"" V1_A "/layer.tar\",\"" V1_A "/layer.tar\""),
                  NULL);
}

static char *null_rootfs(struct images_fixture *f)
{
    return docker(f, NULL, "{\"os\":\"linux\",\"rootfs\":null}");
}

static char *config_that_is_no_object(struct images_fixture *f)
{
    return docker(f, NULL, "null");
}

static char *windows(struct images_fixture *f)
{
    return docker(f, NULL,
                  "{\"os\":\"windows\",\"rootfs\":{\"diff_ids\":[\"" OL_EMPTY_DIFF_ID "\"]}}");
}

static char *diff_ids_that_climb(struct images_fixture *f)
{
    ol_auto_free char *config = config_of("\"sha256:../../OUT\",\"" OL_EMPTY_DIFF_ID "\"");

    return docker(f, NULL, config);
}

static char *diff_ids_of_another_kind(struct images_fixture *f)
{
    ol_auto_free char *config = config_of("\"md5:d41d8cd98f00b204e9800998ecf8427e\",\"x\"");

    return docker(f, NULL, config);
}

static char *more_history_than_layers(struct images_fixture *f)
{
    return docker(f, NULL,
                  "{\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"" OL_EMPTY_DIFF_ID
                  "\"]},\"history\":[{},{}]}");
}

static char *too_many_layers(struct images_fixture *f)
{
    char *ids = text_of("\"" OL_EMPTY_DIFF_ID "\"");
    ol_auto_free char *config = NULL;

    for (int i = 0; i < 500; i++) {
        char *more = text_of("%s,\"" OL_EMPTY_DIFF_ID "\"", ids);
        free(ids);
        ids = more;
    }
    config = config_of(ids);
    free(ids);
    return docker(f, NULL, config);
}

/* Docker's first archives: no manifest.json. */
static char *no_manifest(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;
    struct parts p;

    parts_make(&p);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    tarball_add_file(&tar, V1_A "/json", "{\"id\":\"" V1_A "\"}");
    tarball_add_file(&tar, "repositories", "{\"x\":{\"1\":\"" V1_A "\"}}");
    tarball_end(&tar);
    parts_fini(&p);
    return images_save(f, &tar, "image.tar");
}

/* --- Parents --- */

/* Two images of the same layers, the second made from the first; or each from the other. */
static char *two_images(struct images_fixture *f, const char *history, bool circle)
{
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *manifest = NULL;
    char ids[2][OL_DIGEST_SIZE];
    struct parts p;

    parts_make(&p);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    add_layer_file(&tar, V1_B, &p.layer[1]);
    for (int i = 0; i < 2; i++) {
        ol_auto_free char *config = text_of("{\"author\":\"%d\",%s\"os\":\"linux\",\"rootfs\":"
                                            "{\"diff_ids\":[\"%s\",\"%s\"]}}",
                                            i, history, p.blob[0].digest, p.blob[1].digest);
        memcpy(ids[i], blob_of(config, strlen(config)).digest, OL_DIGEST_SIZE);
        tarball_add_file(&tar, i == 0 ? "a.json" : "b.json", config);
    }
    manifest = text_of("[{\"Config\":\"a.json\",\"Parent\":\"%s\"," LAYERS
                       "},{\"Config\":\"b.json\",\"Parent\":\"%s\"," LAYERS "}]",
                       circle ? ids[1] : "", ids[0]);
    tarball_add_file(&tar, "manifest.json", manifest);
    tarball_end(&tar);
    parts_fini(&p);
    return images_save(f, &tar, "image.tar");
}

static char *parents_of_each_other(struct images_fixture *f)
{
    return two_images(f, "", true);
}

static char *parent_with_another_history(struct images_fixture *f)
{
    return two_images(f, "\"history\":[{\"created_by\":\"x\"}],", false);
}

static char *parent_that_is_no_text(struct images_fixture *f)
{
    return docker(f, "[{\"Config\":\"config.json\",\"Parent\":[]," LAYERS "}]", NULL);
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

static char *hard_link_out(struct images_fixture *f)
{
    return with_member(f, '1', "../../../etc/passwd");
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

static const struct hostile cases[] = {
    HOSTILE(wrong_diff_id, -EBADMSG, OL_EMPTY_DIFF_ID),
    HOSTILE(wrong_second_image, -EBADMSG, OL_EMPTY_DIFF_ID),
    HOSTILE(one_name_for_two, -EBADMSG, "'a:1'"),
    HOSTILE(two_manifests, -EBADMSG, "'manifest.json'"),
    HOSTILE(climbing_config, -EXDEV, "'../../etc/passwd'"),
    HOSTILE(climbing_layer, -EXDEV, "'../../OUT/layer.tar'"),
    HOSTILE(missing_layer, -ENOENT, "'gone/layer.tar'"),
    HOSTILE(too_few_layers, -EBADMSG, "lists 1 layers, the config 2"),
    HOSTILE(climbing_name, -EINVAL, "'../../x:1'"),
    HOSTILE(upper_case_name, -EINVAL, "'Big:1'"),
    HOSTILE(names_that_are_no_list, -EBADMSG, "RepoTags"),
    HOSTILE(no_layers, -EBADMSG, "no layers"),
    HOSTILE(a_key_twice, -EBADMSG, "duplicate"),
    HOSTILE(nested_json, -EBADMSG, "'manifest.json'"),
    HOSTILE(link_cycle, -ELOOP, V1_B),
    HOSTILE(link_out, -EXDEV, "'../../../etc/passwd'"),
    HOSTILE(directory_for_a_layer, -ENOENT, V1_B),
    HOSTILE(fifo_for_a_layer, -ENOENT, V1_B),
    HOSTILE(huge_manifest_declared, -EBADMSG, "truncated"),
    HOSTILE(huge_manifest_with_holes, -E2BIG, "'manifest.json'"),
    HOSTILE(cut_in_a_layer, -EBADMSG, "truncated"),
    HOSTILE(cut_in_a_header, -EBADMSG, "truncated"),
    HOSTILE(no_object, -EBADMSG, "'manifest.json' lists something that is no image"),
    HOSTILE(no_list, -EBADMSG, "'manifest.json' lists no image"),
    HOSTILE(empty_list, -EBADMSG, "'manifest.json' lists no image"),
    HOSTILE(null_config, -EBADMSG, "'manifest.json' names no Config"),
    HOSTILE(null_layers, -EBADMSG, "no array 'Layers'"),
    HOSTILE(layers_that_are_no_text, -EBADMSG, "Layers[0]"),
    HOSTILE(text_behind_the_manifest, -EBADMSG, "'manifest.json' is not valid JSON"),
    HOSTILE(missing_config, -ENOENT, "'gone.json'"),
    HOSTILE(directory_for_the_config, -ENOENT, "no member '" V1_A "'"),
    HOSTILE(wrong_config_digest, -EBADMSG, "config 'blobs/sha256/" V1_A "' has the digest"),
    HOSTILE(absolute_layer, -EXDEV, "layer 0: '/../etc/passwd'"),
    HOSTILE(one_file_for_two_layers, -EBADMSG, "layer 1: the layer's content has DiffID"),
    HOSTILE(null_rootfs, -EBADMSG, "rootfs has no array 'diff_ids'"),
    HOSTILE(config_that_is_no_object, -EBADMSG, "'config' is not valid JSON"),
    HOSTILE(windows, -ENOTSUP, "'windows'"),
    HOSTILE(diff_ids_that_climb, -EBADMSG, "'sha256:../../OUT'"),
    HOSTILE(diff_ids_of_another_kind, -EBADMSG, "'md5:d41d8cd98f00b204e9800998ecf8427e'"),
    HOSTILE(more_history_than_layers, -EBADMSG, "history tells of 2 layers, it has 1"),
    HOSTILE(too_many_layers, -E2BIG, "501 layers"),
    HOSTILE(no_manifest, -EBADMSG, "neither manifest.json nor oci-layout"),
    HOSTILE(parents_of_each_other, -EBADMSG, "would be its own ancestor"),
    HOSTILE(parent_with_another_history, -EBADMSG, "its history is another"),
    HOSTILE(parent_that_is_no_text, -EBADMSG, "Parent is no string"),
    HOSTILE(hard_link_out, -EXDEV, "'../../../etc/passwd'"),
};

static void import__refuses_hostile_docker_archives_by_name(void **state)
{
    (void)state;
    hostile_refused(cases, OL_ARRAY_LEN(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(import__refuses_hostile_docker_archives_by_name),
    };

    return cmocka_run_group_tests_name("import_hostile", tests, NULL, NULL);
}
