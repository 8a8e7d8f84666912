/* SPDX-License-Identifier: Apache-2.0 */
/* Building JSON; see json_put.h. */
#include "bench/report/json_put.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

int ol_json_put_bytes(json_t *object, const char *key, const char *text)
{
    ol_auto_free char *hex_key = NULL;
    ol_auto_buf struct ol_buf hex = OL_BUF_INIT;
    json_t *value = json_string(text);

    if (value != NULL)
        return json_object_set_new(object, key, value);
    if (asprintf(&hex_key, "%s_hex", key) < 0) {
        hex_key = NULL;
        return -1;
    }
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (ol_buf_printf(&hex, "%02x", *c) < 0)
            return -1;
    }
    return json_object_set_new(object, hex_key, json_string(ol_buf_str(&hex)));
}

void ol_json_put(json_t *object, const char *key, json_t *value, int *r)
{
    if (value == NULL || json_object_set_new(object, key, value) < 0)
        *r = -ENOMEM;
}

void ol_json_push(json_t *array, json_t *value, int *r)
{
    if (value == NULL || json_array_append_new(array, value) < 0)
        *r = -ENOMEM;
}

json_t *ol_json_text(const char *text)
{
    ol_auto_free char *copy = NULL;
    json_t *json = json_string(text);

    if (json != NULL)
        return json;
    copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (char *c = copy; *c != '\0'; c++) {
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    }
    return json_string(copy);
}

json_t *ol_json_count(uint64_t count)
{
    return json_integer((json_int_t)count);
}

int ol_json_print(const json_t *json, FILE *out)
{
    if (json == NULL)
        return -ENOMEM;
    if (json_dumpf(json, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) < 0 && ferror(out) == 0)
        return -ENOMEM;
    fputc('\n', out);
    return 0;
}
