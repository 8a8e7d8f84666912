/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab image history": the build steps of an image, as docker history shows them, and with
 * --inodes what each of them costs under each driver, where those inodes lie, most expensive first.
 * The image is a file, or one of the data root's.
 */
#include "cli/engine.h"
#include "cli/listing.h"
#include "cli/stored.h"

#include "bench/harness/image_cost.h"
#include "bench/report/human.h"
#include "bench/report/json_put.h"
#include "common/cleanup.h"
#include "store/image.h"
#include "store/image_history.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

enum { KEY_INODES = 0x500000, KEY_SORT, KEY_TOP, KEY_NO_TRUNC };

enum { WIDTH = 80, TOP_DEFAULT = 3 };

enum sort { SORT_ORDER, SORT_INODES, SORT_BYTES };

/* The drivers that are shown, in this order. */
static const struct {
    const char *name, *heading;
    enum ol_law law;
} shown[] = {
    {"overlay", "OVERLAY", OL_LAW_OVERLAY},
    {"overlay2", "OVERLAY2", OL_LAW_OVERLAY2},
    {"vfs", "VFS", OL_LAW_VFS},
    {"snapshot", "SNAPSHOT", OL_LAW_SNAPSHOT},
};

struct history_args {
    const char *image;
    struct engine_args engine;
    bool inodes, no_trunc;
    enum sort sort;
    bool sort_given, top_given;
    size_t top;
};

/* Everything there is to print. */
struct blame {
    const struct history_args *args;
    char id[OL_DIGEST_SIZE];
    struct ol_image_history history; /* owned */
    struct ol_image_cost cost;       /* owned */
    size_t *order;                   /* owned; steps as they are shown */
};

static void blame_fini(struct blame *b)
{
    ol_image_history_fini(&b->history);
    ol_image_cost_fini(&b->cost);
    free(b->order);
}

/* ---- arguments ---- */

static bool take_sort(struct ol_cli *cli, const char *arg, struct history_args *args)
{
    static const char *const names[] = {"order", "inodes", "bytes"};

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        if (strcmp(arg, names[i]) == 0) {
            args->sort = (enum sort)i;
            args->sort_given = true;
            return true;
        }
    }
    (void)ol_cli_usage(cli, "--sort must be order, inodes or bytes, not '%s'", arg);
    return false;
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct history_args *args = data;
    uint64_t top = 0;

    switch (key) {
    case OL_CLI_ARGUMENT:
        args->image = arg;
        return true;
    case 'd':
    case ENGINE_KEY_VIEW:
        return engine_take(cli, &args->engine, key, arg);
    case KEY_INODES:
        args->inodes = true;
        return true;
    case KEY_SORT:
        return take_sort(cli, arg, args);
    case KEY_TOP:
        if (!ol_cli_number(cli, "--top", arg, false, 0, OL_COST_TOP_MAX, &top))
            return false;
        args->top = (size_t)top;
        args->top_given = true;
        return true;
    default:
        args->no_trunc = true;
        return true;
    }
}

static bool parse(struct ol_cli *cli, int argc, char **argv, struct history_args *args)
{
    static const struct argp_option options[] = {
        {"inodes", KEY_INODES, NULL, 0,
         "what each step costs under each driver: inodes and bytes of file contents, predicted "
         "from the headers of its layer",
         0},
        {"sort", KEY_SORT, "order|inodes|bytes", 0,
         "with --inodes: order (newest first), inodes or bytes under overlay2 (default: inodes)",
         0},
        {"top", KEY_TOP, "N", 0, "with --inodes: directories named for each step (3)", 0},
        {"no-trunc", KEY_NO_TRUNC, NULL, 0, "whole ids and texts", 0},
        ENGINE_OPTION_DRIVER,
        ENGINE_OPTION_VIEW,
        {0},
    };
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = args,
        .min_arguments = 1,
        .max_arguments = 1,
        .help = "IMAGE is the path of a docker-archive, an OCI layout or a root file system, as "
                "PATH or PATH#NAME, '-' for the standard input, or else the name or id of an image "
                "in the data root. Nothing "
                "is unpacked.",
    };

    *args = (struct history_args){
        .engine = ENGINE_ARGS_INIT, .sort = SORT_INODES, .top = TOP_DEFAULT};
    if (!ol_cli_parse(cli, &syntax, argc, argv))
        return false;
    if (args->inodes || (!args->sort_given && !args->top_given))
        return true;
    (void)ol_cli_usage(cli, "%s is about --inodes, which is missing",
                       args->sort_given ? "--sort" : "--top");
    return false;
}

