/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab completion": the script for bash, which asks the program for candidates at each key, so
 * that it never falls behind it; and, hidden, the answers (complete.h).
 */
#include "cli/complete.h"
#include "cli/embedded.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

enum { KEY_FOR = 0x600000 };

enum { LINE_WORDS_MAX = 4096 };

struct completion_args {
    const char *shell; /* NULL: the only one there is */
    char **words;      /* owned; the texts are borrowed */
    size_t count;
    bool answer; /* words after the shell's name are a line to be completed */
};

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct completion_args *args = data;
    char **grown;

    if (key == KEY_FOR) {
        args->answer = true;
        return true;
    }
    if (args->shell == NULL) {
        args->shell = arg;
        if (ol_embedded_find(ol_cli_completions, arg) != NULL)
            return true;
        (void)ol_cli_usage(cli, "no completion for the shell '%s', only bash", arg);
        return false;
    }
    if (!args->answer) {
        (void)ol_cli_usage(cli, "one argument too many: '%s'", arg);
        return false;
    }
    grown = reallocarray(args->words, args->count + 1, sizeof *grown);
    if (grown == NULL) {
        cli->status = ol_cli_fail(cli, -ENOMEM, NULL);
        return false;
    }
    args->words = grown;
    args->words[args->count++] = arg;
    return true;
}

static int answer(struct ol_cli *cli, const struct completion_args *args)
{
    ol_auto_buf struct ol_buf lines = OL_BUF_INIT;
    int r = complete_line(cli->root, args->words, args->count, &lines);

    if (r < 0)
        return ol_cli_fail(cli, r, NULL);
    fputs(ol_buf_str(&lines), stdout);
    return OL_EXIT_OK;
}

int cmd_completion(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"for", KEY_FOR, NULL, OPTION_HIDDEN, "complete the last of the words after --", 0},
        {0},
    };
    struct completion_args args = {.shell = NULL};
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = &args,
        .max_arguments = LINE_WORDS_MAX,
        .help = "Load it with 'source <(overlab completion bash)'. An installed overlab has it in "
                "share/bash-completion/completions, where bash finds it by itself.",
    };
    int status = OL_EXIT_OK;

    if (!ol_cli_parse(cli, &syntax, argc, argv))
        status = cli->status;
    else if (args.answer)
        status = answer(cli, &args);
    else
        fputs(args.shell != NULL ? ol_embedded_find(ol_cli_completions, args.shell)
                                 : ol_cli_completions[0].text,
              stdout);
    free(args.words);
    return status;
}
