/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP over a unix socket; see http.h. */
#include "bench/engines/http.h"

#include "common/cleanup.h"
#include "common/io.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <string.h>
#include <sys/un.h>

/* libcurl's functions; the header's macros around curl_easy_setopt() do not see a pointer, so what
 * is passed must have exactly the documented type (long, pointer, curl_off_t). */
static struct {
    CURLcode (*global_init)(long flags);
    CURL *(*init)(void);
    CURLcode (*setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*perform)(CURL *curl);
    CURLcode (*getinfo)(CURL *curl, CURLINFO info, ...);
    void (*reset)(CURL *curl);
    void (*cleanup)(CURL *curl);
    const char *(*strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    bool loaded;
    char why_not[256];
} lib;

static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

static bool resolve(void *handle)
{
    const struct {
        const char *name;
        void *slot; /* of a function pointer; POSIX lets dlsym() fill one as a void * */
    } wanted[] = {
        {"curl_global_init", &lib.global_init},   {"curl_easy_init", &lib.init},
        {"curl_easy_setopt", &lib.setopt},        {"curl_easy_perform", &lib.perform},
        {"curl_easy_getinfo", &lib.getinfo},      {"curl_easy_reset", &lib.reset},
        {"curl_easy_cleanup", &lib.cleanup},      {"curl_easy_strerror", &lib.strerror},
        {"curl_slist_append", &lib.slist_append}, {"curl_slist_free_all", &lib.slist_free_all},
    };

    for (size_t i = 0; i < OL_ARRAY_LEN(wanted); i++) {
        void *symbol = dlsym(handle, wanted[i].name);

        if (symbol == NULL)
            return false;
        memcpy(wanted[i].slot, &symbol, sizeof symbol);
    }
    return true;
}

/* The library stays loaded for the rest of the process. */
static void load(void)
{
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

    if (handle == NULL)
        handle = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    lib.loaded = handle != NULL && resolve(handle) && lib.global_init(CURL_GLOBAL_NOTHING) == 0;
    if (!lib.loaded) {
        const char *why = dlerror();

        (void)snprintf(lib.why_not, sizeof lib.why_not, "%s", /* may be cut */
                       why != NULL ? why : "it does not start");
    }
}

struct ol_http {
    struct ol_http_config config;
    CURL *curl;              /* owned */
    struct curl_slist *json; /* owned; headers of a JSON body */
    struct curl_slist *tar;  /* owned; headers of a file */
    char said[CURL_ERROR_SIZE];
};

void ol_http_close(struct ol_http *http)
{
    if (http == NULL)
        return;
    if (http->curl != NULL)
        lib.cleanup(http->curl);
    lib.slist_free_all(http->json); /* accepts NULL */
    lib.slist_free_all(http->tar);
    free(http);
}

int ol_http_open(const struct ol_http_config *config, struct ol_http **ret, struct ol_error *err)
{
    struct ol_http *http;

    if (strlen(config->socket_path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return ol_error_set(err, -ENAMETOOLONG, "the path of a socket is too long: '%s'",
                            config->socket_path);
    (void)pthread_once(&lib_once, load); /* fails only for a bad control word */
    if (!lib.loaded)
        return ol_error_set(err, -ENOTSUP,
                            "cannot load libcurl, which talks to %s (Debian: install libcurl4): %s",
                            config->who, lib.why_not);
    http = calloc(1, sizeof *http);
    if (http == NULL)
        return ol_error_nomem(err);
    http->config = *config;
    http->curl = lib.init();
    /* "Expect:" away: waiting for a 100 Continue before the body would be timed as the engine's */
    http->json = lib.slist_append(NULL, "Content-Type: application/json");
    http->tar = lib.slist_append(NULL, "Content-Type: application/x-tar");
    if (http->curl == NULL || http->json == NULL || http->tar == NULL ||
        lib.slist_append(http->json, "Expect:") == NULL ||
        lib.slist_append(http->tar, "Expect:") == NULL) {
        ol_http_close(http);
        return ol_error_nomem(err);
    }
    *ret = http;
    return 0;
}

/* ---- one request ---- */

struct transfer {
    struct ol_http *http;
    const struct ol_http_request *request;
    struct ol_buf *answer;
    uint64_t sent;
    size_t start; /* length of answer before */
    int failure;  /* negative errno of a callback */
};

static size_t take_answer(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t len = size * count; /* libcurl: size is 1, a block at most 16 KiB */

    if (t->answer->len - t->start + len > OL_HTTP_ANSWER_MAX)
        t->failure = -E2BIG;
    else
        t->failure = ol_buf_append(t->answer, data, len);
    return t->failure < 0 ? 0 : len;
}

static size_t give_file(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    uint64_t left = t->request->file_size - t->sent;
    size_t len = size * count < left ? size * count : (size_t)left;
    ssize_t n = ol_io_pread(t->request->file_fd, data, len, (int64_t)t->sent);

    if (n != (ssize_t)len) {
        t->failure = n < 0 ? (int)n : -ENODATA;
        return CURL_READFUNC_ABORT;
    }
    t->sent += len;
    return len;
}

static int is_cancelled(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                        curl_off_t up)
{
    const struct ol_http_config *config = &((struct transfer *)user)->http->config;

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return config->cancelled != NULL && config->cancelled(config->data);
}

static bool set_body(struct transfer *t)
{
    CURL *curl = t->http->curl;
    const struct ol_http_request *request = t->request;
    CURLcode bad = CURLE_OK;

    if (request->file_size > 0) {
        bad |= lib.setopt(curl, CURLOPT_POST, 1L);
        bad |= lib.setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->file_size);
        bad |= lib.setopt(curl, CURLOPT_READFUNCTION, give_file);
        bad |= lib.setopt(curl, CURLOPT_READDATA, t);
        bad |= lib.setopt(curl, CURLOPT_HTTPHEADER, t->http->tar);
        bad |= lib.setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)(1 << 20));
    } else if (strcmp(request->method, "POST") == 0) {
        bad |= lib.setopt(curl, CURLOPT_POSTFIELDS, request->json != NULL ? request->json : "");
        bad |= lib.setopt(curl, CURLOPT_HTTPHEADER, t->http->json);
    }
    return bad == CURLE_OK;
}

