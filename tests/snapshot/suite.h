/* SPDX-License-Identifier: Apache-2.0 */
/* The suite's two halves: what snapshots are (test_snapshot_suite.c), what they show when layers
 * are stacked (suite_layers.c). */
#ifndef OL_TESTS_SNAPSHOT_SUITE_H
#define OL_TESTS_SNAPSHOT_SUITE_H

#include "support.h"

/** Skip aloud where this run cannot mount. */
void suite_require_mounts(void);

/* The play: paths are absolute, below root. */
void play_file(const char *root, const char *path, const char *content, unsigned mode);
void play_dir(const char *root, const char *path, unsigned mode);
void play_remove(const char *root, const char *path);
void play_chown(const char *root, const char *path, unsigned uid, unsigned gid);
void play_link(const char *root, const char *old_path, const char *new_path);
void play_rename(const char *root, const char *old_path, const char *new_path);

/** Fail unless both trees are the same but for times and attributes. */
void suite_assert_same(const char *a, const char *b);

int suite_run_layers(void);

#endif
