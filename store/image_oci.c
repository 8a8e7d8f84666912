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

/* A manifest found in the index. */
struct candidate {
    struct descriptor desc;
    const char *name;  /* borrowed from the index; NULL: it has none */
    bool here;         /* for the platform of this machine */
    char platform[64]; /* "os/architecture" for messages, cut if need be; "" when not said */
};

/* Choosing manifests. */
struct choice {
    const struct ol_archive *archive;
    const char *arch; /* GOARCH of this machine */
    unsigned looked_at;
    struct candidate *items; /* owned */
    size_t count;
};

const char *ol_go_arch(const char *machine)
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

static void platform_text(const json_t *desc, char *text, size_t size)
{
    const json_t *platform = json_object_get(desc, "platform");
    const char *os = ol_json_string(platform, "os");
    const char *arch = ol_json_string(platform, "architecture");

    if (os != NULL && arch != NULL)
        (void)snprintf(text, size, "%s/%s", os, arch);
}

static int consider(struct choice *c, const json_t *json, const char *name, struct ol_error *err)
{
    struct candidate found = {.name = name, .here = platform_is(json, "linux", c->arch)};
    struct candidate *more;
    int r = read_descriptor(json, "manifest", &found.desc, err);

    if (r < 0)
        return r;
    platform_text(json, found.platform, sizeof found.platform);
    found.desc.type = "";                        /* the JSON may be gone before it is asked for */
    if (platform_is(json, "unknown", "unknown")) /* an attestation of BuildKit, not an image */
        return 0;
    more = reallocarray(c->items, c->count + 1, sizeof *more);
    if (more == NULL)
        return ol_error_nomem(err);
    more[c->count++] = found;
    c->items = more;
    return 0;
}

/* Names count in the outermost index only. */
static const char *name_of(const json_t *desc)
{
    const char *full = annotation(desc, CONTAINERD_NAME);

    return full != NULL ? full : annotation(desc, REF_NAME);
}

static int walk_index(struct choice *c, const json_t *index, const char *ref, const char *name,
                      unsigned depth, struct ol_error *err);

static int walk_entry(struct choice *c, const json_t *desc, const char *name, unsigned depth,
                      struct ol_error *err)
{
    ol_auto_json json_t *inner = NULL;
    const char *type = ol_json_string(desc, "mediaType");
    struct descriptor d;
    int r;

    if (IS_ONE_OF(type, manifest_types))
        return consider(c, desc, name, err);
    if (!IS_ONE_OF(type, index_types))
        return 0; /* unknown media types in an index must be passed over (image-index.md) */
    r = read_descriptor(desc, "image index", &d, err);
    if (r == 0)
        r = read_json_blob(c->archive, &d, &inner, err);
    return r < 0 ? r : walk_index(c, inner, NULL, name, depth + 1, err);
}

/* Recursion is bounded by OL_INDEX_DEPTH_MAX, the work by OL_INDEX_ENTRIES_MAX. */
static int walk_index(struct choice *c, const json_t *index, const char *ref, const char *name,
                      unsigned depth, struct ol_error *err)
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
        if (++c->looked_at > OL_INDEX_ENTRIES_MAX)
            return ol_error_set(err, -E2BIG, "the image index lists more than %d images",
                                OL_INDEX_ENTRIES_MAX);
        if (ref != NULL && !named(desc, ref))
            continue;
        r = walk_entry(c, desc, depth == 1 ? name_of(desc) : name, depth, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Those that are asked for by one name, or all of them. */
struct group {
    bool all;
    const char *name; /* NULL: those without one */
};

static bool in_group(const struct candidate *x, const struct group *group)
{
    if (group->all)
        return true;
    if (x->name == NULL || group->name == NULL)
        return x->name == group->name;
    return strcmp(x->name, group->name) == 0;
}

/* The nth (from 0) manifest of the group, each digest once; NULL when there are not so many. */
static const struct candidate *nth(const struct choice *c, const struct group *group, bool here,
                                   size_t n)
{
    const struct candidate *found = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct candidate *x = &c->items[i];
        bool seen = !in_group(x, group) || (here && !x->here);
        for (size_t k = 0; k < i && !seen; k++)
            seen = in_group(&c->items[k], group) && (!here || c->items[k].here) &&
                   strcmp(c->items[k].desc.digest, x->desc.digest) == 0;
        if (seen)
            continue;
        found = x;
        if (n-- == 0)
            return found;
    }
    return NULL;
}

