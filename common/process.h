/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running another program and reading what it says: mkfs, newuidmap, "dockerd --version". The
 * program is looked for in the system's own directories only and gets a fixed environment
 * (PATH and LC_ALL=C), never the caller's.
 */
#ifndef OL_COMMON_PROCESS_H
#define OL_COMMON_PROCESS_H

#include "common/buf.h"
#include "common/error.h"

enum {
    OL_PROCESS_OUTPUT_MAX = 64 << 10, /* bytes of output kept; the rest is read and dropped */
};

/** Full path of a program in /usr/local/sbin … /bin. @return owned by the caller; NULL when it is
 * not there. */
char *ol_process_find(const char *program);

/**
 * Run argv[0] (an absolute path, or a name for ol_process_find()) and wait for it. Its input is
 * empty.
 * @param output      stdout and stderr together, without the last newline; may be NULL
 * @param timeout_ms  then it is killed; 0: no limit
 * @return 0 when it ended with status 0; -ENOENT when it is not installed; -ETIMEDOUT; -ECHILD when
 *         it ended in another way (the text has its last line); or negative errno
 */
int ol_process_run(const char *const argv[], unsigned timeout_ms, struct ol_buf *output,
                   struct ol_error *err);

#endif
