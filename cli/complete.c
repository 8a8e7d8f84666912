/* SPDX-License-Identifier: Apache-2.0 */
/* Which word of a command line is being completed; see complete.h. */
#include "cli/complete.h"

#include "common/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct line {
    struct complete *c;
    char *const *words; /* borrowed; the last one is the current one */
    size_t count;
    size_t at;                          /* words before this one are understood */
    const struct ol_cli_syntax *syntax; /* of the subcommand; NULL before its name */
    const struct argp_option *pending;  /* the option whose value comes next, or NULL */
    bool pending_global;                /* it is one every subcommand has */
    size_t arguments;                   /* so many came after the subcommand's name */
    bool ended;                         /* options: by "--", or the rest is another command's */
};

void complete_add_n(struct complete *c, const char *word, size_t len)
{
    size_t typed = strlen(c->text);

    if (c->r == 0 && len >= typed && strncmp(word, c->text, typed) == 0)
        c->r = ol_buf_printf(c->out, "%s%.*s\n", c->before, (int)len, word);
}

void complete_add(struct complete *c, const char *word)
{
    complete_add_n(c, word, strlen(word));
}

void complete_ask(struct complete *c, const char *what)
{
    if (c->r == 0)
        c->r = ol_buf_printf(c->out, "%s\n", what);
}

/* ---- options ---- */

/* An option by its name of len bytes, or by its letter (name NULL). */
static const struct argp_option *find_in(const struct argp_option *option, const char *name,
                                         size_t len, char letter)
{
    for (; option != NULL && (option->name != NULL || option->key != 0); option++) {
        if (name == NULL ? option->key == letter
                         : option->name != NULL && strlen(option->name) == len &&
                               memcmp(option->name, name, len) == 0)
            return option;
    }
    return NULL;
}

static const struct argp_option *find_option(struct line *line, const char *name, size_t len,
                                             char letter)
{
    const struct argp_option *option = line->syntax != NULL
                                           ? find_in(line->syntax->options, name, len, letter)
                                           : NULL;

    line->pending_global = option == NULL;
    return option != NULL ? option : find_in(ol_cli_global_options(), name, len, letter);
}

/* A value that later completions depend on. */
static void note_value(struct line *line, const struct argp_option *option, const char *value)
{
    struct complete *c = line->c;

    if (strcmp(option->name, "driver") == 0) {
        c->driver = value;
    } else if (strcmp(option->name, "root") == 0) {
        const char *home = value[0] == '~' && value[1] == '/' ? getenv("HOME") : NULL;
        char *root = NULL;

        if (asprintf(&root, "%s%s", home != NULL ? home : "", value + (home != NULL)) < 0) {
            c->r = -ENOMEM;
            return;
        }
        free(c->root);
        c->root = root;
    }
}

static void take_long_option(struct line *line, const char *text)
{
    size_t len = strcspn(text, "=");
    const struct argp_option *option = find_option(line, text, len, '\0');

    if (option == NULL || option->arg == NULL)
        return;
    if (text[len] == '=')
        note_value(line, option, text + len + 1);
    else
        line->pending = option;
}

/* "-qd overlay", "-doverlay" */
static void take_letters(struct line *line, const char *text)
{
    for (; *text != '\0'; text++) {
        const struct argp_option *option = find_option(line, NULL, 0, *text);

        if (option == NULL || option->arg == NULL)
            continue;
        if (text[1] == '\0')
            line->pending = option;
        else
            note_value(line, option, text + 1);
        return;
    }
}

/* @return false when the word is no option and no option's value */
static bool take_option(struct line *line, const char *word)
{
    if (line->pending != NULL) {
        note_value(line, line->pending, word);
        line->pending = NULL;
        return true;
    }
    if (line->ended || word[0] != '-' || word[1] == '\0')
        return false;
    if (strcmp(word, "--") == 0)
        line->ended = true;
    else if (word[1] == '-')
        take_long_option(line, word + 2);
    else
        take_letters(line, word + 1);
    return true;
}

static void add_options(struct complete *c, const struct argp_option *option, bool json)
{
    for (; option != NULL && (option->name != NULL || option->key != 0); option++) {
        char name[64];
        int len;

        if (option->name == NULL || (option->flags & OPTION_HIDDEN) != 0 ||
            (!json && strcmp(option->name, "json") == 0))
            continue;
        len = snprintf(name, sizeof name, "--%s%s", option->name, option->arg != NULL ? "=" : "");
        complete_add_n(c, name, (size_t)len);
    }
}

/* ---- the current word ---- */

static size_t count_of(const char *text, size_t len, char c)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += text[i] == c;
    return n;
}

/* The index-th word of a synopsis, without brackets; *ret_len 0 when there is none. What may be
 * repeated goes on for ever, and what is redirected is the shell's. */
