/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab explain": one operation on a tiny image, for real, in a place that is made for it and
 * removed afterwards, however it ends. Here are its options, the terminal and the order of things;
 * the work is bench/teach.
 */
#include "cli/cli.h"
#include "cli/place.h"

#include "bench/teach/explain.h"
#include "common/cleanup.h"
#include "common/fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    KEY_DRIVERS = 0x500000,
    KEY_INTERACTIVE,
    KEY_SVG,
    KEY_VIEW,
    KEY_WIDTH,
    KEY_BACKING,
};

static const struct argp_option options[] = {
    {"drivers", KEY_DRIVERS, "LIST", 0,
     "engines, separated by commas: overlay, overlay2, snapshot, vfs, with options as in "
     "overlay:clone=all (default: overlay,overlay2,snapshot)",
     0},
    {"interactive", KEY_INTERACTIVE, NULL, 0, "wait for Enter before each phase", 0},
    {"svg", KEY_SVG, "FILE", 0, "also draw the directories, as they are at the end", 0},
    {"width", KEY_WIDTH, "COLUMNS", 0,
     "of the output, at least 60 (default: the terminal's, else 80)", 0},
    {"view", KEY_VIEW, "VIEW", 0, "auto (default), kernel, userns or direct", 0},
    {"backing", KEY_BACKING, "WHERE", 0,
     "where it all happens: a directory, or a file system made for it, as in compare (default: "
     "$TMPDIR, else /tmp)",
     0},
    {0},
};

static const char help[] =
    "STEP is one of mount, create, copy-up, whiteout, opaque, diff, apply, commit, chain, remove, "
    "snapshot, build.\n\n"
    "The real drivers do it on a tiny image. Shown are, side by side from 160 columns on, the "
    "directories before and after each phase with inode number, links, kind and size; the calls "
    "made; what is mounted, as the kernel says it; totals; why, and which function did it. "
    "Nothing is made up, and nothing of it stays.";

struct explain_args {
    const struct ol_step *step;
    char **engines; /* owned */
    size_t n_engines;
    struct place place;
    bool interactive;
    const char *svg;
    uint64_t width; /* 0: as wide as the terminal */
};

/* ---- arguments ---- */

static bool refuse(struct ol_cli *cli, const char *option, const struct ol_error *err)
{
    (void)ol_cli_usage(cli, "%s%s", option, ol_error_text(err));
    return false;
}

static int check_engine(const char *name, struct ol_error *err)
{
    return strcmp(name, "null") == 0
               ? ol_error_set(err, -EINVAL, "null keeps no files, so there is nothing to see")
               : ol_engine_name_check(name, err);
}

static bool set_engines(struct ol_cli *cli, struct explain_args *args, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r;

    ol_engine_names_free(args->engines);
    args->engines = NULL;
    r = ol_engine_names_parse(text, &args->engines, &args->n_engines, &err);
    for (size_t i = 0; r == 0 && i < args->n_engines; i++)
        r = check_engine(args->engines[i], &err);
    return r == 0 || refuse(cli, "--drivers: ", &err);
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct explain_args *args = data;

    switch (key) {
    case OL_CLI_ARGUMENT:
        args->step = ol_step_find(arg, &err);
        return args->step != NULL || refuse(cli, "", &err);
    case KEY_DRIVERS:
        return set_engines(cli, args, arg);
    case KEY_INTERACTIVE:
        args->interactive = true;
        return true;
    case KEY_SVG:
        args->svg = arg;
        return true;
    case KEY_WIDTH:
        return ol_cli_number(cli, "--width", arg, false, OL_EXPLAIN_WIDTH_MIN, 1000, &args->width);
    case KEY_VIEW:
        return ol_view_parse(arg, &args->place.view, &err) == 0 || refuse(cli, "--view: ", &err);
    default:
        return place_set_backing(&args->place, arg, &err) == 0 || refuse(cli, "--backing: ", &err);
    }
}

/* Nobody who did not name it looks for what is wrong with it in the environment. */
static int set_default_place(struct explain_args *args, struct ol_error *err)
{
    const char *dir = ol_cli_tmp_dir();
    ol_auto_fd int fd = -1;

    if (args->place.backing_text != NULL)
        return 0;
    fd = ol_fs_open_dir(AT_FDCWD, dir);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s' (of $TMPDIR; --backing names another)",
                            dir);
    return place_set_backing(&args->place, dir, err);
}

static bool parse(struct ol_cli *cli, int argc, char **argv, struct explain_args *args)
{
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = args,
        .min_arguments = 1,
        .max_arguments = 1,
        .help = help,
    };

    if (!set_engines(cli, args, "overlay,overlay2,snapshot") ||
        !ol_cli_parse(cli, &syntax, argc, argv))
        return false;
    if (args->interactive && cli->json) {
        (void)ol_cli_usage(cli, "--interactive cannot be used with --json");
        return false;
    }
    if (args->interactive && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
        (void)ol_cli_usage(cli, "--interactive needs a terminal");
        return false;
    }
    return true;
}

