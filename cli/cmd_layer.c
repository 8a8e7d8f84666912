/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab layer …": one driver operation each, for scripts, tests and curious people. */
#include "cli/layer.h"

#include "common/cleanup.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>

/* Open, run, close; the error becomes the exit status. */
static int run(struct ol_cli *cli, struct layer_args *args, enum layer_need need,
               int (*operation)(struct ol_cli *cli, const struct layer_args *args,
                                struct layer_session *session, struct ol_error *err))
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct layer_session session = {0};
    int r = layer_open(cli, args, need, &session, &err);

    if (r == 0)
        r = operation(cli, args, &session, &err);
    layer_close(&session);
    layer_args_fini(args);
    return r < 0 ? ol_cli_fail(cli, r, &err) : OL_EXIT_OK;
}

/* ---- create ---- */

static int create(struct ol_cli *cli, const struct layer_args *args, struct layer_session *session,
                  struct ol_error *err)
{
    const struct ol_layer_spec spec = {
        .id = layer_id(args, 0),
        .parent = layer_id(args, 1),
        .read_write = args->rw,
    };

    (void)cli;
    return ol_driver_create(session->drv, &spec, err);
}

int cmd_layer_create(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(cli, argc, argv, true, 1, 2, NULL, &args))
        return cli->status;
    return run(cli, &args, LAYER_WRITE, create);
}

/* ---- apply ---- */

static int print_applied(struct ol_cli *cli, const struct layer_args *args,
                         const struct ol_apply_result *result, struct ol_error *err)
{
    const struct ol_layer_result *layer = &result->layer;
    json_t *json;

    if (!cli->json) {
        printf("%" PRIu64 " %s\n", result->size_bytes, layer->diff_id);
        return 0;
    }
    json = json_pack(
        "{ss, ss, ss, ss?, sI, ss, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI}", "schema",
        "overlab.layer.apply/1", "driver", args->driver, "id", layer_id(args, 0), "parent",
        layer_id(args, 1), "size", (json_int_t)result->size_bytes, "diff_id", layer->diff_id,
        "stream_bytes", (json_int_t)layer->stream_bytes, "entries", (json_int_t)layer->entries,
        "regular", (json_int_t)layer->regular, "directories", (json_int_t)layer->directories,
        "hardlinks", (json_int_t)layer->hardlinks, "specials", (json_int_t)layer->specials,
        "whiteouts", (json_int_t)layer->whiteouts, "opaques", (json_int_t)layer->opaques,
        "squashed_owners", (json_int_t)layer->squashed_owners, "skipped_devices",
        (json_int_t)layer->skipped_devices, "dropped_xattrs", (json_int_t)layer->dropped_xattrs);
    if (json == NULL)
        return ol_error_nomem(err);
    (void)json_dumpf(json, stdout, JSON_INDENT(1)); /* main sees a failed write */
    fputc('\n', stdout);
    json_decref(json);
    return 0;
}

/* A layer that exists must be as create leaves it. */
static int check_empty(struct ol_driver *drv, const char *id, const char *parent,
                       struct ol_error *err)
{
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    int r = ol_driver_changes(drv, id, parent, &changes, err);

    if (r == 0 && changes.count > 0)
        r = ol_error_set(err, -EEXIST, "layer '%s' is not empty: '%s' is in it", id,
                         changes.items[0].path);
    return r;
}

static int apply(struct ol_cli *cli, const struct layer_args *args, struct layer_session *session,
                 struct ol_error *err)
{
    const struct ol_layer_spec spec = {.id = layer_id(args, 0), .parent = layer_id(args, 1)};
    const struct ol_input input = OL_INPUT_FD(STDIN_FILENO);
    struct ol_apply_result result = {0};
    bool existed = ol_driver_exists(session->drv, spec.id);
    int r = existed ? check_empty(session->drv, spec.id, spec.parent, err)
                    : ol_driver_create(session->drv, &spec, err);

    if (r < 0)
        return r;
    ol_cli_cancel_input(STDIN_FILENO);
    r = ol_driver_apply_diff(session->drv, spec.id, spec.parent, &input, &result, err);
    ol_cli_cancel_input(-1);
    if (r == 0 && ol_cli_cancelled())
        r = ol_error_set(err, -ECANCELED, "interrupted");
    if (r == 0 && result.layer.stream_bytes == 0) /* what a failed writer leaves of a pipe */
        r = ol_error_set(err, -EBADMSG,
                         "standard input is empty: an empty layer is two zero blocks");
    if (r == 0)
        r = print_applied(cli, args, &result, err);
    if (r < 0 && !existed)
        (void)ol_driver_remove(session->drv, spec.id, NULL); /* report the first error */
    if (r == 0 && result.layer.skipped_devices > 0)
        ol_cli_warn(cli, "%" PRIu64 " device entries could not be made without privileges",
                    result.layer.skipped_devices);
    return r;
}

