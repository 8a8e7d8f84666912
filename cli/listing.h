/* SPDX-License-Identifier: Apache-2.0 */
/* Small tables on stdout, drawn by libsmartcols, and JSON. */
#ifndef OL_CLI_LISTING_H
#define OL_CLI_LISTING_H

#include "common/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct ol_listing_column {
    const char *heading;
    bool right; /* numbers */
};

struct ol_listing; /* rows of text cells */

int ol_listing_new(const struct ol_listing_column *columns, size_t n_columns,
                   struct ol_listing **ret, struct ol_error *err);
/** Begin a row. */
int ol_listing_row(struct ol_listing *listing, struct ol_error *err);
/** The next cell of the row. */
int ol_listing_cell(struct ol_listing *listing, struct ol_error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Print to stdout; a listing without rows prints nothing. */
int ol_listing_print(struct ol_listing *listing, struct ol_error *err);
void ol_listing_free(struct ol_listing *listing);

/** Print to stdout and release. @param json NULL: some part of it had no memory, -ENOMEM */
int ol_cli_print_json(json_t *json, struct ol_error *err);

#endif
