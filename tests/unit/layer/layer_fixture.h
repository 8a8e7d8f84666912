/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the layer tests share: a root to apply to, a canary directory beside it that nothing may
 * ever touch, and a tarball to fill.
 */
#ifndef OL_TESTS_LAYER_FIXTURE_H
#define OL_TESTS_LAYER_FIXTURE_H

#include "common/layer/layer.h"
#include "support/support.h"
#include "support/tarball.h"

#include <sys/stat.h>

struct layer_fixture {
    struct test_dir dir;
    int root_fd;                     /* dir/root */
    int out_fd;                      /* dir/out: canary "canary" (0640), "sub/inner" */
    char *out;                       /* absolute path of dir/out */
    char *canary;                    /* what out looked like at the start */
    struct tarball tar;              /* for the test to fill; TARBALL_INIT */
    struct ol_layer_options options; /* TREE with owners kept where that is possible */
    struct ol_layer_result res;      /* of the last apply */
    struct ol_error err;             /* of the last apply */
};

int layer_setup(void **state);
/** Fails the test when the canary has changed. */
int layer_teardown(void **state);

/** End the tarball, apply it to the root and start a new one. @return what ol_layer_apply said */
int layer_apply(struct layer_fixture *f);
/** The same for the bytes as they are: nothing is added. */
int layer_apply_raw(struct layer_fixture *f);
/** layer_apply() and it must work. */
void layer_apply_ok(struct layer_fixture *f);
/** layer_apply() and it must fail with this code and a message that holds text. */
void layer_apply_fails(struct layer_fixture *f, int code, const char *text);

/** Remove what is in the root. */
void layer_clear(struct layer_fixture *f);

/** A line for each object below fd: path, type, mode, owner, links, size, mtime, content; sorted.
 */
char *layer_listing(int fd);

/** stat without following; fails the test when it is not there. */
struct stat layer_stat(int dir_fd, const char *path);

/** A path in the root, as text for symlinks: "<out>/name". The caller frees it. */
char *layer_out_path(const struct layer_fixture *f, const char *name);

#define assert_mode(dir_fd, path, want)                                                            \
    assert_int_equal(layer_stat((dir_fd), (path)).st_mode & 07777, (want))
#define assert_mtime(dir_fd, path, want)                                                           \
    assert_int_equal(layer_stat((dir_fd), (path)).st_mtim.tv_sec, (want))

#endif
