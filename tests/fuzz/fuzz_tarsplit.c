/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of tar-split files and what makes a stream from one: plain or compressed lines
 * against a layer with a few files, symlinks out of it and a FIFO. Beside crashes and sanitizer
 * reports it looks for content from outside the layer, for a stream past its limit, and whether
 * looking for losses and making the stream agree.
 */
#include "common/cleanup.h"
#include "common/fs/tree.h"
#include "common/layer/tarsplit.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ol_layer_limits limits = {
    .entries = 200,
    .path_bytes = 4095,
    .depth = 100,
    .file_bytes = 1 << 20,
    .total_bytes = 1 << 20,
    .header_bytes = 64 << 10,
    .xattrs = 16,
    .sparse_ranges = 100,
};

#define SECRET "what lies outside"

static char root[256];
static int root_fd = -1;

static void die_unless(bool condition)
{
    if (!condition)
        abort();
}

static void put(int dir_fd, const char *name, const char *content)
{
    ol_auto_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    die_unless(fd >= 0 && ol_io_write(fd, content, strlen(content)) == 0);
}

static void remove_layer(void)
{
    ol_auto_fd int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)ol_tree_remove_content(fd, NULL); /* best effort: the run is over */
    (void)rmdir(root);
}

static int the_layer(void)
{
    const char *tmp = getenv("TMPDIR");
    ol_auto_fd int around = -1;

    if (root_fd >= 0)
        return root_fd;
    (void)snprintf(root, sizeof root, "%s/overlab-fuzz.XXXXXX", tmp != NULL ? tmp : "/tmp");
    die_unless(mkdtemp(root) != NULL && atexit(remove_layer) == 0);
    around = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    die_unless(around >= 0 && mkdirat(around, "layer", 0755) == 0);
    put(around, "secret", SECRET);
    root_fd = openat(around, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    die_unless(root_fd >= 0 && mkdirat(root_fd, "d", 0755) == 0);
    put(root_fd, "f", "hello");
    put(root_fd, "d/g", "in a directory");
    die_unless(symlinkat("../secret", root_fd, "up") == 0 && symlinkat("..", root_fd, "s") == 0);
    die_unless(mkfifoat(root_fd, "fifo", 0644) == 0);
    return root_fd;
}

static int take(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    uint64_t *total = data;

    (void)err;
    *total += len;
    /* lines may hold these bytes themselves, but then no file's CRC goes with them */
    die_unless(*total <= limits.total_bytes);
    die_unless(len != sizeof SECRET - 1 || memcmp(bytes, SECRET, len) != 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ol_tarsplit_lost lost = OL_TARSPLIT_LOST_INIT;
    ol_auto_fd int fd = memfd_create("tarsplit", MFD_CLOEXEC);
    int layer_fd = the_layer();
    uint64_t total = 0;
    int built, checked;

    die_unless(fd >= 0 && ol_io_write(fd, data, size) == 0);
    built = ol_tarsplit_build(fd, layer_fd, &limits, take, &total, NULL);
    checked = ol_tarsplit_check(fd, layer_fd, &limits, &lost, NULL);
    die_unless((built == 0) == (checked == 0 && lost.count == 0));
    ol_tarsplit_lost_fini(&lost);
    return 0;
}
