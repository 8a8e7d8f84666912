/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures of a directory: what lies in it at one moment, down to the inode numbers, and what
 * became of it between two moments - what is new, gone, changed, one more name of an inode that was
 * there, or a copy of another file's content.
 *
 * An inode is known by its file handle, which the file system never gives out twice; its number
 * alone may come back within the same second.
 */
#ifndef OL_BENCH_TEACH_TREE_H
#define OL_BENCH_TEACH_TREE_H

#include "common/buf.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

/* Contents up to this many bytes are kept, to tell copies; larger files are never called copied. */
enum { OL_CAPTURE_CONTENT_MAX = 256 * 1024 };

struct ol_capture_entry {
    char *path;       /* owned; relative to the root of the capture */
    const char *name; /* its last component */
    unsigned depth;   /* components of path, from 1 */
    uint64_t ino, dev;
    struct ol_buf handle; /* owned; the file handle, empty where the file system has none */
    mode_t mode;
    uint64_t links; /* 0: not known, another file system is mounted here */
    uint64_t size_bytes;
    uint64_t disk_bytes; /* blocks * 512 */
    struct timespec mtime;
    char *target;          /* owned; of a symlink, else NULL */
    struct ol_buf content; /* owned; of a regular file that is not too large */
    bool whiteout;         /* char device 0/0 */
    const char *opaque;    /* the attribute that makes the directory opaque, or NULL; static */
    bool mounted;          /* another file system is mounted here, and was not entered */
};

struct ol_capture {
    struct ol_capture_entry *entries; /* owned; pre-order, siblings sorted bytewise, no root */
    size_t count, room;
};

/** Look at everything below root_fd. @return 0 or negative errno */
int ol_capture_take(int root_fd, struct ol_capture *ret, struct ol_error *err);
void ol_capture_fini(struct ol_capture *capture);
#define ol_auto_capture __attribute__((cleanup(ol_capture_fini)))

/** The entry of that path, or NULL. */
const struct ol_capture_entry *ol_capture_find(const struct ol_capture *capture, const char *path);

enum ol_tree_change {
    OL_TREE_SAME,
    OL_TREE_NEW,     /* a new inode */
    OL_TREE_LINKED,  /* a new name of an inode that has others */
    OL_TREE_MOVED,   /* the inode had another name, and lost it */
    OL_TREE_CHANGED, /* the same inode, with other content or attributes; more or fewer links alone
                        are no change */
    OL_TREE_GONE,
};

/* One path of two captures. */
struct ol_tree_row {
    const struct ol_capture_entry *was, *now; /* borrowed; was NULL: new; now NULL: gone */
    enum ol_tree_change change;
    bool shared; /* no directory, and the later capture has other names of its inode */
    const struct ol_capture_entry *copy_of; /* a new inode whose content begins with all of this
                                               older file of the same name, which is not empty */
    bool touched; /* it, or something below it, is not the same, or has other links */
};

struct ol_tree_rows {
    struct ol_tree_row *rows; /* owned; pre-order, gone paths where they were */
    size_t count;
};

/**
 * Hold two captures against each other; they must outlive the rows.
 * @param before      NULL: nothing to compare with, everything is the same as it was
 * @param copy_depth  files nearer to the root than this are nobody's copies (a driver's own)
 * @return 0 or -ENOMEM
 */
int ol_tree_compare(const struct ol_capture *before, const struct ol_capture *after,
                    unsigned copy_depth, struct ol_tree_rows *ret);
void ol_tree_rows_fini(struct ol_tree_rows *rows);
#define ol_auto_tree_rows __attribute__((cleanup(ol_tree_rows_fini)))

/** The later of the two entries, so the earlier one where the path is gone. */
const struct ol_capture_entry *ol_tree_row_entry(const struct ol_tree_row *row);

/** 'd', 'f', 'l', 'c', 'b', 'p', 's' by type; 'w' a whiteout. */
char ol_capture_letter(const struct ol_capture_entry *entry);

/** "directory", "file", "symlink", "whiteout", … */
const char *ol_capture_kind(const struct ol_capture_entry *entry);

#endif
