/* SPDX-License-Identifier: Apache-2.0 */
/* Loop file systems of the disk tests; see disk_systems.h. */
#include "integration/disk_systems.h"

#include "support/support.h"

const struct disk_system disk_systems[OL_DISK_FS] = {
    {"ext4:1G", OL_DISK_EXT4}, {"xfs:800M", OL_DISK_XFS}, {"btrfs:800M", OL_DISK_BTRFS}};

static int open_system(const struct disk_system *system, const char *tmp_dir,
                       struct ol_backing **ret, struct ol_error *err)
{
    struct ol_backing_spec spec;
    int r = ol_backing_parse(system->spec, &spec, err);

    if (r < 0)
        return r;
    r = ol_backing_open(&spec, tmp_dir, ret, err);
    ol_backing_spec_fini(&spec);
    return r;
}

struct ol_backing *disk_system_open(const struct disk_system *system, const char *tmp_dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing *backing = NULL;

    assert_ok(open_system(system, tmp_dir, &backing, &err), &err);
    return backing;
}

bool disk_system_is_there(const struct disk_system *system, const char *tmp_dir)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_backing *backing = NULL;

    if (open_system(system, tmp_dir, &backing, &err) < 0) {
        print_message("SKIP disk %s: %s\n", system->spec, ol_error_text(&err));
        return false;
    }
    assert_ok(ol_backing_close(backing, &err), &err);
    return true;
}