static const char *placeholder_at(const char *synopsis, size_t index, size_t *ret_len)
{
    const char *word = synopsis + strspn(synopsis, " [");

    for (size_t i = 0; *word != '\0' && *word != '<' && *word != '>'; i++) {
        size_t len = strcspn(word, " ");
        size_t bare = len;

        for (size_t open = count_of(word, len, '['); count_of(word, bare, ']') > open;)
            bare--;
        *ret_len = bare;
        if (bare > 3 && memcmp(word + bare - 3, "...", 3) == 0) {
            *ret_len = bare - 3;
            return word;
        }
        if (i == index)
            return word;
        word += len;
        word += strspn(word, " [");
    }
    *ret_len = 0;
    return NULL;
}

static void complete_argument(struct line *line, const struct ol_cli_command *command)
{
    size_t len = 0;
    const char *at = placeholder_at(command->synopsis, line->arguments, &len);
    ol_auto_free char *placeholder = at != NULL ? strndup(at, len) : NULL;

    if (at == NULL)
        return;
    if (placeholder == NULL)
        line->c->r = -ENOMEM;
    else
        complete_value(line->c, command->name, NULL, placeholder);
}

static void complete_option_value(struct line *line, const struct ol_cli_command *command,
                                  const struct argp_option *option)
{
    const char *name = command != NULL && !line->pending_global ? command->name : NULL;

    if (option != NULL && option->arg != NULL)
        complete_value(line->c, name, option->name, option->arg);
}

/* "--view=ker" */
static void complete_assignment(struct line *line, const struct ol_cli_command *command,
                                const char *word, size_t len)
{
    const struct argp_option *option = find_option(line, word + 2, len - 2, '\0');
    ol_auto_free char *before = strndup(word, len + 1);

    if (before == NULL) {
        line->c->r = -ENOMEM;
        return;
    }
    line->c->before = before;
    line->c->text = word + len + 1;
    complete_option_value(line, command, option);
    line->c->before = "";
}

static void complete_dashes(struct line *line, const struct ol_cli_command *command,
                            const char *word)
{
    size_t len = strcspn(word, "=");

    if (word[1] == '-' && word[len] == '=') {
        complete_assignment(line, command, word, len);
        return;
    }
    if (line->syntax != NULL)
        add_options(line->c, line->syntax->options, true);
    add_options(line->c, ol_cli_global_options(),
                command == NULL || (command->flags & OL_CLI_HAS_JSON) != 0);
    if (line->c->out->len > 0 && line->c->out->data[line->c->out->len - 2] == '=')
        complete_ask(line->c, COMPLETE_NO_SPACE);
}

/* All words but the last are understood. @return false when it is neither option nor value */
static bool complete_current(struct line *line, const struct ol_cli_command *command)
{
    const char *word = line->words[line->count - 1];

    line->c->text = word;
    if (line->pending != NULL)
        complete_option_value(line, command, line->pending);
    else if (!line->ended && word[0] == '-')
        complete_dashes(line, command, word);
    else
        return false;
    return true;
}

/* The first words of names, or the second ones of a group's. */
static void complete_name(struct complete *c, const char *group)
{
    size_t count;
    const struct ol_cli_command *table = ol_cli_table(&count);
    const char *last = "";
    size_t last_len = 0;

    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(table[i].name, " ");
        const char *second = table[i].name + len + (table[i].name[len] == ' ');

        if (group != NULL) {
            if (strlen(group) == len && memcmp(table[i].name, group, len) == 0 && *second != '\0')
                complete_add(c, second);
        } else if (len != last_len || memcmp(table[i].name, last, len) != 0) {
            complete_add_n(c, table[i].name, len);
        }
        last = table[i].name;
        last_len = len;
    }
}

static void complete_described(const struct ol_cli_command *command,
                               const struct ol_cli_syntax *syntax, void *data)
{
    struct line *line = data;

    line->syntax = syntax;
    for (; line->at + 1 < line->count; line->at++) {
        if (take_option(line, line->words[line->at]))
            continue;
        line->arguments++;
        line->ended = line->ended || syntax->rest;
    }
    if (complete_current(line, command))
        return;
    if (strcmp(command->name, "help") == 0 && line->arguments == 1)
        complete_name(line->c, line->words[line->count - 2]); /* "help layer apply" */
    else
        complete_argument(line, command);
}

static void complete_words(struct line *line)
{
    const char *group = NULL;

    for (; line->at + 1 < line->count; line->at++) {
        char *const *words = line->words + line->at;
        size_t left = line->count - 1 - line->at;
        const struct ol_cli_command *command;
        int taken;

        if (take_option(line, words[0]))
            continue;
        command = ol_cli_find_words((int)left, words, &taken);
        if (command != NULL) {
            line->at += (size_t)taken;
            ol_cli_describe(command, complete_described, line);
            return;
        }
        if (left > 1 || !ol_cli_is_group(words[0]))
            return; /* a word nobody knows: there is nothing to say about what follows it */
        group = words[0];
    }
    if (!complete_current(line, NULL))
        complete_name(line->c, group);
}

int complete_line(const char *root, char *const *words, size_t count, struct ol_buf *ret)
{
    struct complete c = {
        .out = ret, .root = strdup(root), .driver = "overlay2", .before = "", .text = ""};
    struct line line = {.c = &c, .words = words, .count = count};

    if (c.root == NULL)
        return -ENOMEM;
    if (count > 0)
        complete_words(&line);
    free(c.root);
    return c.r;
}
