/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a tar-split file: gzip through source.c, line by line, each checked. Lines are JSON
 * objects of known keys; numbers are counts; base64 is whole; nothing is taken for granted.
 */
#include "common/layer/tarsplit_lines.h"

#include "common/io.h"
#include "common/layer/source.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { READ_CHUNK = 64 << 10 };

struct ol_tarsplit_reader {
    struct ol_source *source; /* owned */
    const struct ol_layer_limits *limits;
    struct ol_buf text; /* what was read and not handed out */
    size_t start;       /* where the next line begins in it */
    bool ended;
    uint64_t lines;
    json_t *json;           /* the line handed out */
    struct ol_buf decoded;  /* its payload */
    struct ol_buf raw_name; /* its "name_raw" */
};

int ol_tarsplit_reader_new(int fd, const struct ol_layer_limits *limits,
                           struct ol_tarsplit_reader **ret, struct ol_error *err)
{
    struct ol_tarsplit_reader *r = calloc(1, sizeof *r);
    const struct ol_input input = {.fd = fd, .offset = 0, .length = UINT64_MAX};
    int result;

    if (r == NULL)
        return ol_error_nomem(err);
    r->limits = limits;
    result = ol_source_open(&input, -1, &r->source, err);
    if (result < 0) {
        ol_tarsplit_reader_free(r);
        return result;
    }
    *ret = r;
    return 0;
}

void ol_tarsplit_reader_free(struct ol_tarsplit_reader *reader)
{
    if (reader == NULL)
        return;
    ol_source_close(reader->source);
    json_decref(reader->json);
    ol_buf_fini(&reader->text);
    ol_buf_fini(&reader->decoded);
    ol_buf_fini(&reader->raw_name);
    free(reader);
}

static int bad(const struct ol_tarsplit_reader *r, const char *what, struct ol_error *err)
{
    return ol_error_set(err, -EBADMSG, "line %llu of the tar-split file %s",
                        (unsigned long long)r->lines, what);
}

/* Read more behind what is there. */
static int more(struct ol_tarsplit_reader *r, struct ol_error *err)
{
    ssize_t n;

    if (r->start > 0) {
        memmove(r->text.data, r->text.data + r->start, r->text.len - r->start);
        ol_buf_truncate(&r->text, r->text.len - r->start);
        r->start = 0;
    }
    if (r->text.len > OL_TARSPLIT_LINE_MAX)
        return ol_error_set(err, -E2BIG,
                            "a line of the tar-split file passes the limit of %d bytes",
                            (int)OL_TARSPLIT_LINE_MAX);
    if (ol_buf_reserve(&r->text, READ_CHUNK) < 0)
        return ol_error_nomem(err);
    n = ol_source_read(r->source, r->text.data + r->text.len, READ_CHUNK, err);
    if (n < 0)
        return (int)n;
    r->text.len += (size_t)n;
    r->ended = n == 0;
    return 0;
}

/* The next line without its newline; the last may lack one. 1, or 0 at the end. */
static int next_text(struct ol_tarsplit_reader *r, const char **ret, size_t *ret_len,
                     struct ol_error *err)
{
    size_t searched = 0;
    const char *end = NULL;

    for (;;) {
        size_t len = r->text.len - r->start;
        const char *from = ol_buf_str(&r->text) + r->start;
        end = len > searched ? memchr(from + searched, '\n', len - searched) : NULL;
        if (end != NULL || r->ended)
            break;
        searched = len;
        int result = more(r, err);
        if (result < 0)
            return result;
    }
    if (end == NULL && r->start == r->text.len)
        return 0;
    *ret = r->text.data + r->start;
    *ret_len = end != NULL ? (size_t)(end - *ret) : r->text.len - r->start;
    r->start += *ret_len + (end != NULL);
    return 1;
}

/* Whole base64 with padding, as Go writes bytes. */
static int decode(const struct ol_tarsplit_reader *r, const json_t *value, struct ol_buf *ret,
                  struct ol_error *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    size_t plain = text != NULL ? strspn(text, digits) : 0;
    size_t pads = len - plain;

    ol_buf_truncate(ret, 0);
    if (text == NULL || len % 4 != 0 || pads > 2 || strspn(text + plain, "=") != pads)
        return bad(r, "holds no base64", err);
    if (ol_buf_reserve(ret, len / 4 * 3) < 0)
        return ol_error_nomem(err);
    if (EVP_DecodeBlock((unsigned char *)ret->data, (const unsigned char *)text, (int)len) < 0)
        return bad(r, "holds no base64", err);
    ret->len = len / 4 * 3 - pads;
    ret->data[ret->len] = '\0';
    return 0;
}

