/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab snapshot …", the half that looks: ls, tree, info, usage, check. */
#include "cli/listing.h"
#include "cli/snapshot.h"

#include "bench/report/json_put.h"
#include "common/cleanup.h"
#include "common/time_text.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>

/* ---- all snapshots ---- */

struct shown {
    char *name, *parent; /* owned */
    enum ol_snapshot_kind kind;
    char created[40];
    json_t *json;               /* owned; NULL unless JSON is wanted */
    struct libscols_line *line; /* borrowed from the table */
};

struct shown_list {
    struct shown *items; /* owned */
    size_t count;
    bool want_json;
};

static void shown_list_fini(struct shown_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].parent);
        json_decref(list->items[i].json);
    }
    free(list->items);
}
#define auto_shown_list __attribute__((cleanup(shown_list_fini)))

static int add_shown(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    struct shown_list *list = data;
    struct shown *grown = reallocarray(list->items, list->count + 1, sizeof *grown);
    struct shown *item;

    if (grown == NULL)
        return ol_error_nomem(err);
    list->items = grown;
    item = &grown[list->count++];
    *item = (struct shown){.name = strdup(info->name), .parent = strdup(info->parent)};
    item->kind = info->kind;
    ol_time_text(&info->created, false, item->created);
    if (list->want_json)
        item->json = snapshot_info_json(info);
    if (item->name == NULL || item->parent == NULL || (list->want_json && item->json == NULL))
        return ol_error_nomem(err);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct shown *)a)->name, ((const struct shown *)b)->name);
}

/* Sorted by name; a store nothing was ever put into has none. */
static int collect(struct ol_snapshots *sn, const struct snapshot_args *args,
                   struct shown_list *ret, struct ol_error *err)
{
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = ol_snapshots_walk(sn, (const char *const *)args->words, args->n_words, add_shown, ret,
                              &why);

    if (r < 0 && r != -ENOENT) {
        ol_error_move(err, &why);
        return r;
    }
    if (ret->count > 0)
        qsort(ret->items, ret->count, sizeof *ret->items, by_name);
    return 0;
}

static int print_list_json(const char *schema, struct shown_list *list, struct ol_error *err)
{
    json_t *array = json_array();
    json_t *json = json_pack("{ss, sO}", "schema", schema, "snapshots", array);
    int r = json != NULL ? 0 : -1;

    for (size_t i = 0; i < list->count && r == 0; i++)
        r = json_array_append(array, list->items[i].json);
    json_decref(array);
    if (r < 0) {
        json_decref(json);
        json = NULL;
    }
    return ol_cli_print_json(json, err);
}

/* ---- ls ---- */

static int ls(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
              struct ol_error *err)
{
    static const struct ol_listing_column columns[] = {
        {"KEY", false}, {"PARENT", false}, {"KIND", false}, {"CREATED", false}};
    auto_shown_list struct shown_list list = {.want_json = cli->json};
    struct ol_listing *listing = NULL;
    int r = collect(sn, args, &list, err);

    if (r < 0)
        return r;
    if (cli->json)
        return print_list_json("overlab.snapshot.ls/1", &list, err);
    r = ol_listing_new(columns, OL_ARRAY_LEN(columns), &listing, err);
    for (size_t i = 0; i < list.count && r == 0; i++) {
        const struct shown *item = &list.items[i];
        const char *const cells[] = {item->name, item->parent, ol_snapshot_kind_name(item->kind),
                                     item->created};

        r = ol_listing_row(listing, err);
        for (size_t c = 0; c < OL_ARRAY_LEN(cells) && r == 0; c++)
            r = ol_listing_cell(listing, err, "%s", cells[c]);
    }
    if (r == 0)
        r = ol_listing_print(listing, err);
    ol_listing_free(listing);
    return r;
}

