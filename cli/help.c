/* SPDX-License-Identifier: Apache-2.0 */
/* The help that comes from the table: the list of subcommands, and of one group. */
#include "cli/cli.h"
#include "cli/embedded.h"

#include "common/cleanup.h"

static void print_row(FILE *out, const struct ol_cli_command *row)
{
    char left[64];
    int len = snprintf(left, sizeof left, "%s%s%s", row->name, row->synopsis[0] != '\0' ? " " : "",
                       row->synopsis);

    if (len <= 30)
        fprintf(out, "  %-30s %s\n", left, row->summary);
    else
        fprintf(out, "  %s %s\n  %-30s %s\n", row->name, row->synopsis, "", row->summary);
}

void ol_cli_print_topics(FILE *out)
{
    for (const struct ol_embedded *topic = ol_cli_topics; topic->name != NULL; topic++)
        fprintf(out, "  %-18s %.*s\n", topic->name, (int)strcspn(topic->text, "\n"), topic->text);
}

void ol_cli_print_help(FILE *out)
{
    size_t count;
    const struct ol_cli_command *table = ol_cli_table(&count);

    fputs("Usage: overlab [OPTION...] SUBCOMMAND ...\n"
          "Measures what a docker commit costs under Docker's OverlayFS drivers:\n"
          "inodes, bytes, time.\n\n",
          out);
    for (size_t i = 0; i < count; i++)
        print_row(out, &table[i]);
    fputs("\nGlobal options, before or after the subcommand:\n"
          "  --root=DIR         data root; default /var/lib/overlab, for an ordinary user\n"
          "                     $XDG_DATA_HOME/overlab or ~/.local/share/overlab\n"
          "  --json             print the result as JSON\n"
          "  -q, --quiet        no progress and no notes\n"
          "  -v, --verbose      say more about what is done\n"
          "  --no-color         no colour, even on a terminal\n"
          "  --debug=AREA[,..]  trace on stderr: fs, mount, layer, driver, store, bench, all\n"
          "  -h, --help         this help, or that of a subcommand\n"
          "  --version          print the version\n"
          "\nTopics of 'overlab help TOPIC':\n",
          out);
    ol_cli_print_topics(out);
    fputs("\nExit status: 0 done, 1 failed, 2 wrong usage, 3 not possible on this host.\n", out);
}

bool ol_cli_print_group(FILE *out, const char *group)
{
    size_t count;
    size_t len = strlen(group);
    const struct ol_cli_command *table = ol_cli_table(&count);
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        if (strncmp(table[i].name, group, len) != 0 || table[i].name[len] != ' ')
            continue;
        if (!any)
            fprintf(out, "Usage: overlab %s SUBCOMMAND ...\n\n", group);
        any = true;
        print_row(out, &table[i]);
    }
    return any;
}
