/* SPDX-License-Identifier: Apache-2.0 */
/* The data root's images, for commands whose other business is measuring or predicting. */
#ifndef OL_CLI_STORED_H
#define OL_CLI_STORED_H

#include "cli/cli.h"

#include "common/mount/view.h"

struct ol_images;
struct stored;

/**
 * Open the images that a driver of the data root has, for reading. Before any thread exists.
 * @param what  the argument that is looked for there, for the text
 * @param view  OL_VIEW_AUTO: the one the data root was made in
 * @return 0; -ENOENT there are none, and nothing was made; errors of ol_engine_open()
 */
int stored_open(struct ol_cli *cli, const char *what, const char *driver, enum ol_view view,
                struct stored **ret, struct ol_error *err);
void stored_close(struct stored *stored);               /* accepts NULL */
struct ol_images *stored_images(struct stored *stored); /* NULL for NULL */

#endif
