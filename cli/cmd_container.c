/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab container …" and "overlab commit": the containers of the data root. */
#include "cli/container.h"
#include "cli/listing.h"

#include "common/cleanup.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <string.h>

typedef int container_fn(struct ol_cli *cli, const struct container_args *args,
                         struct ol_engine *engine, struct ol_error *err);

/* Open, run, close; the error becomes the exit status. */
static int run(struct ol_cli *cli, struct container_args *args, enum layer_need need,
               container_fn *fn)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_engine *engine = NULL;
    int r = engine_open(cli, args->engine.driver, args->engine.view, need, &engine, &err);

    if (r == 0)
        r = fn(cli, args, engine, &err);
    ol_engine_close(engine);
    container_args_fini(args);
    return r < 0 ? ol_cli_fail(cli, r, &err) : OL_EXIT_OK;
}

/* ---- create ---- */

static int create(struct ol_cli *cli, const struct container_args *args, struct ol_engine *engine,
                  struct ol_error *err)
{
    struct ol_container_spec spec = {.image = args->words.items[0], .name = args->name};
    ol_auto_container struct ol_container made = OL_CONTAINER_INIT;
    int r = engine_creation_time(&spec.created, err);

    if (r == 0)
        r = ol_containers_create(ol_engine_containers(engine), &spec, &made, err);
    if (r < 0)
        return r;
    if (cli->json)
        return ol_cli_print_json(
            json_pack("{ss, ss, ss, ss, ss}", "schema", "overlab.container.create/1", "driver",
                      args->engine.driver, "id", made.id, "name", made.name, "image", made.image),
            err);
    puts(made.id);
    return 0;
}

int cmd_container_create(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        ENGINE_OPTION_DRIVER,
        {"name", CONTAINER_KEY_NAME, "NAME", 0, "default: the first 12 characters of the id", 0},
        ENGINE_OPTION_VIEW,
        {0},
    };
    const struct container_syntax syntax = {
        options, 1, 1, false, "IMAGE is a name, an id, or the beginning of an id. Prints the id."};
    struct container_args args;

    if (!container_parse(cli, argc, argv, &syntax, &args))
        return cli->status;
    return run(cli, &args, LAYER_WRITE, create);
}

/* ---- ls ---- */

struct output {
    struct ol_engine *engine;
    struct ol_error *err;
    json_t *list;               /* owned; NULL: the listing */
    struct ol_listing *listing; /* owned */
};

/* Where the layer is mounted for others to see; *ret is NULL where it is not. */
static int mount_of(const struct output *out, const char *layer, char **ret)
{
    ol_auto_free char *dir = NULL;
    char **mounts = NULL;
    size_t count = 0;
    int r;

    if (asprintf(&dir, "%s/%s", ol_driver_home(ol_engine_driver(out->engine)), layer) < 0) {
        dir = NULL;
        return ol_error_nomem(out->err);
    }
    r = ol_mount_list_below(dir, &mounts, &count, out->err);
    if (r < 0)
        return r;
    *ret = count > 0 ? strdup(mounts[0]) : NULL;
    ol_mount_list_free(mounts);
    return count > 0 && *ret == NULL ? ol_error_nomem(out->err) : 0;
}

/* A container, what is listed of it. */
struct row {
    const struct ol_container *container;
    const char *path; /* mounted there; NULL: not */
    bool lost;        /* its layers are gone */
};

static int ls_row(const struct output *out, const struct row *row)
{
    const struct ol_container *container = row->container;
    const char *where = row->lost ? "(its layers are gone)" : "";
    int r = ol_listing_row(out->listing, out->err);

    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%s", container->name);
    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%.12s", container->id);
    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%s", container->image_name);
    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%s", container->created);
    return r < 0 ? r
                 : ol_listing_cell(out->listing, out->err, "%s",
                                   row->path != NULL ? row->path : where);
}

