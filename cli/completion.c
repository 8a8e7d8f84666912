/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The completion script for bash, written from the table. The options of a subcommand are asked of
 * its --help when they are needed, so that the script never falls behind the program.
 */
#include "cli/cli.h"

#include "common/cleanup.h"

static const char script_head[] =
    "# bash completion for overlab; load it with: source <(overlab completion bash)\n"
    "_overlab() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} words=() w known sub=\n"
    "    for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
    "        [[ $w == -* ]] || words+=(\"$w\")\n"
    "    done\n"
    "    known=$'\\n";
static const char script_tail[] =
    "'\n"
    "    local two=\"${words[0]-} ${words[1]-}\"\n"
    "    if [[ $known == *$'\\n'\"$two\"$'\\n'* ]]; then sub=$two\n"
    "    elif [[ -n ${words[0]-} && $known == *$'\\n'\"${words[0]}\"$'\\n'* ]]; then "
    "sub=${words[0]}\n"
    "    fi\n"
    "    if [[ $cur == -* ]]; then\n"
    "        # shellcheck disable=SC2086\n"
    "        w=$(overlab $sub --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)\n"
    "    elif [[ -n $sub ]]; then\n"
    "        w=$(compgen -f -- \"$cur\")\n"
    "    elif [[ -n ${words[0]-} ]]; then\n"
    "        w=$(sed -n \"s/^${words[0]} //p\" <<< \"$known\")\n"
    "    else\n"
    "        w=$(sed -n 's/ .*//; /./p' <<< \"$known\" | sort -u)\n"
    "    fi\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$w\" -- \"$cur\")\n"
    "}\n"
    "complete -o filenames -F _overlab overlab\n";

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    (void)key; /* there is nothing but the argument */
    (void)data;
    if (strcmp(arg, "bash") == 0)
        return true;
    (void)ol_cli_usage(cli, "no completion for the shell '%s', only bash", arg);
    return false;
}

int cmd_completion(struct ol_cli *cli, int argc, char **argv)
{
    static const struct ol_cli_syntax syntax = {.take = take, .max_arguments = 1};
    size_t count;
    const struct ol_cli_command *table = ol_cli_table(&count);

    if (!ol_cli_parse(cli, &syntax, argc, argv))
        return cli->status;
    fputs(script_head, stdout);
    for (size_t i = 0; i < count; i++)
        printf("%s\\n", table[i].name);
    fputs(script_tail, stdout);
    return OL_EXIT_OK;
}
