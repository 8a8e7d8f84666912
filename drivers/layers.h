/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layer directories in a driver's home, for the drivers that keep them on disk. A layer is made
 * aside and renamed into place, and renamed aside before it is removed: whatever instant is the
 * last, <home>/<id> is either a whole layer or missing. The names aside start with a dot, which no
 * id does; what an earlier process left under them is removed when the driver is opened.
 */
#ifndef OL_DRIVERS_LAYERS_H
#define OL_DRIVERS_LAYERS_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OL_LAYER_NEW  ".new-"   /* being made: ".new-<id>" */
#define OL_LAYER_GONE ".gone-"  /* being removed: ".gone-<id>" */
#define OL_LAYER_TEST ".check-" /* trial mounts: ".check-<random>" */

/** True when dir_fd/id is a directory. */
bool ol_layer_exists(int dir_fd, const char *id);

/** Open layer id. @return descriptor, or negative errno (-ENOENT when there is none). */
int ol_layer_open(int dir_fd, const char *id, struct ol_error *err);

/* A layer being made. */
struct ol_layer_draft {
    int home_fd;    /* borrowed */
    int fd;         /* owned: the directory ".new-<id>" */
    char *name;     /* owned: its name */
    const char *id; /* borrowed */
};

/** Start a layer. @return 0; -EEXIST it exists or is being made. */
int ol_layer_begin(int home_fd, const char *id, mode_t mode, struct ol_layer_draft *ret,
                   struct ol_error *err);
/** Rename it into place; on failure the draft is as it was. */
int ol_layer_publish(struct ol_layer_draft *draft, struct ol_error *err);
/** Throw the draft away and release it; after ol_layer_publish() only the latter. */
void ol_layer_abandon(struct ol_layer_draft *draft);
void ol_layer_draft_fini(struct ol_layer_draft *draft);

/**
 * Remove a layer: gone at once, its content after that. Mounts found below it are detached. What an
 * earlier failed removal left is removed too; a missing layer is success.
 * @param path  absolute path of the directory home_fd stands for, for unmounting
 */
int ol_layer_remove(int home_fd, const char *path, const char *id, struct ol_error *err);

/* Its two halves, for drivers with more to remove in between: rename aside (a missing layer is
 * success), and remove what was renamed aside. */
int ol_layer_hide(int home_fd, const char *id, struct ol_error *err);
int ol_layer_purge(int home_fd, const char *path, const char *id, struct ol_error *err);

/** Call fn for every layer, sorted by id; a result other than 0 stops and is returned. */
int ol_layers_list(int dir_fd, int (*fn)(const char *id, void *data), void *data,
                   struct ol_error *err);

/** Remove layers half-made and half-removed, and trial directories. */
int ol_layers_clean(int home_fd, const char *path, struct ol_error *err);

/*
 * A layer that is being written to in place (through its mount) carries this file: killed in
 * between, it is half-made, and the next open removes it.
 */
#define OL_LAYER_APPLYING "applying"
int ol_layer_mark(int layer_fd, struct ol_error *err);
int ol_layer_unmark(int layer_fd, struct ol_error *err);

/**
 * Swap a finished directory in: dir_fd/made becomes dir_fd/name, replacing an empty directory
 * there. @return 0, or -ENOTEMPTY / -EEXIST when name holds something.
 */
int ol_layer_rename_over(int dir_fd, const char *made, const char *name, struct ol_error *err);

/** rmdir with a fault point; a missing name is success. */
int ol_layer_rmdir(int dir_fd, const char *name, struct ol_error *err);

/** True when dir_fd/name is a directory without entries. */
bool ol_layer_dir_is_empty(int dir_fd, const char *name);

/** A directory, opened. @return descriptor or negative errno, with a text. */
int ol_layer_subdir(int layer_fd, const char *name, struct ol_error *err);

/** Sum of st_size of what is no directory, each inode once (moby pkg/directory). */
int ol_layer_size(int dir_fd, uint64_t *ret_bytes, struct ol_error *err);

#endif