int cmd_snapshot_ls(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 0, 64,
                        "With filters, those that one of them matches. A filter is selectors "
                        "joined by commas: FIELD, FIELD==VALUE, FIELD!=VALUE, FIELD~=REGEX, with "
                        "the fields kind, name, parent and labels.KEY, for example "
                        "'kind==committed,parent==\"\"'.",
                        &args))
        return cli->status;
    return snapshot_run(cli, &args, false, ls);
}

/* ---- tree ---- */

static struct shown *find(struct shown_list *list, const char *name)
{
    const struct shown key = {.name = strdupa(name)};

    return list->count == 0 ? NULL
                            : bsearch(&key, list->items, list->count, sizeof *list->items, by_name);
}

/* The line of a snapshot; those of its ancestors are made before it. */
static int add_line(struct libscols_table *table, struct shown_list *list, struct shown *item)
{
    struct shown *above = item->parent[0] != '\0' ? find(list, item->parent) : NULL;

    if (item->line != NULL)
        return 0;
    if (above != NULL && add_line(table, list, above) < 0)
        return -ENOMEM;
    item->line = scols_table_new_line(table, above != NULL ? above->line : NULL);
    if (item->line == NULL || scols_line_set_data(item->line, 0, item->name) != 0 ||
        scols_line_set_data(item->line, 1, ol_snapshot_kind_name(item->kind)) != 0)
        return -ENOMEM;
    return 0;
}

static int print_tree(struct shown_list *list, struct ol_error *err)
{
    struct libscols_table *table = scols_new_table();
    ol_auto_free char *text = NULL;
    int r = table != NULL && scols_table_new_column(table, "KEY", 0, SCOLS_FL_TREE) != NULL &&
                    scols_table_new_column(table, "KIND", 0, 0) != NULL
                ? 0
                : -ENOMEM;

    if (r == 0)
        (void)scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER); /* no name is cut */
    for (size_t i = 0; i < list->count && r == 0; i++)
        r = add_line(table, list, &list->items[i]);
    if (r == 0 && list->count > 0) {
        r = scols_print_table_to_string(table, &text) != 0 ? -ENOMEM : 0;
        if (r == 0)
            printf("%s\n", text);
    }
    scols_unref_table(table);
    return r < 0 ? ol_error_nomem(err) : 0;
}

static int tree(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                struct ol_error *err)
{
    auto_shown_list struct shown_list list = {.want_json = cli->json};
    int r = collect(sn, args, &list, err);

    if (r < 0)
        return r;
    return cli->json ? print_list_json("overlab.snapshot.tree/1", &list, err)
                     : print_tree(&list, err);
}

int cmd_snapshot_tree(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 0, 64,
                        "Children stand below their parents. Filters as in 'overlab snapshot ls'.",
                        &args))
        return cli->status;
    return snapshot_run(cli, &args, false, tree);
}

/* ---- info ---- */

static int info_json(const struct ol_snapshot_info *info, const struct ol_snapshot_usage *usage,
                     struct ol_error *err)
{
    json_t *json = snapshot_info_json(info);

    if (json != NULL &&
        (json_object_set_new(json, "schema", json_string("overlab.snapshot.info/1")) < 0 ||
         json_object_set_new(json, "inodes", json_integer(usage->inodes)) < 0 ||
         json_object_set_new(json, "bytes", json_integer(usage->size_bytes)) < 0)) {
        json_decref(json);
        json = NULL;
    }
    return ol_cli_print_json(json, err);
}

static int info(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info found = {0};
    struct ol_snapshot_usage usage;
    char created[40];
    char updated[40];
    int r = ol_snapshots_stat(sn, snapshot_word(args, 0), &found, err);

    if (r == 0)
        r = ol_snapshots_usage(sn, snapshot_word(args, 0), &usage, err);
    if (r < 0)
        return r;
    if (cli->json)
        return info_json(&found, &usage, err);
    ol_time_text(&found.created, true, created);
    ol_time_text(&found.updated, true, updated);
    printf("Name: %s\nKind: %s\nParent: %s\nCreated: %s\nUpdated: %s\nInodes: %" PRId64
           "\nBytes: %" PRId64 "\n",
           found.name, ol_snapshot_kind_name(found.kind), found.parent, created, updated,
           usage.inodes, usage.size_bytes);
    for (size_t i = 0; i < found.labels.count; i++)
        printf("Label: %s=%s\n", found.labels.items[i].key, found.labels.items[i].value);
    return 0;
}

