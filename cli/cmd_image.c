/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab image …": the images of the data root. */
#include "cli/image.h"
#include "cli/listing.h"

#include "common/cleanup.h"
#include "store/import.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

void image_args_fini(struct image_args *args)
{
    free(args->tags);
    free(args->words);
}

static bool take_compression(struct ol_cli *cli, const char *text, enum ol_compression *ret)
{
    static const char *const names[] = {
        [OL_COMPRESS_NONE] = "none", [OL_COMPRESS_GZIP] = "gzip", [OL_COMPRESS_ZSTD] = "zstd"};

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum ol_compression)i;
            return true;
        }
    (void)ol_cli_usage(cli, "no such compression '%s' (gzip, zstd, none)", text);
    return false;
}

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct image_args *args = data;

    switch (key) {
    case IMAGE_KEY_FORCE:
        args->force = true;
        return true;
    case IMAGE_KEY_OUTPUT:
        args->output = arg;
        return true;
    case IMAGE_KEY_COMPRESS:
        return take_compression(cli, arg, &args->compression);
    case IMAGE_KEY_TAG:
        return ol_cli_add_text(cli, &args->tags, &args->n_tags, arg);
    case OL_CLI_ARGUMENT:
        return ol_cli_add_text(cli, &args->words, &args->n_words, arg);
    default:
        return engine_take(cli, &args->engine, key, arg);
    }
}

bool image_parse(struct ol_cli *cli, int argc, char **argv, const struct argp_option *options,
                 unsigned min, unsigned max, const char *help, struct image_args *ret)
{
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = ret,
        .min_arguments = min,
        .max_arguments = max,
        .help = help,
    };

    *ret = (struct image_args){.engine = ENGINE_ARGS_INIT};
    if (ol_cli_parse(cli, &syntax, argc, argv))
        return true;
    image_args_fini(ret);
    return false;
}

/* Open, run, close; the error becomes the exit status. */
int image_run(struct ol_cli *cli, struct image_args *args, enum layer_need need, image_fn *fn)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_engine *engine = NULL;
    int r = engine_open(cli, args->engine.driver, args->engine.view, need, &engine, &err);

    if (r == 0)
        r = fn(cli, args, ol_engine_images(engine), &err);
    ol_engine_close(engine);
    image_args_fini(args);
    return r < 0 ? ol_cli_fail(cli, r, &err) : OL_EXIT_OK;
}

/* A listing in the making: rows of text, or objects. */
struct output {
    struct ol_images *images;
    struct ol_error *err;
    bool json;
    bool lost;                  /* a row of list, for want of memory */
    json_t *list;               /* owned; NULL without json */
    struct ol_listing *listing; /* owned; NULL: lines, or JSON */
};

static int append(const struct output *out, json_t *row)
{
    return json_array_append_new(out->list, row) < 0 ? ol_error_nomem(out->err) : 0;
}

static int print_list(const struct output *out, const char *schema, const char *driver,
                      const char *key)
{
    return ol_cli_print_json(
        json_pack("{ss, ss, sO}", "schema", schema, "driver", driver, key, out->list), out->err);
}

/* ---- import ---- */

static int collect_name(const char *name, const char *id, void *data)
{
    (void)id;
    return json_array_append_new(data, json_string(name));
}

static json_t *names_of(const struct output *out, const char *id)
{
    json_t *names = json_array();

    if (ol_images_tags(out->images, id, collect_name, names, NULL) == 0)
        return names;
    json_decref(names);
    return NULL;
}

static int print_imported(const struct ol_imported *imported, void *data)
{
    struct output *out = data;
    json_t *names = names_of(out, imported->image.id);
    const json_t *name;
    size_t i;

    if (names == NULL)
        return ol_error_nomem(out->err);
    if (out->json)
        return append(out,
                      json_pack("{ss, so, ss, sI, sI, sb}", "id", imported->image.id, "names",
                                names, "format", imported->source_format, "layers",
                                (json_int_t)imported->image.layers, "new_layers",
                                (json_int_t)imported->new_layers, "existed", imported->existed));
    printf("%s", imported->image.id);
    json_array_foreach(names, i, name) printf(" %s", json_string_value(name));
    putchar('\n');
    json_decref(names);
    return 0;
}

static int import(struct ol_cli *cli, const struct image_args *args, struct ol_images *images,
                  struct ol_error *err)
{
    struct output out = {.images = images, .err = err, .json = cli->json};
    struct timespec now;
    const struct ol_import_options options = {
        .names = args->tags,
        .n_names = args->n_tags,
        .created = &now,
        .cancelled = ol_cli_cancelled,
    };
    int r = engine_creation_time(&now, err);

    if (r < 0)
        return r;
    if (cli->json) {
        out.list = json_array();
        if (out.list == NULL)
            return ol_error_nomem(err);
    }
    ol_cli_cancel_image(args->words[0]);
    r = ol_images_import(images, args->words[0], &options, print_imported, &out, err);
    if (r == 0 && cli->json)
        r = print_list(&out, "overlab.image.import/1", args->engine.driver, "images");
    json_decref(out.list);
    return r;
}

