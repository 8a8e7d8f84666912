/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up embedded texts. */
#include "cli/embedded.h"

#include <string.h>

const char *ol_embedded_find(const struct ol_embedded *table, const char *name)
{
    while (table->name != NULL && strcmp(table->name, name) != 0)
        table++;
    return table->text;
}
