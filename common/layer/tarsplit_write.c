/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as Go's encoding/json writes them for tar-split's storage.Entry, fields in its order. */
#include "common/layer/tarsplit_lines.h"

#include "common/fault.h"
#include "common/layer/compress.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
    GZIP_LEVEL = 1, /* headers are mostly zeros: higher levels take three times as long for a fifth
                       less */
};

struct ol_tarsplit_writer {
    int fd; /* borrowed */
    struct ol_compress *gzip;
    struct ol_buf line;
    uint64_t position;
};

static int write_fd(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    const struct ol_tarsplit_writer *w = data;
    int r = ol_fault_hit("write") ? -EIO : ol_io_write(w->fd, bytes, len);

    return r < 0 ? ol_error_sys(err, -r, "cannot write the tar-split file") : 0;
}

int ol_tarsplit_writer_new(int fd, struct ol_tarsplit_writer **ret, struct ol_error *err)
{
    struct ol_tarsplit_writer *w = calloc(1, sizeof *w);
    int r;

    if (w == NULL)
        return ol_error_nomem(err);
    w->fd = fd;
    r = ol_compress_new(OL_COMPRESS_GZIP, GZIP_LEVEL, write_fd, w, &w->gzip, err);
    if (r < 0) {
        ol_tarsplit_writer_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

void ol_tarsplit_writer_free(struct ol_tarsplit_writer *w)
{
    if (w == NULL)
        return;
    ol_compress_free(w->gzip);
    ol_buf_fini(&w->line);
    free(w);
}

static int put_base64(struct ol_buf *line, const void *bytes, size_t len)
{
    size_t chars = (len + 2) / 3 * 4;

    if (ol_buf_putc(line, '"') < 0 || ol_buf_reserve(line, chars + 1) < 0)
        return -1;
    (void)EVP_EncodeBlock((unsigned char *)line->data + line->len, bytes, (int)len);
    line->len += chars;
    return ol_buf_putc(line, '"');
}

/* True for text that is a JSON string as it is. */
static bool is_plain(const char *name)
{
    for (; *name != '\0'; name++)
        if (*name < ' ' || *name > '~' || *name == '"' || *name == '\\')
            return false;
    return true;
}

/* JSON strings are UTF-8; other names go as base64. */
static int put_name(struct ol_buf *line, const char *name)
{
    json_t *json = is_plain(name) ? NULL : json_string(name);
    char *text = json != NULL ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
    int r;

    if (is_plain(name))
        r = ol_buf_printf(line, ",\"name\":\"%s\"", name);
    else if (text != NULL)
        r = ol_buf_printf(line, ",\"name\":%s", text);
    else if (ol_buf_puts(line, ",\"name_raw\":") < 0)
        r = -1;
    else
        r = put_base64(line, name, strlen(name));
    free(text);
    json_decref(json);
    return r;
}

static int put_line(struct ol_tarsplit_writer *w, int built, struct ol_error *err)
{
    if (built < 0 || ol_buf_printf(&w->line, ",\"position\":%" PRIu64 "}\n", w->position) < 0)
        return ol_error_nomem(err);
    w->position++;
    return ol_compress_write(w->gzip, ol_buf_str(&w->line), w->line.len, err);
}

int ol_tarsplit_write_segment(struct ol_tarsplit_writer *w, const void *bytes, size_t len,
                              struct ol_error *err)
{
    int r;

    ol_buf_truncate(&w->line, 0);
    r = ol_buf_printf(&w->line, "{\"type\":%d,\"payload\":", OL_TARSPLIT_SEGMENT);
    if (r >= 0)
        r = put_base64(&w->line, bytes, len);
    return put_line(w, r, err);
}

int ol_tarsplit_write_file(struct ol_tarsplit_writer *w, const char *name, uint64_t size,
                           uint64_t crc, struct ol_error *err)
{
    unsigned char sum[OL_TARSPLIT_CRC_BYTES];
    int r;

    for (size_t i = 0; i < sizeof sum; i++)
        sum[i] = (unsigned char)(crc >> (56 - 8 * i));
    ol_buf_truncate(&w->line, 0);
    r = ol_buf_printf(&w->line, "{\"type\":%d", OL_TARSPLIT_FILE);
    if (r >= 0)
        r = put_name(&w->line, name);
    if (r >= 0 && size > 0)
        r = ol_buf_printf(&w->line, ",\"size\":%" PRIu64 ",\"payload\":", size);
    if (r >= 0 && size > 0)
        r = put_base64(&w->line, sum, sizeof sum);
    if (r >= 0 && size == 0)
        r = ol_buf_puts(&w->line, ",\"payload\":null");
    return put_line(w, r, err);
}

int ol_tarsplit_writer_finish(struct ol_tarsplit_writer *w, struct ol_error *err)
{
    return ol_compress_finish(w->gzip, err);
}
