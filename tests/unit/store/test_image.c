/* SPDX-License-Identifier: Apache-2.0 */
/* store/image*.c: what a path holds is told by content, and hostile images are refused in words. */
#include "image_builder.h"
#include "support/support.h"
#include "support/tarball.h"

#include "common/layer/layer.h"
#include "store/image.h"
#include "store/image_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

struct fixture {
    struct test_dir dir;
};

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);

    test_dir_make(&f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

/* --- Making images --- */

/* Write the archive into the test's directory and return its path, owned by the caller. */
static char *save(struct fixture *f, struct tarball *tar, const char *name)
{
    ol_auto_fd int fd = openat(f->dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, tar->data, tar->len), tar->len);
    tarball_fini(tar);
    return text_of("%s/%s", f->dir.path, name);
}

/* With another manifest or config (NULL: the right one). */
static char *docker_archive(struct fixture *f, const char *manifest, const char *config)
{
    struct tarball tar = TARBALL_INIT;

    docker_make(&tar, manifest, config);
    return save(f, &tar, "image.tar");
}

/* --- Reading them --- */

static int count_file(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    (void)err;
    if (entry->type == OL_ENTRY_FILE)
        (void)snprintf(data, 64, "%s", entry->path);
    return 0;
}

/* The last file of the layer has this name. */
static void assert_layer_file(const struct ol_image *image, size_t index, const char *file)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image_stream stream;
    char last[64] = "";

    assert_ok(ol_image_layer_open(image, index, &stream, &err), &err);
    assert_ok(ol_layer_scan(&stream.input, NULL, count_file, last, NULL, &err), &err);
    assert_ok(ol_image_layer_close(&stream, &err), &err);
    assert_string_equal(last, file);
}

/* And the layer's bytes are these. */
static void assert_layer(const struct ol_image *image, size_t index, const char *diff_id,
                         const char *file)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image_stream stream;
    char digest[OL_DIGEST_SIZE];

    assert_ok(ol_image_layer_open(image, index, &stream, &err), &err);
    assert_ok(ol_layer_decompress(&stream.input, -1, NULL, digest, &err), &err);
    assert_ok(ol_image_layer_close(&stream, &err), &err);
    assert_string_equal(digest, diff_id);
    assert_layer_file(image, index, file);
}

static struct ol_image *open_image(struct fixture *f, const char *path)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image *image = NULL;

    assert_ok(ol_image_open(path, f->dir.path, &image, &err), &err);
    return image;
}

/* The two layers of parts_make(). */
static void assert_image(struct fixture *f, const char *path, enum ol_image_format format)
{
    struct ol_image *image = open_image(f, path);
    struct parts p;

    parts_make(&p);
    assert_int_equal(ol_image_format_of(image), format);
    assert_int_equal(ol_image_layer_count(image), 2);
    assert_string_equal(ol_image_id(image), p.config_blob.digest);
    assert_string_equal(ol_image_source(image), path);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(ol_image_layer_diff_id(image, i), p.blob[i].digest);
    for (int round = 0; round < 2; round++) { /* layers can be read again, in any order */
        assert_layer(image, 1, p.blob[1].digest, "d/two");
        assert_layer(image, 0, p.blob[0].digest, "d/one");
    }
    ol_image_free(image);
    parts_fini(&p);
}

static void refuse(struct fixture *f, char *path, int want, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *owned = path;
    struct ol_image *image = NULL;

    assert_int_equal(ol_image_open(owned, f->dir.path, &image, &err), want);
    assert_message(&err, text);
    assert_message(&err, owned); /* users must learn which image */
    assert_null(strchr(err.message, '\n'));
}

/* --- Formats --- */

static void image__reads_an_old_docker_archive(void **state)
{
    ol_auto_free char *path = docker_archive(*state, NULL, NULL);

    assert_image(*state, path, OL_IMAGE_DOCKER_ARCHIVE);
}

