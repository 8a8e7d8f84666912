/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing trees with moby's rules (pkg/archive/changes*.go at v20.10.24): what was added,
 * modified and deleted between an old and a new tree.
 *
 * A side is a stack of directories, topmost first. One plain directory (a mounted view, a full
 * image tree) is a stack of one. Several make an overlay read without mounting it: whiteouts and
 * opaque directories are interpreted, and where both sides have only the same lower directories
 * left, the subtree is skipped - which makes the cost follow the changes, not the image.
 */
#ifndef OL_COMMON_LAYER_CHANGES_H
#define OL_COMMON_LAYER_CHANGES_H

#include "common/error.h"
#include "common/fs/whiteout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ol_change_kind { OL_CHANGE_MODIFY = 0, OL_CHANGE_ADD = 1, OL_CHANGE_DELETE = 2 };

struct ol_change {
    const char *path; /* with a leading slash; owned by the list */
    enum ol_change_kind kind;
};

/* Sorted bytewise by path, as moby's export sorts. */
struct ol_changes {
    struct ol_change *items;
    size_t count;
    size_t cap;
    struct ol_arena *arena; /* the paths */
};

#define OL_CHANGES_INIT                                                                            \
    {                                                                                              \
        NULL, 0, 0, NULL                                                                           \
    }

void ol_changes_fini(struct ol_changes *changes);
#define ol_auto_changes __attribute__((cleanup(ol_changes_fini)))

struct ol_stack {
    const int *fds; /* borrowed directory descriptors, topmost first */
    size_t count;   /* 0: the empty tree */
    bool overlay;   /* interpret whiteouts and opaque attributes, as the kernel does when it mounts
                       two directories or more; with a single one, and always when false (count is
                       at most 1 then), names mean themselves */
    enum ol_overlay_ns ns;
};

/**
 * Compare with the rules of moby v20.10.24. Every directory above a change is itself modified; what
 * is below a deleted name is not listed; the root is not compared. Equal: mode, owner, device,
 * security.capability and, for what the old side does not hold as a directory, size and mtime
 * (equal seconds and equal nanoseconds, or one of them 0). Names with the same inode number in
 * directories of the same device are skipped with all below them, and so is what both sides have
 * from the same directories only. (The one case where this is not what two mounts would show: a
 * device 0/0 in a directory that is plain on one side, where it is a device, and a lower directory
 * on the other, where it is a whiteout.)
 *
 * @param threads  0: choose
 * @param ret      initialised with OL_CHANGES_INIT; the caller releases it; the same list whatever
 *                 the number of threads
 * @return 0; -EOPNOTSUPP a layer of an overlay stack uses redirects or metacopy, which only the
 *         kernel can follow; or the errno of the failing call. The text names the path; ret is
 *         untouched then
 */
int ol_changes_compare(const struct ol_stack *new_side, const struct ol_stack *old_side,
                       unsigned threads, struct ol_changes *ret, struct ol_error *err);

/**
 * Sum of st_size of added and modified non-directories in the new side, hard links once (moby
 * ChangesSize).
 */
int ol_changes_size(const struct ol_stack *new_side, const struct ol_changes *changes,
                    uint64_t *ret_bytes, struct ol_error *err);

#endif
