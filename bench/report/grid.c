/* SPDX-License-Identifier: Apache-2.0 */
/* The grids that table and Markdown print: the same cells, whatever draws the lines. */
#include "bench/report/internal.h"

#include "common/cleanup.h"

#include <errno.h>

void ol_grid_fini(struct ol_grid *grid)
{
    for (size_t i = 0; i < grid->n_rows * grid->n_columns; i++)
        free(grid->cells[i]);
    free(grid->cells);
    grid->cells = NULL;
    grid->n_rows = grid->room = 0;
}

int ol_grid_row(struct ol_grid *grid)
{
    if (grid->n_rows == grid->room) {
        size_t room = grid->room > 0 ? 2 * grid->room : 16;
        char **grown = reallocarray(grid->cells, room * grid->n_columns, sizeof *grown);

        if (grown == NULL)
            return -ENOMEM;
        grid->cells = grown;
        grid->room = room;
    }
    memset(grid->cells + grid->n_rows * grid->n_columns, 0, grid->n_columns * sizeof *grid->cells);
    grid->n_rows++;
    return 0;
}

int ol_grid_set(struct ol_grid *grid, size_t column, struct ol_buf *text)
{
    char **cell = &grid->cells[(grid->n_rows - 1) * grid->n_columns + column];

    *cell = ol_buf_steal(text);
    return *cell != NULL ? 0 : -ENOMEM;
}

static int set_text(struct ol_grid *grid, size_t column, const char *indent, const char *text)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = ol_buf_printf(&buf, "%s%s", indent, text);

    return r < 0 ? r : ol_grid_set(grid, column, &buf);
}

int ol_grid_set_count(struct ol_grid *grid, size_t column, int64_t count)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = ol_human_count(&buf, count);

    return r < 0 ? r : ol_grid_set(grid, column, &buf);
}

int ol_grid_set_bytes(struct ol_grid *grid, size_t column, int64_t bytes)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = ol_human_bytes(&buf, bytes);

    return r < 0 ? r : ol_grid_set(grid, column, &buf);
}

static int set_seconds(struct ol_grid *grid, size_t column, double seconds)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = ol_human_seconds(&buf, seconds);

    return r < 0 ? r : ol_grid_set(grid, column, &buf);
}

static int set_range(struct ol_grid *grid, size_t column, const struct ol_summary *sum)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = sum->n > 1 ? ol_human_range(&buf, sum->low, sum->high) : ol_buf_puts(&buf, "-");

    return r < 0 ? r : ol_grid_set(grid, column, &buf);
}

/* The columns both the commit and the step grid have; key and unit are those of CSV and JSON. */
static const struct ol_grid_column phase_columns[] = {
    {"engine", "ENGINE", "", false},
    {"inodes", "INODES", "", true},
    {"predicted_inodes", "PREDICTED", "", true},
    {"bytes", "DISK", "bytes", true},
    {"seconds", "TIME", "s", true},
    {"interval", "INTERVAL", "s", true},
};

static const struct ol_grid_column step_columns[] = {
    {"step", "STEP / ENGINE", "", false},
    {"inodes", "INODES", "", true},
    {"predicted_inodes", "PREDICTED", "", true},
    {"bytes", "DISK", "bytes", true},
    {"seconds", "TIME", "s", true},
    {"interval", "INTERVAL", "s", true},
};

static const struct ol_grid_column build_columns[] = {
    {"step", "STEP / ENGINE", "", false},
    {"inodes", "INODES", "", true},
    {"predicted_inodes", "PREDICTED", "", true},
    {"bytes", "DISK", "bytes", true},
    {"seconds", "TIME", "s", true},
    {"replayed", "LAYER", "", false},
};

static const struct ol_grid_column part_columns[] = {
    {"engine", "ENGINE", "", false},      {"create", "CREATE", "s", true},
    {"diff", "DIFF", "s", true},          {"apply", "APPLY", "s", true},
    {"metadata", "METADATA", "s", true},  {"rest", "REST", "s", true},
    {"sleep", "DOCKER SLEPT", "s", true},
};

static const struct ol_grid_column metadata_columns[] = {
    {"engine", "ENGINE", "", false},
    {"metadata", "METADATA", "s", true},
    {"metadata_scan", "COUNT UPPER", "s", true},
    {"metadata_transaction", "TRANSACTION", "s", true},
    {"metadata_sync", "WRITE AND SYNC", "s", true},
};

static int fill_phase_row(struct ol_grid *grid, const char *indent, const char *name,
                          const struct ol_report_phase *phase)
{
    int r = ol_grid_row(grid);

    if (r == 0)
        r = set_text(grid, 0, indent, name);
    if (r == 0)
        r = ol_grid_set_count(grid, 1, phase->inodes);
    if (r == 0)
        r = phase->has_prediction ? ol_grid_set_count(grid, 2, phase->predicted)
                                  : set_text(grid, 2, "", "-");
    if (r == 0)
        r = ol_grid_set_bytes(grid, 3, phase->bytes);
    if (r == 0)
        r = set_seconds(grid, 4, phase->seconds.median);
    if (r == 0)
        r = set_range(grid, 5, &phase->seconds);
    return r;
}

int ol_grid_commit(const struct ol_report *report, struct ol_grid *ret)
{
    int r = 0;

    *ret = (struct ol_grid){.columns = phase_columns, .n_columns = OL_ARRAY_LEN(phase_columns)};
    for (size_t i = 0; i < report->n_engines && r == 0; i++)
        r = fill_phase_row(ret, "", report->engines[i].name,
                           &report->found[i].phases[OL_PHASE_COMMIT]);
    return r;
}

