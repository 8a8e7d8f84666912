/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bench/harness: making a file system in an image file and attaching it to a loop device. */
#ifndef OL_BENCH_HARNESS_LOOP_H
#define OL_BENCH_HARNESS_LOOP_H

#include "common/error.h"

#include <stdint.h>

/**
 * Make the sparse file dir_fd/name of size_bytes and a file system of type ("ext4", "xfs", "btrfs")
 * in it, by mkfs.<type>.
 * @param path  the same file as an absolute path, for mkfs
 * @return a descriptor the caller owns, or negative errno; on failure the file may be there
 */
int ol_loop_image(int dir_fd, const char *name, const char *path, const char *type,
                  uint64_t size_bytes, struct ol_error *err);

/**
 * Attach image_fd to a free loop device that frees itself with its last user.
 * @param ret_device  "/dev/loop<N>", owned by the caller
 * @return descriptor of the device, which keeps it attached until it is mounted; or negative errno
 */
int ol_loop_attach(int image_fd, char **ret_device, struct ol_error *err);

#endif