/* The only one, or the only one for this machine; NULL: it cannot be told. */
static const struct candidate *only(const struct choice *c, const struct group *group)
{
    if (nth(c, group, false, 1) == NULL)
        return nth(c, group, false, 0);
    return nth(c, group, true, 1) == NULL ? nth(c, group, true, 0) : NULL;
}

/* Whether all of the group have one name, or none: a list of platforms, among which no name can
 * choose. @return the first of them, or NULL */
static const struct candidate *platform_list(const struct choice *c, const struct group *group)
{
    const struct candidate *first = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct candidate *x = &c->items[i];
        if (!in_group(x, group))
            continue;
        if (first == NULL)
            first = x;
        if (x->here || x->platform[0] == '\0' ||
            !in_group(x, &(const struct group){.name = first->name}))
            return NULL;
    }
    return first;
}

static int no_platform(const struct choice *c, const struct group *group, const char *name,
                       struct ol_error *err)
{
    ol_auto_buf struct ol_buf platforms = OL_BUF_INIT;

    for (size_t i = 0; i < c->count && platforms.len < 1024; i++)
        if (in_group(&c->items[i], group)) /* without memory the message only gets shorter */
            (void)ol_buf_printf(&platforms, "%s%s", platforms.len > 0 ? ", " : "",
                                c->items[i].platform);
    return ol_error_set(err, -EINVAL, "%s%s%sholds images that are not for this machine (%s)",
                        name != NULL ? "'" : "", name != NULL ? name : "", name != NULL ? "' " : "",
                        ol_buf_str(&platforms));
}

static int ask(const struct choice *c, const struct group *group, struct ol_error *err)
{
    ol_auto_buf struct ol_buf names = OL_BUF_INIT;
    const struct candidate *x;
    unsigned count = 0;

    x = platform_list(c, group);
    if (x != NULL)
        return no_platform(c, group, x->name, err);
    for (; names.len < 1024 && (x = nth(c, group, false, count)) != NULL; count++) {
        /* without memory the message only gets shorter */
        (void)ol_buf_printf(&names, "%s%s", names.len > 0 ? ", " : "",
                            x->name != NULL ? x->name : x->desc.digest);
    }
    return ol_error_set(err, -EINVAL, "holds %u %simages (%s); name one as PATH#NAME", count,
                        names.len < 1024 ? "" : "or more ", ol_buf_str(&names));
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
    if (r == 0 && json_array_size(layers) != parts->config.layers)
        r = ol_error_set(err, -EBADMSG, "the manifest lists %zu layers, the config %zu",
                         json_array_size(layers), parts->config.layers);
    for (size_t i = 0; r == 0 && i < parts->config.layers; i++)
        r = read_layer(archive, json_array_get(layers, i), i, parts, err);
    return r;
}

/* Reading the chosen manifests into the list. */
struct reading {
    struct choice *choice;
    const struct ol_image_want *want;
    struct ol_image_list *list;
    char (*digests)[OL_DIGEST_SIZE]; /* owned; of the manifests in list */
};

/* A name that is only a tag gets the repository the caller knows. */
static int add_name(const struct reading *x, struct ol_image_parts *parts, const char *name,
                    struct ol_error *err)
{
    ol_auto_buf struct ol_buf full = OL_BUF_INIT;

    if (name == NULL)
        return 0;
    if (strpbrk(name, "/:@") != NULL)
        return ol_image_parts_name(parts, name, err);
    if (x->want->base[0] == '\0')
        return 0;
    if (ol_buf_printf(&full, "%s:%s", x->want->base, name) < 0)
        return ol_error_nomem(err);
    return ol_image_parts_name(parts, ol_buf_str(&full), err);
}

