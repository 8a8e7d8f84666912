/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An export in progress: the caller walks and looks at objects (export_item.h), a second thread,
 * once the tree proves large, turns them into tar entries (export_entry.h). Not for use outside
 * common/layer.
 */
#ifndef OL_COMMON_LAYER_EXPORTER_H
#define OL_COMMON_LAYER_EXPORTER_H

#include "common/layer/export_item.h"
#include "common/layer/tar_writer.h"

struct ol_exporter;

/**
 * @param work        see ol_tar_writer_set_work(); OL_TAR_THREAD stands for this thread as well
 * @param host_names  fill in the owners' names
 */
int ol_exporter_new(int out_fd, unsigned work, bool host_names, struct ol_exporter **ret,
                    struct ol_error *err);
void ol_exporter_free(struct ol_exporter *ex);

/**
 * Add the entry of an object (moby addTarFile): sockets and what vanished in between are left out.
 * @return 0, or a failure of this or of an earlier entry
 */
int ol_exporter_add(struct ol_exporter *ex, const struct ol_export_place *place,
                    const struct stat *st, struct ol_error *err);

/** Add the deletion of path, at the time now (seconds). */
int ol_exporter_add_deletion(struct ol_exporter *ex, const char *path, time_t now,
                             struct ol_error *err);

/** The end of the tar. @param ret may be NULL */
int ol_exporter_finish(struct ol_exporter *ex, struct ol_tar_result *ret, struct ol_error *err);

#endif
