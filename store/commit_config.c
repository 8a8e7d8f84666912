/* SPDX-License-Identifier: Apache-2.0 */
/* What docker create and docker commit write about a container; see commit_config.h. */
#include "store/commit_config.h"

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/time_text.h"
#include "store/change.h"
#include "store/image_internal.h"

#include "config.h"

#include <errno.h>
#include <string.h>

/* api/types/container.Config in the order of its fields. */
static const struct field {
    const char *key;
    enum { TEXT, LIST, OBJECT, OPTIONAL_OBJECT, OPTIONAL_TEXT, FALSE, TRUE } kind;
} fields[] = {
    {"Hostname", TEXT},
    {"Domainname", TEXT},
    {"User", TEXT},
    {"AttachStdin", FALSE},
    {"AttachStdout", TRUE},
    {"AttachStderr", TRUE},
    {"ExposedPorts", OPTIONAL_OBJECT},
    {"Tty", FALSE},
    {"OpenStdin", FALSE},
    {"StdinOnce", FALSE},
    {"Env", LIST},
    {"Cmd", LIST},
    {"Healthcheck", OPTIONAL_OBJECT},
    {"Image", TEXT},
    {"Volumes", OBJECT},
    {"WorkingDir", TEXT},
    {"Entrypoint", LIST},
    {"OnBuild", LIST},
    {"Labels", OBJECT},
    {"StopSignal", OPTIONAL_TEXT},
};

/* What the container takes over from its image; NULL: the field is left out. */
static json_t *inherit(const struct field *field, const json_t *run)
{
    const json_t *value = json_object_get(run, field->key);

    switch (field->kind) {
    case TEXT:
        return json_is_string(value) ? json_deep_copy(value) : json_string("");
    case OPTIONAL_TEXT:
        return json_string_length(value) > 0 ? json_deep_copy(value) : NULL;
    case LIST:
        return json_is_array(value) ? json_deep_copy(value) : json_null();
    case OBJECT:
        return json_is_object(value) ? json_deep_copy(value) : json_null();
    case OPTIONAL_OBJECT:
        return json_is_object(value) ? json_deep_copy(value) : NULL;
    case FALSE:
    case TRUE:
        return json_boolean(field->kind == TRUE);
    }
    return NULL;
}

static bool check_utf8(const char *text)
{
    json_t *json = json_string(text);

    json_decref(json);
    return json != NULL;
}

/* The container's own: triggers are for builds, names are its own, labels are never null. */
static int set_own(json_t *config, const char *id, const char *name)
{
    int r = json_object_set_new(config, "Hostname",
                                json_stringn(id, strlen(id) < 12 ? strlen(id) : 12));

    if (r == 0)
        r = json_object_set_new(config, "Domainname", json_string(""));
    if (r == 0)
        r = json_object_set_new(config, "Image", json_string(name));
    if (r == 0)
        r = json_object_set_new(config, "OnBuild", json_null());
    if (r == 0 && !json_is_object(json_object_get(config, "Labels")))
        r = json_object_set_new(config, "Labels", json_object());
    return r;
}

int ol_container_config(const json_t *image, const char *id, const char *name, json_t **ret,
                        struct ol_error *err)
{
    const json_t *run = json_object_get(image, "config");
    json_t *config = json_object();
    int r = config == NULL ? -1 : 0;

    for (size_t i = 0; r == 0 && i < OL_ARRAY_LEN(fields); i++) {
        json_t *value = inherit(&fields[i], run);
        if (value != NULL)
            r = json_object_set_new(config, fields[i].key, value);
    }
    if (r == 0)
        r = set_own(config, id, name);
    if (r < 0) {
        json_decref(config);
        return ol_error_nomem(err);
    }
    *ret = config;
    return 0;
}

/* The words of the container's command with blanks between them. */
static int created_by(const json_t *container, struct ol_buf *ret)
{
    const json_t *word;
    size_t i;

    json_array_foreach(json_object_get(container, "Cmd"), i, word)
    {
        const char *text = json_string_value(word);
        if ((i > 0 && ol_buf_putc(ret, ' ') < 0) || (text != NULL && ol_buf_puts(ret, text) < 0))
            return -ENOMEM;
    }
    return 0;
}

/* Empty texts are left out, as Go's omitempty does. */
static int set_text(json_t *object, const char *key, const char *text)
{
    return text == NULL || text[0] == '\0' ? 0
                                           : json_object_set_new(object, key, json_string(text));
}

static json_t *history_entry(const struct ol_commit_config *commit, const char *created)
{
    ol_auto_buf struct ol_buf by = OL_BUF_INIT;
    json_t *entry = json_pack("{ss}", "created", created);
    int r = entry == NULL ? -1 : created_by(commit->container, &by);

    if (r == 0)
        r = set_text(entry, "author", commit->author);
    if (r == 0)
        r = set_text(entry, "created_by", ol_buf_str(&by));
    if (r == 0)
        r = set_text(entry, "comment", commit->message);
    if (r == 0 && commit->diff_id == NULL)
        r = json_object_set_new(entry, "empty_layer", json_true());
    if (r == 0)
        return entry;
    json_decref(entry);
    return NULL;
}

