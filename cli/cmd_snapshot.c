/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab snapshot …", the half that changes something. */
#include "cli/listing.h"
#include "cli/snapshot.h"

#include "bench/report/json_put.h"
#include "common/cleanup.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* ---- prepare, view ---- */

static int prepare(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                   struct ol_error *err)
{
    (void)cli;
    return ol_snapshots_prepare(sn, snapshot_word(args, 0), snapshot_word(args, 1), &args->labels,
                                NULL, err);
}

int cmd_snapshot_prepare(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, SNAPSHOT_LABELS, 1, 2,
                        "PARENT is a committed snapshot. Mount it with 'overlab snapshot mount'.",
                        &args))
        return cli->status;
    return snapshot_run(cli, &args, false, prepare);
}

static int view(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                struct ol_error *err)
{
    (void)cli;
    return ol_snapshots_view(sn, snapshot_word(args, 0), snapshot_word(args, 1), &args->labels,
                             NULL, err);
}

int cmd_snapshot_view(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, SNAPSHOT_LABELS, 1, 2,
                        "A view is read-only and cannot be committed.", &args))
        return cli->status;
    return snapshot_run(cli, &args, false, view);
}

/* ---- apply ---- */

static int print_applied(struct ol_cli *cli, const char *key, const struct ol_layer_result *layer,
                         struct ol_error *err)
{
    json_t *json;

    if (!cli->json) {
        printf("%" PRIu64 " %s\n", layer->header_size_sum, layer->diff_id);
        return 0;
    }
    json = json_pack(
        "{ss, sI, ss, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI, sI}", "schema",
        "overlab.snapshot.apply/1", "size", (json_int_t)layer->header_size_sum, "diff_id",
        layer->diff_id, "stream_bytes", (json_int_t)layer->stream_bytes, "entries",
        (json_int_t)layer->entries, "regular", (json_int_t)layer->regular, "directories",
        (json_int_t)layer->directories, "hardlinks", (json_int_t)layer->hardlinks, "specials",
        (json_int_t)layer->specials, "whiteouts", (json_int_t)layer->whiteouts, "opaques",
        (json_int_t)layer->opaques, "squashed_owners", (json_int_t)layer->squashed_owners,
        "skipped_devices", (json_int_t)layer->skipped_devices, "dropped_xattrs",
        (json_int_t)layer->dropped_xattrs);
    if (json != NULL && ol_json_put_bytes(json, "key", key) < 0) {
        json_decref(json);
        json = NULL;
    }
    return ol_cli_print_json(json, err);
}

/* One that exists must be empty and on the parent that was named. */
static int check_existing(struct ol_snapshots *sn, const char *key, const char *parent,
                          struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    struct ol_snapshot_usage usage;
    int r = ol_snapshots_stat(sn, key, &info, err);

    if (r < 0)
        return r;
    if (info.kind != OL_SNAPSHOT_ACTIVE)
        return ol_error_set(err, -EBUSY, "snapshot '%s' is not active, but %s", key,
                            ol_snapshot_kind_name(info.kind));
    if (parent != NULL && strcmp(parent, info.parent) != 0)
        return ol_error_set(err, -EINVAL, "snapshot '%s' has the parent '%s', not '%s'", key,
                            info.parent, parent);
    r = ol_snapshots_usage(sn, key, &usage, err);
    if (r == 0 && usage.inodes > 1)
        r = ol_error_set(err, -EEXIST, "snapshot '%s' is not empty", key);
    return r;
}

