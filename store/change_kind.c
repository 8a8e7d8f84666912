/* SPDX-License-Identifier: Apache-2.0 */
/* What each instruction does to a config (moby builder/dockerfile/dispatchers.go). */
#include "store/change_internal.h"

#include "common/cleanup.h"
#include "store/change.h"
#include "store/change_word.h"
#include "store/image_internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

int ol_change_needs(const struct ol_change *change, const char *how_many)
{
    return ol_error_set(change->err, -EINVAL, "%s requires %s argument", change->name, how_many);
}

int ol_change_set(const struct ol_change *change, const char *key, json_t *value)
{
    return json_object_set_new(change->config, key, value) < 0 ? ol_error_nomem(change->err) : 0;
}

/* Go's decoder stops behind the array, so what follows it is not looked at. */
int ol_change_json(const struct ol_change *change, const char *text, json_t **ret)
{
    json_t *array = text[0] == '[' ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    const json_t *item;
    size_t i;

    if (array == NULL)
        return 0;
    json_array_foreach(array, i, item)
    {
        if (json_is_string(item))
            continue;
        json_decref(array);
        return ol_error_set(change->err, -EINVAL,
                            "when using JSON array syntax, arrays must be comprised of strings "
                            "only");
    }
    *ret = array;
    return 1;
}

/* The config's object at key, made where there is none. */
static json_t *object_at(const struct ol_change *change, const char *key)
{
    json_t *object = json_object_get(change->config, key);

    if (json_is_object(object))
        return object;
    return ol_change_set(change, key, json_object()) < 0 ? NULL
                                                         : json_object_get(change->config, key);
}

static json_t *array_at(const struct ol_change *change, const char *key)
{
    json_t *array = json_object_get(change->config, key);

    if (json_is_array(array))
        return array;
    return ol_change_set(change, key, json_array()) < 0 ? NULL
                                                        : json_object_get(change->config, key);
}

static int expand(const struct ol_change *change, const char *word, char **ret)
{
    return ol_word_expand(word, json_object_get(change->config, "Env"), ret, change->err);
}

/* ---- CMD, ENTRYPOINT ---- */

