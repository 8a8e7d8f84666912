/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of budgets. What is taken has sections, each with an image, drivers and limits
 * that point at them; what is not names the file.
 */
#include "bench/budget/budget.h"
#include "common/cleanup.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die_unless(bool condition)
{
    if (!condition)
        abort();
}

static void check_limit(const struct ol_budget_section *section, const struct ol_limit *limit)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_limit again;

    die_unless(limit->line > section->line && limit->driver < section->n_drivers);
    die_unless(strcmp(section->drivers[limit->driver], limit->driver_name) == 0);
    die_unless((limit->kind == OL_LIMIT_RATIO) == (limit->over_name != NULL));
    die_unless(limit->over_name == NULL || limit->over < section->n_drivers);
    die_unless(limit->scale > 0 && limit->number <= UINT64_C(1) << 53);
    die_unless(ol_limit_parse(limit->text, &again, &err) == 0); /* stays what it is */
    die_unless(strcmp(again.text, limit->text) == 0 && again.number == limit->number);
    ol_limit_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_budget budget;

    if (ol_budget_parse("fuzz.ini", "dir", (const char *)data, size, &budget, &err) < 0) {
        die_unless(strncmp(ol_error_text(&err), "fuzz.ini:", 9) == 0);
        return 0;
    }
    die_unless(budget.n_sections > 0);
    for (size_t i = 0; i < budget.n_sections; i++) {
        const struct ol_budget_section *section = &budget.sections[i];

        die_unless(section->n_limits > 0 && section->image_text != NULL);
        for (size_t k = 0; k < section->n_limits; k++)
            check_limit(section, &section->limits[k]);
    }
    ol_budget_fini(&budget);
    return 0;
}
