/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring one section of a budget, in a process of its own. */
#ifndef OL_CLI_CHECK_MEASURE_H
#define OL_CLI_CHECK_MEASURE_H

#include "cli/cli.h"

#include "bench/budget/values.h"

/**
 * Run the section's workload on its drivers, in its view and place. Views are entered for good, and
 * every section may want another one: a child does it and hands back the values.
 * @return 0; what the child failed with, in its words; -ECANCELED
 */
int check_measure(struct ol_cli *cli, const struct ol_budget_section *section,
                  struct ol_budget_values *ret, struct ol_error *err);

#endif
