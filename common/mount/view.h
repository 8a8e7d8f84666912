/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where overlab runs: which of the three views this process can have, found by trying, and how to
 * enter the user-namespace view. See docs/architecture.md, "Views".
 */
#ifndef OL_COMMON_MOUNT_VIEW_H
#define OL_COMMON_MOUNT_VIEW_H

#include "common/error.h"

#include <stdbool.h>

enum ol_view {
    OL_VIEW_AUTO,   /* the first of the others that works */
    OL_VIEW_KERNEL, /* CAP_SYS_ADMIN: real overlay mounts, trusted.overlay.* */
    OL_VIEW_USERNS, /* user and mount namespace of our own: overlay mounts with userxattr */
    OL_VIEW_DIRECT, /* no mounts: changes go to the upper directory in overlay's own format */
};

/** "auto", "kernel", "userns", "direct". */
const char *ol_view_name(enum ol_view view);
/** @return 0 or -EINVAL with a text that lists the names. */
int ol_view_parse(const char *name, enum ol_view *ret, struct ol_error *err);

/** What trying showed about a directory and this process. */
struct ol_view_probe {
    bool kernel_mount; /* an overlay mount with trusted xattrs worked in dir */
    bool userns;       /* a user namespace could be made */
    bool userns_mount; /* and an overlay mount with userxattr worked in it, in dir */
    bool id_ranges;    /* newuidmap/newgidmap and subordinate ids are there (or we are root) */
    char *kernel_why;  /* owned; the failure in words, NULL when it worked */
    char *userns_why;
    int kernel_code; /* 0 or negative errno: -EPERM, -ENOTSUP, … */
    int userns_code;
    bool direct;      /* whiteouts and user.overlay.* attributes can be made in dir */
    char *direct_why; /* owned; NULL when they can */
    int direct_code;
};

/**
 * Try in a temporary directory made in dir, or in its nearest ancestor that exists (and removed).
 * The trial is a mount, a write, a deletion and an opaque directory. Forks; the process itself is
 * unchanged.
 * @return 0 also when nothing works; negative errno when dir cannot be written
 */
int ol_view_probe_dir(const char *dir, struct ol_view_probe *ret, struct ol_error *err);
void ol_view_probe_fini(struct ol_view_probe *probe);

/**
 * Choose: AUTO becomes the best that works in dir, anything else is checked.
 * @return 0, or -EPERM/-ENOTSUP with the reason in words ("not possible on this host")
 */
int ol_view_choose(const char *dir, enum ol_view want, enum ol_view *ret, struct ol_error *err);

/** The decision of ol_view_choose() from a probe that was already made. */
int ol_view_pick(const struct ol_view_probe *probe, enum ol_view want, enum ol_view *ret,
                 struct ol_error *err);

/**
 * Enter OL_VIEW_USERNS: new user and mount namespaces, ids mapped (all of ours for root, the subuid
 * ranges through newuidmap where there are any, else the single id as root), mounts private. Must
 * be called before any thread exists. @return 0 or negative errno; on failure the process is
 * unchanged or must exit.
 */
int ol_view_enter_userns(struct ol_error *err);

/**
 * A mount namespace of our own with private propagation: what is mounted from now on vanishes with
 * the process, however it ends. For the kernel view, before any thread exists; needs CAP_SYS_ADMIN.
 */
int ol_view_private_mounts(struct ol_error *err);

/** True inside a user namespace that is not the initial one (its id map is not the identity). */
bool ol_view_in_userns(void);

/**
 * True when files in dir can be given to the ids images use (1, 1000, 65534 are tried), so that an
 * extracted layer keeps its owners. False for an ordinary user without id ranges: everything
 * belongs to the one id there is.
 */
bool ol_view_can_keep_owner(const char *dir);

#endif