/* A copy of the parent's list with one more item; item is taken over, NULL adds none. */
static json_t *grown(const json_t *list, json_t *item)
{
    json_t *copy = json_is_array(list) ? json_deep_copy(list) : json_array();

    if (copy == NULL)
        json_decref(item);
    else if (item != NULL && json_array_append_new(copy, item) < 0) {
        json_decref(copy);
        copy = NULL;
    }
    return copy;
}

static json_t *rootfs(const struct ol_commit_config *commit)
{
    const json_t *old = json_object_get(json_object_get(commit->image, "rootfs"), "diff_ids");
    json_t *item = commit->diff_id != NULL ? json_string(commit->diff_id) : NULL;

    return json_pack("{ss, so}", "type", "layers", "diff_ids", grown(old, item));
}

/* Go's GOARCH of this machine, for a container without an image. */
static const char *own_architecture(void)
{
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#elif defined(__i386__)
    return "386";
#elif defined(__arm__)
    return "arm";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
    return "ppc64le";
#elif defined(__s390x__)
    return "s390x";
#else
    return "";
#endif
}

/* What an image hands down to its children: where it runs. */
static int set_platform(json_t *made, const json_t *image)
{
    static const char *const keys[] = {"variant", "os.version"};
    const char *architecture = ol_json_string(image, "architecture");
    const json_t *features = json_object_get(image, "os.features");
    int r = json_object_set_new(made, "architecture",
                                json_string(architecture != NULL && architecture[0] != '\0'
                                                ? architecture
                                                : own_architecture()));

    if (r == 0)
        r = json_object_set_new(made, "os", json_string("linux"));
    for (size_t i = 0; r == 0 && i < OL_ARRAY_LEN(keys); i++)
        r = set_text(made, keys[i], ol_json_string(image, keys[i]));
    if (r == 0 && json_array_size(features) > 0)
        r = json_object_set_new(made, "os.features", json_deep_copy(features));
    return r;
}

static int set_parts(json_t *made, const struct ol_commit_config *commit, const char *created)
{
    const json_t *history = json_object_get(commit->image, "history");
    json_t *entry = history_entry(commit, created);
    int r = entry == NULL ? -1 : json_object_set_new(made, "history", grown(history, entry));

    if (r == 0)
        r = set_platform(made, commit->image);
    if (r == 0)
        r = set_text(made, "author", commit->author);
    if (r == 0)
        r = json_object_set_new(made, "created", json_string(created));
    if (r == 0)
        r = json_object_set_new(made, "docker_version", json_string("overlab " OL_VERSION));
    if (r == 0)
        r = json_object_set_new(made, "container", json_string(commit->container_id));
    if (r == 0)
        r = json_object_set_new(made, "container_config", json_deep_copy(commit->container));
    return r < 0 ? r : json_object_set_new(made, "rootfs", rootfs(commit));
}

static int check(const struct ol_commit_config *commit, struct ol_error *err)
{
    const json_t *diff_ids = json_object_get(json_object_get(commit->image, "rootfs"), "diff_ids");

    if (commit->message != NULL && !check_utf8(commit->message))
        return ol_error_set(err, -EINVAL, "the message is not UTF-8");
    if (commit->author != NULL && !check_utf8(commit->author))
        return ol_error_set(err, -EINVAL, "the author is not UTF-8");
    if (commit->image != NULL && !json_is_array(diff_ids))
        return ol_error_set(err, -EBADMSG, "the config's rootfs has no array 'diff_ids'");
    if (commit->diff_id != NULL && json_array_size(diff_ids) >= OL_MAX_IMAGE_LAYERS)
        return ol_error_set(err, -E2BIG, "an image has at most %d layers", OL_MAX_IMAGE_LAYERS);
    return 0;
}

static int dump(const json_t *made, struct ol_buf *ret, struct ol_error *err)
{
    ol_auto_free char *text = json_dumps(made, JSON_COMPACT | JSON_SORT_KEYS);

    if (text == NULL || ol_buf_puts(ret, text) < 0)
        return ol_error_nomem(err);
    return ret->len > OL_IMAGE_JSON_MAX
               ? ol_error_set(err, -E2BIG, "the image's config would have more than %d bytes",
                              OL_IMAGE_JSON_MAX)
               : 0;
}

int ol_commit_config_make(const struct ol_commit_config *commit, struct ol_buf *ret,
                          struct ol_error *err)
{
    ol_auto_json json_t *made = json_object();
    json_t *run = NULL;
    char created[OL_TIME_TEXT_SIZE];
    int r = made == NULL ? ol_error_nomem(err) : check(commit, err);

    if (r == 0)
        r = ol_change_apply(commit->container, commit->changes, commit->n_changes, &run, err);
    if (r < 0)
        return r;
    ol_time_text(&commit->created, commit->created.tv_nsec != 0, created);
    if (json_object_set_new(made, "config", run) < 0 || set_parts(made, commit, created) < 0)
        return ol_error_nomem(err);
    return dump(made, ret, err);
}
