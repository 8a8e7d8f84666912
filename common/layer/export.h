/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing layer tars, byte for byte as moby 20.10 does: names sorted, PAX records only where a
 * field needs one, file-type bits in the mode, whole seconds, two zero blocks at the end. See
 * docs/formats/layer-tar.md.
 */
#ifndef OL_COMMON_LAYER_EXPORT_H
#define OL_COMMON_LAYER_EXPORT_H

#include "common/layer/changes.h"
#include "common/layer/tar_writer.h"

#include <stdbool.h>

struct ol_export_options {
    time_t now; /* seconds: the mtime of whiteouts in ol_export_changes() (moby: the time of the
                   diff); unused by the others */
    unsigned threads; /* 1: everything in the calling thread; else a long stream may start a second
                         one. 0: choose */
    bool host_names;  /* owners' names from the host's user database; else empty, as upstream */
};

/**
 * The naive diff: a tar of the listed changes, content read from new_side.
 * @param out_fd   pipe or file; enlarged when a pipe
 * @param ret      digest and counts; NULL: nothing is digested, which a reader that computes the
 *                 digest itself can do without
 * @return 0, -EPIPE when the reader went away, or the errno of the failing call; files that vanish
 * or sockets are left out as moby does; a file that shrinks is an error.
 */
int ol_export_changes(const struct ol_stack *new_side, const struct ol_changes *changes, int out_fd,
                      const struct ol_export_options *options, struct ol_tar_result *ret,
                      struct ol_error *err);

/** Everything below root_fd, the root itself left out, as moby's plain TarWithOptions. */
int ol_export_tree(int root_fd, int out_fd, const struct ol_export_options *options,
                   struct ol_tar_result *ret, struct ol_error *err);

/** The native diff: an overlay upper directory, whiteouts and opaque attributes back to AUFS names.
 */
int ol_export_upper(int upper_fd, enum ol_overlay_ns ns, int out_fd,
                    const struct ol_export_options *options, struct ol_tar_result *ret,
                    struct ol_error *err);

#endif
