/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regression tests on inode consumption: what an image, a container's changes and a commit of them
 * cost under Docker's storage drivers, held against limits. The assertions are cmocka's kind; any
 * other framework can be plugged in (ol_test_set_handler()). Link with `pkg-config overlab-test` or
 * CMake's find_package(overlab-test) and overlab::test.
 *
 *     static void commit__of_a_config_file_is_small(void **state)
 *     {
 *         struct ol_test_options options = {.drivers = "overlay,overlay2"};
 *         struct ol_test_lab *lab = *state = ol_test_lab_new(&options);
 *
 *         ol_test_import(lab, "image.tar");
 *         ol_test_container_create(lab);
 *         ol_test_change(lab, write_config, NULL);
 *         ol_assert_inodes_at_most("overlay2", ol_test_commit(lab), 8);
 *     }       (the teardown: ol_test_lab_free(*state), which also runs after a failure)
 *
 * A lab is a new, empty storage for each of its drivers. A step is done on all of them, and counted
 * around: by a walk of the driver's directory, by distinct (device, inode), as `overlab compare`
 * counts. Everything happens in one line of history: layers are imported one over the other, a
 * container is made from the newest image, and a commit makes the next image.
 *
 * Nothing here returns errors: what goes wrong, and what an assertion finds wrong, fails the test
 * with file, line, driver and step; what this machine cannot do skips it, with the reason. All
 * functions whose name ends in _at are called through the macros, which add file and line. One lab
 * is for one thread. The first lab of a process may move the process into a user namespace or a
 * mount namespace of its own (ol_test_options.view), which needs a process without threads.
 */
#ifndef OVERLAB_TEST_H
#define OVERLAB_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the lab ---- */

struct ol_test_lab;
struct ol_test_step;
struct ol_test_root;

/* What is left 0 or NULL has the default. Borrowed during ol_test_lab_new() only. */
struct ol_test_options {
    /* Full names with options, as `overlab compare --drivers` takes them:
     * "overlay,overlay:clone=all,overlay2". NULL: "overlay,overlay2,vfs,snapshot". */
    const char *drivers;
    /* "kernel": overlay mounts as root; "userns": in a user namespace, as an ordinary user;
     * "direct": no mounts, overlay's own format is written by hand. NULL or "auto": the first that
     * works here, unless $OVERLAB_TEST_VIEW names one. The counts are the same in all of them. */
    const char *view;
    /* Where: a directory, or "ext4:SIZE", "xfs:SIZE", "btrfs:SIZE", "tmpfs:SIZE" for a file system
     * made for the lab. NULL: below $TMPDIR, or /tmp. */
    const char *backing;
    uint64_t seed; /* of the built-in image and of ol_test_change_seeded() */
};

/** Make a lab: in the test, not in its setup, from where cmocka cannot skip.
 * @param options  may be NULL @return owned; free with ol_test_lab_free(), in the teardown */
#define ol_test_lab_new(...) ol_test_lab_new_at((__VA_ARGS__), __FILE__, __LINE__)
struct ol_test_lab *ol_test_lab_new_at(const struct ol_test_options *options, const char *file,
                                       int line);

/** Unmount and remove everything the lab holds, its steps included. Accepts NULL; fails the test
 * when something could not be unmounted or removed. */
#define ol_test_lab_free(lab) ol_test_lab_free_at((lab), __FILE__, __LINE__)
void ol_test_lab_free_at(struct ol_test_lab *lab, const char *file, int line);

/** The view the lab runs in: "kernel", "userns" or "direct". */
const char *ol_test_view(const struct ol_test_lab *lab);

/* ---- steps; each belongs to the lab and lives as long ---- */

/**
 * Import an image: a docker-archive, an OCI layout (directory or tar), a root file system
 * (directory or tar, any compression), told by content; "PATH#NAME" picks one of several; NULL is
 * the built-in image. Before the first container more can be imported: each image's layers go over
 * the last.
 * @return the step over all of the image's layers
 */
#define ol_test_import(lab, path) ol_test_import_at((lab), (path), __FILE__, __LINE__)
const struct ol_test_step *ol_test_import_at(struct ol_test_lab *lab, const char *path,
                                             const char *file, int line);

