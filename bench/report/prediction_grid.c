/* SPDX-License-Identifier: Apache-2.0 */
/* The grids of a prediction: a row for each build step and phase, a column for each engine. */
#include "bench/report/prediction_internal.h"

#include "common/cleanup.h"

#include <errno.h>

enum {
    NUMBER_WIDTH = 9, /* columns of a number that reads well: "1,234,567" */
    LABEL_LEAST = 24, /* columns a label needs at least */
};

void ol_engine_grid_fini(struct ol_engine_grid *grid)
{
    ol_grid_fini(&grid->grid);
    free(grid->columns);
    free(grid->marks);
    *grid = (struct ol_engine_grid){0};
}

static size_t column_width(const char *heading)
{
    size_t len = strlen(heading);

    return len > NUMBER_WIDTH ? len : NUMBER_WIDTH;
}

/* Columns of the engines alone, each with the two blanks before it. */
static size_t engines_width(const struct ol_grid_column *columns, size_t count)
{
    size_t width = 0;

    for (size_t i = 1; i <= count; i++)
        width += column_width(columns[i].heading) + 2;
    return width;
}

/* Names that leave no room for a label become numbers. */
static int mark_engines(struct ol_engine_grid *grid, size_t count)
{
    grid->marks = calloc(count, sizeof *grid->marks);
    if (grid->marks == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(grid->marks[i], sizeof grid->marks[i], "[%zu]", i + 1);
        grid->columns[i + 1].heading = grid->marks[i];
    }
    return 0;
}

static int grid_init(const struct ol_prediction *prediction, const char *label, size_t width,
                     struct ol_engine_grid *ret)
{
    const struct ol_report *report = &prediction->images[0].report;
    size_t used;
    int r = 0;

    *ret = (struct ol_engine_grid){.label_max = SIZE_MAX};
    ret->columns = calloc(report->n_engines + 1, sizeof *ret->columns);
    if (ret->columns == NULL)
        return -ENOMEM;
    ret->columns[0] = (struct ol_grid_column){"step", label, "", false};
    for (size_t i = 0; i < report->n_engines; i++)
        ret->columns[i + 1] = (struct ol_grid_column){"inodes", report->engines[i].name, "", true};
    ret->grid = (struct ol_grid){.columns = ret->columns, .n_columns = report->n_engines + 1};
    if (width == 0)
        return 0;
    if (engines_width(ret->columns, report->n_engines) + LABEL_LEAST > width)
        r = mark_engines(ret, report->n_engines);
    used = engines_width(ret->columns, report->n_engines);
    ret->label_max = used + LABEL_LEAST < width ? width - used : LABEL_LEAST;
    return r;
}

static int set_label(struct ol_engine_grid *grid, const char *before, const char *text)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    size_t used = strlen(before);
    size_t max = grid->label_max == SIZE_MAX  ? SIZE_MAX
                 : grid->label_max > used + 4 ? grid->label_max - used
                                              : 4;
    int r = ol_grid_row(&grid->grid);

    if (r == 0)
        r = ol_buf_puts(&buf, before);
    if (r == 0)
        r = ol_text_one_line(text, max, &buf);
    return r < 0 ? r : ol_grid_set(&grid->grid, 0, &buf);
}

enum cell {
    CELL_COUNT,
    CELL_ELSEWHERE, /* counted with another image */
    CELL_NONE,      /* nothing there */
    CELL_UNKNOWN,
};

static int set_cell(struct ol_engine_grid *grid, size_t engine, enum cell cell, int64_t inodes)
{
    ol_auto_buf struct ol_buf buf = OL_BUF_INIT;
    int r = cell == CELL_ELSEWHERE ? ol_buf_putc(&buf, '(') : 0;

    if (r == 0 && (cell == CELL_NONE || cell == CELL_UNKNOWN))
        r = ol_buf_puts(&buf, cell == CELL_NONE ? "-" : "?");
    else if (r == 0)
        r = ol_human_count(&buf, inodes);
    if (r == 0 && cell == CELL_ELSEWHERE)
        r = ol_buf_putc(&buf, ')');
    return r < 0 ? r : ol_grid_set(&grid->grid, engine + 1, &buf);
}

/* What layer `index` costs: imported, or of a replay as the build step that makes it. */
static enum cell layer_cell(const struct ol_predicted_image *image, size_t engine, size_t index,
                            int64_t *ret)
{
    const struct ol_report *report = &image->report;
    size_t imported = ol_report_imported(report);
    const struct ol_bench_step *step;
    const struct ol_report_build *build;

    if (index >= imported) {
        build = &report->found[engine].builds[index - imported];
        *ret = build->predicted;
        return build->has_prediction ? CELL_COUNT : CELL_UNKNOWN;
    }
    step = &report->engines[engine].steps[index]; /* the layers are an engine's first steps */
    *ret = ol_inode_kinds_total(&step->predicted);
    return step->has_prediction ? CELL_COUNT : CELL_UNKNOWN;
}

static int add_build_step(const struct ol_predicted_image *image, size_t index, size_t step_index,
                          struct ol_engine_grid *grid)
{
    const struct ol_image_step *step = &image->report.history.steps[step_index];
    const char *text = step->created_by[0] != '\0' ? step->created_by : "(not told)";
    bool shared = step->layer >= 0 && image->layers[step->layer].shared_with != index;
    char before[32] = "     ";
    int r;

