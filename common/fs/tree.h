/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on whole trees: clone, remove, count. All of them work by descriptor, one path
 * component per system call, have no limit on depth or path length, and share the work of different
 * directories between threads (common/pool.h). Memory follows depth and directory size, not the
 * number of entries.
 */
#ifndef OL_COMMON_FS_TREE_H
#define OL_COMMON_FS_TREE_H

#include "common/error.h"
#include "common/fs/whiteout.h"

#include <stdbool.h>
#include <stdint.h>

enum ol_clone_mode {
    OL_CLONE_CONTENT, /* moby DirCopy Content: copy file data (reflink, copy_file_range, read/write)
                       */
    OL_CLONE_LINK,    /* moby DirCopy Hardlink: link regular files, re-make everything else */
};

struct ol_clone_options {
    enum ol_clone_mode mode;
    bool link_all; /* OL_CLONE_LINK: hard-link everything but directories (driver option clone=all)
                    */
    bool all_xattrs;       /* copy every attribute that can be read; moby copies two (see below) */
    enum ol_overlay_ns ns; /* name of the opaque attribute to carry over */
    bool keep_owner;       /* false: the view cannot chown; owners stay those of the process */
    unsigned threads;      /* 0: choose */
};

struct ol_clone_stats {
    uint64_t directories;     /* made, the root not counted */
    uint64_t linked;          /* names linked to the source's inode */
    uint64_t copied;          /* regular files whose data was copied */
    uint64_t relinked;        /* names linked to an earlier copy inside the new tree */
    uint64_t specials;        /* symlinks, fifos and devices made */
    uint64_t copied_fallback; /* linked mode: copied because of EMLINK or EXDEV (moby would fail) */
    uint64_t skipped_sockets; /* sockets left out (moby fails on them) */
    uint64_t skipped_devices; /* devices that could not be made without privileges */
    uint64_t skipped_xattrs;  /* attributes refused to an ordinary user (keep_owner false only) */
};

/**
 * Clone the tree at src_fd into the existing empty directory dst_fd, which gets the source's owner,
 * mode, times and xattrs as well. Follows moby 20.10 daemon/graphdriver/copy/copy.go: hard links
 * between regular files are kept in content mode, symlinks and specials get an inode per name,
 * security.capability and overlay's opaque attribute are carried over, others are not.
 *
 * @param ret  may be NULL
 * @return 0 or negative errno; on failure dst_fd holds part of the tree: the caller removes it.
 */
int ol_tree_clone(int src_fd, int dst_fd, const struct ol_clone_options *options,
                  struct ol_clone_stats *ret, struct ol_error *err);

/**
 * Copy the data of one regular file: FICLONE, then copy_file_range, then read/write; holes are
 * kept.
 * @param size  bytes expected; the copy stops early when the source shrinks
 */
int ol_file_copy_data(int src_fd, int dst_fd, uint64_t size, struct ol_error *err);

/**
 * Remove dir_fd/name, whatever it is, and everything below. A name of several components is a path
 * of ours: only its last one is not followed. Never follows symlinks below, never leaves
 * the file system of dir_fd/name (a mount point below is an error, -EBUSY, that names it). A
 * missing name is success. Directories without permission bits are made searchable first when that
 * is allowed.
 */
int ol_tree_remove(int dir_fd, const char *name, struct ol_error *err);

/** Remove what is inside dir_fd, keeping the directory itself. */
int ol_tree_remove_content(int dir_fd, struct ol_error *err);

struct ol_tree_usage {
    uint64_t inodes; /* distinct (device, inode), the root included */
    uint64_t directories;
    uint64_t regular;
    uint64_t symlinks;
    uint64_t devices; /* char and block, whiteouts not counted here */
    uint64_t fifos;   /* and sockets */
    uint64_t whiteouts;
    uint64_t names;          /* directory entries, the root included */
    uint64_t bytes;          /* blocks * 512 of distinct inodes */
    uint64_t apparent_bytes; /* st_size of distinct regular files and symlinks */
    uint64_t shared;         /* distinct non-directories with more links than names found here */
};

/**
 * Count a tree by distinct (device, inode) and kind. Mount points below root_fd are not entered.
 * @param inodes_only  fill in only inodes and names, from directory entries, without stat calls
 */
int ol_tree_usage(int root_fd, bool inodes_only, struct ol_tree_usage *ret, struct ol_error *err);

/* One object met by ol_tree_walk(). */
struct ol_walk_entry {
    const char *path;      /* relative to the root, "" for the root itself; valid during the call */
    const char *name;      /* last component (points into path) */
    int dir_fd;            /* the directory the entry is in; for the root: root_fd, with name "" */
    const struct stat *st; /* not followed */
    unsigned depth;        /* components of path */
};

/** Return 0 to go on, 1 to not enter this directory, negative errno to stop. */
typedef int ol_walk_fn(const struct ol_walk_entry *entry, void *data, struct ol_error *err);

/** Walk in pre-order, siblings sorted bytewise, one thread, without following symlinks. */
int ol_tree_walk(int root_fd, ol_walk_fn *fn, void *data, struct ol_error *err);

#endif