static int apply(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                 struct ol_error *err)
{
    const struct ol_input input = OL_INPUT_FD(STDIN_FILENO);
    struct ol_layer_result result = {0};
    const char *key = snapshot_word(args, 0);
    const char *parent = snapshot_word(args, 1);
    int r = ol_snapshots_prepare(sn, key, parent, &args->labels, NULL, err);
    bool existed = r == -EEXIST;

    if (existed)
        r = check_existing(sn, key, parent, err);
    if (r < 0)
        return r;
    ol_cli_cancel_input(STDIN_FILENO);
    r = ol_snapshots_apply(sn, key, &input, &result, err);
    ol_cli_cancel_input(-1);
    if (r == 0 && ol_cli_cancelled())
        r = ol_error_set(err, -ECANCELED, "interrupted");
    if (r == 0 && result.stream_bytes == 0) /* what a failed writer leaves of a pipe */
        r = ol_error_set(err, -EBADMSG,
                         "standard input is empty: an empty layer is two zero blocks");
    if (r == 0)
        r = print_applied(cli, key, &result, err);
    if (r < 0 && !existed)
        (void)ol_snapshots_remove(sn, key, NULL); /* report the first error */
    if (r == 0 && result.skipped_devices > 0)
        ol_cli_warn(cli, "%" PRIu64 " device entries could not be made without privileges",
                    result.skipped_devices);
    return r;
}

int cmd_snapshot_apply(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, SNAPSHOT_LABELS, 1, 2,
                        "Reads a layer tar (plain, gzip, zstd, xz or bzip2) from standard input "
                        "into the active snapshot KEY, which is prepared where it is missing, and "
                        "prints its size and DiffID. Commit it to use it as a parent.",
                        &args))
        return cli->status;
    if (isatty(STDIN_FILENO)) {
        snapshot_args_fini(&args);
        return ol_cli_usage(cli, "the layer is read from standard input: '< layer.tar'");
    }
    return snapshot_run(cli, &args, false, apply);
}

/* ---- commit ---- */

static int commit(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                  struct ol_error *err)
{
    (void)cli;
    return ol_snapshots_commit(sn, snapshot_word(args, 0), snapshot_word(args, 1), &args->labels,
                               args->parent, err);
}

int cmd_snapshot_commit(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, SNAPSHOT_LABELS | SNAPSHOT_PARENT, 2, 2,
                        "The active snapshot KEY becomes the committed snapshot NAME. No data is "
                        "moved. Its labels are those given here.",
                        &args))
        return cli->status;
    return snapshot_run(cli, &args, false, commit);
}

/* ---- mounts, mount ---- */

static int mounts_json(const char *key, const struct ol_snapshot_mount *mount, struct ol_error *err)
{
    json_t *options = json_array();
    json_t *json = json_pack("{ss, s[{ss, ss, sO}]}", "schema", "overlab.snapshot.mounts/1",
                             "mounts", "type", mount->type, "source", mount->source, "options",
                             options);
    int r = json != NULL ? ol_json_put_bytes(json, "key", key) : -1;

    for (size_t i = 0; i < mount->n_options && r == 0; i++)
        r = json_array_append_new(options, json_string(mount->options[i]));
    json_decref(options);
    if (r < 0) {
        json_decref(json);
        json = NULL;
    }
    return ol_cli_print_json(json, err);
}

static int mounts(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                  struct ol_error *err)
{
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    int r = ol_snapshots_mounts(sn, snapshot_word(args, 0), &mount, err);

    if (r < 0)
        return r;
    if (cli->json)
        return mounts_json(snapshot_word(args, 0), &mount, err);
    printf("%s %s ", mount.type, mount.source);
    for (size_t i = 0; i < mount.n_options; i++)
        printf("%s%s", i > 0 ? "," : "", mount.options[i]);
    putchar('\n');
    return 0;
}

int cmd_snapshot_mounts(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 1, 1,
                        "Prints type, source and options of the mount, as containerd would answer.",
                        &args))
        return cli->status;
    return snapshot_run(cli, &args, false, mounts);
}

