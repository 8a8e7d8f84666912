/* SPDX-License-Identifier: Apache-2.0 */
/* Importing hostile layers, OCI layouts and what is no image: a table, one function each. */
#include "hostile.h"
#include "image_builder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OCI_TAR      "application/vnd.oci.image.layer.v1.tar"
#define OCI_GZIP     OCI_TAR "+gzip"
#define OCI_INDEX    "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define TWENTY_GIB   (20ll << 30)

/* --- Layers --- */

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

static char *truncated_xz(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    make_layer(&layer, "file");
    tarball_compress(&layer, TARBALL_XZ);
    tarball_cut(&layer, 20);
    return docker_of_layer(f, &layer);
}

static char *damaged_zstd(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    make_layer(&layer, "file");
    tarball_compress(&layer, TARBALL_ZSTD);
    memset(layer.data + layer.len / 2, 0xff, 16);
    return docker_of_layer(f, &layer);
}

static char *huge_header(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    tarball_add(&layer, &(struct tarball_entry){.name = "x", .type = 'x', .size = 4ll << 30});
    tarball_end(&layer);
    return docker_of_layer(f, &layer);
}

static char *symlink_for_the_root(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    tarball_add_symlink(&layer, ".", "/etc");
    tarball_end(&layer);
    return docker_of_layer(f, &layer);
}

static char *climbing_whiteout(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    tarball_add_file(&layer, "a/b/.wh...", "");
    tarball_end(&layer);
    return docker_of_layer(f, &layer);
}

static char *owner_past_32_bits(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    tarball_add(&layer, &(struct tarball_entry){
                            .name = "owned", .type = '0', .mode = TARBALL_UNSET, .uid = 1ll << 32});
    tarball_end(&layer);
    return docker_of_layer(f, &layer);
}

static char *link_to_nothing(struct images_fixture *f)
{
    struct tarball layer = TARBALL_INIT;

    tarball_add_hardlink(&layer, "link", "../../etc/passwd");
    tarball_end(&layer);
    return docker_of_layer(f, &layer);
}

/* --- What is no image --- */

static char *plain_file(struct images_fixture *f, const char *text)
{
    test_write(f->dir.fd, "file", text);
    return text_of("%s/file", f->dir.path);
}

static char *empty_file(struct images_fixture *f)
{
    return plain_file(f, "");
}

static char *any_text(struct images_fixture *f)
{
    return plain_file(f, "this is no archive at all, and a bit longer than a header's magic");
}

static char *fifo(struct images_fixture *f)
{
    char *path = text_of("%s/fifo", f->dir.path);

    assert_int_equal(mkfifo(path, 0600), 0);
    return path;
}

