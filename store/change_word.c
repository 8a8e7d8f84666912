/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a Dockerfile line; see change_word.h. */
#include "store/change_word.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { NESTING_MAX = 32 }; /* "${a:-${b:-…}}" */

static bool is_blank(char c)
{
    return isspace((unsigned char)c) != 0;
}

const char *ol_env_get(const json_t *env, const char *name, size_t name_len)
{
    const json_t *item;
    size_t i;

    json_array_foreach(env, i, item)
    {
        const char *text = json_string_value(item);
        if (text != NULL && strncmp(text, name, name_len) == 0 && text[name_len] == '=')
            return text + name_len + 1;
    }
    return NULL;
}

struct lexer {
    const char *word; /* all of it, for messages */
    const char *at;
    const json_t *env;
    unsigned depth;
    struct ol_error *err;
};

__attribute__((format(printf, 2, 3))) static int bad(struct lexer *lexer, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = ol_error_vset(lexer->err, -EINVAL, fmt, ap);
    va_end(ap);
    return ol_error_wrap(lexer->err, r, "failed to process '%s'", lexer->word);
}

static int put(struct lexer *lexer, struct ol_buf *out, char c)
{
    return ol_buf_putc(out, c) < 0 ? ol_error_nomem(lexer->err) : 0;
}

/* Length of the variable's name at text: a word, a number, or one special character. */
static size_t name_length(const char *text)
{
    size_t len = 0;

    if (isalpha((unsigned char)text[0]) || text[0] == '_') {
        while (isalnum((unsigned char)text[len]) || text[len] == '_')
            len++;
        return len;
    }
    while (isdigit((unsigned char)text[len]))
        len++;
    if (len > 0)
        return len;
    return text[0] != '\0' && strchr("@*#?-$!0", text[0]) != NULL ? 1 : 0;
}

static int expand_until(struct lexer *lexer, char stop, struct ol_buf *out);

/* "${NAME:-word}" with at behind the colon. */
static int expand_modified(struct lexer *lexer, const char *name, size_t name_len,
                           const char *value, struct ol_buf *out)
{
    ol_auto_buf struct ol_buf word = OL_BUF_INIT;
    bool filled = value != NULL && value[0] != '\0';
    char modifier = *lexer->at;
    int r;

    if (modifier == '\0')
        return bad(lexer, "syntax error: missing '}'");
    lexer->at++;
    r = expand_until(lexer, '}', &word);
    if (r < 0)
        return r;
    switch (modifier) {
    case '+':
        value = filled ? ol_buf_str(&word) : "";
        break;
    case '-':
        value = filled ? value : ol_buf_str(&word);
        break;
    case '?':
        if (value == NULL)
            return bad(lexer, "%.*s: %s", (int)name_len, name,
                       word.len > 0 ? ol_buf_str(&word) : "is not allowed to be unset");
        break;
    default:
        return bad(lexer, "unsupported modifier (%c) in substitution", modifier);
    }
    return ol_buf_puts(out, value) < 0 ? ol_error_nomem(lexer->err) : 0;
}

/* "${…}" with at behind the brace. */
static int expand_braced(struct lexer *lexer, struct ol_buf *out)
{
    const char *name = lexer->at;
    const char *value;
    size_t len;

    if (*name == '\0')
        return bad(lexer, "syntax error: missing '}'");
    if (strchr("{}:", *name) != NULL)
        return bad(lexer, "syntax error: bad substitution");
    len = name_length(name);
    value = ol_env_get(lexer->env, name, len);
    lexer->at += len;
    if (*lexer->at == ':') {
        lexer->at++;
        return expand_modified(lexer, name, len, value, out);
    }
    if (*lexer->at != '}')
        return bad(lexer, "missing ':' in substitution");
    lexer->at++;
    return value != NULL && ol_buf_puts(out, value) < 0 ? ol_error_nomem(lexer->err) : 0;
}

/* at is behind the '$'. */
static int expand_dollar(struct lexer *lexer, struct ol_buf *out)
{
    const char *value;
    size_t len;

    if (*lexer->at == '{') {
        lexer->at++;
        return expand_braced(lexer, out);
    }
    len = name_length(lexer->at);
    if (len == 0)
        return put(lexer, out, '$');
    value = ol_env_get(lexer->env, lexer->at, len);
    lexer->at += len;
    return value != NULL && ol_buf_puts(out, value) < 0 ? ol_error_nomem(lexer->err) : 0;
}

