/* SPDX-License-Identifier: Apache-2.0 */
/* Inside common/mount: what view.c needs of userns.c. */
#ifndef OL_COMMON_MOUNT_USERNS_H
#define OL_COMMON_MOUNT_USERNS_H

#include "common/error.h"

#include <stdbool.h>

/**
 * ol_view_enter_userns(), and what became of the ids.
 * @param ret_ranges  whether more than the single id was mapped
 */
int ol_userns_enter(bool *ret_ranges, struct ol_error *err);

/** True when this capability (CAP_*) is effective in the current user namespace. */
bool ol_userns_has_cap(unsigned cap);

#endif