/* ---- what is shown ---- */

static struct ol_explain_style style_for(struct ol_cli *cli, const struct explain_args *args)
{
    struct ol_explain_style style = {
        .color = ol_cli_color(cli, STDOUT_FILENO),
        .width = (unsigned)args->width,
    };
    struct winsize size = {0};

    if (style.width == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        style.width = size.ws_col;
    if (style.width == 0)
        style.width = OL_EXPLAIN_WIDTH;
    if (style.width < OL_EXPLAIN_WIDTH_MIN) {
        ol_cli_warn(cli, "the terminal has %u columns; this is made for %d, and lines will wrap",
                    style.width, OL_EXPLAIN_WIDTH_MIN);
        style.width = OL_EXPLAIN_WIDTH_MIN;
    }
    return style;
}

static int interrupted(struct ol_error *err)
{
    return ol_error_set(err, -ECANCELED, "interrupted");
}

/* Until Enter. */
static int wait_for_enter(struct ol_error *err)
{
    char c = '\0';

    ol_cli_cancel_input(STDIN_FILENO); /* a signal just before read() ends that, too */
    fputs("Enter goes on, Ctrl-C ends it ", stderr);
    while (c != '\n') {
        ssize_t n = ol_cli_cancelled() ? 0 : read(STDIN_FILENO, &c, 1);

        if (ol_cli_cancelled())
            return interrupted(err);
        if (n <= 0)
            return ol_error_set(err, -ENODATA, "the input ended before the last phase");
    }
    return 0;
}

static int show(const struct ol_explanation *ex, const struct ol_explain_style *style,
                struct ol_error *err)
{
    int r = ex->n_done == 1 ? ol_explain_print_head(ex, style, stdout) : 0;

    if (r == 0)
        r = ol_explain_print_moment(ex, ex->n_done - 1, style, stdout);
    return r < 0 ? ol_error_nomem(err) : ol_cli_flush(err);
}

static int fill_svg(int fd, void *data, struct ol_error *err)
{
    const struct ol_explanation *ex = data;
    ol_auto_free char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int r = out == NULL ? -ENOMEM : ol_explain_print_svg(ex, out);

    if (out != NULL && fclose(out) != 0)
        r = -ENOMEM;
    return r < 0 ? ol_error_nomem(err) : ol_fs_fill_text(fd, &(struct ol_fs_text){text, len}, err);
}

static int conclude(struct ol_cli *cli, const struct explain_args *args, struct ol_explanation *ex,
                    struct ol_error *err)
{
    int r = cli->json ? ol_explain_print_json(ex, stdout, err) : 0;

    if (r == 0 && args->svg != NULL) {
        r = ol_cli_replace_file(args->svg, fill_svg, ex, err);
        r = r < 0 ? ol_error_wrap(err, r, "--svg '%s'", args->svg) : 0;
    }
    return r;
}

/* ---- the run ---- */

static int phases(struct ol_cli *cli, const struct explain_args *args, struct ol_explanation *ex,
                  struct ol_error *err)
{
    const struct ol_explain_style style = cli->json ? (struct ol_explain_style){0}
                                                    : style_for(cli, args);
    int r = cli->json ? 0 : show(ex, &style, err);

    while (r == 0 && ex->n_done <= ex->n_phases) {
        if (args->interactive)
            r = wait_for_enter(err);
        else if (ol_cli_cancelled())
            r = interrupted(err);
        if (r == 0)
            r = ol_explain_phase(ex, err);
        if (r == 0 && !cli->json)
            r = show(ex, &style, err);
    }
    return r;
}

static int explain(struct ol_cli *cli, const struct place_found *found, void *data, int *ret_status,
                   struct ol_error *err)
{
    const struct explain_args *args = data;
    const struct ol_explain_options what = {
        .step = args->step,
        .engines = args->engines,
        .n_engines = args->n_engines,
        .dir = found->dir,
        .view = found->view,
        .cancelled = ol_cli_cancelled,
    };
    struct ol_explanation ex = {0};
    int r = ol_explain_begin(&what, &ex, err);

    if (r == 0)
        r = phases(cli, args, &ex, err);
    if (r == 0)
        r = conclude(cli, args, &ex, err);
    ol_explanation_fini(&ex);
    *ret_status = OL_EXIT_OK;
    return r;
}

int cmd_explain(struct ol_cli *cli, int argc, char **argv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct explain_args args = {0};
    int status = OL_EXIT_OK;
    int r = 0;

    if (!parse(cli, argc, argv, &args)) {
        status = cli->status;
    } else {
        r = set_default_place(&args, &err);
        if (r == 0)
            r = place_run(cli, &args.place, explain, &args, &status, &err);
    }
    place_fini(&args.place);
    ol_engine_names_free(args.engines);
    return r < 0 ? ol_cli_fail(cli, r, &err) : status;
}
