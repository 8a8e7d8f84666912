/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlab command, as its subcommands see it: the table of subcommands, the global options, the
 * parsing of arguments, exit statuses, messages and cancellation.
 *
 * A subcommand is one row in table.c and one function cmd_x() in a cmd_*.c file. It parses its
 * arguments with ol_cli_parse(), writes results to stdout and everything else through
 * ol_cli_fail(), ol_cli_warn() and ol_cli_note(), and returns an enum ol_exit.
 */
#ifndef OL_CLI_CLI_H
#define OL_CLI_CLI_H

#include "common/error.h"
#include "common/fs/file.h"

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

enum ol_exit {
    OL_EXIT_OK = 0,
    OL_EXIT_FAILED = 1,     /* it did not work, or a budget was exceeded */
    OL_EXIT_USAGE = 2,      /* wrong usage */
    OL_EXIT_IMPOSSIBLE = 3, /* not possible on this host, whatever the input */
};

enum ol_cli_flag {
    OL_CLI_NEEDS_ROOT = 1 << 0,  /* refused for an ordinary user, before anything else */
    OL_CLI_NEEDS_STORE = 1 << 1, /* works in --root, which is made when missing */
    OL_CLI_HAS_JSON = 1 << 2,    /* knows --json */
};

struct ol_cli;
struct ol_cli_syntax;

/* One row of the table; help, completion and man page come from it. */
struct ol_cli_command {
    const char *name;     /* "compare", "layer apply": what the user types */
    const char *synopsis; /* arguments after the options: "ID [PARENT] < TAR" */
    const char *summary;  /* one line, no capital, no full stop */
    int (*run)(struct ol_cli *cli, int argc, char **argv);
    unsigned flags; /* enum ol_cli_flag */
};

/** The table, in the order of help; *ret_count rows. */
const struct ol_cli_command *ol_cli_table(size_t *ret_count);
/** The row of this name ("layer apply"), or NULL. */
const struct ol_cli_command *ol_cli_find(const char *name);
/** The row of argv[0], or of argv[0] and argv[1] together; *ret_words is how many it took. */
const struct ol_cli_command *ol_cli_find_words(int argc, char *const *argv, int *ret_words);
/** Some row's name begins with "name ". */
bool ol_cli_is_group(const char *name);

/** Is handed the options and arguments of a subcommand. */
typedef void ol_cli_describe_fn(const struct ol_cli_command *command,
                                const struct ol_cli_syntax *syntax, void *data);

/** What every subcommand gets. */
struct ol_cli {
    const struct ol_cli_command *command; /* NULL while none is chosen */
    char *root;                           /* owned by main; absolute path of the data root */
    char *invocation;                     /* owned by main; "overlab layer apply" */
    bool json;
    bool quiet;
    bool verbose;
    bool no_color;
    unsigned debug;               /* trace areas, 1 << enum ol_trace_area */
    int status;                   /* exit status when ol_cli_parse() returned false */
    ol_cli_describe_fn *describe; /* NULL, or what ol_cli_parse() calls in place of parsing */
    void *describe_data;
};

/* The options and arguments of a subcommand. */
struct ol_cli_syntax {
    const struct argp_option *options; /* ends with an empty row; NULL for none */
    /**
     * Take one option (its key) or argument (OL_CLI_ARGUMENT).
     * @return true, or false after ol_cli_usage()
     */
    bool (*take)(struct ol_cli *cli, int key, char *arg, void *data);
    void *data;
    unsigned min_arguments, max_arguments;
    bool rest;        /* whatever follows the first argument is an argument, dashes or not */
    const char *help; /* paragraphs after the options in --help; NULL for none */
};

enum { OL_CLI_ARGUMENT = 0 };

/**
 * Parse the arguments of the running subcommand, global options among them.
 * @return false when there is nothing left to do (help was printed, or the usage was wrong): return
 *         cli->status
 */
bool ol_cli_parse(struct ol_cli *cli, const struct ol_cli_syntax *syntax, int argc, char **argv);

/**
 * For take(): put a text behind those of a list, which is the caller's to free and ends with NULL.
 * @param text  borrowed
 * @return false when there was no memory: cli->status is set
 */
bool ol_cli_add_text(struct ol_cli *cli, const char ***list, size_t *count, const char *text);

