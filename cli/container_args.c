/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of the container commands; see container.h. */
#include "cli/container.h"

#include <stdlib.h>
#include <string.h>

void container_args_fini(struct container_args *args)
{
    free(args->changes.items);
    free(args->env.items);
    free(args->words.items);
}

static bool add(struct ol_cli *cli, struct container_texts *texts, const char *text)
{
    return ol_cli_add_text(cli, &texts->items, &texts->count, text);
}

static bool take_variable(struct ol_cli *cli, struct container_args *args, const char *text)
{
    if (strchr(text, '=') != NULL && text[0] != '=')
        return add(cli, &args->env, text);
    (void)ol_cli_usage(cli, "'%s' is no NAME=VALUE", text);
    return false;
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct container_args *args = data;

    switch (key) {
    case 'd':
    case ENGINE_KEY_VIEW:
        return engine_take(cli, &args->engine, key, arg);
    case CONTAINER_KEY_NAME:
        args->name = arg;
        return true;
    case 'w':
        args->workdir = arg;
        return true;
    case 'a':
        args->author = arg;
        return true;
    case 'c':
        return add(cli, &args->changes, arg);
    case 'e':
        return take_variable(cli, args, arg);
    case 'm':
        args->message = arg;
        return true;
    case 'u':
        args->user = arg;
        return true;
    default:
        return add(cli, &args->words, arg);
    }
}

bool container_parse(struct ol_cli *cli, int argc, char **argv,
                     const struct container_syntax *syntax, struct container_args *ret)
{
    const struct ol_cli_syntax cli_syntax = {
        .options = syntax->options,
        .take = take,
        .data = ret,
        .min_arguments = syntax->min,
        .max_arguments = syntax->max,
        .rest = syntax->rest,
        .help = syntax->help,
    };

    *ret = (struct container_args){.engine = ENGINE_ARGS_INIT};
    if (ol_cli_parse(cli, &cli_syntax, argc, argv))
        return true;
    container_args_fini(ret);
    return false;
}
