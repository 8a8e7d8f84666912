/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshotter of a test's own. Helpers fail the test instead of returning errors. */
#ifndef OL_TESTS_SNAPSHOT_SUPPORT_H
#define OL_TESTS_SNAPSHOT_SUPPORT_H

#include "support/support.h"

#include "drivers/snapshot/snapshot.h"

struct snap {
    struct test_dir dir;
    char *root; /* owned; <dir>/root */
    char *work; /* owned; <dir>/work: mount points, plain trees */
    struct ol_snapshots *sn;
};

/* For all tests of the program, set before they run. */
extern bool snap_async;        /* remove leaves directories to cleanup */
extern enum ol_view snap_view; /* AUTO: no mounts are made */

int snap_setup(void **state);
/** Runs the checker; after a cleanup no directory is left over. */
int snap_teardown(void **state);
#define snap_test(fn) cmocka_unit_test_setup_teardown(fn, snap_setup, snap_teardown)

void snap_open(struct snap *s);
void snap_assert_sound(struct snap *s);

/* They succeed. parent: NULL for none. */
void snap_prepare(struct snap *s, const char *key, const char *parent);
void snap_view_of(struct snap *s, const char *key, const char *parent);
void snap_commit(struct snap *s, const char *name, const char *key);
void snap_remove(struct snap *s, const char *key);
struct ol_snapshot_info snap_stat(struct snap *s, const char *key);
/** Prepare and commit at once. */
void snap_committed(struct snap *s, const char *name, const char *parent);

/** Mount key on <work>/<dir>, which is made; the caller frees the path. */
char *snap_mount(struct snap *s, const char *key, const char *dir);
void snap_unmount(const char *path);

/* Each thing that can be done with the snapshots "base" and, on it, "active"; the result. */
int snap_do_prepare(struct snap *s); /* "new" on base */
int snap_do_view(struct snap *s);    /* the same */
int snap_do_commit(struct snap *s);  /* active becomes "done" */
int snap_do_remove(struct snap *s);  /* active */
int snap_do_update(struct snap *s);  /* active, with no labels */

/** For ol_snapshots_walk(): append "Kind:name " to a struct ol_buf. */
int snap_note_name(const struct ol_snapshot_info *info, void *buf, struct ol_error *err);

/** The result of stat alone. */
int snap_code(struct snap *s, const char *key);
/** Directories in snapshots/, all of them. */
size_t snap_dirs(struct snap *s);

#define assert_info(s, key, want_kind, want_parent)                                                \
    do {                                                                                           \
        ol_auto_snapshot_info struct ol_snapshot_info info_ = snap_stat((s), (key));               \
        assert_string_equal(info_.name, (key));                                                    \
        assert_int_equal(info_.kind, (want_kind));                                                 \
        assert_string_equal(info_.parent, (want_parent));                                          \
    } while (0)

#endif
