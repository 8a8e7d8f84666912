/* SPDX-License-Identifier: Apache-2.0 */
/* Options of comparisons and predictions; see workload.h. */
#include "cli/workload.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/limits.h"

#include <sys/ioctl.h>

void workload_args_fini(struct workload_args *args)
{
    ol_engine_names_free(args->engines);
}

bool workload_judged(struct ol_cli *cli, const char *option, int r, const struct ol_error *err)
{
    if (r == 0)
        return true;
    (void)ol_cli_usage(cli, "%s: %s", option, ol_error_text(err));
    return false;
}

static bool set_engines(struct ol_cli *cli, struct workload_args *args, const char *text)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r;

    ol_engine_names_free(args->engines);
    args->engines = NULL;
    r = ol_engine_names_parse(text, &args->engines, &args->n_engines, &err);
    for (size_t i = 0; i < args->n_engines && r == 0; i++)
        r = args->check_engine(args->engines[i], &err);
    return workload_judged(cli, "--drivers", r, &err);
}

bool workload_args_init(struct ol_cli *cli, struct workload_args *args, const char *drivers,
                        int (*check_engine)(const char *name, struct ol_error *err))
{
    *args = (struct workload_args){
        .work =
            {
                .commits = 3,
                .changes = OL_CHANGE_MIX_DEFAULT,
                .change_bytes = 4096,
                .seed = 1,
            },
        .check_engine = check_engine,
    };
    return set_engines(cli, args, drivers);
}

bool workload_take(struct ol_cli *cli, struct workload_args *args, int key, const char *arg)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_report_workload *work = &args->work;
    uint64_t value = 0;

    switch (key) {
    case WORKLOAD_KEY_DRIVERS:
        return set_engines(cli, args, arg);
    case WORKLOAD_KEY_COMMITS:
        args->seeded = "--commits";
        if (!ol_cli_number(cli, "--commits", arg, false, args->min_commits, OL_MAX_IMAGE_LAYERS - 1,
                           &value))
            return false;
        work->commits = (unsigned)value;
        return true;
    case WORKLOAD_KEY_CHANGES:
        args->seeded = "--changes";
        return workload_judged(cli, "--changes", ol_change_mix_parse(arg, &work->changes, &err),
                               &err);
    case WORKLOAD_KEY_CHANGE_BYTES:
        args->seeded = "--change-bytes";
        return ol_cli_number(cli, "--change-bytes", arg, true, 0, 1ull << 30, &work->change_bytes);
    case WORKLOAD_KEY_SEED:
        return ol_cli_number(cli, "--seed", arg, false, 0, INT64_MAX, &work->seed);
    case WORKLOAD_KEY_REPLAY:
        work->replay = true;
        return true;
    case WORKLOAD_KEY_OUTPUT:
        args->output = arg;
        return true;
    default:
        args->format = key == WORKLOAD_KEY_CSV        ? OL_REPORT_CSV
                       : key == WORKLOAD_KEY_MARKDOWN ? OL_REPORT_MARKDOWN
                                                      : OL_REPORT_TABLE;
        return true;
    }
}

/* The image's own layers are the commits and their changes. */
static bool settle_replay(struct ol_cli *cli, struct workload_args *args)
{
    if (args->seeded != NULL) {
        (void)ol_cli_usage(cli,
                           "%s cannot be used with --replay: the image's layers say what is "
                           "committed",
                           args->seeded);
        return false;
    }
    for (size_t i = 0; i < args->n_engines; i++) {
        if (strcmp(args->engines[i], "null") == 0) {
            (void)ol_cli_usage(cli, "--drivers null cannot be used with --replay: it keeps no "
                                    "files, so there is nothing to change");
            return false;
        }
    }
    args->work.changes = (struct ol_change_mix){0};
    args->work.change_bytes = 0;
    return true;
}

bool workload_settle(struct ol_cli *cli, struct workload_args *args)
{
    if (cli->json)
        args->format = OL_REPORT_JSON;
    return !args->work.replay || settle_replay(cli, args);
}

struct ol_report_style workload_style(const struct ol_cli *cli, bool to_stdout)
{
    struct winsize size = {0};
    struct ol_report_style style = {.color = to_stdout && ol_cli_color(cli, STDOUT_FILENO)};

    if (to_stdout && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        style.width = size.ws_col;
    return style;
}

int workload_print(const struct ol_cli *cli, const struct workload_args *args,
                   workload_print_fn *print, const void *result, struct ol_error *err)
{
    struct ol_report_style style = workload_style(cli, args->output == NULL);
    ol_auto_free char *text = NULL;
    size_t len = 0;
    FILE *out;
    int r;

    if (args->output == NULL) {
        r = print(result, args->format, &style, stdout, err);
        return r < 0 ? r : ol_cli_flush(err); /* what is said of it on stderr comes behind it */
    }
    out = open_memstream(&text, &len);
    if (out == NULL)
        return ol_error_nomem(err);
    r = print(result, args->format, &style, out, err);
    if (fclose(out) != 0 && r == 0)
        r = ol_error_nomem(err);
    if (r == 0)
        r = ol_cli_replace_file(args->output, ol_fs_fill_text, &(struct ol_fs_text){text, len},
                                err);
    return r < 0 ? ol_error_wrap(err, r, "--output '%s'", args->output) : 0;
}