/** The part of the imports that layer index took, from 0, over all images imported. */
#define ol_test_layer(lab, index) ol_test_layer_at((lab), (index), __FILE__, __LINE__)
const struct ol_test_step *ol_test_layer_at(struct ol_test_lab *lab, unsigned index,
                                            const char *file, int line);

/** Create a container from the newest image, as the engine does: init layer included. */
#define ol_test_container_create(lab) ol_test_container_create_at((lab), __FILE__, __LINE__)
const struct ol_test_step *ol_test_container_create_at(struct ol_test_lab *lab, const char *file,
                                                       int line);

/** Mount the newest container, for several changes. Without it each change mounts and unmounts. */
#define ol_test_mount(lab)   ol_test_mount_at((lab), __FILE__, __LINE__)
#define ol_test_unmount(lab) ol_test_unmount_at((lab), __FILE__, __LINE__)
const struct ol_test_step *ol_test_mount_at(struct ol_test_lab *lab, const char *file, int line);
const struct ol_test_step *ol_test_unmount_at(struct ol_test_lab *lab, const char *file, int line);

/** Change the newest container: called once for each driver, and to do the same each time. */
typedef void ol_test_change_fn(struct ol_test_root *root, void *data);
#define ol_test_change(lab, fn, data) ol_test_change_at((lab), (fn), (data), __FILE__, __LINE__)
const struct ol_test_step *ol_test_change_at(struct ol_test_lab *lab, ol_test_change_fn *fn,
                                             void *data, const char *file, int line);

/**
 * Change the newest container with a program: run once for each driver, with the path of the
 * mounted container in $OL_ROOT and nothing else of the environment but PATH and LC_ALL=C. It has
 * to end with status 0. Skips in the direct view, where nothing is mounted.
 * @param argv  NULL-terminated; the program is looked for in the system's directories only
 */
#define ol_test_change_command(lab, ...)                                                           \
    ol_test_change_command_at((lab), (__VA_ARGS__), __FILE__, __LINE__)
const struct ol_test_step *ol_test_change_command_at(struct ol_test_lab *lab,
                                                     const char *const argv[], const char *file,
                                                     int line);

/**
 * Change the newest container as `overlab compare` does: files chosen by the lab's seed.
 * @param changes  "add=A,modify=M,delete=D,rename=R,chmod=C,mkdir=K,symlink=S,link=L,replace=P"
 * @param bytes    size of each file added or modified
 */
#define ol_test_change_seeded(lab, changes, bytes)                                                 \
    ol_test_change_seeded_at((lab), (changes), (bytes), __FILE__, __LINE__)
const struct ol_test_step *ol_test_change_seeded_at(struct ol_test_lab *lab, const char *changes,
                                                    uint64_t bytes, const char *file, int line);

/** Commit the newest container: the newest image from now on. The container can then only be
 * removed. */
#define ol_test_commit(lab) ol_test_commit_at((lab), __FILE__, __LINE__)
const struct ol_test_step *ol_test_commit_at(struct ol_test_lab *lab, const char *file, int line);

/** Remove a container, by the order of making, from 0. */
#define ol_test_container_remove(lab, index)                                                       \
    ol_test_container_remove_at((lab), (index), __FILE__, __LINE__)
const struct ol_test_step *ol_test_container_remove_at(struct ol_test_lab *lab, unsigned index,
                                                       const char *file, int line);

/** Remove an image that no container and no other image stands on: 0 is what was imported, with all
 * its layers, k the k-th commit's. */
#define ol_test_image_remove(lab, index) ol_test_image_remove_at((lab), (index), __FILE__, __LINE__)
const struct ol_test_step *ol_test_image_remove_at(struct ol_test_lab *lab, unsigned index,
                                                   const char *file, int line);

/** Remove all containers and images that are left. Nothing can be made in the lab after it. */
#define ol_test_remove_all(lab) ol_test_remove_all_at((lab), __FILE__, __LINE__)
const struct ol_test_step *ol_test_remove_all_at(struct ol_test_lab *lab, const char *file,
                                                 int line);

/* ---- a container's root, in a change; paths are relative to it and confined to it ---- */