static char *escaping_root_file_system(struct images_fixture *f)
{
    struct tarball tar = TARBALL_INIT;

    tarball_add_dir(&tar, "etc/");
    tarball_add_file(&tar, "../escape", "payload");
    tarball_end(&tar);
    return images_save(f, &tar, "root.tar");
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

static char *no_manifests(struct images_fixture *f)
{
    return oci(f, &(struct damage){.index = "{\"schemaVersion\":2}"});
}

static char *nothing_in_the_index(struct images_fixture *f)
{
    return oci(f, &(struct damage){.index = "{\"manifests\":[]}"});
}

static char *missing_blob(struct images_fixture *f)
{
    return oci(f, &(struct damage){.index = "{\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
                                            "\",\"digest\":\"" OL_EMPTY_DIFF_ID
                                            "\",\"size\":1024}]}"});
}

static char *another_algorithm(struct images_fixture *f)
{
    return oci(f, &(struct damage){.index = "{\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST
                                            "\",\"digest\":\"md5:d41d8cd98f00b204e9800998ecf8427e"
                                            "\",\"size\":1}]}"});
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

#define EMPTY_IMAGE                                                                                \
    "{\"manifests\":[{\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"" OL_EMPTY_DIFF_ID           \
    "\",\"size\":1024}]}"

static char *file_for_the_blobs(struct images_fixture *f)
{
    char *path = layout_dir(f);

    test_write(f->dir.fd, "layout/index.json", EMPTY_IMAGE);
    test_write(f->dir.fd, "layout/blobs", "not a directory");
    return path;
}

static char *another_layout_version(struct images_fixture *f)
{
    char *path = layout_dir(f);

    test_write(f->dir.fd, "layout/index.json", "{\"manifests\":[]}");
    assert_int_equal(unlinkat(f->dir.fd, "layout/oci-layout", 0), 0);
    test_write(f->dir.fd, "layout/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
    return path;
}

static char *link_out_for_the_index(struct images_fixture *f)
{
    char *path = layout_dir(f);

    test_symlink(f->dir.fd, "/etc/passwd", "layout/index.json");
    return path;
}

static char *link_out_for_the_blobs(struct images_fixture *f)
{
    char *path = layout_dir(f);

    test_write(f->dir.fd, "layout/index.json", EMPTY_IMAGE);
    test_symlink(f->dir.fd, "../outside", "layout/blobs");
    test_mkdir(f->dir.fd, "outside", 0755);
    test_mkdir(f->dir.fd, "outside/sha256", 0755);
    test_write(f->dir.fd, "outside/sha256/" EMPTY_HEX, "{}");
    return path;
}

static char *directory_for_a_blob(struct images_fixture *f)
{
    char *path = layout_dir(f);

    test_write(f->dir.fd, "layout/index.json", EMPTY_IMAGE);
    test_mkdir(f->dir.fd, "layout/blobs", 0755);
    test_mkdir(f->dir.fd, "layout/blobs/sha256", 0755);
    test_mkdir(f->dir.fd, "layout/blobs/sha256/" EMPTY_HEX, 0755);
    return path;
}

static const struct hostile cases[] = {
    HOSTILE(truncated_layer, -EBADMSG, "layer 0"),
    HOSTILE(truncated_compression, -EBADMSG, "layer 0"),
    HOSTILE(truncated_as_a_whole, -EBADMSG, "image.tar.gz"),
    HOSTILE(escaping_layer, -EXDEV, "'../escape'"),
    HOSTILE(wrong_blob, -EBADMSG, "blob 'sha256:"),
    HOSTILE(wrong_blob_size, -EBADMSG, "layer 1"),
    HOSTILE(wrong_config, -EBADMSG, "blob 'sha256:"),
    HOSTILE(wrong_manifest, -EBADMSG, "blob 'sha256:"),
    HOSTILE(foreign_layers, -ENOTSUP, "foreign"),
    HOSTILE(unknown_layers, -ENOTSUP, "'application/vnd.erofs.layer.v1'"),
    HOSTILE(climbing_digest, -EBADMSG, "'sha256:../../../OUT'"),
    HOSTILE(chain_of_indexes, -E2BIG, "indexes inside each other"),
    HOSTILE(huge_index, -E2BIG, "'index.json'"),
    HOSTILE(directory_for_the_index, -EINVAL, "'index.json'"),
    HOSTILE(fifo_for_the_index, -EINVAL, "'index.json'"),
    HOSTILE(file_for_the_blobs, -ENOTDIR, EMPTY_HEX),
    HOSTILE(truncated_xz, -EBADMSG, "truncated xz data"),
    HOSTILE(damaged_zstd, -EBADMSG, "corrupt zstd data"),
    HOSTILE(huge_header, -EBADMSG, "header too large"),
    HOSTILE(symlink_for_the_root, -EINVAL, "'.' is the layer's root"),
    HOSTILE(climbing_whiteout, -EINVAL, "'a/b/.wh...'"),
    HOSTILE(owner_past_32_bits, -EINVAL, "4294967296 of 'owned'"),
    HOSTILE(link_to_nothing, -EXDEV, "'link' -> '../../etc/passwd'"),
    HOSTILE(empty_file, -EBADMSG, "the file is empty"),
    HOSTILE(any_text, -EBADMSG, "truncated"),
    HOSTILE(fifo, -EINVAL, "neither a file nor a directory"),
    HOSTILE(escaping_root_file_system, -EXDEV, "'../escape'"),
    HOSTILE(no_manifests, -EBADMSG, "no array 'manifests'"),
    HOSTILE(nothing_in_the_index, -EBADMSG, "lists no image"),
    HOSTILE(missing_blob, -ENOENT, "blobs/sha256/" EMPTY_HEX),
    HOSTILE(another_algorithm, -EBADMSG, "'md5:d41d8cd98f00b204e9800998ecf8427e'"),
    HOSTILE(another_layout_version, -ENOTSUP, "'2.0.0'"),
    HOSTILE(link_out_for_the_index, -ENOENT, "'index.json'"),
    HOSTILE(link_out_for_the_blobs, -ENOENT, EMPTY_HEX),
    HOSTILE(directory_for_a_blob, -EINVAL, EMPTY_HEX),
};

static void import__refuses_hostile_layers_and_layouts_by_name(void **state)
{
    (void)state;
    hostile_refused(cases, OL_ARRAY_LEN(cases));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(import__refuses_hostile_layers_and_layouts_by_name),
    };

    return cmocka_run_group_tests_name("import_hostile_layers", tests, NULL, NULL);
}