/* A JSON array, or a line for the image's shell. */
static int command_line(const struct ol_change *change, json_t **ret)
{
    json_t *shell = json_object_get(change->config, "Shell");
    json_t *line;
    int r = ol_change_json(change, change->rest, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    line = json_array_size(shell) > 0 ? json_deep_copy(shell)
                                      : json_pack("[s, s]", "/bin/sh", "-c");
    if (line == NULL ||
        (!change->blank && json_array_append_new(line, json_string(change->rest)) < 0)) {
        json_decref(line);
        return ol_error_nomem(change->err);
    }
    *ret = line;
    return 0;
}

int ol_change_cmd(struct ol_change *change)
{
    json_t *line = NULL;
    int r = command_line(change, &line);

    if (r < 0)
        return r;
    *change->cmd_set = *change->cmd_set || json_array_size(line) > 0;
    return ol_change_set(change, "Cmd", line);
}

/* An entry point without a CMD beside it drops the CMD there was. An empty one is none. */
int ol_change_entrypoint(struct ol_change *change)
{
    json_t *line = NULL;
    int r = change->blank ? 0 : command_line(change, &line);

    if (r < 0)
        return r;
    if (json_array_size(line) == 0) {
        json_decref(line);
        line = json_null();
    }
    r = ol_change_set(change, "Entrypoint", line);
    return r < 0 || *change->cmd_set ? r : ol_change_set(change, "Cmd", json_null());
}

/* ---- ENV, LABEL ---- */

/* Take the pair "name", "value", both expanded. */
typedef int pair_fn(const struct ol_change *change, const char *name, const char *value);

static int expand_pair(const struct ol_change *change, const json_t *env, const char *name,
                       const char *value, pair_fn *fn)
{
    ol_auto_free char *clean_name = NULL;
    ol_auto_free char *clean_value = NULL;
    int r = ol_word_expand(name, env, &clean_name, change->err);

    if (r == 0)
        r = ol_word_expand(value, env, &clean_value, change->err);
    if (r == 0 && clean_name[0] == '\0')
        r = ol_error_set(change->err, -EINVAL, "%s names can not be blank", change->name);
    return r < 0 ? r : fn(change, clean_name, clean_value);
}

/* "NAME the rest of the line" */
static int old_pair(const struct ol_change *change, const json_t *env, pair_fn *fn)
{
    size_t len = strcspn(change->rest, " \t");
    const char *value = change->rest + len + strspn(change->rest + len, " \t");
    ol_auto_free char *name = strndup(change->rest, len);

    if (name == NULL)
        return ol_error_nomem(change->err);
    if (value[0] == '\0')
        return ol_error_set(change->err, -EINVAL, "%s must have two arguments", change->name);
    return expand_pair(change, env, name, value, fn);
}

static int new_pair(const struct ol_change *change, const json_t *env, const char *word,
                    pair_fn *fn)
{
    const char *equals = strchr(word, '=');
    ol_auto_free char *name = equals != NULL ? strndup(word, (size_t)(equals - word)) : NULL;

    if (equals == NULL)
        return ol_error_set(change->err, -EINVAL,
                            "Syntax error - can't find = in '%s'. Must be of the form: name=value",
                            word);
    if (name == NULL)
        return ol_error_nomem(change->err);
    return expand_pair(change, env, name, equals + 1, fn);
}

/* All pairs of one line see the variables as they were before it. */
static int each_pair(const struct ol_change *change, pair_fn *fn)
{
    ol_auto_json json_t *env = json_deep_copy(json_object_get(change->config, "Env"));
    ol_auto_json json_t *words = NULL;
    const char *first;
    int r;

    if (change->blank)
        return ol_change_needs(change, "at least one");
    r = ol_word_split(change->rest, &words, change->err);
    if (r < 0)
        return r;
    first = json_string_value(json_array_get(words, 0));
    if (first != NULL && strchr(first, '=') == NULL)
        return old_pair(change, env, fn);
    for (size_t i = 0; r == 0 && i < json_array_size(words); i++)
        r = new_pair(change, env, json_string_value(json_array_get(words, i)), fn);
    return r;
}

static int set_variable(const struct ol_change *change, const char *name, const char *value)
{
    json_t *env = array_at(change, "Env");
    json_t *pair = json_sprintf("%s=%s", name, value);
    size_t len = strlen(name);

    if (env == NULL || pair == NULL) {
        json_decref(pair);
        return ol_error_nomem(change->err);
    }
    for (size_t i = 0; i < json_array_size(env); i++) {
        const char *old = json_string_value(json_array_get(env, i));
        if (old != NULL && strncmp(old, name, len) == 0 && (old[len] == '=' || old[len] == '\0'))
            return json_array_set_new(env, i, pair) < 0 ? ol_error_nomem(change->err) : 0;
    }
    return json_array_append_new(env, pair) < 0 ? ol_error_nomem(change->err) : 0;
}

int ol_change_env(struct ol_change *change)
{
    return each_pair(change, set_variable);
}

static int set_label(const struct ol_change *change, const char *name, const char *value)
{
    json_t *labels = object_at(change, "Labels");

    return labels == NULL || json_object_set_new(labels, name, json_string(value)) < 0
               ? ol_error_nomem(change->err)
               : 0;
}

int ol_change_label(struct ol_change *change)
{
    return each_pair(change, set_label);
}

/* ---- EXPOSE ---- */

static bool parse_port(const char *text, size_t len, unsigned *ret)
{
    unsigned value = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
        if (value > 65535)
            return false;
    }
    *ret = value;
    return len > 0;
}

/* go-connections nat.ParsePortSpec: "[[ip:]host:]from[-to][/proto]"; only the container's part. */
static int expose_port(const struct ol_change *change, const char *spec)
{
    json_t *ports = object_at(change, "ExposedPorts");
    const char *colon = strrchr(spec, ':');
    const char *port = colon != NULL ? colon + 1 : spec;
    size_t len = strcspn(port, "/");
    size_t dash = strcspn(port, "-");
    const char *proto = port[len] == '/' && port[len + 1] != '\0' ? port + len + 1 : "tcp";
    size_t proto_len = strcspn(proto, "/");
    unsigned from = 0, to = 0;
    bool ok = dash < len ? parse_port(port, dash, &from) &&
                               parse_port(port + dash + 1, len - dash - 1, &to) && from <= to
                         : parse_port(port, len, &from);

    if (!ok)
        return ol_error_set(change->err, -EINVAL, "Invalid containerPort: %.*s", (int)len, port);
    to = dash < len ? to : from;
    if (!((proto_len == 3 && strncasecmp(proto, "tcp", 3) == 0) ||
          (proto_len == 3 && strncasecmp(proto, "udp", 3) == 0) ||
          (proto_len == 4 && strncasecmp(proto, "sctp", 4) == 0)))
        return ol_error_set(change->err, -EINVAL, "Invalid proto: %.*s", (int)proto_len, proto);
    for (unsigned n = from; n <= to; n++) {
        char key[24];

        (void)snprintf(key, sizeof key, "%u/%s", n,
                       proto_len == 4                      ? "sctp"
                       : strncasecmp(proto, "udp", 3) == 0 ? "udp"
                                                           : "tcp");
        if (ports == NULL || json_object_set_new(ports, key, json_object()) < 0)
            return ol_error_nomem(change->err);
    }
    return 0;
}

