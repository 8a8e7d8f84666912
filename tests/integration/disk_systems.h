/* SPDX-License-Identifier: Apache-2.0 */
/* The file systems whose laws of blocks are held against counts, each made for the test. */
#ifndef OL_TESTS_DISK_SYSTEMS_H
#define OL_TESTS_DISK_SYSTEMS_H

#include "bench/harness/backing.h"
#include "bench/oracle/disk.h"

struct disk_system {
    const char *spec; /* as of compare --backing; large enough for blocks of 4 KiB */
    enum ol_disk_fs fs;
};

extern const struct disk_system disk_systems[OL_DISK_FS];

/** A new one, in a file below tmp_dir; fails the test where it cannot be made. */
struct ol_backing *disk_system_open(const struct disk_system *system, const char *tmp_dir);
/** @return false, aloud, where there is no such file system */
bool disk_system_is_there(const struct disk_system *system, const char *tmp_dir);

#endif
