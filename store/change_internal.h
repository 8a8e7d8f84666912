/* SPDX-License-Identifier: Apache-2.0 */
/* One instruction of a change, as its function in change_kind.c or change_health.c gets it. */
#ifndef OL_STORE_CHANGE_INTERNAL_H
#define OL_STORE_CHANGE_INTERNAL_H

#include "common/buf.h"
#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>

struct ol_change {
    json_t *config;   /* borrowed; changed */
    const char *name; /* "CMD" */
    const char *rest; /* what follows it, without blanks around */
    const char *raw;  /* the same with the blanks behind it */
    bool blank;       /* nothing follows */
    bool *cmd_set;    /* a CMD came before */
    struct ol_error *err;
};

int ol_change_cmd(struct ol_change *change);
int ol_change_entrypoint(struct ol_change *change);
int ol_change_env(struct ol_change *change);
int ol_change_label(struct ol_change *change);
int ol_change_expose(struct ol_change *change);
int ol_change_onbuild(struct ol_change *change);
int ol_change_user(struct ol_change *change);
int ol_change_volume(struct ol_change *change);
int ol_change_workdir(struct ol_change *change);
int ol_change_healthcheck(struct ol_change *change);

/** "X requires at least one argument" (or "exactly one"). @return -EINVAL */
int ol_change_needs(const struct ol_change *change, const char *how_many);
/** Give config's key this value (a reference is taken over; NULL is out of memory). */
int ol_change_set(const struct ol_change *change, const char *key, json_t *value);
/**
 * The JSON array of strings a text begins with.
 * @return 1 and *ret; 0 when there is none; -EINVAL an array of something else
 */
int ol_change_json(const struct ol_change *change, const char *text, json_t **ret);

#endif
