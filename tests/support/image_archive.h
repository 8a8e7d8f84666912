/* SPDX-License-Identifier: Apache-2.0 */
/* Docker-archives of layers a test made. */
#ifndef OL_TESTS_IMAGE_ARCHIVE_H
#define OL_TESTS_IMAGE_ARCHIVE_H

#include "support/support.h"
#include "support/tarball.h"

/**
 * Write the layers (ended, as they are) as a docker-archive with a config that tells their DiffIDs.
 * The history has a step "RUN step N" for each layer N, from 0, and after the first "ENV A=1",
 * which made none.
 * @return "<dir>/<name>", which the caller frees
 */
char *image_archive_write(const struct test_dir *dir, const char *name,
                          const struct tarball *layers, size_t count);

/**
 * The same with a history and names of one's own.
 * @param history  JSON: what is between the brackets
 * @param names    JSON: RepoTags, with the brackets, or "null"
 */
char *image_archive_write_as(const struct test_dir *dir, const char *name,
                             const struct tarball *layers, size_t count, const char *history,
                             const char *names);

#endif