static int ls_container(const struct ol_container *container, void *data)
{
    struct output *out = data;
    struct row row = {.container = container};
    ol_auto_free char *path = NULL;
    char layer[OL_HEX_SIZE];
    json_t *object;
    int r = 0;

    row.lost = ol_containers_layer(ol_engine_containers(out->engine), container, layer, NULL) < 0;
    if (!row.lost)
        r = mount_of(out, layer, &path);
    if (r < 0)
        return r;
    row.path = path;
    if (out->listing != NULL)
        return ls_row(out, &row);
    object = json_pack("{ss, ss, ss, ss, ss, ss?, sb}", "id", container->id, "name",
                       container->name, "image", container->image, "image_name",
                       container->image_name, "created", container->created, "mounted_on", path,
                       "lost", row.lost);
    return json_array_append_new(out->list, object) < 0 ? ol_error_nomem(out->err) : 0;
}

static int ls(struct ol_cli *cli, const struct container_args *args, struct ol_engine *engine,
              struct ol_error *err)
{
    static const struct ol_listing_column columns[] = {
        {"NAME", false}, {"ID", false}, {"IMAGE", false}, {"CREATED", false}, {"MOUNTED ON", false},
    };
    struct output out = {.engine = engine, .err = err};
    int r = 0;

    if (cli->json)
        out.list = json_array();
    else
        r = ol_listing_new(columns, OL_ARRAY_LEN(columns), &out.listing, err);
    if (r == 0)
        r = ol_containers_list(ol_engine_containers(engine), ls_container, &out, err);
    if (r == 0 && cli->json)
        r = ol_cli_print_json(json_pack("{ss, ss, sO}", "schema", "overlab.container.ls/1",
                                        "driver", args->engine.driver, "containers", out.list),
                              err);
    else if (r == 0)
        r = ol_listing_print(out.listing, err);
    ol_listing_free(out.listing);
    json_decref(out.list);
    return r;
}

static const struct argp_option plain_options[] = {ENGINE_OPTION_DRIVER, ENGINE_OPTION_VIEW, {0}};

int cmd_container_ls(struct ol_cli *cli, int argc, char **argv)
{
    const struct container_syntax syntax = {plain_options, 0, 0, false, NULL};
    struct container_args args;

    if (!container_parse(cli, argc, argv, &syntax, &args))
        return cli->status;
    return run(cli, &args, LAYER_READ, ls);
}

/* ---- mount, umount ---- */

/* The container's layer, the container locked. */
static int lock_named(struct ol_engine *engine, const char *name, struct ol_container *ret,
                      char layer[OL_HEX_SIZE], int *ret_lock, struct ol_error *err)
{
    struct ol_containers *containers = ol_engine_containers(engine);
    int r = ol_containers_find(containers, name, ret, err);

    if (r == 0)
        r = ol_containers_lock(containers, ret, ret_lock, err);
    return r < 0 ? r : ol_containers_layer(containers, ret, layer, err);
}

static int mount_container(struct ol_cli *cli, const struct container_args *args,
                           struct ol_engine *engine, struct ol_error *err)
{
    ol_auto_container struct ol_container container = OL_CONTAINER_INIT;
    ol_auto_free char *path = NULL;
    ol_auto_fd int lock = -1;
    char layer[OL_HEX_SIZE];
    int r = lock_named(engine, args->words.items[0], &container, layer, &lock, err);

    if (r == 0)
        r = layer_get_kept(ol_engine_driver(engine), layer, &path, err);
    if (r < 0)
        return r;
    if (cli->json)
        return ol_cli_print_json(json_pack("{ss, ss, ss, ss, ss}", "schema",
                                           "overlab.container.mount/1", "driver",
                                           args->engine.driver, "id", container.id, "name",
                                           container.name, "path", path),
                                 err);
    puts(path);
    return 0;
}

int cmd_container_mount(struct ol_cli *cli, int argc, char **argv)
{
    const struct container_syntax syntax = {
        plain_options, 1, 1, false,
        "Prints the path. The mount stays until 'overlab container umount'."};
    struct container_args args;

    if (!container_parse(cli, argc, argv, &syntax, &args))
        return cli->status;
    return run(cli, &args, LAYER_MOUNTS, mount_container);
}

