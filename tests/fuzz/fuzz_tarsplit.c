/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of tar-split files and what makes a stream from one: plain or compressed lines
 * against a layer with a few files, symlinks out of it and a FIFO. Beside crashes and sanitizer
 * reports it looks for content from outside the layer, for a stream past its limit, and whether
 * looking for losses and making the stream agree.
 */
#include "place.h"

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

#define SECRET "what lies outside"

static void put(int dir_fd, const char *name, const char *content)
{
    ol_auto_fd int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    die_unless(fd >= 0 && ol_io_write(fd, content, strlen(content)) == 0);
}

static int the_layer(void)
{
    static int root_fd = -1;

    if (root_fd >= 0)
        return root_fd;
    put(fuzz_place(), "secret", SECRET);
    root_fd = fuzz_place_dir("layer");
    die_unless(mkdirat(root_fd, "d", 0755) == 0);
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
    die_unless(*total <= fuzz_limits.total_bytes);
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
    built = ol_tarsplit_build(fd, layer_fd, &fuzz_limits, take, &total, NULL);
    checked = ol_tarsplit_check(fd, layer_fd, &fuzz_limits, &lost, NULL);
    die_unless((built == 0) == (checked == 0 && lost.count == 0));
    ol_tarsplit_lost_fini(&lost);
    return 0;
}
