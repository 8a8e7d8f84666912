/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests to dockerd's API (version of the daemon's own choice; checked with 1.41) and what is
 * taken from the answers, which are held to be as hostile as any input.
 */
#include "bench/engines/docker.h"

#include "bench/engines/command.h"
#include "common/cleanup.h"

#include <string.h>

/* A connection that breaks off may be a daemon that died: then its last words are the reason. */
static int send_request(struct docker *d, const struct ol_http_request *request,
                        struct ol_buf *answer, struct ol_error *err)
{
    ol_auto_error struct ol_error end = OL_ERROR_INIT;
    int r = ol_http_do(d->http, request, answer, err);

    if ((r != -EPIPE && r != -ECONNREFUSED) || !ol_daemon_ends_soon(d->daemon, &end))
        return r;
    ol_error_fini(err);
    return ol_error_set(err, -ECHILD, "%s (at %s %s)", ol_error_text(&end), request->method,
                        request->path);
}

/* Send it, and parse the answer. */
static int ask(struct docker *d, const struct ol_http_request *request, json_t **ret,
               struct ol_error *err)
{
    ol_auto_buf struct ol_buf answer = OL_BUF_INIT;
    json_error_t where;
    int r = send_request(d, request, &answer, err);

    if (r < 0)
        return r;
    *ret = json_loadb(ol_buf_str(&answer), answer.len, JSON_REJECT_DUPLICATES, &where);
    if (*ret == NULL)
        return ol_error_set(err, -EBADMSG, "dockerd's answer to %s %s is no JSON: %s",
                            request->method, request->path, where.text);
    return 0;
}

