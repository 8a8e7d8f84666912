/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tiny image of the teaching commands: a farm in three layers with names one remembers, small
 * enough that every inode of it fits on a screen, with as many directories and symlinks for its
 * files as make the difference between the drivers. And layer tars of anybody's own entries, for
 * what the image does not show.
 *
 *   base    bin/sh  bin/ash -> sh  etc/motd  farm/cow  farm/hen  farm/field/  home/  lib/
 *           lib64 -> lib  sbin -> bin  usr/share/  var/log/
 *   barn    etc/motd, changed  farm/hen, deleted  farm/barn/owl  farm/barn/cat
 *   tools   tools/plough  tools/best -> plough
 */
#ifndef OL_BENCH_TEACH_TINY_H
#define OL_BENCH_TEACH_TINY_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

enum { OL_TINY_LAYERS = 3 };

/* An entry of a layer tar. The content of a file is its own name, again and again. */
struct ol_tiny_entry {
    const char *path; /* as in the archive; a whiteout is an empty file "DIR/.wh.NAME" */
    char type;        /* as in tar: '0', '1', '2', '5' */
    const char *link; /* of '1' and '2', else NULL */
    unsigned mode;    /* 12 permission bits */
    uint64_t size;    /* bytes, of '0' */
};

/**
 * Write a layer tar, all of it root's and from the same second.
 * @param ret_fd  the caller's; in memory, seekable, at its start
 */
int ol_tiny_tar(const struct ol_tiny_entry *entries, size_t count, int *ret_fd,
                struct ol_error *err);

/** The tar of one layer of the image, from 0; the same bytes every time. */
int ol_tiny_layer(size_t index, int *ret_fd, struct ol_error *err);

/** What the layer is called: "base", "barn", "tools". */
const char *ol_tiny_name(size_t index);

#endif