static void image__reads_compressed_archives(void **state)
{
    static const enum tarball_codec codecs[] = {TARBALL_GZIP, TARBALL_ZSTD, TARBALL_XZ,
                                                TARBALL_BZIP2};
    struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(codecs); i++) {
        ol_auto_free char *plain = docker_archive(f, NULL, NULL);
        ol_auto_free char *data = test_read(f->dir.fd, "image.tar");
        ol_auto_free char *path = NULL;
        struct tarball tar = TARBALL_INIT;
        struct stat st;
        assert_int_equal(stat(plain, &st), 0);
        tarball_raw(&tar, data, (size_t)st.st_size);
        tarball_compress(&tar, codecs[i]);
        path = save(f, &tar, "image.tar.z");
        assert_image(f, path, OL_IMAGE_DOCKER_ARCHIVE);
    }
}

static void image__follows_symlinked_layers(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;
    struct ol_image *image;
    struct parts p;
    ol_auto_free char *path = NULL;
    ol_auto_free char *ids = NULL;
    ol_auto_free char *config = NULL;
    ol_auto_free char *link = text_of("%s/layer.tar", V1_B);
    ol_auto_free char *target = text_of("../%s/layer.tar", V1_A);

    parts_make(&p);
    ids = text_of("\"%s\",\"%s\"", p.blob[0].digest, p.blob[0].digest);
    config = config_of(ids);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    tarball_add_symlink(&tar, link, target);
    tarball_add_file(&tar, "config.json", config);
    tarball_add_file(&tar, "manifest.json", p.manifest);
    tarball_end(&tar);
    path = save(f, &tar, "image.tar");
    image = open_image(f, path);
    assert_layer(image, 0, p.blob[0].digest, "d/one");
    assert_layer(image, 1, p.blob[0].digest, "d/one");
    ol_image_free(image);
    parts_fini(&p);
}

#define OCI_TAR "application/vnd.oci.image.layer.v1.tar"

static char *oci_archive(struct fixture *f, const char *layer_type, const char *index)
{
    struct tarball tar = TARBALL_INIT;
    struct layout l;
    struct parts p;

    parts_make(&p);
    layout_make(&l, &p, layer_type);
    if (index != NULL) {
        free(l.index);
        l.index = strdup(index);
    }
    add_layout(&tar, &p, &l);
    tarball_end(&tar);
    layout_fini(&l);
    parts_fini(&p);
    return save(f, &tar, "oci.tar");
}

static void image__reads_an_oci_layout_in_a_tar(void **state)
{
    ol_auto_free char *path = oci_archive(*state, OCI_TAR, NULL);

    assert_image(*state, path, OL_IMAGE_OCI_LAYOUT);
}

static void image__reads_a_new_docker_archive(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;
    struct layout l;
    struct parts p;
    ol_auto_free char *path = NULL;

    parts_make(&p);
    layout_make(&l, &p, OCI_TAR);
    add_layout(&tar, &p, &l);
    tarball_add_file(&tar, "manifest.json", l.docker);
    tarball_end(&tar);
    path = save(f, &tar, "image.tar");
    assert_image(f, path, OL_IMAGE_DOCKER_ARCHIVE);
    layout_fini(&l);
    parts_fini(&p);
}

static void write_bytes(int dir_fd, const char *path, const void *data, size_t len)
{
    ol_auto_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
}