static bool set_up(struct transfer *t, const char *url)
{
    CURL *curl = t->http->curl;
    const struct ol_http_config *config = &t->http->config;
    CURLcode bad = CURLE_OK;

    lib.reset(curl); /* keeps the connection */
    bad |= lib.setopt(curl, CURLOPT_URL, url);
    bad |= lib.setopt(curl, CURLOPT_UNIX_SOCKET_PATH, config->socket_path);
    bad |= lib.setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
    bad |= lib.setopt(curl, CURLOPT_NOSIGNAL, 1L);
    bad |= lib.setopt(curl, CURLOPT_TIMEOUT_MS, (long)config->timeout_s * 1000);
    bad |= lib.setopt(curl, CURLOPT_ERRORBUFFER, t->http->said);
    bad |= lib.setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    bad |= lib.setopt(curl, CURLOPT_WRITEDATA, t);
    bad |= lib.setopt(curl, CURLOPT_XFERINFOFUNCTION, is_cancelled);
    bad |= lib.setopt(curl, CURLOPT_XFERINFODATA, t);
    bad |= lib.setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (!set_body(t))
        return false;
    /* last: a body chose the method already */
    bad |= lib.setopt(curl, CURLOPT_CUSTOMREQUEST, t->request->method);
    return bad == CURLE_OK;
}

/* {"message": "…"} is how dockerd words an error; anything else is quoted as it is. */
static int tell_refusal(const struct transfer *t, long status, struct ol_error *err)
{
    const char *body = ol_buf_str(t->answer) + t->start;
    json_t *json = json_loads(body, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    int r = ol_error_set(err, -EREMOTEIO, "%s answered %ld to %s %s: %.500s", t->http->config.who,
                         status, t->request->method, t->request->path,
                         message != NULL   ? message
                         : body[0] != '\0' ? body
                                           : "(no text)");

    json_decref(json);
    return r;
}

static int tell_failure(const struct transfer *t, CURLcode code, struct ol_error *err)
{
    const struct ol_http_config *config = &t->http->config;
    const struct ol_http_request *request = t->request;

    switch (code) {
    case CURLE_COULDNT_CONNECT:
        return ol_error_set(err, -ECONNREFUSED, "nobody answers at the socket of %s", config->who);
    case CURLE_OPERATION_TIMEDOUT:
        return ol_error_set(err, -ETIMEDOUT, "%s did not answer %s %s within %u s", config->who,
                            request->method, request->path, config->timeout_s);
    case CURLE_ABORTED_BY_CALLBACK:
        if (t->failure == 0)
            return ol_error_set(err, -ECANCELED, "interrupted");
        return ol_error_sys(err, -t->failure, "cannot read what %s is to get", config->who);
    case CURLE_WRITE_ERROR:
        return ol_error_sys(err, -t->failure, "cannot take the answer of %s to %s %s", config->who,
                            request->method, request->path);
    case CURLE_OUT_OF_MEMORY:
        return ol_error_nomem(err);
    default:
        return ol_error_set(err, -EPIPE, "%s %s broke off at %s: %s", request->method,
                            request->path, config->who,
                            t->http->said[0] != '\0' ? t->http->said : lib.strerror(code));
    }
}

int ol_http_do(struct ol_http *http, const struct ol_http_request *request, struct ol_buf *answer,
               struct ol_error *err)
{
    ol_auto_buf struct ol_buf own = OL_BUF_INIT;
    struct transfer t = {
        .http = http,
        .request = request,
        .answer = answer != NULL ? answer : &own,
    };
    ol_auto_free char *url = NULL;
    CURLcode code;
    long status = 0;

    t.start = t.answer->len;
    http->said[0] = '\0';
    if (asprintf(&url, "http://localhost%s", request->path) < 0) {
        url = NULL;
        return ol_error_nomem(err);
    }
    if (!set_up(&t, url))
        return ol_error_set(err, -ENOTSUP, "this libcurl lacks what talking to %s needs",
                            http->config.who);
    code = lib.perform(http->curl);
    if (code != CURLE_OK)
        return tell_failure(&t, code, err);
    (void)lib.getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status); /* cannot fail after perform */
    return status >= 200 && status < 300 ? 0 : tell_refusal(&t, status, err);
}
