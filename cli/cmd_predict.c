/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab predict": what images, commits on them and containers would cost under each driver, told
 * from tar headers. Nothing is unpacked or written, so an ordinary user can ask.
 */
#include "cli/cli.h"
#include "cli/stored.h"
#include "cli/workload.h"

#include "bench/report/prediction.h"
#include "common/cleanup.h"
#include "store/image.h"

#include <errno.h>

enum { KEY_CONTAINERS = 0x300000, KEY_VERIFY, KEY_TOP, KEY_DRIVER, KEY_FS, KEY_HEADROOM, KEY_VIEW };

enum { IMAGES_MAX = 1000, CONTAINERS_MAX = 1000000 };

static const struct argp_option options[] = {
    {"drivers", WORKLOAD_KEY_DRIVERS, "LIST", 0,
     "separated by commas: overlay, overlay2, vfs, snapshot, with options as in "
     "overlay:diff=upper,clone=all (default: overlay,overlay2,snapshot,vfs)",
     0},
    WORKLOAD_OPTION_COMMITS,
    WORKLOAD_OPTION_CHANGES,
    WORKLOAD_OPTION_CHANGE_BYTES,
    {"seed", WORKLOAD_KEY_SEED, "N", 0, "of the changes and the built-in image (1)", 0},
    {"containers", KEY_CONTAINERS, "N", 0,
     "so many containers on each image beside the commits, made and mounted (0)", 0},
    {"replay", WORKLOAD_KEY_REPLAY, NULL, 0,
     "instead of seeded changes, rebuild the image: each layer after the first becomes a container "
     "whose changes are committed",
     0},
    {"view", KEY_VIEW, "VIEW", 0,
     "whose mounts are predicted, possible here or not: auto (default: kernel), kernel, userns or "
     "direct",
     0},
    {"fs", KEY_FS, "ext4|xfs|btrfs", 0, "say how to make this file system to hold it all (ext4)",
     0},
    {"headroom", KEY_HEADROOM, "PERCENT", 0, "inodes and bytes it has more than needed (20)", 0},
    {"top", KEY_TOP, "N", 0, "directories named for each layer, with most inodes (0)", 0},
    {"verify-digests", KEY_VERIFY, NULL, 0,
     "read all file contents, too, and hold the layers against the DiffIDs and digests they are "
     "known by",
     0},
    {"driver", KEY_DRIVER, "DRIVER", 0,
     "whose images of the data root are meant, by an IMAGE that is no path (overlay2)", 0},
    WORKLOAD_OPTION_TABLE,
    {"csv", WORKLOAD_KEY_CSV, NULL, 0, "print every step as CSV", 0},
    WORKLOAD_OPTION_MARKDOWN,
    WORKLOAD_OPTION_OUTPUT,
    {0},
};

static const char help[] =
    "IMAGE is the path of a docker-archive, an OCI layout, a root file system tar or a directory, "
    "as PATH or PATH#NAME, '-' for the standard input, or else the name or id of an image in the "
    "data root; without one an image like a small Debian system. Layers that several images share "
    "are counted once.\n\n"
    "File contents are skipped where the archive is not compressed. A compressed archive of "
    "images, or one from a pipe, is put into an unnamed file in $TMPDIR first; nothing else is "
    "written.\n\n"
    "The steps and their numbers are those that 'overlab compare' predicts beside what it "
    "measures, with the same options and seed, in the same --view.";

struct predict_args {
    struct ol_predict_options options;
    struct workload_args workload;
    const char **images; /* owned array of borrowed texts */
    const char *driver;
};

static void predict_args_fini(struct predict_args *args)
{
    workload_args_fini(&args->workload);
    free(args->images);
}