/* Lay the layout out below "layout" and return its path. */
static char *oci_dir(struct fixture *f, struct parts *p)
{
    struct layout l;
    ol_auto_fd int fd = -1;

    parts_make(p);
    layout_make(&l, p, OCI_TAR);
    test_mkdir(f->dir.fd, "layout", 0755);
    test_mkdir(f->dir.fd, "layout/blobs", 0755);
    test_mkdir(f->dir.fd, "layout/blobs/sha256", 0755);
    fd = openat(f->dir.fd, "layout", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 2; i++)
        write_bytes(fd, p->blob[i].path, p->layer[i].data, p->layer[i].len);
    test_write(fd, p->config_blob.path, p->config);
    test_write(fd, l.manifest_blob.path, l.manifest);
    test_write(fd, "index.json", l.index);
    test_write(fd, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    layout_fini(&l);
    return text_of("%s/layout", f->dir.path);
}

static void image__reads_an_oci_layout_in_a_directory(void **state)
{
    struct parts p;
    ol_auto_free char *path = oci_dir(*state, &p);

    assert_image(*state, path, OL_IMAGE_OCI_LAYOUT);
    parts_fini(&p);
}

static void image__oci_directory_is_confined(void **state)
{
    struct fixture *f = *state;
    struct parts p;
    char *path = oci_dir(f, &p);
    ol_auto_free char *blob = text_of("layout/%s", p.blob[1].path);

    test_write(f->dir.fd, "secret", "outside");
    assert_int_equal(unlinkat(f->dir.fd, blob, 0), 0);
    test_symlink(f->dir.fd, "../../../secret", blob);
    refuse(f, path, -ENOENT, p.blob[1].path);
    parts_fini(&p);
}

static void image__takes_other_archives_as_root_file_systems(void **state)
{
    struct fixture *f = *state;
    struct ol_image *image;
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *path = NULL;

    tarball_add_dir(&tar, "./");
    tarball_add_dir(&tar, "./etc/");
    tarball_add_file(&tar, "./etc/motd", "hello");
    tarball_add_file(&tar, "./manifest.json", "a root file system may hold one");
    tarball_end(&tar);
    tarball_compress(&tar, TARBALL_GZIP);
    path = save(f, &tar, "root.tar.gz");
    image = open_image(f, path);
    assert_int_equal(ol_image_format_of(image), OL_IMAGE_ROOTFS_TAR);
    assert_int_equal(ol_image_layer_count(image), 1);
    assert_null(ol_image_layer_diff_id(image, 0));
    assert_string_equal(ol_image_id(image), "");
    assert_layer_file(image, 0, "manifest.json");
    assert_layer_file(image, 0, "manifest.json");
    assert_int_equal(ol_image_set_id(image, "sha256:x"), -EINVAL);
    assert_int_equal(ol_image_set_id(image, OL_EMPTY_DIFF_ID), 0);
    assert_string_equal(ol_image_id(image), OL_EMPTY_DIFF_ID);
    ol_image_free(image);
}

static void image__takes_a_tar_of_anything_as_root_file_system(void **state)
{
    struct fixture *f = *state;
    struct ol_image *image;
    struct tarball tar = TARBALL_INIT;
    ol_auto_free char *path = NULL;

    tarball_add_file(&tar, "application", "x");
    tarball_end(&tar);
    path = save(f, &tar, "root.tar");
    image = open_image(f, path);
    assert_int_equal(ol_image_format_of(image), OL_IMAGE_ROOTFS_TAR);
    assert_layer_file(image, 0, "application");
    ol_image_free(image);
}

static void image__streams_a_directory(void **state)
{
    struct fixture *f = *state;
    struct ol_image *image;
    ol_auto_free char *path = text_of("%s/tree", f->dir.path);

    test_mkdir(f->dir.fd, "tree", 0755);
    test_mkdir(f->dir.fd, "tree/etc", 0755);
    test_write(f->dir.fd, "tree/etc/motd", "hello");
    image = open_image(f, path);
    assert_int_equal(ol_image_format_of(image), OL_IMAGE_ROOTFS_DIR);
    assert_layer_file(image, 0, "etc/motd");
    assert_layer_file(image, 0, "etc/motd");
    ol_image_free(image);
}

/* The exporting thread has more to write than a pipe holds when its reader goes. */
static void image__a_directory_need_not_be_read_to_its_end(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = text_of("%s/tree", f->dir.path);
    ol_auto_free char *big = calloc(1, 8u << 20);
    struct ol_image *image;
    struct ol_image_stream stream;
    char block[512];

    (void)signal(SIGPIPE, SIG_DFL);
    test_mkdir(f->dir.fd, "tree", 0755);
    write_bytes(f->dir.fd, "tree/big", big, 8u << 20);
    image = open_image(f, path);
    assert_ok(ol_image_layer_open(image, 0, &stream, &err), &err);
    assert_int_equal(ol_io_read(stream.input.fd, block, sizeof block), sizeof block);
    assert_ok(ol_image_layer_close(&stream, &err), &err);
    assert_ok(ol_image_layer_close(&stream, &err), &err); /* again is harmless */
    ol_image_free(image);
}

/* --- Choosing --- */

static char *two_images(struct fixture *f)
{
    ol_auto_free char *manifest = text_of(
        "[{\"Config\":\"config.json\",\"RepoTags\":[\"a:1\"],\"Layers\":[]},"
        "{\"Config\":\"config.json\",\"RepoTags\":[\"t:v1\"],\"Layers\":["
        "\"%s/layer.tar\",\"%s/layer.tar\"]}]",
        V1_A, V1_B);

    return docker_archive(f, manifest, NULL);
}

static void image__asks_which_of_several(void **state)
{
    refuse(*state, two_images(*state), -EINVAL, "a:1, t:v1");
}

static void image__picks_the_one_named(void **state)
{
    ol_auto_free char *path = two_images(*state);
    ol_auto_free char *named = text_of("%s#t:v1", path);
    ol_auto_free char *wrong = text_of("%s#t:v2", path);

    assert_image(*state, named, OL_IMAGE_DOCKER_ARCHIVE);
    refuse(*state, ol_ptr_steal(wrong), -ENOENT, "'t:v2'");
}

static void image__picks_an_oci_image_by_name(void **state)
{
    ol_auto_free char *path = oci_archive(*state, OCI_TAR, NULL);
    ol_auto_free char *named = text_of("%s#v1", path);
    ol_auto_free char *wrong = text_of("%s#v2", path);

    assert_image(*state, named, OL_IMAGE_OCI_LAYOUT);
    refuse(*state, ol_ptr_steal(wrong), -ENOENT, "'v2'");
}

/* A layout of one name, which is a list of the same image for two platforms: what `skopeo copy
 * --all` makes of a list. */
static char *list_of(struct fixture *f, const char *arch, const char *other_arch)
{
    struct tarball tar = TARBALL_INIT;
    struct layout l;
    struct parts p;
    ol_auto_free char *other = NULL;
    ol_auto_free char *list = NULL;
    struct blob other_blob;
    struct blob list_blob;

    parts_make(&p);
    layout_make(&l, &p, OCI_TAR);
    other = text_of("%s ", l.manifest); /* the same image, but another manifest */
    other_blob = blob_of(other, strlen(other));
    list = text_of(
        "{\"schemaVersion\":2,\"manifests\":["
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
        "\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}},"
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
        "\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
        other_blob.digest, other_blob.len, other_arch, l.manifest_blob.digest, l.manifest_blob.len,
        arch);
    list_blob = blob_of(list, strlen(list));
    free(l.index);
    l.index = text_of("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
                      "\"application/vnd.oci.image.index.v1+json\",\"digest\":\"%s\",\"size\":%zu,"
                      "\"annotations\":{\"org.opencontainers.image.ref.name\":\"v1\"}}]}",
                      list_blob.digest, list_blob.len);
    add_layout(&tar, &p, &l);
    tarball_add_file(&tar, list_blob.path, list);
    /* the blob of the other platform is left out, as by `skopeo copy --multi-arch index-only` */
    tarball_end(&tar);
    layout_fini(&l);
    parts_fini(&p);
    return save(f, &tar, "list.tar");
}

static void image__picks_what_is_for_this_machine(void **state)
{
    struct utsname uts;
    ol_auto_free char *path = NULL;

    assert_int_equal(uname(&uts), 0);
    path = list_of(*state, ol_go_arch(uts.machine), "pdp11");
    assert_image(*state, path, OL_IMAGE_OCI_LAYOUT);
}

static void image__tells_which_platforms_a_list_has(void **state)
{
    refuse(*state, list_of(*state, "vax", "pdp11"), -EINVAL,
           "'v1' holds images that are not for this machine (linux/pdp11, linux/vax)");
}

static void image__tells_which_platform_a_list_lacks(void **state)
{
    struct utsname uts;

    assert_int_equal(uname(&uts), 0);
    refuse(*state, list_of(*state, "pdp11", ol_go_arch(uts.machine)), -ENOENT,
           "for this machine is listed but not there");
}

/* --- Refusing --- */

static void image__refuses_what_is_no_image(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *fifo = text_of("%s/fifo", f->dir.path);

    test_write(f->dir.fd, "empty", "");
    refuse(f, text_of("%s/empty", f->dir.path), -EBADMSG, "empty");
    test_write(f->dir.fd, "text", "hello, this is a text and not an archive\n");
    refuse(f, text_of("%s/text", f->dir.path), -EBADMSG, "t");
    test_write(f->dir.fd, "gz", "\x1f\x8b\x08 garbage");
    refuse(f, text_of("%s/gz", f->dir.path), -EBADMSG, "gz");
    refuse(f, text_of("%s/missing", f->dir.path), -ENOENT, "missing");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    refuse(f, ol_ptr_steal(fifo), -EINVAL, "neither a file nor a directory");
}

static void refuse_manifest(struct fixture *f, const char *manifest, int want, const char *text)
{
    refuse(f, docker_archive(f, manifest, NULL), want, text);
}

static void image__refuses_malformed_manifests(void **state)
{
    struct fixture *f = *state;

    refuse_manifest(f, "", -EBADMSG, "not valid JSON");
    refuse_manifest(f, "[", -EBADMSG, "not valid JSON");
    refuse_manifest(f, "null", -EBADMSG, "JSON");
    refuse_manifest(f, "[]", -EBADMSG, "lists no image");
    refuse_manifest(f, "[null]", -EBADMSG, "no image");
    refuse_manifest(f, "[[]]", -EBADMSG, "no image");
    refuse_manifest(f, "{}", -EBADMSG, "lists no image");
    refuse_manifest(f, "[{}]", -EBADMSG, "Config");
    refuse_manifest(f, "[{\"Config\":null,\"Layers\":null}]", -EBADMSG, "Config");
    refuse_manifest(f, "[{\"Config\":\"config.json\"}]", -EBADMSG, "'Layers'");
    refuse_manifest(f, "[{\"Config\":\"config.json\",\"Layers\":{}}]", -EBADMSG, "'Layers'");
    refuse_manifest(f, "[{\"Config\":\"config.json\",\"Layers\":[1,2]}]", -EBADMSG, "Layers[0]");
    refuse_manifest(f, "[{\"Config\":\"a\",\"Config\":\"config.json\"}]", -EBADMSG, "duplicate");
    refuse_manifest(f, "[{\"Config\":\"config.json\",\"Layers\":[]}] trailing", -EBADMSG, "JSON");
    refuse_manifest(f, "[{\"Config\":\"config.json\",\"Layers\":[\"x\"]}]", -EBADMSG,
                    "1 layers, the config 2");
    refuse_manifest(f, "[{\"Config\":\"config.json\",\"Layers\":[\"x\",\"y\"]}]", -ENOENT, "'x'");
    refuse_manifest(f, "[{\"Config\":\"../../etc/passwd\",\"Layers\":[]}]", -EXDEV,
                    "'../../etc/passwd'");
    refuse_manifest(f, "[{\"Config\":\"config.json\",\"Layers\":[\"../../OUT\",\"../../OUT\"]}]",
                    -EXDEV, "'../../OUT'");
}

static void image__refuses_foreign_layers_of_docker(void **state)
{
    refuse_manifest(*state,
                    "[{\"Config\":\"config.json\",\"Layers\":[],\"LayerSources\":{\"sha256:1\":"
                    "{\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\"}"
                    "}}]",
                    -ENOTSUP, "foreign");
}

static void refuse_config(struct fixture *f, const char *config, int want, const char *text)
{
    refuse(f, docker_archive(f, NULL, config), want, text);
}

static void image__refuses_malformed_configs(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *many = NULL;
    char *ids = malloc(126 * 80);
    size_t len = 0;

    refuse_config(f, "{", -EBADMSG, "JSON");
    refuse_config(f, "{}", -EBADMSG, "'diff_ids'");
    refuse_config(f, "{\"rootfs\":{\"diff_ids\":[]}}", -EBADMSG, "no layers");
    refuse_config(f, "{\"rootfs\":{\"diff_ids\":[1]}}", -EBADMSG, "diff_ids[0]");
    refuse_config(f, "{\"rootfs\":{\"diff_ids\":[\"sha256:../../OUT\"]}}", -EBADMSG,
                  "'sha256:../../OUT'");
    refuse_config(f, "{\"os\":\"windows\",\"rootfs\":{\"diff_ids\":[]}}", -ENOTSUP, "'windows'");
    refuse_config(f, "{\"rootfs\":{\"diff_ids\":[\"" OL_EMPTY_DIFF_ID "\"]},\"history\":[{},{}]}",
                  -EBADMSG, "history");
    assert_non_null(ids);
    for (int i = 0; i < 126; i++)
        len += (size_t)snprintf(ids + len, 126 * 80 - len, "%s\"" OL_EMPTY_DIFF_ID "\"",
                                i > 0 ? "," : "");
    many = config_of(ids);
    free(ids);
    refuse_config(f, many, -E2BIG, "126 layers");
}

static void image__refuses_a_huge_manifest(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;

    tarball_add_bytes(&tar, "manifest.json", NULL, 5u << 20);
    tarball_end(&tar);
    refuse(f, save(f, &tar, "image.tar"), -E2BIG, "'manifest.json'");
}

static void image__refuses_media_types_by_name(void **state)
{
    static const struct {
        const char *type, *text;
    } cases[] = {
        {"application/vnd.oci.image.layer.nondistributable.v1.tar", "foreign"},
        {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "foreign"},
        {"application/vnd.erofs.layer.v1", "'application/vnd.erofs.layer.v1'"},
        {"", "unknown"},
    };

    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++)
        refuse(*state, oci_archive(*state, cases[i].type, NULL), -ENOTSUP, cases[i].text);
}

