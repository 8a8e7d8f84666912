/* SPDX-License-Identifier: Apache-2.0 */
/* A scene from the inside, for scene.c and look.c. */
#ifndef OL_BENCH_TEACH_SCENE_INTERNAL_H
#define OL_BENCH_TEACH_SCENE_INTERNAL_H

#include "bench/teach/account.h"
#include "bench/teach/scene.h"

#include <pthread.h>

struct ol_nickname {
    char *name, *nickname; /* owned */
};

struct ol_scene {
    struct ol_scene_config config;
    struct ol_engine *engine; /* owned */
    struct ol_engine_usage at_open;

    struct ol_account *account; /* owned; the oracle beside it */
    unsigned n_layers, n_containers, n_commits;
    uint64_t n_changes;
    unsigned n_removed;            /* of the commits' images */
    struct ol_nickname *nicknames; /* owned */
    size_t n_nicknames;

    /* Since the last look. */
    pthread_mutex_t lock;        /* of what follows up to lost_call: drivers call from threads */
    struct ol_scene_call *calls; /* owned */
    size_t n_calls;
    bool lost_call;           /* there was no memory for one */
    size_t named_calls;       /* how many of them were looked through for names */
    struct ol_scene_tar *tar; /* owned */
    size_t n_tar;
};

void ol_scene_call_fini(struct ol_scene_call *call);

#endif
