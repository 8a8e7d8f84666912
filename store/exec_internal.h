/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of ol_exec_run(): exec.c runs, exec_mounts.c makes the root, exec_user.c finds the user. */
#ifndef OL_STORE_EXEC_INTERNAL_H
#define OL_STORE_EXEC_INTERNAL_H

#include "store/exec.h"

#include "common/buf.h"

#include <sys/types.h>

/** Mount what a command needs below the root and make it "/". Runs in the init process. */
int ol_exec_enter_root(const char *root, struct ol_error *err);

/* Who the command is. */
struct ol_exec_user {
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* owned; supplementary */
    size_t n_groups;
    struct ol_buf home; /* "/" when nobody says */
};
/** Read the root's etc/passwd and etc/group; "/" is the root already. */
int ol_exec_user_find(const char *text, struct ol_exec_user *ret, struct ol_error *err);
void ol_exec_user_fini(struct ol_exec_user *user);
/** Become this user, all groups included. */
int ol_exec_user_become(const struct ol_exec_user *user, struct ol_error *err);

#endif
