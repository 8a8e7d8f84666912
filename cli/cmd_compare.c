/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab compare": the same docker-commit workflow on every engine asked for, side by side. Here
 * are its options and where the result goes; the work is ol_compare_run().
 */
#include "cli/cli.h"
#include "cli/place.h"
#include "cli/progress.h"

#include "bench/harness/compare.h"
#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/limits.h"

#include <fcntl.h>
#include <sys/ioctl.h>

enum {
    KEY_DRIVERS = 0x300000,
    KEY_WITH,
    KEY_WITH_TIMEOUT,
    KEY_COMMITS,
    KEY_CHANGES,
    KEY_CHANGE_BYTES,
    KEY_SEED,
    KEY_REPLAY,
    KEY_ROUNDS,
    KEY_NO_WARMUP,
    KEY_BACKING,
    KEY_VIEW,
    KEY_TABLE,
    KEY_CSV,
    KEY_MARKDOWN,
    KEY_OUTPUT,
};

static const struct argp_option options[] = {
    {"drivers", KEY_DRIVERS, "LIST", 0,
     "engines, separated by commas: overlay, overlay2, vfs, snapshot, with options as in "
     "overlay:diff=upper,clone=all (default: overlay,overlay2)",
     0},
    {"with", KEY_WITH, "LIST", 0,
     "real engines beside them, on throwaway directories: docker (docker/overlay and "
     "docker/overlay2), containers-storage, containerd; needs root",
     0},
    {"with-timeout", KEY_WITH_TIMEOUT, "SECONDS", 0,
     "what a real engine gets for each answer before its column is given up (300)", 0},
    {"commits", KEY_COMMITS, "N", 0, "containers to change and commit in a row (3)", 0},
    {"changes", KEY_CHANGES, "MIX", 0,
     "changes of one commit (add=10,modify=5,delete=3,rename=1,chmod=1,mkdir=1); also symlink, "
     "link "
     "(a file with two names) and replace (a directory); none: an empty commit",
     0},
    {"change-bytes", KEY_CHANGE_BYTES, "BYTES", 0,
     "size of an added or modified file; k, m, g are powers of 1024 (4096)", 0},
    {"replay", KEY_REPLAY, NULL, 0,
     "instead of seeded changes, rebuild IMAGE: each layer after the first becomes a container "
     "whose changes are made through the mounted view and committed",
     0},
    {"seed", KEY_SEED, "N", 0, "of the changes, the order and the built-in image (1)", 0},
    {"rounds", KEY_ROUNDS, "N", 0, "how often everything is timed, after one warm-up (5)", 0},
    {"no-warmup", KEY_NO_WARMUP, NULL, 0, "leave it out, when times do not matter", 0},
    {"backing", KEY_BACKING, "WHERE", 0,
     "a directory, or a file system made for the run: ext4:SIZE, xfs:SIZE, btrfs:SIZE, tmpfs:SIZE "
     "(default: the data root)",
     0},
    {"view", KEY_VIEW, "VIEW", 0, "auto (default), kernel, userns or direct", 0},
    {"table", KEY_TABLE, NULL, 0, "print a table (default)", 0},
    {"csv", KEY_CSV, NULL, 0, "print every sample as CSV", 0},
    {"markdown", KEY_MARKDOWN, NULL, 0, "print the table as Markdown", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "write to FILE, whole or not at all", 0},
    {0},
};

static const char help[] =
    "IMAGE is a docker-archive, an OCI layout, a root file system tar or a directory; without one "
    "an image like a small Debian system is generated.\n\n"
    "Each engine imports the image layer by layer; then, for each commit, makes a container from "
    "the newest image, mounts it, changes files, unmounts and commits; then removes everything. "
    "Inodes and bytes are counted in the driver's directory before and after each step.\n\n"
    "A real engine that cannot run here, or fails on the way, is named with the reason and has no "
    "column; the others are printed, and the exit status is 3 or 1.";

struct compare_args {
    struct ol_compare_options options;
    struct ol_external_list with;
    struct place place;
    enum ol_report_format format;
    const char *output;
    const char *seeded; /* the option given that seeded changes alone have, or NULL */
    char **engines;     /* owned */
};

static void compare_args_fini(struct compare_args *args)
{
    ol_engine_names_free(args->engines);
    place_fini(&args->place);
}