static int expand_single_quotes(struct lexer *lexer, struct ol_buf *out)
{
    int r = 0;

    for (; r == 0 && *lexer->at != '\''; lexer->at++) {
        if (*lexer->at == '\0')
            return bad(lexer,
                       "unexpected end of statement while looking for matching single-quote");
        r = put(lexer, out, *lexer->at);
    }
    lexer->at++;
    return r;
}

static int expand_double_quotes(struct lexer *lexer, struct ol_buf *out)
{
    int r = 0;

    while (r == 0 && *lexer->at != '"') {
        char c = *lexer->at;
        if (c == '\0')
            return bad(lexer,
                       "unexpected end of statement while looking for matching double-quote");
        lexer->at++;
        if (c == '$') {
            r = expand_dollar(lexer, out);
            continue;
        }
        if (c == '\\' && *lexer->at != '\0' && strchr("\"$\\", *lexer->at) != NULL)
            c = *lexer->at++;
        r = put(lexer, out, c);
    }
    if (r == 0)
        lexer->at++;
    return r;
}

static int expand_one(struct lexer *lexer, struct ol_buf *out)
{
    char c = *lexer->at++;

    switch (c) {
    case '\'':
        return expand_single_quotes(lexer, out);
    case '"':
        return expand_double_quotes(lexer, out);
    case '$':
        return expand_dollar(lexer, out);
    case '\\':
        return *lexer->at != '\0' ? put(lexer, out, *lexer->at++) : 0;
    default:
        return put(lexer, out, c);
    }
}

/* Up to and with the character stop; '\0': to the end. */
static int expand_until(struct lexer *lexer, char stop, struct ol_buf *out)
{
    int r = 0;

    if (lexer->depth++ >= NESTING_MAX)
        return bad(lexer, "more than %d substitutions inside each other", NESTING_MAX);
    while (r == 0 && *lexer->at != stop) {
        if (*lexer->at == '\0')
            return bad(lexer, "syntax error: missing '%c'", stop);
        r = expand_one(lexer, out);
    }
    lexer->depth--;
    if (r == 0 && stop != '\0')
        lexer->at++;
    return r;
}

int ol_word_expand(const char *word, const json_t *env, char **ret, struct ol_error *err)
{
    struct lexer lexer = {.word = word, .at = word, .env = env, .err = err};
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    int r = expand_until(&lexer, '\0', &out);
    char *text;

    if (r < 0)
        return r;
    text = ol_buf_steal(&out);
    if (text == NULL)
        return ol_error_nomem(err);
    *ret = text;
    return 0;
}

/* How long the word at text is: it ends at a blank outside of quotes that is not escaped. */
static size_t word_length(const char *text)
{
    size_t len = 0;
    char quote = '\0';

    for (; text[len] != '\0' && (quote != '\0' || !is_blank(text[len])); len++) {
        char c = text[len];

        if (c == '\\' && quote != '\'' && text[len + 1] != '\0')
            len++;
        else if (quote == '\0' && (c == '"' || c == '\''))
            quote = c;
        else if (c == quote)
            quote = '\0';
    }
    return len;
}

static size_t blank_length(const char *text)
{
    size_t len = 0;

    while (text[len] != '\0' && !is_blank(text[len]))
        len++;
    return len;
}

static int split(const char *line, size_t (*length)(const char *text), json_t **ret,
                 struct ol_error *err)
{
    json_t *words = json_array();

    while (words != NULL) {
        size_t len;

        while (is_blank(*line))
            line++;
        if (*line == '\0')
            break;
        len = length(line);
        if (json_array_append_new(words, json_stringn(line, len)) < 0) {
            json_decref(words);
            words = NULL;
        }
        line += len;
    }
    if (words == NULL)
        return ol_error_nomem(err);
    *ret = words;
    return 0;
}

int ol_word_split(const char *line, json_t **ret, struct ol_error *err)
{
    return split(line, word_length, ret, err);
}

int ol_word_split_blanks(const char *line, json_t **ret, struct ol_error *err)
{
    return split(line, blank_length, ret, err);
}