    if (step->layer >= 0)
        (void)snprintf(before, sizeof before, "%3d%s ", step->layer, shared ? "=" : " ");
    r = set_label(grid, before, text);
    for (size_t i = 0; i < image->report.n_engines && r == 0; i++) {
        int64_t inodes = 0;
        enum cell cell = step->layer < 0 ? CELL_NONE
                                         : layer_cell(image, i, (size_t)step->layer, &inodes);

        r = set_cell(grid, i, shared && cell == CELL_COUNT ? CELL_ELSEWHERE : cell, inodes);
    }
    return r;
}

static int add_image_sum(const struct ol_predicted_image *image, struct ol_engine_grid *grid)
{
    int r = set_label(grid, "", "the image");

    for (size_t i = 0; i < image->report.n_engines && r == 0; i++) {
        enum cell sum = CELL_COUNT;
        int64_t total = 0;

        for (size_t layer = 0; layer < image->report.image.n_layers; layer++) {
            int64_t inodes = 0;

            if (layer_cell(image, i, layer, &inodes) != CELL_COUNT)
                sum = CELL_UNKNOWN;
            total += inodes;
        }
        r = set_cell(grid, i, sum, total);
    }
    return r;
}

static bool has_phase(const struct ol_report *report, enum ol_phase phase)
{
    bool any = false;

    for (size_t i = 0; i < report->n_engines; i++) {
        const struct ol_report_phase *p = &report->found[i].phases[phase];

        any = any || (p->present && (p->predicted != 0 || !p->has_prediction));
    }
    return any;
}

/* One commit's share: the median where there are several. */
static int add_phase(const struct ol_report *report, enum ol_phase phase,
                     struct ol_engine_grid *grid)
{
    int r = has_phase(report, phase) ? set_label(grid, "  ", ol_phase_name(phase)) : 1;

    for (size_t i = 0; i < report->n_engines && r == 0; i++) {
        const struct ol_report_phase *p = &report->found[i].phases[phase];

        r = set_cell(grid, i, p->has_prediction ? CELL_COUNT : CELL_UNKNOWN, p->predicted);
    }
    return r < 0 ? r : 0;
}

static int add_commit(const struct ol_report *report, struct ol_engine_grid *grid)
{
    int r = set_label(grid, "", report->workload.commits > 1 ? "a commit (median)" : "a commit");

    for (enum ol_phase phase = OL_PHASE_CREATE; phase <= OL_PHASE_COMMIT && r == 0; phase++)
        r = add_phase(report, phase, grid);
    return r;
}

int ol_prediction_grid_image(const struct ol_prediction *prediction, size_t index, size_t width,
                             struct ol_engine_grid *ret)
{
    const struct ol_predicted_image *image = &prediction->images[index];
    int r = grid_init(prediction, "INODES", width, ret);

    for (size_t i = 0; i < image->report.history.count && r == 0; i++)
        r = add_build_step(image, index, i, ret);
    if (r == 0)
        r = add_image_sum(image, ret);
    return r < 0 || image->report.workload.replay || image->report.workload.commits == 0
               ? r
               : add_commit(&image->report, ret);
}

static int add_total(const struct ol_prediction *prediction, const char *label, bool only_whole,
                     size_t offset, struct ol_engine_grid *grid)
{
    int r = set_label(grid, label[0] == ' ' ? "  " : "", label);

    for (size_t i = 0; i < prediction->images[0].report.n_engines && r == 0; i++) {
        const struct ol_predicted_totals *totals = &prediction->totals[i];
        const int64_t *value = (const int64_t *)(const void *)((const char *)totals + offset);

        r = set_cell(grid, i, only_whole && !totals->whole ? CELL_UNKNOWN : CELL_COUNT, *value);
    }
    return r;
}

static const char *plural(size_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

int ol_prediction_grid_total(const struct ol_prediction *prediction, size_t width,
                             struct ol_engine_grid *ret)
{
    const struct ol_report_workload *work = &prediction->images[0].report.workload;
    size_t n = prediction->n_images;
    char label[64];
    int r = grid_init(prediction, "INODES, ALL TOGETHER", width, ret);

    (void)snprintf(label, sizeof label, "%zu %s", n,
                   plural(n, work->replay ? "base layer" : "image", "images"));
    if (r == 0)
        r = add_total(prediction, label, false, offsetof(struct ol_predicted_totals, image_inodes),
                      ret);
    if (r == 0 && n > 1)
        r = add_total(prediction, "  layers of one image only", false,
                      offsetof(struct ol_predicted_totals, exclusive_inodes), ret);
    (void)snprintf(label, sizeof label, "%zu %s", n * work->commits,
                   plural(n * work->commits, "commit, whole cycle", "commits, whole cycle"));
    if (r == 0 && work->commits > 0)
        r = add_total(prediction, label, true,
                      offsetof(struct ol_predicted_totals, workload_inodes), ret);
    (void)snprintf(label, sizeof label, "%zu %s", n * prediction->containers,
                   plural(n * prediction->containers, "container, mounted", "containers, mounted"));
    if (r == 0 && prediction->containers > 0)
        r = add_total(prediction, label, false,
                      offsetof(struct ol_predicted_totals, container_inodes), ret);
    if (r == 0)
        r = add_total(prediction, "peak", true, offsetof(struct ol_predicted_totals, peak_inodes),
                      ret);
    return r < 0 ? r
                 : add_total(prediction, "  inside a step, too", true,
                             offsetof(struct ol_predicted_totals, highest_inodes), ret);
}
