/* SPDX-License-Identifier: Apache-2.0 */
/* What was probably meant: the name a mistyped word is nearest to. */
#include "cli/cli.h"

#include "common/cleanup.h"

#include <string.h>

enum { WORD_MAX = 40 }; /* longer words are nobody's typing mistake */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Three rows of the table of Damerau and Levenshtein are enough: this one and the two above. */
unsigned ol_cli_distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1];
    size_t len_a = strlen(a);
    size_t len_b = strlen(b);

    if (len_a > WORD_MAX || len_b > WORD_MAX)
        return WORD_MAX;
    for (unsigned j = 0; j <= len_b; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= len_a; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        const unsigned *second = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= len_b; j++) {
            unsigned same = a[i - 1] == b[j - 1] ? 0 : 1;

            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], second[j - 2] + 1);
        }
    }
    return rows[len_a % 3][len_b];
}

bool ol_cli_is_near(const char *text, unsigned distance)
{
    return distance <= 1 + strlen(text) / 5 && distance < strlen(text);
}

/* The first len bytes of name. */
static unsigned distance_to(const char *text, const char *name, size_t len)
{
    char word[WORD_MAX + 1] = "";

    if (len > WORD_MAX)
        return WORD_MAX;
    memcpy(word, name, len);
    return ol_cli_distance(text, word);
}

const char *ol_cli_nearest_command(const char *text, int *ret_len)
{
    size_t count;
    const struct ol_cli_command *table = ol_cli_table(&count);
    bool one_word = strchr(text, ' ') == NULL;
    const char *best = NULL;
    unsigned least_distance = WORD_MAX;

    for (size_t i = 0; i < count; i++) {
        size_t len = one_word ? strcspn(table[i].name, " ") : strlen(table[i].name);
        unsigned distance = distance_to(text, table[i].name, len);

        if (distance < least_distance) {
            least_distance = distance;
            best = table[i].name;
            *ret_len = (int)len;
        }
    }
    return ol_cli_is_near(text, least_distance) ? best : NULL;
}