int cmd_snapshot_info(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 1, 1, NULL, &args))
        return cli->status;
    return snapshot_run(cli, &args, false, info);
}

/* ---- usage ---- */

static int usage_row(struct ol_listing *listing, const char *name,
                     const struct ol_snapshot_usage *usage, struct ol_error *err)
{
    int r = ol_listing_row(listing, err);

    if (r == 0)
        r = ol_listing_cell(listing, err, "%s", name);
    if (r == 0)
        r = ol_listing_cell(listing, err, "%" PRId64, usage->inodes);
    return r == 0 ? ol_listing_cell(listing, err, "%" PRId64, usage->size_bytes) : r;
}

static int usage_json(json_t *array, const char *name, const struct ol_snapshot_usage *usage)
{
    json_t *row = json_pack("{sI, sI}", "inodes", (json_int_t)usage->inodes, "bytes",
                            (json_int_t)usage->size_bytes);

    if (row != NULL && ol_json_put_bytes(row, "name", name) == 0)
        return json_array_append_new(array, row);
    json_decref(row);
    return -1;
}

static int usage(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                 struct ol_error *err)
{
    static const struct ol_listing_column columns[] = {
        {"KEY", false}, {"INODES", true}, {"BYTES", true}};
    static const struct snapshot_args all;
    auto_shown_list struct shown_list list = {0};
    struct ol_listing *listing = NULL;
    json_t *rows = json_array();
    size_t count = args->n_words;
    int r = ol_listing_new(columns, OL_ARRAY_LEN(columns), &listing, err);

    if (r == 0 && count == 0) {
        r = collect(sn, &all, &list, err);
        count = list.count;
    }
    for (size_t i = 0; i < count && r == 0; i++) {
        const char *name = args->n_words > 0 ? args->words[i] : list.items[i].name;
        struct ol_snapshot_usage found;

        r = ol_snapshots_usage(sn, name, &found, err);
        if (r == 0)
            r = usage_row(listing, name, &found, err);
        if (r == 0 && usage_json(rows, name, &found) < 0)
            r = ol_error_nomem(err);
    }
    if (r == 0)
        r = cli->json ? ol_cli_print_json(json_pack("{ss, sO}", "schema",
                                                    "overlab.snapshot.usage/1", "snapshots", rows),
                                          err)
                      : ol_listing_print(listing, err);
    json_decref(rows);
    ol_listing_free(listing);
    return r;
}

int cmd_snapshot_usage(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 0, 4096,
                        "What each snapshot holds by itself, in inodes and allocated bytes: an "
                        "active one is measured now, a committed one was when it was committed, a "
                        "view has none.",
                        &args))
        return cli->status;
    return snapshot_run(cli, &args, false, usage);
}

/* ---- check ---- */

static void print_problem(const char *text, void *data)
{
    (void)data;
    puts(text);
}

static int check(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                 struct ol_error *err)
{
    unsigned orphans = 0;
    int r = ol_snapshots_check(sn, print_problem, NULL, &orphans, err);

    (void)args;
    if (r < 0)
        return r;
    if (orphans > 0)
        ol_cli_note(cli,
                    "%u directories without a snapshot: 'overlab snapshot cleanup' removes them",
                    orphans);
    return r > 0 ? ol_error_set(err, -EUCLEAN, "%d findings", r) : 0;
}

int cmd_snapshot_check(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 0, 0,
                        "Holds the metadata against itself and against the directories, and prints "
                        "one line per finding.",
                        &args))
        return cli->status;
    return snapshot_run(cli, &args, false, check);
}