/* ---- reading the image ---- */

static int start(struct blame *b, const struct ol_image_config *config, size_t layers,
                 struct ol_error *err)
{
    int r = ol_image_history_get(config, layers, &b->history, err);

    return r < 0 ? r
                 : ol_image_cost_init(&b->cost, layers, b->args->inodes ? b->args->top : 0, err);
}

static int read_file_layer(struct blame *b, const struct ol_image *image, size_t index,
                           struct ol_error *err)
{
    struct ol_image_stream stream;
    int closed;
    int r = ol_image_layer_open(image, index, &stream, err);

    if (r < 0)
        return r;
    r = ol_image_cost_add(&b->cost, &stream.input, err);
    closed = ol_image_layer_close(&stream, r < 0 ? NULL : err);
    return r < 0 ? ol_error_wrap(err, r, "layer %zu", index) : closed;
}

static int read_image(struct blame *b, const struct ol_image *image, struct ol_error *err)
{
    size_t layers = ol_image_layer_count(image);
    int r = start(b, ol_image_config_of(image), layers, err);

    for (size_t i = 0; i < layers && r == 0; i++)
        r = ol_cli_cancelled() ? ol_error_set(err, -ECANCELED, "interrupted")
                               : read_file_layer(b, image, i, err);
    memcpy(b->id, ol_image_id(image), sizeof b->id);
    return r;
}

/* @param images  where it is; NULL: in a file */
static int open_and_read(struct blame *b, struct ol_images *images, struct ol_error *err)
{
    struct ol_image *image = NULL;
    int r;

    if (images == NULL)
        ol_cli_cancel_image(b->args->image);
    r = images != NULL ? ol_image_open_stored(images, b->args->image, &image, err)
                       : ol_image_open(b->args->image, ol_cli_tmp_dir(), &image, err);
    if (r == 0)
        r = read_image(b, image, err);
    ol_image_free(image);
    return r;
}

/* ---- order ---- */

static const struct ol_layer_cost *cost_of(const struct blame *b, size_t step)
{
    int layer = b->history.steps[step].layer;

    return layer == OL_STEP_NO_LAYER ? NULL : &b->cost.layers[layer];
}

static uint64_t weight(const struct blame *b, size_t step)
{
    const struct ol_layer_cost *cost = cost_of(b, step);

    if (cost == NULL)
        return 0;
    return b->args->sort == SORT_BYTES ? cost->under[OL_LAW_OVERLAY2].bytes
                                       : (uint64_t)cost->under[OL_LAW_OVERLAY2].inodes;
}

/* Newest first, or most expensive first; of equal ones the newer. */
static int compare_steps(const void *a, const void *b, void *data)
{
    const struct blame *blame = data;
    size_t x = *(const size_t *)a;
    size_t y = *(const size_t *)b;
    uint64_t wx = 0;
    uint64_t wy = 0;

    if (blame->args->inodes && blame->args->sort != SORT_ORDER) {
        wx = weight(blame, x);
        wy = weight(blame, y);
    }
    if (wx != wy)
        return wx < wy ? 1 : -1;
    return (x < y) - (x > y);
}

static int sort_steps(struct blame *b, struct ol_error *err)
{
    size_t count = b->history.count;

    b->order = calloc(count + 1, sizeof *b->order);
    if (b->order == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < count; i++)
        b->order[i] = i;
    if (count > 1)
        qsort_r(b->order, count, sizeof *b->order, compare_steps, b);
    return 0;
}

/* ---- text ---- */

/* One line of what the step ran, cut to max unless --no-trunc. */
static int one_line(const struct blame *b, const char *text, size_t max, struct ol_buf *ret)
{
    ol_buf_truncate(ret, 0);
    return ol_text_one_line(text, b->args->no_trunc ? SIZE_MAX : max, ret);
}

static int add_id(const struct blame *b, struct ol_listing *listing, size_t step,
                  struct ol_error *err)
{
    const char *hex = b->id[0] != '\0' ? ol_digest_hex(b->id) : "<missing>";
    int len = b->args->no_trunc ? OL_HEX_SIZE : 12;

    if (step + 1 < b->history.count) /* only the newest step is an image of its own */
        return ol_listing_cell(listing, err, "<missing>");
    return ol_listing_cell(listing, err, "%.*s", len, hex);
}

