/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An INI text as sections of keys with line numbers. inih splits the lines; what it would let pass
 * in silence (lines and names it cuts, text behind a heading, continued lines, NUL bytes) is an
 * error here.
 */
#ifndef OL_BENCH_BUDGET_INI_H
#define OL_BENCH_BUDGET_INI_H

#include "common/error.h"

#include <stddef.h>

struct ol_ini_entry {
    char *key, *value; /* owned */
    unsigned line;     /* from 1 */
};

struct ol_ini_section {
    char *name;                   /* owned; "" for what stands before the first heading */
    unsigned line;                /* of its heading; 0 for that */
    struct ol_ini_entry *entries; /* owned */
    size_t n_entries;
};

struct ol_ini {
    struct ol_ini_section *sections; /* owned; the first one is the nameless one */
    size_t n_sections;
};
void ol_ini_fini(struct ol_ini *ini); /* accepts a zeroed one */

enum {
    OL_INI_LINE_MAX = 197,   /* bytes of one line: what inih reads at once */
    OL_INI_SECTION_MAX = 49, /* of a section's name */
    OL_INI_ENTRIES_MAX = 100000,
};

/**
 * @param source  for messages: "SOURCE:LINE: …"
 * @param text    len bytes; need not end with a NUL
 * @param ret     written on success only
 * @return 0; -EINVAL with line and reason; -E2BIG too many lines; -ENOMEM
 */
int ol_ini_parse(const char *source, const char *text, size_t len, struct ol_ini *ret,
                 struct ol_error *err);

#endif
