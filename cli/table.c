/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of subcommands: the order is the order of help. */
#include "cli/cli.h"

#include "common/cleanup.h"

enum {
    STORE = OL_CLI_NEEDS_STORE,
    STORE_JSON = OL_CLI_NEEDS_STORE | OL_CLI_HAS_JSON,
};

static const struct ol_cli_command table[] = {
    {"compare", "[IMAGE]", "cost of docker commits under each driver, side by side", cmd_compare,
     STORE_JSON},
    {"layer create", "ID [PARENT]", "make an empty layer", cmd_layer_create, STORE},
    {"layer apply", "ID [PARENT] < TAR", "unpack a layer tar into a layer", cmd_layer_apply,
     STORE_JSON},
    {"layer diff", "ID [PARENT] > TAR", "write what a layer adds as a tar", cmd_layer_diff, STORE},
    {"layer changes", "ID [PARENT]", "list what a layer adds, changes, deletes", cmd_layer_changes,
     STORE_JSON},
    {"layer mount", "ID", "mount a layer and print the path", cmd_layer_mount, STORE_JSON},
    {"layer umount", "ID", "unmount a layer", cmd_layer_umount, STORE},
    {"layer rm", "ID...", "remove layers", cmd_layer_rm, STORE},
    {"layer ls", "", "list the layers", cmd_layer_ls, STORE_JSON},
    {"layer du", "[ID...]", "count inodes and bytes of layers", cmd_layer_du, STORE_JSON},
    {"layer show", "ID", "show where a layer keeps what", cmd_layer_show, STORE_JSON},
    {"doctor", "[DIR]", "say what this kernel, file system and user can do", cmd_doctor,
     OL_CLI_HAS_JSON},
    {"completion", "[bash]", "print the completion script for a shell", cmd_completion, 0},
};

const struct ol_cli_command *ol_cli_table(size_t *ret_count)
{
    *ret_count = OL_ARRAY_LEN(table);
    return table;
}
