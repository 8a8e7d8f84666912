/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes everything that reads a layer archive: detection and decoding, the tar reader, scan and
 * apply on every target. Blocks with a ustar magic get a right checksum first, or hardly any
 * mutation would pass the first check. Beside crashes and sanitizer reports it looks for escapes:
 * the directory around the root may never change.
 */
#include "place.h"
#include "tar_checksums.h"

#include "common/cleanup.h"
#include "common/fs/tree.h"
#include "common/layer/layer.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct place {
    int around_fd; /* holds "root" and a canary */
    int root_fd;
    struct stat canary;
};

static void look_at_canary(const struct place *p, struct stat *ret)
{
    die_unless(fstatat(p->around_fd, "canary", ret, AT_SYMLINK_NOFOLLOW) == 0);
}

/* Made by the first input. */
static const struct place *the_place(void)
{
    static struct place place = {.around_fd = -1};
    int fd;

    if (place.around_fd >= 0)
        return &place;
    place.around_fd = fuzz_place();
    fd = openat(place.around_fd, "canary", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    die_unless(fd >= 0);
    ol_fd_close(&fd);
    place.root_fd = fuzz_place_dir("root");
    look_at_canary(&place, &place.canary);
    return &place;
}

static void check_place(const struct place *p)
{
    struct stat now;
    struct ol_tree_usage usage;

    look_at_canary(p, &now);
    die_unless(now.st_mode == p->canary.st_mode && now.st_uid == p->canary.st_uid &&
               now.st_size == 0 && now.st_nlink == 1 &&
               now.st_mtim.tv_sec == p->canary.st_mtim.tv_sec &&
               now.st_mtim.tv_nsec == p->canary.st_mtim.tv_nsec);
    die_unless(ol_tree_usage(p->around_fd, true, &usage, NULL) == 0);
    die_unless(usage.names == 3); /* itself, canary, root */
}

static int ignore_entry(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    (void)data, (void)err;
    return entry->path[0] == '/' || strstr(entry->path, "/../") != NULL ? -EPROTO : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct place *here = the_place();
    ol_auto_fd int fd = memfd_create("layer", MFD_CLOEXEC);
    ol_auto_free uint8_t *copy = malloc(size + 1);
    struct ol_layer_options options = {
        .target = (enum ol_layer_target)(size / TAR_BLOCK % 3),
        .ns = OL_OVERLAY_USER,
        .shared_inodes = size / TAR_BLOCK % 2 == 0,
        .limits = &fuzz_limits,
        .threads = 1,
    };

    die_unless(fd >= 0 && copy != NULL);
    memcpy(copy, data, size);
    tar_fix_checksums(copy, size);
    die_unless(ol_io_write(fd, copy, size) == 0);
    die_unless(ol_layer_scan(&(struct ol_input){fd, 0, UINT64_MAX}, &fuzz_limits, ignore_entry,
                             NULL, NULL, NULL) != -EPROTO);
    (void)ol_layer_apply(here->root_fd, &(struct ol_input){fd, 0, UINT64_MAX}, &options, NULL,
                         NULL);
    (void)fchmod(here->root_fd, 0755); /* "./" may have closed it */
    die_unless(ol_tree_remove_content(here->root_fd, NULL) == 0);
    check_place(here);
    return 0;
}
