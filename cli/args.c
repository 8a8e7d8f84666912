/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arguments: glibc's argp does the parsing and the option lists of --help. Global options are a
 * child parser of every subcommand's, so they may stand before or after its name. argp's own error
 * output is switched off (its "Try … or … --usage" names an option we do not have) except for
 * getopt's one line about an unknown option.
 */
#include "cli/cli.h"

#include "common/cleanup.h"
#include "common/trace.h"

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

enum {
    KEY_ROOT = 0x100000,
    KEY_JSON,
    KEY_NO_COLOR,
    KEY_DEBUG,
    KEY_VERSION,
};

struct parse {
    struct ol_cli *cli;
    const struct ol_cli_syntax *syntax; /* NULL while parsing what stands before the subcommand */
    int command_index;
    bool done; /* help or version was printed, or an error: cli->status says which */
};

static const struct argp_option global_options[] = {
    {"root", KEY_ROOT, "DIR", 0,
     "data root; default /var/lib/overlab, for an ordinary user "
     "$XDG_DATA_HOME/overlab or ~/.local/share/overlab",
     0},
    {"json", KEY_JSON, NULL, 0, "print the result as JSON", 0},
    {"quiet", 'q', NULL, 0, "no progress and no notes", 0},
    {"verbose", 'v', NULL, 0, "say more about what is done", 0},
    {"no-color", KEY_NO_COLOR, NULL, 0, "no colour, even on a terminal", 0},
    {"debug", KEY_DEBUG, "AREA[,AREA...]", 0,
     "trace on stderr: fs, mount, layer, driver, store, bench, or all", 0},
    {"help", 'h', NULL, 0, "print this help", 0},
    {"version", KEY_VERSION, NULL, 0, "print the version", 0},
    {0},
};

const struct argp_option *ol_cli_global_options(void)
{
    return global_options;
}

void ol_cli_describe(const struct ol_cli_command *command, ol_cli_describe_fn *fn, void *data)
{
    struct ol_cli asked = {.command = command, .describe = fn, .describe_data = data};
    char name[] = "overlab";
    char *argv[] = {name, NULL};

    (void)command->run(&asked, 1, argv);
}

static error_t stop(struct parse *parse, int status)
{
    parse->done = true;
    parse->cli->status = status;
    return EINVAL; /* argp: end now, without a word (err_stream is NULL) */
}

bool ol_cli_parse_areas(const char *text, unsigned *ret_mask, const char **ret_bad, int *ret_len)
{
    unsigned mask = 0;

    for (const char *word = text; *word != '\0';) {
        size_t len = strcspn(word, ",");
        unsigned found = 0;

        if (len == 3 && strncmp(word, "all", 3) == 0)
            found = (1u << OL_TRACE_AREAS) - 1;
        for (unsigned area = 0; area < OL_TRACE_AREAS; area++) {
            const char *name = ol_trace_area_name(area);
            if (strlen(name) == len && strncmp(word, name, len) == 0)
                found |= 1u << area;
        }
        if (found == 0 && len > 0) {
            *ret_bad = word;
            *ret_len = (int)len;
            return false;
        }
        mask |= found;
        word += len + (word[len] == ',');
    }
    *ret_mask = mask;
    return true;
}

static error_t take_debug(struct parse *parse, const char *arg)
{
    const char *bad = NULL;
    unsigned mask = 0;
    int len = 0;

    if (!ol_cli_parse_areas(arg, &mask, &bad, &len)) {
        int status = ol_cli_usage(
            parse->cli, "no debug area '%.*s': fs, mount, layer, driver, store, bench, all", len,
            bad);
        return stop(parse, status);
    }
    parse->cli->debug |= mask;
    return 0;
}

static error_t take_root(struct parse *parse, const char *arg)
{
    char *copy;

    if (arg[0] == '\0')
        return stop(parse, ol_cli_usage(parse->cli, "--root is empty"));
    copy = strdup(arg);
    if (copy == NULL)
        return ENOMEM;
    free(parse->cli->root);
    parse->cli->root = copy;
    return 0;
}