static bool set_engines(struct ol_cli *cli, struct compare_args *args, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    ol_engine_names_free(args->engines);
    args->engines = NULL;
    if (ol_engine_names_parse(text, &args->engines, &args->options.n_engines, &err) < 0) {
        (void)ol_cli_usage(cli, "--drivers: %s", ol_error_text(&err));
        return false;
    }
    for (size_t i = 0; i < args->options.n_engines; i++) {
        if (ol_engine_ops_of(args->engines[i]) == &ol_snapshot_engine_ops)
            continue;
        if (ol_driver_spec_check(args->engines[i], &err) < 0) {
            (void)ol_cli_usage(cli, "--drivers: %s", ol_error_text(&err));
            return false;
        }
    }
    args->options.engines = args->engines;
    return true;
}

/* An option whose text a library function judges. */
static bool judged(struct ol_cli *cli, const char *option, int r, const struct ol_error *err)
{
    if (r == 0)
        return true;
    (void)ol_cli_usage(cli, "%s: %s", option, ol_error_text(err));
    return false;
}

static bool take_number(struct ol_cli *cli, int key, const char *arg, struct compare_args *args)
{
    struct ol_report_workload *work = &args->options.workload;
    uint64_t value = 0;

    if (key == KEY_COMMITS || key == KEY_CHANGE_BYTES)
        args->seeded = key == KEY_COMMITS ? "--commits" : "--change-bytes";
    switch (key) {
    case KEY_COMMITS:
        if (!ol_cli_number(cli, "--commits", arg, false, 1, OL_MAX_IMAGE_LAYERS - 1, &value))
            return false;
        work->commits = (unsigned)value;
        return true;
    case KEY_WITH_TIMEOUT:
        if (!ol_cli_number(cli, "--with-timeout", arg, false, 1, 86400, &value))
            return false;
        args->options.timeout_s = (unsigned)value;
        return true;
    case KEY_ROUNDS:
        if (!ol_cli_number(cli, "--rounds", arg, false, 1, 1000, &value))
            return false;
        work->rounds = (unsigned)value;
        return true;
    case KEY_SEED:
        return ol_cli_number(cli, "--seed", arg, false, 0, INT64_MAX, &work->seed);
    default:
        return ol_cli_number(cli, "--change-bytes", arg, true, 0, 1ull << 30, &work->change_bytes);
    }
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct compare_args *args = data;

    switch (key) {
    case OL_CLI_ARGUMENT:
        args->options.image = arg;
        return true;
    case KEY_DRIVERS:
        return set_engines(cli, args, arg);
    case KEY_WITH:
        args->options.with = &args->with;
        return judged(cli, "--with", ol_external_parse(arg, &args->with, &err), &err);
    case KEY_REPLAY:
        args->options.workload.replay = true;
        return true;
    case KEY_CHANGES:
        args->seeded = "--changes";
        return judged(cli, "--changes",
                      ol_change_mix_parse(arg, &args->options.workload.changes, &err), &err);
    case KEY_NO_WARMUP:
        args->options.workload.warmup = false;
        return true;
    case KEY_BACKING:
        return judged(cli, "--backing", place_set_backing(&args->place, arg, &err), &err);
    case KEY_VIEW:
        return judged(cli, "--view", ol_view_parse(arg, &args->place.view, &err), &err);
    case KEY_TABLE:
        args->format = OL_REPORT_TABLE;
        return true;
    case KEY_CSV:
        args->format = OL_REPORT_CSV;
        return true;
    case KEY_MARKDOWN:
        args->format = OL_REPORT_MARKDOWN;
        return true;
    case KEY_OUTPUT:
        args->output = arg;
        return true;
    default:
        return take_number(cli, key, arg, args);
    }
}

/* The image's own layers are the commits and their changes. */
static bool settle_replay(struct ol_cli *cli, struct compare_args *args)
{
    struct ol_report_workload *work = &args->options.workload;

    if (args->seeded != NULL) {
        (void)ol_cli_usage(cli,
                           "%s cannot be used with --replay: the image's layers say what is "
                           "committed",
                           args->seeded);
        return false;
    }
    for (size_t i = 0; i < args->options.n_engines; i++) {
        if (strcmp(args->engines[i], "null") == 0) {
            (void)ol_cli_usage(cli, "--drivers null cannot be used with --replay: it keeps no "
                                    "files, so there is nothing to change");
            return false;
        }
    }
    work->changes = (struct ol_change_mix){0};
    work->change_bytes = 0;
    return true;
}

