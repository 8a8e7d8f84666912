/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include "common/fs/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const struct ol_layer_limits fuzz_limits = {
    .entries = 200,
    .path_bytes = 4095,
    .depth = 100,
    .file_bytes = 1 << 20,
    .total_bytes = 4 << 20,
    .header_bytes = 64 << 10,
    .xattrs = 16,
    .sparse_ranges = 100,
};

static char place_path[256];
static int place_fd = -1;

void die_unless(bool condition)
{
    if (!condition)
        abort();
}

static void remove_place(void)
{
    (void)ol_tree_remove_content(place_fd, NULL); /* best effort: the run is over */
    (void)rmdir(place_path);
}

int fuzz_place(void)
{
    const char *tmp = getenv("TMPDIR");

    if (place_fd >= 0)
        return place_fd;
    (void)snprintf(place_path, sizeof place_path, "%s/overlab-fuzz.XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    die_unless(mkdtemp(place_path) != NULL);
    place_fd = open(place_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    die_unless(place_fd >= 0 && atexit(remove_place) == 0);
    return place_fd;
}

const char *fuzz_place_path(void)
{
    (void)fuzz_place();
    return place_path;
}

int fuzz_place_dir(const char *name)
{
    int fd;

    die_unless(mkdirat(fuzz_place(), name, 0755) == 0);
    fd = openat(fuzz_place(), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    die_unless(fd >= 0);
    return fd;
}