static error_t take_json(struct parse *parse)
{
    const struct ol_cli_command *command = parse->cli->command;

    if (command != NULL && (command->flags & OL_CLI_HAS_JSON) == 0)
        return stop(parse, ol_cli_usage(parse->cli, "there is no JSON of '%s'", command->name));
    parse->cli->json = true;
    return 0;
}

static error_t print_help(struct parse *parse, struct argp_state *state)
{
    if (parse->syntax == NULL)
        ol_cli_print_help(stdout);
    else
        argp_state_help(state, stdout,
                        ARGP_HELP_SHORT_USAGE | ARGP_HELP_PRE_DOC | ARGP_HELP_LONG |
                            ARGP_HELP_POST_DOC);
    return stop(parse, OL_EXIT_OK);
}

static error_t take_global(int key, char *arg, struct argp_state *state)
{
    struct parse *parse = state->input;

    switch (key) {
    case KEY_ROOT:
        return take_root(parse, arg);
    case KEY_JSON:
        return take_json(parse);
    case 'q':
        parse->cli->quiet = true;
        return 0;
    case 'v':
        parse->cli->verbose = true;
        return 0;
    case KEY_NO_COLOR:
        parse->cli->no_color = true;
        return 0;
    case KEY_DEBUG:
        return take_debug(parse, arg);
    case 'h':
        return print_help(parse, state);
    case KEY_VERSION:
        printf("overlab %s\n", OL_VERSION);
        return stop(parse, OL_EXIT_OK);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp global_argp = {.options = global_options, .parser = take_global};
static const struct argp_child global_child[] = {{&global_argp, 0, "Global options:", 1}, {0}};

/* The parser of what stands before the subcommand: it ends at the first word. */
static error_t take_before(int key, char *arg, struct argp_state *state)
{
    struct parse *parse = state->input;

    (void)arg; /* the word itself: main looks it up */
    switch (key) {
    case ARGP_KEY_INIT:
        state->err_stream = NULL;
        state->child_inputs[0] = parse;
        return 0;
    case ARGP_KEY_ARG:
        parse->command_index = state->next - 1;
        state->next = state->argc;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void say_where_to_look(const struct ol_cli *cli)
{
    fprintf(stderr, "try '%s --help'\n", cli->invocation);
}

/* What argp_parse() left: 0 to go on, -1 when the command is over. */
static int conclude(struct parse *parse, error_t e)
{
    if (parse->done)
        return -1;
    if (e == 0)
        return 0;
    if (e == ENOMEM) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        parse->cli->status = ol_cli_fail(parse->cli, ol_error_nomem(&err), &err);
        return -1;
    }
    say_where_to_look(parse->cli); /* getopt has named the option */
    parse->cli->status = OL_EXIT_USAGE;
    return -1;
}

int ol_cli_parse_global(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp before = {.parser = take_before, .children = global_child};
    struct parse parse = {.cli = cli, .command_index = argc};
    error_t e = argp_parse(&before, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP | ARGP_NO_EXIT, NULL,
                           &parse);

    return conclude(&parse, e) < 0 ? -1 : parse.command_index;
}

static error_t take_argument(struct parse *parse, char *arg, struct argp_state *state)
{
    if (state->arg_num >= parse->syntax->max_arguments)
        return stop(parse, ol_cli_usage(parse->cli, "one argument too many: '%s'", arg));
    if (!parse->syntax->take(parse->cli, OL_CLI_ARGUMENT, arg, parse->syntax->data))
        return stop(parse, OL_EXIT_USAGE);
    return 0;
}

/* The first argument and all that follows it. */
static error_t take_rest(struct parse *parse, char *arg, struct argp_state *state)
{
    error_t e = take_argument(parse, arg, state);

    while (e == 0 && state->next < state->argc) {
        state->arg_num++;
        e = take_argument(parse, state->argv[state->next++], state);
    }
    return e;
}

static error_t take_own(int key, char *arg, struct argp_state *state)
{
    struct parse *parse = state->input;

    if (key == ARGP_KEY_INIT) {
        state->err_stream = NULL;
        state->child_inputs[0] = parse;
        return 0;
    }
    if (key == ARGP_KEY_ARG)
        return (parse->syntax->rest ? take_rest : take_argument)(parse, arg, state);
    if (key == ARGP_KEY_END && state->arg_num < parse->syntax->min_arguments)
        return stop(parse, ol_cli_usage(parse->cli, "an argument is missing: %s",
                                        parse->cli->command->synopsis));
    if (key < 0 || key >= ARGP_KEY_END)
        return ARGP_ERR_UNKNOWN;
    if (!parse->syntax->take(parse->cli, key, arg, parse->syntax->data))
        return stop(parse, OL_EXIT_USAGE);
    return 0;
}

bool ol_cli_parse(struct ol_cli *cli, const struct ol_cli_syntax *syntax, int argc, char **argv)
{
    struct parse parse = {.cli = cli, .syntax = syntax};
    ol_auto_free char *doc = NULL;
    struct argp own = {
        .options = syntax->options,
        .parser = take_own,
        .args_doc = cli->command->synopsis[0] != '\0' ? cli->command->synopsis : NULL,
        .children = global_child,
    };
    error_t e;

    if (cli->describe != NULL) {
        cli->describe(cli->command, syntax, cli->describe_data);
        cli->status = OL_EXIT_OK;
        return false;
    }
    if (asprintf(&doc, "%c%s.%s%s", cli->command->summary[0] & ~0x20, cli->command->summary + 1,
                 syntax->help != NULL ? "\v" : "", syntax->help != NULL ? syntax->help : "") < 0) {
        doc = NULL;
        cli->status = ol_cli_fail(cli, -ENOMEM, NULL);
        return false;
    }
    own.doc = doc;
    e = argp_parse(&own, argc, argv,
                   ARGP_NO_HELP | ARGP_NO_EXIT | (syntax->rest ? ARGP_IN_ORDER : 0), NULL, &parse);
    return conclude(&parse, e) == 0 && ol_cli_prepare(cli);
}

bool ol_cli_add_text(struct ol_cli *cli, const char ***list, size_t *count, const char *text)
{
    const char **more = reallocarray(*list, *count + 2, sizeof *more);

    if (more == NULL) {
        cli->status = ol_cli_fail(cli, -ENOMEM, NULL);
        return false;
    }
    more[(*count)++] = text;
    more[*count] = NULL;
    *list = more;
    return true;
}

int ol_cli_usage(struct ol_cli *cli, const char *fmt, ...)
{
    ol_auto_free char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    ol_cli_complain(cli, text != NULL ? text : fmt);
    say_where_to_look(cli);
    return cli->status = OL_EXIT_USAGE;
}

/* 10 for k or K, 20 for m …; -1 for anything else. */
static int suffix_shift(const char *suffix)
{
    static const char letters[] = "kmgt";
    const char *at;

    if (suffix[0] == '\0')
        return 0;
    at = strchr(letters, suffix[0] | 0x20);
    return at != NULL && suffix[1] == '\0' ? 10 * (int)(at - letters + 1) : -1;
}

bool ol_cli_number(struct ol_cli *cli, const char *what, const char *text, bool suffix,
                   uint64_t min, uint64_t max, uint64_t *ret)
{
    char *end = NULL;
    unsigned long long value;
    int shift;

    errno = 0;
    value = strtoull(text, &end, 10);
    shift = suffix ? suffix_shift(end) : (*end == '\0' ? 0 : -1);
    if (text[0] < '0' || text[0] > '9' || shift < 0) {
        (void)ol_cli_usage(cli, "%s is no %s: '%s'", what, suffix ? "size" : "whole number", text);
        return false;
    }
    if (errno == ERANGE || value > UINT64_MAX >> shift || value << shift < min ||
        value << shift > max) {
        (void)ol_cli_usage(cli, "%s must be %" PRIu64 " to %" PRIu64 ", not '%s'", what, min, max,
                           text);
        return false;
    }
    *ret = value << shift;
    return true;
}