static bool parse(struct ol_cli *cli, int argc, char **argv, struct compare_args *args)
{
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = args,
        .max_arguments = 1,
        .help = help,
    };

    args->options.workload = (struct ol_report_workload){
        .commits = 3,
        .changes = OL_CHANGE_MIX_DEFAULT,
        .change_bytes = 4096,
        .seed = 1,
        .rounds = 5,
        .warmup = true,
    };
    if (!set_engines(cli, args, "overlay,overlay2") || !ol_cli_parse(cli, &syntax, argc, argv))
        return false;
    if (cli->json)
        args->format = OL_REPORT_JSON;
    return !args->options.workload.replay || settle_replay(cli, args);
}

/* ---- where the result goes ---- */

static struct ol_report_style style_for(const struct ol_cli *cli, bool to_stdout)
{
    struct winsize size = {0};
    struct ol_report_style style = {.color = to_stdout && ol_cli_color(cli, STDOUT_FILENO)};

    if (to_stdout && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        style.width = size.ws_col;
    return style;
}

static int print_report(struct ol_cli *cli, const struct compare_args *args,
                        const struct ol_report *report, struct ol_error *err)
{
    struct ol_report_style style = style_for(cli, args->output == NULL);
    ol_auto_free char *text = NULL;
    size_t len = 0;
    FILE *out;
    int r;

    if (args->output == NULL)
        return ol_report_print(report, args->format, &style, stdout, err);
    out = open_memstream(&text, &len);
    if (out == NULL)
        return ol_error_nomem(err);
    r = ol_report_print(report, args->format, &style, out, err);
    if (fclose(out) != 0 && r == 0)
        r = ol_error_nomem(err);
    if (r == 0)
        r = ol_cli_replace_file(args->output, ol_fs_fill_text, &(struct ol_fs_text){text, len},
                                err);
    return r < 0 ? ol_error_wrap(err, r, "--output '%s'", args->output) : 0;
}

/* ---- the run ---- */

static bool is_cancelled(void *data)
{
    (void)data; /* one flag for the process */
    return ol_cli_cancelled();
}

/* A real engine that was asked for and has no column: the result is there, but not all of it. */
static int tell_left_out(struct ol_cli *cli, const struct ol_report *report)
{
    int status = OL_EXIT_OK;

    for (size_t i = 0; i < report->n_left_out; i++) {
        const struct ol_report_left_out *engine = &report->left_out[i];

        ol_cli_warn(cli, "%s is left out: %s", engine->name, engine->reason);
        if (!engine->impossible)
            status = OL_EXIT_FAILED;
        else if (status == OL_EXIT_OK)
            status = OL_EXIT_IMPOSSIBLE;
    }
    return status;
}

/* In its view, in its place. */
static int run_inside(struct ol_cli *cli, const struct place_found *found, void *data,
                      int *ret_status, struct ol_error *err)
{
    struct compare_args *args = data;
    struct ol_progress progress;
    struct ol_report report = {0};
    int r;

    ol_progress_init(&progress, cli);
    args->options.view = found->view;
    args->options.dir = found->dir;
    args->options.path_kind = found->path_kind;
    args->options.dedicated = found->dedicated;
    args->options.cancelled = is_cancelled;
    args->options.progress = ol_progress_show;
    args->options.data = &progress;
    r = ol_compare_run(&args->options, &report, err);
    ol_progress_clear(&progress);
    if (r == 0)
        r = print_report(cli, args, &report, err);
    *ret_status = tell_left_out(cli, &report);
    ol_report_fini(&report);
    return r;
}

int cmd_compare(struct ol_cli *cli, int argc, char **argv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    __attribute__((cleanup(compare_args_fini))) struct compare_args args = {0};
    int status = OL_EXIT_OK;
    int r;

    if (!parse(cli, argc, argv, &args))
        return cli->status;
    r = place_run(cli, &args.place, run_inside, &args, &status, &err);
    return r < 0 ? ol_cli_fail(cli, r, &err) : status;
}
