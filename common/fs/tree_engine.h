/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tree operations share (not for use outside common/fs): visiting every directory of a
 * tree, by several threads, with one path component per system call.
 *
 * Each directory is a node. A node is opened from its parent's descriptors, its entries are handed
 * to the visitor, and its subdirectories become jobs of the pool (common/pool.h), all at once. A
 * parent's descriptors stay open while a child still has to be opened (or, with `hold`, until
 * everything below is done). That number follows depth, so it has a budget: once it is used up, a
 * worker takes a whole subtree for itself and goes up through "..", checking that it arrives where
 * it came from. Neither depth nor width can exhaust descriptors or the stack.
 */
#ifndef OL_COMMON_FS_TREE_ENGINE_H
#define OL_COMMON_FS_TREE_ENGINE_H

#include "common/buf.h"
#include "common/error.h"
#include "common/fs/dirents.h"
#include "common/pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum { OL_TREE_SCAN_BYTES = 64 << 10 }; /* getdents64 buffer of one worker */

struct ol_tree_identity;

struct ol_tree_node {
    struct ol_job job;               /* first; also links the children that wait */
    struct ol_tree_node *parent;     /* referenced; NULL for the root */
    struct ol_tree_node *below;      /* owned; subdirectories found and not yet handed on */
    struct ol_tree_identity *paused; /* owned; set while its descriptors are closed for a time */
    atomic_uint refs;                /* its own visit, each child, whoever else keeps it */
    atomic_uint unopened;            /* its own visit, each waiting job below */
    int fd[2];                       /* owned; the tree read, and the tree made (clone only) */
    unsigned note;                   /* the visitor's, 0 at first */
    char name[];                     /* in the parent; for the root: its name in messages */
};

struct ol_tree_run;

/* One worker's view while it handles a node. */
struct ol_tree_visit {
    struct ol_tree_run *run;
    struct ol_pool *pool;
    unsigned worker; /* 0 … OL_THREADS_MAX-1 */
    struct ol_error *err;
};

struct ol_tree_visitor {
    /** Open node->fd[] from the parent's. @return 0; 1 to leave this directory out; or an error. */
    int (*open)(struct ol_tree_visit *v, struct ol_tree_node *node);
    /** Before the first entry; may be NULL. */
    int (*begin)(struct ol_tree_visit *v, struct ol_tree_node *node);
    /** One entry. @return 0; 1 when it is a directory to be visited; or an error. */
    int (*entry)(struct ol_tree_visit *v, struct ol_tree_node *node, const struct ol_dirent *e);
    /** After its last entry, before any subdirectory was visited; may be NULL. */
    int (*end)(struct ol_tree_visit *v, struct ol_tree_node *node);
    /** Before the descriptors are closed for good; may be NULL. */
    int (*closing)(struct ol_tree_visit *v, struct ol_tree_node *node);
    /**
     * Everything below is done; may be NULL. Needs `hold`: node's and parent's descriptors are
     * open.
     * @return 0; 1 to visit the directory again; or an error.
     */
    int (*leave)(struct ol_tree_visit *v, struct ol_tree_node *node);
    bool hold; /* keep descriptors until everything below is done */
};

struct ol_tree_scan {
    char *buf; /* owned; NULL until used */
    size_t pos;
    size_t len;
};

struct ol_tree_run {
    const struct ol_tree_visitor *visitor;
    void *data;             /* the visitor's */
    unsigned fds;           /* descriptors of a node in use: 1 or 2 */
    unsigned budget;        /* directories open at once before workers go it alone; 0: choose */
    atomic_uint open_nodes; /* directories open now */
    atomic_bool aborted;    /* something failed: no leave() any more */
    struct ol_tree_scan scan[16]; /* one per worker; OL_THREADS_MAX */
};

/**
 * Visit the tree under root (whose fd[] are open) with up to `threads` workers.
 * @param root  a node from ol_tree_node_new(); consumed
 * @return 0 or the first failure
 */
int ol_tree_run(struct ol_tree_run *run, struct ol_tree_node *root, unsigned threads,
                struct ol_error *err);

/** A node named `name` below parent (NULL: the root of a run); NULL when out of memory. */
struct ol_tree_node *ol_tree_node_new(struct ol_tree_node *parent, const char *name);
void ol_tree_node_ref(struct ol_tree_node *node);
/** Drop one reference; the last closes what is open and drops the parent's. NULL is accepted. */
void ol_tree_node_unref(struct ol_tree_node *node);

/** The path of name ("": node itself) from the root, for messages; long ones are cut in front. */
int ol_tree_path(const struct ol_tree_node *node, const char *name, struct ol_buf *ret);

/** Report errnum about an entry of node: "what 'path': reason". @return -errnum */
int ol_tree_fail(struct ol_error *err, int errnum, const struct ol_tree_node *node,
                 const char *name, const char *what);

/** openat(dir_fd, name) of a directory for reading, without touching its access time if allowed.
 * @return descriptor or negative errno */
int ol_tree_open_dir(int dir_fd, const char *name);

/**
 * The same, but -EXDEV for a mount point (openat2 RESOLVE_NO_XDEV, where missing statx's mount id):
 * a subvolume of the same mount is not one.
 */
int ol_tree_open_dir_same_mount(int dir_fd, const char *name);

#endif
