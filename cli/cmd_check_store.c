/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab check-store": hold what the data root's stores say against each other. */
#include "cli/engine.h"
#include "cli/listing.h"

#include "bench/report/json_put.h"
#include "common/cleanup.h"
#include "store/check.h"

#include <errno.h>
#include <jansson.h>

enum { KEY_CONTENT = 0x500000 };

struct args {
    struct engine_args engine;
    bool content;
};

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    struct args *args = data;

    if (key == KEY_CONTENT) {
        args->content = true;
        return true;
    }
    return engine_take(cli, &args->engine, key, arg);
}

struct findings {
    bool json;
    json_t *list; /* owned; NULL without json, or without memory */
    size_t count;
    bool lost;
};

static void add(const char *text, void *data)
{
    struct findings *found = data;

    found->count++;
    if (found->json)
        found->lost = json_array_append_new(found->list, ol_json_text(text)) < 0 || found->lost;
    else {
        ol_cli_put_visible(stdout, text, "");
        putchar('\n');
    }
}

static int print(struct ol_cli *cli, const struct args *args, const struct findings *found,
                 struct ol_error *err)
{
    if (found->lost || (found->json && found->list == NULL))
        return ol_error_nomem(err);
    if (!found->json && found->count == 0)
        ol_cli_note(cli, "nothing found");
    if (!found->json)
        return 0;
    return ol_cli_print_json(json_pack("{ss, ss, sO}", "schema", "overlab.check-store/1", "driver",
                                       args->engine.driver, "findings", found->list),
                             err);
}

static int check(struct ol_cli *cli, const struct args *args, struct findings *found,
                 struct ol_error *err)
{
    const struct ol_check_options options = {.content = args->content,
                                             .cancelled = ol_cli_cancelled};
    struct ol_engine *engine = NULL;
    int r = engine_open_checking(cli, &args->engine, add, found, &engine, err);

    if (r == 0)
        r = ol_images_check(ol_engine_images(engine), ol_engine_containers(engine), &options, add,
                            found, err);
    ol_engine_close(engine);
    return r < 0 ? r : print(cli, args, found, err);
}

int cmd_check_store(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"content", KEY_CONTENT, NULL, 0, "read every layer and hold it against its DiffID", 0},
        ENGINE_OPTION_DRIVER,
        ENGINE_OPTION_VIEW,
        {0},
    };
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct args args = {.engine = ENGINE_ARGS_INIT};
    struct findings found = {0};
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = &args,
        .help = "Prints one line for each thing that is wrong with the images, layers and "
                "containers of one driver, and exits 1 if there is any. Nothing is repaired.",
    };
    int r;

    if (!ol_cli_parse(cli, &syntax, argc, argv))
        return cli->status;
    found.json = cli->json; /* known only now */
    if (cli->json)
        found.list = json_array();
    r = check(cli, &args, &found, &err);
    json_decref(found.list);
    if (r < 0)
        return ol_cli_fail(cli, r, &err);
    return found.count > 0 ? OL_EXIT_FAILED : OL_EXIT_OK;
}
