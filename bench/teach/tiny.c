/* SPDX-License-Identifier: Apache-2.0 */
/* The tiny image; see tiny.h. */
#include "bench/teach/tiny.h"

#include "common/cleanup.h"
#include "common/layer/tar_writer.h"

#include <string.h>
#include <sys/mman.h>

enum { TINY_MTIME = 1700000000 }; /* any second that has passed everywhere */

static const struct ol_tiny_entry base[] = {
    {"bin/", '5', NULL, 0755, 0},        {"bin/ash", '2', "sh", 0777, 0},
    {"bin/sh", '0', NULL, 0755, 9000},   {"etc/", '5', NULL, 0755, 0},
    {"etc/motd", '0', NULL, 0644, 20},   {"farm/", '5', NULL, 0755, 0},
    {"farm/cow", '0', NULL, 0644, 5000}, {"farm/field/", '5', NULL, 0755, 0},
    {"farm/hen", '0', NULL, 0644, 300},  {"home/", '5', NULL, 0755, 0},
    {"lib/", '5', NULL, 0755, 0},        {"lib64", '2', "lib", 0777, 0},
    {"sbin", '2', "bin", 0777, 0},       {"usr/", '5', NULL, 0755, 0},
    {"usr/share/", '5', NULL, 0755, 0},  {"var/", '5', NULL, 0755, 0},
    {"var/log/", '5', NULL, 0755, 0},
};

static const struct ol_tiny_entry barn[] = {
    {"etc/", '5', NULL, 0755, 0},
    {"etc/motd", '0', NULL, 0644, 30},
    {"farm/", '5', NULL, 0755, 0},
    {"farm/.wh.hen", '0', NULL, 0, 0},
    {"farm/barn/", '5', NULL, 0755, 0},
    {"farm/barn/cat", '0', NULL, 0644, 400},
    {"farm/barn/owl", '0', NULL, 0644, 500},
};

static const struct ol_tiny_entry tools[] = {
    {"tools/", '5', NULL, 0755, 0},
    {"tools/best", '2', "plough", 0777, 0},
    {"tools/plough", '0', NULL, 0755, 2000},
};

static const struct {
    const char *name;
    const struct ol_tiny_entry *entries;
    size_t count;
} layers[OL_TINY_LAYERS] = {
    {"base", base, OL_ARRAY_LEN(base)},
    {"barn", barn, OL_ARRAY_LEN(barn)},
    {"tools", tools, OL_ARRAY_LEN(tools)},
};

static int put_content(struct ol_tar_writer *tar, const struct ol_tiny_entry *entry,
                       struct ol_error *err)
{
    const size_t len = strlen(entry->path);
    int r = 0;

    for (uint64_t done = 0; done < entry->size && r == 0; done += len) {
        uint64_t left = entry->size - done;

        r = ol_tar_put_data(tar, entry->path, left < len ? (size_t)left : len, err);
    }
    return r;
}

static int put_entry(struct ol_tar_writer *tar, const struct ol_tiny_entry *entry,
                     struct ol_error *err)
{
    const struct ol_tar_header header = {
        .name = entry->path,
        .link = entry->link,
        .type = entry->type,
        .mode = entry->mode,
        .size = entry->size,
        .mtime = {.tv_sec = TINY_MTIME},
    };
    int r = ol_tar_put_header(tar, &header, err);

    return r < 0 ? r : put_content(tar, entry, err);
}

int ol_tiny_tar(const struct ol_tiny_entry *entries, size_t count, int *ret_fd,
                struct ol_error *err)
{
    ol_auto_fd int fd = memfd_create("layer", MFD_CLOEXEC);
    struct ol_tar_writer *tar = NULL;
    int r = fd < 0 ? ol_error_sys(err, errno, "cannot make a file in memory")
                   : ol_tar_writer_new(fd, &tar, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count && r == 0; i++)
        r = put_entry(tar, &entries[i], err);
    if (r == 0)
        r = ol_tar_finish(tar, NULL, err);
    ol_tar_writer_free(tar);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = ol_error_sys(err, errno, "cannot go back in a file in memory");
    if (r == 0)
        *ret_fd = ol_fd_steal(&fd);
    return r;
}

int ol_tiny_layer(size_t index, int *ret_fd, struct ol_error *err)
{
    return ol_tiny_tar(layers[index].entries, layers[index].count, ret_fd, err);
}

const char *ol_tiny_name(size_t index)
{
    return layers[index].name;
}