static int take_name(struct ol_tarsplit_reader *r, struct ol_tarsplit_line *ret,
                     struct ol_error *err)
{
    const json_t *name = json_object_get(r->json, "name");
    const json_t *raw = json_object_get(r->json, "name_raw");
    size_t len = json_string_length(name);
    int result = 0;

    ret->name = json_string_value(name);
    if (raw != NULL) {
        result = decode(r, raw, &r->raw_name, err);
        ret->name = ol_buf_str(&r->raw_name);
        len = r->raw_name.len;
    }
    if (result < 0)
        return result;
    if (ret->name == NULL || (name != NULL && raw != NULL) || strlen(ret->name) != len)
        return bad(r, "names no file", err);
    if (len > r->limits->path_bytes)
        return ol_error_set(err, -E2BIG,
                            "a name in the tar-split file passes the limit of %llu bytes "
                            "(path_bytes)",
                            (unsigned long long)r->limits->path_bytes);
    return 0;
}

static int take_file(struct ol_tarsplit_reader *r, struct ol_tarsplit_line *ret,
                     struct ol_error *err)
{
    const json_t *size = json_object_get(r->json, "size");
    int result = take_name(r, ret, err);

    if (result < 0)
        return result;
    if (size != NULL && (!json_is_integer(size) || json_integer_value(size) < 0))
        return bad(r, "has a 'size' that is none", err);
    ret->size = (uint64_t)json_integer_value(size);
    if (ret->size > r->limits->file_bytes)
        return ol_error_set(
            err, -E2BIG, "the %llu bytes of '%s' pass the limit of %llu (file_bytes)",
            (unsigned long long)ret->size, ret->name, (unsigned long long)r->limits->file_bytes);
    if (ret->size == 0)
        return 0;
    result = decode(r, json_object_get(r->json, "payload"), &r->decoded, err);
    if (result == 0 && r->decoded.len != OL_TARSPLIT_CRC_BYTES)
        return bad(r, "holds no CRC-64", err);
    for (size_t i = 0; result == 0 && i < OL_TARSPLIT_CRC_BYTES; i++)
        ret->crc = ret->crc << 8 | (unsigned char)r->decoded.data[i];
    return result;
}

static int take_segment(struct ol_tarsplit_reader *r, struct ol_tarsplit_line *ret,
                        struct ol_error *err)
{
    int result = decode(r, json_object_get(r->json, "payload"), &r->decoded, err);

    ret->bytes = ol_buf_str(&r->decoded);
    ret->len = r->decoded.len;
    return result;
}

static int take_line(struct ol_tarsplit_reader *r, struct ol_tarsplit_line *ret,
                     struct ol_error *err)
{
    const json_t *type = json_object_get(r->json, "type");
    const json_t *position = json_object_get(r->json, "position");

    if (!json_is_integer(position) || json_integer_value(position) != (json_int_t)r->lines)
        return bad(r, "is out of its place", err);
    if (json_is_integer(type) && json_integer_value(type) == OL_TARSPLIT_FILE) {
        ret->type = OL_TARSPLIT_FILE;
        return take_file(r, ret, err);
    }
    if (json_is_integer(type) && json_integer_value(type) == OL_TARSPLIT_SEGMENT) {
        ret->type = OL_TARSPLIT_SEGMENT;
        return take_segment(r, ret, err);
    }
    return bad(r, "has an unknown type", err);
}

int ol_tarsplit_read_line(struct ol_tarsplit_reader *reader, struct ol_tarsplit_line *ret,
                          struct ol_error *err)
{
    struct ol_tarsplit_reader *r = reader;
    struct ol_tarsplit_line line = {.type = 0};
    const char *text = NULL;
    size_t len = 0;
    int result = next_text(r, &text, &len, err);

    if (result <= 0)
        return result;
    json_decref(r->json);
    r->json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(r->json))
        return bad(r, "is no JSON object", err);
    result = take_line(r, &line, err);
    if (result < 0)
        return result;
    r->lines++;
    *ret = line;
    return 1;
}