static int mount_snapshot(struct ol_cli *cli, const struct snapshot_args *args,
                          struct ol_snapshots *sn, struct ol_error *err)
{
    ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};
    ol_auto_free char *target = realpath(snapshot_word(args, 1), NULL);
    int r = ol_snapshots_mounts(sn, snapshot_word(args, 0), &mount, err);

    (void)cli;
    if (r < 0)
        return r;
    if (target == NULL)
        return ol_error_sys(err, errno, "cannot mount on '%s'", snapshot_word(args, 1));
    r = ol_snapshot_mount_at(&mount, target, err);
    if (r == -EPERM || r == -ENOTSUP)
        r = ol_error_wrap(
            err, r, "a mount needs root, or a shell of 'unshare --user --map-root-user --mount'");
    return r;
}

int cmd_snapshot_mount(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 2, 2, "The mount stays until 'umount DIR'.", &args))
        return cli->status;
    return snapshot_run(cli, &args, true, mount_snapshot);
}

/* ---- rm, cleanup ---- */

static int rm(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
              struct ol_error *err)
{
    int r = 0;

    for (unsigned i = 0; i < args->n_words && r == 0; i++) {
        if (ol_cli_cancelled())
            return ol_error_set(err, -ECANCELED, "interrupted");
        r = ol_snapshots_remove(sn, args->words[i], err);
        if (r == 0)
            ol_cli_detail(cli, "removed '%s'", args->words[i]);
    }
    return r;
}

int cmd_snapshot_rm(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, SNAPSHOT_ASYNC, 1, 4096,
                        "A snapshot with children stays. Mounts are not looked for: unmount first.",
                        &args))
        return cli->status;
    return snapshot_run(cli, &args, false, rm);
}

static int cleanup(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                   struct ol_error *err)
{
    unsigned removed = 0;
    int r = ol_snapshots_cleanup(sn, &removed, err);

    (void)args;
    if (r == -ENOENT) /* none was ever made: nothing to clean */
        r = 0;
    if (r == 0)
        ol_cli_note(cli, "%u directories removed", removed);
    return r;
}

int cmd_snapshot_cleanup(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 0, 0,
                        "Removes what 'rm --async' and killed processes left.", &args))
        return cli->status;
    return snapshot_run(cli, &args, false, cleanup);
}

/* ---- label ---- */

/* "KEY=VALUE …" as an info and the paths of an update. */
static int label(struct ol_cli *cli, const struct snapshot_args *args, struct ol_snapshots *sn,
                 struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    char **paths = calloc(args->n_words, sizeof *paths);
    size_t n = 0;
    int r = 0;

    (void)cli;
    info.name = strdup(snapshot_word(args, 0));
    if (paths == NULL || info.name == NULL)
        r = -ENOMEM;
    for (unsigned i = 1; i < args->n_words && r == 0; i++) {
        const char *word = args->words[i];
        int key_len = (int)strcspn(word, "=");
        ol_auto_free char *key = strndup(word, (size_t)key_len);

        if (key == NULL || asprintf(&paths[n], "labels.%.*s", key_len, word) < 0)
            r = -ENOMEM;
        else
            n++;
        if (r == 0)
            r = ol_labels_set(&info.labels, key, word + key_len + 1);
    }
    r = r < 0 ? ol_error_nomem(err)
              : ol_snapshots_update(sn, &info, (const char *const *)paths, n, NULL, err);
    while (n > 0)
        free(paths[--n]);
    free(paths);
    return r;
}

int cmd_snapshot_label(struct ol_cli *cli, int argc, char **argv)
{
    struct snapshot_args args;

    if (!snapshot_parse(cli, argc, argv, 0, 2, 4096,
                        "Sets labels of a snapshot; 'KEY=' removes one.", &args))
        return cli->status;
    for (unsigned i = 1; i < args.n_words; i++) {
        const char *equals = strchr(args.words[i], '=');

        if (equals == NULL || equals == args.words[i]) {
            int status = ol_cli_usage(cli, "label '%s' is not KEY=VALUE", args.words[i]);

            snapshot_args_fini(&args);
            return status;
        }
    }
    return snapshot_run(cli, &args, false, label);
}