int cmd_image_import(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        ENGINE_OPTION_DRIVER,
        {"tag", IMAGE_KEY_TAG, "NAME", 0,
         "name[:tag] of the image, instead of those in it; repeatable", 0},
        ENGINE_OPTION_VIEW,
        {0},
    };
    struct image_args args;

    if (!image_parse(
            cli, argc, argv, options, 1, 1,
            "PATH is a docker-archive, an OCI layout (directory or tar), or a root file system "
            "(tar or directory), plain or compressed. All images in it are imported; "
            "'PATH#NAME' picks one; '-' is the standard input. A root file system becomes an image "
            "of one layer, made at "
            "SOURCE_DATE_EPOCH where that is set. Prints the ids and names.",
            &args))
        return cli->status;
    return image_run(cli, &args, LAYER_WRITE, import);
}

/* ---- ls ---- */

static int ls_row(struct output *out, const struct ol_stored_image *image, const char *name,
                  const char *created, uint64_t size)
{
    int r = ol_listing_row(out->listing, out->err);

    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%s", name);
    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%.12s", ol_digest_hex(image->id));
    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%s", created);
    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%zu", image->layers);
    if (r == 0)
        r = ol_listing_cell(out->listing, out->err, "%" PRIu64, size);
    return r;
}

static json_t *ls_json(const struct ol_stored_image *image, json_t *names, const char *created,
                       uint64_t size)
{
    return json_pack("{ss, sO, ss*, sI, sI, ss, ss*}", "id", image->id, "names", names, "created",
                     created, "layers", (json_int_t)image->layers, "bytes", (json_int_t)size,
                     "chain_id", image->chain_id, "parent",
                     image->parent[0] != '\0' ? image->parent : NULL);
}

/* A row for every name; an image without one is "<none>", as in docker images. */
static int ls_rows(struct output *out, const struct ol_stored_image *image, const json_t *names,
                   const char *created, uint64_t size)
{
    const json_t *name;
    size_t i;
    int r = 0;

    if (json_array_size(names) == 0)
        return ls_row(out, image, "<none>", created, size);
    json_array_foreach(names, i, name)
    {
        r = ls_row(out, image, json_string_value(name), created, size);
        if (r < 0)
            break;
    }
    return r;
}

static int ls_image(const struct ol_stored_image *image, void *data)
{
    struct output *out = data;
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    const char *created;
    json_t *names;
    uint64_t size = 0;
    int r = ol_images_size(out->images, image, &size, out->err);

    if (r == 0)
        r = ol_images_config(out->images, image->id, &config, out->err);
    if (r < 0)
        return r;
    names = names_of(out, image->id);
    if (names == NULL)
        return ol_error_nomem(out->err);
    created = ol_image_config_text(&config, "created");
    if (out->json)
        r = append(out, ls_json(image, names, created, size));
    else
        r = ls_rows(out, image, names, created != NULL ? created : "", size);
    json_decref(names);
    return r;
}

static int ls(struct ol_cli *cli, const struct image_args *args, struct ol_images *images,
              struct ol_error *err)
{
    static const struct ol_listing_column columns[] = {
        {"NAME", false}, {"ID", false}, {"CREATED", false}, {"LAYERS", true}, {"BYTES", true},
    };
    struct output out = {.images = images, .err = err, .json = cli->json};
    int r = 0;

    if (cli->json)
        out.list = json_array();
    else
        r = ol_listing_new(columns, OL_ARRAY_LEN(columns), &out.listing, err);
    if (r == 0)
        r = ol_images_list(images, ls_image, &out, err);
    if (r == 0 && cli->json)
        r = print_list(&out, "overlab.image.ls/1", args->engine.driver, "images");
    else if (r == 0)
        r = ol_listing_print(out.listing, err);
    ol_listing_free(out.listing);
    json_decref(out.list);
    return r;
}

int cmd_image_ls(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {ENGINE_OPTION_DRIVER, ENGINE_OPTION_VIEW, {0}};
    struct image_args args;

    if (!image_parse(cli, argc, argv, options, 0, 0,
                     "BYTES is the sum over the image's layers, shared ones included.", &args))
        return cli->status;
    return image_run(cli, &args, LAYER_READ, ls);
}

/* ---- rm ---- */

static void removed(const char *what, const char *subject, void *data)
{
    struct output *out = data;

    if (out->json)
        out->lost = json_array_append_new(out->list, json_pack("{ss}", what, subject)) < 0 ||
                    out->lost;
    else
        printf("%s %s\n", what, subject);
}

static int rm(struct ol_cli *cli, const struct image_args *args, struct ol_images *images,
              struct ol_error *err)
{
    struct output out = {.images = images, .err = err, .json = cli->json};
    int r = 0;

    if (cli->json)
        out.list = json_array();
    for (size_t i = 0; r == 0 && i < args->n_words; i++) {
        r = ol_cli_cancelled()
                ? ol_error_set(err, -ECANCELED, "interrupted")
                : ol_images_remove(images, args->words[i], args->force, removed, &out, err);
    }
    if (out.lost)
        r = ol_error_nomem(err);
    if (r == 0 && cli->json)
        r = print_list(&out, "overlab.image.rm/1", args->engine.driver, "removed");
    json_decref(out.list);
    return r;
}

int cmd_image_rm(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        ENGINE_OPTION_DRIVER,
        {"force", IMAGE_KEY_FORCE, NULL, 0,
         "also with names in several repositories, or containers", 0},
        ENGINE_OPTION_VIEW,
        {0},
    };
    struct image_args args;

    if (!image_parse(
            cli, argc, argv, options, 1, 4096,
            "IMAGE is a name, an id, or the beginning of an id. By name, the name goes, and the "
            "image with its last name; then the layers nobody else uses.",
            &args))
        return cli->status;
    return image_run(cli, &args, LAYER_WRITE, rm);
}
