/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "--change INSTRUCTION" of docker commit: Dockerfile lines applied to a container's config. Takes
 * and refuses what dockerd 20.10 does (builder/dockerfile/builder.go BuildFromConfig): CMD,
 * ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, USER, VOLUME and WORKDIR.
 */
#ifndef OL_STORE_CHANGE_H
#define OL_STORE_CHANGE_H

#include "common/error.h"

#include <jansson.h>

enum {
    OL_CHANGE_MAX = 64 << 10,      /* bytes of one --change */
    OL_CHANGES_MAX = 1 << 10,      /* instructions of one commit */
    OL_CHANGE_PORTS_MAX = 1 << 16, /* ports of one EXPOSE word */
};

/**
 * Make the config of the new image from the container's.
 * @param config   the container's (Env, Cmd, …); unchanged
 * @param changes  count texts of one or more lines each; NULL for none
 * @param ret      new object, owned by the caller
 * @return 0; -EINVAL no such instruction, or a syntax error, in dockerd's words behind the line;
 *         -E2BIG a limit was passed
 */
int ol_change_apply(const json_t *config, const char *const *changes, size_t count, json_t **ret,
                    struct ol_error *err);

#endif
