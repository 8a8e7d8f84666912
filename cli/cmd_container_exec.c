/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab container exec": a command in a container's root, with the config's environment. */
#include "cli/container.h"

#include "common/cleanup.h"
#include "store/exec.h"

#include <errno.h>
#include <string.h>

enum { SHORT_ID = 12 };

/* An environment in the making: one "NAME=value" for each name, the last one counts. */
struct environment {
    char **items; /* owned, and what is in it; ends with NULL */
    size_t count;
};

static void environment_fini(struct environment *env)
{
    for (size_t i = 0; i < env->count; i++)
        free(env->items[i]);
    free(env->items);
}

static int set(struct environment *env, const char *pair, struct ol_error *err)
{
    size_t name = strcspn(pair, "=");
    char *copy = strdup(pair);
    char **grown = reallocarray(env->items, env->count + 2, sizeof *grown);

    if (grown != NULL)
        env->items = grown;
    if (grown == NULL || copy == NULL) {
        free(copy);
        return ol_error_nomem(err);
    }
    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(grown[i], pair, name) != 0 || grown[i][name] != '=')
            continue;
        free(grown[i]);
        grown[i] = copy;
        return 0;
    }
    grown[env->count++] = copy;
    grown[env->count] = NULL;
    return 0;
}

static int set_named(struct environment *env, const char *name, const char *value,
                     struct ol_error *err)
{
    ol_auto_free char *pair = NULL;

    if (asprintf(&pair, "%s=%s", name, value) < 0) {
        pair = NULL;
        return ol_error_nomem(err);
    }
    return set(env, pair, err);
}

/* docker's, the image's over that, the command line's over both. */
static int make_environment(const struct ol_container *container, const struct container_args *args,
                            struct environment *env, struct ol_error *err)
{
    const json_t *list = json_object_get(container->config, "Env");
    const char *hostname = json_string_value(json_object_get(container->config, "Hostname"));
    const char *term = getenv("TERM");
    const json_t *item;
    size_t i;
    int r = set(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", err);

    if (r == 0)
        r = set_named(env, "HOSTNAME", hostname != NULL ? hostname : "", err);
    if (r == 0 && term != NULL && isatty(STDIN_FILENO))
        r = set_named(env, "TERM", term, err);
    json_array_foreach(list, i, item)
    {
        const char *pair = json_string_value(item);
        if (r == 0 && pair != NULL && strchr(pair, '=') != NULL)
            r = set(env, pair, err);
    }
    for (i = 0; r == 0 && i < args->env.count; i++)
        r = set(env, args->env.items[i], err);
    return r;
}

static const char *config_text(const struct ol_container *container, const char *key)
{
    const char *text = json_string_value(json_object_get(container->config, key));

    return text != NULL ? text : "";
}

static int run_mounted(const struct ol_container *container, const struct container_args *args,
                       const char *root, int *ret_status, struct ol_error *err)
{
    struct environment env = {NULL, 0};
    struct ol_exec exec = {
        .root = root,
        .cancelled = ol_cli_cancelled,
        .hostname = config_text(container, "Hostname"),
        .argv = args->words.items + 1,
        .cwd = args->workdir != NULL ? args->workdir : config_text(container, "WorkingDir"),
        .user = args->user != NULL ? args->user : config_text(container, "User"),
    };
    int r = make_environment(container, args, &env, err);

    exec.env = (const char *const *)env.items;
    if (r == 0)
        r = ol_exec_run(&exec, ret_status, err);
    environment_fini(&env);
    return r;
}

/* The stores are closed meanwhile: other commands may work, on other containers. */
static int run_locked(struct ol_engine *engine, const struct container_args *args,
                      const struct ol_container *container, const char *layer, int *ret_status,
                      struct ol_error *err)
{
    struct ol_driver *drv = ol_engine_driver(engine);
    ol_auto_free char *root = NULL;
    int put;
    int r;

    ol_engine_close_stores(engine);
    r = ol_driver_get(drv, layer, &root, err);
    if (r < 0)
        return r;
    r = run_mounted(container, args, root, ret_status, err);
    put = ol_driver_put(drv, layer, r < 0 ? NULL : err);
    return r < 0 ? r : put;
}

static int run_command(struct ol_engine *engine, const struct container_args *args, int *ret_status,
                       struct ol_error *err)
{
    ol_auto_container struct ol_container container = OL_CONTAINER_INIT;
    struct ol_containers *containers = ol_engine_containers(engine);
    ol_auto_fd int lock = -1;
    char layer[OL_HEX_SIZE];
    int r = ol_containers_find(containers, args->words.items[0], &container, err);

    if (r == 0 && ol_driver_config_of(ol_engine_driver(engine))->view == OL_VIEW_DIRECT) {
        *ret_status = OL_EXIT_IMPOSSIBLE;
        return ol_error_set(err, -ENOTSUP,
                            "a command needs mounts, and the data root is in view 'direct', which "
                            "makes none");
    }
    if (r == 0)
        r = ol_containers_lock(containers, &container, &lock, err);
    if (r == 0)
        r = ol_containers_layer(containers, &container, layer, err);
    return r < 0 ? r : run_locked(engine, args, &container, layer, ret_status, err);
}

int cmd_container_exec(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        ENGINE_OPTION_DRIVER,
        {"env", 'e', "NAME=VALUE", 0, "set in the environment; repeatable", 0},
        {"user", 'u', "USER[:GROUP]", 0, "names or ids of the container; default: the image's", 0},
        ENGINE_OPTION_VIEW,
        {"workdir", 'w', "DIR", 0, "default: the image's", 0},
        {0},
    };
    const struct container_syntax syntax = {
        options, 2, 1 << 20, true,
        "COMMAND runs in the container's root with the image's environment, working directory and "
        "user, in mount, pid, uts and ipc namespaces of its own, one command in a container at a "
        "time.\n\nThis isolates nothing: the network and the kernel are the host's, and root in it "
        "is root. Run only what you would run outside.\n\nThe exit status is the command's, 128 + "
        "N when signal N ended it, 127 when it was not found, 126 when it cannot be executed, 125 "
        "when it was not reached."};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_engine *engine = NULL;
    struct container_args args;
    int status = OL_EXEC_FAILED;
    int r;

    if (!container_parse(cli, argc, argv, &syntax, &args))
        return cli->status;
    r = engine_open(cli, args.engine.driver, args.engine.view, LAYER_WRITE, &engine, &err);
    if (r == 0)
        r = run_command(engine, &args, &status, &err);
    ol_engine_close(engine);
    container_args_fini(&args);
    if (r < 0)
        (void)ol_cli_fail(cli, r, &err); /* the status is the command's, not ours */
    return status;
}