static void refuse_index(struct fixture *f, const char *index, int want, const char *text)
{
    refuse(f, oci_archive(f, OCI_TAR, index), want, text);
}

static void image__refuses_malformed_indexes(void **state)
{
    struct fixture *f = *state;

#define DESC "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\""
    refuse_index(f, "{}", -EBADMSG, "'manifests'");
    refuse_index(f, "{\"manifests\":[]}", -EBADMSG, "lists no image");
    refuse_index(f, "{\"manifests\":[{\"mediaType\":\"x\"}]}", -EBADMSG, "lists no image");
    refuse_index(f, "{\"manifests\":[{" DESC "}]}", -EBADMSG, "digest of the manifest");
    refuse_index(f, "{\"manifests\":[{" DESC ",\"digest\":\"sha256:../../../OUT\",\"size\":1}]}",
                 -EBADMSG, "'sha256:../../../OUT'");
    refuse_index(f, "{\"manifests\":[{" DESC ",\"digest\":\"sha512:00\",\"size\":1}]}", -EBADMSG,
                 "'sha512:00'");
    refuse_index(f, "{\"manifests\":[{" DESC ",\"digest\":\"" OL_EMPTY_DIFF_ID "\",\"size\":-1}]}",
                 -EBADMSG, "size");
    refuse_index(f, "{\"manifests\":[{" DESC ",\"digest\":\"" OL_EMPTY_DIFF_ID "\",\"size\":1}]}",
                 -ENOENT, "blobs/sha256/5f70bf18");
}

