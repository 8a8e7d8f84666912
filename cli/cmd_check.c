/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab check": a budget held against what its workloads cost, predicted or measured. Here are
 * the options, the order of the work, and where the results go; bench/budget judges and prints.
 */
#include "cli/check_measure.h"
#include "cli/workload.h"

#include "bench/budget/print.h"
#include "common/cleanup.h"
#include "common/io.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>

enum {
    KEY_MODE = 0x780000, /* argp keeps 23 bits */
    KEY_FORMAT,
    KEY_OUTPUT,
    KEY_UPDATE,
    KEY_BASELINE,
    KEY_ONLY,
};

enum { OUTPUTS_MAX = 16, ONLY_MAX = 256 };

static const struct argp_option options[] = {
    {"mode", KEY_MODE, "predict|measure", 0,
     "from tar headers alone, as anybody (default), or by carrying the workloads out; instead of "
     "what BUDGET says",
     0},
    {"only", KEY_ONLY, "SECTION", 0, "check this section alone; may be given more than once", 0},
    {"format", KEY_FORMAT, "text|tap|tap13|junit|json|markdown", 0,
     "of the result (text); tap is of version 14", 0},
    {"output", KEY_OUTPUT, "[FORMAT=]FILE", 0,
     "write to FILE, whole or not at all; with FORMAT one more result beside that on stdout, and "
     "as often as there are formats",
     0},
    {"baseline", KEY_BASELINE, "FILE", 0,
     "what growth is held against (default: BUDGET's baseline, or BUDGET.baseline.json)", 0},
    {"update", KEY_UPDATE, NULL, 0, "save what the workloads cost now as the baseline", 0},
    {0},
};

static const char help[] =
    "BUDGET is a file with a section for each workload and its limits, described in "
    "docs/formats/budget.md; - is standard input. For example:\n\n"
    "  [web]\n"
    "  image = web.tar\n"
    "  limit = overlay2 inodes_per_commit <= 80\n"
    "  limit = overlay/overlay2 inodes_per_commit <= 30\n"
    "  limit = growth overlay2 image_inodes <= 5%\n\n"
    "Exit status: 0 every limit is kept, 1 one is exceeded, 2 the budget, its baseline or one of "
    "its images cannot be read, 3 a workload cannot be measured on this host.";

/* Where a result goes. */
struct output {
    enum ol_check_format format;
    const char *path; /* borrowed */
};

struct check_args {
    const char *budget;
    bool has_mode;
    enum ol_budget_mode mode;
    const char *only[ONLY_MAX];
    size_t n_only;
    enum ol_check_format format;
    const char *output; /* of what would go to stdout; NULL: there */
    struct output outputs[OUTPUTS_MAX];
    size_t n_outputs;
    const char *baseline; /* as given; NULL: not */
    bool update;
};

/* Everything there is while it works. */
struct session {
    struct ol_cli *cli;
    const struct check_args *args;
    struct ol_budget budget;     /* owned */
    struct ol_baseline baseline; /* owned */
    char *baseline_path;         /* owned */
    struct ol_check check;       /* owned */
    bool unreadable;             /* what failed is the input: status 2 */
};

static void session_fini(struct session *s)
{
    ol_check_fini(&s->check);
    ol_baseline_fini(&s->baseline);
    ol_budget_fini(&s->budget);
    free(s->baseline_path);
}

/* ---- arguments ---- */

