/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The applier's state and the steps its files share. One thread reads the archive and owns all of
 * this; the crew (crew.h) creates small new files beside it.
 *
 *   apply.c           the run, one entry, the root
 *   apply_implied.c   directories that entries only imply, over lower ones
 *   apply_make.c      directories, files, symlinks, devices; making room for them
 *   apply_link.c      hard links, breaking shared inodes
 *   apply_whiteout.c  whiteouts and opaque directories, as deletions or as overlay objects
 */
#ifndef OL_COMMON_LAYER_APPLY_H
#define OL_COMMON_LAYER_APPLY_H

#include "common/layer/crew.h"
#include "common/layer/dirs.h"
#include "common/layer/late.h"
#include "common/layer/layer.h"
#include "common/layer/reader.h"
#include "common/layer/seen.h"
#include "common/layer/tarsplit.h"

struct ol_apply {
    int root_fd; /* borrowed */
    struct ol_layer_options options;
    struct ol_layer_limits limits;
    struct ol_tarsplit *record; /* borrowed; NULL: none */
    struct ol_stream *stream;
    struct ol_reader *reader;
    struct ol_seen seen;
    struct ol_dirs dirs;
    struct ol_late late;
    struct ol_crew *crew;
    struct ol_meta_counts counts; /* of what this thread did */
    bool replaced;                /* a directory or a symlink was removed */
    struct ol_layer_result res;
};

/* Where the current entry goes. */
struct ol_place {
    struct ol_dir *dir; /* one reference */
    const char *base;   /* last component, in the entry's path */
    bool again;         /* this archive has written this name before */
    uint64_t key;       /* ol_seen_key() of it */
};

/** "cannot <verb> '<path>': <errno>" */
int ol_apply_failed(int r, const char *verb, const char *path, struct ol_error *err);

/**
 * ol_dirs_get() or ol_dirs_make() for the directory part of a clean path; when it is missing, the
 * crew is waited for before that is believed.
 */
int ol_apply_parent(struct ol_apply *a, const char *path, bool make, struct ol_dir **ret,
                    struct ol_error *err);

/** Add a record to a->late; a mode is remembered, so that a later entry overrules it. */
int ol_apply_late(struct ol_apply *a, const struct ol_late_record *record);

/** For ol_dirs.made: give a directory what the one in a lower has; data is the struct ol_apply. */
int ol_apply_implied(void *data, struct ol_dir *dir);

/** Something that steers path resolution is about to be, or was, removed. */
int ol_apply_before_removal(struct ol_apply *a, struct ol_error *err);
void ol_apply_after_removal(struct ol_apply *a);

/** Remove what is in the entry's way. A missing name is fine. */
int ol_apply_make_room(struct ol_apply *a, const struct ol_place *place, const char *path,
                       struct ol_error *err);

int ol_apply_directory(struct ol_apply *a, const struct ol_reader_entry *e,
                       const struct ol_place *place, struct ol_error *err);
int ol_apply_root(struct ol_apply *a, const struct ol_reader_entry *e, struct ol_error *err);
int ol_apply_file(struct ol_apply *a, const struct ol_reader_entry *e, const struct ol_place *place,
                  struct ol_error *err);
int ol_apply_symlink(struct ol_apply *a, const struct ol_reader_entry *e,
                     const struct ol_place *place, struct ol_error *err);
int ol_apply_special(struct ol_apply *a, const struct ol_reader_entry *e,
                     const struct ol_place *place, struct ol_error *err);
int ol_apply_hardlink(struct ol_apply *a, const struct ol_reader_entry *e,
                      const struct ol_place *place, struct ol_error *err);

/** ".wh.NAME": name is what it deletes, in place->dir. */
int ol_apply_whiteout(struct ol_apply *a, const struct ol_reader_entry *e, struct ol_dir *dir,
                      const char *name, struct ol_error *err);
int ol_apply_opaque(struct ol_apply *a, const struct ol_reader_entry *e, struct ol_dir *dir,
                    struct ol_error *err);

/**
 * Put a copy with an inode of its own in the place of dir/name, metadata included; the directory's
 * times stay.
 */
int ol_apply_break_link(struct ol_apply *a, struct ol_dir *dir, const char *name,
                        const struct stat *st);

#endif
