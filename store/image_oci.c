/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI image layout, as a directory or a tar: oci-layout, index.json, blobs by digest (OCI image
 * spec 1.1: image-layout.md, image-index.md, manifest.md). Manifests and configs are verified
 * against their digest and size before they are parsed; layers by their DiffID while they stream.
 */
#include "store/image_internal.h"

#include "common/cleanup.h"
#include "common/limits.h"

#include <errno.h>
#include <sys/utsname.h>

#define REF_NAME        "org.opencontainers.image.ref.name"
#define CONTAINERD_NAME "io.containerd.image.name"

static const char *const index_types[] = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
};
static const char *const manifest_types[] = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
};
static const char *const layer_types[] = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
};

#define IS_ONE_OF(text, list) is_one_of((text), (list), OL_ARRAY_LEN(list))
static bool is_one_of(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; text != NULL && i < count; i++)
        if (strcmp(text, list[i]) == 0)
            return true;
    return false;
}

/* What a descriptor says about a blob, checked. */
struct descriptor {
    char digest[OL_DIGEST_SIZE];
    uint64_t size;
    const char *type; /* borrowed from the JSON; "" when absent */
};

static int read_descriptor(const json_t *json, const char *what, struct descriptor *ret,
                           struct ol_error *err)
{
    const char *digest = ol_json_string(json, "digest");
    const json_t *size = json_object_get(json, "size");
    const char *type = ol_json_string(json, "mediaType");

    if (digest == NULL || !ol_digest_valid(digest))
        return ol_error_set(err, -EBADMSG, "the digest of the %s is no sha256 digest: '%s'", what,
                            digest != NULL ? digest : "");
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return ol_error_set(err, -EBADMSG, "the descriptor of the %s has no size", what);
    memcpy(ret->digest, digest, OL_DIGEST_SIZE);
    ret->size = (uint64_t)json_integer_value(size);
    ret->type = type != NULL ? type : "";
    return 0;
}

/* Where a blob lies; the digest was checked, so the name cannot climb. */
static int blob_name(const char *digest, struct ol_buf *ret, struct ol_error *err)
{
    return ol_buf_printf(ret, "blobs/sha256/%s", ol_digest_hex(digest)) < 0 ? ol_error_nomem(err)
                                                                            : 0;
}

static int read_blob(const struct ol_archive *archive, const struct descriptor *desc,
                     struct ol_buf *text, struct ol_error *err)
{
    ol_auto_buf struct ol_buf name = OL_BUF_INIT;
    char digest[OL_DIGEST_SIZE];
    int r = blob_name(desc->digest, &name, err);

    if (r == 0)
        r = ol_archive_read(archive, ol_buf_str(&name), OL_IMAGE_JSON_MAX, text, err);
    if (r == 0)
        r = ol_digest_of(ol_buf_str(text), text->len, digest, err);
    if (r < 0)
        return r;
    if (text->len != desc->size || strcmp(digest, desc->digest) != 0)
        return ol_error_set(err, -EBADMSG,
                            "blob '%s' has %zu bytes with digest '%s', not the %llu bytes promised",
                            desc->digest, text->len, digest, (unsigned long long)desc->size);
    return 0;
}

static int read_json_blob(const struct ol_archive *archive, const struct descriptor *desc,
                          json_t **ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = read_blob(archive, desc, &text, err);

    return r < 0 ? r : ol_json_parse(&text, desc->digest, ret, err);
}

/* Choosing one manifest. */
struct choice {
    const struct ol_archive *archive;
    const char *ref;  /* NULL: any */
    const char *arch; /* GOARCH of this machine */
    unsigned looked_at;
    unsigned found, found_here; /* distinct manifests; those of this platform */
    struct descriptor any, here;
    struct ol_buf names; /* for the message that asks to choose */
};

static const char *go_arch(const char *machine)
{
    static const char *const table[][2] = {
        {"x86_64", "amd64"},    {"aarch64", "arm64"},       {"i686", "386"},
        {"i386", "386"},        {"armv7l", "arm"},          {"armv6l", "arm"},
        {"mips64", "mips64le"}, {"loongarch64", "loong64"},
    };

    for (size_t i = 0; i < OL_ARRAY_LEN(table); i++)
        if (strcmp(machine, table[i][0]) == 0)
            return table[i][1];
    return machine; /* riscv64, s390x, ppc64le are called the same */
}