int cmd_layer_apply(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(
            cli, argc, argv, false, 1, 2,
            "Reads a layer tar (plain, gzip, zstd, xz or bzip2) from standard input, makes "
            "the layer where it is missing, and prints its size and DiffID.",
            &args))
        return cli->status;
    if (isatty(STDIN_FILENO)) {
        layer_args_fini(&args);
        return ol_cli_usage(cli, "the layer is read from standard input: '< layer.tar'");
    }
    return run(cli, &args, LAYER_WRITE, apply);
}

/* ---- diff ---- */

static int diff(struct ol_cli *cli, const struct layer_args *args, struct layer_session *session,
                struct ol_error *err)
{
    struct ol_tar_result result = {0};
    ol_auto_fd int out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    int r;

    if (out_fd < 0)
        return ol_error_sys(err, errno, "cannot write to standard output");
    r = ol_driver_diff(session->drv, layer_id(args, 0), layer_id(args, 1), &out_fd, &result, err);
    if (r == 0)
        ol_cli_detail(cli, "%" PRIu64 " entries, %" PRIu64 " bytes, %s", result.entries,
                      result.bytes, result.diff_id);
    return r;
}

int cmd_layer_diff(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(cli, argc, argv, false, 1, 2,
                     "Writes the tar of what layer ID adds to PARENT; without PARENT, of all it "
                     "holds. With '-d DRIVER:names=host' owners carry the host's user and group "
                     "names, as in layers of distribution builds of dockerd.",
                     &args))
        return cli->status;
    if (isatty(STDOUT_FILENO)) {
        layer_args_fini(&args);
        return ol_cli_usage(cli, "an archive is not written to a terminal: '> layer.tar'");
    }
    return run(cli, &args, LAYER_READ, diff);
}

/* ---- mount, umount ---- */

static int mount_layer(struct ol_cli *cli, const struct layer_args *args,
                       struct layer_session *session, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    json_t *json;
    int r = layer_get_kept(session->drv, layer_id(args, 0), &path, err);

    if (r < 0)
        return r;
    if (!cli->json) {
        puts(path);
        return 0;
    }
    json = json_pack("{ss, ss, ss, ss}", "schema", "overlab.layer.mount/1", "driver", args->driver,
                     "id", layer_id(args, 0), "path", path);
    if (json == NULL)
        return ol_error_set(err, -ENOMEM, "'%s' is mounted, but the path cannot be printed: %s",
                            layer_id(args, 0), "not UTF-8, or out of memory");
    (void)json_dumpf(json, stdout, JSON_INDENT(1)); /* main sees a failed write */
    fputc('\n', stdout);
    json_decref(json);
    return 0;
}

int cmd_layer_mount(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(cli, argc, argv, false, 1, 1,
                     "Prints the path. The mount stays until 'overlab layer umount'.", &args))
        return cli->status;
    return run(cli, &args, LAYER_MOUNTS, mount_layer);
}

static int umount_layer(struct ol_cli *cli, const struct layer_args *args,
                        struct layer_session *session, struct ol_error *err)
{
    const char *id = layer_id(args, 0);

    (void)cli;
    if (!ol_driver_exists(session->drv, id))
        return ol_error_set(err, -ENOENT, "layer '%s' does not exist", id);
    return ol_driver_put(session->drv, id, err);
}

int cmd_layer_umount(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(cli, argc, argv, false, 1, 1, NULL, &args))
        return cli->status;
    return run(cli, &args, LAYER_MOUNTS, umount_layer);
}

/* ---- rm ---- */

/* A layer that somebody has mounted stays: the namespace of this command hides it from remove. */
static int check_not_mounted(const struct layer_session *session, const char *id,
                             struct ol_error *err)
{
    ol_auto_free char *dir = NULL;
    char **mounts = NULL;
    size_t count = 0;
    int r;

    if (asprintf(&dir, "%s/%s", session->home, id) < 0) {
        dir = NULL;
        return ol_error_nomem(err);
    }
    r = ol_mount_list_below(dir, &mounts, &count, err);
    if (r < 0)
        return r;
    if (count > 0)
        r = ol_error_set(err, -EBUSY, "layer '%s' is mounted on '%s': 'overlab layer umount' first",
                         id, mounts[0]);
    ol_mount_list_free(mounts);
    return r;
}

static int rm(struct ol_cli *cli, const struct layer_args *args, struct layer_session *session,
              struct ol_error *err)
{
    int r = 0;

    for (unsigned i = 0; i < args->n_ids && r == 0; i++) {
        const char *id = args->ids[i];

        if (ol_cli_cancelled())
            return ol_error_set(err, -ECANCELED, "interrupted");
        if (!ol_driver_exists(session->drv, id))
            return ol_error_set(err, -ENOENT, "layer '%s' does not exist", id);
        r = check_not_mounted(session, id, err);
        if (r == 0)
            r = ol_driver_remove(session->drv, id, err);
        if (r == 0)
            ol_cli_detail(cli, "removed '%s'", id);
    }
    return r;
}

int cmd_layer_rm(struct ol_cli *cli, int argc, char **argv)
{
    struct layer_args args;

    if (!layer_parse(cli, argc, argv, false, 1, 4096,
                     "Children are not looked for: remove them first.", &args))
        return cli->status;
    return run(cli, &args, LAYER_WRITE, rm);
}
