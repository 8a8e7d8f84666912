/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open parent directories, by the path under which the archive names them. Resolution is confined
 * to the root (ol_path_open) and its result is kept only as a descriptor, in a small cache that is
 * emptied whenever the applier removes or replaces a directory or a symlink: a later entry never
 * goes through a name that has changed since (CVE-2025-47290).
 */
#ifndef OL_COMMON_LAYER_DIRS_H
#define OL_COMMON_LAYER_DIRS_H

#include "common/buf.h"
#include "common/error.h"
#include "common/layer/seen.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { OL_DIRS_CACHED = 64 };

struct ol_dir {
    int fd; /* O_PATH or O_RDONLY; owned */
    dev_t dev;
    ino_t ino;
    bool fresh;  /* made by this archive: it holds nothing older */
    bool closed; /* ours, but without the rights an ordinary user needs to make entries in it */
    bool linked; /* path leads here through a symlink, which a later entry may replace */
    atomic_uint refs;
    uint64_t used; /* for finding the least recently used */
    size_t len;
    char path[]; /* clean; "" for the root */
};

struct ol_dirs {
    int root_fd;          /* borrowed */
    struct ol_seen *seen; /* borrowed; remembers which directories are fresh */
    struct ol_dir *cached[OL_DIRS_CACHED];
    size_t count;
    uint64_t clock;
    struct ol_buf scratch;
    /* Called for each directory ol_dirs_make() makes, right after; may be NULL. 0 or negative errno
     */
    int (*made)(void *data, struct ol_dir *dir);
    void *data; /* borrowed; its first argument */
};

void ol_dirs_init(struct ol_dirs *dirs, int root_fd, struct ol_seen *seen);
void ol_dirs_fini(struct ol_dirs *dirs);

void ol_dir_ref(struct ol_dir *dir);
void ol_dir_unref(struct ol_dir *dir); /* accepts NULL */
static inline void ol_dir_unrefp(struct ol_dir **dir)
{
    ol_dir_unref(*dir);
}
#define ol_auto_dirref __attribute__((cleanup(ol_dir_unrefp)))

/**
 * The directory at the first len bytes of path, which exists.
 * @param ret  one reference for the caller
 * @return 0 or negative errno, without text
 */
int ol_dirs_get(struct ol_dirs *dirs, const char *path, size_t len, struct ol_dir **ret);

/** The same, making what is missing with mode 0755 (moby since v23; v20.10 has 0600). */
int ol_dirs_make(struct ol_dirs *dirs, const char *path, size_t len, struct ol_dir **ret);

/**
 * Open the directory parent/name, whose path is given, right after it was made, and keep it.
 * @param ret  one reference for the caller
 */
int ol_dirs_adopt(struct ol_dirs *dirs, const struct ol_dir *parent, const char *name,
                  const char *path, size_t len, struct ol_dir **ret);

/** Forget everything: a directory or a symlink was removed. Fds in use stay open until unref. */
void ol_dirs_forget(struct ol_dirs *dirs);

#endif