/* A blob that is not what its name says. */
static void image__verifies_manifests_against_their_digest(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;
    struct layout l;
    struct parts p;

    parts_make(&p);
    layout_make(&l, &p, OCI_TAR);
    l.manifest[20] ^= 1; /* after its digest was taken */
    add_layout(&tar, &p, &l);
    tarball_end(&tar);
    refuse(f, save(f, &tar, "oci.tar"), -EBADMSG, l.manifest_blob.digest);
    layout_fini(&l);
    parts_fini(&p);
}

static void image__refuses_image_archives_without_a_manifest(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;
    struct parts p;

    parts_make(&p);
    add_layer_file(&tar, V1_A, &p.layer[0]);
    tarball_add_file(&tar, "repositories", "{}");
    tarball_end(&tar);
    refuse(f, save(f, &tar, "v1.tar"), -EBADMSG, "neither manifest.json nor oci-layout");
    parts_fini(&p);
}

#define SKOPEO_DIR "Directory Transport Version: 1.1\n"

/* "dir:" of skopeo: the manifest of a registry in manifest.json, blobs beside it; only its file
 * "version" tells. An unfinished one has no manifest. */
static void image__refuses_a_directory_of_skopeos_in_words(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;

    test_mkdir(f->dir.fd, "dir", 0755);
    test_write(f->dir.fd, "dir/version", SKOPEO_DIR);
    test_write(f->dir.fd, "dir/" V1_A, "a layer");
    refuse(f, text_of("%s/dir", f->dir.path), -ENOTSUP, "skopeo copy dir:");
    test_write(f->dir.fd, "dir/manifest.json", "{\"schemaVersion\":2,\"layers\":[]}");
    refuse(f, text_of("%s/dir", f->dir.path), -ENOTSUP, "skopeo copy dir:");
    tarball_add_file(&tar, V1_A, "a layer");
    tarball_add_file(&tar, "manifest.json", "{\"schemaVersion\":2,\"layers\":[]}");
    tarball_add_file(&tar, "version", SKOPEO_DIR);
    tarball_end(&tar);
    refuse(f, save(f, &tar, "dir.tar"), -ENOTSUP, "skopeo copy dir:");
}

