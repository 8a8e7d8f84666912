/* SPDX-License-Identifier: Apache-2.0 */
/* Running the command of a real engine for one step, and reading what it prints. */
#ifndef OL_BENCH_ENGINES_COMMAND_H
#define OL_BENCH_ENGINES_COMMAND_H

#include "common/buf.h"
#include "common/error.h"

#include <jansson.h>

/** As ol_process_run(), within so many seconds.
 * @param output  appended to; NULL when nobody wants it */
int ol_command_run(const char *const argv[], unsigned timeout_s, struct ol_buf *output,
                   struct ol_error *err);

/** The same, of a command that prints one JSON document. *ret is owned by the caller. */
int ol_command_json(const char *const argv[], unsigned timeout_s, json_t **ret,
                    struct ol_error *err);

void ol_json_drop(json_t **json);
#define ol_auto_json __attribute__((cleanup(ol_json_drop)))

#endif