/* "junit=FILE", or "FILE" with no such word before it. */
static bool take_output(struct ol_cli *cli, const char *arg, struct check_args *args)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const char *equals = strchr(arg, '=');
    const char *slash = strchr(arg, '/');
    ol_auto_free char *word = NULL;
    struct output *output = &args->outputs[args->n_outputs];

    if (equals == NULL || (slash != NULL && slash < equals)) {
        args->output = arg;
        return true;
    }
    word = strndup(arg, (size_t)(equals - arg));
    if (word == NULL) {
        (void)ol_cli_usage(cli, "--output: no memory");
        return false;
    }
    if (args->n_outputs == OUTPUTS_MAX) {
        (void)ol_cli_usage(cli, "--output: more than %d of them", OUTPUTS_MAX);
        return false;
    }
    if (!workload_judged(cli, "--output", ol_check_format_parse(word, &output->format, &err), &err))
        return false;
    if (equals[1] == '\0') {
        (void)ol_cli_usage(cli, "--output: '%s' names no file", arg);
        return false;
    }
    output->path = equals + 1;
    args->n_outputs++;
    return true;
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct check_args *args = data;

    switch (key) {
    case OL_CLI_ARGUMENT:
        args->budget = arg;
        return true;
    case KEY_MODE:
        args->has_mode = true;
        return workload_judged(cli, "--mode", ol_budget_mode_parse(arg, &args->mode, &err), &err);
    case KEY_FORMAT:
        return workload_judged(cli, "--format", ol_check_format_parse(arg, &args->format, &err),
                               &err);
    case KEY_OUTPUT:
        return take_output(cli, arg, args);
    case KEY_BASELINE:
        args->baseline = arg;
        return true;
    case KEY_UPDATE:
        args->update = true;
        return true;
    default:
        if (args->n_only == ONLY_MAX) {
            (void)ol_cli_usage(cli, "--only: more than %d of them", ONLY_MAX);
            return false;
        }
        args->only[args->n_only++] = arg;
        return true;
    }
}

static bool parse(struct ol_cli *cli, int argc, char **argv, struct check_args *args)
{
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = args,
        .min_arguments = 1,
        .max_arguments = 1,
        .help = help,
    };

    if (!ol_cli_parse(cli, &syntax, argc, argv))
        return false;
    if (cli->json)
        args->format = OL_CHECK_JSON;
    return true;
}

/* ---- the budget ---- */

static bool is_stdin(const struct session *s)
{
    return strcmp(s->args->budget, "-") == 0;
}

static int read_text(const struct session *s, struct ol_buf *text, struct ol_error *err)
{
    ol_auto_fd int opened = is_stdin(s) ? -1 : open(s->args->budget, O_RDONLY | O_CLOEXEC);
    int fd = is_stdin(s) ? STDIN_FILENO : opened;
    ssize_t n;

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot open budget '%s'", s->args->budget);
    if (ol_buf_reserve(text, OL_SMALL_FILE_MAX + 1) < 0)
        return ol_error_nomem(err);
    ol_cli_cancel_input(fd);
    n = ol_io_read(fd, text->data, OL_SMALL_FILE_MAX + 1);
    ol_cli_cancel_input(-1);
    if (ol_cli_cancelled())
        return ol_error_set(err, -ECANCELED, "interrupted");
    if (n < 0)
        return ol_error_sys(err, (int)-n, "cannot read budget '%s'", s->args->budget);
    if (n > OL_SMALL_FILE_MAX)
        return ol_error_set(err, -E2BIG, "budget '%s' has more than %d bytes", s->args->budget,
                            OL_SMALL_FILE_MAX);
    text->len = (size_t)n;
    return 0;
}

static int read_budget(struct session *s, struct ol_error *err)
{
    const char *slash = strrchr(s->args->budget, '/');
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_free char *dir = NULL;
    int r = read_text(s, &text, err);

    if (r < 0)
        return r;
    dir = slash == NULL ? strdup("")
                        : strndup(s->args->budget,
                                  (size_t)(slash - s->args->budget) + (slash == s->args->budget));
    if (dir == NULL)
        return ol_error_nomem(err);
    return ol_budget_parse(is_stdin(s) ? "stdin" : s->args->budget, dir, text.data, text.len,
                           &s->budget, err);
}

static bool is_selected(const struct session *s, const struct ol_budget_section *section)
{
    for (size_t i = 0; i < s->args->n_only; i++) {
        if (strcmp(s->args->only[i], section->name) == 0)
            return true;
    }
    return s->args->n_only == 0;
}

static enum ol_budget_mode mode_of(const struct session *s, const struct ol_budget_section *section)
{
    return s->args->has_mode ? s->args->mode : section->mode;
}

