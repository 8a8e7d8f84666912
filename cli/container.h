/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands over containers share: arguments, and a run with the engine open. */
#ifndef OL_CLI_CONTAINER_H
#define OL_CLI_CONTAINER_H

#include "cli/engine.h"

struct container_texts {
    const char **items; /* owned array of borrowed texts; ends with NULL unless empty */
    size_t count;
};

struct container_args {
    struct engine_args engine;
    const char *name, *message, *author, *user, *workdir; /* NULL: not given */
    struct container_texts changes, env, words;
};
void container_args_fini(struct container_args *args);

enum { CONTAINER_KEY_NAME = 0x500000 };

struct container_syntax {
    const struct argp_option *options; /* of the engine's, the key above, a, c, e, m, u, w */
    unsigned min, max;                 /* words */
    bool rest;                         /* as in struct ol_cli_syntax */
    const char *help;
};
/** @return false: return cli->status */
bool container_parse(struct ol_cli *cli, int argc, char **argv,
                     const struct container_syntax *syntax, struct container_args *ret);

#endif
