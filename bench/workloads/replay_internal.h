/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a replay share: replay.c plans, replay_moves.c finds renames, replay_opaque.c
 * empties opaque directories, replay_run.c carries out. */
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
    bool stays;   /* a directory that is one after the last entry, too: gets its time then */
    char *path;   /* owned; canonical */
    char *target; /* owned; NULL where there is none */
};

struct ol_replay {
    struct ol_replay_item *items; /* owned; in the order of the archive */
    size_t count, cap;
    struct ol_input input; /* the layer; borrowed */
    size_t layer;          /* its place in the image, for messages */
    bool keep_owner;
};

/* Files that were moved: a whiteout and a new name. */
struct ol_replay_moves {
    struct ol_replay_move {
        char *from, *to; /* owned; canonical */
        bool done;       /* planned: a second entry of the name writes it */
    } * items;           /* owned; sorted by to */
    size_t count;
};

/* Directories with an opaque marker. */
struct ol_replay_opaques {
    struct ol_replay_opaque {
        char *path;   /* owned; as the archive has it */
        bool needed;  /* something old in it gets another name */
        bool touched; /* an entry lay in it */
        bool emptied; /* removed and made again before that */
    } * items;        /* owned; in the order of the archive */
    size_t count;
};

/** What an entry of this type makes; of a hard link a file. */
enum ol_mtype ol_replay_type(enum ol_entry_type type);

/** Append an item that no entry carries. @return 0 or -ENOMEM */
int ol_replay_add_bare(struct ol_replay *replay, enum ol_replay_op op, const char *path);

/** True when the layer being fed put something at the node or below. */
bool ol_replay_is_touched(const struct ol_model *model, uint32_t node);

/** Find the opaque directories of a layer; the model is that of the layers below. */
int ol_replay_opaques_find(const struct ol_model *model, const struct ol_input *layer,
                           struct ol_replay_opaques *ret, struct ol_error *err);
void ol_replay_opaques_fini(struct ol_replay_opaques *opaques);

/**
 * Before an entry at this canonical path: plan that the directories it is the first to touch are
 * emptied.
 * @param ret_below  it lies in one that was: what the model has above it may be gone
 * @return 0 or -ENOMEM
 */
int ol_replay_opaques_touch(struct ol_replay_opaques *opaques, struct ol_replay *replay,
                            const struct ol_model *model, const char *path, bool *ret_below);

/**
 * At the marker of the directory at this canonical path: plan what is still to be done.
 * @param ret_feed  set to false when the model has heard of it already
 * @return 0 or negative errno
 */
int ol_replay_opaques_mark(const struct ol_replay_opaques *opaques, struct ol_replay *replay,
                           struct ol_model *model, const char *path, bool *ret_feed);

/** After the last entry: let the model have whiteouts where the root was emptied.
 * @return 0 or negative errno */
int ol_replay_opaques_finish(const struct ol_replay_opaques *opaques,
                             const struct ol_replay *replay, struct ol_model *model);

/** Find the files layers[index] moves; the model is that of the layers below. */
int ol_replay_moves_find(const struct ol_model *model, const struct ol_input *layers, size_t index,
                         struct ol_replay_moves *ret, struct ol_error *err);
void ol_replay_moves_fini(struct ol_replay_moves *moves);

#endif