static bool add_image(struct predict_args *args, const char *image)
{
    const char **grown = reallocarray(args->images, args->options.n_images + 1, sizeof *grown);

    if (grown == NULL)
        return false;
    grown[args->options.n_images++] = image;
    args->images = grown;
    return true;
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct predict_args *args = data;
    uint64_t value = 0;

    switch (key) {
    case OL_CLI_ARGUMENT:
        if (add_image(args, arg))
            return true;
        (void)ol_cli_usage(cli, "out of memory");
        return false;
    case KEY_CONTAINERS:
        if (!ol_cli_number(cli, "--containers", arg, false, 0, CONTAINERS_MAX, &value))
            return false;
        args->options.containers = (unsigned)value;
        return true;
    case KEY_TOP:
        if (!ol_cli_number(cli, "--top", arg, false, 0, OL_COST_TOP_MAX, &value))
            return false;
        args->options.top = (size_t)value;
        return true;
    case KEY_HEADROOM:
        if (!ol_cli_number(cli, "--headroom", arg, false, 0, OL_HEADROOM_MAX, &value))
            return false;
        args->options.headroom = (unsigned)value;
        return true;
    case KEY_FS:
        return workload_judged(cli, "--fs", ol_disk_fs_parse(arg, &args->options.fs, &err), &err);
    case KEY_VIEW:
        return workload_judged(cli, "--view", ol_view_parse(arg, &args->options.view, &err), &err);
    case KEY_VERIFY:
        args->options.verify_digests = true;
        return true;
    case KEY_DRIVER:
        args->driver = arg;
        return true;
    default:
        return workload_take(cli, &args->workload, key, arg);
    }
}

static bool parse(struct ol_cli *cli, int argc, char **argv, struct predict_args *args)
{
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = args,
        .max_arguments = IMAGES_MAX,
        .help = help,
    };
    struct workload_args *workload = &args->workload;

    *args = (struct predict_args){.driver = "overlay2", .options.headroom = OL_HEADROOM_DEFAULT};
    if (!workload_args_init(cli, workload, "overlay,overlay2,snapshot,vfs",
                            ol_predict_check_engine) ||
        !ol_cli_parse(cli, &syntax, argc, argv) || !workload_settle(cli, workload))
        return false;
    if (workload->work.replay && args->options.n_images > 1) {
        (void)ol_cli_usage(cli, "--replay is of one image, and there are %zu",
                           args->options.n_images);
        return false;
    }
    args->options.images = args->images;
    args->options.workload = workload->work;
    args->options.engines = workload->engines;
    args->options.n_engines = workload->n_engines;
    args->options.tmp_dir = ol_cli_tmp_dir();
    args->options.cancelled = ol_cli_is_cancelled;
    return true;
}

static const char *first_stored(const struct predict_args *args)
{
    for (size_t i = 0; i < args->options.n_images; i++) {
        if (!ol_image_is_path(args->images[i]))
            return args->images[i];
    }
    return NULL;
}

static int print(const void *result, enum ol_report_format format,
                 const struct ol_report_style *style, FILE *out, struct ol_error *err)
{
    return ol_prediction_print(result, format, style, out, err);
}

static int run(struct ol_cli *cli, struct predict_args *args, struct ol_error *err)
{
    struct ol_prediction found = {0};
    int r;

    for (size_t i = 0; i < args->options.n_images; i++)
        ol_cli_cancel_image(args->images[i]);
    r = ol_predict(&args->options, &found, err);

    if (r == 0)
        r = workload_print(cli, &args->workload, print, &found, err);
    ol_prediction_fini(&found);
    return r;
}

int cmd_predict(struct ol_cli *cli, int argc, char **argv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    __attribute__((cleanup(predict_args_fini))) struct predict_args args;
    struct stored *stored = NULL;
    const char *name;
    int r = 0;

    if (!parse(cli, argc, argv, &args))
        return cli->status;
    name = first_stored(&args);
    if (name != NULL)
        r = stored_open(cli, name, args.driver, OL_VIEW_AUTO, &stored, &err);
    args.options.stored = stored_images(stored);
    if (r == 0)
        r = run(cli, &args, &err);
    stored_close(stored);
    return r < 0 ? ol_cli_fail(cli, r, &err) : OL_EXIT_OK;
}