/** Full name of the driver this root is kept by. */
const char *ol_test_root_driver(const struct ol_test_root *root);

/** Absolute path of the mounted container, valid during the change. Skips where nothing is mounted:
 * in the direct view, with every driver but vfs. */
#define ol_test_root_path(root) ol_test_root_path_at((root), __FILE__, __LINE__)
const char *ol_test_root_path_at(struct ol_test_root *root, const char *file, int line);

/** Make a directory (0755), or a file (0644) with this text; its directory has to exist. A file
 * that is there already is overwritten. */
#define ol_test_mkdir(root, path)       ol_test_mkdir_at((root), (path), __FILE__, __LINE__)
#define ol_test_write(root, path, text) ol_test_write_at((root), (path), (text), __FILE__, __LINE__)
#define ol_test_append(root, path, text)                                                           \
    ol_test_append_at((root), (path), (text), __FILE__, __LINE__)
#define ol_test_symlink(root, target, path)                                                        \
    ol_test_symlink_at((root), (target), (path), __FILE__, __LINE__)
/** One more name for the file at path. */
#define ol_test_link(root, path, new_path)                                                         \
    ol_test_link_at((root), (path), (new_path), __FILE__, __LINE__)
/** Files and symlinks; overlayfs does not rename directories of an image. */
#define ol_test_rename(root, path, new_path)                                                       \
    ol_test_rename_at((root), (path), (new_path), __FILE__, __LINE__)
#define ol_test_chmod(root, path, mode) ol_test_chmod_at((root), (path), (mode), __FILE__, __LINE__)
/** Whatever is there, with all it holds; it has to be there. */
#define ol_test_remove(root, path) ol_test_remove_at((root), (path), __FILE__, __LINE__)

void ol_test_mkdir_at(struct ol_test_root *root, const char *path, const char *file, int line);
void ol_test_write_at(struct ol_test_root *root, const char *path, const char *text,
                      const char *file, int line);
void ol_test_append_at(struct ol_test_root *root, const char *path, const char *text,
                       const char *file, int line);
void ol_test_symlink_at(struct ol_test_root *root, const char *target, const char *path,
                        const char *file, int line);
void ol_test_link_at(struct ol_test_root *root, const char *path, const char *new_path,
                     const char *file, int line);
void ol_test_rename_at(struct ol_test_root *root, const char *path, const char *new_path,
                       const char *file, int line);
void ol_test_chmod_at(struct ol_test_root *root, const char *path, unsigned mode, const char *file,
                      int line);
void ol_test_remove_at(struct ol_test_root *root, const char *path, const char *file, int line);

/* ---- what a step cost ---- */

enum ol_test_kind {
    OL_TEST_DIRECTORIES,
    OL_TEST_FILES,
    OL_TEST_SYMLINKS,
    OL_TEST_DEVICES,
    OL_TEST_FIFOS, /* and sockets */
    OL_TEST_WHITEOUTS,
    OL_TEST_BOOKKEEPING /* what the driver makes for itself, whatever type it has */
};

/** In place of a driver's name in an assertion: it has to hold for each driver of the lab. */
#define OL_TEST_EVERY_DRIVER "*"

/** What the step added; negative when it freed some. Bytes are blocks of 512 of distinct inodes. */
#define ol_test_inodes(driver, step) ol_test_inodes_at((driver), (step), __FILE__, __LINE__)
#define ol_test_inodes_of_kind(driver, step, kind)                                                 \
    ol_test_inodes_of_kind_at((driver), (step), (kind), __FILE__, __LINE__)
#define ol_test_bytes(driver, step) ol_test_bytes_at((driver), (step), __FILE__, __LINE__)
int64_t ol_test_inodes_at(const char *driver, const struct ol_test_step *step, const char *file,
                          int line);
int64_t ol_test_inodes_of_kind_at(const char *driver, const struct ol_test_step *step,
                                  enum ol_test_kind kind, const char *file, int line);
int64_t ol_test_bytes_at(const char *driver, const struct ol_test_step *step, const char *file,
                         int line);

/*
 * Assertions. What fails tells the driver, the step, what was expected and what it was, by kind,
 * beside the prediction where there is one, and which directories hold most of the new inodes.
 */

