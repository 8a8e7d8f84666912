/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of engine names, and the law of the cost model that belongs to a name. */
#include "bench/harness/engine.h"

#include "common/cleanup.h"

#include <errno.h>

/* "clone=all" goes on with the element before it; "overlay2" and "overlay:diff=upper" begin one. */
static bool continues(const char *piece, size_t len)
{
    const char *equals = memchr(piece, '=', len);

    return equals != NULL && memchr(piece, ':', (size_t)(equals - piece)) == NULL;
}

/* Length of the element that begins at text: up to the comma before the next one, or the end. */
static size_t element_length(const char *text)
{
    size_t len = strcspn(text, ",");

    while (text[len] == ',') {
        const char *next = text + len + 1;
        size_t piece = strcspn(next, ",");

        if (!continues(next, piece))
            break;
        len += 1 + piece;
    }
    return len;
}

static int add_name(char **list, size_t *count, const char *text, size_t len, struct ol_error *err)
{
    if (len == 0 || continues(text, len))
        return ol_error_set(err, -EINVAL, "an engine's name is missing before '%s'", text);
    for (size_t i = 0; i < *count; i++) {
        if (strlen(list[i]) == len && memcmp(list[i], text, len) == 0)
            return ol_error_set(err, -EINVAL, "engine '%s' is named twice", list[i]);
    }
    list[*count] = strndup(text, len);
    if (list[*count] == NULL)
        return ol_error_nomem(err);
    (*count)++;
    return 0;
}

void ol_engine_names_free(char **names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

int ol_engine_names_parse(const char *text, char ***ret, size_t *ret_count, struct ol_error *err)
{
    size_t room = 2;
    size_t count = 0;
    char **list;

    for (const char *c = text; *c != '\0'; c++)
        room += *c == ',';
    list = calloc(room, sizeof *list); /* the last one stays NULL */
    if (list == NULL)
        return ol_error_nomem(err);
    for (const char *at = text;;) {
        size_t len = element_length(at);
        int r = add_name(list, &count, at, len, err);

        if (r < 0) {
            ol_engine_names_free(list);
            return r;
        }
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

bool ol_engine_has_option(const char *name, const char *option)
{
    const char *at = name + strcspn(name, ":");
    size_t wanted = strlen(option);

    while (*at != '\0') {
        size_t len = strcspn(++at, ","); /* past the colon or comma */

        if (len == wanted && memcmp(at, option, len) == 0)
            return true;
        at += len;
    }
    return false;
}

/* "docker/overlay2": a real engine's driver follows the law of the driver. */
static const char *driver_of(const char *name)
{
    return strncmp(name, "docker/", 7) == 0 ? name + 7 : name;
}

const struct ol_engine_ops *ol_engine_ops_of(const char *name)
{
    return strcmp(name, "snapshot") == 0 ? &ol_snapshot_engine_ops : &ol_driver_engine_ops;
}

int ol_engine_name_check(const char *name, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = ol_engine_ops_of(name) == &ol_snapshot_engine_ops ? 0
                                                              : ol_driver_spec_check(name, &why);

    if (r == -ENOENT) /* of names that are no driver's this one counts, too */
        return ol_error_set(err, r, "%s, snapshot", ol_error_text(&why));
    if (r < 0)
        ol_error_move(err, &why);
    return r;
}

int ol_engine_law(const char *name, enum ol_law *ret)
{
    static const struct {
        const char *name;
        enum ol_law law;
    } laws[] = {
        {"overlay", OL_LAW_OVERLAY},   {"overlay2", OL_LAW_OVERLAY2},   {"vfs", OL_LAW_VFS},
        {"snapshot", OL_LAW_SNAPSHOT}, {"containerd", OL_LAW_SNAPSHOT}, {"null", OL_LAW_NULL},
    };
    size_t len;

    name = driver_of(name);
    len = strcspn(name, ":");
    for (size_t i = 0; i < OL_ARRAY_LEN(laws); i++) {
        if (strlen(laws[i].name) != len || memcmp(laws[i].name, name, len) != 0)
            continue;
        if (laws[i].law == OL_LAW_OVERLAY2 && ol_engine_has_option(name, "diff=naive"))
            *ret = OL_LAW_OVERLAY2_NAIVE;
        else if (laws[i].law == OL_LAW_OVERLAY && ol_engine_has_option(name, "clone=all"))
            *ret = OL_LAW_OVERLAY_CLONE_ALL;
        else
            *ret = laws[i].law;
        return 0;
    }
    return -ENOENT;
}
