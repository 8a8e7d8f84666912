/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of subcommands: the order is the order of help. */
#include "cli/cli.h"

#include "common/cleanup.h"

static const struct ol_cli_command table[] = {
    {"doctor", "[DIR]", "say what this kernel, file system and user can do", cmd_doctor,
     OL_CLI_HAS_JSON},
    {"completion", "[bash]", "print the completion script for a shell", cmd_completion, 0},
};

const struct ol_cli_command *ol_cli_table(size_t *ret_count)
{
    *ret_count = OL_ARRAY_LEN(table);
    return table;
}
