/* SPDX-License-Identifier: Apache-2.0 */
/* The table of subcommands in scdoc's language; see man.h. */
#include "cli/man.h"

#include "cli/cli.h"
#include "cli/embedded.h"

#include <ctype.h>
#include <string.h>

static bool is_markup(char c)
{
    return strchr("*_\\~", c) != NULL;
}

static void put_text(FILE *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (is_markup(text[i]) || (i == 0 && strchr("-.;#[]|", text[i]) != NULL))
            fputc('\\', out);
        fputc(text[i], out);
    }
}

/* In a literal block only the backslash means something. */
static void put_as_is(FILE *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        fprintf(out, text[i] == '\\' ? "\\%c" : "%c", text[i]);
}

static void put_all(FILE *out, const char *text)
{
    put_text(out, text, strlen(text));
}

/* "ID [PARENT] < TAR": what stands for something, in capitals, is underlined. */
static void put_arguments(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

        if (len > 0) {
            fprintf(out, "_%.*s_", (int)len, text);
            text += len;
        } else {
            fprintf(out, is_markup(*text) ? "\\%c" : "%c", *text);
            text++;
        }
    }
}

/* The page of a subcommand is its group's, where it has one. */
static void put_page(FILE *out, const char *name)
{
    fprintf(out, "*overlab-%.*s*(1)", (int)strcspn(name, " "), name);
}

static void put_argument_of(FILE *out, const struct argp_option *option)
{
    if (option->arg == NULL)
        return;
    fputc('=', out);
    put_arguments(out, option->arg);
}

static void put_option(FILE *out, const struct argp_option *option)
{
    if (option->key > 0 && option->key < 0x80 && isgraph(option->key) != 0)
        fprintf(out, "*-%c*, ", option->key);
    fprintf(out, "*--%s*", option->name);
    put_argument_of(out, option);
    fputs("\n\t", out);
    put_all(out, option->doc);
    fputs("\n\n", out);
}

static void put_options(FILE *out, const struct argp_option *options)
{
    for (; options != NULL && (options->name != NULL || options->doc != NULL); options++) {
        if (options->name != NULL && (options->flags & OPTION_HIDDEN) == 0)
            put_option(out, options);
    }
}

/* Paragraphs; lines that begin with two blanks are shown as they are. */
static void put_help(FILE *out, const char *help)
{
    bool as_is = false;

    while (help != NULL && *help != '\0') {
        size_t len = strcspn(help, "\n");
        bool indented = strncmp(help, "  ", 2) == 0;

        if (indented != as_is)
            fputs("```\n", out);
        as_is = indented;
        if (as_is)
            put_as_is(out, help + 2, len - 2);
        else
            put_text(out, help, len);
        fputc('\n', out);
        help += len + (help[len] == '\n');
    }
    if (as_is)
        fputs("```\n", out);
}

static void put_syntax(const struct ol_cli_command *command, const struct ol_cli_syntax *syntax,
                       void *data)
{
    FILE *out = data;

    fprintf(out, "@synopsis %s\n*overlab %s* [_OPTION_...]", command->name, command->name);
    if (command->synopsis[0] != '\0') {
        fputc(' ', out);
        put_arguments(out, command->synopsis);
    }
    fprintf(out, "\n@summary %s\n", command->name);
    put_all(out, command->summary);
    fprintf(out, "\n@options %s\n", command->name);
    put_options(out, syntax->options);
    fprintf(out, "@help %s\n", command->name);
    put_help(out, syntax->help);
}

static void put_command(FILE *out, const struct ol_cli_command *command)
{
    fprintf(out, "*%s* ", command->name);
    put_arguments(out, command->synopsis);
    fputs("\n\t", out);
    put_all(out, command->summary);
    fputs("; ", out);
    put_page(out, command->name);
    fputs("\n\n", out);
}

/* Each page once. */
static void put_pages(FILE *out, const struct ol_cli_command *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(table[i].name, " ");

        if (i > 0 && strncmp(table[i].name, table[i - 1].name, len) == 0 &&
            strcspn(table[i - 1].name, " ") == len)
            continue;
        put_page(out, table[i].name);
        fputs(",\n", out);
    }
}

void ol_cli_print_scd(FILE *out)
{
    size_t count;
    const struct ol_cli_command *table = ol_cli_table(&count);

    for (size_t i = 0; i < count; i++)
        ol_cli_describe(&table[i], put_syntax, out);
    fputs("@commands\n", out);
    for (size_t i = 0; i < count; i++)
        put_command(out, &table[i]);
    fputs("@pages\n", out);
    put_pages(out, table, count);
    fputs("@global\n", out);
    put_options(out, ol_cli_global_options());
    fputs("@topics\n", out);
    for (const struct ol_embedded *topic = ol_cli_topics; topic->name != NULL; topic++) {
        fprintf(out, "*%s*\n\t", topic->name);
        put_text(out, topic->text, strcspn(topic->text, "\n"));
        fputs("\n\n", out);
    }
}
