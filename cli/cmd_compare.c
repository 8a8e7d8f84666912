/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab compare": the same docker-commit workflow on every engine asked for, side by side. Here
 * are its options and where the result goes; the work is ol_compare_run().
 */
#include "cli/cli.h"
#include "cli/place.h"
#include "cli/progress.h"
#include "cli/workload.h"

#include "bench/harness/compare.h"
#include "bench/report/verify.h"
#include "common/cleanup.h"

enum {
    KEY_WITH = 0x300000,
    KEY_WITH_TIMEOUT,
    KEY_ROUNDS,
    KEY_NO_WARMUP,
    KEY_BACKING,
    KEY_VIEW,
    KEY_VERIFY,
};

static const struct argp_option options[] = {
    {"drivers", WORKLOAD_KEY_DRIVERS, "LIST", 0,
     "engines, separated by commas: overlay, overlay2, vfs, snapshot, with options as in "
     "overlay:diff=upper,clone=all (default: overlay,overlay2)",
     0},
    {"with", KEY_WITH, "LIST", 0,
     "real engines beside them, on throwaway directories: docker (docker/overlay and "
     "docker/overlay2), containers-storage, containerd; needs root",
     0},
    {"with-timeout", KEY_WITH_TIMEOUT, "SECONDS", 0,
     "what a real engine gets for each answer before its column is given up (300)", 0},
    WORKLOAD_OPTION_COMMITS,
    WORKLOAD_OPTION_CHANGES,
    WORKLOAD_OPTION_CHANGE_BYTES,
    {"replay", WORKLOAD_KEY_REPLAY, NULL, 0,
     "instead of seeded changes, rebuild IMAGE: each layer after the first becomes a container "
     "whose changes are made through the mounted view and committed",
     0},
    {"seed", WORKLOAD_KEY_SEED, "N", 0, "of the changes, the order and the built-in image (1)", 0},
    {"rounds", KEY_ROUNDS, "N", 0, "how often everything is timed, after one warm-up (5)", 0},
    {"no-warmup", KEY_NO_WARMUP, NULL, 0, "leave it out, when times do not matter", 0},
    {"backing", KEY_BACKING, "WHERE", 0,
     "a directory, or a file system made for the run: ext4:SIZE, xfs:SIZE, btrfs:SIZE, tmpfs:SIZE "
     "(default: the data root)",
     0},
    {"view", KEY_VIEW, "VIEW", 0, "auto (default), kernel, userns or direct", 0},
    {"verify", KEY_VERIFY, NULL, 0,
     "fail when a step's inodes, by kind, are not those predicted, or have no prediction", 0},
    WORKLOAD_OPTION_TABLE,
    {"csv", WORKLOAD_KEY_CSV, NULL, 0, "print every sample as CSV", 0},
    WORKLOAD_OPTION_MARKDOWN,
    WORKLOAD_OPTION_OUTPUT,
    {0},
};

static const char help[] =
    "IMAGE is a docker-archive, an OCI layout, a root file system tar or a directory, '-' for the "
    "standard input; without one "
    "an image like a small Debian system is generated.\n\n"
    "Each engine imports the image layer by layer; then, for each commit, makes a container from "
    "the newest image, mounts it, changes files, unmounts and commits; then removes everything. "
    "Inodes and bytes are counted in the driver's directory before and after each step.\n\n"
    "A real engine that cannot run here, or fails on the way, is named with the reason and has no "
    "column; the others are printed, and the exit status is 3 or 1.\n\n"
    "With --verify each difference is a line on stderr: engine, step, kind, both numbers; the exit "
    "status is 1. Real engines are held against the law of their driver; one without a law is "
    "named.";

struct compare_args {
    struct ol_compare_options options;
    struct ol_external_list with;
    struct place place;
    struct workload_args workload;
    bool verify;
};

static void compare_args_fini(struct compare_args *args)
{
    workload_args_fini(&args->workload);
    place_fini(&args->place);
}

static bool take_number(struct ol_cli *cli, const char *option, const char *arg, unsigned max,
                        unsigned *ret)
{
    uint64_t value = 0;

    if (!ol_cli_number(cli, option, arg, false, 1, max, &value))
        return false;
    *ret = (unsigned)value;
    return true;
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct compare_args *args = data;

    switch (key) {
    case OL_CLI_ARGUMENT:
        args->options.image = arg;
        return true;
    case KEY_WITH:
        args->options.with = &args->with;
        return workload_judged(cli, "--with", ol_external_parse(arg, &args->with, &err), &err);
    case KEY_WITH_TIMEOUT:
        return take_number(cli, "--with-timeout", arg, 86400, &args->options.timeout_s);
    case KEY_ROUNDS:
        return take_number(cli, "--rounds", arg, 1000, &args->workload.work.rounds);
    case KEY_NO_WARMUP:
        args->workload.work.warmup = false;
        return true;
    case KEY_BACKING:
        return workload_judged(cli, "--backing", place_set_backing(&args->place, arg, &err), &err);
    case KEY_VERIFY:
        args->verify = true;
        return true;
    case KEY_VIEW:
        return workload_judged(cli, "--view", ol_view_parse(arg, &args->place.view, &err), &err);
    default:
        return workload_take(cli, &args->workload, key, arg);
    }
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
    struct workload_args *workload = &args->workload;

    if (!workload_args_init(cli, workload, "overlay,overlay2", ol_engine_name_check))
        return false;
    workload->min_commits = 1;
    workload->work.rounds = 5;
    workload->work.warmup = true;
    if (!ol_cli_parse(cli, &syntax, argc, argv) || !workload_settle(cli, workload))
        return false;
    args->options.workload = workload->work;
    args->options.engines = workload->engines;
    args->options.n_engines = workload->n_engines;
    return true;
}

static int print_report(const void *report, enum ol_report_format format,
                        const struct ol_report_style *style, FILE *out, struct ol_error *err)
{
    return ol_report_print(report, format, style, out, err);
}

/* ---- the run ---- */

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

static void tell_difference(const char *text, void *data)
{
    ol_cli_warn(data, "%s", text);
}

/* @param status  as far as it is known; a difference makes it a failure */
static int verify(struct ol_cli *cli, const struct ol_report *report, int *status,
                  struct ol_error *err)
{
    struct ol_verification found;

    if (ol_report_verify(report, tell_difference, cli, &found) < 0)
        return ol_error_nomem(err);
    if (ol_verification_holds(&found)) {
        ol_cli_note(cli, "verified: all %zu steps of %zu engines are as predicted, kind by kind",
                    found.steps, found.engines);
        return 0;
    }
    ol_cli_warn(cli, "not verified: %zu of %zu steps differ from their predictions, %zu have none",
                found.differences, found.steps, found.unpredicted);
    *status = OL_EXIT_FAILED;
    return 0;
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
    args->options.cancelled = ol_cli_is_cancelled;
    args->options.progress = ol_progress_show;
    args->options.data = &progress;
    if (args->options.image != NULL)
        ol_cli_cancel_image(args->options.image);
    r = ol_compare_run(&args->options, &report, err);
    ol_progress_clear(&progress);
    if (r == 0)
        r = workload_print(cli, &args->workload, print_report, &report, err);
    *ret_status = tell_left_out(cli, &report);
    if (r == 0 && args->verify)
        r = verify(cli, &report, ret_status, err);
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
