/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of entries for the built-in image; see builtin.h. */
#include "bench/workloads/builtin.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdarg.h>

enum { BUILTIN_EPOCH = 1700000000, BUILTIN_SPREAD = 86400 * 400 };

void ol_builtin_start(struct ol_builtin_list *list, uint64_t seed, size_t index)
{
    *list = (struct ol_builtin_list){.items = NULL};
    ol_random_seed(&list->random, seed * OL_BUILTIN_LAYERS + index);
}

void ol_builtin_list_fini(struct ol_builtin_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].path);
        free(list->items[i].link);
    }
    free(list->items);
    list->items = NULL;
    list->count = list->cap = 0;
}

unsigned ol_builtin_pick(struct ol_builtin_list *list, unsigned n)
{
    return (unsigned)ol_random_below(&list->random, n);
}

bool ol_builtin_chance(struct ol_builtin_list *list, unsigned percent)
{
    return ol_builtin_pick(list, 100) < percent;
}

const char *ol_builtin_word(struct ol_builtin_list *list, bool upper, char buf[static 16])
{
    static const char *const syllables[] = {"ba", "con", "de",  "el", "fi", "gra", "ho", "in",
                                            "ju", "ka",  "lo",  "mi", "no", "or",  "pe", "qui",
                                            "ra", "sta", "tri", "un", "ve", "wi",  "xe", "zo"};
    unsigned count = 2 + ol_builtin_pick(list, 3);
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        const char *s = syllables[ol_builtin_pick(list, OL_ARRAY_LEN(syllables))];
        memcpy(buf + len, s, strlen(s) + 1);
        len += strlen(s);
    }
    if (upper)
        buf[0] = (char)(buf[0] - 'a' + 'A');
    return buf;
}

/* Takes path over, whatever happens. */
static struct ol_builtin_item *append(struct ol_builtin_list *list, char *path, char type,
                                      unsigned mode)
{
    if (path == NULL)
        list->r = -ENOMEM;
    if (list->r == 0 && list->count == list->cap) {
        size_t cap = list->cap == 0 ? 1024 : list->cap * 2;
        struct ol_builtin_item *items = reallocarray(list->items, cap, sizeof *items);
        if (items == NULL) {
            list->r = -ENOMEM;
        } else {
            list->items = items;
            list->cap = cap;
        }
    }
    if (list->r < 0) {
        free(path);
        return NULL;
    }
    list->items[list->count] = (struct ol_builtin_item){
        .path = path,
        .type = type,
        .mode = mode,
        .order = list->count,
        .mtime = BUILTIN_EPOCH - ol_builtin_pick(list, BUILTIN_SPREAD),
    };
    return &list->items[list->count++];
}

/* Directories on the way; doubles go when the list is finished. All of one time, whatever made
 * them. */
static void add_parents(struct ol_builtin_list *list, const char *path)
{
    for (const char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
        struct ol_random before = list->random;
        struct ol_builtin_item *item = append(list, strndup(path, (size_t)(p - path)), '5', 0755);
        list->random = before; /* how many parents are spelt out must not change what follows */
        if (item == NULL)
            return;
        item->implied = true;
        item->mtime = BUILTIN_EPOCH;
    }
}

__attribute__((format(printf, 1, 0))) static char *format_path(const char *fmt, va_list ap)
{
    char *path = NULL;

    return vasprintf(&path, fmt, ap) < 0 ? NULL : path;
}

void ol_builtin_dir(struct ol_builtin_list *list, unsigned mode, const char *fmt, ...)
{
    char *path;
    va_list ap;

    va_start(ap, fmt);
    path = format_path(fmt, ap);
    va_end(ap);
    if (path != NULL)
        add_parents(list, path);
    (void)append(list, path, '5', mode); /* a failure is remembered in the list */
}

void ol_builtin_file(struct ol_builtin_list *list, unsigned mode, uint64_t size_class,
                     const char *fmt, ...)
{
    struct ol_builtin_item *item;
    unsigned steps;
    char *path;
    va_list ap;

    va_start(ap, fmt);
    path = format_path(fmt, ap);
    va_end(ap);
    if (path != NULL)
        add_parents(list, path);
    item = append(list, path, '0', mode);
    if (item == NULL || size_class == 0)
        return;
    for (steps = 0; steps < 2 && ol_builtin_chance(list, 30); steps++)
        ; /* a few are much larger than most, as in real trees */
    item->size = (size_class / 2 + ol_random_below(&list->random, size_class)) << steps;
    item->seed = ol_random_next(&list->random);
}

void ol_builtin_link(struct ol_builtin_list *list, char type, const char *target, const char *fmt,
                     ...)
{
    struct ol_builtin_item *item;
    char *path;
    va_list ap;

    va_start(ap, fmt);
    path = format_path(fmt, ap);
    va_end(ap);
    if (path != NULL)
        add_parents(list, path);
    item = append(list, path, type, type == '2' ? 0777 : 0644);
    if (item == NULL)
        return;
    item->link = strdup(target);
    if (item->link == NULL)
        list->r = -ENOMEM;
}

void ol_builtin_whiteout(struct ol_builtin_list *list, const char *path)
{
    const char *slash = strrchr(path, '/');
    int dir_len = slash != NULL ? (int)(slash - path + 1) : 0;

    ol_builtin_file(list, 0, 0, "%.*s.wh.%s", dir_len, path, path + dir_len);
}

/* Parents before children; an item of its own before an implied one, the first made first. */
static int by_path(const void *a, const void *b)
{
    const struct ol_builtin_item *x = a;
    const struct ol_builtin_item *y = b;
    int order = strcmp(x->path, y->path);

    if (order != 0)
        return order;
    if (x->implied != y->implied)
        return x->implied ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

void ol_builtin_finish(struct ol_builtin_list *list)
{
    size_t kept = 0;

    if (list->r < 0 || list->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, by_path);
    for (size_t i = 0; i < list->count; i++) {
        if (kept > 0 && strcmp(list->items[kept - 1].path, list->items[i].path) == 0) {
            free(list->items[i].path);
            free(list->items[i].link);
            continue;
        }
        list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

int ol_builtin_layer(uint64_t seed, size_t index, struct ol_builtin_list *ret)
{
    struct ol_builtin_list base;
    int r;

    ol_builtin_start(ret, seed, index);
    if (index == 0) {
        ol_builtin_base(ret);
        ol_builtin_finish(ret);
    } else {
        r = ol_builtin_layer(seed, 0, &base);
        if (r < 0)
            return r;
        if (index == 1)
            ol_builtin_packages(ret, &base);
        else
            ol_builtin_application(ret, &base);
        ol_builtin_finish(ret);
        ol_builtin_list_fini(&base);
    }
    r = ret->r;
    if (r < 0)
        ol_builtin_list_fini(ret);
    return r;
}
