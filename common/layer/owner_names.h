/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of users and groups as the host's user database has them (passwd and group of nsswitch),
 * each asked for once. Go's archive/tar fills them into the headers of layers in builds of dockerd
 * that lack upstream's patch against it, such as Debian's.
 */
#ifndef OL_COMMON_LAYER_OWNER_NAMES_H
#define OL_COMMON_LAYER_OWNER_NAMES_H

#include "common/error.h"

#include <stdint.h>

struct ol_owner_names;

int ol_owner_names_new(struct ol_owner_names **ret, struct ol_error *err);
void ol_owner_names_free(struct ol_owner_names *names);

/**
 * The name of a user, or of a group; "" for one the database does not have. Valid until
 * ol_owner_names_free(). One thread at a time.
 * @return 0; -E2BIG an entry of more than 1 MiB; or the errno of a database that cannot be asked
 */
int ol_owner_names_user(struct ol_owner_names *names, uint32_t uid, const char **ret,
                        struct ol_error *err);
int ol_owner_names_group(struct ol_owner_names *names, uint32_t gid, const char **ret,
                         struct ol_error *err);

#endif
