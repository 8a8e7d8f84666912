/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests over a unix socket, by libcurl, for the API of a real engine. libcurl is loaded
 * when the first client is made: linked in, it and the thirty libraries behind it would be paid for
 * by every start of the command.
 */
#ifndef OL_BENCH_ENGINES_HTTP_H
#define OL_BENCH_ENGINES_HTTP_H

#include "common/buf.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    OL_HTTP_ANSWER_MAX = 4 << 20, /* bytes of one answer */
};

struct ol_http;

struct ol_http_config {
    const char *who;               /* the server's name in messages: "dockerd" */
    const char *socket_path;       /* at most 107 bytes */
    unsigned timeout_s;            /* of one request, answer included */
    bool (*cancelled)(void *data); /* asked while waiting; may be NULL */
    void *data;
};

/** What config points to is borrowed. -ENOTSUP: libcurl is not installed. */
int ol_http_open(const struct ol_http_config *config, struct ol_http **ret, struct ol_error *err);
void ol_http_close(struct ol_http *http); /* accepts NULL */

struct ol_http_request {
    const char *method; /* "GET", "POST", "DELETE" */
    const char *path;   /* "/images/load?quiet=1" */
    const char *json;   /* body; NULL: none, or the file */
    int file_fd;        /* with file_size > 0: the body, a tar, from the start of this file */
    uint64_t file_size;
};

/**
 * Send a request and read the answer.
 * @param answer  appended to; the body, also of an error
 * @return 0 for a status of 200 to 299; -EREMOTEIO for another one, with it and the "message" of
 * the answer; -ECONNREFUSED nobody listens (yet); -ETIMEDOUT; -ECANCELED; -E2BIG; -EPIPE the
 * connection broke off
 */
int ol_http_do(struct ol_http *http, const struct ol_http_request *request, struct ol_buf *answer,
               struct ol_error *err);

#endif
