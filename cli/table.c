/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of subcommands: the order is the order of help. */
#include "cli/cli.h"

#include "common/cleanup.h"

#include <string.h>

enum {
    STORE = OL_CLI_NEEDS_STORE,
    STORE_JSON = OL_CLI_NEEDS_STORE | OL_CLI_HAS_JSON,
};

static const struct ol_cli_command table[] = {
    {"compare", "[IMAGE]", "cost of docker commits under each driver, side by side", cmd_compare,
     STORE_JSON},
    {"check", "BUDGET", "hold images and commits against a budget of inodes, for CI", cmd_check,
     STORE_JSON},
    {"predict", "[IMAGE...]", "inodes of images and commits, told from tar headers", cmd_predict,
     OL_CLI_HAS_JSON},
    {"explain", "STEP", "show an operation inode by inode, per driver", cmd_explain,
     OL_CLI_HAS_JSON},
    {"image export", "IMAGE...", "write images as one archive for other engines", cmd_image_export,
     STORE},
    {"image import", "PATH", "bring images into the data root", cmd_image_import, STORE_JSON},
    {"image ls", "", "list the images", cmd_image_ls, STORE_JSON},
    {"image history", "IMAGE", "show an image's build steps, and what each costs",
     cmd_image_history, OL_CLI_HAS_JSON},
    {"image rm", "IMAGE...", "remove images and the layers nobody else uses", cmd_image_rm,
     STORE_JSON},
    {"container create", "IMAGE", "make a container from an image", cmd_container_create,
     STORE_JSON},
    {"container ls", "", "list the containers", cmd_container_ls, STORE_JSON},
    {"container mount", "CONTAINER", "mount a container and print the path", cmd_container_mount,
     STORE_JSON},
    {"container umount", "CONTAINER", "unmount a container", cmd_container_umount, STORE},
    {"container exec", "CONTAINER COMMAND [ARGUMENT...]", "run a command in a container's root",
     cmd_container_exec, STORE},
    {"container rm", "CONTAINER...", "remove containers", cmd_container_rm, STORE},
    {"commit", "CONTAINER [NAME[:TAG]]", "make an image of a container", cmd_commit, STORE_JSON},
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
    {"snapshot prepare", "KEY [PARENT]", "make an active snapshot", cmd_snapshot_prepare, STORE},
    {"snapshot view", "KEY [PARENT]", "make a read-only snapshot", cmd_snapshot_view, STORE},
    {"snapshot apply", "KEY [PARENT] < TAR", "unpack a layer tar into an active snapshot",
     cmd_snapshot_apply, STORE_JSON},
    {"snapshot commit", "NAME KEY", "turn an active snapshot into a parent for others",
     cmd_snapshot_commit, STORE},
    {"snapshot mounts", "KEY", "print what would be mounted", cmd_snapshot_mounts, STORE_JSON},
    {"snapshot mount", "KEY DIR", "mount a snapshot on a directory", cmd_snapshot_mount, STORE},
    {"snapshot rm", "KEY...", "remove snapshots", cmd_snapshot_rm, STORE},
    {"snapshot ls", "[FILTER...]", "list the snapshots", cmd_snapshot_ls, STORE_JSON},
    {"snapshot tree", "[FILTER...]", "show snapshots below their parents", cmd_snapshot_tree,
     STORE_JSON},
    {"snapshot info", "KEY", "show what is known about a snapshot", cmd_snapshot_info, STORE_JSON},
    {"snapshot usage", "[KEY...]", "count inodes and bytes of snapshots", cmd_snapshot_usage,
     STORE_JSON},
    {"snapshot label", "KEY LABEL=VALUE...", "set and remove labels", cmd_snapshot_label, STORE},
    {"snapshot cleanup", "", "remove what no snapshot owns", cmd_snapshot_cleanup, STORE},
    {"snapshot check", "", "hold metadata and directories against each other", cmd_snapshot_check,
     STORE},
    {"lesson", "[N]", "guided labs: guess, then see it happen", cmd_lesson, OL_CLI_HAS_JSON},
    {"doctor", "[DIR]", "say what this kernel, file system and user can do", cmd_doctor,
     OL_CLI_HAS_JSON},
    {"check-store", "", "hold images, layers and driver against each other", cmd_check_store,
     STORE_JSON},
    {"completion", "[bash]", "print the completion script for a shell", cmd_completion, 0},
    {"help", "[SUBCOMMAND|TOPIC]", "explain a subcommand or a topic", cmd_help, 0},
};

const struct ol_cli_command *ol_cli_table(size_t *ret_count)
{
    *ret_count = OL_ARRAY_LEN(table);
    return table;
}

const struct ol_cli_command *ol_cli_find(const char *name)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(table); i++) {
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    }
    return NULL;
}

static bool is_two(const char *name, const char *first, const char *second)
{
    size_t len = strlen(first);

    return strncmp(name, first, len) == 0 && name[len] == ' ' &&
           strcmp(name + len + 1, second) == 0;
}

const struct ol_cli_command *ol_cli_find_words(int argc, char *const *argv, int *ret_words)
{
    const struct ol_cli_command *row = argc > 0 ? ol_cli_find(argv[0]) : NULL;

    *ret_words = 1;
    if (row != NULL || argc < 2)
        return row;
    *ret_words = 2;
    for (size_t i = 0; i < OL_ARRAY_LEN(table); i++) {
        if (is_two(table[i].name, argv[0], argv[1]))
            return &table[i];
    }
    return NULL;
}

bool ol_cli_is_group(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < OL_ARRAY_LEN(table); i++) {
        if (strncmp(table[i].name, name, len) == 0 && table[i].name[len] == ' ')
            return true;
    }
    return false;
}