static const char *annotation(const json_t *desc, const char *key)
{
    return ol_json_string(json_object_get(desc, "annotations"), key);
}

static bool named(const json_t *desc, const char *ref)
{
    const char *short_name = annotation(desc, REF_NAME);
    const char *full_name = annotation(desc, CONTAINERD_NAME);

    return (short_name != NULL && strcmp(short_name, ref) == 0) ||
           (full_name != NULL && strcmp(full_name, ref) == 0);
}

static bool platform_is(const json_t *desc, const char *os, const char *arch)
{
    const json_t *platform = json_object_get(desc, "platform");
    const char *have_os = ol_json_string(platform, "os");
    const char *have_arch = ol_json_string(platform, "architecture");

    return have_os != NULL && have_arch != NULL && strcmp(have_os, os) == 0 &&
           strcmp(have_arch, arch) == 0;
}

static int consider(struct choice *c, const json_t *json, struct ol_error *err)
{
    const char *name = annotation(json, REF_NAME);
    struct descriptor desc;
    int r = read_descriptor(json, "manifest", &desc, err);

    if (r < 0)
        return r;
    desc.type = "";
    if (platform_is(json, "unknown", "unknown")) /* an attestation of BuildKit, not an image */
        return 0;
    if (c->found == 0 || strcmp(c->any.digest, desc.digest) != 0) {
        c->found++;
        c->any = desc;
        if (c->names.len < 1024) /* without memory the message only gets shorter */
            (void)ol_buf_printf(&c->names, "%s%s", c->names.len > 0 ? ", " : "",
                                name != NULL ? name : desc.digest);
    }
    if (platform_is(json, "linux", c->arch) &&
        (c->found_here == 0 || strcmp(c->here.digest, desc.digest) != 0)) {
        c->found_here++;
        c->here = desc;
    }
    return 0;
}

/* Recursion is bounded by OL_INDEX_DEPTH_MAX, the work by OL_INDEX_ENTRIES_MAX. */
static int walk_index(struct choice *c, const json_t *index, const char *ref, unsigned depth,
                      struct ol_error *err)
{
    json_t *manifests = NULL;
    const json_t *desc;
    size_t i;
    int r = ol_json_array(index, "manifests", "the image index", &manifests, err);

    if (r == 0 && depth > OL_INDEX_DEPTH_MAX)
        r = ol_error_set(err, -E2BIG, "more than %d image indexes inside each other",
                         OL_INDEX_DEPTH_MAX);
    if (r < 0)
        return r;
    json_array_foreach(manifests, i, desc)
    {
        const char *type = ol_json_string(desc, "mediaType");
        if (++c->looked_at > OL_INDEX_ENTRIES_MAX)
            return ol_error_set(err, -E2BIG, "the image index lists more than %d images",
                                OL_INDEX_ENTRIES_MAX);
        if (ref != NULL && !named(desc, ref))
            continue;
        if (IS_ONE_OF(type, manifest_types)) {
            r = consider(c, desc, err);
        } else if (IS_ONE_OF(type, index_types)) {
            ol_auto_json json_t *inner = NULL;
            struct descriptor d;
            r = read_descriptor(desc, "image index", &d, err);
            if (r == 0)
                r = read_json_blob(c->archive, &d, &inner, err);
            if (r == 0)
                r = walk_index(c, inner, NULL, depth + 1, err);
        } /* unknown media types in an index must be passed over (image-index.md) */
        if (r < 0)
            return r;
    }
    return 0;
}

static int pick(const struct choice *c, struct descriptor *ret, struct ol_error *err)
{
    if (c->found == 0 && c->ref != NULL)
        return ol_error_set(err, -ENOENT, "the image index has no image '%s'", c->ref);
    if (c->found == 0)
        return ol_error_set(err, -EBADMSG, "the image index lists no image");
    if (c->found == 1) {
        *ret = c->any;
        return 0;
    }
    if (c->found_here == 1) {
        *ret = c->here;
        return 0;
    }
    return ol_error_set(err, -EINVAL, "holds %u images (%s); name one as PATH#NAME", c->found,
                        ol_buf_str(&c->names));
}

