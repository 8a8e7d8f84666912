/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One driver or snapshotter on the tiny image, taken from act to act: import a layer, make a
 * container, change a file, commit. After any of them it can be looked at: the directory as it lies
 * on the disk, what became of it since the last look, the calls that were made, what is mounted,
 * the totals, and what the oracle's laws say the acts add.
 *
 * Everything seen is real and of this run. Directories with random names get a nickname, by the act
 * that made them.
 */
#ifndef OL_BENCH_TEACH_SCENE_H
#define OL_BENCH_TEACH_SCENE_H

#include "bench/harness/engine.h"
#include "bench/teach/tree.h"

enum ol_act_kind {
    OL_ACT_END,    /* of a list */
    OL_ACT_IMPORT, /* the next layer of the tiny image */
    OL_ACT_CREATE, /* a container from the newest image; at most OL_SCENE_CONTAINERS */
    OL_ACT_MOUNT,
    OL_ACT_CHANGE, /* in the mounted container */
    OL_ACT_UNMOUNT,
    OL_ACT_DIFF, /* what a commit would make a layer of, as a tar that is looked at */
    OL_ACT_COMMIT,
    OL_ACT_REMOVE_CONTAINER, /* the newest */
    OL_ACT_REMOVE_IMAGE,     /* the newest commit's; without one the tiny image */
};

enum { OL_SCENE_CONTAINERS = 8 };

struct ol_act {
    enum ol_act_kind kind;
    enum ol_op_kind op; /* this and what follows: of OL_ACT_CHANGE, as in struct ol_op */
    const char *path, *target;
    uint64_t size_bytes;
    unsigned mode;
};

/** The act as a command line somebody might type: "rm farm/cow", "import the layer". */
int ol_act_words(const struct ol_act *act, struct ol_buf *ret);

struct ol_scene_config {
    const char *engine; /* full name: "overlay:clone=all", "snapshot" */
    const char *dir;    /* absolute; made, and to be removed by whoever owns the place */
    enum ol_view view;  /* entered */
    bool keep_owner;
};

struct ol_scene;

/** What config points to is borrowed until the scene is closed. @return 0 or negative errno */
int ol_scene_open(const struct ol_scene_config *config, struct ol_scene **ret,
                  struct ol_error *err);
/** Unmounts what is left; accepts NULL. The files stay. */
void ol_scene_close(struct ol_scene *scene);

/** Do it. @return 0 or what the engine says; then the scene can only be looked at and closed */
int ol_scene_act(struct ol_scene *scene, const struct ol_act *act, struct ol_error *err);

/* A call to the driver, as the trace decorator tells it. */
struct ol_scene_call {
    char *op, *id, *parent; /* owned; id and parent may be NULL */
    int result;
    uint64_t start_ns, wall_ns; /* on the monotonic clock */
};

/* What the mount table says. */
struct ol_scene_mount {
    char *target, *type, *source, *options; /* owned */
};

/* An entry of the tar of OL_ACT_DIFF. */
struct ol_scene_tar {
    char *path; /* owned; as in the archive, but for a leading "./" and a trailing slash */
    char type;  /* 'd', 'f', 'l', 'h' (hard link), 'c', 'b', 'p' */
    uint64_t size_bytes;
};

/* The scene at one moment. */
struct ol_moment {
    struct ol_capture tree;   /* of the storage home */
    struct ol_tree_rows rows; /* since the moment before, which must outlive this one; layers by
                                 age, not by name */
    struct ol_engine_usage usage;
    int64_t added_inodes, added_bytes; /* since then; in a first moment since it was opened */
    bool has_law;                      /* there is a law for everything that was done since */
    struct ol_inode_kinds law;
    struct ol_scene_call *calls; /* owned; made since, by when they began */
    size_t n_calls;
    struct ol_scene_mount *mounts; /* owned; below the scene's directory */
    size_t n_mounts;
    struct ol_scene_tar *tar; /* owned; of the diffs since; in their order */
    size_t n_tar;
};

/**
 * Look at it. The calls and the tar are the moment's then.
 * @param before  the moment before, or NULL: nothing is compared
 */
int ol_scene_look(struct ol_scene *scene, const struct ol_moment *before, struct ol_moment *ret,
                  struct ol_error *err);
void ol_moment_fini(struct ol_moment *moment);

const char *ol_scene_name(const struct ol_scene *scene);
/** Its law; false where the oracle has none. */
bool ol_scene_law(const struct ol_scene *scene, enum ol_law *ret);

/**
 * The nickname of a directory in the home, a layer id or a snapshot's key; NULL where it has none.
 * Stays after a removal.
 */
const char *ol_scene_nickname(const struct ol_scene *scene, const char *name);

#endif