/** Say what is wrong with the usage, and where to look. @return OL_EXIT_USAGE */
int ol_cli_usage(struct ol_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * Parse a whole number, with an optional suffix k, m, g, t (powers of 1024) when @p suffix is set.
 * @param what  name of the option for the message, as typed
 * @return false after ol_cli_usage()
 */
bool ol_cli_number(struct ol_cli *cli, const char *what, const char *text, bool suffix,
                   uint64_t min, uint64_t max, uint64_t *ret);

/**
 * Print the error. @param r negative errno.
 * @return OL_EXIT_IMPOSSIBLE for -ENOTSUP and -EPERM, else OL_EXIT_FAILED
 */
int ol_cli_fail(struct ol_cli *cli, int r, const struct ol_error *err);

/** A line on stderr: the command and what it has to say. */
void ol_cli_complain(const struct ol_cli *cli, const char *text);

/** A line on stderr: a warning always, a note unless --quiet, a detail only with --verbose. */
void ol_cli_warn(struct ol_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ol_cli_note(struct ol_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ol_cli_detail(struct ol_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * Write a file at a path the user gave, whole or not at all: aside, then renamed. A FIFO or a
 * device is written to as it is.
 */
int ol_cli_replace_file(const char *path, ol_fs_fill_fn *fill, void *data, struct ol_error *err);

/** Where temporary files go: $TMPDIR when that is absolute, else /tmp. */
const char *ol_cli_tmp_dir(void);

/** Colour may be used on this descriptor: a terminal, no NO_COLOR, no --no-color. */
bool ol_cli_color(const struct ol_cli *cli, int fd);

/** True once SIGINT or SIGTERM came: stop at the next good place and clean up. */
bool ol_cli_cancelled(void);
/** The same for libraries that hand on data, which is not looked at. */
bool ol_cli_is_cancelled(void *data);

/**
 * What was printed so far goes out, for who works on between two parts of a result. A failure also
 * ends the command as one at its end does, by SIGPIPE where nobody reads any more.
 */
int ol_cli_flush(struct ol_error *err);

/** The end of all output. @return status, or that of a command whose result did not get out */
int ol_cli_finish_output(struct ol_cli *cli, int status);

/**
 * Print a text on one line that comes from elsewhere, and say nothing to a terminal with it:
 * control characters, also those of eight bits in UTF-8, and the characters in also are printed as
 * \ooo.
 */
void ol_cli_put_visible(FILE *out, const char *text, const char *also);

/**
 * From now on a signal also ends this input at once (it becomes an empty file), so that a read that
 * waits for a slow writer does not hold up the clean-up. -1: none.
 */
void ol_cli_cancel_input(int fd);
/** The same for an image that is the standard input; any other image changes nothing. */
void ol_cli_cancel_image(const char *image);

/** Have fn called with the syntax of a subcommand, which is not run. */
void ol_cli_describe(const struct ol_cli_command *command, ol_cli_describe_fn *fn, void *data);
/** The options every subcommand has; ends with an empty row. */
const struct argp_option *ol_cli_global_options(void);

/* help.c */
void ol_cli_print_help(FILE *out);
/** The rows whose name begins with "group "; false when there are none. */
bool ol_cli_print_group(FILE *out, const char *group);
/** One line for each topic. */
void ol_cli_print_topics(FILE *out);

/* nearest.c */
/** How many letters must be changed, added, left out or swapped with their neighbour. */
unsigned ol_cli_distance(const char *a, const char *b);
/** Whether somebody who typed text may have meant a name at this distance. */
bool ol_cli_is_near(const char *text, unsigned distance);
/**
 * The subcommand that was probably meant; the first word of its name where text is one word.
 * @return *ret_len bytes of a name, or NULL
 */
const char *ol_cli_nearest_command(const char *text, int *ret_len);

/**
 * main.c: run a row with these arguments; argv[0] is replaced by its full name.
 * @return its exit status
 */
int ol_cli_run(struct ol_cli *cli, const struct ol_cli_command *command, int argc, char **argv);

/* main.c, for args.c: settle the root and start tracing once all options are known. */
bool ol_cli_prepare(struct ol_cli *cli);

/* args.c, for main.c */
/** Parse what stands before the subcommand. @return index of the subcommand in argv, argc for none,
 * -1 with cli->status set. */
int ol_cli_parse_global(struct ol_cli *cli, int argc, char **argv);
/** Parse "mount,layer" or "all" into a mask. @return false and the bad word's place and length. */
bool ol_cli_parse_areas(const char *text, unsigned *ret_mask, const char **ret_bad, int *ret_len);

/* The subcommands. */
int cmd_compare(struct ol_cli *cli, int argc, char **argv);
int cmd_predict(struct ol_cli *cli, int argc, char **argv);
int cmd_container_create(struct ol_cli *cli, int argc, char **argv);
int cmd_container_ls(struct ol_cli *cli, int argc, char **argv);
int cmd_container_mount(struct ol_cli *cli, int argc, char **argv);
int cmd_container_umount(struct ol_cli *cli, int argc, char **argv);
int cmd_container_exec(struct ol_cli *cli, int argc, char **argv);
int cmd_container_rm(struct ol_cli *cli, int argc, char **argv);
int cmd_commit(struct ol_cli *cli, int argc, char **argv);
int cmd_explain(struct ol_cli *cli, int argc, char **argv);
int cmd_doctor(struct ol_cli *cli, int argc, char **argv);
int cmd_image_export(struct ol_cli *cli, int argc, char **argv);
int cmd_check(struct ol_cli *cli, int argc, char **argv);
int cmd_check_store(struct ol_cli *cli, int argc, char **argv);
int cmd_image_history(struct ol_cli *cli, int argc, char **argv);
int cmd_image_import(struct ol_cli *cli, int argc, char **argv);
int cmd_image_ls(struct ol_cli *cli, int argc, char **argv);
int cmd_image_rm(struct ol_cli *cli, int argc, char **argv);
int cmd_lesson(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_create(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_apply(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_diff(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_changes(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_mount(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_umount(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_rm(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_ls(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_du(struct ol_cli *cli, int argc, char **argv);
int cmd_layer_show(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_prepare(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_view(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_apply(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_commit(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_mounts(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_mount(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_rm(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_ls(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_tree(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_info(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_usage(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_label(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_cleanup(struct ol_cli *cli, int argc, char **argv);
int cmd_snapshot_check(struct ol_cli *cli, int argc, char **argv);
int cmd_completion(struct ol_cli *cli, int argc, char **argv);
int cmd_help(struct ol_cli *cli, int argc, char **argv);

#endif
