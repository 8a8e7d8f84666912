/* SPDX-License-Identifier: Apache-2.0 */
/* The looking half of "overlab layer": changes, ls, du, show. */
#include "cli/layer.h"
#include "cli/listing.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>

typedef int layer_look(struct ol_cli *cli, const struct layer_args *args,
                       struct layer_session *session, struct ol_error *err);

static int run(struct ol_cli *cli, struct layer_args *args, layer_look *look)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct layer_session session = {0};
    int r = layer_open(cli, args, LAYER_READ, &session, &err);

    if (r == 0)
        r = look(cli, args, &session, &err);
    layer_close(&session);
    layer_args_fini(args);
    return r < 0 ? ol_cli_fail(cli, r, &err) : OL_EXIT_OK;
}

static json_t *document(const char *schema, const struct layer_args *args)
{
    return json_pack("{ss, ss}", "schema", schema, "driver", args->driver);
}

/* ---- changes ---- */

static const char *kind_letter(enum ol_change_kind kind)
{
    static const char *const letters[] = {
        [OL_CHANGE_MODIFY] = "C", [OL_CHANGE_ADD] = "A", [OL_CHANGE_DELETE] = "D"};

    return letters[kind];
}

/* JSON texts are UTF-8: a path that is not gets a spelling in which every byte is two hex digits.
 */
static json_t *change_json(const struct ol_change *change)
{
    ol_auto_buf struct ol_buf hex = OL_BUF_INIT;
    json_t *json = json_pack("{ss, ss}", "kind", kind_letter(change->kind), "path", change->path);

    if (json != NULL)
        return json;
    for (const unsigned char *c = (const unsigned char *)change->path; *c != '\0'; c++) {
        if (ol_buf_printf(&hex, "%02x", *c) < 0)
            return NULL;
    }
    return json_pack("{ss, ss}", "kind", kind_letter(change->kind), "path_hex", ol_buf_str(&hex));
}

static int changes_json(const struct layer_args *args, const struct ol_changes *changes,
                        struct ol_error *err)
{
    json_t *json = document("overlab.layer.changes/1", args);
    json_t *list = json_array();

    if (json_object_set_new(json, "id", json_string(layer_id(args, 0))) < 0 ||
        json_object_set_new(json, "parent", json_pack("s?", layer_id(args, 1))) < 0 ||
        json_object_set_new(json, "changes", list) < 0)
        goto no_memory;
    for (size_t i = 0; i < changes->count; i++) {
        if (json_array_append_new(list, change_json(&changes->items[i])) < 0)
            goto no_memory;
    }
    return ol_cli_print_json(json, err);

no_memory:
    json_decref(json);
    return ol_error_nomem(err);
}

static int changes(struct ol_cli *cli, const struct layer_args *args, struct layer_session *session,
                   struct ol_error *err)
{
    ol_auto_changes struct ol_changes found = OL_CHANGES_INIT;
    int r = ol_driver_changes(session->drv, layer_id(args, 0), layer_id(args, 1), &found, err);

    if (r < 0)
        return r;
    if (cli->json)
        return changes_json(args, &found, err);
    for (size_t i = 0; i < found.count; i++) {
        printf("%s ", kind_letter(found.items[i].kind));
        ol_cli_put_visible(stdout, found.items[i].path, "\t\\");
        putchar('\n');
    }
    return 0;
}

int cmd_layer_changes(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(cli, argc, argv, false, 1, 2,
                     "Prints A (added), C (changed) or D (deleted) and the path, for what layer ID "
                     "does to PARENT; without PARENT everything it holds is added.",
                     &args))
        return cli->status;
    return run(cli, &args, changes);
}

/* ---- the ids of a home ---- */

struct id_list {
    char **ids; /* owned */
    size_t count;
};

static void id_list_fini(struct id_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->ids[i]);
    free(list->ids);
}
#define auto_id_list __attribute__((cleanup(id_list_fini)))

static int add_id(const char *id, void *data)
{
    struct id_list *list = data;
    char **grown = reallocarray(list->ids, list->count + 1, sizeof *grown);

    if (grown == NULL)
        return -ENOMEM;
    list->ids = grown;
    list->ids[list->count] = strdup(id);
    if (list->ids[list->count] == NULL)
        return -ENOMEM;
    list->count++;
    return 0;
}

