/* SPDX-License-Identifier: Apache-2.0 */
/* The file system that a prediction fits on: a grid, commands, and the rule in words. */
#include "bench/report/prediction_internal.h"

#include "common/cleanup.h"

#include <inttypes.h>

static int set_engine(struct ol_grid *grid, const struct ol_prediction *prediction, size_t engine)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = ol_buf_puts(&buf, prediction->images[0].report.engines[engine].name);

    return r < 0 ? r : ol_grid_set(grid, 0, &buf);
}

static int add_row(const struct ol_prediction *prediction, size_t engine, struct ol_grid *grid)
{
    const struct ol_fs_advice *advice = &prediction->advice[engine];
    ol_auto_buf struct ol_buf ratio = OL_BUF_INIT;
    int r = ol_grid_row(grid);

    if (r == 0)
        r = set_engine(grid, prediction, engine);
    if (r == 0)
        r = ol_grid_set_count(grid, 1, prediction->totals[engine].highest_inodes);
    if (r == 0)
        r = ol_grid_set_bytes(grid, 2, prediction->totals[engine].peak_bytes);
    if (r == 0)
        r = ol_grid_set_bytes(grid, 3, (int64_t)advice->size_bytes);
    if (r == 0)
        r = ol_grid_set_count(grid, 4, (int64_t)advice->inodes);
    if (r < 0 || prediction->fs == OL_DISK_BTRFS)
        return r;
    if (prediction->fs == OL_DISK_EXT4)
        r = ol_buf_printf(&ratio, "%" PRIu64, advice->bytes_per_inode);
    else if (advice->imaxpct > 0)
        r = ol_buf_printf(&ratio, "maxpct=%u", advice->imaxpct);
    else
        r = ol_buf_putc(&ratio, '-');
    return r < 0 ? r : ol_grid_set(grid, 5, &ratio);
}

int ol_prediction_grid_fs(const struct ol_prediction *prediction, struct ol_grid *ret)
{
    static const struct ol_grid_column ext4[] = {
        {"engine", "FILE SYSTEM, ext4", "", false},
        {"peak_inodes", "PEAK", "", true},
        {"peak_bytes", "ABOUT", "bytes", true},
        {"size_bytes", "SIZE", "bytes", true},
        {"inodes", "-N", "", true},
        {"bytes_per_inode", "OR -i", "bytes", true},
    };
    static const struct ol_grid_column xfs[] = {
        {"engine", "FILE SYSTEM, xfs", "", false},
        {"peak_inodes", "PEAK", "", true},
        {"peak_bytes", "ABOUT", "bytes", true},
        {"size_bytes", "SIZE", "bytes", true},
        {"inodes", "INODES", "", true},
        {"imaxpct", "-i", "", true},
    };
    static const struct ol_grid_column btrfs[] = {
        {"engine", "FILE SYSTEM, btrfs", "", false},
        {"peak_inodes", "PEAK", "", true},
        {"peak_bytes", "ABOUT", "bytes", true},
        {"size_bytes", "SIZE", "bytes", true},
        {"inodes", "INODES", "", true},
    };
    int r = 0;

    switch (prediction->fs) {
    case OL_DISK_EXT4:
        *ret = (struct ol_grid){.columns = ext4, .n_columns = OL_ARRAY_LEN(ext4)};
        break;
    case OL_DISK_XFS:
        *ret = (struct ol_grid){.columns = xfs, .n_columns = OL_ARRAY_LEN(xfs)};
        break;
    case OL_DISK_BTRFS:
        *ret = (struct ol_grid){.columns = btrfs, .n_columns = OL_ARRAY_LEN(btrfs)};
        break;
    }
    for (size_t i = 0; i < prediction->images[0].report.n_engines && r == 0; i++)
        r = add_row(prediction, i, ret);
    return r;
}

int ol_prediction_text_mkfs(const struct ol_prediction *prediction, size_t engine,
                            struct ol_buf *buf)
{
    const struct ol_fs_advice *advice = &prediction->advice[engine];
    int r = ol_buf_printf(buf, "mkfs.%s", ol_disk_fs_name(prediction->fs));

    if (r == 0 && prediction->fs == OL_DISK_EXT4)
        r = ol_buf_printf(buf, " -N %" PRIu64, advice->inodes);
    if (r == 0 && advice->imaxpct > 0)
        r = ol_buf_printf(buf, " -i maxpct=%u", advice->imaxpct);
    return r;
}

int ol_prediction_text_fs(const struct ol_prediction *prediction, struct ol_buf *buf)
{
    static const char *const why[] = {
        [OL_DISK_EXT4] = "ext4 gets its inodes when it is made, and never more: mkfs.ext4 -N "
                         "INODES, or -i on a device of that size",
        [OL_DISK_XFS] = "xfs makes inodes as they are needed, in at most imaxpct percent of its "
                        "space (25 below 1 TiB), which '-' says is enough",
        [OL_DISK_BTRFS] = "btrfs makes inodes as they are needed, without a limit: only the "
                          "size matters",
    };

    return ol_buf_printf(
        buf,
        "the file system holds the highest count and the engine's own files (6 inodes for "
        "each layer, 16 for each container, 3 for each image, 128 besides) with "
        "%u%% of headroom for inodes and bytes; bytes are an estimate; %s\n",
        prediction->headroom, why[prediction->fs]);
}
