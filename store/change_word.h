/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a Dockerfile line: quotes, the escape character and variables. Follows buildkit
 * frontend/dockerfile/shell and parser/line_parsers.go as dockerd 20.10 has them.
 */
#ifndef OL_STORE_CHANGE_WORD_H
#define OL_STORE_CHANGE_WORD_H

#include "common/error.h"

#include <jansson.h>

/** A variable's value in an array of "NAME=value", or NULL. Borrowed. */
const char *ol_env_get(const json_t *env, const char *name, size_t name_len);

/**
 * Remove quotes and escapes, put in the values of variables.
 * @param env  array of "NAME=value", or NULL
 * @param ret  owned by the caller
 * @return 0; -EINVAL a quote or a brace is not closed, or a substitution is none
 */
int ol_word_expand(const char *word, const json_t *env, char **ret, struct ol_error *err);

/**
 * The words of a line, quotes and escapes still in them.
 * @param ret  new array of strings
 */
int ol_word_split(const char *line, json_t **ret, struct ol_error *err);

/** The words of a line between blanks, whatever they hold. @param ret new array of strings */
int ol_word_split_blanks(const char *line, json_t **ret, struct ol_error *err);

#endif