static bool is_section(const struct ol_budget *budget, const char *name)
{
    for (size_t i = 0; i < budget->n_sections; i++) {
        if (strcmp(budget->sections[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Before anything is worked on: what is asked for can be answered. */
static int check_selection(const struct session *s, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < s->args->n_only; i++) {
        if (!is_section(&s->budget, s->args->only[i]))
            return ol_error_set(err, -ENOENT, "%s: there is no section [%s]", s->budget.source,
                                s->args->only[i]);
    }
    for (size_t i = 0; i < s->budget.n_sections && r == 0; i++) {
        const struct ol_budget_section *section = &s->budget.sections[i];

        if (is_selected(s, section))
            r = ol_budget_check_mode(&s->budget, section, mode_of(s, section), err);
    }
    return r;
}

/* ---- the baseline ---- */

static bool needs_baseline(const struct session *s)
{
    for (size_t i = 0; i < s->budget.n_sections; i++) {
        const struct ol_budget_section *section = &s->budget.sections[i];

        for (size_t k = 0; is_selected(s, section) && k < section->n_limits; k++) {
            if (ol_limit_is_growth(&section->limits[k]))
                return true;
        }
    }
    return false;
}

static int settle_baseline_path(struct session *s, struct ol_error *err)
{
    const char *given = s->args->baseline != NULL ? s->args->baseline : s->budget.baseline;

    if (given == NULL && is_stdin(s))
        return ol_error_set(err, -EINVAL, "a budget on standard input needs --baseline FILE");
    if (given != NULL)
        s->baseline_path = strdup(given);
    else if (asprintf(&s->baseline_path, "%s.baseline.json", s->args->budget) < 0)
        s->baseline_path = NULL;
    return s->baseline_path == NULL ? ol_error_nomem(err) : 0;
}

/* Of an update of some sections the others stay. */
static int open_baseline(struct session *s, struct ol_error *err)
{
    int r;

    if (!s->args->update && !needs_baseline(s))
        return 0;
    r = settle_baseline_path(s, err);
    if (r < 0)
        return r;
    if (s->args->update && (s->args->n_only == 0 || access(s->baseline_path, F_OK) < 0))
        return ol_baseline_new(s->baseline_path, &s->baseline, err);
    r = ol_baseline_read(s->baseline_path, &s->baseline, err);
    return r == -ENOENT ? ol_error_wrap(err, r,
                                        "limits on growth need a baseline, which check "
                                        "--update saves")
                        : r;
}

static int save_baseline(struct session *s, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_baseline_text(&s->baseline, &text, err);

    if (r == 0)
        r = ol_cli_replace_file(s->baseline_path, ol_fs_fill_text,
                                &(struct ol_fs_text){text.data, text.len}, err);
    if (r < 0)
        return ol_error_wrap(err, r, "cannot save baseline '%s'", s->baseline_path);
    ol_cli_note(s->cli, "baseline saved in '%s'", s->baseline_path);
    return 0;
}

/* ---- the work ---- */

/* True for what an image is to blame for, not this host. */
static bool is_input_error(int r)
{
    static const int host[] = {-ENOMEM, -ECANCELED, -ENOSPC, -EDQUOT, -EIO,   -EMFILE,
                               -ENFILE, -EROFS,     -EINTR,  -EAGAIN, -EFAULT};

    for (size_t i = 0; i < OL_ARRAY_LEN(host); i++) {
        if (r == host[i])
            return false;
    }
    return r < 0;
}

/* Also before a measurement, with no drivers: then what fails is the image, or the plan for it. */
static int predict(struct session *s, const struct ol_budget_section *section, bool drivers,
                   struct ol_budget_values *ret, struct ol_error *err)
{
    const char *images[] = {section->image};
    const struct ol_predict_options wanted = {
        .images = images,
        .n_images = section->image != NULL ? 1 : 0,
        .engines = section->drivers,
        .n_engines = drivers ? section->n_drivers : 0,
        .workload = section->workload,
        .view = section->view,
        .containers = section->containers,
        .tmp_dir = ol_cli_tmp_dir(),
        .cancelled = ol_cli_is_cancelled,
    };
    struct ol_prediction prediction;
    int r = ol_predict(&wanted, &prediction, err);

    if (r < 0) {
        s->unreadable = is_input_error(r);
        return ol_error_wrap(err, r, "%s:%u: image '%s'", s->budget.source, section->image_line,
                             section->image_text);
    }
    if (drivers)
        r = ol_budget_values_predicted(&prediction, ret, err);
    ol_prediction_fini(&prediction);
    return r;
}

static int find_values(struct session *s, const struct ol_budget_section *section,
                       struct ol_budget_values *ret, struct ol_error *err)
{
    int r;

    if (mode_of(s, section) == OL_BUDGET_PREDICT)
        return predict(s, section, true, ret, err);
    r = predict(s, section, false, ret, err);
    return r < 0 ? r : check_measure(s->cli, section, ret, err);
}

static int check_section(struct session *s, const struct ol_budget_section *section,
                         struct ol_error *err)
{
    const enum ol_budget_mode mode = mode_of(s, section);
    struct ol_budget_values values = {0};
    int r = ol_cli_cancelled() ? ol_error_set(err, -ECANCELED, "interrupted")
                               : find_values(s, section, &values, err);

    if (r == 0 && s->args->update)
        r = ol_baseline_set(&s->baseline, section, mode, &values, err);
    if (r == 0) {
        r = ol_check_add(&s->check, section, mode, &values,
                         s->baseline.json != NULL ? &s->baseline : NULL, err);
        s->unreadable = is_input_error(r);
    }
    ol_budget_values_fini(&values);
    return r < 0 ? r : ol_check_blame(&s->check, ol_cli_tmp_dir(), ol_cli_is_cancelled, NULL, err);
}

static int prepare(struct session *s, struct ol_error *err)
{
    int r = read_budget(s, err);

    if (r == 0)
        r = check_selection(s, err);
    if (r == 0)
        r = open_baseline(s, err);
    s->unreadable = r < 0 && r != -ENOMEM && r != -ECANCELED;
    return r;
}

/* ---- results ---- */

static int print_to_file(const struct session *s, enum ol_check_format format, const char *path,
                         struct ol_error *err)
{
    static const struct ol_report_style plain = {0};
    ol_auto_free char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int r;

    if (out == NULL)
        return ol_error_nomem(err);
    r = ol_check_print(&s->check, format, &plain, out, err);
    if (fclose(out) != 0 && r == 0)
        r = ol_error_nomem(err);
    if (r == 0)
        r = ol_cli_replace_file(path, ol_fs_fill_text, &(struct ol_fs_text){text, len}, err);
    return r < 0 ? ol_error_wrap(err, r, "--output '%s'", path) : 0;
}

static int print_all(const struct session *s, struct ol_error *err)
{
    const struct check_args *args = s->args;
    const struct ol_report_style style = workload_style(s->cli, true);
    int r = 0;

    for (size_t i = 0; i < args->n_outputs && r == 0; i++)
        r = print_to_file(s, args->outputs[i].format, args->outputs[i].path, err);
    if (r < 0)
        return r;
    return args->output != NULL ? print_to_file(s, args->format, args->output, err)
                                : ol_check_print(&s->check, args->format, &style, stdout, err);
}

static int run(struct session *s, struct ol_error *err)
{
    int r = prepare(s, err);

    if (r < 0)
        return r;
    s->check.budget = &s->budget;
    for (size_t i = 0; i < s->budget.n_sections && r == 0; i++) {
        if (is_selected(s, &s->budget.sections[i]))
            r = check_section(s, &s->budget.sections[i], err);
    }
    if (r == 0 && s->args->update)
        r = save_baseline(s, err);
    return r < 0 ? r : print_all(s, err);
}

int cmd_check(struct ol_cli *cli, int argc, char **argv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct check_args args = {0};
    __attribute__((cleanup(session_fini))) struct session s = {.cli = cli, .args = &args};
    int status;
    int r;

    if (!parse(cli, argc, argv, &args))
        return cli->status;
    r = run(&s, &err);
    if (r == 0)
        return s.check.n_failed > 0 ? OL_EXIT_FAILED : OL_EXIT_OK;
    status = ol_cli_fail(cli, r, &err);
    return s.unreadable ? OL_EXIT_USAGE : status;
}
