/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real engines as columns of a comparison: what people call them, and how each is driven. Every one
 * runs on throwaway directories inside its column's own, and nothing of it is left afterwards.
 */
#ifndef OL_BENCH_ENGINES_ENGINES_H
#define OL_BENCH_ENGINES_ENGINES_H

#include "bench/harness/engine.h"

struct ol_external {
    const char *name;    /* of the column: "docker/overlay2" */
    const char *group;   /* names all columns of one engine: "docker" */
    const char *package; /* Debian's, for who has not got it */
    const struct ol_engine_ops *ops;
};

/** The real engines there are; *ret_count of them, those of one group in a row. */
const struct ol_external *ol_externals(size_t *ret_count);

/* Room for every external engine. */
enum { OL_EXTERNALS_MAX = 8 };

struct ol_external_list {
    const struct ol_external *items[OL_EXTERNALS_MAX];
    size_t count;
};

/**
 * "docker,containerd": groups and single columns, separated by commas.
 * @return 0; -EINVAL for an unknown name (the text lists the known ones) or one that is there twice
 */
int ol_external_parse(const char *text, struct ol_external_list *ret, struct ol_error *err);

/** containers-storage's overlay driver, through its command. */
extern const struct ol_engine_ops ol_containers_storage_engine_ops;

/** containerd's overlayfs snapshotter, through ctr. */
extern const struct ol_engine_ops ol_containerd_engine_ops;

/** dockerd, through its API; the driver is what follows the slash of the column's name. */
extern const struct ol_engine_ops ol_docker_engine_ops;

#endif
