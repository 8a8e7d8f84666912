/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding names in a stack of directories (struct ol_stack) without mounting it, with the rules of
 * the kernel's overlay: the topmost directory that has the name decides; a whiteout ends the
 * search; directories of the same name merge downwards until one is opaque or something else is in
 * the way. Redirects and metacopy, which the drivers never ask for but a kernel may use by default,
 * are not followed but refused: reading on would give a wrong answer. Used by changes and export.
 */
#ifndef OL_COMMON_LAYER_STACK_H
#define OL_COMMON_LAYER_STACK_H

#include "common/buf.h"
#include "common/layer/changes.h"

#include <sys/stat.h>

/** True when whiteouts and opaque directories mean something: there is more than one directory. */
static inline bool ol_stack_interprets(const struct ol_stack *stack)
{
    return stack->overlay && stack->count > 1;
}

/**
 * Open the directory path (clean, relative, "" for the root; of any length) beneath root_fd, for
 * reading. @return fd or negative errno
 */
int ol_stack_open_dir(int root_fd, const char *path);

/**
 * Refuse an entry of an interpreted stack whose data the kernel would look for elsewhere: a
 * directory with a redirect, a regular file with metacopy. @param type  S_IF*
 * @return 0, or -EOPNOTSUPP
 */
int ol_stack_check_entry(const struct ol_stack *stack, int dir_fd, const char *name, mode_t type);

struct ol_stack_level;

/* A position in the stack that remembers the directory it is in: lookups in sorted order cost one
 * open for each directory, however many layers and components there are. */
struct ol_stack_cursor {
    const struct ol_stack *stack;  /* borrowed */
    struct ol_buf dir;             /* the directory's path, relative */
    struct ol_stack_level *levels; /* owned; levels[0] is the root */
    size_t depth, cap;
    int *fds; /* owned; the directory in each of its layers, topmost first */
    size_t n_fds;
};

struct ol_stack_entry {
    int dir_fd;       /* of the cursor: valid until the next lookup */
    const char *name; /* points into the path */
    struct stat st;
};

/** @return 0 or -ENOMEM; ol_stack_cursor_fini() in any case. */
int ol_stack_cursor_init(struct ol_stack_cursor *cursor, const struct ol_stack *stack);
void ol_stack_cursor_fini(struct ol_stack_cursor *cursor);

/**
 * Look path up ("/a/b", not the root).
 * @return 0; -ENOENT not there, or hidden; or negative errno
 */
int ol_stack_cursor_find(struct ol_stack_cursor *cursor, const char *path,
                         struct ol_stack_entry *ret);

#endif
