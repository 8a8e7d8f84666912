/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract suite: every case runs on every driver in every view the machine gives. One program,
 * `test_contract DRIVER VIEW`; ctest registers each combination. Layers are changed through
 * ol_rootfs, which is a mount in one view and overlay's own format in the other.
 *
 * Helpers fail the test instead of returning errors. A case that means nothing for a driver in a
 * view is not registered there.
 */
#ifndef OL_TESTS_CONTRACT_H
#define OL_TESTS_CONTRACT_H

#include "support/support.h"
#include "support/tarball.h"

#include "common/fs/tree.h"
#include "drivers/driver.h"
#include "drivers/rootfs.h"

/* What the program was started for. */
struct contract_target {
    const char *spec; /* full driver name */
    enum ol_view view;
};

struct contract {
    const struct contract_target *target;
    struct test_dir dir; /* everything of this test */
    char *home;          /* owned: <dir>/home, of the driver */
    struct ol_driver *drv;
};

/* Group state is the target; test state a struct contract with an open driver on a fresh home. */
int contract_setup(void **state);
int contract_teardown(void **state);

/* A case, and what it is for. */
struct contract_case {
    struct CMUnitTest test;
    bool (*on)(const struct contract_target *target); /* NULL: everything */
};

#define contract_test_on(fn, on)                                                                   \
    {                                                                                              \
        cmocka_unit_test_setup_teardown(fn, contract_setup, contract_teardown), on                 \
    }
#define contract_test(fn) contract_test_on(fn, NULL)

/* Run the cases that are for the target. @return the number of failures */
int contract_run(const char *group, const struct contract_case *cases, size_t count);

/* Part of the name before the options. */
bool contract_target_is(const struct contract_target *target, const char *driver);
bool contract_is(const struct contract *c, const char *driver);
bool contract_has_option(const struct contract *c, const char *option);

/* What cases may be for. */
bool contract_on_overlay(const struct contract_target *target);
bool contract_on_overlay2(const struct contract_target *target);
bool contract_on_mounts(const struct contract_target *target); /* a view that mounts */
bool contract_not_vfs(const struct contract_target *target);

/* Close and open again, as another process would. */
void contract_reopen(struct contract *c);
int contract_open(const struct contract *c, struct ol_driver **ret, struct ol_error *err);

void contract_create(struct contract *c, const char *id, const char *parent);
void contract_remove(struct contract *c, const char *id);
struct ol_rootfs *contract_root(struct contract *c, const char *id);
void contract_close(struct ol_rootfs *fs);

/* One change through a root of its own. */
void contract_write(struct contract *c, const char *id, const char *path, const char *content);
void contract_rm(struct contract *c, const char *id, const char *path);

/* Inside an open root. */
void root_write(struct ol_rootfs *fs, const char *path, const char *content);
void root_mkdir(struct ol_rootfs *fs, const char *path);
void root_rm(struct ol_rootfs *fs, const char *path);

void contract_assert_content(struct contract *c, const char *id, const char *path,
                             const char *content);
void contract_assert_gone(struct contract *c, const char *id, const char *path);
struct stat contract_stat(struct contract *c, const char *id, const char *path);

/** Apply tar (ended and released here) to a new layer. */
struct ol_apply_result contract_load(struct contract *c, const char *id, const char *parent,
                                     struct tarball *tar);
/** Diff of id against parent, applied to a new layer on base. */
struct ol_apply_result contract_commit(struct contract *c, const char *id, const char *parent,
                                       const char *new_id, const char *base);
/** Diff into a file in memory; the caller closes it. */
int contract_diff_fd(struct contract *c, const char *id, const char *parent,
                     struct ol_tar_result *ret);

/** "A /path\nC /path\n…" of the changes; the caller frees it. */
char *contract_changes(struct contract *c, const char *id, const char *parent);
#define assert_changes(c, id, parent, want)                                                        \
    do {                                                                                           \
        ol_auto_free char *changes_ = contract_changes((c), (id), (parent));                       \
        assert_string_equal(changes_, (want));                                                     \
    } while (0)

/** Distinct inodes below the home, the home itself and overlay2's l/ left out. */
uint64_t contract_inodes(const struct contract *c);
/** Every name below the home with type, size of files and links; the caller frees it. */
char *contract_listing(const struct contract *c);
/** Mount points below the home. */
size_t contract_mounts(const struct contract *c);

/* The groups; each runs its cases and returns the number of failures. */
int contract_run_graphtest(void);
int contract_run_changes(void);
int contract_run_layers(void);
int contract_run_faults(void);
int contract_run_inodes(void);

const struct contract_target *contract_target(void);
int contract_group_setup(void **state);

#endif