static int choose(const struct ol_archive *archive, const char *ref, struct descriptor *ret,
                  struct ol_error *err)
{
    ol_auto_json json_t *index = NULL;
    struct choice c = {.archive = archive, .ref = ref, .names = OL_BUF_INIT};
    struct utsname uts;
    int r = ol_json_read(archive, "index.json", &index, err);

    if (r < 0)
        return r;
    if (uname(&uts) < 0)
        return ol_error_sys(err, errno, "cannot ask for the machine's architecture");
    c.arch = go_arch(uts.machine);
    r = walk_index(&c, index, ref, 1, err);
    if (r == 0)
        r = pick(&c, ret, err);
    ol_buf_fini(&c.names);
    return r;
}

static int check_version(const struct ol_archive *archive, struct ol_error *err)
{
    ol_auto_json json_t *layout = NULL;
    const char *version;
    int r = ol_json_read(archive, "oci-layout", &layout, err);

    if (r < 0)
        return r;
    version = ol_json_string(layout, "imageLayoutVersion");
    if (version == NULL || strcmp(version, "1.0.0") != 0)
        return ol_error_set(err, -ENOTSUP, "OCI layout version '%s'; only 1.0.0 is known",
                            version != NULL ? version : "");
    return 0;
}

static int read_layer(const struct ol_archive *archive, const json_t *json, size_t index,
                      struct ol_image_parts *parts, struct ol_error *err)
{
    ol_auto_buf struct ol_buf name = OL_BUF_INIT;
    ol_auto_fd int fd = -1;
    struct descriptor desc;
    struct ol_input input;
    int r = read_descriptor(json, "layer", &desc, err);

    if (r < 0)
        return r;
    if (!IS_ONE_OF(desc.type, layer_types))
        return ol_error_set(
            err, -ENOTSUP, "layer %zu ('%s') is of %s media type '%s'", index, desc.digest,
            strstr(desc.type, "nondistributable") != NULL || strstr(desc.type, "foreign") != NULL
                ? "the foreign"
                : "the unknown",
            desc.type);
    r = blob_name(desc.digest, &name, err);
    if (r == 0)
        r = ol_image_parts_member(parts, archive, index, ol_buf_str(&name), err);
    if (r == 0)
        r = ol_archive_open(archive, ol_buf_str(&name), &input, &fd, err);
    if (r == 0 && input.length != desc.size)
        r = ol_error_set(err, -EBADMSG, "layer %zu ('%s') has %llu bytes, not the %llu promised",
                         index, desc.digest, (unsigned long long)input.length,
                         (unsigned long long)desc.size);
    return r;
}

static int read_manifest(const struct ol_archive *archive, const json_t *manifest,
                         struct ol_image_parts *parts, struct ol_error *err)
{
    ol_auto_buf struct ol_buf config = OL_BUF_INIT;
    struct descriptor desc;
    json_t *layers = NULL;
    int r = read_descriptor(json_object_get(manifest, "config"), "config", &desc, err);

    if (r == 0)
        r = read_blob(archive, &desc, &config, err);
    if (r == 0)
        r = ol_image_parts_config(parts, &config, err);
    if (r == 0)
        r = ol_json_array(manifest, "layers", "the manifest", &layers, err);
    if (r == 0 && json_array_size(layers) != parts->count)
        r = ol_error_set(err, -EBADMSG, "the manifest lists %zu layers, the config %zu",
                         json_array_size(layers), parts->count);
    for (size_t i = 0; r == 0 && i < parts->count; i++)
        r = read_layer(archive, json_array_get(layers, i), i, parts, err);
    return r;
}

int ol_image_read_oci(const struct ol_archive *archive, const char *ref, struct ol_image_parts *ret,
                      struct ol_error *err)
{
    ol_auto_json json_t *manifest = NULL;
    struct descriptor desc;
    int r = check_version(archive, err);

    if (r == 0)
        r = choose(archive, ref, &desc, err);
    if (r == 0)
        r = read_json_blob(archive, &desc, &manifest, err);
    if (r == 0)
        r = read_manifest(archive, manifest, ret, err);
    return r;
}
