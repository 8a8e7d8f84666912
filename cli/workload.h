/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines and the workload of a comparison or a prediction, and where the result goes: the
 * options both have, so that the same words mean the same.
 */
#ifndef OL_CLI_WORKLOAD_H
#define OL_CLI_WORKLOAD_H

#include "cli/cli.h"

#include "bench/report/report.h"

enum {
    WORKLOAD_KEY_DRIVERS = 0x700000,
    WORKLOAD_KEY_COMMITS,
    WORKLOAD_KEY_CHANGES,
    WORKLOAD_KEY_CHANGE_BYTES,
    WORKLOAD_KEY_SEED,
    WORKLOAD_KEY_REPLAY,
    WORKLOAD_KEY_TABLE,
    WORKLOAD_KEY_CSV,
    WORKLOAD_KEY_MARKDOWN,
    WORKLOAD_KEY_OUTPUT,
};

#define WORKLOAD_OPTION_COMMITS                                                                    \
    {                                                                                              \
        "commits", WORKLOAD_KEY_COMMITS, "N", 0, "containers to change and commit in a row (3)", 0 \
    }
#define WORKLOAD_OPTION_CHANGES                                                                    \
    {                                                                                              \
        "changes", WORKLOAD_KEY_CHANGES, "MIX", 0,                                                 \
            "changes of one commit (add=10,modify=5,delete=3,rename=1,chmod=1,mkdir=1); also "     \
            "symlink, link (a file with two names) and replace (a directory); none: an empty "     \
            "commit",                                                                              \
            0                                                                                      \
    }
#define WORKLOAD_OPTION_CHANGE_BYTES                                                               \
    {                                                                                              \
        "change-bytes", WORKLOAD_KEY_CHANGE_BYTES, "BYTES", 0,                                     \
            "size of an added or modified file; k, m, g are powers of 1024 (4096)", 0              \
    }
#define WORKLOAD_OPTION_TABLE                                                                      \
    {                                                                                              \
        "table", WORKLOAD_KEY_TABLE, NULL, 0, "print a table (default)", 0                         \
    }
#define WORKLOAD_OPTION_MARKDOWN                                                                   \
    {                                                                                              \
        "markdown", WORKLOAD_KEY_MARKDOWN, NULL, 0, "print the table as Markdown", 0               \
    }
#define WORKLOAD_OPTION_OUTPUT                                                                     \
    {                                                                                              \
        "output", WORKLOAD_KEY_OUTPUT, "FILE", 0, "write to FILE, whole or not at all", 0          \
    }

struct workload_args {
    struct ol_report_workload work;
    char **engines; /* owned */
    size_t n_engines;
    unsigned min_commits;
    int (*check_engine)(const char *name, struct ol_error *err); /* whether it may be asked for */
    const char *seeded; /* the option given that seeded changes alone have, or NULL */
    enum ol_report_format format;
    const char *output; /* borrowed; NULL: stdout */
};
void workload_args_fini(struct workload_args *args);

/** @param drivers  those without --drivers */
bool workload_args_init(struct ol_cli *cli, struct workload_args *args, const char *drivers,
                        int (*check_engine)(const char *name, struct ol_error *err));
/** Take one of the options above. @return false after ol_cli_usage() */
bool workload_take(struct ol_cli *cli, struct workload_args *args, int key, const char *arg);
/** Once all are taken. @return false after ol_cli_usage() */
bool workload_settle(struct ol_cli *cli, struct workload_args *args);
/** Whether a library function accepted what was given with an option; tells it when not. */
bool workload_judged(struct ol_cli *cli, const char *option, int r, const struct ol_error *err);

/** The style of what goes to stdout, or of a file. */
struct ol_report_style workload_style(const struct ol_cli *cli, bool to_stdout);

/** Say what the result is. @return 0 or -ENOMEM */
typedef int workload_print_fn(const void *result, enum ol_report_format format,
                              const struct ol_report_style *style, FILE *out, struct ol_error *err);
/** Print to where the options say. */
int workload_print(const struct ol_cli *cli, const struct workload_args *args,
                   workload_print_fn *print, const void *result, struct ol_error *err);

#endif
