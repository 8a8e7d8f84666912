/* SPDX-License-Identifier: Apache-2.0 */
/* What a story is about while it runs: the same images and containers on every driver. */
#ifndef OL_TESTS_STORY_WORLD_H
#define OL_TESTS_STORY_WORLD_H

#include "integration/story/story.h"

#include "bench/harness/engine.h"
#include "bench/harness/home_usage.h"
#include "bench/oracle/peak.h"
#include "common/layer/layer.h"
#include "common/limits.h"
#include "drivers/snapshot/snapshot.h"
#include "store/store.h"
#include "support/tarball.h"

/* One driver below its store, or the snapshotter. */
struct teller {
    const char *name;
    struct ol_held_way way;
    struct ol_driver *drv; /* owned */
    struct ol_store *store;
    struct ol_snapshots *sn;
    char *target; /* owned; where containers of the snapshotter are mounted */
    int home_fd;
    bool ended; /* it refused what others took */
    struct ol_home_usage usage, start;
    struct ol_held_layer images[STORY_NAMES_MAX];
    /* An image another's layer is the top of: its commit was an empty one under this driver. */
    bool is_alias[STORY_NAMES_MAX];
    unsigned alias_of[STORY_NAMES_MAX]; /* not an alias itself */
    struct ol_held_container containers[STORY_NAMES_MAX];
    char chains[STORY_NAMES_MAX][OL_DIGEST_SIZE];
    struct ol_store_container made[STORY_NAMES_MAX];
};

enum { TELLERS_MAX = 8 };

struct world_image {
    struct ol_model *model; /* owned; NULL: there is none */
    unsigned parent, children;
    struct tarball tar; /* owned; of a layer. Kept when the image is removed */
    bool has_tar;
};
struct world_container {
    bool there, committed;
    unsigned image;
    struct ol_plan *plan; /* owned; NULL: nothing was changed */
    struct tarball tar;   /* owned; what the plan replays */
    bool has_tar;
    struct ol_model *after; /* owned; with the plan's layer */
};

struct world {
    const struct story_options *options;
    struct story_result *result;
    char *path; /* owned; absolute */
    struct teller tellers[TELLERS_MAX];
    size_t n_tellers;
    struct world_image images[STORY_NAMES_MAX];
    struct world_container containers[STORY_NAMES_MAX];
};

void world_open(struct world *world);
void world_close(struct world *world);

/* One teller's part of a step. Those that can be refused return 0 or negative errno. */
int teller_apply(struct teller *t, unsigned image, unsigned parent, const struct ol_input *tar,
                 bool *ret_existed, struct ol_error *err);
void teller_unapply(struct teller *t, unsigned image);
void teller_create(struct teller *t, unsigned container, unsigned image);
struct ol_rootfs *teller_mount(struct teller *t, unsigned container);
void teller_unmount(struct teller *t, struct ol_rootfs *fs);
void teller_commit(struct teller *t, unsigned container, unsigned image);
void teller_drop(struct teller *t, unsigned container);
void teller_remove(struct teller *t, unsigned image);

/* Highest count of inodes in a home while something is done, looked at from the fault points that
 * are passed, less the count before. */
void peak_begin(struct teller *t);
int64_t peak_end(struct teller *t);

#endif
