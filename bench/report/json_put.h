/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building JSON. A function with r keeps its first failure (-ENOMEM) there and goes on: who made
 * the whole looks once, at the end.
 */
#ifndef OL_BENCH_REPORT_JSON_PUT_H
#define OL_BENCH_REPORT_JSON_PUT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

static inline void ol_json_drop(json_t **json)
{
    json_decref(*json);
}
#define ol_auto_json_t __attribute__((cleanup(ol_json_drop)))

/** Put a new reference under a key; value NULL: there was no memory for it. */
void ol_json_put(json_t *object, const char *key, json_t *value, int *r);
void ol_json_push(json_t *array, json_t *value, int *r);
/** Texts from outside (paths) need not be UTF-8: other bytes become "?" rather than an error. */
json_t *ol_json_text(const char *text);
/** Set object[key] to text, or object["<key>_hex"] where it is not UTF-8. @return 0 or -1 */
int ol_json_put_bytes(json_t *object, const char *key, const char *text);
json_t *ol_json_count(uint64_t count);
/** The whole, and a newline. Write errors stay in out. @return 0 or -ENOMEM (also for json NULL) */
int ol_json_print(const json_t *json, FILE *out);

#endif