static int umount_container(struct ol_cli *cli, const struct container_args *args,
                            struct ol_engine *engine, struct ol_error *err)
{
    ol_auto_container struct ol_container container = OL_CONTAINER_INIT;
    ol_auto_fd int lock = -1;
    char layer[OL_HEX_SIZE];
    int r = lock_named(engine, args->words.items[0], &container, layer, &lock, err);

    (void)cli;
    return r < 0 ? r : ol_driver_put(ol_engine_driver(engine), layer, err);
}

int cmd_container_umount(struct ol_cli *cli, int argc, char **argv)
{
    const struct container_syntax syntax = {plain_options, 1, 1, false, NULL};
    struct container_args args;

    if (!container_parse(cli, argc, argv, &syntax, &args))
        return cli->status;
    return run(cli, &args, LAYER_MOUNTS, umount_container);
}

/* ---- rm ---- */

static int rm(struct ol_cli *cli, const struct container_args *args, struct ol_engine *engine,
              struct ol_error *err)
{
    struct ol_containers *containers = ol_engine_containers(engine);
    int r = 0;

    for (size_t i = 0; r == 0 && i < args->words.count; i++) {
        ol_auto_container struct ol_container container = OL_CONTAINER_INIT;

        if (ol_cli_cancelled())
            return ol_error_set(err, -ECANCELED, "interrupted");
        r = ol_containers_find(containers, args->words.items[i], &container, err);
        if (r == 0)
            r = ol_containers_remove(containers, &container, err);
        if (r == 0)
            ol_cli_detail(cli, "removed '%s'", container.name);
    }
    return r;
}

int cmd_container_rm(struct ol_cli *cli, int argc, char **argv)
{
    const struct container_syntax syntax = {plain_options, 1, 4096, false, NULL};
    struct container_args args;

    if (!container_parse(cli, argc, argv, &syntax, &args))
        return cli->status;
    return run(cli, &args, LAYER_WRITE, rm);
}

/* ---- commit ---- */

static int commit(struct ol_cli *cli, const struct container_args *args, struct ol_engine *engine,
                  struct ol_error *err)
{
    struct ol_containers *containers = ol_engine_containers(engine);
    ol_auto_container struct ol_container container = OL_CONTAINER_INIT;
    struct ol_container_commit spec = {
        .name = args->words.count > 1 ? args->words.items[1] : NULL,
        .message = args->message,
        .author = args->author,
        .changes = args->changes.items,
        .n_changes = args->changes.count,
    };
    struct ol_container_committed made;
    int r = engine_creation_time(&spec.created, err);

    if (r == 0)
        r = ol_containers_find(containers, args->words.items[0], &container, err);
    if (r == 0)
        r = ol_containers_commit(containers, &container, &spec, &made, err);
    if (r < 0)
        return r;
    if (cli->json)
        return ol_cli_print_json(
            json_pack("{ss, ss, ss, ss, ss?, ss, ss?, sI}", "schema", "overlab.commit/1", "driver",
                      args->engine.driver, "container", container.id, "id", made.id, "name",
                      spec.name, "parent", container.image, "diff_id",
                      made.layer.empty ? NULL : made.layer.layer.diff_id, "bytes",
                      made.layer.empty ? (json_int_t)0 : (json_int_t)made.layer.layer.size_bytes),
            err);
    puts(made.id);
    return 0;
}

int cmd_commit(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"author", 'a', "TEXT", 0, "such as \"Jane Doe <jane@example.org>\"", 0},
        {"change", 'c', "INSTRUCTION", 0,
         "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, USER, VOLUME or WORKDIR, as "
         "in "
         "a Dockerfile; repeatable",
         0},
        ENGINE_OPTION_DRIVER,
        {"message", 'm', "TEXT", 0, "of the image's history", 0},
        ENGINE_OPTION_VIEW,
        {0},
    };
    const struct container_syntax syntax = {
        options, 1, 2, false,
        "Prints the id of the image, which is made at SOURCE_DATE_EPOCH where that is set. A "
        "container nothing was changed in adds no layer, only a line of history."};
    struct container_args args;

    if (!container_parse(cli, argc, argv, &syntax, &args))
        return cli->status;
    return run(cli, &args, LAYER_WRITE, commit);
}