int ol_change_expose(struct ol_change *change)
{
    ol_auto_json json_t *words = NULL;
    int r;

    if (change->blank)
        return ol_change_needs(change, "at least one");
    r = ol_word_split_blanks(change->rest, &words, change->err);
    for (size_t i = 0; r == 0 && i < json_array_size(words); i++) {
        ol_auto_free char *text = NULL;
        ol_auto_json json_t *specs = NULL;

        r = expand(change, json_string_value(json_array_get(words, i)), &text);
        if (r == 0)
            r = ol_word_split_blanks(text, &specs, change->err);
        for (size_t k = 0; r == 0 && k < json_array_size(specs); k++)
            r = expose_port(change, json_string_value(json_array_get(specs, k)));
    }
    return r;
}

/* ---- the others ---- */

/* The trigger is kept as it was written, trailing blanks and all. */
int ol_change_onbuild(struct ol_change *change)
{
    size_t len = strcspn(change->rest, " \t");
    json_t *triggers;

    if (change->blank)
        return ol_change_needs(change, "at least one");
    if (len == 7 && strncasecmp(change->rest, "ONBUILD", len) == 0)
        return ol_error_set(change->err, -EINVAL,
                            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if ((len == 4 && strncasecmp(change->rest, "FROM", len) == 0) ||
        (len == 10 && strncasecmp(change->rest, "MAINTAINER", len) == 0))
        return ol_error_set(change->err, -EINVAL, "%s isn't allowed as an ONBUILD trigger",
                            len == 4 ? "FROM" : "MAINTAINER");
    triggers = array_at(change, "OnBuild");
    return triggers == NULL || json_array_append_new(triggers, json_string(change->raw)) < 0
               ? ol_error_nomem(change->err)
               : 0;
}

int ol_change_user(struct ol_change *change)
{
    ol_auto_free char *user = NULL;
    int r = change->blank ? ol_change_needs(change, "exactly one")
                          : expand(change, change->rest, &user);

    return r < 0 ? r : ol_change_set(change, "User", json_string(user));
}

int ol_change_volume(struct ol_change *change)
{
    ol_auto_json json_t *paths = NULL;
    json_t *volumes;
    int r = ol_change_json(change, change->rest, &paths);

    if (r == 0)
        r = ol_word_split_blanks(change->rest, &paths, change->err);
    if (r >= 0 && json_array_size(paths) == 0)
        r = ol_change_needs(change, "at least one");
    volumes = r < 0 ? NULL : object_at(change, "Volumes");
    for (size_t i = 0; r >= 0 && i < json_array_size(paths); i++) {
        ol_auto_free char *path = NULL;

        r = expand(change, json_string_value(json_array_get(paths, i)), &path);
        if (r == 0 && path[strspn(path, " \t\n")] == '\0')
            r = ol_error_set(change->err, -EINVAL, "VOLUME specified can not be an empty string");
        if (r == 0 && (volumes == NULL || json_object_set_new(volumes, path, json_object()) < 0))
            r = ol_error_nomem(change->err);
    }
    return r < 0 ? r : 0;
}

/* Go's filepath.Join("/", base, path), into ret. */
static int join_paths(const char *base, const char *path, struct ol_buf *ret)
{
    ol_auto_free char *both = NULL;
    char *save = NULL;

    if (asprintf(&both, "%s/%s", base, path) < 0) {
        both = NULL;
        return -ENOMEM;
    }
    for (char *part = strtok_r(both, "/", &save); part != NULL; part = strtok_r(NULL, "/", &save)) {
        const char *slash;

        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") != 0) {
            if (ol_buf_putc(ret, '/') < 0 || ol_buf_puts(ret, part) < 0)
                return -ENOMEM;
            continue;
        }
        slash = ret->len > 0 ? strrchr(ol_buf_str(ret), '/') : NULL;
        if (slash != NULL)
            ol_buf_truncate(ret, (size_t)(slash - ret->data));
    }
    return ret->len == 0 ? ol_buf_putc(ret, '/') : 0;
}

int ol_change_workdir(struct ol_change *change)
{
    const char *current = ol_json_string(change->config, "WorkingDir");
    ol_auto_free char *path = NULL;
    ol_auto_buf struct ol_buf joined = OL_BUF_INIT;
    int r = change->blank ? ol_change_needs(change, "exactly one")
                          : expand(change, change->rest, &path);

    if (r == 0 && path[0] == '\0')
        r = ol_error_set(change->err, -EINVAL, "cannot normalize nothing");
    if (r < 0)
        return r;
    if (path[0] == '/')
        return ol_change_set(change, "WorkingDir", json_string(path));
    if (join_paths(current != NULL ? current : "", path, &joined) < 0)
        return ol_error_nomem(change->err);
    return ol_change_set(change, "WorkingDir", json_string(ol_buf_str(&joined)));
}
