/* SPDX-License-Identifier: Apache-2.0 */
/* getdents64 into one buffer that is kept between directories. */
#include "common/fs/dirents.h"

#include "common/error.h"

#include <dirent.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OL_DIRENTS_ROOM = 32 << 10 }; /* bytes asked for at a time */

/* The kernel's struct linux_dirent64, getdents64(2). */
struct raw_dirent {
    uint64_t ino;
    int64_t off;
    unsigned short reclen;
    unsigned char type;
    char name[];
};

static int read_raw(struct ol_buf *raw, int fd)
{
    ol_buf_truncate(raw, 0);
    for (;;) {
        long n;
        int r = ol_buf_reserve(raw, OL_DIRENTS_ROOM);
        if (r < 0)
            return r;
        n = syscall(SYS_getdents64, fd, raw->data + raw->len, raw->cap - raw->len - 1);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        raw->len += (size_t)n;
    }
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int add(struct ol_dirents *list, const struct raw_dirent *d)
{
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 128 : list->cap * 2;
        struct ol_dirent *items = reallocarray(list->items, cap, sizeof *items);
        if (items == NULL)
            return -ENOMEM;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = (struct ol_dirent){
        .name = d->name, .ino = d->ino, .type = d->type};
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ol_dirent *)a)->name, ((const struct ol_dirent *)b)->name);
}

int ol_dirents_read(struct ol_dirents *list, int fd, bool sorted)
{
    int r;

    list->count = 0;
    if (lseek(fd, 0, SEEK_SET) < 0) /* a descriptor that was read before starts again */
        return -errno;
    r = read_raw(&list->raw, fd);
    for (size_t at = 0; r == 0 && at < list->raw.len;) {
        const struct raw_dirent *d = (const void *)(list->raw.data + at);
        at += d->reclen;
        if (!is_dot(d->name))
            r = add(list, d);
    }
    if (r == 0 && sorted && list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, by_name);
    return r;
}

void ol_dirents_fini(struct ol_dirents *list)
{
    ol_buf_fini(&list->raw);
    free(list->items);
    list->items = NULL;
    list->count = list->cap = 0;
}
