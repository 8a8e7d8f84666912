/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Confined path resolution: every path from an archive, an image or a request is resolved beneath a
 * root descriptor as if that were "/" (chroot semantics: absolute links and ".." stay inside), with
 * openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), see openat2(2). Where the kernel or a seccomp
 * filter refuses openat2, a walk by hand does the same, component by component.
 */
#ifndef OL_COMMON_FS_PATH_H
#define OL_COMMON_FS_PATH_H

#include "common/error.h"

#include <stdbool.h>
#include <sys/types.h>

/**
 * Open path beneath root_fd. Symlinks in the directory part are followed inside the root; the last
 * component too, unless flags has O_NOFOLLOW. "" and "/" open the root itself.
 *
 * @param flags  as for openat(2); O_CLOEXEC is added. Without O_CREAT mode is ignored.
 * @return a descriptor the caller owns, or negative errno: -ELOOP too many links, -ENAMETOOLONG …
 *         No error text: the caller knows which entry it was.
 */
int ol_path_open(int root_fd, const char *path, int flags, mode_t mode);

/**
 * The same, without following: -ELOOP when there is a symlink anywhere on the way.
 *
 * @param flags  without O_CREAT
 */
int ol_path_open_plain(int root_fd, const char *path, int flags);

/** The fallback walk of ol_path_open(), callable on its own so that tests prove both the same. */
int ol_path_open_walk(int root_fd, const char *path, int flags, mode_t mode);
/** That of ol_path_open_plain(). */
int ol_path_open_plain_walk(int root_fd, const char *path, int flags);

/**
 * Open the directory path beneath root_fd, making missing components with exactly this mode.
 * @param ret_made  number of directories made; may be NULL
 * @return a descriptor (O_PATH | O_DIRECTORY), or negative errno; directories made stay.
 */
int ol_path_mkdirs(int root_fd, const char *path, mode_t mode, unsigned *ret_made);

/**
 * Lexical clean of an entry name, as Go's path.Clean of "/" + name without the slash: no "//", ".",
 * "..", leading or trailing slash; "" for the root. Names that climb end at the root.
 * @param ret    at least strlen(name) + 1 bytes; may be name itself
 * @return true when the name tried to climb above the root ("../x")
 */
bool ol_path_clean(const char *name, char *ret);

/** Length of the directory part of a clean path ("a/b/c": 3; "a": 0). The base follows at +1, or 0.
 */
size_t ol_path_dir_len(const char *path);

/** The last component of a clean path (points into it). */
const char *ol_path_base(const char *path);

#endif