/** The step added exactly n inodes; at most n; from low to high. */
#define ol_assert_inodes_added(driver, step, n)                                                    \
    ol_assert_inodes_at((driver), (step), (n), (n), __FILE__, __LINE__)
#define ol_assert_inodes_at_most(driver, step, n)                                                  \
    ol_assert_inodes_at((driver), (step), INT64_MIN, (n), __FILE__, __LINE__)
#define ol_assert_inodes_between(driver, step, low, high)                                          \
    ol_assert_inodes_at((driver), (step), (low), (high), __FILE__, __LINE__)
void ol_assert_inodes_at(const char *driver, const struct ol_test_step *step, int64_t low,
                         int64_t high, const char *file, int line);

/** The step added exactly n inodes of this kind. */
#define ol_assert_inodes_of_kind(driver, step, kind, n)                                            \
    ol_assert_inodes_of_kind_at((driver), (step), (kind), (n), __FILE__, __LINE__)
void ol_assert_inodes_of_kind_at(const char *driver, const struct ol_test_step *step,
                                 enum ol_test_kind kind, int64_t n, const char *file, int line);

/**
 * The step added the inodes the cost model says, kind by kind. There is a prediction for every step
 * but changes by callbacks and programs; and of seeded ones for a container's first change. Asking
 * for one that does not exist fails, with the reason.
 */
#define ol_assert_inodes_as_predicted(driver, step)                                                \
    ol_assert_inodes_as_predicted_at((driver), (step), __FILE__, __LINE__)
void ol_assert_inodes_as_predicted_at(const char *driver, const struct ol_test_step *step,
                                      const char *file, int line);

/** Exactly n inodes that were there before the step have new names after it: files a layer shares
 * with its parent by hard links. */
#define ol_assert_inodes_shared(driver, step, n)                                                   \
    ol_assert_inodes_shared_at((driver), (step), (n), __FILE__, __LINE__)
void ol_assert_inodes_shared_at(const char *driver, const struct ol_test_step *step, int64_t n,
                                const char *file, int line);

/** The step's inodes of driver, divided by those of other, are from low to high. */
#define ol_assert_inodes_ratio(driver, other, step, low, high)                                     \
    ol_assert_inodes_ratio_at((driver), (other), (step), (low), (high), __FILE__, __LINE__)
void ol_assert_inodes_ratio_at(const char *driver, const char *other,
                               const struct ol_test_step *step, double low, double high,
                               const char *file, int line);

/** The step took at most this much; from low to high. What a file takes depends on the file system.
 */
#define ol_assert_bytes_at_most(driver, step, n)                                                   \
    ol_assert_bytes_at((driver), (step), INT64_MIN, (n), __FILE__, __LINE__)
#define ol_assert_bytes_between(driver, step, low, high)                                           \
    ol_assert_bytes_at((driver), (step), (low), (high), __FILE__, __LINE__)
void ol_assert_bytes_at(const char *driver, const struct ol_test_step *step, int64_t low,
                        int64_t high, const char *file, int line);

/** The driver's directory holds exactly what it held when it was empty. */
#define ol_assert_nothing_left(driver, lab)                                                        \
    ol_assert_nothing_left_at((driver), (lab), __FILE__, __LINE__)
void ol_assert_nothing_left_at(const char *driver, struct ol_test_lab *lab, const char *file,
                               int line);

/* ---- other frameworks ---- */

/*
 * Who ends a test. text is valid until the next failure or skip in this thread; it has no newline
 * at its end. fail() may return from a failed assertion, and the test goes on; when it returns from
 * anything else that failed, or on_skip() returns, there is nothing to go on with, and the process
 * is aborted.
 */
struct ol_test_handler {
    void (*on_failure)(const char *text, const char *file, int line, void *data);
    void (*on_skip)(const char *text, const char *file, int line, void *data);
    void *data;
};

/** Use this handler, which has to stay valid, in this process; NULL: cmocka's. Where the
 * environment has OL_TEST_REQUIRE=all, what would skip fails. */
void ol_test_set_handler(const struct ol_test_handler *handler);

#ifdef __cplusplus
}
#endif

#endif