static void image__a_file_called_version_says_nothing(void **state)
{
    struct fixture *f = *state;
    struct ol_image *image;
    ol_auto_free char *path = text_of("%s/tree", f->dir.path);

    test_mkdir(f->dir.fd, "tree", 0755);
    test_write(f->dir.fd, "tree/version", "1.1\n");
    image = open_image(f, path);
    assert_int_equal(ol_image_format_of(image), OL_IMAGE_ROOTFS_DIR);
    ol_image_free(image);
    assert_int_equal(unlinkat(f->dir.fd, "tree/version", 0), 0);
    test_mkdir(f->dir.fd, "tree/version", 0755);
    image = open_image(f, path);
    assert_int_equal(ol_image_format_of(image), OL_IMAGE_ROOTFS_DIR);
    ol_image_free(image);
}

static void image__refuses_an_unknown_layout_version(void **state)
{
    struct fixture *f = *state;
    struct tarball tar = TARBALL_INIT;

    tarball_add_file(&tar, "oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
    tarball_add_file(&tar, "index.json", "{}");
    tarball_end(&tar);
    refuse(f, save(f, &tar, "oci.tar"), -ENOTSUP, "'2.0.0'");
}

/* Bytes of a valid archive replaced at random: an image or a refusal in words, never anything else.
 * Sanitizers watch. The seed is fixed, so that a find can be found again. */
static void image__survives_random_damage(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *path = text_of("%s/damaged", f->dir.path);
    uint64_t random = 88172645463325252u;

    for (int round = 0; round < 600; round++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_free char *whole = round % 2 == 0 ? oci_archive(f, OCI_TAR, NULL)
                                                  : docker_archive(f, NULL, NULL);
        ol_auto_fd int fd = open(whole, O_RDWR | O_CLOEXEC);
        struct ol_image *image = NULL;
        struct stat st;
        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        for (int i = 0; i < 1 + round % 7; i++) {
            char byte;
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            byte = (char)(random >> 56);
            assert_int_equal(pwrite(fd, &byte, 1, (off_t)(random % (uint64_t)st.st_size)), 1);
        }
        assert_int_equal(rename(whole, path), 0);
        if (ol_image_open(path, f->dir.path, &image, &err) < 0)
            assert_message(&err, path);
        ol_image_free(image);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(image__reads_an_old_docker_archive),
        TEST(image__reads_a_new_docker_archive),
        TEST(image__reads_compressed_archives),
        TEST(image__follows_symlinked_layers),
        TEST(image__reads_an_oci_layout_in_a_tar),
        TEST(image__reads_an_oci_layout_in_a_directory),
        TEST(image__oci_directory_is_confined),
        TEST(image__takes_other_archives_as_root_file_systems),
        TEST(image__takes_a_tar_of_anything_as_root_file_system),
        TEST(image__streams_a_directory),
        TEST(image__a_directory_need_not_be_read_to_its_end),
        TEST(image__asks_which_of_several),
        TEST(image__picks_the_one_named),
        TEST(image__picks_an_oci_image_by_name),
        TEST(image__picks_what_is_for_this_machine),
        TEST(image__tells_which_platforms_a_list_has),
        TEST(image__tells_which_platform_a_list_lacks),
        TEST(image__refuses_what_is_no_image),
        TEST(image__refuses_malformed_manifests),
        TEST(image__refuses_foreign_layers_of_docker),
        TEST(image__refuses_malformed_configs),
        TEST(image__refuses_a_huge_manifest),
        TEST(image__refuses_media_types_by_name),
        TEST(image__refuses_malformed_indexes),
        TEST(image__verifies_manifests_against_their_digest),
        TEST(image__refuses_image_archives_without_a_manifest),
        TEST(image__refuses_a_directory_of_skopeos_in_words),
        TEST(image__a_file_called_version_says_nothing),
        TEST(image__refuses_an_unknown_layout_version),
        TEST(image__survives_random_damage),
    };

    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