static int ask_path(struct docker *d, const char *method, const char *format, const char *id,
                    json_t **ret, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    struct ol_http_request request = {.method = method};
    const char *at = strstr(format, "%s");

    if (asprintf(&path, "%.*s%s%s", (int)(at - format), format, id, at + 2) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    request.path = path;
    if (ret != NULL)
        return ask(d, &request, ret, err);
    return send_request(d, &request, NULL, err);
}

static int bad_answer(const char *what, struct ol_error *err)
{
    return ol_error_set(err, -EBADMSG, "dockerd's answer lacks a good %s", what);
}

int ol_docker_version(struct docker *d, struct ol_error *err)
{
    const struct ol_http_request request = {.method = "GET", .path = "/version"};
    ol_auto_json json_t *json = NULL;
    const char *version;
    int r = ask(d, &request, &json, err);

    if (r < 0)
        return r;
    version = json_string_value(json_object_get(json, "Version"));
    if (version == NULL)
        return bad_answer("'Version'", err);
    (void)snprintf(d->base.version, sizeof d->base.version, "%s", version); /* may be cut */
    return 0;
}

/* The answer is a stream of JSON objects; a failure comes in one of them, with status 200. */
static int judge_load(const struct ol_buf *answer, struct ol_error *err)
{
    const char *text = ol_buf_str(answer);
    size_t left = answer->len;

    while (left > 0) {
        ol_auto_json json_t *json = NULL;
        json_error_t where;
        const char *why;

        json = json_loadb(text, left, JSON_DISABLE_EOF_CHECK, &where);
        if (json == NULL)
            return ol_error_set(err, -EBADMSG, "dockerd's answer to a load is no JSON: %s",
                                where.text);
        why = json_string_value(json_object_get(json, "error"));
        if (why != NULL)
            return ol_error_set(err, -EREMOTEIO, "dockerd did not load the layer: %s", why);
        text += where.position;
        left -= (size_t)where.position;
        while (left > 0 && (*text == '\r' || *text == '\n' || *text == ' ')) {
            text++;
            left--;
        }
    }
    return 0;
}

int ol_docker_load(struct docker *d, struct ol_error *err)
{
    const struct ol_http_request request = {
        .method = "POST",
        .path = "/images/load?quiet=1",
        .file_fd = d->next.fd,
        .file_size = d->next.size,
    };
    ol_auto_buf struct ol_buf answer = OL_BUF_INIT;
    int r = send_request(d, &request, &answer, err);

    return r < 0 ? r : judge_load(&answer, err);
}

/* 64 hex digits. */
static bool is_id(const char *text)
{
    return text != NULL && strlen(text) == OL_HEX_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == OL_HEX_SIZE - 1;
}

int ol_docker_create(struct docker *d, const char *image, char ret[static OL_HEX_SIZE],
                     struct ol_error *err)
{
    ol_auto_free char *body = NULL;
    struct ol_http_request request = {.method = "POST", .path = "/containers/create"};
    ol_auto_json json_t *json = NULL;
    const char *id;
    int r;

    if (asprintf(&body,
                 "{\"Image\":\"%s\",\"Cmd\":[\"/bin/true\"],"
                 "\"HostConfig\":{\"NetworkMode\":\"none\"}}",
                 image) < 0) {
        body = NULL;
        return ol_error_nomem(err);
    }
    request.json = body;
    r = ask(d, &request, &json, err);
    if (r < 0)
        return r;
    id = json_string_value(json_object_get(json, "Id"));
    if (!is_id(id))
        return bad_answer("container 'Id'", err);
    memcpy(ret, id, OL_HEX_SIZE);
    return 0;
}

int ol_docker_commit(struct docker *d, const char *container, char ret[static OL_DIGEST_SIZE],
                     struct ol_error *err)
{
    ol_auto_json json_t *json = NULL;
    const char *id;
    int r = ask_path(d, "POST", "/commit?container=%s&pause=0", container, &json, err);

    if (r < 0)
        return r;
    id = json_string_value(json_object_get(json, "Id"));
    if (id == NULL || !ol_digest_valid(id))
        return bad_answer("image 'Id'", err);
    memcpy(ret, id, OL_DIGEST_SIZE);
    return 0;
}

int ol_docker_delete(struct docker *d, const char *path, const char *id, struct ol_error *err)
{
    return ask_path(d, "DELETE", path, id, NULL, err);
}

int ol_docker_describe_image(struct docker *d, const char *image, struct ol_engine_report *ret,
                             struct ol_error *err)
{
    ol_auto_json json_t *json = NULL;
    const json_t *layers;
    char chain[OL_DIGEST_SIZE];
    int r = ask_path(d, "GET", "/images/%s/json", image, &json, err);

    if (r < 0)
        return r;
    layers = json_object_get(json_object_get(json, "RootFS"), "Layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *diff_id = json_string_value(json_array_get(layers, i));

        if (diff_id == NULL || !ol_digest_valid(diff_id))
            return bad_answer("DiffID", err);
        memcpy(chain, ret->id, sizeof chain);
        r = ol_chain_id(i > 0 ? chain : NULL, diff_id, ret->id, err);
        if (r < 0)
            return r;
        memcpy(ret->diff_id, diff_id, OL_DIGEST_SIZE);
    }
    return ret->id[0] != '\0' ? 0 : bad_answer("'RootFS.Layers'", err);
}

int ol_docker_describe_mount(struct docker *d, const char *container, struct ol_error *err)
{
    ol_auto_json json_t *json = NULL;
    const json_t *data;
    const char *lower, *upper, *work, *merged;
    int r = ask_path(d, "GET", "/containers/%s/json", container, &json, err);

    if (r < 0)
        return r;
    data = json_object_get(json_object_get(json, "GraphDriver"), "Data");
    lower = json_string_value(json_object_get(data, "LowerDir"));
    upper = json_string_value(json_object_get(data, "UpperDir"));
    work = json_string_value(json_object_get(data, "WorkDir"));
    merged = json_string_value(json_object_get(data, "MergedDir"));
    if (lower == NULL || upper == NULL || work == NULL || merged == NULL)
        return bad_answer("'GraphDriver.Data'", err);
    return ol_engine_mount_set(&d->mount, d->home, lower, upper, work, merged, err);
}