static int add_history_row(const struct blame *b, struct ol_listing *listing, size_t index,
                           bool comments, struct ol_error *err)
{
    const struct ol_image_step *step = &b->history.steps[index];
    const struct ol_layer_cost *cost = cost_of(b, index);
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_listing_row(listing, err);

    if (r == 0)
        r = add_id(b, listing, index, err);
    if (r == 0)
        r = ol_listing_cell(listing, err, "%.19s", step->created);
    if (r == 0 && one_line(b, step->created_by, comments ? 21 : 31, &text) < 0)
        r = ol_error_nomem(err);
    if (r == 0)
        r = ol_listing_cell(listing, err, "%s", ol_buf_str(&text));
    ol_buf_truncate(&text, 0);
    if (r == 0 &&
        ol_human_bytes(&text, cost == NULL ? 0 : (int64_t)cost->under[OL_LAW_OVERLAY2].bytes))
        r = ol_error_nomem(err);
    if (r == 0)
        r = ol_listing_cell(listing, err, "%s", ol_buf_str(&text));
    if (r == 0 && one_line(b, step->comment, 10, &text) < 0)
        r = ol_error_nomem(err);
    return r < 0 || !comments ? r : ol_listing_cell(listing, err, "%s", ol_buf_str(&text));
}

static int print_history(const struct blame *b, struct ol_error *err)
{
    static const struct ol_listing_column columns[] = {
        {"IMAGE", false}, {"CREATED", false}, {"CREATED BY", false},
        {"SIZE", true},   {"COMMENT", false},
    };
    struct ol_listing *listing = NULL;
    bool comments = false;
    int r;

    for (size_t i = 0; i < b->history.count; i++)
        comments = comments || b->history.steps[i].comment[0] != '\0';
    r = ol_listing_new(columns, OL_ARRAY_LEN(columns) - (comments ? 0 : 1), &listing, err);
    for (size_t i = 0; i < b->history.count && r == 0; i++)
        r = add_history_row(b, listing, b->order[i], comments, err);
    if (r == 0)
        r = ol_listing_print(listing, err);
    ol_listing_free(listing);
    return r;
}

static int add_human(struct ol_listing *listing, bool bytes, int64_t value, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = bytes ? ol_human_bytes(&text, value) : ol_human_count(&text, value);

    return r < 0 ? ol_error_nomem(err) : ol_listing_cell(listing, err, "%s", ol_buf_str(&text));
}

/* A step without a layer costs nothing anywhere. */
static int add_cost_row(const struct blame *b, struct ol_listing *listing, size_t step,
                        struct ol_error *err)
{
    const struct ol_layer_cost *cost = cost_of(b, step);
    int r = ol_listing_row(listing, err);

    if (r == 0)
        r = ol_listing_cell(listing, err, "%zu", step);
    for (size_t i = 0; i < OL_ARRAY_LEN(shown) && r == 0; i++)
        r = add_human(listing, false, cost == NULL ? 0 : cost->under[shown[i].law].inodes, err);
    if (r == 0)
        r = add_human(listing, true, cost == NULL ? 0 : (int64_t)cost->under[OL_LAW_OVERLAY2].bytes,
                      err);
    return r < 0 ? r
                 : add_human(listing, true,
                             cost == NULL ? 0 : (int64_t)cost->under[OL_LAW_VFS].bytes, err);
}

static int print_dirs(const struct ol_layer_cost *cost, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < cost->n_dirs && r == 0; i++) {
        ol_auto_buf struct ol_buf text = OL_BUF_INIT;

        r = ol_text_blamed_dir(&cost->dirs[i], WIDTH - 32, &text);
        if (r == 0)
            printf("        %s\n", ol_buf_str(&text));
    }
    return r < 0 ? ol_error_nomem(err) : 0;
}

static int print_steps(const struct blame *b, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = 0;

    for (size_t i = 0; i < b->history.count && r == 0; i++) {
        const struct ol_image_step *step = &b->history.steps[b->order[i]];
        const struct ol_layer_cost *cost = cost_of(b, b->order[i]);

        if (one_line(b, step->created_by[0] != '\0' ? step->created_by : "(not told)", WIDTH - 6,
                     &text) < 0)
            return ol_error_nomem(err);
        printf("%4zu  %s\n", b->order[i], ol_buf_str(&text));
        if (cost != NULL)
            r = print_dirs(cost, err);
    }
    return r;
}

