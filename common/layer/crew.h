/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crew: threads that create small regular files while the thread that reads the archive goes
 * on. It hands over only what depends on nothing and on which nothing depends yet: a new name in a
 * directory that is open already, with its whole content in the stream's blocks. Directories,
 * links, whiteouts, large files and everything that replaces something stay with the reading
 * thread, which waits for the crew (for one name, or for all) where the archive's order matters.
 * With nobody in the crew the reading thread does the work itself, at once.
 *
 * The umask is the process's and stays alone: a file whose mode it cut gets an fchmod.
 */
#ifndef OL_COMMON_LAYER_CREW_H
#define OL_COMMON_LAYER_CREW_H

#include "common/layer/dirs.h"
#include "common/layer/meta.h"
#include "common/layer/reader.h"

struct ol_crew;

enum {
    OL_CREW_FILE_BYTES = 256 << 10, /* larger files are written by the reading thread */
    OL_CREW_BATCH_FILES = 64,       /* files handed over at once */
    OL_CREW_BATCH_BYTES = 256 << 10 /* or bytes */
};

int ol_crew_new(bool keep_owner, struct ol_crew **ret, struct ol_error *err);

/** Start up to this many threads; fewer, or none, where that is not possible. */
void ol_crew_start(struct ol_crew *crew, unsigned threads);

/** Stop at once, drop what is not done, join, free. Accepts NULL. */
void ol_crew_free(struct ol_crew *crew);

/** Begin a new file; key is its ol_seen_key(). The content follows piece by piece, then end. */
int ol_crew_file_begin(struct ol_crew *crew, struct ol_dir *dir, const char *name, uint64_t key,
                       const struct ol_entry *entry, struct ol_error *err);
int ol_crew_file_piece(struct ol_crew *crew, const struct ol_reader_piece *piece,
                       struct ol_error *err);
/** Take the file into the batch. @return 0 or the crew's first failure. */
int ol_crew_file_end(struct ol_crew *crew, struct ol_error *err);

/** Hand the batch over as it is: the caller is about to wait for something else. */
void ol_crew_flush(struct ol_crew *crew);

/** Wait until the file with this key is there, if it is one of the crew's at all. */
int ol_crew_wait_for(struct ol_crew *crew, uint64_t key, struct ol_error *err);

/** Wait until everything is done. @return 0 or the first failure. */
int ol_crew_wait_all(struct ol_crew *crew, struct ol_error *err);

/** True when something is not done yet. */
bool ol_crew_is_busy(struct ol_crew *crew);

/** Counters of what was done; after ol_crew_wait_all(). */
struct ol_meta_counts ol_crew_counts(struct ol_crew *crew);

#endif