/* The layers asked for, or all of them. */
static int collect_ids(struct layer_session *session, const struct layer_args *args,
                       struct id_list *ret, struct ol_error *err)
{
    int r = 0;

    if (args->n_ids == 0)
        return ol_driver_list(session->drv, add_id, ret, err);
    for (unsigned i = 0; i < args->n_ids && r == 0; i++) {
        if (!ol_driver_exists(session->drv, args->ids[i]))
            return ol_error_set(err, -ENOENT, "layer '%s' does not exist", args->ids[i]);
        r = add_id(args->ids[i], ret);
    }
    return r < 0 ? ol_error_nomem(err) : 0;
}

/* ---- ls ---- */

static int ls(struct ol_cli *cli, const struct layer_args *args, struct layer_session *session,
              struct ol_error *err)
{
    auto_id_list struct id_list list = {0};
    json_t *json;
    json_t *layers;
    int r = collect_ids(session, args, &list, err);

    if (r < 0)
        return r;
    if (!cli->json) {
        for (size_t i = 0; i < list.count; i++)
            puts(list.ids[i]);
        return 0;
    }
    json = document("overlab.layer.ls/1", args);
    layers = json_array();
    r = json_object_set_new(json, "layers", layers);
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = json_array_append_new(layers, json_string(list.ids[i]));
    if (r == 0)
        return ol_cli_print_json(json, err);
    json_decref(json);
    return ol_error_nomem(err);
}

int cmd_layer_ls(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(cli, argc, argv, false, 0, 0, NULL, &args))
        return cli->status;
    return run(cli, &args, ls);
}

/* ---- du ---- */

static json_t *usage_json(const char *id, const struct ol_tree_usage *usage)
{
    return json_pack("{ss?, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI}", "id", id, "inodes",
                     (json_int_t)usage->inodes, "directory", (json_int_t)usage->directories,
                     "regular", (json_int_t)usage->regular, "symlink", (json_int_t)usage->symlinks,
                     "device", (json_int_t)usage->devices, "fifo", (json_int_t)usage->fifos,
                     "whiteout", (json_int_t)usage->whiteouts, "shared", (json_int_t)usage->shared,
                     "bytes", (json_int_t)usage->bytes, "apparent_bytes",
                     (json_int_t)usage->apparent_bytes);
}

static int usage_row(struct ol_listing *listing, const char *name,
                     const struct ol_tree_usage *usage, struct ol_error *err)
{
    const uint64_t numbers[] = {usage->inodes,   usage->directories, usage->regular,
                                usage->symlinks, usage->whiteouts,   usage->shared,
                                usage->bytes};
    int r = ol_listing_row(listing, err);

    if (r == 0)
        r = ol_listing_cell(listing, err, "%s", name);
    for (size_t i = 0; i < OL_ARRAY_LEN(numbers) && r == 0; i++)
        r = ol_listing_cell(listing, err, "%" PRIu64, numbers[i]);
    return r;
}

/* One layer's directory below the home. Drivers that keep layers elsewhere say so in "WorkDir"…;
 * the home's own "dir" is vfs's (moby). */
static int layer_usage(const struct layer_session *session, const char *id,
                       struct ol_tree_usage *ret, struct ol_error *err)
{
    ol_auto_fd int home_fd = ol_fs_open_dir(AT_FDCWD, session->home);
    ol_auto_fd int dir_fd = home_fd < 0 ? -1 : ol_fs_open_dir(home_fd, "dir");
    ol_auto_fd int fd = -1;

    if (home_fd < 0)
        return ol_error_sys(err, -home_fd, "cannot open '%s'", session->home);
    fd = ol_fs_open_dir(dir_fd >= 0 ? dir_fd : home_fd, id);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open layer '%s'", id);
    return ol_tree_usage(fd, false, ret, err);
}

static int home_usage(const struct layer_session *session, struct ol_tree_usage *ret,
                      struct ol_error *err)
{
    ol_auto_fd int fd = ol_fs_open_dir(AT_FDCWD, session->home);

    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s'", session->home);
    return ol_tree_usage(fd, false, ret, err);
}

