/* SPDX-License-Identifier: Apache-2.0 */
/* The overlab command: finds the subcommand in the table and runs it. */
#include "common/error.h"

#include "config.h"

#include <stdio.h>

int main(void)
{
    printf("overlab %s\n", OL_VERSION);
    return 0;
}