static int read_image(struct reading *x, const struct candidate *chosen, struct ol_error *err)
{
    ol_auto_json json_t *manifest = NULL;
    struct ol_image_parts *parts;
    void *more;
    int r;

    for (size_t i = 0; i < x->list->count; i++)
        if (strcmp(x->digests[i], chosen->desc.digest) == 0)
            return add_name(x, &x->list->items[i], chosen->name, err);
    more = reallocarray(x->digests, x->list->count + 1, sizeof *x->digests);
    if (more == NULL)
        return ol_error_nomem(err);
    x->digests = more;
    memcpy(x->digests[x->list->count], chosen->desc.digest, OL_DIGEST_SIZE);
    parts = ol_image_list_add(x->list);
    if (parts == NULL)
        return ol_error_nomem(err);
    r = read_json_blob(x->choice->archive, &chosen->desc, &manifest, err);
    if (r == -ENOENT && chosen->here) /* `skopeo copy --multi-arch index-only` leaves it out */
        r = ol_error_wrap(err, r, "the image for this machine is listed but not there");
    if (r == 0)
        r = read_manifest(x->choice->archive, manifest, parts, err);
    return r < 0 ? r : add_name(x, parts, chosen->name, err);
}

static int read_one(struct reading *x, struct ol_error *err)
{
    const struct group all = {.all = true};
    const struct candidate *chosen = only(x->choice, &all);

    return chosen != NULL ? read_image(x, chosen, err) : ask(x->choice, &all, err);
}

/* Of a name there is one image; without names everything that is for this machine. */
static int read_group(struct reading *x, const struct group *group, struct ol_error *err)
{
    const struct choice *c = x->choice;
    const struct candidate *chosen = only(c, group);
    bool here = nth(c, group, true, 0) != NULL;
    int r = 0;

    if (chosen != NULL)
        return read_image(x, chosen, err);
    if (group->name != NULL)
        return ask(c, group, err);
    for (size_t i = 0; r == 0 && i < c->count; i++)
        if (in_group(&c->items[i], group) && (!here || c->items[i].here))
            r = read_image(x, &c->items[i], err);
    return r;
}

static int read_all(struct reading *x, struct ol_error *err)
{
    const struct choice *c = x->choice;
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->count; i++) {
        const struct group group = {.name = c->items[i].name};
        bool done = false;
        for (size_t k = 0; k < i && !done; k++)
            done = in_group(&c->items[k], &group);
        if (!done)
            r = read_group(x, &group, err);
    }
    return r;
}

static int read_chosen(struct choice *c, const struct ol_image_want *want,
                       struct ol_image_list *ret, struct ol_error *err)
{
    struct reading x = {.choice = c, .want = want, .list = ret};
    int r;

    if (c->count == 0 && want->ref != NULL)
        return ol_error_set(err, -ENOENT, "the image index has no image '%s'", want->ref);
    if (c->count == 0)
        return ol_error_set(err, -EBADMSG, "the image index lists no image");
    r = want->all && want->ref == NULL ? read_all(&x, err) : read_one(&x, err);
    free(x.digests);
    return r;
}

int ol_image_read_oci(const struct ol_archive *archive, const struct ol_image_want *want,
                      struct ol_image_list *ret, struct ol_error *err)
{
    ol_auto_json json_t *index = NULL;
    struct choice c = {.archive = archive};
    struct utsname uts;
    int r = check_version(archive, err);

    if (r == 0)
        r = ol_json_read(archive, "index.json", &index, err);
    if (r < 0)
        return r;
    if (uname(&uts) < 0)
        return ol_error_sys(err, errno, "cannot ask for the machine's architecture");
    c.arch = ol_go_arch(uts.machine);
    r = walk_index(&c, index, want->ref, NULL, 1, err);
    if (r == 0)
        r = read_chosen(&c, want, ret, err);
    free(c.items);
    return r;
}