static int print_blame(const struct blame *b, struct ol_error *err)
{
    static const struct ol_listing_column columns[] = {
        {"STEP", true},     {"OVERLAY", true}, {"OVERLAY2", true},  {"VFS", true},
        {"SNAPSHOT", true}, {"BYTES", true},   {"VFS BYTES", true},
    };
    struct ol_listing *listing = NULL;
    int r = ol_listing_new(columns, OL_ARRAY_LEN(columns), &listing, err);

    for (size_t i = 0; i < b->history.count && r == 0; i++)
        r = add_cost_row(b, listing, b->order[i], err);
    if (r == 0)
        r = ol_listing_print(listing, err);
    ol_listing_free(listing);
    if (r < 0)
        return r;
    putchar('\n');
    return print_steps(b, err);
}

/* ---- JSON ---- */

static json_t *path_json(const struct ol_blamed_dir *dir)
{
    json_t *json = json_pack("{sI, sI}", "inodes", (json_int_t)dir->inodes, "bytes",
                             (json_int_t)dir->bytes);

    if (json != NULL && ol_json_put_bytes(json, "path", dir->path) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static int add_costs_json(json_t *item, const struct ol_layer_cost *cost)
{
    json_t *costs = json_object();
    json_t *dirs = json_array();
    int r = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(shown) && r == 0 && cost != NULL; i++)
        r = json_object_set_new(costs, shown[i].name,
                                json_pack("{sI, sI}", "inodes",
                                          (json_int_t)cost->under[shown[i].law].inodes, "bytes",
                                          (json_int_t)cost->under[shown[i].law].bytes));
    for (size_t i = 0; cost != NULL && i < cost->n_dirs && r == 0; i++)
        r = json_array_append_new(dirs, path_json(&cost->dirs[i]));
    if (json_object_set_new(item, "costs", costs) < 0)
        r = -1;
    return json_object_set_new(item, "directories", dirs) < 0 ? -1 : r;
}

static json_t *step_json(const struct blame *b, size_t index)
{
    const struct ol_image_step *step = &b->history.steps[index];
    const struct ol_layer_cost *cost = cost_of(b, index);
    json_t *item = json_pack(
        "{sI, ss, ss, ss, so, sI}", "step", (json_int_t)index, "created", step->created,
        "created_by", step->created_by, "comment", step->comment, "layer",
        step->layer == OL_STEP_NO_LAYER ? json_null() : json_integer(step->layer), "bytes",
        cost == NULL ? (json_int_t)0 : (json_int_t)cost->under[OL_LAW_OVERLAY2].bytes);

    if (item != NULL && b->args->inodes && add_costs_json(item, cost) < 0) {
        json_decref(item);
        return NULL;
    }
    return item;
}

static int print_json(const struct blame *b, struct ol_error *err)
{
    json_t *steps = json_array();
    json_t *json = json_pack("{ss, ss, so}", "schema", "overlab.image.history/1", "id", b->id,
                             "steps", steps);
    int r = json == NULL ? -1 : 0;

    for (size_t i = 0; i < b->history.count && r == 0; i++)
        r = json_array_append_new(steps, step_json(b, b->order[i]));
    if (r < 0) {
        json_decref(json);
        json = NULL;
    }
    return ol_cli_print_json(json, err);
}

static int print(const struct ol_cli *cli, struct blame *b, struct ol_error *err)
{
    int r = sort_steps(b, err);

    if (r < 0)
        return r;
    if (cli->json)
        return print_json(b, err);
    return b->args->inodes ? print_blame(b, err) : print_history(b, err);
}

/* ---- the command ---- */

static int read_from_store(struct ol_cli *cli, struct blame *b, struct ol_error *err)
{
    const struct history_args *args = b->args;
    struct stored *stored = NULL;
    int r = stored_open(cli, args->image, args->engine.driver, args->engine.view, &stored, err);

    if (r == 0)
        r = open_and_read(b, stored_images(stored), err);
    stored_close(stored);
    return r;
}

int cmd_image_history(struct ol_cli *cli, int argc, char **argv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct history_args args;
    __attribute__((cleanup(blame_fini))) struct blame b = {.args = &args};
    int r;

    if (!parse(cli, argc, argv, &args))
        return cli->status;
    r = ol_image_is_path(args.image) ? open_and_read(&b, NULL, &err)
                                     : read_from_store(cli, &b, &err);
    if (r == 0)
        r = print(cli, &b, &err);
    return r < 0 ? ol_cli_fail(cli, r, &err) : OL_EXIT_OK;
}
