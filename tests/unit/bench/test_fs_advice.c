/* SPDX-License-Identifier: Apache-2.0 */
/* What file system holds so many inodes: the rule, and what each kind of file system needs. */
#include "support/support.h"

#include "bench/harness/fs_advice.h"

#include <errno.h>

enum { MIB = 1 << 20 };

static void fs_advice__adds_what_the_engine_keeps(void **state)
{
    const struct ol_fs_load load = {
        .inodes = 100000, .bytes = 400 * MIB, .layers = 10, .containers = 5, .images = 2};
    const uint64_t own = 10 * 6 + 5 * 16 + 2 * 3 + 128;
    struct ol_fs_advice none = ol_fs_advise(OL_DISK_BTRFS, &load, 0);
    struct ol_fs_advice half = ol_fs_advise(OL_DISK_BTRFS, &load, 50);

    (void)state;
    assert_int_equal(none.inodes, 100000 + own);
    assert_int_equal(half.inodes, (100000 + own) * 3 / 2);
    assert_true(half.size_bytes > none.size_bytes);
    assert_int_equal(none.bytes_per_inode, 0); /* btrfs has no such thing */
    assert_int_equal(none.imaxpct, 0);
}

static void fs_advice__of_ext4_fits_its_size(void **state)
{
    (void)state;
    for (uint64_t inodes = 1; inodes < 100000000; inodes *= 7) {
        /* symlinks and whiteouts alone, or files of 10 KiB */
        for (uint64_t each = 0; each <= 10240; each += 10240) {
            const struct ol_fs_load load = {.inodes = inodes, .bytes = inodes * each};
            struct ol_fs_advice advice = ol_fs_advise(OL_DISK_EXT4, &load, 20);

            assert_true(advice.inodes >= inodes + inodes / 5);
            assert_int_equal(advice.size_bytes % MIB, 0);
            assert_true(advice.bytes_per_inode >= 1024); /* mke2fs takes no less */
            assert_true(advice.size_bytes / advice.bytes_per_inode >= advice.inodes);
            assert_true(advice.size_bytes > load.bytes + advice.inodes * 256);
        }
    }
}

static void fs_advice__of_xfs_raises_maxpct_for_small_files(void **state)
{
    const struct ol_fs_load small = {.inodes = 10000000, .bytes = 0};
    const struct ol_fs_load large = {.inodes = 10000, .bytes = UINT64_C(10) << 30};

    (void)state;
    assert_true(ol_fs_advise(OL_DISK_XFS, &small, 20).imaxpct > 25);
    assert_true(ol_fs_advise(OL_DISK_XFS, &small, 20).imaxpct <= 100);
    assert_int_equal(ol_fs_advise(OL_DISK_XFS, &large, 20).imaxpct, 0);
}

static void fs_advice__knows_three_names(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    enum ol_disk_fs fs = OL_DISK_EXT4;

    (void)state;
    assert_ok(ol_disk_fs_parse("btrfs", &fs, &err), &err);
    assert_int_equal(fs, OL_DISK_BTRFS);
    assert_int_equal(ol_disk_fs_parse("zfs", &fs, &err), -EINVAL);
    assert_message(&err, "'zfs'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fs_advice__adds_what_the_engine_keeps),
        cmocka_unit_test(fs_advice__of_ext4_fits_its_size),
        cmocka_unit_test(fs_advice__of_xfs_raises_maxpct_for_small_files),
        cmocka_unit_test(fs_advice__knows_three_names),
    };

    return cmocka_run_group_tests_name("fs_advice", tests, NULL, NULL);
}