static int fill_step_heading(const struct ol_report *report, enum ol_phase phase,
                             struct ol_grid *grid)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = ol_grid_row(grid);

    if (r == 0)
        r = ol_buf_puts(&buf, ol_phase_name(phase));
    if (r == 0 && phase == OL_PHASE_IMPORT)
        r = ol_buf_printf(&buf, ", %zu %s", ol_report_imported(report),
                          ol_report_imported(report) == 1 ? "layer" : "layers");
    return r < 0 ? r : ol_grid_set(grid, 0, &buf);
}

int ol_grid_steps(const struct ol_report *report, bool markdown, struct ol_grid *ret)
{
    int r = 0;

    *ret = (struct ol_grid){.columns = step_columns, .n_columns = OL_ARRAY_LEN(step_columns)};
    for (enum ol_phase phase = 0; phase < OL_PHASES && r == 0; phase++) {
        if (report->n_engines == 0 || !report->found[0].phases[phase].present)
            continue;
        r = fill_step_heading(report, phase, ret);
        for (size_t i = 0; i < report->n_engines && r == 0; i++)
            r = fill_phase_row(ret, markdown ? "&emsp;" : "  ", report->engines[i].name,
                               &report->found[i].phases[phase]);
    }
    return r;
}

/* A part that took no time at all in any round is one the engine does not have. */
static int set_part(struct ol_grid *grid, size_t column, const struct ol_summary *part)
{
    return part->max > 0 ? set_seconds(grid, column, part->median)
                         : set_text(grid, column, "", "-");
}

static int fill_build_row(const struct ol_report *report, const char *indent, size_t engine,
                          unsigned index, struct ol_grid *grid)
{
    const struct ol_report_build *build = &report->found[engine].builds[index];
    const struct ol_replay_verdict *verdict = ol_report_verdict_on(report, engine, index);
    int r = ol_grid_row(grid);

    if (r == 0)
        r = set_text(grid, 0, indent, report->engines[engine].name);
    if (r == 0)
        r = ol_grid_set_count(grid, 1, build->inodes);
    if (r == 0)
        r = build->has_prediction ? ol_grid_set_count(grid, 2, build->predicted)
                                  : set_text(grid, 2, "", "-");
    if (r == 0)
        r = ol_grid_set_bytes(grid, 3, build->bytes);
    if (r == 0)
        r = set_seconds(grid, 4, build->seconds.median);
    return r < 0 ? r : set_text(grid, 5, "", ol_verdict_word(verdict));
}

int ol_grid_builds(const struct ol_report *report, bool markdown, struct ol_grid *ret)
{
    int r = 0;

    *ret = (struct ol_grid){.columns = build_columns, .n_columns = OL_ARRAY_LEN(build_columns)};
    for (unsigned index = 0; index < report->workload.commits && r == 0; index++) {
        char name[32];

        (void)snprintf(name, sizeof name, "layer %u", index + 1);
        r = ol_grid_row(ret);
        if (r == 0)
            r = set_text(ret, 0, "", name);
        for (size_t i = 0; i < report->n_engines && r == 0; i++)
            r = fill_build_row(report, markdown ? "&emsp;" : "  ", i, index, ret);
    }
    return r;
}

int ol_grid_parts(const struct ol_report *report, struct ol_grid *ret)
{
    int r = 0;

    *ret = (struct ol_grid){.columns = part_columns, .n_columns = OL_ARRAY_LEN(part_columns)};
    for (size_t i = 0; i < report->n_engines && r == 0; i++) {
        const struct ol_report_engine *found = &report->found[i];

        if (!ol_engine_tells_parts(&report->engines[i]))
            continue;
        r = ol_grid_row(ret);
        if (r == 0)
            r = set_text(ret, 0, "", report->engines[i].name);
        if (r == 0)
            r = set_part(ret, 1, &found->create);
        if (r == 0)
            r = set_part(ret, 2, &found->diff);
        if (r == 0)
            r = set_part(ret, 3, &found->apply);
        if (r == 0)
            r = set_part(ret, 4, &found->metadata);
        if (r == 0)
            r = set_seconds(ret, 5, found->rest.median);
        if (r == 0)
            r = found->avoided_sleep > 0 ? set_seconds(ret, 6, found->avoided_sleep)
                                         : set_text(ret, 6, "", "-");
    }
    return r;
}

int ol_grid_metadata(const struct ol_report *report, struct ol_grid *ret)
{
    int r = 0;

    *ret = (struct ol_grid){.columns = metadata_columns,
                            .n_columns = OL_ARRAY_LEN(metadata_columns)};
    for (size_t i = 0; i < report->n_engines && r == 0; i++) {
        const struct ol_report_engine *found = &report->found[i];

        if (!ol_engine_tells_parts(&report->engines[i]) || found->sync.max <= 0)
            continue;
        r = ol_grid_row(ret);
        if (r == 0)
            r = set_text(ret, 0, "", report->engines[i].name);
        if (r == 0)
            r = set_part(ret, 1, &found->metadata);
        if (r == 0)
            r = set_part(ret, 2, &found->scan);
        if (r == 0)
            r = set_part(ret, 3, &found->transaction);
        if (r == 0)
            r = set_part(ret, 4, &found->sync);
    }
    return r;
}