static int du_json(const struct layer_args *args, const struct layer_session *session,
                   const struct id_list *list, struct ol_error *err)
{
    json_t *json = document("overlab.layer.du/1", args);
    json_t *layers = json_array();
    struct ol_tree_usage usage;
    int r = json_object_set_new(json, "layers", layers) < 0 ? ol_error_nomem(err) : 0;

    for (size_t i = 0; i < list->count && r == 0; i++) {
        r = layer_usage(session, list->ids[i], &usage, err);
        if (r == 0 && json_array_append_new(layers, usage_json(list->ids[i], &usage)) < 0)
            r = ol_error_nomem(err);
    }
    if (r == 0)
        r = home_usage(session, &usage, err);
    if (r == 0 && json_object_set_new(json, "home", usage_json(NULL, &usage)) < 0)
        r = ol_error_nomem(err);
    if (r == 0)
        return ol_cli_print_json(json, err);
    json_decref(json);
    return r;
}

static int du_table(const struct layer_session *session, const struct id_list *list,
                    struct ol_error *err)
{
    static const struct ol_listing_column columns[] = {
        {"LAYER", false},   {"INODES", true},    {"DIRS", true},   {"FILES", true},
        {"SYMLINKS", true}, {"WHITEOUTS", true}, {"SHARED", true}, {"BYTES", true},
    };
    struct ol_listing *listing = NULL;
    struct ol_tree_usage usage;
    int r = ol_listing_new(columns, OL_ARRAY_LEN(columns), &listing, err);

    for (size_t i = 0; i < list->count && r == 0; i++) {
        r = layer_usage(session, list->ids[i], &usage, err);
        if (r == 0)
            r = usage_row(listing, list->ids[i], &usage, err);
    }
    if (r == 0)
        r = home_usage(session, &usage, err);
    if (r == 0)
        r = usage_row(listing, "(whole home)", &usage, err);
    if (r == 0)
        r = ol_listing_print(listing, err);
    ol_listing_free(listing);
    return r;
}

static int du(struct ol_cli *cli, const struct layer_args *args, struct layer_session *session,
              struct ol_error *err)
{
    auto_id_list struct id_list list = {0};
    int r = collect_ids(session, args, &list, err);

    if (r < 0)
        return r;
    return cli->json ? du_json(args, session, &list, err) : du_table(session, &list, err);
}

int cmd_layer_du(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(
            cli, argc, argv, false, 0, 4096,
            "Each layer is counted on its own, the home with every inode once: SHARED ones "
            "have more names than were found, so other layers hold them too.",
            &args))
        return cli->status;
    return run(cli, &args, du);
}

/* ---- show ---- */

static int show_json(const struct layer_args *args, const struct ol_pairs *pairs,
                     const struct ol_tree_usage *usage, struct ol_error *err)
{
    json_t *json = document("overlab.layer.show/1", args);
    json_t *metadata = json_object();

    if (json_object_set_new(json, "id", json_string(layer_id(args, 0))) < 0 ||
        json_object_set_new(json, "metadata", metadata) < 0 ||
        json_object_set_new(json, "usage", usage_json(layer_id(args, 0), usage)) < 0)
        goto no_memory;
    for (size_t i = 0; i < pairs->count; i++) {
        if (json_object_set_new(metadata, pairs->items[i].key, json_string(pairs->items[i].value)) <
            0)
            goto no_memory;
    }
    return ol_cli_print_json(json, err);

no_memory:
    json_decref(json);
    return ol_error_nomem(err);
}

static int show(struct ol_cli *cli, const struct layer_args *args, struct layer_session *session,
                struct ol_error *err)
{
    ol_auto_pairs struct ol_pairs pairs = {0};
    struct ol_tree_usage usage;
    const char *id = layer_id(args, 0);
    int r;

    if (!ol_driver_exists(session->drv, id))
        return ol_error_set(err, -ENOENT, "layer '%s' does not exist", id);
    r = ol_driver_metadata(session->drv, id, &pairs, err);
    if (r == 0)
        r = layer_usage(session, id, &usage, err);
    if (r < 0)
        return r;
    if (cli->json)
        return show_json(args, &pairs, &usage, err);
    printf("Layer: %s\nDriver: %s\n", id, args->driver);
    for (size_t i = 0; i < pairs.count; i++)
        printf("%s: %s\n", pairs.items[i].key, pairs.items[i].value);
    printf("Inodes: %" PRIu64 "\nShared inodes: %" PRIu64 "\nBytes: %" PRIu64 "\n", usage.inodes,
           usage.shared, usage.bytes);
    return 0;
}

int cmd_layer_show(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(cli, argc, argv, false, 1, 1, NULL, &args))
        return cli->status;
    return run(cli, &args, show);
}
