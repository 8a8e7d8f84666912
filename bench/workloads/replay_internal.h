/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a replay share: replay.c plans, replay_moves.c finds renames, replay_run.c
 * carries out. */
#ifndef OL_BENCH_WORKLOADS_REPLAY_INTERNAL_H
#define OL_BENCH_WORKLOADS_REPLAY_INTERNAL_H

#include "bench/workloads/replay.h"

#include <stdbool.h>

enum ol_replay_op {
    OL_REPLAY_NOTHING,
    OL_REPLAY_IMPLY,  /* a directory that is only a parent */
    OL_REPLAY_PUT,    /* file, directory, symlink, device: new, over what is there, or just anew */
    OL_REPLAY_LINK,   /* one more name of target */
    OL_REPLAY_REMOVE, /* whatever is there */
    OL_REPLAY_MOVE,   /* target becomes path */
    OL_REPLAY_EMPTY,  /* an opaque directory: removed and made again */
};

struct ol_replay_item {
    uint8_t op;   /* enum ol_replay_op */
    uint8_t type; /* enum ol_mtype, of what is put */
    bool fresh;   /* what is there is removed first: it has other names */
    bool same;    /* a symlink that leads there already: only its metadata */
    bool entry;   /* belongs to the next entry of the tar */
    char *path;   /* owned; canonical */
    char *target; /* owned; NULL where there is none */
};

struct ol_replay {
    struct ol_replay_item *items; /* owned; in the order of the archive */
    size_t count, cap;
    struct ol_input input; /* the layer; borrowed */
    bool keep_owner;
};

/* Files that were moved: a whiteout and a new name. */
struct ol_replay_moves {
    struct ol_replay_move {
        char *from, *to; /* owned; canonical */
    } * items;           /* owned; sorted by to */
    size_t count;
};

/** Find the files layers[index] moves; the model is that of the layers below. */
int ol_replay_moves_find(const struct ol_model *model, const struct ol_input *layers, size_t index,
                         struct ol_replay_moves *ret, struct ol_error *err);
void ol_replay_moves_fini(struct ol_replay_moves *moves);

#endif
