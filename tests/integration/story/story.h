/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A story is what happens to one store, as lines of text: layers on images, containers, changes,
 * commits, removals. It can be made from a seed, run on every driver with each step held against
 * the oracle, made smaller while it still fails, and kept as a file.
 *
 *   layer I P           image I is a new layer on image P; "-" for P: a base layer. Its entries:
 *     dir PATH MODE
 *     file PATH SIZE
 *     symlink PATH TARGET
 *     fifo PATH
 *     link PATH TARGET MODE
 *     whiteout PATH     (its name without .wh.)
 *     opaque PATH       (the directory)
 *   container C I       on image I
 *   change C SEED MIX   mount, a planned mix of changes ("add=1,delete=2"), unmount; where the
 *                       image has too few files for it, only what makes new ones
 *   replay C            the same with what a layer changes: its entries follow, as above. No
 *                       layer of the container's image may be a commit
 *   commit C I          makes image I
 *   drop C              remove the container
 *   remove I            remove the image's top layer
 *
 * Names are numbers, and each layer has its own. A line that cannot be followed (its image is not
 * there, or has children, or the layer is one no driver takes) is passed over, so that any choice
 * of lines is a story. What is left at the end is removed, newest first.
 */
#ifndef OL_TESTS_STORY_H
#define OL_TESTS_STORY_H

#include "bench/oracle/held.h"
#include "bench/workloads/workload.h"
#include "common/buf.h"
#include "common/mount/view.h"

#include "support/support.h"

enum story_kind {
    STORY_LAYER,
    STORY_DIR,
    STORY_FILE,
    STORY_SYMLINK,
    STORY_FIFO,
    STORY_LINK,
    STORY_WHITEOUT,
    STORY_OPAQUE,
    STORY_CONTAINER,
    STORY_CHANGE,
    STORY_REPLAY,
    STORY_COMMIT,
    STORY_DROP,
    STORY_REMOVE,
    STORY_KINDS
};

enum { STORY_NAMES_MAX = 64, STORY_NONE = STORY_NAMES_MAX, STORY_PATH_MAX = 64 };

struct story_line {
    enum story_kind kind;
    unsigned name, other; /* image or container; parent, image or STORY_NONE */
    char path[STORY_PATH_MAX], target[STORY_PATH_MAX];
    unsigned number; /* mode, size or seed */
    struct ol_change_mix mix;
};

struct story {
    struct story_line *lines; /* owned */
    size_t count, cap;
};

void story_fini(struct story *story);
void story_add(struct story *story, const struct story_line *line);
/** An own copy of count lines. */
void story_copy(const struct story *from, struct story *ret);

/** True for the lines that make up a layer, or what is replayed. */
bool story_is_entry(enum story_kind kind);

/** As text; the same text again after story_parse(). */
void story_print(const struct story *story, struct ol_buf *ret);
/** @return NULL, or what is wrong, with the number of the line (static storage) */
const char *story_parse(const char *text, struct story *ret);

/** Much in little space: few names, so that they replace, link, delete and hide each other.
 * @param replays  most changes are those of a layer */
void story_make(uint64_t seed, bool replays, struct story *ret);

/* ---- running ---- */

/* A law that is wrong on purpose, to see the rest find it. */
typedef void story_wrong_fn(const struct ol_held_way *way, const struct ol_model *model,
                            struct ol_inode_kinds *predicted);

struct story_options {
    const struct test_dir *dir; /* scratch; empty again afterwards */
    enum ol_view view;          /* entered */
    const char *only;           /* one driver's name; NULL: all */
    story_wrong_fn *wrong;      /* spoils the prediction of layers; NULL: none */
    bool peaks; /* look at the count before each change of the file system as well */
};

struct story_result {
    char why[512];  /* "": all was as predicted */
    unsigned steps; /* counted and compared, over all drivers */
    unsigned refused;
};

/** Run it on every driver, each step compared by kind. Fails the test only where the machinery
 * does. */
void story_run(const struct story *story, const struct story_options *options,
               struct story_result *ret);

/** The names of all that are run, NULL at the end. */
extern const char *const story_drivers[];

/* ---- shrinking ---- */

typedef bool story_fails_fn(const struct story *story, void *data);

/**
 * Take away lines while it still fails (Zeller's ddmin, entries and steps alike), then numbers of
 * changes.
 * @param fails  has to be true of story
 */
void story_shrink(struct story *story, story_fails_fn *fails, void *data);

#endif
