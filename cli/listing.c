/* SPDX-License-Identifier: Apache-2.0 */
/* Small tables; see listing.h. */
#include "cli/listing.h"

#include "common/cleanup.h"

#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>

struct ol_listing {
    struct libscols_table *table;
    struct libscols_line *line;
    size_t column;
    size_t rows;
};

int ol_listing_new(const struct ol_listing_column *columns, size_t n_columns,
                   struct ol_listing **ret, struct ol_error *err)
{
    struct ol_listing *listing = calloc(1, sizeof *listing);

    if (listing == NULL)
        return ol_error_nomem(err);
    listing->table = scols_new_table();
    for (size_t i = 0; i < n_columns && listing->table != NULL; i++) {
        if (scols_table_new_column(listing->table, columns[i].heading, 0,
                                   columns[i].right ? SCOLS_FL_RIGHT : 0) == NULL) {
            scols_unref_table(listing->table);
            listing->table = NULL;
        }
    }
    if (listing->table == NULL) {
        free(listing);
        return ol_error_nomem(err);
    }
    (void)scols_table_set_column_separator(listing->table, "  "); /* without memory: one space */
    /* No id may be cut: a narrow terminal wraps the line. */
    (void)scols_table_set_termforce(listing->table, SCOLS_TERMFORCE_NEVER);
    *ret = listing;
    return 0;
}

int ol_listing_row(struct ol_listing *listing, struct ol_error *err)
{
    listing->line = scols_table_new_line(listing->table, NULL);
    listing->column = 0;
    listing->rows++;
    return listing->line != NULL ? 0 : ol_error_nomem(err);
}

int ol_listing_cell(struct ol_listing *listing, struct ol_error *err, const char *fmt, ...)
{
    ol_auto_free char *text = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0) {
        text = NULL;
        return ol_error_nomem(err);
    }
    if (scols_line_set_data(listing->line, listing->column++, text) != 0)
        return ol_error_nomem(err);
    return 0;
}

int ol_listing_print(struct ol_listing *listing, struct ol_error *err)
{
    ol_auto_free char *text = NULL;

    if (listing->rows == 0)
        return 0;
    if (scols_print_table_to_string(listing->table, &text) != 0)
        return ol_error_nomem(err);
    printf("%s\n", text); /* a failed write is seen when main closes stdout */
    return 0;
}

void ol_listing_free(struct ol_listing *listing)
{
    if (listing == NULL)
        return;
    scols_unref_table(listing->table);
    free(listing);
}

int ol_cli_print_json(json_t *json, struct ol_error *err)
{
    if (json == NULL)
        return ol_error_nomem(err);
    (void)json_dumpf(json, stdout, JSON_INDENT(1)); /* main sees a failed write */
    fputc('\n', stdout);
    json_decref(json);
    return 0;
}
