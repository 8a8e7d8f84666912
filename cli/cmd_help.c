/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab help [SUBCOMMAND|TOPIC]". With --scd, which is for the build alone, what of the man
 * pages comes from the table (man.c).
 */
#include "cli/cli.h"
#include "cli/embedded.h"
#include "cli/man.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

enum { KEY_SCD = 0x500000, WORDS_MAX = 2 };

struct help_args {
    char *words[WORDS_MAX + 1]; /* borrowed; ends with NULL */
    int n_words;
    bool scd;
};

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct help_args *args = data;

    (void)cli; /* every word is looked up later, with the one before it */
    if (key == KEY_SCD)
        args->scd = true;
    else
        args->words[args->n_words++] = arg;
    return true;
}

static int help_of(struct ol_cli *cli, const struct ol_cli_command *command)
{
    char help[] = "--help";
    char *argv[] = {NULL, help, NULL};

    return ol_cli_run(cli, command, 2, argv);
}

static const char *nearest_topic(const char *text, unsigned *ret_distance)
{
    const char *best = NULL;

    *ret_distance = (unsigned)-1;
    for (const struct ol_embedded *topic = ol_cli_topics; topic->name != NULL; topic++) {
        unsigned distance = ol_cli_distance(text, topic->name);

        if (distance < *ret_distance) {
            *ret_distance = distance;
            best = topic->name;
        }
    }
    return ol_cli_is_near(text, *ret_distance) ? best : NULL;
}

/* What was meant, or else which topics there are. */
static int unknown(struct ol_cli *cli, const char *text)
{
    unsigned distance;
    const char *topic = nearest_topic(text, &distance);
    int len = 0;
    const char *command = ol_cli_nearest_command(text, &len);

    fprintf(stderr, "%s: no topic or subcommand '%s'", cli->invocation, text);
    if (topic != NULL && (command == NULL || distance <= 1))
        fprintf(stderr, ": did you mean '%s'?\n", topic);
    else if (command != NULL)
        fprintf(stderr, ": did you mean '%.*s'?\n", len, command);
    else
        fputc('\n', stderr);
    fputs("the topics are:", stderr);
    for (const struct ol_embedded *t = ol_cli_topics; t->name != NULL; t++)
        fprintf(stderr, "%s%s", (t - ol_cli_topics) % 6 == 0 ? "\n  " : " ", t->name);
    fputs("\ntry 'overlab help'\n", stderr);
    return OL_EXIT_USAGE;
}

static int explain(struct ol_cli *cli, const struct help_args *args)
{
    int words;
    const struct ol_cli_command *command = ol_cli_find_words(args->n_words, args->words, &words);
    const char *topic = ol_embedded_find(ol_cli_topics, args->words[0]);
    ol_auto_free char *both = NULL;

    if (command != NULL && words == args->n_words)
        return help_of(cli, command);
    if (args->n_words == 1 && topic != NULL) {
        fputs(topic, stdout);
        return OL_EXIT_OK;
    }
    if (args->n_words == 1 && ol_cli_print_group(stdout, args->words[0]))
        return OL_EXIT_OK;
    if (args->n_words == 1)
        return unknown(cli, args->words[0]);
    if (asprintf(&both, "%s %s", args->words[0], args->words[1]) < 0) {
        both = NULL;
        return ol_cli_fail(cli, -ENOMEM, NULL);
    }
    return unknown(cli, both);
}

int cmd_help(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"scd", KEY_SCD, NULL, OPTION_HIDDEN, "print what man pages take from the table", 0},
        {0},
    };
    struct help_args args = {.n_words = 0};
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = &args,
        .max_arguments = WORDS_MAX,
        .help = "Without an argument: the subcommands, the global options and the topics. Each "
                "subcommand has a man page, too: 'man overlab-layer-apply'.",
    };

    if (!ol_cli_parse(cli, &syntax, argc, argv))
        return cli->status;
    if (args.scd)
        ol_cli_print_scd(stdout);
    else if (args.n_words == 0)
        ol_cli_print_help(stdout);
    else
        return explain(cli, &args);
    return OL_EXIT_OK;
}
